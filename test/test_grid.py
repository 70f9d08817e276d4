"""Pixels of a grid and places in the map: round trips, directions and footprints."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cross_view_localizer.grid import Grid

places = st.tuples(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5))
pixels = st.tuples(st.floats(-2000, 2000), st.floats(-2000, 2000))
grids = st.builds(
    Grid,
    width=st.integers(1, 900),
    height=st.integers(1, 900),
    gsd=st.floats(0.01, 20),
    center=places,
    up=st.floats(-7, 7),
)


@given(grids, pixels)
def test_pixel_and_map_round_trip(grid: Grid, uv: tuple[float, float]) -> None:
    np.testing.assert_allclose(grid.map_to_pixel(grid.pixel_to_map(uv)), uv, atol=1e-6)


@given(grids)
def test_the_middle_is_the_centre(grid: Grid) -> None:
    middle = ((grid.width - 1) / 2, (grid.height - 1) / 2)
    np.testing.assert_allclose(grid.pixel_to_map(middle), grid.center, rtol=0, atol=1e-9)


@given(grids, pixels)
def test_image_up_points_up_and_right_is_clockwise_of_it(
    grid: Grid, uv: tuple[float, float]
) -> None:
    here = grid.pixel_to_map(uv)
    above = grid.pixel_to_map((uv[0], uv[1] - 1)) - here
    right = grid.pixel_to_map((uv[0] + 1, uv[1])) - here
    up = np.array([math.cos(grid.up), math.sin(grid.up)])
    np.testing.assert_allclose(above, grid.gsd * up, atol=1e-9)
    np.testing.assert_allclose(right, grid.gsd * np.array([up[1], -up[0]]), atol=1e-9)


def test_north_up_by_default() -> None:
    grid = Grid(5, 3, 2.0, (100.0, 200.0))
    np.testing.assert_allclose(grid.pixel_to_map((0, 0)), (96, 202))
    np.testing.assert_allclose(grid.pixel_to_map([(4, 0), (4, 2)]), [(104, 202), (104, 198)])
    assert grid.extent == (10.0, 6.0)


@given(grids, st.integers(1, 6), st.floats(-0.4, 0.4), st.floats(-0.4, 0.4))
def test_resampling_keeps_the_footprint(grid: Grid, s: int, u: float, v: float) -> None:
    finer = grid.resampled(grid.width * s, grid.height * s)
    np.testing.assert_allclose(finer.extent, grid.extent)
    uv = np.array([u * grid.width, v * grid.height])
    # The formula of a resize: u' = (u + 0.5) s − 0.5.
    expected = (uv + 0.5) * s - 0.5
    np.testing.assert_allclose(finer.map_to_pixel(grid.pixel_to_map(uv)), expected, atol=1e-5)


def test_resampling_to_other_proportions_is_refused() -> None:
    with pytest.raises(ValueError, match="cells stay square"):
        Grid(10, 20, 1.0, (0, 0)).resampled(20, 20)


@given(grids, pixels)
def test_contains_agrees_with_the_nearest_pixel(grid: Grid, uv: tuple[float, float]) -> None:
    nearest = np.floor(np.array(uv) + 0.5)
    # Away from the very edge, where rounding decides.
    assume((np.abs(np.array(uv) + 0.5 - np.round(np.array(uv) + 0.5)) > 1e-6).all())
    expected = bool((nearest >= 0).all() and (nearest < (grid.width, grid.height)).all())
    assert bool(grid.contains(grid.pixel_to_map(uv))) is expected


def test_contains_takes_arrays_and_nan_is_nowhere() -> None:
    grid = Grid(4, 4, 1.0, (0.0, 0.0))
    inside = grid.contains(np.array([[[0, 0], [1.99, 0]], [[2.01, 0], [math.nan, 0]]]))
    np.testing.assert_array_equal(inside, [[True, True], [False, False]])


@pytest.mark.parametrize(
    "bad",
    [
        {"width": 0},
        {"height": -1},
        {"gsd": 0.0},
        {"gsd": -1.0},
        {"gsd": math.nan},
        {"gsd": math.inf},
        {"center": (math.nan, 0.0)},
        {"up": math.inf},
    ],
)
def test_impossible_grids_are_refused(bad: dict[str, float]) -> None:
    good = {"width": 4, "height": 4, "gsd": 1.0, "center": (0.0, 0.0), "up": 0.0}
    with pytest.raises(ValueError, match="expected"):
        Grid(**{**good, **bad})  # type: ignore[arg-type]
