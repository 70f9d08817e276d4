"""Poses of ``base_link`` with covariances that filters can take."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

# Floors that no estimate is surer than, and a cap that keeps EKFs from warning: m², 4.9 rad².
MIN_STD = 0.05
MIN_YAW_STD = math.radians(0.2)
MAX_VARIANCE = 1.0e3


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


def seen_from(
    motion: tuple[float, float, float], xy: NDArray[np.float64], yaw: float
) -> tuple[float, float, float]:
    """Return the motion of a frame that is fixed to a moving one.

    Args:
        motion: (x, y, yaw) of the moving frame then, in itself now.
        xy: (2,) where the fixed frame lies in the moving one, metres; yaw: how it is turned.

    Returns:
        (x, y, yaw) of the fixed frame then, in itself now; the yaw is the same.
    """
    c, s = math.cos(motion[2]), math.sin(motion[2])
    away_x = motion[0] + c * xy[0] - s * xy[1] - xy[0]
    away_y = motion[1] + s * xy[0] + c * xy[1] - xy[1]
    c, s = math.cos(yaw), math.sin(yaw)
    return float(c * away_x + s * away_y), float(c * away_y - s * away_x), motion[2]


def is_positive_definite(covariance: NDArray[np.float64]) -> bool:
    """Return whether a symmetric matrix is finite and positive definite."""
    if not np.isfinite(covariance).all():
        return False
    return bool(np.linalg.eigvalsh(covariance)[0] > 0)


def bounded(
    covariance: NDArray[np.float64], min_std: float = MIN_STD, scale: float = 1.0
) -> NDArray[np.float64]:
    """Return what is published of a covariance: enlarged, with eigenvalues between floor and cap.

    Args:
        covariance: (3, 3) over (x, y, yaw).
        min_std: floor of the position's standard deviation in any direction, metres; the yaw's is
            ``MIN_YAW_STD``.
        scale: factor on the covariance, before floor and cap.
    """
    result = (covariance + covariance.T) / 2 * scale
    result = _clipped(result, MIN_STD / MIN_YAW_STD, -math.inf, MAX_VARIANCE)
    result = _clipped(result, min_std / MIN_YAW_STD, min_std**2, math.inf)
    if not covariance[:2, 2].any():
        result[:2, 2] = result[2, :2] = 0.0
    return result


def _clipped(
    covariance: NDArray[np.float64], metres: float, low: float, high: float
) -> NDArray[np.float64]:
    """Clip the eigenvalues, m², a radian of yaw counting as so many ``metres``."""
    unit = np.array([1.0, 1.0, metres])
    values, vectors = np.linalg.eigh(covariance * np.outer(unit, unit))
    clipped = vectors @ np.diag(np.clip(values, low, high)) @ vectors.T
    return np.asarray((clipped + clipped.T) / 2 / np.outer(unit, unit))
