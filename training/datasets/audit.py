"""Labels against what else a dataset says: where drives went, where panoramas say they are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from training.datasets.label_table import Array, LabelTable, between

# Frames of a drive this far apart, metres, tell a course: nearer ones only their noise.
STEP = (0.7, 20.0)
PAUSE = 10.0  # seconds between frames that no longer belong together
_PLACE_IN_NAME = re.compile(r",(-?\d+\.\d+),(-?\d+\.\d+),")


@dataclass(frozen=True)
class Finding:
    """One line of an audit: "problem" where something is wrong, "note" otherwise; its numbers."""

    kind: Literal["problem", "note"]
    text: str
    numbers: dict[str, float] = field(default_factory=dict)


def course(table: LabelTable) -> Finding | None:
    """Compare yaws with the course over ground between consecutive frames of each group.

    None where the frames have no order in time or hardly move.
    """
    first, second = _consecutive(table)
    if len(first) < 3:
        return None
    step = between(table.place[first], table.place[second])
    azimuths = table.azimuth
    if not np.isfinite(step).all():
        step = table.position[second] - table.position[first]
        azimuths = np.pi / 2 - table.yaw
    over_ground = np.arctan2(step[:, 0], step[:, 1])
    # Halfway through a bend the vehicle looks along the chord.
    azimuth = azimuths[first] + _wrapped(azimuths[second] - azimuths[first]) / 2
    off = np.degrees(_wrapped(azimuth - over_ground))
    median = float(np.degrees(_circular_median(np.radians(off))))
    spread = float(np.median(np.abs(_wrapped_degrees(off - median))))
    numbers = {"pairs": float(len(off)), "median_deg": median, "spread_deg": spread}
    said = (
        f"yaw minus course over ground: median {median:+.2f} deg (clockwise), half within "
        f"{spread:.2f} deg of it, {len(off)} pairs of frames"
    )
    if abs(median) <= 4.0 and spread <= 8.0:
        return Finding("note", f"{said}: they agree", numbers)
    hint = _better_convention(azimuth, over_ground)
    return Finding("problem", f"yaws disagree with the drives: {said}{hint}", numbers)


def _consecutive(table: LabelTable) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return indices of frames and of the next ones of the same group, a few metres on."""
    order = np.lexsort((table.order, table.group))
    first, second = order[:-1], order[1:]
    same = table.group[first] == table.group[second]
    same &= np.isfinite(table.order[first]) & np.isfinite(table.order[second])
    if table.seconds:
        same &= table.order[second] - table.order[first] < PAUSE
    first, second = first[same], second[same]
    if not len(first):
        return first, second
    step = between(table.place[first], table.place[second])
    if not np.isfinite(step).all():
        step = table.position[second] - table.position[first]
    length = np.hypot(*step.T)
    moves = (length > STEP[0]) & (length < STEP[1])
    return first[moves], second[moves]


def _better_convention(azimuth: Array, over_ground: Array) -> str:
    """Name the mistake that would explain the difference, if one does."""
    best, name = np.inf, ""
    for sense, word in ((1, ""), (-1, "the sense of turning reversed")):
        for zero in (0, 90, 180, 270):
            off = np.abs(_wrapped(sense * azimuth + np.radians(zero) - over_ground))
            fit = float(np.degrees(np.median(off)))
            if fit < best:
                shift = f"zero moved by {zero} deg" if zero else ""
                best, name = fit, " and ".join(part for part in (word, shift) if part)
    return f"; with {name} they would agree to {best:.1f} deg" if name and best < 8.0 else ""


def panorama_places(table: LabelTable) -> Finding | None:
    """Compare positions with latitude and longitude in the panoramas' names (VIGOR).

    None where names say no place or labels have no datum.
    """
    found = [_PLACE_IN_NAME.search(file.name) for file in table.files]
    rows = [i for i, match in enumerate(found) if match]
    if len(rows) < 3 or not np.isfinite(table.place[rows]).all():
        return None
    named = np.array([[float(v) for v in m.groups()] for m in found if m])
    error = between(named, table.place[rows])
    labelled = table.offset[rows]
    by_name = labelled - error
    distance = np.hypot(*error.T)
    median, far = float(np.median(distance)), float(np.percentile(distance, 95))
    scale = (by_name * labelled).sum(axis=0) / np.maximum((by_name**2).sum(axis=0), 1e-9)
    numbers = {"rows": float(len(rows)), "median_m": median, "p95_m": far}
    numbers |= {"scale_east": float(scale[0]), "scale_north": float(scale[1])}
    said = (
        f"median {median:.2f} m, 95 % {far:.2f} m, scale {scale[0]:.3f} east and {scale[1]:.3f} "
        f"north, {len(rows)} rows"
    )
    if median <= 2.5:
        return Finding("note", f"labels agree with panorama positions: {said}", numbers)
    hint = _mirrored(labelled, by_name)
    return Finding("problem", f"labels disagree with panorama positions: {said}{hint}", numbers)


def _mirrored(labelled: Array, by_name: Array) -> str:
    changes = {
        "east and west exchanged": labelled * (-1, 1),
        "north and south exchanged": labelled * (1, -1),
        "both axes reversed": -labelled,
        "east and north swapped": labelled[:, ::-1],
        "east and north swapped and reversed": -labelled[:, ::-1],
    }
    fits = {name: float(np.median(np.hypot(*(c - by_name).T))) for name, c in changes.items()}
    name = min(fits, key=lambda key: fits[key])
    return f"; with {name} they would agree to {fits[name]:.2f} m" if fits[name] < 2.5 else ""


def nearest(train: LabelTable, other: LabelTable) -> dict[str, float] | None:
    """Return the distances (m) from a split's places to the nearest of training: 5, 50, 95 %.

    None where a split is empty or has no datum.
    """
    a, b = train.place, other.place
    if not (len(a) and len(b) and np.isfinite(a).all() and np.isfinite(b).all()):
        return None
    distance, _ = cKDTree(train.cartesian()).query(other.cartesian())
    low, middle, high = np.percentile(distance, (5, 50, 95)).tolist()
    return {"p5_m": low, "median_m": middle, "p95_m": high}


def center_only(table: LabelTable) -> dict[str, float]:
    """Return what answering with the patch's middle and the heading told would err by."""
    distance = np.hypot(*table.offset.T)
    heading = np.abs(np.degrees(_wrapped(table.told)))
    return {
        "mean_m": float(distance.mean()),
        "median_m": float(np.median(distance)),
        "heading_mean_deg": float(heading.mean()),
    }


def _wrapped(angle: Array) -> Array:
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)


def _wrapped_degrees(angle: Array) -> Array:
    return np.asarray((angle + 180.0) % 360.0 - 180.0)


def _circular_median(angles: Array) -> float:
    """The median about the angles' main direction, radians; in [-pi, pi)."""
    main = np.angle(np.exp(1j * angles).sum())
    return float(_wrapped(np.asarray(main + np.median(_wrapped(angles - main)))))
