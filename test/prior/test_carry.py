"""The covariance: how the heading's error moves the position, and what grows between fixes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cross_view_localizer.prior.prior import Prior, PriorConfig, PriorEstimator
from cross_view_localizer.prior.stamp_gate import SECOND

RATE = 0.3


def stamp(seconds: float) -> int:
    return round((100 + seconds) * SECOND)


def place(seconds: float) -> complex:
    """Return a point of a circle of 30 m."""
    return 30 * complex(math.sin(RATE * seconds), 1 - math.cos(RATE * seconds))


def told(
    seconds: float, fixes: list[float], *, yaw_error: float = 0.0, odometry: bool = True
) -> Prior:
    """Return the prior of a vehicle on a circle, its antenna far aft and aside, its compass off."""
    it = PriorEstimator(PriorConfig(heading_source="imu_enu", antenna=(-3.0, 1.0)))
    for index in range(301):
        time = index / 50
        yaw = RATE * time
        if odometry:
            it.add_odometry(stamp(time), place(time).real, place(time).imag, yaw)
        it.add_imu(stamp(time), yaw + yaw_error, 0.01)
    for time in fixes:
        antenna = place(time) + complex(-3.0, 1.0) * complex(
            math.cos(RATE * time), math.sin(RATE * time)
        )
        it.add_fix(stamp(time), (antenna.real, antenna.imag), np.diag([4.0, 1.0]))
    found = it.at(stamp(seconds))
    assert isinstance(found, Prior)
    return found


@pytest.mark.parametrize("fixes", [[2.0], [2.0, 5.0], [4.0]])
def test_the_cross_terms_are_the_heading_errors_effect(fixes: list[float]) -> None:
    exact, off = told(4.0, fixes), told(4.0, fixes, yaw_error=1e-4)
    assert abs(complex(exact.x, exact.y) - place(4.0)) < 0.01
    assert exact.covariance[2, 2] == pytest.approx(0.01)
    moved = np.array([off.x - exact.x, off.y - exact.y]) / 1e-4
    np.testing.assert_allclose(exact.covariance[:2, 2] / 0.01, moved, rtol=1e-3, atol=1e-3)
    without = exact.covariance[:2, :2] - 0.01 * np.outer(moved, moved)
    assert np.all(np.diag(without) >= [4.0, 1.0]) and np.all(np.diag(without) < [5.0, 2.0])


@pytest.mark.parametrize("odometry", [True, False])
def test_between_two_fixes_it_is_least_sure_in_the_middle(odometry: bool) -> None:
    def spread(seconds: float) -> float:
        prior = told(seconds, [1.0, 5.0], odometry=odometry)
        slope = prior.covariance[:2, 2] / prior.covariance[2, 2]
        own = prior.covariance[:2, :2] - prior.covariance[2, 2] * np.outer(slope, slope)
        return float(np.trace(own))

    assert spread(1.0) == pytest.approx(5.0, abs=0.01)
    assert spread(3.0) > spread(2.0) > spread(1.0) + 0.001
    assert spread(3.0) > spread(4.0) > spread(5.0) + 0.001
