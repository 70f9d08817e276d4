"""Ten cases by hand for every sign and convention, then the statistics."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.measuring import metrics

EAST, NORTH, WEST, SOUTH = 0.0, math.pi / 2, math.pi, -math.pi / 2


@pytest.mark.parametrize(
    ("estimate", "yaw", "longitudinal", "lateral"),
    [
        ((1, 0), EAST, 1, 0),  # too far ahead
        ((-2, 0), EAST, -2, 0),  # behind
        ((0, 1), EAST, 0, 1),  # facing east, north is left
        ((0, 1), NORTH, 1, 0),
        ((1, 0), NORTH, 0, -1),  # facing north, east is right
        ((1, 0), WEST, -1, 0),
        ((0, 1), WEST, 0, -1),  # facing west, north is right
        ((0, -3), SOUTH, 3, 0),
        ((1, 0), SOUTH, 0, 1),  # facing south, east is left
        ((1, 1), math.pi / 4, math.sqrt(2), 0),
    ],
)
def test_signs_by_hand(
    estimate: tuple[float, float], yaw: float, longitudinal: float, lateral: float
) -> None:
    truth = np.array([[100.0, -7.0]])
    along, across = metrics.longitudinal_lateral(truth + estimate, truth, [yaw])
    assert along[0] == pytest.approx(longitudinal, abs=1e-12)
    assert across[0] == pytest.approx(lateral, abs=1e-12)
    assert metrics.distances(truth + estimate, truth)[0] == pytest.approx(math.hypot(*estimate))


@pytest.mark.parametrize(
    ("estimate", "truth", "error"),
    [(10, 5, 5), (5, 10, -5), (-179, 179, 2), (179, -179, -2), (360, 0, 0), (0, 180, -180)],
)
def test_headings_wrap(estimate: float, truth: float, error: float) -> None:
    found = metrics.heading_errors([math.radians(estimate)], [math.radians(truth)])
    assert found[0] == pytest.approx(error)


def test_recall_counts_less_than() -> None:
    assert metrics.recall([0.5, 1.0, 1.5, -0.2], 1.0) == 0.5


def test_summary_by_hand() -> None:
    summary = metrics.error_summary([0.0, 1.0, 2.0, 3.0, 14.0])
    assert summary["mean"] == 4.0 and summary["median"] == 2.0
    assert (summary["p25"], summary["p75"]) == (1.0, 3.0)
    assert summary["p95"] == pytest.approx(11.8)
    assert (summary["recall_1m"], summary["recall_3m"], summary["recall_10m"]) == (0.2, 0.6, 0.8)


def test_nees_by_hand_and_for_honest_gaussians() -> None:
    assert metrics.nees([[2.0, 0.0]], [np.diag([4.0, 1.0])])[0] == pytest.approx(0.5)
    tilted = np.array([[2.0, 1.0], [1.0, 2.0]])
    assert metrics.nees([[1.0, 1.0]], [tilted])[0] == pytest.approx((2 / 3) / 2)
    random = np.random.default_rng(0)
    errors = random.multivariate_normal([0, 0], tilted, 20_000)
    bounds = np.broadcast_to(tilted, (20_000, 2, 2))
    assert metrics.nees(errors, bounds).mean() == pytest.approx(1, abs=0.02)
    assert metrics.ellipse_coverage(errors, bounds) == pytest.approx(0.9, abs=0.01)
    assert metrics.coverage([0.1, 0.89, 0.9, 0.95]) == 0.5


def test_spearman_ranks_and_refuses_a_constant() -> None:
    assert metrics.spearman([1, 2, 3, 4], [10, 20, 30, 1000]) == pytest.approx(1)
    assert metrics.spearman([1, 2, 3], [9, 4, 1]) == pytest.approx(-1)
    assert metrics.spearman([1, 2, 2, 3], [1, 2, 2, 3]) == pytest.approx(1)
    assert metrics.spearman([2, 2, 2, 2], [1, 5, 2, 7]) == 0.0


def test_intervals_are_over_towns() -> None:
    random = np.random.default_rng(0)
    towns = np.repeat(np.arange(50), 40)
    # All frames of a town share most of their error.
    values = np.repeat(random.normal(5, 1, 50), 40) + random.normal(0, 0.1, 2000)
    mean = lambda v: float(v.mean())  # noqa: E731
    low, high = metrics.bootstrap(values, towns, mean, draws=500)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 / math.sqrt(50), rel=0.25)
    alone = metrics.bootstrap(values, np.arange(2000), mean, draws=500)
    assert alone[1] - alone[0] < (high - low) / 4
    assert metrics.bootstrap(values, towns, mean, draws=500) == (low, high)


def test_gaussian_of_a_regressor_by_hand() -> None:
    assert metrics.gaussian_sigma([1.0, 7.0]) == pytest.approx(5 / math.sqrt(2))
    # At the mean a Gaussian of sigma 2 has density 1 / (8 pi); half a metre squared is 0.25 m2.
    found = metrics.gaussian_probability([0.0, 2.0], 2.0, 0.5)
    assert found[0] == pytest.approx(0.25 / (8 * math.pi))
    assert found[1] == pytest.approx(found[0] * math.exp(-0.5))


def test_the_papers_regressor_is_consistent_with_this_gaussian() -> None:
    """Published: median probability 1.70e-5 at a median error of 9.31 m, pixels of 0.1425 m."""
    found = [metrics.gaussian_probability([9.31], s, 0.1425)[0] for s in np.arange(4, 14, 0.1)]
    assert min(abs(p - 1.70e-5) for p in found) < 2e-6


def test_quantiles_over_the_most_probable() -> None:
    errors, probability = [1.0, 9.0, 3.0, 5.0], [0.9, 0.1, 0.7, 0.5]
    found = metrics.ranked_quantiles(errors, probability, [0.25, 0.5, 0.75, 1.0], [0.5, 1.0])
    assert found.tolist() == [[1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 5.0, 9.0]]
    assert metrics.ranked_quantiles(errors, probability, [0.01], [0.0])[0, 0] == 1.0
