"""From a heatmap of the camera to a pose of ``base_link`` with a covariance for filters."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.belief import Belief
from cross_view_localizer.calibration import Calibration
from cross_view_localizer.heatmap import Heatmap
from cross_view_localizer.modes import basins, cell_axes, second_moments

# Floors of ros_contract 3.8: 5 cm and 0.2 degrees; the cap keeps EKFs from warning.
MIN_STD = 0.05
MIN_YAW_STD = math.radians(0.2)
MAX_VARIANCE = 1.0e3


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


def moments(belief: Belief, calibration: Calibration) -> tuple[float, NDArray[np.float64]]:
    """Return (heading offset, (3, 3) covariance over x, y, heading) about the heatmap's mode.

    Second moments about the mode, not about the mean: then the expected squared error under the
    distribution is the covariance. The heading is the circular mean around the mode (2 m), since
    far modes have headings of their own. With a single heading, row and column 2 hold its floor.
    """
    heatmap, offsets = belief.heatmap, belief.yaw_offsets
    weights = mode_weights(heatmap, calibration)
    u, v = (float(value) for value in heatmap.grid.map_to_pixel(heatmap.peak_xy()))
    result = np.zeros((3, 3))
    result[:2, :2] = second_moments(weights, (u, v), heatmap.grid)
    result[:2, :2] += np.eye(2) * calibration.floor_std**2
    result[2, 2] = calibration.yaw_std**2
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
    result[2, 2] += share.sum(axis=(1, 2)) @ delta**2 + step**2 / 12
    per_cell = np.tensordot(delta, share, axes=1)
    columns, rows = np.arange(per_cell.shape[1]) - u, np.arange(per_cell.shape[0]) - v
    local = np.array([per_cell.sum(axis=0) @ columns, rows @ per_cell.sum(axis=1)])
    result[:2, 2] = result[2, :2] = cell_axes(heatmap.grid) @ local
    return yaw, result


def to_base(
    xy: NDArray[np.float64],
    yaw: float,
    covariance: NDArray[np.float64],
    lever: NDArray[np.float64],
    yaw_variance: float | None,
) -> tuple[tuple[float, float, float], NDArray[np.float64]]:
    """Move a pose of a point of the vehicle to ``base_link``.

    Args:
        xy: (2,) the point in ``map``, metres.
        yaw: of ``base_link``, radians.
        covariance: (3, 3) of the point.
        lever: (2,) the point in ``base_link``, metres.
        yaw_variance: of the prior's yaw where that is what ``yaw`` is: it widens the position by
            the lever arm, and cross terms stay zero. None: ``covariance`` holds the heading's.

    Returns:
        (x, y, yaw) with yaw in [−π, π), and its covariance.
    """
    c, s = math.cos(yaw), math.sin(yaw)
    x = float(xy[0] - c * lever[0] + s * lever[1])
    y = float(xy[1] - s * lever[0] - c * lever[1])
    turn = np.array([s * lever[0] + c * lever[1], -c * lever[0] + s * lever[1]])
    result = covariance.copy()
    if yaw_variance is None:
        jacobian = np.eye(3)
        jacobian[:2, 2] = turn
        result = jacobian @ covariance @ jacobian.T
    else:
        result[:2, :2] += yaw_variance * np.outer(turn, turn)
        result[:2, 2] = result[2, :2] = 0.0
        result[2, 2] = yaw_variance
    return (x, y, (yaw + math.pi) % (2 * math.pi) - math.pi), result


def is_positive_definite(covariance: NDArray[np.float64]) -> bool:
    """Return whether a symmetric matrix is finite and positive definite."""
    if not np.isfinite(covariance).all():
        return False
    return bool(np.linalg.eigvalsh(covariance)[0] > 0)


def bounded(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance, (3, 3) symmetric, with eigenvalues between floor and cap.

    Yaw is counted in units that give it the same floor as a metre: one clipping does for all.
    """
    scale = np.array([1.0, 1.0, MIN_STD / MIN_YAW_STD])
    scaled = (covariance + covariance.T) / 2 * np.outer(scale, scale)
    values, vectors = np.linalg.eigh(scaled)
    clipped = vectors @ np.diag(np.clip(values, MIN_STD**2, MAX_VARIANCE)) @ vectors.T
    result = (clipped + clipped.T) / 2 / np.outer(scale, scale)
    if not covariance[:2, 2].any():
        result[:2, 2] = result[2, :2] = 0.0
    return np.asarray(result)
