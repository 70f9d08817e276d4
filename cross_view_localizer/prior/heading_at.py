"""The vehicle's yaw at a stamp, from the configured source."""

from __future__ import annotations

import math

from cross_view_localizer.prior.heading import Heading, course
from cross_view_localizer.prior.sensor_buffers import SensorBuffers
from cross_view_localizer.prior.stamp_gate import SECOND


def heading_at(buffers: SensorBuffers, stamp: int) -> Heading | None:
    """Return the yaw of ``base_link`` in ``map`` by ``heading_source``; None where unknown."""
    config = buffers.config
    if config.heading_source == "fixed":
        return Heading(config.fixed_yaw, config.fixed_yaw_std**2, "fixed")
    if config.heading_source == "imu_enu":
        return _from_imu(buffers, stamp)
    if config.heading_source == "odom_enu":
        return _from_odometry(buffers, stamp)
    if config.heading_source == "odom_aligned":
        return aligned(buffers, stamp)
    if config.heading_source == "course":
        return _from_course(buffers, stamp)
    return None


def aligned(buffers: SensorBuffers, stamp: int) -> Heading | None:
    """Return the odometry's yaw plus the zero found from the fixes, once that is good enough."""
    pose, zero = buffers.odometry.at(stamp), buffers.aligner.zero(stamp)
    if pose is None or zero is None:
        return None
    return Heading(pose.yaw + zero[0], zero[1] + _slack(buffers, pose.slack), "odom_aligned")


def _from_odometry(buffers: SensorBuffers, stamp: int) -> Heading | None:
    pose = buffers.odometry.at(stamp)
    if pose is None:
        return None
    variance = buffers.yaw_variance(pose.yaw_variance)
    return Heading(pose.yaw, variance + _slack(buffers, pose.slack), "odom_enu")


def _from_imu(buffers: SensorBuffers, stamp: int) -> Heading | None:
    before, after = buffers.yaws.around(stamp)
    if before and after:
        gap = (after.stamp - before.stamp) / SECOND
        w = (stamp - before.stamp) / (after.stamp - before.stamp)
        yaw = before.yaw + w * math.remainder(after.yaw - before.yaw, math.tau)
        # Half a gap's worth of turning hides between far samples.
        hidden = buffers.config.turn_rate_std * gap * math.sqrt(w * (1 - w))
        hidden = hidden if gap > buffers.config.odometry_timeout else 0.0
        variance = (1 - w) * before.variance + w * after.variance
        return Heading(yaw, variance + hidden**2, "imu_enu")
    nearest = before or after
    if nearest is None or abs(stamp - nearest.stamp) > buffers.config.max_prior_age * SECOND:
        return None
    return _turned(buffers, Heading(nearest.yaw, nearest.variance, "imu_enu"), nearest.stamp, stamp)


def _from_course(buffers: SensorBuffers, stamp: int) -> Heading | None:
    config, newest = buffers.config, buffers.fixes.newest
    if newest is None or stamp - newest > config.max_prior_age * SECOND:
        return None
    window = round(config.course_window * SECOND)
    end = min(newest, stamp + window // 2)
    found = course(buffers.fixes.between(end - window, end), config)
    if found is None:
        return None
    heading, middle = found
    start, last = buffers.odometry.at(end - window), buffers.odometry.at(end)
    pose = buffers.odometry.at(middle)
    if start and last and pose:
        step = last.position - start.position
        backwards = step.real * math.cos(pose.yaw) + step.imag * math.sin(pose.yaw) < 0
        heading = heading._replace(yaw=heading.yaw + (math.pi if backwards else 0.0))
    return _turned(buffers, heading, middle, stamp)


def _turned(buffers: SensorBuffers, heading: Heading, start: int, end: int) -> Heading:
    """Carry a heading on by the odometry's turning, else hold it and let its variance grow."""
    first, last = buffers.odometry.at(start), buffers.odometry.at(end)
    if first is not None and last is not None:
        motion = buffers.odometry.motion(first, last)
        return heading._replace(
            yaw=heading.yaw + motion.turn, variance=heading.variance + motion.yaw_variance
        )
    held = (buffers.config.turn_rate_std * (end - start) / SECOND) ** 2
    return heading._replace(variance=heading.variance + held)


def _slack(buffers: SensorBuffers, seconds: float) -> float:
    return (0.5 * buffers.config.turn_rate_std * seconds**2) ** 2
