"""The VIGOR and CVACT writers: what they say of the town is what their pictures show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyproj
import pytest
from numpy.typing import NDArray
from scipy.io import loadmat

from cross_view_localizer.geo import MapFrame
from cross_view_localizer.grid import Grid
from training.town.layouts import cvact, mercator, vigor
from training.town.town import Town

NO_MAP = np.empty(0, dtype=np.float32)  # OpenCV's second map, where the first has both


def test_mercator_pixels_are_those_of_proj() -> None:
    project = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True)
    for latitude, longitude in ((41.8, -87.6), (-35.3, 149.1)):
        x, y = project.transform(longitude, latitude)
        half = 20037508.342789244
        expected = np.array([x + half, half - y]) / (2 * half) * 256 * 2**20
        uv = mercator.to_pixel(latitude, longitude, 20)
        assert uv == pytest.approx(expected, abs=1e-3)
        assert mercator.to_degrees(uv, 20) == pytest.approx((latitude, longitude), abs=1e-10)


def _picture(path: Path) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path))
    assert picture is not None, path
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _gray(picture: Any) -> NDArray[np.float32]:
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(gray, (0, 0), 1.5), dtype=np.float32)


def _mismatch(
    town: Town, picture: NDArray[np.uint8], uv: tuple[float, float], gsd: float, place: Any
) -> float:
    """Pixels between what a tile shows around ``uv`` and the town's picture at a place.

    An affine fit, since Mercator's pixels are 0.4 % longer one way than the other.
    """
    size = 181
    x, y = MapFrame(town.datum).to_map(*place).tolist()
    pixels = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1)
    at = town.grid.map_to_pixel(Grid(size, size, gsd, (x, y)).pixel_to_map(pixels))
    true = cv2.remap(town.aerial, at.astype(np.float32), NO_MAP, cv2.INTER_CUBIC)
    seen = cv2.getRectSubPix(picture, (size, size), uv)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-7)
    start = np.eye(2, 3, dtype=np.float32)
    _, warp = cv2.findTransformECC(_gray(true), _gray(seen), start, cv2.MOTION_AFFINE, stop)
    middle = np.full(2, (size - 1) / 2)
    return float(np.hypot(*(warp[:, :2] @ middle + warp[:, 2] - middle)))


def test_a_vigor_label_points_at_what_the_town_shows_at_the_truth(tmp_path: Path) -> None:
    truths = {t.key: t for t in vigor.write(tmp_path, per_city=2, cities=("Seattle",), seeds=(11,))}
    town = vigor.town_of("Seattle", 11)
    rows = (tmp_path / "splits__corrected/Seattle/pano_label_balanced__corrected.txt").read_text()
    for row in rows.splitlines():
        name, tile, south, west = row.split()[:4]
        place = (truths[name].latitude, truths[name].longitude)
        picture = _picture(tmp_path / "Seattle/satellite" / tile)
        uv = (319.5 - int(west), 319.5 + int(south))
        assert _mismatch(town, picture, uv, 0.100817, place) < 0.1
        said = [float(word) for word in name.split(",")[1:3]]
        assert said == pytest.approx(place, abs=6e-7)


def test_vigors_lists_hold_what_the_folders_hold(tmp_path: Path) -> None:
    truths = vigor.write(tmp_path, per_city=2, cities=("Seattle", "Chicago"), reach=25)
    for city in ("Seattle", "Chicago"):
        for folder, end in (("splits", ""), ("splits__corrected", "__corrected")):
            lists = tmp_path / folder / city
            tiles = set((lists / "satellite_list.txt").read_text().split("\n")) - {""}
            assert tiles == {p.name for p in (tmp_path / city / "satellite").iterdir()}
            every = (lists / f"pano_label_balanced{end}.txt").read_text()
            halves = "".join(
                (lists / f"same_area_balanced_{half}{end}.txt").read_text()
                for half in ("train", "test")
            )
            assert halves == every
            rows = [row.split() for row in every.splitlines()]
            assert all(len(row) == 13 and {row[i] for i in (1, 4, 7, 10)} <= tiles for row in rows)
            if end:
                assert all(abs(int(row[i])) <= 25 for row in rows for i in (2, 3))
        names = {p.name for p in (tmp_path / city / "panorama").iterdir()}
        assert names == {t.key for t in truths if t.group == city}
    picture = _picture(next((tmp_path / "Chicago/panorama").iterdir()))
    assert picture.shape == (1024, 2048, 3)


def test_original_labels_count_320_pixels_a_step_of_degrees(tmp_path: Path) -> None:
    """The constants that the original labels took for 0.114 m a pixel, in every city."""
    vigor.write(tmp_path, per_city=1, cities=("Chicago",))
    row = (tmp_path / "splits/Chicago/pano_label_balanced.txt").read_text().split()
    latitude, longitude = (float(word) for word in row[0].split(",")[1:3])
    for at in (1, 4, 7, 10):
        tile = [float(word) for word in row[at][:-4].split("_")[1:]]
        degrees = np.array([float(row[at + 1]), float(row[at + 2])]) / 320
        expected = degrees * (0.00032807245, 0.00043301140)
        assert np.array(tile) - (latitude, longitude) == pytest.approx(expected, abs=1e-9)


def test_cvact_has_its_camera_in_the_middle_of_each_tile(tmp_path: Path) -> None:
    truths = {t.key: t for t in cvact.write(tmp_path, count=3, seed=12)}
    town = cvact.town_of(12)
    content = loadmat(tmp_path / "ACT_data.mat")
    train, val = content["trainSet"]["trainInd"][0][0], content["valSet"]["valInd"][0][0]
    assert sorted([*train[:, 0], *val[:, 0]]) == [1, 2, 3]
    to_degrees = pyproj.Transformer.from_crs("EPSG:32755", "EPSG:4326", always_xy=True)
    for name, utm in zip(content["panoIds"], content["utm"], strict=True):
        truth = truths[f"{name}_grdView.png"]
        longitude, latitude = to_degrees.transform(*utm)
        assert (latitude, longitude) == pytest.approx((truth.latitude, truth.longitude), abs=1e-9)
        path = tmp_path / "satview_polish" / f"{name}_satView_polish.png"
        picture = _picture(path)
        gsd = 156543.03392 * np.cos(np.radians(latitude)) / 2**21
        # 0.3 of these pixels are 2 cm, a tenth of the town's own
        assert _mismatch(town, picture, (599.5, 599.5), gsd, (latitude, longitude)) < 0.3
        assert (tmp_path / "streetview" / f"{name}_grdView.png").is_file()
