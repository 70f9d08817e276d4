from __future__ import annotations

import cmath
import math

import pytest

from cross_view_localizer.prior.odometry import OdometryPose, OdometryTrack
from cross_view_localizer.prior.stamp_gate import SECOND


def track() -> OdometryTrack:
    return OdometryTrack(10.0, 0.5, 100.0, 0.02, 0.01, 2.0, 0.1)


def pose(seconds: float, x: float, y: float = 0.0, yaw: float = 0.0) -> OdometryPose:
    return OdometryPose(round(seconds * SECOND), complex(x, y), yaw)


def test_poses_are_interpolated_the_short_way_round() -> None:
    it = track()
    it.add(pose(0.0, 0.0, yaw=3.0))
    it.add(pose(0.2, 2.0, yaw=-3.0))
    middle = it.at(SECOND // 10)
    assert middle is not None and middle.position == pytest.approx(1.0)
    assert math.remainder(middle.yaw - math.pi, math.tau) == pytest.approx(0.0, abs=1e-9)
    assert middle.slack == 0.0 and middle.travelled == pytest.approx(1.0)


@pytest.mark.parametrize("seconds", [-0.3, 1.4])
def test_extrapolated_along_an_arc_for_a_while(seconds: float) -> None:
    it, rate, radius = track(), 0.5, 20.0

    def place(time: float) -> complex:
        return radius * cmath.rect(1.0, rate * time - math.pi / 2)

    for index in range(101):
        time = index / 100
        it.add(pose(time, place(time).real, place(time).imag, rate * time))
    found = it.at(round(seconds * SECOND))
    assert found is not None and abs(found.position - place(seconds)) < 0.01
    assert found.yaw == pytest.approx(rate * seconds, abs=1e-3)
    assert found.slack == pytest.approx(0.3 if seconds < 0 else 0.4)
    assert it.at(round((seconds + math.copysign(0.5, seconds)) * SECOND)) is None


def test_uncertainty_grows_with_way_time_and_extrapolation() -> None:
    it = track()
    for index in range(51):
        it.add(pose(index * 0.1, index * 1.0))
    start, near, far = (it.at(round(s * SECOND)) for s in (0.0, 1.0, 4.0))
    beyond = it.at(round(5.3 * SECOND))
    assert start and near and far and beyond
    assert it.motion(start, near).variance > (0.02 * 10) ** 2
    assert it.motion(start, far).variance > 15 * it.motion(start, near).variance
    assert it.motion(start, far).yaw_variance == pytest.approx(4e-4)
    assert it.motion(start, start).variance == 0.0
    assert it.motion(far, beyond).variance > (0.02 * 13) ** 2 + (0.5 * 2.0 * 0.09) ** 2
    back = it.motion(far, start)
    assert back.displacement == pytest.approx(-40.0) and back.variance > 0


def test_a_long_gap_is_bridged_with_slack() -> None:
    it = track()
    it.add(pose(0.0, 0.0))
    it.add(pose(2.0, 20.0))
    middle = it.at(SECOND)
    assert middle is not None and middle.slack == pytest.approx(1.0)


@pytest.mark.parametrize("jumped", [pose(1.0, 50.0), pose(1.0, 10.2, yaw=1.0)])
def test_a_jump_in_place_or_yaw_begins_anew(jumped: OdometryPose) -> None:
    it = track()
    assert it.add(pose(0.9, 9.0)) and it.add(pose(0.98, 9.8))
    assert not it.add(jumped)
    before = it.at(round(0.98 * SECOND))
    assert before is not None and before.position == jumped.position, "from the new one"
    found = it.at(SECOND)
    assert found is not None and found.position == jumped.position
    assert it.add(pose(1.02, jumped.position.real + 0.2, yaw=jumped.yaw))
