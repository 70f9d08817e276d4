"""A heading between, before and beyond its samples."""

from __future__ import annotations

import math

import pytest

from cross_view_localizer.prior.config import PriorConfig
from cross_view_localizer.prior.heading_at import heading_at
from cross_view_localizer.prior.odometry import OdometryPose
from cross_view_localizer.prior.sensor_buffers import SensorBuffers, YawSample
from cross_view_localizer.prior.stamp_gate import SECOND


def filled(source: str, yaws: list[tuple[float, float]], odometry: bool = False) -> SensorBuffers:
    """Return buffers with these (seconds, yaw) of an IMU, and odometry that turns by 0.5 rad/s."""
    buffers = SensorBuffers(PriorConfig(heading_source=source))
    for seconds, yaw in yaws:
        buffers.add_yaw(YawSample(round(seconds * SECOND), yaw, 1e-4), None)
    for index in range(101 if odometry else 0):
        pose = OdometryPose(index * SECOND // 50, 0j, 0.5 * index / 50, yaw_variance=4e-4)
        buffers.add_odometry(pose, None)
    return buffers


def test_an_imu_is_interpolated_the_short_way_round() -> None:
    found = heading_at(filled("imu_enu", [(0.0, 3.1), (0.1, -3.1)]), SECOND // 20)
    assert found is not None
    assert math.remainder(found.yaw - math.pi, math.tau) == pytest.approx(0.0, abs=1e-9)
    assert found.variance == pytest.approx(1e-4)
    gap = heading_at(filled("imu_enu", [(0.0, 0.0), (2.0, 0.1)]), SECOND)
    assert gap is not None and gap.variance == pytest.approx(1e-4 + (0.1 * 1.0) ** 2)


def test_beyond_its_samples_an_imu_is_held_or_carried_and_then_forgotten() -> None:
    held = heading_at(filled("imu_enu", [(0.0, 1.0)]), 2 * SECOND)
    assert held is not None and held.yaw == 1.0
    assert held.variance == pytest.approx(1e-4 + 0.2**2)
    carried = heading_at(filled("imu_enu", [(0.0, 1.0)], odometry=True), 2 * SECOND)
    assert carried is not None and carried.yaw == pytest.approx(2.0)
    assert 1e-4 < carried.variance < 2e-4
    assert heading_at(filled("imu_enu", [(0.0, 1.0)]), 6 * SECOND) is None


def test_odometry_beyond_its_samples_is_less_sure() -> None:
    buffers = filled("odom_enu", [], odometry=True)
    within, beyond = heading_at(buffers, SECOND), heading_at(buffers, round(2.4 * SECOND))
    assert within is not None and within.variance == pytest.approx(4e-4)
    assert beyond is not None and beyond.variance == pytest.approx(4e-4 + (0.05 * 0.16) ** 2)
    assert beyond.yaw == pytest.approx(1.2)
    assert heading_at(buffers, 3 * SECOND) is None


@pytest.mark.parametrize("source", ["imu_enu", "odom_enu", "odom_aligned", "course", "unknown"])
def test_nothing_comes_of_nothing(source: str) -> None:
    assert heading_at(filled(source, []), SECOND) is None
