"""The calibration's values, what the covariance sums over, and what filters are given."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from cross_view_localizer.belief.belief import Belief
from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.belief.moments import moments
from cross_view_localizer.grid import Grid
from cross_view_localizer.poses import (
    MAX_VARIANCE,
    MIN_STD,
    MIN_YAW_STD,
    bounded,
    is_positive_definite,
    to_base,
)

GRID = Grid(61, 61, 0.5, (0.0, 0.0), up=0.4)
OFFSETS = np.radians([-4.0, 0.0, 4.0])


def gaussian(x: float, y: float, std: float) -> NDArray[np.float64]:
    uv = np.stack(np.meshgrid(np.arange(61), np.arange(61)), axis=-1)
    distance = GRID.pixel_to_map(uv) - (x, y)
    return np.asarray(-0.5 * (distance**2).sum(axis=-1) / std**2)


def test_values_survive_the_weights_file() -> None:
    values = Calibration(1.7, 0.3, 0.02, 0.05, "radius", 8.0, 0.7, -1.5)
    assert Calibration.from_dict(values.to_dict()) == values


def test_a_file_from_before_no_match_loads_as_it_was() -> None:
    old = {"temperature": 1.7, "floor_std": 0.3, "yaw_std": 0.02, "background": 0.05}
    loaded = Calibration.from_dict({**old, "moments": "radius", "radius": 8.0})
    assert loaded == Calibration(1.7, 0.3, 0.02, 0.05, "radius", 8.0)
    given = np.array([0.0, 1e-6, 0.2, 0.5, 0.999, 1.0])
    np.testing.assert_allclose(loaded.no_match(given), given, rtol=1e-9, atol=1.1e-9)


def test_no_match_is_scaled_and_shifted_in_log_odds() -> None:
    calibration = Calibration(no_match_scale=2.0, no_match_shift=math.log(3.0))
    # Odds of 1 : 4 become 3 · (1 : 16).
    assert calibration.no_match(0.2) == pytest.approx(3 / 19)
    # A saturated network's answers are reached by the shift too, and stay sure without one.
    never, always = Calibration(no_match_shift=-40.0).no_match([0.0, 1.0])
    assert never < always < 1e-6
    np.testing.assert_allclose(Calibration().no_match([0.0, 1.0]), [0.0, 1.0], atol=1e-6)
    rising = calibration.no_match(np.linspace(0.01, 0.99, 99))
    assert rising.shape == (99,) and (np.diff(rising) > 0).all()


@pytest.mark.parametrize("value", [math.nan, -0.01, 1.01, math.inf])
def test_what_is_no_probability_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=f"no match {value}: expected 0 to 1"):
        Calibration().no_match(np.array([0.5, value]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0.0),
        ("temperature", math.nan),
        ("floor_std", -1.0),
        ("yaw_std", math.inf),
        ("background", 1.0),
        ("moments", "some"),
        ("no_match_scale", 0.0),
        ("no_match_shift", math.nan),
        ("colour", 1.0),
    ],
)
def test_values_out_of_range_are_named_in_one_line(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        Calibration.from_dict({name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "variance"), [("all", 1 + 64 * 0.2), ("basin", 1.0), ("radius", 1.0)]
)
def test_what_the_covariance_sums_over(kind: str, variance: float) -> None:
    scores = np.logaddexp(gaussian(-4, 0, 1) + math.log(0.8), gaussian(4, 0, 1) + math.log(0.2))
    calibration = Calibration(floor_std=0.5, moments=kind, radius=4.0)
    belief = Belief.from_scores(scores[None], [0.0], GRID, calibration)
    _, covariance = moments(belief, calibration)
    expected = variance + 0.5**2 + 0.5**2 / 12
    assert covariance[0, 0] == pytest.approx(expected, rel=0.03)


def test_heading_spread_and_cross_terms_come_from_the_joint_distribution() -> None:
    # The heading goes with the place: 4 degrees more, 2 m further east.
    scores = np.stack([gaussian(-2, 0, 1), gaussian(0, 0, 1) + 0.5, gaussian(2, 0, 1)])
    calibration = Calibration(floor_std=0.0, yaw_std=0.0)
    belief = Belief.from_scores(scores, OFFSETS, GRID, calibration)
    yaw, covariance = moments(belief, calibration)
    middle = math.exp(0.5) / (2 + math.exp(0.5))
    step = math.radians(4)
    assert yaw == pytest.approx(0, abs=1e-3)
    assert covariance[2, 2] == pytest.approx(step**2 * (1 - middle) + step**2 / 12, rel=0.02)
    assert covariance[0, 2] == pytest.approx(2 * step * (1 - middle), rel=0.02)
    assert covariance[1, 2] == pytest.approx(0, abs=1e-3)
    assert is_positive_definite(covariance)


def test_headings_that_wrap_have_a_mean_on_the_seam() -> None:
    offsets = np.radians([170.0, -170.0])
    belief = Belief.from_scores(np.stack([gaussian(0, 0, 1)] * 2), offsets, GRID)
    yaw, covariance = moments(belief, Calibration(yaw_std=0.0))
    assert abs(yaw) == pytest.approx(math.pi)
    step = math.radians(340)
    assert covariance[2, 2] == pytest.approx(math.radians(10) ** 2 + step**2 / 12, rel=0.01)


def test_a_prior_multiplies_positions_and_headings() -> None:
    belief = Belief.from_scores(np.stack([gaussian(0, 0, 2)] * 3), OFFSETS, GRID)
    fused = belief.times_prior((3.0, 0.0), np.eye(2) * 4.0, math.radians(2) ** 2)
    assert np.allclose(fused.heatmap.peak_xy(), (1.5, 0), atol=0.01)
    _, covariance = moments(fused, Calibration(floor_std=0.0))
    assert np.allclose(covariance[:2, :2], np.eye(2) * 2.02, atol=0.05)
    share = np.exp(fused.log_joint).sum(axis=(1, 2))
    assert share.sum() == pytest.approx(1)
    assert share[0] / share[1] == pytest.approx(math.exp(-2), rel=0.01)


def test_the_lever_arm_moves_the_pose_back_and_widens_it() -> None:
    covariance = np.diag([0.04, 0.04, 0.0])
    lever = np.array([2.0, 0.5])
    pose, moved = to_base(np.array([10.0, 20.0]), math.pi / 2, covariance, lever, 0.01)
    # Facing north, the point is 2 m north and 0.5 m west of base_link.
    assert pose == pytest.approx((10.5, 18.0, math.pi / 2))
    assert np.allclose(moved, [[0.08, 0.01, 0], [0.01, 0.0425, 0], [0, 0, 0.01]])
    _, estimated = to_base(
        np.array([10.0, 20.0]), math.pi / 2, np.diag([0.04, 0.04, 0.01]), lever, None
    )
    assert np.allclose(estimated[:2, :2], moved[:2, :2])
    assert np.allclose(estimated[:2, 2], [0.02, 0.005])
    assert to_base(np.zeros(2), 4.0, covariance, np.zeros(2), 0.1)[0][2] < 0


def test_the_lever_arm_agrees_with_sampling() -> None:
    random = np.random.default_rng(0)
    covariance = np.array([[0.09, 0.02, 0.004], [0.02, 0.05, -0.002], [0.004, -0.002, 0.0009]])
    lever, yaw = np.array([1.5, -0.4]), 0.8
    _, moved = to_base(np.array([1.0, 2.0]), yaw, covariance, lever, None)
    samples = random.multivariate_normal([1.0, 2.0, yaw], covariance, 200_000)
    based = [to_base(s[:2], s[2], covariance, lever, None)[0] for s in samples[:20_000]]
    assert np.allclose(np.cov(np.array(based).T), moved, atol=3e-3)


def test_bounds_keep_filters_safe() -> None:
    tiny = bounded(np.diag([1e-9, 1.0, 1e-12]))
    assert np.allclose(np.sqrt(np.diag(tiny)), [MIN_STD, 1.0, MIN_YAW_STD])
    assert bounded(np.diag([1e7, 1.0, 0.1]))[0, 0] == pytest.approx(MAX_VARIANCE)
    honest = np.array([[1.0, 0.3, 0.01], [0.3, 2.0, 0.02], [0.01, 0.02, 0.01]])
    assert np.allclose(bounded(honest), honest)
    indefinite = np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 0.01]])
    assert not is_positive_definite(indefinite)
    assert np.linalg.eigvalsh(bounded(indefinite))[0] > 0
    assert not is_positive_definite(np.diag([1.0, np.nan, 1.0]))


def test_the_covariance_turns_with_the_grid() -> None:
    for up in (math.pi / 2, 0.3, -2.0):
        grid = Grid(81, 81, 0.5, (3.0, 4.0), up)
        uv = np.stack(np.meshgrid(np.arange(81), np.arange(81)), axis=-1)
        xy = grid.pixel_to_map(uv) - (3, 4)
        scores = -0.5 * ((xy[..., 0] / 3) ** 2 + (xy[..., 1] / 1.5) ** 2)
        belief = Belief.from_scores(scores[None], [0.0], grid)
        _, found = moments(belief, Calibration(floor_std=0.0))
        assert np.allclose(found[:2, :2], np.diag([9, 2.25]) + np.eye(2) * 0.25 / 12, atol=0.05)
