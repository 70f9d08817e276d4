"""Positions and headings at an image's stamp, on drives whose truth is known."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prior_drive import Drive, at_second, estimator, spread

from cross_view_localizer.prior.prior import Prior, PriorConfig, PriorRefusal


def test_between_fixes_the_track_has_the_shape_of_the_odometry() -> None:
    drive = Drive()
    by_odometry, straight = estimator(heading_source="imu_enu"), estimator(heading_source="imu_enu")
    drive.play(by_odometry, 6.0, fix_period=2.0, imu=True)
    drive.play(straight, 6.0, fix_period=2.0, imu=True, odometry=False)
    curved = by_odometry.at(at_second(5.0))
    assert drive.error(curved, 5.0) < 0.02
    assert curved.source == "fix_interpolated_by_odometry" and curved.age == 1.0
    chord = straight.at(at_second(5.0))
    assert drive.error(chord, 5.0) > 0.1
    assert chord.source == "fix_interpolated"


def test_without_a_later_fix_the_last_one_is_carried_by_odometry_and_widens() -> None:
    drive, prior = Drive(), estimator(heading_source="imu_enu")
    drive.play(prior, 9.0, fix_until=5.0, imu=True)
    widths = []
    for age in (0.0, 0.5, 1.0, 2.0, 4.0):
        carried = prior.at(at_second(5.0 + age))
        assert drive.error(carried, 5.0 + age) < 0.05
        assert carried.age == pytest.approx(age)
        widths.append(spread(carried))
    assert carried.source == "fix_by_odometry"
    assert widths == sorted(widths) and widths[-1] > widths[0] + 0.05


def test_odometry_that_lags_is_extrapolated_by_its_own_turning() -> None:
    drive, prior = Drive(), estimator(heading_source="imu_enu")
    drive.play(prior, 5.0, imu=True)
    assert drive.error(prior.at(at_second(5.2)), 5.2) < 0.1


def test_a_twist_is_preferred_to_differences() -> None:
    prior = estimator(heading_source="imu_enu")
    prior.add_imu(at_second(0.0), math.pi / 2, 1e-4)
    prior.add_fix(at_second(0.0), (5.0, 5.0), np.eye(2))
    prior.add_odometry(at_second(0.0), 1.0, 1.0, 0.3, twist=(10.0, 0.0, 0.0))
    carried = prior.at(at_second(0.1))
    assert isinstance(carried, Prior)
    assert (carried.x, carried.y) == pytest.approx((5.0, 6.0), abs=1e-6)


def test_without_odometry_the_velocity_of_the_fixes_is_kept() -> None:
    drive, prior = Drive(weave=0.0), estimator(heading_source="unknown")
    drive.play(prior, 8.0, fix_until=5.0, odometry=False)
    carried = prior.at(at_second(6.0))
    assert drive.error(carried, 6.0) < 0.05
    assert carried.source == "fix_at_constant_velocity"
    assert spread(prior.at(at_second(7.0))) > spread(carried) > 3.0


def test_a_single_fix_may_have_moved_anywhere() -> None:
    prior = estimator()
    prior.add_fix(at_second(0.0), (1.0, 2.0), np.eye(2))
    carried = prior.at(at_second(1.0))
    assert isinstance(carried, Prior) and (carried.x, carried.y) == (1.0, 2.0)
    assert spread(carried) > 8.0


def test_a_standing_vehicle_needs_no_heading_to_stay_where_it_is() -> None:
    drive, prior = Drive(speed=0.0, weave=0.0), estimator()
    drive.play(prior, 4.0, fix_until=0.0)
    carried = prior.at(at_second(4.0))
    assert drive.error(carried, 4.0) < 1e-6 and spread(carried) < 2.1


def test_the_first_images_may_precede_the_first_fix() -> None:
    drive, prior = Drive(), estimator(heading_source="imu_enu")
    prior_stamp = at_second(0.8)
    for seconds in (0.8, 0.9, 1.0):
        prior.add_odometry(at_second(seconds), *drive.odometry(seconds))
        prior.add_imu(at_second(seconds), drive.yaw(seconds), 1e-4)
    prior.add_fix(at_second(1.0), drive.fix(1.0), np.eye(2))
    assert drive.error(prior.at(prior_stamp), 0.8) < 0.05


def test_the_antenna_is_not_the_vehicle() -> None:
    drive = Drive(antenna=(-1.5, 0.4))
    prior = estimator(heading_source="imu_enu")
    prior.set_antenna(-1.5, 0.4)
    drive.play(prior, 6.0, imu=True)
    drive.play(prior, 8.0, since=6.0, fix_period=None, imu=True)
    for seconds in (5.0, 5.5, 6.0, 7.0, 8.0):
        assert drive.error(prior.at(at_second(seconds)), seconds) < 0.02
    vague = estimator(heading_source="unknown", antenna=(-1.5, 0.4))
    drive.play(vague, 6.0, odometry=False)
    still = vague.at(at_second(6.0))
    arm = math.hypot(1.5, 0.4)
    assert drive.error(still, 6.0) == pytest.approx(arm, abs=1e-6)
    assert still.covariance[0, 0] == pytest.approx(4.0 + 1e-4 + arm**2 / 2)


@pytest.mark.parametrize(
    ("source", "turned", "most"),
    [
        ("imu_enu", 0.7, 0.01),
        ("odom_enu", 0.0, 0.01),
        ("odom_aligned", 0.7, 0.01),
        ("course", 0.7, 0.05),
    ],
)
def test_headings(source: str, turned: float, most: float) -> None:
    drive, prior = Drive(turned=turned), estimator(heading_source=source)
    drive.play(prior, 20.0, fix_until=19.5, imu=source == "imu_enu")
    for seconds in (18.2, 19.0, 20.0, 20.2):
        told = prior.at(at_second(seconds))
        assert drive.yaw_error(told, seconds) < most
        assert told.yaw_source == source
        assert 0.0 < told.covariance[2, 2] < 0.1**2 * (4 if source == "course" else 1)


def test_fixed_and_unknown_headings() -> None:
    drive = Drive(weave=0.0)
    fixed = estimator(heading_source="fixed", fixed_yaw=0.4 + 4 * math.pi, fixed_yaw_std=0.02)
    unknown = estimator(heading_source="unknown")
    for prior in (fixed, unknown):
        drive.play(prior, 6.0, fix_until=5.0)
    told = fixed.at(at_second(6.0))
    assert isinstance(told, Prior) and told.yaw == pytest.approx(0.4)
    assert told.covariance[2, 2] == pytest.approx(0.02**2) and drive.error(told, 6.0) < 0.05
    none = unknown.at(at_second(6.0))
    assert isinstance(none, Prior) and none.yaw is None and none.yaw_source == "unknown"
    assert none.covariance[2, 2] == pytest.approx(math.pi**2 / 3)
    assert np.all(none.covariance[2, :2] == 0.0)
    # The heading isn't told, but the odometry's steps are still turned into the map.
    assert none.source == "fix_by_odometry" and drive.error(none, 6.0) < 0.05


def test_aligned_odometry_is_unknown_until_the_vehicle_has_moved() -> None:
    standing, prior = Drive(speed=0.0, weave=0.0), estimator()
    standing.play(prior, 10.0, covariance=36.0)
    assert standing.error(prior.at(at_second(10.0)), 10.0) < 1e-6
    told = prior.at(at_second(10.0))
    assert isinstance(told, Prior) and told.yaw is None
    crawling, prior = Drive(speed=1.0, weave=0.0), estimator()
    crawling.play(prior, 60.0, covariance=0.01)
    told = prior.at(at_second(60.0))
    assert isinstance(told, Prior) and told.yaw is None, "below min_speed"
    moving, prior = Drive(), estimator()
    moving.play(prior, 10.0, covariance=36.0)
    assert moving.yaw_error(prior.at(at_second(10.0)), 10.0) < 0.02


def test_odometry_that_lags_behind_the_fixes_is_aligned_all_the_same() -> None:
    drive, prior = Drive(), estimator()
    for index in range(1500):
        seconds = index * 0.02
        if index % 50 == 0:
            prior.add_fix(at_second(seconds), drive.fix(seconds), np.eye(2))
        late = seconds - 0.7
        if late > 0:
            prior.add_odometry(at_second(late), *drive.odometry(late))
    assert drive.yaw_error(prior.at(at_second(29.0)), 29.0) < 0.01


def test_a_heading_too_vague_is_not_told() -> None:
    prior = estimator(heading_source="imu_enu", max_yaw_std=0.3)
    prior.add_fix(at_second(0.0), (0.0, 0.0), np.eye(2))
    for second, variance in ((0.0, 0.08), (1.0, 0.2), (2.0, math.inf)):
        prior.add_imu(at_second(second), 1.0, variance)
    known = [prior.at(at_second(second)) for second in (0.0, 1.0, 2.0)]
    assert [prior.yaw is not None for prior in known if isinstance(prior, Prior)] == [
        True,
        False,
        True,
    ], "an infinite variance is none given: the default"


def test_course_says_nothing_when_slow_and_sees_reversing() -> None:
    slow, prior = Drive(speed=1.0, weave=0.0), estimator(heading_source="course")
    slow.play(prior, 10.0)
    told = prior.at(at_second(10.0))
    assert isinstance(told, Prior) and told.yaw is None
    backwards, prior = Drive(speed=-8.0, weave=0.0), estimator(heading_source="course")
    backwards.play(prior, 10.0)
    assert backwards.yaw_error(prior.at(at_second(10.0)), 10.0) < 0.02


@settings(max_examples=15, deadline=None)
@given(
    turned=st.floats(-20.0, 20.0),
    east=st.floats(-1e4, 1e4),
    north=st.floats(-1e4, 1e4),
    source=st.sampled_from(["imu_enu", "odom_aligned", "course", "fixed", "unknown"]),
)
def test_turning_or_moving_the_odometry_changes_nothing(
    turned: float, east: float, north: float, source: str
) -> None:
    answers = []
    for drive in (
        Drive(turned=0.0, moved=0j, antenna=(-1.0, 0.5), step=0.1),
        Drive(turned=turned, moved=complex(east, north), antenna=(-1.0, 0.5), step=0.1),
    ):
        prior = estimator(heading_source=source, fixed_yaw=0.4, antenna=(-1.0, 0.5))
        drive.play(prior, 8.0, fix_until=7.0, imu=source == "imu_enu", covariance=9.0)
        answers.append([prior.at(at_second(s)) for s in (6.55, 7.95, 8.15)])
    for first, second in zip(*answers, strict=True):
        assert isinstance(first, Prior) and isinstance(second, Prior)
        assert (second.x, second.y) == pytest.approx((first.x, first.y), abs=1e-5)
        assert (first.yaw is None) == (second.yaw is None)
        if first.yaw is not None and second.yaw is not None:
            assert math.remainder(first.yaw - second.yaw, math.tau) == pytest.approx(0, abs=1e-6)
        np.testing.assert_allclose(first.covariance, second.covariance, atol=1e-5)


def test_refused_without_a_fix_and_when_the_last_one_is_too_old() -> None:
    drive, prior = Drive(), estimator(heading_source="imu_enu", max_prior_age=3.0)
    refused = prior.at(at_second(0.0))
    assert isinstance(refused, PriorRefusal) and refused.reason == "no_fix"
    drive.play(prior, 12.0, fix_until=5.0, imu=True)
    assert drive.error(prior.at(at_second(7.99)), 7.99) < 0.05
    refused = prior.at(at_second(8.01))
    assert isinstance(refused, PriorRefusal) and refused.reason == "stale_prior"
    assert "3.0 s away" in refused.detail and "limit 3 s" in refused.detail


def test_ready_waits_for_live_sensors_only() -> None:
    prior = estimator(heading_source="imu_enu")
    assert prior.ready(at_second(0.0)), "nothing to wait for"
    prior.add_fix(at_second(0.9), (0.0, 0.0), None)
    assert not prior.ready(at_second(1.0)), "fixes alone: the next one may follow"
    prior.add_odometry(at_second(1.01), 0.0, 0.0, 0.0)
    assert prior.ready(at_second(1.0)), "odometry has passed it: no need of another fix"
    prior.add_imu(at_second(0.99), 0.0)
    assert not prior.ready(at_second(1.0))
    prior.add_imu(at_second(1.0), 0.0)
    assert prior.ready(at_second(1.0))
    assert prior.ready(at_second(3.0)), "all have gone silent"


def test_clear_forgets_the_samples() -> None:
    drive, prior = Drive(), estimator()
    drive.play(prior, 10.0)
    prior.set_initial_pose(at_second(10.0), 1.0, 2.0, 0.0)
    prior.clear()
    refused = prior.at(at_second(10.0))
    assert isinstance(refused, PriorRefusal) and refused.reason == "no_fix"


@pytest.mark.parametrize(
    "settings_",
    [
        {"heading_source": "compass"},
        {"default_fix_std": 0.0},
        {"max_prior_age": math.nan},
        {"max_prior_wait": -0.1},
        {"antenna": (0.0, math.inf)},
        {"fixed_yaw": math.nan},
    ],
)
def test_settings_are_checked_by_name(settings_: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        PriorConfig(**settings_)  # type: ignore[arg-type]
    assert next(iter(settings_)) in str(caught.value) and "\n" not in str(caught.value)


def test_it_costs_less_than_a_millisecond() -> None:
    drive, prior = Drive(), estimator()
    drive.play(prior, 20.0, fix_period=0.2)
    times = []
    for index in range(200):
        begin = time.perf_counter()
        prior.add_odometry(at_second(20.0 + index * 0.02), *drive.odometry(20.0 + index * 0.02))
        prior.at(at_second(19.5 + index * 0.02))
        times.append(time.perf_counter() - begin)
    assert sorted(times)[100] < 1e-3
