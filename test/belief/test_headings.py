"""Continuous headings say what many discrete ones would."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cross_view_localizer.belief.belief import Belief
from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.belief.headings import CellHeadings
from cross_view_localizer.belief.moments import moments
from cross_view_localizer.grid import Grid

GRID = Grid(12, 10, 0.5, (30.0, -20.0), 0.7)
MANY = 720
OFFSETS = (np.arange(MANY) - MANY / 2) * 2 * math.pi / MANY


def scores() -> tuple[np.ndarray, CellHeadings]:
    """One blob of places; headings that change from column to column."""
    columns, rows = np.meshgrid(np.arange(12.0), np.arange(10.0))
    place = -0.5 * ((columns - 6.3) ** 2 + (rows - 4.1) ** 2) / 1.5**2
    mean = 0.1 + 0.04 * (columns - 6) + 0.01 * (rows - 4)
    return place, CellHeadings(mean, 40.0 + 5.0 * rows)


def beliefs(calibration: Calibration) -> tuple[Belief, Belief]:
    """The same distribution, with continuous headings and with many."""
    place, headings = scores()
    log_density = headings.concentration * np.cos(OFFSETS[:, None, None] - headings.mean)
    log_density -= np.logaddexp.reduce(log_density, axis=0)
    few = Belief.from_scores(place + log_density, OFFSETS, GRID, calibration)
    return Belief.from_scores(place[None], [0.0], GRID, calibration, headings=headings), few


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("prior", [None, 0.08])
def test_they_agree_with_a_fine_grid_of_headings(temperature: float, prior: float | None) -> None:
    calibration = Calibration(temperature=temperature)
    continuous, discrete = beliefs(calibration)
    if prior is not None:
        mean, wide = GRID.center, np.eye(2) * 4.0
        continuous, discrete = (b.times_prior(mean, wide, prior**2) for b in (continuous, discrete))
    np.testing.assert_allclose(continuous.heatmap.mass, discrete.heatmap.mass, atol=2e-4)
    yaw, covariance = moments(continuous, calibration)
    expected_yaw, expected = moments(discrete, calibration)
    assert yaw == pytest.approx(expected_yaw, abs=2e-4)
    np.testing.assert_allclose(covariance, expected, rtol=0.03, atol=1e-4)


def test_the_spread_goes_from_a_normals_to_the_circles() -> None:
    kappa = np.array([[0.0, 1e-9, 4.0, 1e4]])
    variance = CellHeadings(np.zeros_like(kappa), kappa).variance[0]
    assert variance[:2] == pytest.approx(math.pi**2 / 3)
    assert variance[3] == pytest.approx(1e-4, rel=1e-3)
    assert 1 / 4 < variance[2] < 0.4
    sure = CellHeadings(np.zeros((1, 1)), np.full((1, 1), 1e9))
    assert sure.variance[0, 0] == pytest.approx(1e-9, rel=1e-3)


@pytest.mark.parametrize(
    ("mean", "concentration"),
    [
        (np.zeros((2, 2)), np.full((2, 2), -1.0)),
        (np.zeros((2, 2)), np.full((2, 2), math.nan)),
        (np.full((2, 2), math.inf), np.ones((2, 2))),
        (np.zeros((2, 2)), np.ones((2, 3))),
    ],
)
def test_what_is_no_distribution_is_refused(mean: np.ndarray, concentration: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected finite ones"):
        CellHeadings(mean, concentration)


def test_headings_of_another_map_are_refused() -> None:
    headings = CellHeadings(np.zeros((4, 4)), np.ones((4, 4)))
    with pytest.raises(ValueError, match="expected one heading of the heatmap's shape"):
        Belief.from_scores(np.zeros((1, 10, 12)), [0.0], GRID, headings=headings)
