"""Patches against maps of known content: where every pixel lies, to a tenth of a pixel."""

from __future__ import annotations

import math
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from map_fixtures import (
    OXFORD,
    north_up,
    pattern,
    pixel_positions,
    shift_of,
    transform_at,
    write_pattern,
    write_raster,
)
from rasterio.enums import Resampling

from cross_view_localizer.geo import Datum
from cross_view_localizer.grid import Grid
from cross_view_localizer.map import satellite_map
from cross_view_localizer.map.satellite_map import SatelliteMap

WAVE = 12.0
TENTH = 0.1

# UTM, the British grid, web-mercator (0.62 m on the ground per metre), degrees, and axes turned as
# RobotCar's stitched map has them.
KINDS = {
    "utm": {"crs": "EPSG:32630"},
    "british": {"crs": "EPSG:27700"},
    "mercator": {"crs": "EPSG:3857", "gsd": 0.3},
    "degrees": {"crs": "EPSG:4326"},
    "turned": {"crs": "EPSG:32630", "turn": 31.37},
}


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, SatelliteMap]]:
    folder = tmp_path_factory.mktemp("maps")
    opened = {
        name: SatelliteMap.open(
            write_pattern(folder / f"{name}.tif", tiled=True, **kind),  # type: ignore[arg-type]
            datum=OXFORD,
        )
        for name, kind in KINDS.items()
    }
    yield opened
    for opened_map in opened.values():
        opened_map.close()


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=10, deadline=None)
@given(
    up=st.floats(-7, 7),
    gsd=st.floats(0.08, 1.1),
    x=st.floats(-12, 12),
    y=st.floats(-12, 12),
    width=st.integers(20, 130),
    height=st.integers(20, 130),
)
def test_content_lies_where_the_grid_says(
    maps: dict[str, SatelliteMap],
    name: str,
    up: float,
    gsd: float,
    x: float,
    y: float,
    width: int,
    height: int,
) -> None:
    grid = Grid(width, height, min(gsd, 50 / max(width, height)), (x, y), up)
    patch = maps[name].patch(grid)
    assert patch.grid is grid and patch.image.shape == (height, width, 3)
    assert patch.coverage == 1.0
    assert max(map(abs, shift_of(patch, WAVE))) < TENTH


@pytest.mark.parametrize("name", KINDS)
def test_the_native_scale_is_measured_on_the_ground(
    maps: dict[str, SatelliteMap], name: str
) -> None:
    # A mercator metre is 0.62 m at Oxford.
    expected = 0.3 * math.cos(math.radians(OXFORD.latitude)) if name == "mercator" else 0.2
    assert maps[name].gsd == pytest.approx(expected, rel=0.005)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Path]:
    """A map of more pixels, with overviews by a method, of the given side."""
    folder = tmp_path_factory.mktemp("large")

    def make(method: str, size: int) -> Path:
        plain, path = folder / f"none{size}.tif", folder / f"{method}{size}.tif"
        if not plain.exists():
            write_pattern(plain, size=size, wavelength=60.0, tiled=True)
        if not path.exists():
            shutil.copy(plain, path)
            with rasterio.open(path, "r+") as dataset:
                dataset.build_overviews([2, 4, 8], Resampling[method])
        return path

    return make


@pytest.mark.parametrize("method", ["none", "nearest", "average", "cubic"])
@pytest.mark.parametrize("size", [1600, 1597])
@pytest.mark.parametrize("gsd", [0.9, 1.6, 3.3, 6.5])
def test_coarse_patches_through_overviews_lie_right(
    large: Callable[[str, int], Path], method: str, size: int, gsd: float
) -> None:
    opened = SatelliteMap.open(large(method, size), datum=OXFORD)
    for center in [(-30.0, 20.0), (30.0, -35.0)]:
        patch = opened.patch(Grid(30, 30, gsd, center, 0.4))
        assert max(map(abs, shift_of(patch, 60.0))) < TENTH
    opened.close()


@pytest.mark.parametrize("gsd", [0.3, 0.4, 0.55, 1.0, 1.37])
def test_coarser_patches_average_and_do_not_alias(tmp_path: Path, gsd: float) -> None:
    noise = np.random.default_rng(1).integers(0, 2, (3, 600, 600), dtype=np.uint8) * 255
    path = write_raster(
        tmp_path / "noise.tif",
        noise,
        crs="EPSG:32630",
        transform=transform_at(OXFORD, "EPSG:32630", 0.2, 600),
    )
    patch = SatelliteMap.open(path, datum=OXFORD).patch(Grid(60, 60, gsd, (0, 0), 0.7))
    ratio = gsd / 0.2
    # Noise averaged over ratio² pixels keeps 1/ratio of its spread; picked, it keeps all.
    assert patch.image.std() < 1.25 * 127.5 / ratio
    assert patch.image.mean() == pytest.approx(127.5, abs=6)


def test_patches_a_little_coarser_do_not_alias_either(tmp_path: Path) -> None:
    stripes = np.zeros((3, 600, 600), dtype=np.uint8)
    stripes[..., ::2] = 255
    transform = transform_at(OXFORD, "EPSG:32630", 0.2, 600)
    path = write_raster(tmp_path / "stripes.tif", stripes, crs="EPSG:32630", transform=transform)
    # Looked up between pixels without smoothing, 1.9 px apart, they would beat with a spread of 70.
    assert SatelliteMap.open(path, datum=OXFORD).patch(north_up(100, 0.38)).image.std() < 30


def test_the_rim_is_where_the_raster_ends(maps: dict[str, SatelliteMap]) -> None:
    # 500 px of 0.2 m in UTM: 50 m to each side, in axes turned by the grid convergence.
    patch = maps["utm"].patch(north_up(600, 0.2))
    positions = patch.grid.pixel_to_map(np.stack(np.meshgrid(range(600), range(600)), axis=-1))
    inside = maps["utm"].contains(positions)
    assert 0.67 < patch.coverage < 0.72
    assert (patch.valid != inside).mean() < 1e-4
    assert not patch.image[~patch.valid].any()
    patch = maps["utm"].patch(Grid(8, 8, 0.2, (500.0, 0.0)))
    assert patch.coverage == 0 and not patch.image.any()


def test_contains_takes_any_shape(maps: dict[str, SatelliteMap]) -> None:
    for opened in maps.values():
        inside = opened.contains(np.array([[[0.0, 0.0], [40.0, 0.0]], [[300.0, 0.0], [1e9, 0.0]]]))
        np.testing.assert_array_equal(inside, [[True, True], [False, False]])
        assert bool(opened.contains((0, 0))) is True


def test_positions_of_no_projection_have_no_imagery(maps: dict[str, SatelliteMap]) -> None:
    for opened in maps.values():
        assert opened.patch(Grid(16, 16, 0.2, (1.5e7, 1.5e7))).coverage == 0


def test_patches_larger_than_a_block_have_no_seams(
    large: Callable[[str, int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = SatelliteMap.open(large("none", 1600), datum=OXFORD)
    grid = Grid(300, 200, 0.5, (3.0, 4.0), 0.3)
    whole = opened.patch(grid)
    monkeypatch.setattr(satellite_map, "BLOCK", 64)
    pieces = opened.patch(grid)
    np.testing.assert_array_equal(whole.valid, pieces.valid)
    assert np.abs(whole.image.astype(int) - pieces.image).max() <= 2
    with pytest.raises(ValueError, match="at most 8192"):
        opened.patch(north_up(9000, 0.2))


def test_a_drive_sees_what_fresh_eyes_see(large: Callable[[str, int], Path]) -> None:
    path = large("none", 1600)
    driven = SatelliteMap.open(path, datum=OXFORD)
    for step in range(0, 12, 2):
        for gsd in (0.2, 0.53):
            grid = Grid(120, 120, gsd, (-100.0 + 18 * step, 5.0 * step), 0.3 * step)
            here = driven.patch(grid)
            fresh = SatelliteMap.open(path, datum=OXFORD).patch(grid)
            # Positions are rounded to 1/32 px in other places of other windows.
            assert np.abs(here.image.astype(int) - fresh.image).max() <= 3
            np.testing.assert_array_equal(here.valid, fresh.valid)


def test_kept_windows_are_bounded(
    large: Callable[[str, int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cross_view_localizer.map import source_windows

    monkeypatch.setattr(source_windows, "CACHE_BYTES", 1 << 20)
    monkeypatch.setattr(source_windows, "MARGIN", 16)
    opened = SatelliteMap.open(large("none", 1600), datum=OXFORD)
    for step in range(20):
        opened.patch(north_up(100, 0.2, (-140.0 + 14 * step, 0.0)))
    kept = opened._windows._kept
    assert 1 < len(kept) and sum(window.nbytes for _, window in kept) <= 1 << 20


def test_two_threads_get_the_same_as_one(large: Callable[[str, int], Path]) -> None:
    opened = SatelliteMap.open(large("none", 1600), datum=OXFORD)
    grids = [Grid(90, 90, 0.3, (7.0 * i - 60, 40.0 - 5 * i), i) for i in range(12)]
    expected = [opened.patch(grid).image for grid in grids]
    opened._windows.clear()
    found: dict[int, np.ndarray] = {}

    def work(start: int) -> None:
        for index in range(start, len(grids), 2):
            found[index] = opened.patch(grids[index]).image

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, image in enumerate(expected):
        assert np.abs(found[index].astype(int) - image).max() <= 3


def test_offset_moves_the_imagery_by_its_amount(tmp_path: Path) -> None:
    path = write_pattern(tmp_path / "map.tif")
    moved = SatelliteMap.open(path, datum=OXFORD, offset=(2.0, -0.6))
    right, down = shift_of(moved.patch(Grid(101, 101, 0.5, (0, 0))), WAVE)
    # What the file shows 2 m west of a place is at it: content moves right by 4 px and down by 1.2.
    expected = pattern(moved.patch(north_up(3, 0.5)).grid.pixel_to_map((1, 1)) - (2.0, -0.6), WAVE)
    np.testing.assert_allclose(moved.patch(north_up(3, 0.5)).image[1, 1], expected, atol=3)
    assert moved.offset == (2.0, -0.6)
    assert bool(moved.contains((51.5, 0.0))) and not bool(moved.contains((-49.5, 0.0)))


def test_without_a_datum_the_middle_is_taken(tmp_path: Path) -> None:
    opened = SatelliteMap.open(write_pattern(tmp_path / "map.tif"))
    assert opened.datum.latitude == pytest.approx(OXFORD.latitude, abs=1e-7)
    assert opened.datum.longitude == pytest.approx(OXFORD.longitude, abs=1e-7)


def test_a_datum_beside_the_map_still_gives_its_scale(tmp_path: Path) -> None:
    path = write_pattern(tmp_path / "map.tif")
    there = SatelliteMap.open(path, datum=Datum(51.76, -1.26))
    assert there.gsd == pytest.approx(0.2, rel=0.001)
    x, y = there.frame.to_map(OXFORD.latitude, OXFORD.longitude)
    assert bool(there.contains((x, y))) and not bool(there.contains((0, 0)))


def test_a_pixel_in_the_raster_is_the_same_pixel_in_the_patch(tmp_path: Path) -> None:
    """Corner-based affines: one bright pixel shows that no half pixel is lost."""
    bands = np.zeros((3, 101, 101), dtype=np.uint8)
    bands[:, 30, 70] = 255
    transform = transform_at(OXFORD, "EPSG:32630", 0.5, 101)
    path = write_raster(tmp_path / "dot.tif", bands, crs="EPSG:32630", transform=transform)
    place = pixel_positions(101, 101, transform, "EPSG:32630", OXFORD)[30, 70]
    patch = SatelliteMap.open(path, datum=OXFORD).patch(
        Grid(21, 21, 0.1, (float(place[0]), float(place[1])), 1.1)
    )
    weights = patch.image[..., 0].astype(float)
    v, u = np.indices(weights.shape)
    middle = (weights * u).sum() / weights.sum(), (weights * v).sum() / weights.sum()
    np.testing.assert_allclose(middle, (10, 10), atol=TENTH)
