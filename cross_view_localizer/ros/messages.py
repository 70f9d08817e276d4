"""Estimates to the messages that carry them: ~/pose and ~/estimate. Never lets a NaN out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from geometry_msgs.msg import Point32, Pose, PoseWithCovariance, PoseWithCovarianceStamped
from numpy.typing import NDArray
from std_msgs.msg import Header

from cross_view_localizer.estimate import Estimate
from cross_view_localizer.geo import quaternion_from_yaw
from cross_view_localizer.grid import Grid

# Rows and columns of x, y, yaw in a row-major 6 x 6 covariance.
_AXES = (0, 1, 5)
NOT_TOLD = -1.0  # no_match of a method that does not tell, or where the network never ran


def header(stamp: int, frame: str) -> Header:
    """Return a header for a stamp in nanoseconds."""
    made = Header(frame_id=frame)
    made.stamp.sec, made.stamp.nanosec = divmod(stamp, 1_000_000_000)
    return made


def stamp_of(message_header: Any) -> int:
    """Return a header's stamp in nanoseconds."""
    return int(message_header.stamp.sec) * 1_000_000_000 + int(message_header.stamp.nanosec)


def covariance36(
    covariance: NDArray[np.float64], yaw_from_prior: bool, unobserved: float = 0.0
) -> NDArray[np.float64]:
    """Return (36,) from a (3, 3) over x, y, yaw: that block, and z, roll, pitch on the diagonal.

    A yaw that is only handed through says nothing about x and y: its cross terms are zero.
    """
    full = np.zeros((6, 6))
    full[np.ix_(_AXES, _AXES)] = (covariance + covariance.T) / 2
    if yaw_from_prior:
        full[5, :2] = full[:2, 5] = 0.0
    full[[2, 3, 4], [2, 3, 4]] = unobserved
    return full.reshape(36)


def is_publishable(
    pose: tuple[float, float, float] | None, covariance: NDArray[np.float64] | None
) -> bool:
    """Return whether a pose is finite and its covariance finite and positive definite."""
    if pose is None or covariance is None:
        return False
    if not (np.isfinite(pose).all() and np.isfinite(covariance).all()):
        return False
    return bool(np.linalg.eigvalsh((covariance + covariance.T) / 2).min() > 0)


def pose_with_covariance(
    pose: tuple[float, float, float],
    covariance: NDArray[np.float64],
    yaw_from_prior: bool,
    unobserved: float = 0.0,
) -> PoseWithCovariance:
    """Return a pose in the plane z = 0 with its covariance."""
    made = PoseWithCovariance(
        pose=_planar(*pose), covariance=covariance36(covariance, yaw_from_prior, unobserved)
    )
    return made


def _planar(x: float, y: float, yaw: float) -> Pose:
    pose = Pose()
    pose.position.x, pose.position.y = float(x), float(y)
    _, _, pose.orientation.z, pose.orientation.w = quaternion_from_yaw(float(yaw))
    return pose


def pose_message(
    estimate: Estimate, frame: str, unobserved: float
) -> PoseWithCovarianceStamped | None:
    """Return what ~/pose carries; None where the estimate was refused or holds a NaN."""
    if not estimate.ok or not is_publishable(estimate.pose, estimate.covariance):
        return None
    assert estimate.pose is not None and estimate.covariance is not None
    return PoseWithCovarianceStamped(
        header=header(estimate.stamp, frame),
        pose=pose_with_covariance(
            estimate.pose, estimate.covariance, estimate.yaw_from_prior, unobserved
        ),
    )


def estimate_message(estimate: Estimate, frame: str) -> Any:
    """Return the LocalizationEstimate of a processed or refused frame."""
    from cross_view_localizer.msg import LocalizationEstimate, LocalizationMode

    made = LocalizationEstimate(header=header(estimate.stamp, frame))
    made.status = made.STATUS_OK if estimate.ok else made.STATUS_REFUSED
    made.reason = "" if estimate.reason is None else str(estimate.reason.value)
    made.detail = estimate.detail
    pose, covariance = estimate.raw_pose, estimate.raw_covariance
    if pose is not None and covariance is not None and np.isfinite([*pose]).all():
        if np.isfinite(covariance).all():
            made.has_pose = True
            made.pose = pose_with_covariance(pose, covariance, estimate.yaw_from_prior)
    made.yaw_from_prior = estimate.yaw_from_prior
    made.prior_fused = estimate.prior_fused
    made.confidence = _finite(estimate.confidence)
    no_match = estimate.no_match
    told = no_match is not None and math.isfinite(no_match)
    made.no_match = no_match if told else NOT_TOLD
    _fill_prior(made, estimate)
    _fill_patch(made, estimate)
    made.modes = [
        LocalizationMode(
            x=float(mode.x),
            y=float(mode.y),
            mass=float(mode.mass),
            covariance=mode.covariance.ravel(),
        )
        for mode in estimate.modes
        if np.isfinite(mode.covariance).all()
    ]
    made.stage_names = list(estimate.timing)
    made.stage_ms = [_finite(value) for value in estimate.timing.values()]
    made.model_id = estimate.model_id
    return made


def _fill_prior(made: Any, estimate: Estimate) -> None:
    prior = estimate.prior
    if prior is None:
        return
    yaw = prior.yaw if prior.yaw is not None and math.isfinite(prior.yaw) else None
    covariance = np.array(prior.covariance, dtype=np.float64)
    if yaw is None:
        covariance[2, :] = covariance[:, 2] = 0.0
    if not (np.isfinite([prior.x, prior.y]).all() and np.isfinite(covariance).all()):
        return
    made.has_prior = True
    made.prior = pose_with_covariance((prior.x, prior.y, yaw or 0.0), covariance, False)
    made.prior_has_yaw = yaw is not None
    made.prior_age = _finite(prior.age)
    made.prior_source = str(prior.source)


def _fill_patch(made: Any, estimate: Estimate) -> None:
    if estimate.patch is not None:
        grid = estimate.patch.grid
        made.has_patch = True
        made.patch_center_x, made.patch_center_y = map(float, grid.center)
        made.patch_up, made.patch_gsd = float(grid.up), float(grid.gsd)
        made.patch_width, made.patch_height = grid.width, grid.height
        made.patch_coverage = _finite(estimate.patch.coverage)
    if estimate.heatmap is not None:
        corners = corners_of(estimate.heatmap.grid)
        made.support.points = [Point32(x=float(x), y=float(y)) for x, y in corners]


def corners_of(grid: Grid) -> NDArray[np.float64]:
    """Return the footprint's corners in map, (4, 2), counter-clockwise from the lower left."""
    left, top, right, bottom = -0.5, -0.5, grid.width - 0.5, grid.height - 0.5
    return grid.pixel_to_map([[left, bottom], [right, bottom], [right, top], [left, top]])


def _finite(value: float) -> float:
    return float(value) if math.isfinite(value) else 0.0
