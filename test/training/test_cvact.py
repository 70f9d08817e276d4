from __future__ import annotations

import math
import shutil
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pyproj
import pytest
from reader_proof import assert_content, assert_mutants_fail, assert_truth, truth_of
from scipy.io import savemat
from towns import town

from training.datasets import cvact
from training.datasets.cvact import CvactReader, polar_transform
from training.datasets.pair import DatasetError, read_rgb
from training.town.layouts import cvact as layout
from training.town.layouts.mercator import anchored
from training.town.layouts.truth import Truth

REAL = Path(__file__).parents[3] / "shared" / "real_samples" / "cvact"
UTM = [(693_000.0, 6_094_000.0), (694_000.0, 6_095_000.0), (692_500.0, 6_093_000.0)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Truth]]:
    root = tmp_path_factory.mktemp("cvact")
    return root, layout.write(root, count=7, rendered=(256, 128), size=(512, 256))


def write_mat(
    root: Path, ids: list[str], utm: list[tuple[float, float]], listed: list[float], part: str
) -> None:
    cells = np.array([[name] for name in ids], dtype=object)
    savemat(
        root / "ACT_data.mat",
        {"panoIds": cells, "utm": np.array(utm), f"{part}Set": {f"{part}Ind": np.c_[listed]}},
    )


@pytest.mark.parametrize("shift", [0.0, 12.0])
def test_positions_and_headings_are_the_towns(tiny: tuple[Path, list[Truth]], shift: float) -> None:
    root, truths = tiny
    reader = CvactReader(root, split="test", shift=shift)
    assert_truth(reader, truths, expected=3)
    assert not reader.problems
    train = CvactReader(root, split="train", cell=60.0, rim=0.0)
    held = CvactReader(root, split="validation", cell=60.0, rim=0.0)
    assert_truth(train, truths)
    names = [r.label(i).name for r in (reader, train, held) for i in range(len(r))]
    assert len(set(names)) == len(names) == 7


def test_every_tile_shows_its_camera_wherever_the_patch_is(
    tiny: tuple[Path, list[Truth]],
) -> None:
    root, truths = tiny
    base = town(12)
    _ = base.aerial
    canberra = anchored(base, layout.CANBERRA)
    for shift in (0.0, 12.0):
        reader = CvactReader(root, split="test", shift=shift)
        for index in range(len(reader)):
            label = reader.label(index)
            # a pixel is 6 cm here, a third of the town's own
            assert_content(reader, canberra, label, truth_of(label, truths), 0.15)


def test_each_flipped_sign_is_noticed(tiny: tuple[Path, list[Truth]], tmp_path: Path) -> None:
    root, truths = tiny
    write_mat(tmp_path, ["a", "b", "c"], UTM, [1, 2], "val")

    def prove(module: ModuleType) -> None:
        assert_truth(module.CvactReader(root, split="test"), truths, expected=3)
        listed = module.CvactReader(tmp_path, split="test")
        assert [listed.label(i).name for i in range(2)] == ["ACT_data.mat:a", "ACT_data.mat:b"]

    changes = [
        ("easting, northing = utm.T", "northing, easting = utm.T"),
        ("EPSG:32755", "EPSG:32756"),
        ("return np.where(good, latitude, np.nan), np.where(good, longitude, np.nan)",
         "return np.where(good, longitude, np.nan), np.where(good, latitude, np.nan)"),
        ("rows.append(int(one) - 1)", "rows.append(int(one) - 2)"),
        ("np.arctan2(to_north[:, 1], to_north[:, 0])", "np.arctan2(*to_north.T)"),
        ("latitude[rows] + 1e-3", "latitude[rows] - 1e-3"),
        ("            yaw=north,", "            yaw=-north,"),
        ("            position=(x, y),", "            position=(y, x),"),
        ("            position=(x, y),", "            position=(-x, y),"),
    ]  # fmt: skip
    assert_mutants_fail(cvact, changes, prove)


def test_shifts_are_the_rows_own_and_stay_on_the_tile(tiny: tuple[Path, list[Truth]]) -> None:
    reader = CvactReader(tiny[0], split="test", shift=20.0)
    fixed = [reader.label(i) for i in range(3)]
    assert fixed == [reader.label(i) for i in range(3)]
    for index, label in enumerate(fixed):
        drawn = reader.label(index, np.random.default_rng(5))
        assert drawn.grid != label.grid and drawn.position == label.position
        for one in (drawn, label):
            off = np.array(one.grid.center) - one.position
            assert 0.5 < np.abs(off).max() <= 20.0
            picture = reader.aerial(one, one.grid)
            assert picture[[0, -1]].any(axis=-1).mean() > 0.9  # none of it beyond the tile
    assert CvactReader(tiny[0], split="test").label(0).grid.center == fixed[0].position


@pytest.mark.parametrize(
    "column, row, expected",
    [  # (place of a white dot in the square, where the polar picture shows it)
        (600, 1000, 0),  # south of the middle: the edges of a panorama that looks north
        (200, 600, 128),  # west
        (600, 200, 256),  # north: its middle column
        (1000, 600, 384),  # east
    ],
)
def test_the_polar_transform_lays_directions_out_as_a_panorama(
    column: int, row: int, expected: int
) -> None:
    image = np.zeros((1200, 1200, 3), np.uint8)
    cv2.circle(image, (column, row), 12, (255, 255, 255), -1)
    polar = polar_transform(image)
    assert polar.shape == (128, 512, 3)
    i, j = np.unravel_index(int(polar[..., 0].argmax()), polar.shape[:2])
    lit = np.argwhere(polar[..., 0] > 128)
    turned = (lit[:, 1] - expected + 256) % 512 - 256
    assert turned.mean() == pytest.approx(0, abs=0.5)
    # 400 of 600 pixels out: two thirds of the height above the lowest row
    assert lit[:, 0].mean() == pytest.approx(127 - 128 * 400 / 600, abs=0.6)
    assert (i, j) in [tuple(one) for one in lit.tolist()]


def test_the_polar_option_gives_that_picture(tiny: tuple[Path, list[Truth]]) -> None:
    reader = CvactReader(tiny[0], split="test", polar=True)
    label = reader.label(0)
    tile = read_rgb(label.aerial_file)
    assert np.array_equal(reader.aerial(label, label.grid), polar_transform(tile, 1200, 1200))
    assert reader.tags["aerial"] == "polar"


@pytest.mark.skipif(not REAL.exists(), reason=f"no real samples in {REAL}")
def test_the_real_pairs_go_through_the_reader(tmp_path: Path) -> None:
    ids = sorted(path.name[: -len("_grd.png")] for path in REAL.glob("*_grd.png"))
    assert len(ids) == 6
    for folder, stem, kind in (
        ("streetview", "grdView", "grd"),
        ("satview_polish", "satView_polish", "sat"),
    ):
        (tmp_path / folder).mkdir()
        for name in ids:
            shutil.copy(REAL / f"{name}_{kind}.png", tmp_path / folder / f"{name}_{stem}.png")
    places = [(693_000.0 + 100 * i, 6_094_000.0) for i in range(6)]
    write_mat(tmp_path, ids, places, [1, 2, 3, 4, 5, 6], "val")
    reader = CvactReader(tmp_path, split="test")
    assert len(reader) == 6 and not reader.problems
    for index in range(6):
        label = reader.label(index)
        small = label.grid.resampled(256, 256)
        # the samples are tiles at 256 px: 0.2856 m each
        assert small.gsd == pytest.approx(0.2856, rel=0.002)
        tile = reader.aerial(label, small)
        assert np.array_equal(tile, read_rgb(label.aerial_file))
        ground = reader.ground(label)
        assert ground.image.shape == (256, 512, 3) and ground.camera.kind == "equirectangular"
        assert label.yaw == pytest.approx(math.pi / 2, abs=1e-3)


def test_bad_entries_are_left_out_and_reported(tmp_path: Path) -> None:
    utm = [*UTM, (math.nan, 6_094_000.0), (693_000.0, 3_000_000.0)]
    write_mat(tmp_path, ["a", "b", "", "d", "e"], utm, [1, 2, 0, 6, 3, 4, 5, 1.5], "val")
    reader = CvactReader(tmp_path, split="test")
    assert [reader.label(i).name for i in range(len(reader))] == [
        "ACT_data.mat:a",
        "ACT_data.mat:b",
    ]
    said = [str(problem) for problem in reader.problems]
    assert [problem.kind for problem in reader.problems] == ["row"] * 6
    assert all("ACT_data.mat:valSet:" in one and "\n" not in one for one in said)
    assert "3: index 0: expected a whole number of 1 … 5" in said[0]
    assert "4: index 6" in said[1] and "8: index 1.5" in said[5]
    assert "panoIds entry 3 is empty" in said[2]
    assert all("expected easting and northing near Canberra" in one for one in said[3:5])


def test_places_are_those_of_the_utm_zone(tmp_path: Path) -> None:
    write_mat(tmp_path, ["a", "b", "c"], UTM, [1, 2, 3], "val")
    reader = CvactReader(tmp_path, split="test")
    a, b = (np.array(reader.label(i).position) for i in (0, 1))
    geod = pyproj.Geod(ellps="WGS84")
    to_degrees = pyproj.Transformer.from_crs("EPSG:32755", "EPSG:4326", always_xy=True)
    azimuth, _, distance = geod.inv(*to_degrees.transform(*UTM[0]), *to_degrees.transform(*UTM[1]))
    east, north = (b - a).tolist()
    assert math.hypot(east, north) == pytest.approx(distance, abs=0.01)
    assert math.degrees(math.atan2(east, north)) == pytest.approx(azimuth, abs=0.02)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_pictures_may_be_png_or_jpg(tmp_path: Path, suffix: str) -> None:
    write_mat(tmp_path, ["a", "b", "c"], UTM, [1, 2], "val")
    (tmp_path / "streetview").mkdir()
    (tmp_path / "streetview" / f"a_grdView.{suffix}").touch()
    label = CvactReader(tmp_path, split="test").label(1)
    assert label.ground_file.name == f"b_grdView.{suffix}"
    assert label.aerial_file.name == "b_satView_polish.png"


def test_a_wrong_root_or_file_names_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"ACT_data\.mat: no such file: expected CVACT's root"):
        CvactReader(tmp_path)
    (tmp_path / "ACT_data.mat").write_bytes(b"not MATLAB" * 50)
    with pytest.raises(DatasetError, match=r"ACT_data\.mat: .*expected CVACT's MATLAB file"):
        CvactReader(tmp_path)
    write_mat(tmp_path, ["a", "b", "c"], UTM, [1, 2], "val")
    with pytest.raises(DatasetError, match="no 'trainSet': expected panoIds, utm, trainSet"):
        CvactReader(tmp_path, split="train")
    with pytest.raises(DatasetError, match="shift 40: expected 0 … 25 m"):
        CvactReader(tmp_path, split="test", shift=40)


def test_a_truncated_tile_is_named(tiny: tuple[Path, list[Truth]], tmp_path: Path) -> None:
    shutil.copytree(tiny[0], tmp_path, dirs_exist_ok=True)
    reader = CvactReader(tmp_path, split="test")
    label = reader.label(0)
    label.aerial_file.write_bytes(label.aerial_file.read_bytes()[:5000])
    with pytest.raises(DatasetError, match=label.aerial_file.name):
        reader.aerial(label, label.grid)
