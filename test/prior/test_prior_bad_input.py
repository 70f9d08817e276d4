"""Samples that should not be: dropped or repaired, counted, said once, and never an exception."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prior_drive import Drive, at_second, estimator, spread

from cross_view_localizer.prior.config import HEADING_SOURCES
from cross_view_localizer.prior.prior import Prior, PriorEstimator, PriorRefusal


@pytest.mark.parametrize(
    "covariance",
    [None, np.zeros((2, 2)), np.zeros((3, 3)), np.diag([4.0, 0.0]), -np.eye(2), np.ones((2, 2))],
)
def test_a_fix_without_a_usable_covariance_gets_the_default_and_a_warning(covariance: Any) -> None:
    prior = estimator(default_fix_std=7.0)
    for second in range(3):
        assert prior.add_fix(at_second(second), (0.0, 0.0), covariance)
    assert spread(prior.at(at_second(2.0))) == pytest.approx(7.0, abs=1e-3)
    assert prior.counters["fix_default_covariance"] == 3
    messages = prior.drain_messages()
    assert len(messages) == 1 and "default_fix_std 7 m" in messages[0]
    assert prior.drain_messages() == []


@pytest.mark.parametrize(
    ("xy", "covariance", "valid", "counter"),
    [
        ((1.0, 2.0), np.eye(2), False, "fix_no_fix"),
        ((math.nan, 2.0), np.eye(2), True, "fix_not_finite"),
        ((1.0, math.inf), np.eye(2), True, "fix_not_finite"),
        ((1.0, 2.0), np.full((2, 2), math.nan), True, "fix_not_finite"),
        ((1.0, 2.0), np.diag([1.0, math.inf]), True, "fix_not_finite"),
    ],
)
def test_no_fix_and_nan_are_dropped_and_counted(
    xy: tuple[float, float], covariance: Any, valid: bool, counter: str
) -> None:
    prior = estimator()
    assert not prior.add_fix(at_second(0.0), xy, covariance, valid=valid)
    assert prior.counters == {counter: 1} and len(prior.drain_messages()) == 1
    assert isinstance(prior.at(at_second(0.0)), PriorRefusal)


def test_nan_in_other_sensors_is_dropped_and_counted() -> None:
    prior = estimator()
    assert not prior.add_odometry(at_second(0.0), math.nan, 0.0, 0.0)
    assert not prior.add_odometry(at_second(0.0), 0.0, 0.0, math.inf)
    assert not prior.add_imu(at_second(0.0), math.nan)
    assert not prior.set_initial_pose(at_second(0.0), 0.0, math.nan, 0.0)
    names = ("odometry_not_finite", "imu_not_finite", "initialpose_not_finite")
    assert [prior.counters[name] for name in names] == [2, 1, 1]
    assert prior.add_odometry(at_second(0.0), 0.0, 0.0, 0.0, twist=(math.nan, 0.0, 0.0))


def test_a_late_sample_is_inserted_in_order() -> None:
    drive = Drive(weave=0.0)
    in_order, late = estimator(heading_source="unknown"), estimator(heading_source="unknown")
    for prior, order in ((in_order, (0, 1, 2, 3)), (late, (0, 3, 2, 1))):
        for second in order:
            assert prior.add_fix(at_second(second), drive.fix(second), np.eye(2))
    first, second_ = in_order.at(at_second(1.5)), late.at(at_second(1.5))
    assert isinstance(first, Prior) and isinstance(second_, Prior)
    assert (second_.x, second_.y) == (first.x, first.y)


def test_late_odometry_is_inserted_in_order() -> None:
    drive, prior = Drive(), estimator(heading_source="imu_enu")
    for index in range(100):
        swapped = at_second((index ^ 1) * 0.05)
        prior.add_odometry(swapped, *drive.odometry((index ^ 1) * 0.05))
        prior.add_imu(swapped, drive.yaw((index ^ 1) * 0.05), 1e-4)
    prior.add_fix(at_second(2.0), drive.fix(2.0), np.eye(2))
    assert drive.error(prior.at(at_second(4.0)), 4.0) < 0.05
    assert prior.counters == {"imu_late": 50, "odometry_late": 50}


def test_older_than_the_buffer_is_dropped_and_counted() -> None:
    prior = estimator(buffer_seconds=10.0)
    prior.add_fix(at_second(100.0), (0.0, 0.0), np.eye(2))
    assert not prior.add_fix(at_second(89.0), (9.0, 9.0), np.eye(2))
    assert prior.counters == {"fix_too_old": 1}
    assert "older than the buffer" in prior.drain_messages()[0]
    assert isinstance(prior.at(at_second(89.0)), PriorRefusal)


@pytest.mark.parametrize("back", [3.0, 60.0, 1e6])
def test_stamps_that_jump_back_clear_everything(back: float) -> None:
    """A bag that loops, also one that is shorter than the buffer."""
    drive, prior = Drive(), estimator(heading_source="imu_enu")
    drive.play(prior, 12.0, imu=True)
    prior.set_initial_pose(at_second(12.0), 0.0, 0.0, 0.0)
    for index in range(4):
        stamp = at_second(12.0 - back + index * 0.02)
        prior.add_odometry(stamp, *drive.odometry(index * 0.02))
    assert prior.counters["jump_back"] == 1
    assert any("jumped back" in line for line in prior.drain_messages())
    refused = prior.at(at_second(12.0 - back + 0.06))
    assert isinstance(refused, PriorRefusal) and refused.reason == "no_fix", "silent until new data"
    prior.add_fix(stamp, drive.fix(0.06), np.eye(2))
    assert drive.error(prior.at(stamp), 0.06) < 1e-6


def test_one_stray_old_stamp_is_not_a_jump() -> None:
    drive, prior = Drive(), estimator(heading_source="imu_enu")
    drive.play(prior, 6.0, imu=True)
    for second in (-100.0, -200.0):
        prior.add_odometry(at_second(second), 0.0, 0.0, 0.0)
        drive.play(prior, 6.2 if second == -100.0 else 6.4, since=6.0 if second == -100.0 else 6.2)
    assert "jump_back" not in prior.counters
    assert drive.error(prior.at(at_second(6.0)), 6.0) < 0.05


def test_a_stamp_in_the_future_of_the_clock_is_dropped_with_its_offset() -> None:
    prior = estimator(max_future=0.5)
    now = at_second(0.0)
    assert prior.add_fix(at_second(0.4), (0.0, 0.0), np.eye(2), now=now)
    assert not prior.add_fix(at_second(12.5), (0.0, 0.0), np.eye(2), now=now)
    assert prior.counters == {"fix_future": 1}
    assert "12.500 s in the future" in prior.drain_messages()[0]


def test_without_a_clock_the_future_is_judged_by_the_other_sensors() -> None:
    drive, prior = Drive(), estimator(heading_source="imu_enu")
    drive.play(prior, 5.0)
    for index in range(30):
        drive.play(prior, 5.0 + (index + 1) * 0.1, since=5.0 + index * 0.1, imu=False)
        ahead = at_second(3600.0 + 5.0 + index * 0.1)
        assert not prior.add_imu(ahead, 0.0), "a clock one hour ahead of living sensors"
    assert "3599.900 s in the future" in prior.drain_messages()[0]
    assert "jump_back" not in prior.counters


def test_a_pause_of_all_sensors_is_not_the_future() -> None:
    drive, prior = Drive(), estimator(heading_source="imu_enu")
    drive.play(prior, 5.0, imu=True)
    for index in range(300):
        seconds = 65.0 + index * 0.02
        prior.add_odometry(at_second(seconds), *drive.odometry(seconds))
        prior.add_imu(at_second(seconds), drive.yaw(seconds), 1e-4)
        if index % 10 == 0:
            prior.add_fix(at_second(seconds), drive.fix(seconds), np.eye(2))
    assert drive.error(prior.at(at_second(70.5)), 70.5) < 0.05


def test_odometry_that_restarts_is_not_followed() -> None:
    drive, prior = Drive(), estimator()
    drive.play(prior, 15.0)
    assert drive.yaw_error(prior.at(at_second(15.0)), 15.0) < 0.02
    restarted = Drive(turned=-2.0, moved=-drive.position(15.0))
    restarted.play(prior, 15.5, since=15.0, fix_period=None)
    assert prior.counters["odometry_restarted"] == 1
    told = prior.at(at_second(15.5))
    assert isinstance(told, Prior) and told.yaw is None, "its zero is to be found again"
    restarted.play(prior, 25.0, since=15.5)
    assert drive.yaw_error(prior.at(at_second(25.0)), 25.0) < 0.02


_number = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, 0.0]))
_event = st.tuples(
    st.sampled_from(["fix", "odometry", "imu", "initial", "clear", "antenna"]),
    st.one_of(st.floats(0.0, 8.0), st.floats(-100.0, 100.0)),
    _number,
    _number,
    _number,
    st.one_of(st.none(), st.floats(-1.0, 1e4)),
)


def _feed(prior: PriorEstimator, event: tuple[Any, ...]) -> None:
    kind, seconds, a, b, c, width = event
    stamp = at_second(seconds)
    matrix = None if width is None else np.eye(3) * width + 0.4 * width * np.ones((3, 3))
    if kind == "fix":
        prior.add_fix(stamp, (a, b), matrix)
    elif kind == "odometry":
        prior.add_odometry(stamp, a, b, c, twist=None if width is None else (a, b, width))
    elif kind == "imu":
        prior.add_imu(stamp, a, width)
    elif kind == "initial":
        prior.set_initial_pose(stamp, a, b, c, matrix)
    elif kind == "antenna" and math.isfinite(a):
        prior.set_antenna(a % 5, 1.0)
    elif kind == "clear" and width is None:
        prior.clear()


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(HEADING_SOURCES), st.lists(_event, max_size=25), st.floats(0.0, 10.0))
def test_whatever_comes_in_the_covariance_is_positive_definite(
    source: str, events: list[tuple[Any, ...]], seconds: float
) -> None:
    prior = estimator(heading_source=source)
    for event in events:
        _feed(prior, event)
    for moment in (seconds, seconds + 0.1):
        told = prior.at(at_second(moment))
        prior.ready(at_second(moment))
        if isinstance(told, PriorRefusal):
            assert told.reason in ("no_fix", "stale_prior") and told.detail
            continue
        assert math.isfinite(told.x) and math.isfinite(told.y) and told.age >= 0
        assert told.yaw is None or -math.pi <= told.yaw <= math.pi
        assert np.array_equal(told.covariance, told.covariance.T)
        scale = np.sqrt(np.diag(told.covariance))
        assert np.all(np.isfinite(scale)) and np.all(scale > 0)
        assert np.linalg.eigvalsh(told.covariance / np.outer(scale, scale))[0] > 0
