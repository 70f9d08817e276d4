"""Where the vehicle roughly was when an image was taken: raw sensor samples brought to its stamp.

It is explainable on purpose: the position is that of the fixes next to the image (carried or
interpolated along the odometry's track), never a filtered history; an initial pose, carried on by
odometry, is combined with it as an independent Gaussian. Nothing here may be fed by a filter that
eats ``~/pose``, or the localizer would confirm itself.

* Fixes on both sides of the stamp: interpolated in the shape of the odometry's track; a straight
  line without odometry. Otherwise the nearest is carried by odometry, else at constant velocity.
* Turning or moving the odometry's frame changes nothing (except with ``odom_enu``, which is told
  that the frame's zero is east): only increments are used, turned into ``map`` by the heading.
* A yaw that isn't known is None, and its variance in the covariance is that of a uniform circle
  (π²/3 rad²) with zero cross terms, so that the matrix stays positive definite and finite.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cross_view_localizer.prior.carry import (
    GaussianPose,
    from_fixes,
    from_initial,
)
from cross_view_localizer.prior.combine import agree, product, without_yaw
from cross_view_localizer.prior.config import PriorConfig
from cross_view_localizer.prior.heading import Heading
from cross_view_localizer.prior.heading_at import aligned, heading_at
from cross_view_localizer.prior.odometry import OdometryPose
from cross_view_localizer.prior.sensor_buffers import InitialPose, SensorBuffers, YawSample
from cross_view_localizer.prior.stamp_gate import SECOND

__all__ = ["Prior", "PriorConfig", "PriorEstimator", "PriorRefusal"]


@dataclass(frozen=True)
class Prior:
    """A rough pose of ``base_link`` in ``map``.

    Attributes:
        stamp: nanoseconds; the image's.
        x, y: metres.
        yaw: radians, 0 = east, counter-clockwise; None where unknown.
        covariance: (3, 3) over (x, y, yaw): m², m·rad, rad²; positive definite. Where yaw is
            None its variance is π²/3 and its cross terms are 0.
        age: seconds between ``stamp`` and the nearest real position sample.
        source: ``fix_interpolated_by_odometry``, ``fix_interpolated``, ``fix_by_odometry``,
            ``fix_at_constant_velocity``, ``initial_pose``, or two of them joined by ``+``.
        yaw_source: the heading source that gave the yaw, ``initial_pose``, or ``unknown``.
    """

    stamp: int
    x: float
    y: float
    yaw: float | None
    covariance: NDArray[np.float64]
    age: float
    source: str
    yaw_source: str = "unknown"


@dataclass(frozen=True)
class PriorRefusal:
    """Why there is no prior: ``no_fix`` (nothing has come yet) or ``stale_prior`` (all too old)."""

    reason: str
    detail: str


class PriorEstimator:
    """Buffers raw samples (any thread) and answers with a prior at an image's stamp.

    Stamps are integer nanoseconds. The ``add`` methods never raise on a sensor's bad sample: they
    return False, count it in :attr:`counters` and leave a line for :meth:`drain_messages`. ``now``
    is the clock that stamps are judged by (the node's ROS time); without it, by the other sensors.
    """

    def __init__(self, config: PriorConfig | None = None) -> None:
        self.config = config or PriorConfig()
        self._buffers = SensorBuffers(self.config)
        self._lock = threading.Lock()

    @property
    def counters(self) -> dict[str, int]:
        """How often what happened.

        ``fix_default_covariance``, ``fix_not_finite``, ``fix_no_fix``, ``odometry_not_finite``,
        ``odometry_restarted``, ``imu_not_finite``, ``initialpose_not_finite``,
        ``initialpose_default_covariance``, ``initialpose_disagrees``, ``jump_back``, and per
        stream (fix, odometry, imu, initialpose) ``<stream>_late``, ``_too_old``, ``_future``.
        """
        with self._lock:
            return dict(self._buffers.counters)

    def drain_messages(self) -> list[str]:
        """Return the warnings since the last call; repeated ones come at 10, 100, … times."""
        with self._lock:
            messages = list(self._buffers.messages)
            self._buffers.messages.clear()
        return messages

    def set_antenna(self, x: float, y: float) -> None:
        """Set the GNSS antenna's place in ``base_link``, metres (known once tf_static is)."""
        with self._lock:
            self._buffers.antenna = complex(x, y)

    def adjust(self, config: PriorConfig) -> None:
        """Go on with other ages, gates and default deviations; samples and antenna stay."""
        with self._lock:
            self.config = config
            self._buffers.adjust(config)

    def clear(self) -> None:
        """Forget all samples (time has jumped, the node was deactivated); counters stay."""
        with self._lock:
            self._buffers.clear()

    def add_fix(
        self,
        stamp: int,
        xy: ArrayLike,
        covariance: ArrayLike | None = None,
        *,
        valid: bool = True,
        now: int | None = None,
    ) -> bool:
        """Add a GNSS fix; False where it was dropped.

        Args:
            xy: (2,) antenna in ``map``, metres (geo.MapFrame.to_map of latitude and longitude).
            covariance: (2, 2) or (3, 3), m², east-north(-up); None (UNKNOWN), zero or not positive
                definite: ``default_fix_std``, with a warning. NaN drops the fix.
            valid: False for NO_FIX.
        """
        with self._lock:
            if not valid:
                self._buffers.note("fix_no_fix", "fix dropped: its status is NO_FIX")
                return False
            return self._buffers.add_fix(stamp, xy, covariance, now)

    def add_odometry(
        self,
        stamp: int,
        x: float,
        y: float,
        yaw: float,
        *,
        twist: tuple[float, float, float] | None = None,
        yaw_variance: float | None = None,
        now: int | None = None,
    ) -> bool:
        """Add ``base_link`` in the odometry's own frame (m, rad); False where it was dropped.

        Args:
            twist: (forward m/s, left m/s, turn rate rad/s) of ``base_link``, to extrapolate
                with; None: from the last two poses.
            yaw_variance: rad²; used by ``odom_enu`` only. The pose's other covariances aren't asked
                for: they grow since the start of the drive and say nothing of short increments.
        """
        rates = None if twist is None else (complex(twist[0], twist[1]), float(twist[2]))
        pose = OdometryPose(stamp, complex(x, y), float(yaw), 0.0, rates, yaw_variance)
        with self._lock:
            return self._buffers.add_odometry(pose, now)

    def add_imu(
        self,
        stamp: int,
        yaw: float,
        variance: float | None = None,
        *,
        now: int | None = None,
    ) -> bool:
        """Add an absolute yaw of ``base_link``; False where it was dropped.

        Args:
            yaw: radians, 0 = east, counter-clockwise.
            variance: rad²; None or zero: ``default_yaw_std``.
        """
        with self._lock:
            sample = YawSample(stamp, float(yaw), self._buffers.yaw_variance(variance))
            return self._buffers.add_yaw(sample, now)

    def set_initial_pose(
        self,
        stamp: int,
        x: float,
        y: float,
        yaw: float,
        covariance: ArrayLike | None = None,
        *,
        now: int | None = None,
    ) -> bool:
        """Set ``base_link`` in ``map`` by hand; the last one counts. False where it was dropped.

        Args:
            stamp: nanoseconds; 0 means now (the newest sample's stamp).
            covariance: (3, 3) over (x, y, yaw); None or not positive definite:
                ``initial_pose_std`` and ``initial_pose_yaw_std``.
        """
        with self._lock:
            if not all(math.isfinite(value) for value in (x, y, yaw)):
                self._buffers.note(
                    "initialpose_not_finite", "initialpose dropped: it is not finite"
                )
                return False
            stamp = stamp or self._buffers.gate.newest or now or 0
            pose = InitialPose(
                stamp, complex(x, y), float(yaw), self._initial_covariance(covariance)
            )
            return self._buffers.set_initial(pose, now)

    def ready(self, stamp: int) -> bool:
        """Return whether every live sensor that :meth:`at` uses has passed ``stamp``.

        A caller waits at most ``config.max_prior_wait`` s (wall clock) for it, then asks anyway.
        """
        with self._lock:
            buffers, timeout = self._buffers, self.config.odometry_timeout
            moving = _alive(buffers.odometry.newest, stamp, timeout)
            awaited = [buffers.odometry.newest if moving else buffers.fixes.newest]
            if self.config.heading_source == "imu_enu":
                awaited.append(buffers.yaws.newest)
            return all(
                newest is None or newest >= stamp or not _alive(newest, stamp, timeout)
                for newest in awaited
            )

    def at(self, stamp: int) -> Prior | PriorRefusal:
        """Return the prior at ``stamp`` from what has come so far, or why there is none."""
        with self._lock:
            beliefs = self._beliefs(stamp)
            if not beliefs:
                return self._refusal(stamp)
            belief = beliefs[0] if len(beliefs) == 1 else self._combined(*beliefs)
        return _published(belief, stamp, self.config)

    def odometry_at(self, stamp: int) -> complex | None:
        """Return ``base_link``, x + iy, in the odometry's own frame; None where it says nothing."""
        with self._lock:
            pose = self._buffers.odometry.at(stamp)
        return None if pose is None else pose.position

    def _beliefs(self, stamp: int) -> list[GaussianPose]:
        buffers = self._buffers
        initial = from_initial(buffers, stamp)
        heading = told = heading_at(buffers, stamp)
        if heading is None:
            # Not to be told, but good enough to turn the odometry's steps into the map.
            heading = aligned(buffers, stamp)
        if heading is None and initial is not None and initial.yaw is not None:
            heading = Heading(initial.yaw, float(initial.covariance[2, 2]), "initial_pose")
        fixes = from_fixes(buffers, stamp, heading)
        if fixes is not None and told is None and fixes.yaw_source != "initial_pose":
            fixes = without_yaw(fixes)
        return [belief for belief in (fixes, initial) if belief is not None]

    def _combined(self, fixes: GaussianPose, initial: GaussianPose) -> GaussianPose:
        """Multiply the two Gaussians where they agree, else take the narrower one."""
        if agree(fixes, initial):
            return product(fixes, initial)
        apart = abs(initial.position - fixes.position)
        text = f"initialpose and fix are {apart:.1f} m apart: the narrower one counts"
        self._buffers.note("initialpose_disagrees", text)
        both = (fixes, initial)
        return min(both, key=lambda belief: float(np.trace(belief.covariance[:2, :2])))

    def _refusal(self, stamp: int) -> PriorRefusal:
        newest, initial = self._buffers.fixes.newest, self._buffers.initial
        stamps = [s for s in (newest, initial.stamp if initial else None) if s is not None]
        if not stamps:
            return PriorRefusal("no_fix", "no fix and no initial pose yet")
        age = min(abs(stamp - s) for s in stamps) / SECOND
        limit = self.config.max_prior_age
        return PriorRefusal(
            "stale_prior", f"nearest fix or initial pose is {age:.1f} s away, limit {limit:g} s"
        )

    def _initial_covariance(self, covariance: ArrayLike | None) -> NDArray[np.float64]:
        if covariance is not None:
            given = np.asarray(covariance, dtype=np.float64)
            if np.all(np.isfinite(given)) and np.linalg.eigvalsh((given + given.T) / 2)[0] > 0:
                return (given + given.T) / 2 + np.diag([1e-4, 1e-4, 1e-6])
        text = "initialpose without a usable covariance: initial_pose_std is used"
        self._buffers.note("initialpose_default_covariance", text)
        std, yaw_std = self.config.initial_pose_std, self.config.initial_pose_yaw_std
        return np.diag([std**2, std**2, yaw_std**2])


def _alive(newest: int | None, stamp: int, timeout: float) -> bool:
    return newest is not None and stamp - newest <= timeout * SECOND


def _published(belief: GaussianPose, stamp: int, config: PriorConfig) -> Prior:
    unknown = config.heading_source == "unknown" or belief.covariance[2, 2] > config.max_yaw_std**2
    if belief.yaw is not None and unknown:
        belief = without_yaw(belief)
    return Prior(
        stamp,
        belief.position.real,
        belief.position.imag,
        None if belief.yaw is None else math.remainder(belief.yaw, math.tau),
        (belief.covariance + belief.covariance.T) / 2,
        belief.age,
        belief.source,
        belief.yaw_source,
    )
