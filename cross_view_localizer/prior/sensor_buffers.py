"""Takes raw sensor samples in, sorts out the bad ones, and keeps the good ones by stamp."""

from __future__ import annotations

import cmath
import math
from collections import Counter, deque
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cross_view_localizer.prior.config import PriorConfig
from cross_view_localizer.prior.heading import Fix, OdometryAligner
from cross_view_localizer.prior.odometry import OdometryPose, OdometryTrack
from cross_view_localizer.prior.stamp_gate import SECOND, StampGate, Verdict
from cross_view_localizer.prior.stamped_buffer import StampedBuffer

_LEAST_VARIANCE = 1e-4
_LEAST_YAW_VARIANCE = 1e-6


class InitialPose(NamedTuple):
    """Somebody's word on the pose: stamp, x + iy, yaw, covariance (3, 3), the odometry there."""

    stamp: int
    position: complex
    yaw: float
    covariance: NDArray[np.float64]
    anchor: OdometryPose | None = None


class YawSample(NamedTuple):
    """An absolute yaw: stamp, radians, rad²."""

    stamp: int
    yaw: float
    variance: float


class SensorBuffers:
    """The samples that priors are made from.

    Attributes:
        counters: how often what was dropped or repaired, by name; `messages` says it in words.
        antenna: the GNSS antenna in ``base_link``, x + iy.
    """

    def __init__(self, config: PriorConfig) -> None:
        self.config = config
        self.antenna = complex(*config.antenna)
        self.counters: Counter[str] = Counter()
        self.messages: deque[str] = deque(maxlen=100)
        self.gate = StampGate(config.span, config.jump_back, config.max_future)
        span = round(config.span * SECOND)
        self.fixes: StampedBuffer[Fix] = StampedBuffer(span)
        self.yaws: StampedBuffer[YawSample] = StampedBuffer(span)
        self.odometry = OdometryTrack(
            config.span,
            config.odometry_timeout,
            config.odometry_max_speed,
            config.odometry_distance_std,
            config.odometry_yaw_drift,
            config.acceleration_std,
            config.turn_rate_std,
        )
        self.aligner = OdometryAligner(config)
        self.initial: InitialPose | None = None
        self._unaligned: deque[Fix] = deque(maxlen=64)

    def adjust(self, config: PriorConfig) -> None:
        """Go on with other ages, gates and default deviations; the samples stay.

        The odometry's error model stays as it is too: what has been added up was added up with it.
        """
        self.config = self.aligner.config = config
        self.gate.span, self.gate.max_future = config.span, config.max_future
        self.fixes.span = self.yaws.span = round(config.span * SECOND)
        self.odometry.keep(config.span)

    def clear(self) -> None:
        """Forget all samples; counters stay."""
        self.gate.clear()
        self._clear_samples()

    def _clear_samples(self) -> None:
        self.fixes.clear()
        self.yaws.clear()
        self._forget_odometry()
        self.odometry.clear()
        self.initial = None

    def add_fix(
        self, stamp: int, xy: ArrayLike, covariance: ArrayLike | None, now: int | None
    ) -> bool:
        """Keep a fix; see PriorEstimator.add_fix."""
        x, y = (float(value) for value in np.asarray(xy, dtype=np.float64).ravel()[:2])
        if not (math.isfinite(x) and math.isfinite(y)):
            return self._drop(
                "fix_not_finite", f"fix at ({x}, {y}) dropped: expected finite metres"
            )
        checked = self._fix_covariance(covariance)
        if checked is None or not self._admit("fix", stamp, now):
            return False
        fix = Fix(stamp, complex(x, y), checked)
        self.fixes.add(stamp, fix)
        self._unaligned.append(fix)
        self._align()
        return True

    def add_odometry(self, pose: OdometryPose, now: int | None) -> bool:
        """Keep an odometry pose; see PriorEstimator.add_odometry."""
        if not (cmath.isfinite(pose.position) and math.isfinite(pose.yaw)):
            return self._drop("odometry_not_finite", "odometry dropped: its pose is not finite")
        if pose.twist is not None and not (
            cmath.isfinite(pose.twist[0]) and math.isfinite(pose.twist[1])
        ):
            pose = pose._replace(twist=None)
        if not self._admit("odometry", pose.stamp, now):
            return False
        if not self.odometry.add(pose):
            self.note(
                "odometry_restarted", "odometry jumped: taken as a restart, its zero is unknown"
            )
            self._forget_odometry()
        self._align()
        return True

    def add_yaw(self, sample: YawSample, now: int | None) -> bool:
        """Keep an absolute yaw; see PriorEstimator.add_imu."""
        if not math.isfinite(sample.yaw) or math.isnan(sample.variance):
            return self._drop("imu_not_finite", "imu dropped: its yaw or variance is not finite")
        if not self._admit("imu", sample.stamp, now):
            return False
        self.yaws.add(sample.stamp, sample)
        return True

    def set_initial(self, pose: InitialPose, now: int | None) -> bool:
        """Keep an initial pose; see PriorEstimator.set_initial_pose."""
        offset = self.gate.offset("initialpose", pose.stamp, now)
        verdict = self.gate.judge(pose.stamp, now)
        if not self._usable("initialpose", verdict, offset):
            return False
        self.initial = pose
        self._anchor()
        return True

    def yaw_variance(self, variance: float | None) -> float:
        """Return a usable variance: the default where none, zero or a negative one is given."""
        if variance is None or variance <= 0 or math.isinf(variance):
            return self.config.default_yaw_std**2
        return max(variance, _LEAST_YAW_VARIANCE)

    def note(self, name: str, text: str) -> None:
        """Count, and say it the 1st, 10th, 100th … time."""
        self.counters[name] += 1
        count = self.counters[name]
        if count == 10 ** (len(str(count)) - 1):
            self.messages.append(text if count == 1 else f"{text} ({count} times)")

    def _drop(self, name: str, text: str) -> bool:
        self.note(name, text)
        return False

    def _admit(self, stream: str, stamp: int, now: int | None) -> bool:
        offset = self.gate.offset(stream, stamp, now)
        verdict = self.gate.admit(stream, stamp, now)
        if verdict is Verdict.JUMP_BACK:
            self.note("jump_back", f"stamps of {stream} jumped back: all buffers cleared")
            self._clear_samples()
        elif verdict is Verdict.LATE:
            self.counters[f"{stream}_late"] += 1
        return self._usable(stream, verdict, offset)

    def _usable(self, stream: str, verdict: Verdict, offset: float) -> bool:
        if verdict is Verdict.FUTURE:
            text = f"{stream} dropped: its stamp is {offset:.3f} s in the future; check the clocks"
            return self._drop(f"{stream}_future", text)
        if verdict is Verdict.TOO_OLD:
            text = f"{stream} dropped: its stamp is older than the buffer of {self.config.span:g} s"
            return self._drop(f"{stream}_too_old", text)
        return True

    def _fix_covariance(self, covariance: ArrayLike | None) -> tuple[float, float, float] | None:
        if covariance is not None:
            given = np.asarray(covariance, dtype=np.float64)
            xx, xy, yy = float(given[0, 0]), float(given[0, 1]), float(given[1, 1])
            if not math.isfinite(xx + xy + yy):
                self.note("fix_not_finite", "fix dropped: its covariance is not finite")
                return None
            if xx > 0 and yy > 0 and xy * xy < xx * yy:
                return xx + _LEAST_VARIANCE, xy, yy + _LEAST_VARIANCE
        std = self.config.default_fix_std
        text = f"fix without a covariance: default_fix_std {std:g} m is used"
        self.note("fix_default_covariance", text)
        return std * std, 0.0, std * std

    def _forget_odometry(self) -> None:
        self.aligner.clear()
        self._unaligned.clear()
        if self.initial is not None and self.initial.anchor is not None:
            self.initial = None

    def _anchor(self) -> None:
        initial = self.initial
        if initial is None or initial.anchor is not None:
            return
        newest = self.odometry.newest
        if newest is not None and newest >= initial.stamp:
            self.initial = initial._replace(anchor=self.odometry.at(initial.stamp))

    def _align(self) -> None:
        """Hand the aligner every fix that odometry has caught up with."""
        self._anchor()
        newest = self.odometry.newest
        while newest is not None and self._unaligned and self._unaligned[0].stamp <= newest:
            fix = self._unaligned.popleft()
            pose = self.odometry.at(fix.stamp)
            if pose is not None:
                antenna = pose.position + cmath.rect(1.0, pose.yaw) * self.antenna
                self.aligner.add(fix, antenna, pose.travelled)
