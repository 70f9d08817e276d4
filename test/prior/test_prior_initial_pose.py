"""An initial pose: carried on by odometry, wider with the way, and overtaken by fixes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from prior_drive import Drive, at_second, estimator, spread

from cross_view_localizer.prior.prior import Prior, PriorRefusal

COVARIANCE = np.diag([0.25, 0.25, 0.02**2])


def test_it_is_carried_by_odometry_in_any_frame_and_widens() -> None:
    drive, prior = Drive(), estimator()
    place = drive.position(1.0)
    drive.play(prior, 1.0, fix_period=None)
    assert prior.set_initial_pose(
        at_second(1.0), place.real, place.imag, drive.yaw(1.0), COVARIANCE
    )
    widths = []
    for since, seconds in ((1.0, 1.02), (1.02, 3.0), (3.0, 10.0), (10.0, 30.0)):
        drive.play(prior, seconds, since=since, fix_period=None)
        told = prior.at(at_second(seconds))
        assert drive.error(told, seconds) < 0.1
        assert drive.yaw_error(told, seconds) < 1e-3
        assert (told.source, told.yaw_source) == ("initial_pose", "initial_pose")
        assert told.age == pytest.approx(seconds - 1.0)
        widths.append(spread(told))
    assert widths == sorted(widths) and widths[0] == pytest.approx(0.5, abs=0.01)
    assert widths[-1] > 0.02 * 290, "2 % of the way and the heading's error"


def test_its_yaw_serves_until_the_odometry_is_aligned_and_its_error_turns_the_track() -> None:
    drive, prior = Drive(weave=0.0), estimator()
    drive.play(prior, 4.0, fix_until=0.0, covariance=36.0)
    place = drive.position(0.0)
    prior.set_initial_pose(at_second(0.0), place.real, place.imag, 0.4, np.diag([1.0, 1.0, 0.01]))
    told = prior.at(at_second(4.0))
    assert isinstance(told, Prior) and drive.yaw_error(told, 4.0) < 1e-6
    across = np.array([-math.sin(0.4), math.cos(0.4), 0.0])
    lateral = float(across @ told.covariance @ across)
    assert lateral == pytest.approx(1.0 + (40 * 0.1) ** 2, rel=0.3)
    assert float(across @ told.covariance[:, 2]) == pytest.approx(40 * 0.01, rel=0.2)


def test_later_fixes_take_over_as_it_widens() -> None:
    """The pose is 3 m off to the east, fixes are exact but claim 6 m."""
    drive, prior = Drive(weave=0.0), estimator(max_initial_pose_age=100.0)
    drive.play(prior, 0.0, covariance=36.0)
    place = drive.position(0.0) + 3.0
    prior.set_initial_pose(at_second(0.0), place.real, place.imag, 0.4, COVARIANCE)
    errors = []
    for since, until in ((0.0, 1.0), (1.0, 20.0), (20.0, 60.0), (60.0, 99.0)):
        drive.play(prior, until, since=since, covariance=36.0)
        told = prior.at(at_second(until))
        errors.append(drive.error(told, until))
        assert spread(told) <= 6.01
        assert "+initial_pose" in told.source
    assert errors[0] > 2.5 and errors == sorted(errors, reverse=True) and errors[-1] < 1.5
    drive.play(prior, 101.0, since=99.0, covariance=36.0)
    assert drive.error(prior.at(at_second(101.0)), 101.0) < 0.1, "past its age only fixes count"


def test_one_that_contradicts_the_fixes_is_not_averaged_with_them() -> None:
    drive, prior = Drive(), estimator()
    drive.play(prior, 15.0, covariance=4.0)
    place = drive.position(15.0) + 80.0
    prior.set_initial_pose(at_second(15.0), place.real, place.imag, 0.0, COVARIANCE)
    told = prior.at(at_second(15.0))
    assert isinstance(told, Prior)
    assert told.source == "initial_pose" and drive.error(told, 15.0) == pytest.approx(80.0)
    assert prior.counters["initialpose_disagrees"] == 1
    drive.play(prior, 45.0, since=15.0, covariance=4.0)
    assert drive.error(prior.at(at_second(45.0)), 45.0) < 0.05, "by now it is the wider one"


def test_without_odometry_it_soon_is_too_old() -> None:
    prior = estimator(max_prior_age=2.0)
    prior.set_initial_pose(at_second(0.0), 1.0, 2.0, 0.5, COVARIANCE)
    told = prior.at(at_second(1.0))
    assert isinstance(told, Prior) and (told.x, told.y, told.yaw) == (1.0, 2.0, 0.5)
    assert spread(told) > 8.0
    refused = prior.at(at_second(2.1))
    assert isinstance(refused, PriorRefusal) and refused.reason == "stale_prior"


def test_a_stamp_of_zero_means_now_and_no_covariance_the_default() -> None:
    drive, prior = Drive(), estimator()
    drive.play(prior, 3.0, fix_period=None)
    assert prior.set_initial_pose(0, 5.0, 6.0, 0.1, np.zeros((3, 3)))
    told = prior.at(at_second(3.0))
    assert isinstance(told, Prior) and (told.x, told.y) == (5.0, 6.0)
    assert np.diag(told.covariance) == pytest.approx([0.25, 0.25, 0.26**2])
    assert prior.counters["initialpose_default_covariance"] == 1


def test_a_heading_source_of_unknown_stays_unknown() -> None:
    prior = estimator(heading_source="unknown")
    prior.set_initial_pose(at_second(0.0), 5.0, 6.0, 0.1, COVARIANCE)
    told = prior.at(at_second(0.0))
    assert isinstance(told, Prior) and told.yaw is None


def test_the_newest_one_counts() -> None:
    prior = estimator()
    prior.set_initial_pose(at_second(0.0), 5.0, 6.0, 0.1, COVARIANCE)
    prior.set_initial_pose(at_second(1.0), 7.0, 8.0, 0.1, COVARIANCE)
    told = prior.at(at_second(1.0))
    assert isinstance(told, Prior) and (told.x, told.y) == (7.0, 8.0)
