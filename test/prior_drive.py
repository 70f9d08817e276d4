"""A made-up drive and its exact sensors: what the prior's tests steer by."""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cross_view_localizer.prior.prior import Prior, PriorConfig, PriorEstimator

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


def at_second(seconds: float) -> int:
    """Return the stamp of a time of the drive."""
    return START + round(seconds * SECOND)


@dataclass
class Drive:
    """Constant speed on a weaving road; `turned` and `moved` put the odometry's frame anywhere."""

    speed: float = 10.0
    weave: float = 0.6
    turned: float = 0.7
    moved: complex = 30 - 12j
    antenna: tuple[float, float] = (0.0, 0.0)
    step: float = 0.02
    _track: list[complex] = field(default_factory=lambda: [100.0 + 50.0j])

    def yaw(self, seconds: float) -> float:
        """Return the true yaw."""
        return 0.4 + self.weave * math.sin(0.5 * seconds)

    def position(self, seconds: float) -> complex:
        """Return the true base_link, x + iy, integrated in fine steps."""
        fine = 0.005
        index = seconds / fine
        while len(self._track) <= index + 1:
            middle = (len(self._track) - 0.5) * fine
            self._track.append(self._track[-1] + cmath.rect(self.speed * fine, self.yaw(middle)))
        low = int(index)
        return self._track[low] + (index - low) * (self._track[low + 1] - self._track[low])

    def fix(self, seconds: float) -> tuple[float, float]:
        """Return the antenna's place."""
        place = self.position(seconds) + complex(*self.antenna) * cmath.rect(1, self.yaw(seconds))
        return place.real, place.imag

    def odometry(self, seconds: float) -> tuple[float, float, float]:
        """Return (x, y, yaw) in the odometry's frame."""
        place = self.moved + self.position(seconds) * cmath.rect(1.0, self.turned)
        return place.real, place.imag, self.yaw(seconds) + self.turned

    def play(
        self,
        estimator: PriorEstimator,
        until: float,
        *,
        since: float = 0.0,
        fix_period: float | None = 1.0,
        fix_until: float = math.inf,
        odometry: bool = True,
        imu: bool = False,
        covariance: Any = 4.0,
    ) -> None:
        """Feed the samples of (since, until] in the order of time (the very first one included)."""
        cov = None if covariance is None else np.eye(2) * covariance
        for index in range(round(since / self.step), round(until / self.step) + 1):
            seconds = index * self.step
            stamp = at_second(seconds)
            if since and index == round(since / self.step):
                continue
            if odometry:
                estimator.add_odometry(stamp, *self.odometry(seconds))
            if imu:
                estimator.add_imu(stamp, self.yaw(seconds), 1e-4)
            if fix_period and seconds <= fix_until + 1e-9:
                if index % round(fix_period / self.step) == 0:
                    estimator.add_fix(stamp, self.fix(seconds), cov)

    def error(self, prior: Any, seconds: float) -> float:
        """Return the distance between a prior and the truth, metres."""
        assert isinstance(prior, Prior), prior
        return abs(complex(prior.x, prior.y) - self.position(seconds))

    def yaw_error(self, prior: Any, seconds: float) -> float:
        """Return the absolute yaw error, radians."""
        assert isinstance(prior, Prior) and prior.yaw is not None, prior
        return abs(math.remainder(prior.yaw - self.yaw(seconds), math.tau))


def estimator(**settings: Any) -> PriorEstimator:
    """Return an estimator with these settings."""
    return PriorEstimator(PriorConfig(**settings))


def spread(prior: Any) -> float:
    """Return the larger standard deviation of the position, metres."""
    assert isinstance(prior, Prior), prior
    return math.sqrt(float(np.linalg.eigvalsh(prior.covariance[:2, :2])[-1]))
