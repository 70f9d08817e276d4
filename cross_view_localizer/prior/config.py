"""What the prior is tuned by: one validated table, which the node's parameters mirror."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

HEADING_SOURCES = ("imu_enu", "odom_enu", "odom_aligned", "course", "fixed", "unknown")


@dataclass(frozen=True)
class PriorConfig:
    """Settings of :class:`.prior.PriorEstimator`; metres, radians, seconds.

    Attributes:
        heading_source: ``imu_enu`` (IMU yaw is absolute), ``odom_enu`` (odometry yaw is absolute),
            ``odom_aligned`` (odometry yaw, its zero found from the fixes), ``course`` (course over
            ground of the fixes), ``fixed`` or ``unknown``.
        fixed_yaw, fixed_yaw_std: the heading of ``fixed``.
        antenna: (x, y) of the GNSS antenna in ``base_link``.
        max_prior_wait: longest time (wall clock) that a caller waits for :meth:`ready`.
        max_prior_age: a fix is carried this far from its stamp, then refused.
        max_initial_pose_age: the same for an initial pose, which only odometry keeps useful.
        buffer_seconds: how far back samples are kept (longer where max_prior_age asks for it).
        default_fix_std: per axis, where a fix has no covariance.
        default_yaw_std: where IMU or odometry yaw has no variance.
        initial_pose_std, initial_pose_yaw_std: where an initial pose has no covariance.
        min_speed: below it a course over ground says nothing about the heading.
        course_window: span of the fixes that a course or a velocity is taken from.
        fix_correlation_time, fix_white_std: the error model of *differences* of fixes: a
            Gauss-Markov part of the reported size and this correlation time, and a white part.
        align_window, align_spacing: travelled distance that the odometry's zero is fitted over, and
            between the fixes that take part.
        align_min_distance: straight-line extent below which the fit is not used.
        align_max_std: yaw standard deviation above which the fit is not used.
        max_yaw_std: yaw standard deviation above which any heading counts as unknown.
        odometry_distance_std: position error per metre travelled (scale, slip).
        odometry_yaw_drift: yaw error of the odometry, rad per square root of a second.
        odometry_timeout: how far odometry is extrapolated beyond its last sample.
        odometry_max_speed: a faster jump between two samples means that the odometry was restarted.
        acceleration_std, turn_rate_std: what a vehicle may do between samples without odometry.
        unknown_speed_std: speed per axis where nothing is known of it.
        max_future: a sample this far ahead of ``now`` is dropped.
        jump_back: three samples running of one sensor, each older than its newest by more than
            this, mean that time has jumped back.
    """

    heading_source: str = "odom_aligned"
    fixed_yaw: float = 0.0
    fixed_yaw_std: float = 0.05
    antenna: tuple[float, float] = (0.0, 0.0)
    max_prior_wait: float = 0.05
    max_prior_age: float = 5.0
    max_initial_pose_age: float = 60.0
    buffer_seconds: float = 10.0
    default_fix_std: float = 5.0
    default_yaw_std: float = 0.05
    initial_pose_std: float = 0.5
    initial_pose_yaw_std: float = 0.26
    min_speed: float = 2.0
    course_window: float = 3.0
    fix_correlation_time: float = 60.0
    fix_white_std: float = 0.5
    align_window: float = 200.0
    align_spacing: float = 5.0
    align_min_distance: float = 20.0
    align_max_std: float = 0.1
    max_yaw_std: float = 0.3
    odometry_distance_std: float = 0.02
    odometry_yaw_drift: float = 0.003
    odometry_timeout: float = 0.5
    odometry_max_speed: float = 100.0
    acceleration_std: float = 2.0
    turn_rate_std: float = 0.1
    unknown_speed_std: float = 10.0
    max_future: float = 1.0
    jump_back: float = 0.5

    def __post_init__(self) -> None:
        if self.heading_source not in HEADING_SOURCES:
            raise ValueError(
                f"heading_source '{self.heading_source}': expected one of "
                f"{', '.join(HEADING_SOURCES)}"
            )
        if len(self.antenna) != 2 or not all(math.isfinite(v) for v in self.antenna):
            raise ValueError(
                f"antenna {self.antenna}: expected two finite metres (x, y) in base_link"
            )
        if not math.isfinite(self.fixed_yaw):
            raise ValueError(f"fixed_yaw {self.fixed_yaw}: expected finite radians, 0 = east")
        may_be_zero = {
            "max_prior_wait",
            "max_prior_age",
            "max_future",
            "fix_white_std",
            "odometry_distance_std",
            "odometry_yaw_drift",
        }
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("heading_source", "antenna", "fixed_yaw"):
                continue
            if (
                not math.isfinite(value)
                or value < 0
                or (value == 0 and field.name not in may_be_zero)
            ):
                least = "zero or more" if field.name in may_be_zero else "above zero"
                raise ValueError(f"{field.name} {value}: expected a finite number {least}")

    @property
    def span(self) -> float:
        """Seconds that the samples of each sensor are kept."""
        return max(self.buffer_seconds, self.max_prior_age + self.course_window)
