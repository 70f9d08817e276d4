"""Heatmaps: what their numbers mean, on grids of any orientation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from heatmaps import heatmap_of
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cross_view_localizer.belief.heatmap import Heatmap
from cross_view_localizer.grid import Grid

GRID = Grid(61, 61, 0.5, (10.0, -4.0), up=0.7)
settings.register_profile("quick", max_examples=30, deadline=None, derandomize=True)
settings.load_profile("quick")
coordinate = st.floats(-10, 10)
angle = st.floats(-math.pi, math.pi)


def gaussian(grid: Grid, xy: tuple[float, float], std: float) -> NDArray[np.float64]:
    uv = np.stack(np.meshgrid(np.arange(grid.width), np.arange(grid.height)), axis=-1)
    distance = grid.pixel_to_map(uv) - np.asarray(xy)
    return np.asarray(-0.5 * (distance**2).sum(axis=-1) / std**2)


def around(grid: Grid, right: float, down: float) -> tuple[float, float]:
    """A place near the middle, in cells."""
    x, y = grid.pixel_to_map(((grid.width - 1) / 2 + right, (grid.height - 1) / 2 + down))
    return float(x), float(y)


@given(coordinate, coordinate, angle)
def test_the_peak_of_a_gaussian_is_exact_between_cells(u: float, v: float, up: float) -> None:
    grid = Grid(61, 61, 0.5, (10.0, -4.0), up)
    truth = around(grid, u, v)
    heatmap = heatmap_of(gaussian(grid, truth, 1.5), grid)
    assert np.allclose(heatmap.peak_xy(), truth, atol=1e-3)
    assert np.hypot(*(heatmap.argmax_xy() - truth)) <= 0.5 * math.sqrt(0.5) + 1e-6


@given(st.integers(0, 2**32 - 1))
def test_the_peak_never_leaves_its_cell(seed: int) -> None:
    scores = np.random.default_rng(seed).normal(0, 3, (61, 61))
    heatmap = heatmap_of(scores, GRID)
    offset = GRID.map_to_pixel(heatmap.peak_xy()) - GRID.map_to_pixel(heatmap.argmax_xy())
    assert np.abs(offset).max() <= 0.5 + 1e-9


def test_a_peak_in_the_corner_is_its_cell() -> None:
    heatmap = heatmap_of(gaussian(GRID, tuple(GRID.pixel_to_map((0, 0))), 2.0), GRID)
    assert np.allclose(heatmap.peak_xy(), GRID.pixel_to_map((0, 0)))


def spread(heatmap: Heatmap, xy: tuple[float, float]) -> float:
    """The variance along x about a point, m²."""
    uv = np.stack(np.meshgrid(np.arange(61), np.arange(61)), axis=-1)
    return float((heatmap.mass * (heatmap.grid.pixel_to_map(uv)[..., 0] - xy[0]) ** 2).sum())


def test_scores_become_mass_and_temperature_flattens() -> None:
    scores = gaussian(GRID, (10, -4), 1.0)
    sharp, flat = heatmap_of(scores, GRID), heatmap_of(scores, GRID, 4.0)
    assert sharp.log_mass.dtype == np.float32
    assert sharp.mass.sum() == pytest.approx(1, abs=1e-5)
    # A Gaussian to the power 1/4 has twice the standard deviation.
    assert spread(flat, (10, -4)) == pytest.approx(4 + 0.25 / 12, rel=0.01)
    assert flat.entropy() - sharp.entropy() == pytest.approx(math.log(4), abs=0.01)


def test_headings_are_summed_over_and_empty_cells_stay_empty() -> None:
    scores = np.stack([gaussian(GRID, (10, -4), 1.0), gaussian(GRID, (13, -4), 1.0)])
    support = np.ones((61, 61), dtype=bool)
    support[:, :5] = False
    heatmap = heatmap_of(scores, GRID, support=support, background=0.1)
    assert heatmap.mass.sum() == pytest.approx(1, abs=1e-5)
    assert (heatmap.mass[:, :5] == 0).all()
    assert heatmap.mass[:, 5:].min() == pytest.approx(0.1 / support.sum(), rel=0.01)
    assert heatmap.mass_within((10, -4), 1.5) == pytest.approx(
        heatmap.mass_within((13, -4), 1.5), rel=0.03
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_mean_nothing_are_refused(bad: float) -> None:
    scores = np.zeros((61, 61))
    scores[3, 4] = bad
    with pytest.raises(ValueError, match="NaN|peaks at inf"):
        heatmap_of(scores, GRID)
    with pytest.raises(ValueError, match="of 61 x 61"):
        heatmap_of(np.zeros((60, 61)), GRID)


@given(coordinate, coordinate)
def test_log_density_is_that_of_the_gaussian_and_does_not_depend_on_the_cells(
    u: float, v: float
) -> None:
    mean = around(GRID, 1.3, -2.1)
    xy = around(GRID, u / 2, v / 2)
    truth = -0.5 * ((np.subtract(xy, mean)) ** 2).sum() / 2**2 - math.log(2 * math.pi * 2**2)
    for size, gsd in ((61, 0.5), (183, 0.5 / 3)):
        grid = Grid(size, size, gsd, GRID.center, GRID.up)
        heatmap = heatmap_of(gaussian(grid, mean, 2.0), grid)
        assert float(heatmap.log_density(xy)) == pytest.approx(truth, abs=0.05)


def test_log_density_integrates_to_one_and_is_empty_outside() -> None:
    heatmap = heatmap_of(np.random.default_rng(0).normal(0, 2, (61, 61)), GRID)
    steps = np.arange(61 * 8) / 8 - 0.5 + 1 / 16
    uv = np.stack(np.meshgrid(steps, steps), axis=-1)
    integral = np.exp(heatmap.log_density(GRID.pixel_to_map(uv))).mean() * (61 * 0.5) ** 2
    assert integral == pytest.approx(1, abs=0.01)
    assert heatmap.log_density(GRID.pixel_to_map((-0.6, 5))) == -np.inf
    assert heatmap.log_density(np.zeros((2, 3, 2))).shape == (2, 3)


def test_the_level_of_a_point_of_a_gaussian_is_its_chi_square_probability() -> None:
    grid = Grid(201, 201, 0.1, (0.0, 0.0))
    heatmap = heatmap_of(gaussian(grid, (0, 0), 1.0), grid)
    for distance in (0.5, 1.0, 2.0):
        expected = 1 - math.exp(-(distance**2) / 2)
        assert heatmap.credible_level((distance, 0)) == pytest.approx(expected, abs=0.02)
        assert heatmap.mass_within((0, 0), distance) == pytest.approx(expected, abs=0.02)
    assert heatmap.credible_level((0, 0)) == 0.0
    assert heatmap.credible_level((50, 0)) == 1.0


def test_truths_drawn_from_the_heatmap_lie_in_its_90_percent_region_90_times_in_100() -> None:
    random = np.random.default_rng(1)
    heatmap = heatmap_of(random.normal(0, 2, (61, 61)), GRID)
    cells = random.choice(61 * 61, size=2000, p=heatmap.mass.ravel() / heatmap.mass.sum())
    xy = GRID.pixel_to_map(np.stack([cells % 61, cells // 61], axis=-1))
    inside = np.mean([heatmap.credible_level(p) < 0.9 for p in xy])
    assert inside == pytest.approx(0.9, abs=0.03)


def test_modes_have_their_places_masses_and_covariances() -> None:
    scores = np.logaddexp(gaussian(GRID, (7.1, -4), 0.8), gaussian(GRID, (14, -2.2), 1.2) - 1.5)
    first, second = heatmap_of(scores, GRID).modes()
    # A wider mode of a lower peak: (1.2 / 0.8)² e^-1.5 of the mass.
    share = 1.5**2 * math.exp(-1.5)
    assert (first.x, first.y) == pytest.approx((7.1, -4), abs=0.02)
    assert (second.x, second.y) == pytest.approx((14, -2.2), abs=0.02)
    assert second.mass / first.mass == pytest.approx(share, rel=0.03)
    assert first.mass + second.mass == pytest.approx(1, abs=1e-3)
    assert np.allclose(first.covariance, np.eye(2) * (0.64 + 0.25 / 12), atol=0.03)
    assert np.allclose(second.covariance, np.eye(2) * (1.44 + 0.25 / 12), atol=0.06)


def test_the_chosen_mode_comes_first_even_with_less_mass() -> None:
    scores = np.logaddexp(gaussian(GRID, (5, -4), 0.6), gaussian(GRID, (14, -2), 2.5) - 1.5)
    heatmap = heatmap_of(scores, GRID)
    first, second = heatmap.modes()
    assert (first.x, first.y) == pytest.approx(tuple(heatmap.peak_xy()))
    assert second.mass > first.mass


@given(st.integers(0, 2**32 - 1), st.floats(2.0, 6.0))
def test_basins_share_all_mass_and_peaks_keep_their_distance(seed: int, separation: float) -> None:
    scores = np.random.default_rng(seed).normal(0, 1.5, (24, 24))
    scores[:, :3] = -np.inf
    heatmap = heatmap_of(scores, Grid(24, 24, 0.5, (0.0, 0.0), 1.1))
    modes = heatmap.modes(max_modes=2000, min_mass=0.0, separation=separation)
    assert sum(mode.mass for mode in modes) == pytest.approx(1, abs=1e-4)
    xy = np.array([(mode.x, mode.y) for mode in modes])
    apart = np.hypot(*(xy[:, None] - xy[None]).T) + np.eye(len(xy)) * 100
    assert apart.min() >= separation - 2 * 0.5
    # Ripples: every mode's covariance is one.
    assert all(np.linalg.eigvalsh(mode.covariance)[0] > 0 for mode in modes)


def test_a_flat_heatmap_has_one_mode_and_no_endless_climb() -> None:
    modes = heatmap_of(np.zeros((61, 61)), GRID).modes()
    assert len(modes) == 1
    assert modes[0].mass == pytest.approx(1, abs=1e-4)


@given(coordinate, coordinate, angle, st.sampled_from([0.25, 0.5, 0.9]))
def test_resampling_conserves_mass_and_keeps_the_peak(
    u: float, v: float, up: float, gsd: float
) -> None:
    source = Grid(61, 61, 0.5, (10.0, -4.0), up)
    truth = around(source, u, v)
    heatmap = heatmap_of(gaussian(source, truth, 1.2), source)
    size = math.ceil(61 * 0.5 * math.sqrt(2) / gsd) + 1
    target = Grid(size, size, gsd, (10.0, -4.0))
    assert heatmap.mass_on(target).sum() == pytest.approx(1, abs=1e-3)
    mass = heatmap.mass_on(target)
    row, column = np.unravel_index(mass.argmax(), mass.shape)
    apart = np.abs(target.pixel_to_map((column, row)) - heatmap.peak_xy()).max()
    assert apart <= max(gsd, 0.5)
    # Cells that the source does not cover hold nothing.
    uv = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1)
    far = ~source.contains(target.pixel_to_map(uv)) & (mass > 0)
    inside = Grid(64, 64, 0.5, source.center, up)
    assert inside.contains(target.pixel_to_map(uv)[far]).all()


def test_resampling_to_where_there_is_nothing_gives_nothing() -> None:
    heatmap = heatmap_of(np.zeros((61, 61)), GRID)
    assert not heatmap.mass_on(Grid(5, 5, 0.5, (500.0, 0.0))).any()


def test_a_moved_heatmap_is_the_same_elsewhere() -> None:
    heatmap = heatmap_of(gaussian(GRID, (10, -4), 1.0), GRID)
    moved = heatmap.moved((1.5, -0.25))
    assert np.allclose(moved.peak_xy() - heatmap.peak_xy(), (1.5, -0.25))
    assert moved.credible_level((11.0, -4.0)) == heatmap.credible_level((9.5, -3.75))
