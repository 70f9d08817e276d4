"""The covariance of a belief about its mode."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.belief.belief import Belief
from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.belief.headings import CellHeadings
from cross_view_localizer.belief.heatmap import Heatmap
from cross_view_localizer.belief.modes import basins, cell_axes, second_moments
from cross_view_localizer.belief.searched import unsearched_variance


def mode_weights(heatmap: Heatmap, calibration: Calibration) -> NDArray[np.float64]:
    """Return the (H, W) mass that the covariance sums over (see :class:`Calibration`)."""
    mass = heatmap.mass
    if calibration.moments == "basin":
        peaks = basins(heatmap.log_mass, max(1, round(3.0 / heatmap.grid.gsd)))
        row, column = heatmap.argmax_cell()
        return np.where(peaks == peaks[row, column], mass, 0.0)
    if calibration.moments == "radius":
        return np.where(heatmap.distance(heatmap.peak_xy()) <= calibration.radius, mass, 0.0)
    return mass


def moments(
    belief: Belief, calibration: Calibration, given_yaw_std: float | None = None
) -> tuple[float, NDArray[np.float64]]:
    """Return (heading offset, (3, 3) covariance over x, y, heading) about the heatmap's mode.

    Second moments about the mode, not about the mean: then the expected squared error under the
    distribution is the covariance. The heading is the circular mean around the mode (2 m), since
    far modes have headings of their own. With a single heading, row and column 2 hold its floor;
    with continuous ones, each cell's spread and the spread between the cells.

    Args:
        given_yaw_std: radians, of the heading that the searched ones lie around: the variance
            grows by what may lie beyond them (see :func:`.unsearched_variance`). None where the
            searched headings have nothing to do with a given one.
    """
    heatmap, offsets = belief.heatmap, belief.yaw_offsets
    weights = mode_weights(heatmap, calibration)
    u, v = (float(value) for value in heatmap.grid.map_to_pixel(heatmap.peak_xy()))
    result = np.zeros((3, 3))
    result[:2, :2] = second_moments(weights, (u, v), heatmap.grid)
    result[:2, :2] += np.eye(2) * calibration.floor_std**2
    result[2, 2] = calibration.yaw_std**2
    if belief.headings is not None:
        return _with_cell_headings(belief, belief.headings, weights, (u, v), result)
    if len(offsets) == 1:
        return float(offsets[0]), result
    joint = np.exp(belief.log_joint)
    near = heatmap.distance(heatmap.peak_xy()) <= max(2.0, heatmap.grid.gsd)
    around = (joint * near).sum(axis=(1, 2))
    yaw = math.atan2(around @ np.sin(offsets), around @ np.cos(offsets))
    share = joint * (weights > 0)
    share = share / share.sum()
    delta = (offsets - yaw + math.pi) % (2 * math.pi) - math.pi
    step = float(np.diff(np.sort(offsets)).min())
    mass = share.sum(axis=(1, 2))
    result[2, 2] += mass @ delta**2 + step**2 / 12
    if given_yaw_std is not None:
        result[2, 2] += unsearched_variance(mass, offsets, yaw, given_yaw_std, belief.prior_in_yaw)
    per_cell = np.tensordot(delta, share, axes=1)
    columns, rows = np.arange(per_cell.shape[1]) - u, np.arange(per_cell.shape[0]) - v
    local = np.array([per_cell.sum(axis=0) @ columns, rows @ per_cell.sum(axis=1)])
    result[:2, 2] = result[2, :2] = cell_axes(heatmap.grid) @ local
    return yaw, result


def _with_cell_headings(
    belief: Belief,
    headings: CellHeadings,
    weights: NDArray[np.float64],
    uv: tuple[float, float],
    result: NDArray[np.float64],
) -> tuple[float, NDArray[np.float64]]:
    """Fill row and column 2 of ``result`` from one heading distribution in each cell."""
    heatmap = belief.heatmap
    near = heatmap.distance(heatmap.peak_xy()) <= max(2.0, heatmap.grid.gsd)
    around = heatmap.mass * near * headings.resultant
    sine, cosine = np.sin(headings.mean), np.cos(headings.mean)
    yaw = math.atan2(float((around * sine).sum()), float((around * cosine).sum()))
    share = weights / weights.sum()
    delta = (headings.mean - yaw + math.pi) % (2 * math.pi) - math.pi
    result[2, 2] += float((share * (delta**2 + headings.variance)).sum())
    per_cell = share * delta
    columns, rows = np.arange(per_cell.shape[1]) - uv[0], np.arange(per_cell.shape[0]) - uv[1]
    local = np.array([per_cell.sum(axis=0) @ columns, rows @ per_cell.sum(axis=1)])
    result[:2, 2] = result[2, :2] = cell_axes(heatmap.grid) @ local
    return yaw, result
