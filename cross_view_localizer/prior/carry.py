"""Brings a fix or an initial pose from its own stamp to another, with the covariance it gathers."""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.prior.heading import Fix, Heading, velocity
from cross_view_localizer.prior.odometry import OdometryPose
from cross_view_localizer.prior.sensor_buffers import SensorBuffers
from cross_view_localizer.prior.stamp_gate import SECOND

# A yaw that may be anything: the variance of the uniform distribution over the circle.
UNKNOWN_YAW_VARIANCE = math.pi**2 / 3


@dataclass(frozen=True)
class GaussianPose:
    """A Gaussian over the pose of ``base_link`` in ``map``.

    Attributes:
        position: x + iy, metres.
        yaw: radians; None where unknown.
        covariance: (3, 3) over (x, y, yaw).
        age: seconds to the nearest real position sample.
        source: where the position comes from.
        yaw_source: where the yaw comes from.
    """

    position: complex
    yaw: float | None
    covariance: NDArray[np.float64]
    age: float
    source: str
    yaw_source: str


@dataclass(frozen=True)
class _Carried:
    """An antenna position, its covariance (2, 2) without the heading's part, d position / d yaw."""

    position: complex
    covariance: NDArray[np.float64]
    lever: complex
    source: str


def from_fixes(buffers: SensorBuffers, stamp: int, heading: Heading | None) -> GaussianPose | None:
    """Return where the fixes on both sides, or the nearest one, put ``base_link``.

    Args:
        heading: the vehicle's yaw at ``stamp``, also where it is too vague to be told.

    Returns:
        the belief; None where all fixes are too old.
    """
    limit = round(buffers.config.max_prior_age * SECOND)
    before, after = buffers.fixes.around(stamp)
    before = before if before and stamp - before.stamp <= limit else None
    after = after if after and after.stamp - stamp <= limit else None
    near = [fix for fix in (before, after) if fix is not None]
    if not near:
        return None
    pose = buffers.odometry.at(stamp)
    if before and after:
        antenna = _between(buffers, before, after, stamp, pose, heading)
    else:
        antenna = _carry(buffers, near[0], stamp, pose, heading)
    age = min(abs(stamp - fix.stamp) for fix in near) / SECOND
    return _to_base(antenna, buffers.antenna, heading, age)


def from_initial(buffers: SensorBuffers, stamp: int) -> GaussianPose | None:
    """Return the initial pose carried to ``stamp``; None where there is none or it is too old."""
    initial, config = buffers.initial, buffers.config
    if initial is None:
        return None
    age = abs(stamp - initial.stamp) / SECOND
    pose = buffers.odometry.at(stamp)
    anchor = initial.anchor or buffers.odometry.at(initial.stamp)
    known = anchor is not None and pose is not None
    if age > (config.max_initial_pose_age if known else config.max_prior_age):
        return None
    yaw, noise = initial.yaw, np.zeros((3, 3))
    step = 0j
    if anchor is not None and pose is not None:
        motion = buffers.odometry.motion(anchor, pose)
        step = motion.displacement * cmath.rect(1.0, initial.yaw - anchor.yaw)
        yaw += motion.turn
        noise[[0, 1, 2], [0, 1, 2]] = motion.variance, motion.variance, motion.yaw_variance
    else:
        step, variance = _at_constant_velocity(buffers, initial.stamp, stamp)
        noise[[0, 1, 2], [0, 1, 2]] = variance, variance, (config.turn_rate_std * age) ** 2
    spread = np.eye(3)
    spread[0, 2], spread[1, 2] = -step.imag, step.real
    covariance = spread @ initial.covariance @ spread.T + noise
    return GaussianPose(
        initial.position + step,
        math.remainder(yaw, math.tau),
        covariance,
        age,
        "initial_pose",
        "initial_pose",
    )


def _between(
    buffers: SensorBuffers,
    before: Fix,
    after: Fix,
    stamp: int,
    pose: OdometryPose | None,
    heading: Heading | None,
) -> _Carried:
    """Interpolate: each fix carried by odometry, weighted by nearness; without it a straight line.

    Errors of neighbouring fixes are nearly the same: their covariances are averaged, not reduced.
    """
    u, v = (stamp - before.stamp) / SECOND, (after.stamp - stamp) / SECOND
    w = u / (u + v)
    a = _by_odometry(buffers, before, pose, heading)
    b = _by_odometry(buffers, after, pose, heading)
    if a is not None and b is not None:
        covariance = (1 - w) * _matrix(before) + w * _matrix(after)
        # Closing the loop removes most of the odometry's error: the nearer end's is an upper bound.
        extra = min(
            a.covariance[0, 0] - before.covariance[0], b.covariance[0, 0] - after.covariance[0]
        )
        return _Carried(
            (1 - w) * a.position + w * b.position,
            covariance + extra * np.eye(2),
            (1 - w) * a.lever + w * b.lever,
            "fix_interpolated_by_odometry",
        )
    bend = 0.5 * buffers.config.acceleration_std * u * v
    return _Carried(
        (1 - w) * before.position + w * after.position,
        (1 - w) * _matrix(before) + w * _matrix(after) + bend**2 * np.eye(2),
        0j,
        "fix_interpolated",
    )


def _carry(
    buffers: SensorBuffers,
    fix: Fix,
    stamp: int,
    pose: OdometryPose | None,
    heading: Heading | None,
) -> _Carried:
    carried = _by_odometry(buffers, fix, pose, heading)
    if carried is not None:
        return carried
    step, variance = _at_constant_velocity(buffers, fix.stamp, stamp)
    start = buffers.odometry.at(fix.stamp)
    if start is not None and pose is not None:
        # Direction unknown, length known: at a standstill that is all one needs.
        motion = buffers.odometry.motion(start, pose)
        around = abs(motion.displacement) ** 2 / 2 + motion.variance
        if around < variance:
            step, variance = 0j, around
    covariance = _matrix(fix) + variance * np.eye(2)
    return _Carried(fix.position + step, covariance, 0j, "fix_at_constant_velocity")


def _by_odometry(
    buffers: SensorBuffers, fix: Fix, pose: OdometryPose | None, heading: Heading | None
) -> _Carried | None:
    start = buffers.odometry.at(fix.stamp)
    if start is None or pose is None or heading is None:
        return None
    motion = buffers.odometry.motion(start, pose)
    arm = buffers.antenna * (cmath.rect(1.0, pose.yaw) - cmath.rect(1.0, start.yaw))
    step = (motion.displacement + arm) * cmath.rect(1.0, heading.yaw - pose.yaw)
    covariance = _matrix(fix) + motion.variance * np.eye(2)
    return _Carried(fix.position + step, covariance, 1j * step, "fix_by_odometry")


def _at_constant_velocity(buffers: SensorBuffers, start: int, end: int) -> tuple[complex, float]:
    """Return the step and its variance per axis, by the fixes' mean velocity near ``start``."""
    config = buffers.config
    window = round(config.course_window * SECOND)
    seconds = (end - start) / SECOND
    mean = velocity(buffers.fixes.between(start - window, start + window), config)
    if mean is None or mean.variance > config.unknown_speed_std**2:
        return 0j, (config.unknown_speed_std * seconds) ** 2
    lag = abs(seconds) + config.course_window / 2
    return mean.value * seconds, (
        mean.variance * seconds**2 + (0.5 * config.acceleration_std * seconds * lag) ** 2
    )


def _to_base(antenna: _Carried, arm: complex, heading: Heading | None, age: float) -> GaussianPose:
    """Move from the antenna to ``base_link``; with no yaw the arm goes into the covariance."""
    covariance = np.zeros((3, 3))
    covariance[:2, :2] = antenna.covariance
    covariance[2, 2] = UNKNOWN_YAW_VARIANCE
    if heading is None:
        covariance[[0, 1], [0, 1]] += abs(arm) ** 2 / 2
        return GaussianPose(antenna.position, None, covariance, age, antenna.source, "unknown")
    turned = arm * cmath.rect(1.0, heading.yaw)
    lever = antenna.lever - 1j * turned
    direction = np.array([lever.real, lever.imag, 1.0])
    covariance[2, 2] = 0.0
    covariance += heading.variance * np.outer(direction, direction)
    return GaussianPose(
        antenna.position - turned,
        math.remainder(heading.yaw, math.tau),
        covariance,
        age,
        antenna.source,
        heading.source,
    )


def _matrix(fix: Fix) -> NDArray[np.float64]:
    xx, xy, yy = fix.covariance
    return np.array([[xx, xy], [xy, yy]])
