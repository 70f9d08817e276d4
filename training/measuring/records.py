"""The one record that a frame of any reader becomes: what was true, what was told, what came out.

Positions are metres in the frame of the reader's labels, of the reference point that the reader
names. Probabilities are per pixel of the protocol's patch at 512 x 512, as ECCV 2022's (section
4.2), whatever cells the model has; log densities are nats per m² and compare between all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cross_view_localizer.belief.heatmap import Heatmap
from cross_view_localizer.estimate import Estimate
from training.datasets.pair import Label
from training.measuring import metrics

PAPER_PIXELS = 512
UNIFORM = 1 / PAPER_PIXELS**2
NAN = math.nan


@dataclass(frozen=True)
class Record:
    """What one frame gave. Where the network did not run, the prior stands for the answer.

    Attributes:
        name, group: of the label; error bars are over groups.
        reason: why it was refused; empty where it was published.
        truth_x, truth_y, truth_yaw: metres and radians.
        x, y, yaw: the sub-pixel mode, also where a gate refused; the yaw NaN where none was found.
        var_xx, var_xy, var_yy, var_yaw: of it, m² and rad²; NaN where the network did not run.
        centre_error: from the prior, the control without any picture, metres.
        argmax_error: of the greatest cell's centre, the papers' point estimate, metres.
        mode_error: of (x, y), metres.
        longitudinal, lateral: of (x, y), signed: ahead and left are positive, metres.
        heading_error: yaw − truth, degrees; NaN for methods that take the heading as given.
        level: credible level of the truth; log_density: there, −inf outside the heatmap.
        p_truth: of the patch's pixel at the truth; p_peak: of the greatest cell, by which
            predictions are ranked; 0 outside the heatmap.
        entropy, confidence: of the heatmap.
        no_match: probability that the pictures do not show the same place; NaN where the model
            does not tell.
        told: what was added to the heading that the method was told, degrees.
        cell: metres per heatmap cell.
    """

    name: str
    group: str
    reason: str
    truth_x: float
    truth_y: float
    truth_yaw: float
    x: float
    y: float
    centre_error: float
    argmax_error: float
    mode_error: float
    longitudinal: float
    lateral: float
    yaw: float = NAN
    heading_error: float = NAN
    var_xx: float = NAN
    var_xy: float = NAN
    var_yy: float = NAN
    var_yaw: float = NAN
    level: float = NAN
    log_density: float = NAN
    p_truth: float = NAN
    p_peak: float = NAN
    entropy: float = NAN
    confidence: float = NAN
    no_match: float = NAN
    told: float = 0.0
    cell: float = NAN


def record(label: Label, estimate: Estimate, told: float = 0.0) -> Record:
    """Return the record of an answer; ``base_link`` must be the labels' point, on the road.

    Args:
        told: what was added to the heading, radians.
    """
    heatmap, pose, bounds = estimate.heatmap, estimate.raw_pose, estimate.raw_covariance
    reason = "" if estimate.reason is None else estimate.reason.value
    degrees = math.degrees(told)
    if heatmap is None or pose is None:
        nowhere = {"level": 1.0, "log_density": -math.inf, "p_truth": 0.0, "p_peak": 0.0}
        return _record(label, label.grid.center, label.grid.center, reason, told=degrees, **nowhere)
    found: dict[str, float] = {}
    if bounds is not None:
        (xx, xy, _), (_, yy, _), (_, _, yaw) = bounds.tolist()
        found |= {"var_xx": xx, "var_xy": xy, "var_yy": yy, "var_yaw": yaw}
    if not estimate.yaw_from_prior:
        found["yaw"] = pose[2]
        found["heading_error"] = float(metrics.heading_errors([pose[2]], [label.yaw])[0])
    argmax = heatmap.argmax_xy().tolist()
    return _record(
        label,
        pose[:2],
        (argmax[0], argmax[1]),
        reason,
        level=heatmap.credible_level(label.position),
        log_density=float(heatmap.log_density(label.position)),
        entropy=heatmap.entropy(),
        confidence=estimate.confidence,
        no_match=NAN if estimate.no_match is None else estimate.no_match,
        told=degrees,
        cell=heatmap.grid.gsd,
        **_per_pixel(label, heatmap),
        **found,
    )


def control(label: Label, even: bool) -> Record:
    """Return what the patch's centre, or an even heatmap, gives: no picture is opened."""
    center = label.grid.center
    if not even:
        return _record(label, center, center)
    density = -2 * math.log(label.grid.extent[0])
    return _record(label, center, center, log_density=density, p_truth=UNIFORM, p_peak=UNIFORM)


def _record(
    label: Label,
    xy: tuple[float, float],
    argmax: tuple[float, float],
    reason: str = "",
    **values: float,
) -> Record:
    truth = label.position
    along, across = metrics.longitudinal_lateral([xy], [truth], [label.yaw])
    return Record(
        name=label.name,
        group=str(label.group),
        reason=reason,
        truth_x=truth[0],
        truth_y=truth[1],
        truth_yaw=label.yaw,
        x=xy[0],
        y=xy[1],
        centre_error=math.dist(label.grid.center, truth),
        argmax_error=math.dist(argmax, truth),
        mode_error=math.dist(xy, truth),
        longitudinal=float(along[0]),
        lateral=float(across[0]),
        **values,
    )


def _per_pixel(label: Label, heatmap: Heatmap) -> dict[str, float]:
    """Return probabilities per pixel of the patch at the paper's size, from those per cell."""
    grid, log_mass = heatmap.grid, heatmap.log_mass
    area = (label.grid.extent[0] / PAPER_PIXELS / grid.gsd) ** 2
    u, v = np.rint(grid.map_to_pixel(label.position)).astype(int)
    inside = 0 <= u < grid.width and 0 <= v < grid.height
    return {
        "p_truth": area * math.exp(log_mass[v, u]) if inside else 0.0,
        "p_peak": area * math.exp(log_mass[heatmap.argmax_cell()]),
    }
