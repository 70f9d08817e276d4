"""Wrong answers, σ along and across the street, and the probability of no match: by hand, and for
distributions whose truths are drawn from them.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from cross_view_localizer.belief.belief import Belief
from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.belief.moments import moments
from cross_view_localizer.estimate import Estimate
from cross_view_localizer.grid import Grid
from training.datasets.pair import Label
from training.measuring import metrics
from training.measuring.columns import Columns
from training.measuring.honesty import honesty, published
from training.measuring.records import Record, record

NORTH = math.pi / 2
_NO_FILES = (Path(), Path())


def made(along: float, across: float, sigma: tuple[float, float], reason: str = "") -> Record:
    """An answer to a camera that looks north: ahead is north and left is west."""
    return Record(
        name="row",
        group="town",
        reason=reason,
        truth_x=3.0,
        truth_y=4.0,
        truth_yaw=NORTH,
        x=3.0 - across,
        y=4.0 + along,
        centre_error=10.0,
        argmax_error=math.hypot(along, across),
        mode_error=math.hypot(along, across),
        longitudinal=along,
        lateral=across,
        var_xx=sigma[1] ** 2,
        var_xy=0.0,
        var_yy=sigma[0] ** 2,
        level=0.5,
    )


def of(*records: Record) -> Columns:
    return Columns.of(map(asdict, records))


def test_axes_are_the_true_headings() -> None:
    result = honesty(of(made(8.0, 0.3, (4.0, 0.6)), made(4.0, 0.6, (4.0, 0.6))))
    assert result["longitudinal_sigma_median"] == pytest.approx(4.0)
    assert result["lateral_sigma_median"] == pytest.approx(0.6)
    assert result["longitudinal_nees"] == pytest.approx((4 + 1) / 2)
    assert result["lateral_nees"] == pytest.approx((0.25 + 1) / 2)
    assert result["nees_per_dof"] == pytest.approx(((4 + 0.25) / 2 + (1 + 1) / 2) / 2)


@pytest.mark.parametrize("yaw", [0.3, 2.0, -1.1])
def test_sigmas_turn_with_the_heading(yaw: float) -> None:
    c, s = math.cos(yaw), math.sin(yaw)
    turn = np.array([[c, -s], [s, c]])
    along, across = metrics.axis_sigmas([turn @ np.diag([9.0, 0.25]) @ turn.T], [yaw])
    assert (along[0], across[0]) == (pytest.approx(3.0), pytest.approx(0.5))


def test_what_was_published_and_wrong_is_counted_as_what_it_is() -> None:
    frames = of(
        made(0.5, 0.2, (1.0, 1.0)),
        made(9.0, 0.0, (4.0, 0.5)),  # wrong, and its σ says that it may be
        made(9.0, 0.0, (1.0, 0.5)),  # wrong and sure, along the street
        made(0.0, 6.0, (4.0, 1.0)),  # wrong and sure, across it
        made(30.0, 0.0, (1.0, 1.0), reason="second_mode"),  # not published
    )
    result = published(frames)
    assert result["share"] == pytest.approx(4 / 5)
    assert result["wrong"] == pytest.approx(3 / 4)
    assert result["wrong_and_sure"] == pytest.approx(2 / 4)
    assert result["longitudinal_wrong_and_sure"] == pytest.approx(1 / 4)
    assert result["lateral_wrong_and_sure"] == pytest.approx(1 / 4)
    assert result["longitudinal_nees"] == pytest.approx((0.25 + (9 / 4) ** 2 + 81 + 0) / 4)
    assert honesty(frames)["longitudinal_nees"] > result["longitudinal_nees"]  # over all frames
    # Three σ are Mahalanobis' distance: 2.5 σ along and 2.5 σ across are beyond them together.
    both = published(of(made(5.0, 5.0, (2.0, 2.0))))
    assert both["wrong_and_sure"] == 1.0 and both["longitudinal_wrong_and_sure"] == 0.0


def test_nothing_published_is_a_share_of_zero() -> None:
    assert published(of(made(1.0, 0.0, (1.0, 1.0), reason="no_match"))) == {"share": 0.0}


def test_the_probability_of_no_match_tells_two_kinds_apart() -> None:
    assert metrics.auc([0.1, 0.2, 0.3], [0.4, 0.9]) == 1.0
    assert metrics.auc([0.4, 0.9], [0.1, 0.2]) == 0.0
    assert metrics.auc([0.5, 0.5], [0.5]) == 0.5
    assert metrics.auc([0.1, 0.5], [0.3]) == 0.5


RIDGE = Grid(96, 96, 0.5, (120.0, -40.0))


@pytest.mark.parametrize("yaw", [0.4, 2.2])
def test_a_ridge_along_the_street_is_long_honest_and_narrow(yaw: float) -> None:
    """Where a street looks alike for 7 m to either side, the answer says so, and is right."""
    random = np.random.default_rng(7)
    ahead = np.array([math.cos(yaw), math.sin(yaw)])
    xy = RIDGE.pixel_to_map(np.stack(np.meshgrid(np.arange(96), np.arange(96)), -1)) - RIDGE.center
    along, across = xy @ ahead, xy @ [-ahead[1], ahead[0]]
    ridge = -((along / 9) ** 8) - across**2 / (2 * 0.6**2)  # nearly flat along, a lane wide
    records = []
    for _ in range(300):
        # The network's peak is any place on the ridge, by a hair.
        scores = ridge + 0.02 * np.cos(along / 3 + random.uniform(0, math.tau))
        belief = Belief.from_scores(scores[None], [0.0], RIDGE, Calibration(floor_std=0.0))
        mass = belief.heatmap.mass
        index = random.choice(scores.size, p=(mass / mass.sum()).ravel())
        row, column = divmod(int(index), 96)
        place = RIDGE.pixel_to_map(np.array([column, row]) + random.uniform(-0.5, 0.5, 2))
        truth = (float(place[0]), float(place[1]))
        label = Label("row", *_NO_FILES, RIDGE, truth, yaw, yaw, "street")
        _, covariance = moments(belief, Calibration(floor_std=0.0))
        x, y = belief.heatmap.peak_xy()
        pose = (float(x), float(y), yaw)
        estimate = Estimate(
            0, "ok", heatmap=belief.heatmap, raw_pose=pose, raw_covariance=covariance
        )
        records.append(record(label, estimate))
    result = honesty(of(*records))
    assert result["longitudinal_sigma_median"] > 4.0 and result["lateral_sigma_median"] < 0.8
    assert 0.8 < result["longitudinal_nees"] < 1.2
    assert 0.8 < result["lateral_nees"] < 1.2
    told = published(of(*records))
    assert told["wrong"] > 0.3 and told["longitudinal_wrong_and_sure"] == 0.0
