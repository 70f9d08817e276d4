"""Towns under the papers' protocols: the truth is the town's, the tiles are VIGOR's."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from cross_view_localizer.grid import Grid
from cross_view_localizer.map.satellite_map import SatelliteMap
from cross_view_localizer.views import View
from training.datasets import town_cache
from training.datasets.pair import DatasetError
from training.datasets.town import TownReader, benchmark
from training.town import manifest
from training.town.drive import write_map
from training.town.manifest import load
from training.town.town import Town

SMALL = {"towns": 2, "frames": 3, "width": 48, "height": 24}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_cross_area_is_the_benchmark(cache: Path) -> None:
    reader = TownReader("cross", "validation", cache=cache, **SMALL)  # type: ignore[arg-type]
    frames = load("validation")
    chosen = [f for f in frames if f.seed in (100_000, 100_001) and f.index < 3]
    for index, frame in enumerate(chosen):
        label = reader.label(index)
        assert label.position == (frame.pose.x, frame.pose.y)
        assert label.yaw == frame.pose.yaw
        np.testing.assert_allclose(label.grid.center, frame.prior, atol=1e-9)


def test_the_benchmark_tells_its_priors_on_the_towns_own_map(cache: Path) -> None:
    view = View("pinhole", 48, 32, 64, 0.5, 48, 1.0)
    reader = benchmark(view, "validation", range(1, 2), 3, cache)
    frames = [f for f in load("validation") if f.seed == 100_001][:3]
    assert len(reader) == 3 and reader.tags["split"] == "benchmark validation"
    town = Town(100_001)
    write_map(cache / "map.tif", town)
    satellite_map = SatelliteMap.open(cache / "map.tif")
    for index, frame in enumerate(frames):
        label = reader.label(index)
        np.testing.assert_allclose(label.grid.center, frame.prior, atol=1e-9)
        assert label.heading - label.yaw == pytest.approx(frame.heading_error)
        assert label.prior_half == (18.0, pytest.approx(math.radians(5)))
        seen = reader.ground(label)
        rendered = town.render(frame.pose, "pinhole", 48, 32, "validation", frame.index)
        np.testing.assert_array_equal(seen.image, rendered.image)
        np.testing.assert_array_equal(seen.rotation, rendered.rotation)
        assert seen.true_rotation is not None
        np.testing.assert_array_equal(seen.true_rotation, rendered.true_rotation)
        grid = Grid(64, 64, 0.5, frame.prior, label.heading)
        shown = satellite_map.patch(grid).image
        np.testing.assert_array_equal(reader.aerial(label, grid), shown)
    with pytest.raises(DatasetError, match="kept for validation"):
        reader.label(0, np.random.default_rng(0))


def test_four_tiles_cover_a_camera_one_of_them_in_its_middle(cache: Path) -> None:
    reader = TownReader("same", tiles="all", cache=cache, **SMALL)  # type: ignore[arg-type]
    assert len(reader) == 2 * 3 * 4
    assert len(TownReader("train", tiles="all", cache=cache, **SMALL)) == 6  # type: ignore[arg-type]
    for frame in range(6):
        tiles = [reader.label(4 * frame + tile) for tile in range(4)]
        offsets = np.abs([np.subtract(t.position, t.grid.center) for t in tiles])
        assert (offsets[0] <= 18).all() and (offsets <= 36 + 1e-9).all()
        assert (offsets[1:].max(axis=1) >= 18).all()
        centres = np.array([t.grid.center for t in tiles])
        np.testing.assert_allclose(np.ptp(centres, axis=0), 36)
    rng = np.random.default_rng(0)
    training = TownReader("train", tiles="all", cache=cache, **SMALL)  # type: ignore[arg-type]
    drawn = [training.label(0, rng) for _ in range(300)]
    middle = [np.abs(np.subtract(d.position, d.grid.center)).max() < 18 for d in drawn]
    assert 0.17 < np.mean(middle) < 0.33  # one tile in four is the positive one


def test_pictures_are_the_towns(cache: Path) -> None:
    reader = TownReader("train", cache=cache, **SMALL)  # type: ignore[arg-type]
    label = reader.label(4)
    town = Town(1)
    pose = town.poses(3, "train")[1]
    frame = town.render(pose, "panorama", 48, 24, "train", 1)
    np.testing.assert_array_equal(reader.ground(label).image, frame.image)
    shown = reader.aerial(label, label.grid).astype(float)
    centre = np.round(town.grid.map_to_pixel(label.grid.center)).astype(int)
    around = town.aerial[centre[1] - 60 : centre[1] + 60, centre[0] - 60 : centre[0] + 60]
    assert abs(shown[43:85, 43:85].mean() - around.mean()) < 12


def test_days_share_places_but_not_their_light(cache: Path) -> None:
    days = [
        TownReader("same", light=day, cache=cache, **SMALL)  # type: ignore[arg-type]
        for day in (0, 1)
    ]
    a, b = (day.label(1) for day in days)
    assert a.position == b.position
    assert a.ground_file != b.ground_file
    assert not np.array_equal(days[0].ground(a).image, days[1].ground(b).image)


def test_nobody_trains_on_towns_that_are_kept(cache: Path) -> None:
    rng = np.random.default_rng(0)
    for area in ("same", "cross"):
        reader = TownReader(area, cache=cache, **SMALL)  # type: ignore[arg-type]
        with pytest.raises(DatasetError, match="kept for"):
            reader.label(0, rng)


def test_mistakes_end_in_one_line(cache: Path) -> None:
    for options in (
        {"area": "far"},
        {"tiles": "some"},
        {"towns": 0},
        {"area": "cross", "split": "x"},
    ):
        with pytest.raises(DatasetError, match="expected"):
            TownReader(cache=cache, **(SMALL | options))  # type: ignore[arg-type]


def test_a_later_editions_cache_follows_its_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures of before a change are not taken for what the changed towns look like."""
    listed = tmp_path / "listed.json"
    monkeypatch.setattr(manifest, "path_of", lambda edition: listed)

    def folders() -> tuple[Path, Path]:
        later, first = town_cache.Recipe(edition="town-v2"), town_cache.Recipe()
        return town_cache.folder_of(tmp_path, later, 7), town_cache.folder_of(tmp_path, first, 7)

    listed.write_text("{}")
    before = folders()
    assert folders() == before
    listed.write_text('{"changed": 1}')
    after = folders()
    assert after[0] != before[0] and after[1] == before[1]


@pytest.mark.parametrize("towns", [range(100_010, 0, -100), range(99_990, 100_010)])
def test_no_end_of_a_range_of_training_towns_is_a_kept_one(tmp_path: Path, towns: range) -> None:
    with pytest.raises(ValueError, match="is kept for validation"):
        TownReader("train", towns=towns, frames=1, cache=tmp_path)
