from __future__ import annotations

import math

import numpy as np
import pytest
from heatmaps import heatmap_of

pytest.importorskip("nav_msgs.msg")

from cross_view_localizer.belief.heatmap import Heatmap  # noqa: E402
from cross_view_localizer.grid import Grid  # noqa: E402
from cross_view_localizer.ros.outgoing.heatmap_grid import (  # noqa: E402
    display_grid,
    display_scale,
    heatmap_message,
)


def blob(up: float, center: tuple[float, float] = (103.3, -57.8), std: float = 2.0) -> Heatmap:
    """A Gaussian 7 m ahead and 4 m to the right of the grid's middle."""
    grid = Grid(96, 96, 0.5, center, up)
    u, v = np.meshgrid(np.arange(96), np.arange(96))
    at = np.array([47.5 + 8, 47.5 - 14])
    return heatmap_of(-((u - at[0]) ** 2 + (v - at[1]) ** 2) * 0.125 / std**2, grid)


@pytest.mark.parametrize("up", [0.0, 0.3, math.pi / 2, 2.5, -1.2])
@pytest.mark.parametrize("resolution", [0.0, 0.25, 1.0, 1.5])
def test_mass_and_maximum_survive_resampling(up: float, resolution: float) -> None:
    heatmap = blob(up)
    grid = display_grid(heatmap.grid, resolution)
    mass = heatmap.mass_on(grid)
    assert mass.sum() == pytest.approx(1.0, abs=1e-5)
    rows, columns = np.indices(mass.shape)
    uv = np.array([(mass * columns).sum(), (mass * rows).sum()])
    expected = heatmap.grid.pixel_to_map((55.5, 33.5))
    np.testing.assert_allclose(grid.pixel_to_map(uv), expected, atol=0.05)
    row, column = np.unravel_index(mass.argmax(), mass.shape)
    found = grid.pixel_to_map((column, row))
    cell = max(grid.gsd, heatmap.grid.gsd)  # whichever is the coarser
    assert np.abs(found - heatmap.peak_xy()).max() <= cell


def test_size_depends_on_neither_place_nor_heading() -> None:
    grids = [
        display_grid(blob(up, (x, 2 * x)).grid, 0.0)
        for up in np.linspace(-3, 3, 13)
        for x in (0.0, 0.13, -77.77)
    ]
    assert len({(g.width, g.height, g.gsd) for g in grids}) == 1
    for grid in grids:
        assert grid.up == math.pi / 2
        assert grid.center[0] / grid.gsd == pytest.approx(round(grid.center[0] / grid.gsd))


def test_support_fits_at_any_heading() -> None:
    for up in np.linspace(0, 1.6, 9):
        source = blob(float(up)).grid
        corners = source.pixel_to_map([(-0.5, -0.5), (95.5, -0.5), (-0.5, 95.5), (95.5, 95.5)])
        uv = display_grid(source, 0.0).map_to_pixel(corners)
        assert (uv >= -0.5).all() and (uv <= display_grid(source, 0.0).width - 0.5).all()


def test_scale_is_for_eyes() -> None:
    mass = np.array([[0.5, 0.25, 0.0051, 0.0049, 0.0]], np.float32)
    values = display_scale(mass)
    assert values.tolist() == [[98, 1 + round(97 * math.sqrt(0.5)), 11, 0, 0]]
    assert display_scale(np.zeros((2, 2), np.float32)).max() == 0


def test_message_is_bottom_up() -> None:
    heatmap = blob(math.pi / 2)
    message = heatmap_message(heatmap, 12_345_678_901, "map", 0.5)
    cells = np.array(message.data, np.int16).reshape(message.info.height, message.info.width)
    row, column = np.unravel_index(cells.argmax(), cells.shape)
    size, origin = message.info.resolution, message.info.origin.position
    peak = heatmap.peak_xy()
    assert abs(origin.x + (column + 0.5) * size - peak[0]) <= size
    assert abs(origin.y + (row + 0.5) * size - peak[1]) <= size
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (12, 345_678_901)
