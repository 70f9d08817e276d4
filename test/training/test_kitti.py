from __future__ import annotations

import functools
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from published_steps import middle, opened, rotated, shifted
from reader_proof import (
    _gray,
    _shift,
    assert_content,
    assert_mutants_fail,
    assert_truth,
    mutants,
    truth_of,
)

from cross_view_localizer.geo import wrap_angle
from cross_view_localizer.grid import Grid
from training.datasets import kitti, kitti_files
from training.datasets.kitti import CROP, GSD, KittiReader
from training.datasets.kitti_files import validation_drives
from training.datasets.pair import DatasetError, Label
from training.town.layouts import kitti as town_kitti
from training.town.layouts.kitti import DAYS, kitti_town
from training.town.layouts.kitti import write as write_kitti
from training.town.layouts.truth import Truth

SPLITS = ("train", "validation", "test1", "test2")


def blank(*given: Any) -> NDArray[np.uint8]:
    width, height = given[3]
    return np.zeros((height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[Truth]]]:
    root = tmp_path_factory.mktemp("kitti")
    with pytest.MonkeyPatch.context() as patch:  # what the camera sees matters to no label
        patch.setattr(town_kitti, "camera_picture", blank)
        truths = write_kitti(root, frames=2)
    yield root, truths
    shutil.rmtree(root)


@functools.cache
def published(
    ground_file: Path, aerial_file: Path, shift: tuple[float, float, float]
) -> NDArray[np.uint8]:
    """The protocol's own steps on a tile, from the files."""
    drive = ground_file.parents[2]
    oxts = (drive / "oxts" / "data" / ground_file.name).with_suffix(".txt").read_text()
    yaw = float(oxts.split()[5])
    gx, gy, theta = shift
    ahead = rotated(opened(aerial_file), -math.degrees(yaw))
    at_camera = shifted(ahead, 1.08 / GSD, 0.26 / GSD)
    at_prior = shifted(at_camera, gx * 20 / GSD, -gy * 20 / GSD)
    return middle(rotated(at_prior, theta * 10), CROP)


def picture_offset(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Return (pixels, degrees, correlation) between two pictures of the same size."""
    return _shift(_gray(one), _gray(other), np.ones(one.shape[:2], np.uint8))


def camera_pixel(shift: tuple[float, float, float]) -> tuple[float, float]:
    """The protocol's closed formula, with pixel centres at integers."""
    gx, gy, theta = shift
    reach, t = 20 / GSD, math.radians(theta * 10)
    dx = gx * reach * math.cos(t) - gy * reach * math.sin(t)
    dy = -gy * reach * math.cos(t) - gx * reach * math.sin(t)
    return 255.5 - dx, 255.5 - dy


def file_shifts(root: Path, split: str) -> list[tuple[float, float, float]]:
    """What the protocol gives the crop for each row of a test list."""
    rows = [line.split() for line in (root / f"{split}_files.txt").read_text().splitlines()]
    return [(-float(row[1]), -float(row[2]), float(row[3])) for row in rows]


def prove(module: ModuleType, root: Path, truths: list[Truth]) -> None:
    for split in SPLITS:
        assert_truth(module.KittiReader(root, split), truths)
    for split in ("test1", "test2"):
        reader = module.KittiReader(root, split)
        for index, shift in enumerate(file_shifts(root, split)):
            label = reader.label(index)
            pixel = label.grid.map_to_pixel(label.position)
            assert np.abs(pixel - camera_pixel(shift)).max() < 0.01
            # heading 90 - theta range degrees clockwise from the crop's up
            wanted = math.radians(90 - shift[2] * 10)
            assert abs(wrap_angle(label.grid.up - label.yaw - wanted)) < 1e-6
            assert abs(wrap_angle(label.yaw - label.heading - math.radians(shift[2] * 10))) < 1e-6
            if index == 0:
                seen = reader.aerial(label, label.grid)
                steps = published(label.ground_file, label.aerial_file, shift)
                assert np.abs(seen.astype(float) - steps).mean() < 4.0, label.name
                off = picture_offset(steps, seen)
                assert off[0] < 0.05 and abs(off[1]) < 0.01 and off[2] > 0.99, (label.name, off)


def test_labels_and_pictures_are_the_towns_and_the_protocols(
    dataset: tuple[Path, list[Truth]],
) -> None:
    root, truths = dataset
    prove(kitti, root, truths)
    town = kitti_town()
    for split in ("train", "test1", "test2"):
        label = KittiReader(root, split).label(0)  # type: ignore[arg-type]
        reader = KittiReader(root, split)  # type: ignore[arg-type]
        assert_content(reader, town, label, truth_of(label, truths))


def test_each_sign_turned_round_is_noticed(dataset: tuple[Path, list[Truth]]) -> None:
    changes = [
        ("shift = (-shift_x, -shift_y, theta)", "shift = (shift_x, -shift_y, theta)"),
        ("shift = (-shift_x, -shift_y, theta)", "shift = (-shift_x, shift_y, theta)"),
        ("shift = (-shift_x, -shift_y, theta)", "shift = (-shift_x, -shift_y, -theta)"),
        ("math.pi / 2 + row.oxts.yaw", "math.pi / 2 - row.oxts.yaw"),
        ("- math.pi / 2 + row", "+ math.pi / 2 + row"),
        ("yaw, AHEAD, -RIGHT)", "yaw, AHEAD, RIGHT)"),
        ("yaw, AHEAD, -RIGHT)", "yaw, -AHEAD, -RIGHT)"),
        ("-AHEAD, RIGHT)", "AHEAD, RIGHT)"),
        ("-AHEAD, RIGHT)", "-AHEAD, -RIGHT)"),
        ("told = float(wrap_angle(yaw - turn))", "told = float(wrap_angle(yaw + turn))"),
        ("told + math.pi / 2", "told - math.pi / 2"),
        ("c * ahead - s * left", "c * ahead + s * left"),
        ("s * ahead + c * left", "s * ahead - c * left"),
        ("along * self._shift, left", "-along * self._shift, left"),
        ("left * self._shift)", "-left * self._shift)"),
    ]
    assert_mutants_fail(kitti, changes, lambda module: prove(module, *dataset))


@pytest.mark.parametrize("columns", ["(1, 0, 5)", "(0, 1, 4)", "(0, 1, 3)"])
def test_another_column_of_the_oxts_file_is_noticed(
    dataset: tuple[Path, list[Truth]], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    (changed,) = mutants(kitti_files, [("for i in (0, 1, 5)", f"for i in {columns}")])
    monkeypatch.setattr(kitti, "RawData", changed.RawData)
    with pytest.raises((AssertionError, ValueError)):
        prove(kitti, *dataset)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(*[st.floats(-1, 1) for _ in range(3)])
def test_any_shift_and_turn_puts_the_camera_where_the_formula_says(
    dataset: tuple[Path, list[Truth]], gx: float, gy: float, theta: float
) -> None:
    class Drawn(np.random.Generator):
        def uniform(self, *_: object) -> np.ndarray:  # type: ignore[override]
            return np.array([gx, gy, theta])

    label = reader_of(dataset[0]).label(0, Drawn(np.random.PCG64(0)))
    pixel = label.grid.map_to_pixel(label.position)
    assert np.abs(pixel - camera_pixel((gx, gy, theta))).max() < 1e-6
    assert label.grid.pixel_to_map(camera_pixel((gx, gy, theta))) == pytest.approx(label.position)


_readers: dict[Path, KittiReader] = {}


def reader_of(root: Path) -> KittiReader:
    if root not in _readers:
        _readers[root] = KittiReader(root, "test1")
    return _readers[root]


def test_uniform_draws_have_the_protocols_initial_error(
    dataset: tuple[Path, list[Truth]],
) -> None:
    reader, rng = KittiReader(dataset[0], "train"), np.random.default_rng(5)
    labels = [reader.label(i % len(reader), rng) for i in range(4000)]
    errors = [math.dist(label.position, label.grid.center) for label in labels]
    turns = [abs(wrap_angle(label.yaw - label.heading)) for label in labels]
    assert np.mean(errors) == pytest.approx(15.33, abs=0.3)
    assert math.degrees(np.mean(turns)) == pytest.approx(5.0, abs=0.15)
    assert max(errors) <= 20 * math.sqrt(2)


def test_validation_is_fixed_and_apart_from_training_by_drives(
    dataset: tuple[Path, list[Truth]],
) -> None:
    train, kept = (KittiReader(dataset[0], s) for s in ("train", "validation"))  # type: ignore
    groups = [{r.label(i).group for i in range(len(r))} for r in (train, kept)]
    assert groups[0].isdisjoint(groups[1])
    again = KittiReader(dataset[0], "validation")
    for i in range(len(kept)):
        assert kept.label(i) == again.label(i)
    assert kept.label(0) != kept.label(0, np.random.default_rng(1))


def test_about_five_percent_of_the_rows_are_held_back() -> None:
    rng = np.random.default_rng(3)
    drives = [f"2011_09_26_drive_{n:04d}_sync" for n in range(40)]
    rows = [d for d, n in zip(drives, rng.integers(20, 900, 40), strict=True) for _ in range(n)]
    held = validation_drives(rows)
    share = sum(row in held for row in rows) / len(rows)
    assert 0.03 < share <= 0.05
    assert validation_drives(rows[::-1]) == held
    assert validation_drives(drives[:1]) == set()
    assert len(validation_drives(drives[:2])) == 1


def test_the_camera_is_the_days_own(dataset: tuple[Path, list[Truth]]) -> None:
    reader = KittiReader(dataset[0], "test1")
    seen = set()
    for index in range(len(reader)):
        label = reader.label(index)
        size, focal, cx, cy = DAYS[label.group[:10]]
        ground = reader.ground(label)
        camera = ground.camera
        assert camera.matrix is not None and ground.height == 1.65
        assert (camera.width, camera.height) == tuple(size) == ground.image.shape[1::-1]
        assert camera.matrix[0].tolist() == pytest.approx([focal, 0, cx], rel=1e-6)
        assert camera.matrix[1].tolist() == pytest.approx([0, focal, cy], rel=1e-6)
        seen.add(size)
    assert len(seen) > 0


@pytest.fixture
def copied(dataset: tuple[Path, list[Truth]], tmp_path: Path) -> Path:
    root = tmp_path / "copy"
    shutil.copytree(dataset[0], root, ignore=shutil.ignore_patterns("*.png"))
    return root


def first_row(root: Path) -> tuple[list[str], str, Path]:
    rows = (root / "test1_files.txt").read_text().splitlines()
    day, drive, name = rows[0].split()[0].split("/")
    return rows, day, root / "raw_data" / day / drive / "oxts" / "data" / f"{name[:-4]}.txt"


@pytest.mark.parametrize(
    "row, said",
    [
        ("2011_09_26/2011_09_26_drive_0001_sync/0000000000.png 0.1 0.2", "3 columns: expected 4"),
        ("0000000000.png 0.1 0.2 0.3", "expected 'YYYY_MM_DD/"),
        ("{} 0.1 nan 0.3", "0.1 nan 0.3: expected finite numbers within ±1"),
        ("{} 0.1 2.5 0.3", "expected finite numbers within ±1"),
        ("{} 0.1 x 0.3", "expected finite numbers"),
    ],
)
def test_a_bad_row_is_left_out_and_named(copied: Path, row: str, said: str) -> None:
    rows, _, _ = first_row(copied)
    bad = row.replace("{}", rows[0].split()[0])
    (copied / "test1_files.txt").write_text("\n".join([bad, "", *rows[1:]]) + "\n")
    reader = KittiReader(copied, "test1")
    assert len(reader) == len(rows) - 1
    assert reader.label(0).name == "test1_files.txt:3"
    (problem,) = reader.problems
    assert problem.kind == "row" and problem.where == f"{copied / 'test1_files.txt'}:1"
    assert said in problem.message


@pytest.mark.parametrize(
    "content, kind, said",
    [
        (None, "missing", "no such file"),
        ("49.0 8.4 112.0", "row", "3 numbers: expected 6"),
        ("49.0 8.4 112.0 0 0 nan 0", "row", "yaw nan"),
        ("49.0 8.4 112.0 0 0 up 0", "row", "expected numbers"),
        ("149.0 8.4 112.0 0 0 0.1 0", "row", "latitude 149.0"),
        ("-33.9 18.4 112.0 0 0 0.1 0", "row", "expected one region"),
    ],
)
def test_a_bad_oxts_file_costs_its_row(
    copied: Path, content: str | None, kind: str, said: str
) -> None:
    rows, _, oxts = first_row(copied)
    # not the first, which the region goes by
    (copied / "test1_files.txt").write_text("\n".join([*rows[1:], rows[0]]) + "\n")
    if content is None:
        oxts.unlink()
    else:
        oxts.write_text(content)
    reader = KittiReader(copied, "test1")
    (problem,) = reader.problems
    assert len(reader) == len(rows) - 1 and problem.kind == kind
    assert problem.where.endswith(f"test1_files.txt:{len(rows)}") and said in problem.message
    assert "\n" not in str(problem)


@pytest.mark.parametrize(
    "content, said",
    [
        (None, "no such file"),
        ("R_02: 1 0 0\n", "no P_rect_02"),
        ("P_rect_02: 700 0 600 0 0 700\n", "P_rect_02 '700 0 600 0 0 700'"),
        ("P_rect_02: 0 0 0 0 0 0 0 0 0 0 1 0\n", "not calibrated"),
    ],
)
def test_a_bad_calibration_costs_its_days_rows(
    copied: Path, content: str | None, said: str
) -> None:
    rows, day, _ = first_row(copied)
    calibration = copied / "raw_data" / day / "calib_cam_to_cam.txt"
    if content is None:
        calibration.unlink()
    else:
        calibration.write_text(content)
    lost = [n for n, row in enumerate(rows, 1) if row.startswith(day)]
    if len(lost) == len(rows):
        with pytest.raises(DatasetError, match=f"no usable row.*{said}"):
            KittiReader(copied, "test1")
        return
    reader = KittiReader(copied, "test1")
    assert len(reader) == len(rows) - len(lost)
    wheres = [f"{copied / 'test1_files.txt'}:{n}" for n in lost]
    assert [p.where for p in reader.problems] == wheres
    assert all(said in p.message and str(calibration) in p.message for p in reader.problems)


def test_a_wrong_root_is_said_with_what_was_expected(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="raw_data: no such folder"):
        KittiReader(tmp_path)
    (copied / "test2_files.txt").unlink()
    with pytest.raises(DatasetError, match="test2_files.txt: no such list"):
        KittiReader(copied, "test2")
    with pytest.raises(DatasetError, match="split 'test'"):
        KittiReader(copied, "test")  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="at most 35 m"):
        KittiReader(copied, shift=50)


def test_missing_and_odd_pictures_are_named(copied: Path) -> None:
    reader = KittiReader(copied, "test1")
    label = reader.label(0)
    with pytest.raises(DatasetError, match="no such file"):
        reader.ground(label)
    label.aerial_file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(label.aerial_file), np.zeros((30, 40, 3), np.uint8))
    with pytest.raises(DatasetError, match="40 x 30 px: expected a square"):
        reader.aerial(label, label.grid)


REAL = Path(__file__).parents[3] / "shared" / "real_samples" / "kitti_drive_0002"


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/real_samples is not here")
def test_a_real_tile_turned_by_its_yaw_has_the_track_running_to_the_right(tmp_path: Path) -> None:
    """Frame 38 of a real drive: the sample's own track, in pixels of the tile, goes to the crop's
    right through the OXTS point, which lies 1.08 m behind the camera and 0.26 m to its left.
    """
    drive = tmp_path / "raw_data" / "2011_09_26" / "2011_09_26_drive_0002_sync"
    name = "2011_09_26/2011_09_26_drive_0002_sync/0000000038.png"
    for folder in (drive / "image_02" / "data", drive / "oxts" / "data"):
        folder.mkdir(parents=True)
    picture = REAL / "2011_09_26_drive_0002_sync_0000000038.png"
    shutil.copy(picture, drive / "image_02" / "data" / "0000000038.png")
    tile = tmp_path / "satmap" / name
    tile.parent.mkdir(parents=True)
    shutil.copy(REAL / "aerial.png", tile)
    # where exactly is in no file: the tile's middle, wherever that is near Karlsruhe
    oxts = f"49.011 8.423 112.8 0 0 {math.radians(200.2 - 360)}"
    (drive / "oxts" / "data" / "0000000038.txt").write_text(oxts + " 0" * 24)
    calibration = "P_rect_02: 721.5377 0 609.5593 44.9 0 721.5377 172.854 0.2 0 0 1 0.003\n"
    (drive.parent / "calib_cam_to_cam.txt").write_text("S_rect_02: 1242 375\n" + calibration)
    (tmp_path / "test1_files.txt").write_text(f"{name} 0 0 0\n")
    reader = KittiReader(tmp_path, "test1")
    label = reader.label(0)
    assert reader.ground(label).camera.width == 1242
    seen = reader.aerial(label, label.grid)
    track = np.loadtxt(REAL / "trajectory_px.csv", delimiter=",", skiprows=1)
    tile_grid = Grid(1280, 1280, GSD, _oxts_point(label), reader._north[0])
    points = label.grid.map_to_pixel(tile_grid.pixel_to_map(track[:, 1:3])) - 255.5
    near = (np.abs(track[:, 0] - 36.5) < 6) & (np.abs(points[:, 0]) < 40)
    assert near.sum() > 8 and np.all(np.diff(points[near, 0]) > 0)
    slope, across = np.polyfit(points[near, 0], points[near, 1], 1)
    assert abs(math.degrees(math.atan(slope))) < 6
    assert across * GSD == pytest.approx(-0.26, abs=0.4)
    # and the picture shows the tile there: its colours at the track are the crop's
    u, v = np.round(points[near] + 255.5).astype(int).T
    cols, rows = np.round(track[near, 1:3]).astype(int).T
    image = cv2.imread(str(tile))
    assert image is not None
    there = cv2.blur(image, (5, 5))[rows, cols, ::-1].astype(float)
    assert np.abs(cv2.blur(seen, (5, 5))[v, u] - there).mean() < 6


def _oxts_point(label: Label) -> tuple[float, float]:
    c, s = math.cos(label.yaw), math.sin(label.yaw)
    x, y = label.position
    return x - 1.08 * c - 0.26 * s, y - 1.08 * s + 0.26 * c
