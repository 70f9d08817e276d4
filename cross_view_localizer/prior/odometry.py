"""Odometry as increments: its frame's origin and heading are arbitrary."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from cross_view_localizer.prior.stamp_gate import SECOND
from cross_view_localizer.prior.stamped_buffer import StampedBuffer

# A ground vehicle turns by less between two samples.
_MAX_TURN = 0.5
_MAX_TURN_RATE = 3.0


def wrap(angle: float) -> float:
    """Return the angle in [-π, π]: geo.wrap_angle for one number, forty times as fast."""
    return math.remainder(angle, math.tau)


class OdometryPose(NamedTuple):
    """``base_link`` in the odometry's frame at one stamp.

    Attributes:
        stamp: nanoseconds.
        position: x + iy, metres.
        yaw: radians.
        travelled: length of the track so far, metres (a common, arbitrary zero).
        twist: (forward + i·left in m/s, turn rate in rad/s), None where the driver gives none.
        yaw_variance: rad², of ``yaw`` as an absolute heading, None where unknown.
        slack: seconds that this pose was extrapolated by (or bridged, in a long gap).
    """

    stamp: int
    position: complex
    yaw: float
    travelled: float = 0.0
    twist: tuple[complex, float] | None = None
    yaw_variance: float | None = None
    slack: float = 0.0


@dataclass(frozen=True)
class Motion:
    """What odometry says between two stamps.

    Attributes:
        displacement: complex metres in the odometry's frame.
        turn: radians.
        variance: of the displacement per axis, m², without the error of the frame's own heading.
        yaw_variance: of the turn, rad².
    """

    displacement: complex
    turn: float
    variance: float
    yaw_variance: float


class OdometryTrack:
    """The recent poses of one odometry, interpolated to any stamp."""

    def __init__(
        self,
        span: float,
        timeout: float,
        max_speed: float,
        distance_std: float,
        yaw_drift: float,
        acceleration_std: float,
        turn_rate_std: float,
    ) -> None:
        self._poses: StampedBuffer[OdometryPose] = StampedBuffer(round(span * SECOND))
        self._timeout = timeout
        self._max_speed = max_speed
        self._distance_std = distance_std
        self._yaw_drift = yaw_drift
        self._acceleration_std = acceleration_std
        self._turn_rate_std = turn_rate_std

    @property
    def newest(self) -> int | None:
        """Stamp of the newest pose."""
        return self._poses.newest

    def keep(self, span: float) -> None:
        """Keep so many seconds of poses from now on."""
        self._poses.span = round(span * SECOND)

    def clear(self) -> None:
        """Forget everything."""
        self._poses.clear()

    def add(self, pose: OdometryPose) -> bool:
        """Insert a pose; False where it can't continue the track, which then begins anew."""
        before, after = self._poses.around(pose.stamp)
        if before is None:
            travelled = after.travelled - abs(after.position - pose.position) if after else 0.0
            self._poses.add(pose.stamp, pose._replace(travelled=travelled))
            return True
        step = abs(pose.position - before.position)
        # Short gaps are given a floor, because stamps jitter.
        seconds = max((pose.stamp - before.stamp) / SECOND, 0.02)
        turn = abs(wrap(pose.yaw - before.yaw))
        fresh = step > self._max_speed * seconds or turn > _MAX_TURN + _MAX_TURN_RATE * seconds
        if fresh:
            self._poses.clear()
        self._poses.add(pose.stamp, pose._replace(travelled=before.travelled + step))
        return not fresh

    def at(self, stamp: int) -> OdometryPose | None:
        """Return the pose at ``stamp``; None more than ``timeout`` outside the samples."""
        before, after = self._poses.around(stamp)
        if before is None:
            if after is None or (after.stamp - stamp) > self._timeout * SECOND:
                return None
            return self._extrapolate(after, self._twist(after, newest=False), stamp)
        if before.stamp == stamp:
            return before
        if after is None:
            if stamp - before.stamp > self._timeout * SECOND:
                return None
            return self._extrapolate(before, self._twist(before, newest=True), stamp)
        gap = (after.stamp - before.stamp) / SECOND
        w = (stamp - before.stamp) / (after.stamp - before.stamp)
        return OdometryPose(
            stamp,
            before.position + w * (after.position - before.position),
            before.yaw + w * wrap(after.yaw - before.yaw),
            before.travelled + w * (after.travelled - before.travelled),
            None,
            before.yaw_variance,
            gap * math.sqrt(w * (1 - w)) if gap > self._timeout else 0.0,
        )

    def motion(self, start: OdometryPose, end: OdometryPose) -> Motion:
        """Return the motion between two poses of this track, with the variance it gathers."""
        seconds = abs(end.stamp - start.stamp) / SECOND
        travelled = abs(end.travelled - start.travelled)
        yaw_variance = self._yaw_drift**2 * seconds
        bridged = (start.slack**2 + end.slack**2) / 2
        slack = self._acceleration_std * bridged
        # The yaw error grows along the way: on average a third of its end value bends the track.
        variance = (
            (self._distance_std * travelled) ** 2 + travelled**2 * yaw_variance / 3 + slack**2
        )
        yaw_variance += (self._turn_rate_std * bridged) ** 2
        return Motion(
            end.position - start.position, wrap(end.yaw - start.yaw), variance, yaw_variance
        )

    def _twist(self, pose: OdometryPose, newest: bool) -> tuple[complex, float]:
        if pose.twist is not None:
            return pose.twist
        pair = (
            self._poses.last(2)
            if newest
            else self._poses.between(pose.stamp, pose.stamp + SECOND)[:2]
        )
        if len(pair) < 2:
            return 0j, 0.0
        seconds = (pair[1].stamp - pair[0].stamp) / SECOND
        turn = wrap(pair[1].yaw - pair[0].yaw)
        mean_yaw = pair[0].yaw + turn / 2
        step = pair[1].position - pair[0].position
        return step * complex(math.cos(mean_yaw), -math.sin(mean_yaw)) / seconds, turn / seconds

    @staticmethod
    def _extrapolate(pose: OdometryPose, twist: tuple[complex, float], stamp: int) -> OdometryPose:
        velocity, rate = twist
        seconds = (stamp - pose.stamp) / SECOND
        middle = pose.yaw + rate * seconds / 2
        step = velocity * seconds * complex(math.cos(middle), math.sin(middle))
        travelled = pose.travelled + math.copysign(abs(step), seconds)
        return OdometryPose(
            stamp,
            pose.position + step,
            pose.yaw + rate * seconds,
            travelled,
            None,
            pose.yaw_variance,
            abs(seconds),
        )
