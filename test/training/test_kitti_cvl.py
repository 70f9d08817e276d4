from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from reader_proof import assert_content, assert_mutants_fail, assert_truth, truth_of

from cross_view_localizer.geo import MapFrame
from training.datasets import kitti_cvl
from training.datasets.kitti import CROP, GSD
from training.datasets.kitti_cvl import KittiCvlReader
from training.datasets.mercator import local
from training.datasets.pair import DatasetError
from training.town.layouts import kitti as town_kitti
from training.town.layouts import kitti_cvl as town_kitti_cvl
from training.town.layouts.truth import Truth
from training.town.town import Town

SPLITS = ("train", "validation", "test")


def blank(*given: Any) -> NDArray[np.uint8]:
    width, height = given[3]
    return np.zeros((height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[Truth]]]:
    root = tmp_path_factory.mktemp("kitti-cvl")
    with pytest.MonkeyPatch.context() as patch:  # what the camera sees matters to no label
        patch.setattr(town_kitti, "camera_picture", blank)
        truths = town_kitti_cvl.write(root)
    yield root, truths
    shutil.rmtree(root)


@functools.cache
def the_town() -> Town:
    return town_kitti.kitti_town()


def prove(module: ModuleType, root: Path, truths: list[Truth]) -> None:
    town = the_town()
    for split in SPLITS:
        reader = module.KittiCvlReader(root, split)
        assert_truth(reader, truths)
        rows = [line.split() for line in reader._file.read_text().splitlines()]
        for index, row in enumerate(rows):
            label = reader.label(index)
            frame_of_map = MapFrame(label.datum)
            # where the row says that the tile's middle is
            there = frame_of_map.to_map(float(row[1]), float(row[2]))
            assert np.hypot(*(there - label.grid.center)) < 0.1 * GSD
            for frame in reader.frames(index):
                truth = truth_of(frame, truths)
                error = frame.position - frame_of_map.to_map(truth.latitude, truth.longitude)
                assert np.hypot(*error) < 0.1 * GSD
                assert abs(np.sin(frame.yaw - truth.yaw)) < 1e-4
        if split != "train":  # whose tiles are validation's
            label = reader.label(0)
            assert_content(reader, town, label, truth_of(label, truths))


def test_sequences_and_tiles_are_the_towns(dataset: tuple[Path, list[Truth]]) -> None:
    prove(kitti_cvl, *dataset)


def test_each_sign_turned_round_is_noticed(dataset: tuple[Path, list[Truth]]) -> None:
    changes = [
        ("math.pi / 2 + oxts.yaw", "math.pi / 2 - oxts.yaw"),
        ("float(north) - math.pi / 2 +", "float(north) + math.pi / 2 +"),
        ("moved(xy, yaw, AHEAD, -RIGHT)", "moved(xy, yaw, -AHEAD, -RIGHT)"),
        ("moved(xy, yaw, AHEAD, -RIGHT)", "moved(xy, yaw, AHEAD, RIGHT)"),
        ("up, -north, east)", "up, north, east)"),
        ("up, -north, east)", "up, -north, -east)"),
    ]
    assert_mutants_fail(kitti_cvl, changes, lambda module: prove(module, *dataset))


def test_a_sequence_is_every_third_frame_oldest_first(
    dataset: tuple[Path, list[Truth]],
) -> None:
    reader = KittiCvlReader(dataset[0], "train")
    names = [label.ground_file.stem for label in reader.frames(0)]
    numbers = [int(name) for name in names]
    assert np.diff(numbers).tolist() == [3, 3, 3] and len(names[0]) == 10
    labels = reader.frames(0)
    assert labels[-1] == reader.label(0) == reader.label(0, np.random.default_rng(2))
    assert {(label.grid, label.aerial_file) for label in labels} == {
        (labels[-1].grid, labels[-1].aerial_file)
    }
    assert set(reader.files(0)) == {label.ground_file for label in labels} | {
        labels[-1].aerial_file
    }
    two = KittiCvlReader(dataset[0], "train", frames=2, skip=0).frames(0)
    assert [int(label.ground_file.stem) for label in two] == [numbers[-1] - 1, numbers[-1]]


def test_the_patch_is_the_tiles_middle_and_north_is_up(
    dataset: tuple[Path, list[Truth]],
) -> None:
    reader = KittiCvlReader(dataset[0], "test")
    for index in range(len(reader)):
        label = reader.label(index)
        assert label.grid.width == label.grid.height == CROP and label.grid.gsd == GSD
        assert label.aerial_file.parent == dataset[0] / "satmap" / "test" / label.group
        assert label.aerial_file.is_file()
        assert abs(label.grid.up - np.pi / 2) < 0.005
        # half of the grid's diagonal, and the lever arm
        assert np.hypot(*np.subtract(label.position, label.grid.center)) < 7.1 + 1.2


def test_mercators_metres_are_a_tiles_pixels() -> None:
    """A pixel of zoom 18 at scale 2 is 360 / 2^27 degrees of longitude."""
    east, north = (local(49.0, 8.4 + 360 / 2**27, 49.015) - local(49.0, 8.4, 49.015)) / GSD
    assert (east, north) == pytest.approx((1.0, 0.0), abs=1e-5)
    step = 360 / 2**27 * np.cos(np.radians(49.0))
    east, north = (local(49.0 + step, 8.4, 49.015) - local(49.0, 8.4, 49.015)) / GSD
    assert (east, north) == pytest.approx((0.0, 1.0), abs=1e-5)


@pytest.fixture
def copied(dataset: tuple[Path, list[Truth]], tmp_path: Path) -> Path:
    root = tmp_path / "copy"
    shutil.copytree(dataset[0], root, ignore=shutil.ignore_patterns("*.png"))
    return root


LIST = "test2_files_with_sat_GPS.txt"


@pytest.mark.parametrize(
    "bad, kind, said",
    [
        ("{path} {lat}", "row", "2 columns: expected 3"),
        ("{path} nan {lon}", "row", "expected finite numbers"),
        ("{path} {lon} {lat}", "outside", "of its tile's middle"),
        ("drive/0000000000.png {lat} {lon}", "row", "expected 'YYYY_MM_DD/"),
        ("{first} {lat} {lon}", "row", "fewer than 9 frames before it"),
        ("{gone} {lat} {lon}", "missing", "no such file: expected the frame's OXTS"),
    ],
)
def test_a_bad_row_is_left_out_and_named(copied: Path, bad: str, kind: str, said: str) -> None:
    rows = (copied / LIST).read_text().splitlines()
    path, lat, lon = rows[0].split()
    folder = path.rsplit("/", 1)[0]
    row = bad.format(
        path=path, lat=lat, lon=lon, first=f"{folder}/0000000008.png", gone=f"{folder}/99.png"
    )
    (copied / LIST).write_text("\n".join([rows[1], row, *rows[2:]]) + "\n")
    reader = KittiCvlReader(copied, "test")
    assert len(reader) == len(rows) - 1
    (problem,) = reader.problems
    assert problem.kind == kind and problem.where == f"{copied / LIST}:2"
    assert said in problem.message and "\n" not in problem.message


def test_an_earlier_frames_missing_oxts_costs_the_row(copied: Path) -> None:
    whole = KittiCvlReader(copied, "test")
    earliest = whole.frames(0)[0].ground_file
    oxts = earliest.parents[2] / "oxts" / "data" / f"{earliest.stem}.txt"
    oxts.unlink()
    reader = KittiCvlReader(copied, "test")
    assert len(reader) < len(whole) and str(oxts) in reader.problems[0].message


def test_a_wrong_root_or_option_is_said(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="raw_data: no such folder"):
        KittiCvlReader(tmp_path)
    with pytest.raises(DatasetError, match="split 'test1'"):
        KittiCvlReader(copied, "test1")  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="0 frames"):
        KittiCvlReader(copied, frames=0)
    (copied / LIST).unlink()
    with pytest.raises(DatasetError, match=f"{LIST}: no such list"):
        KittiCvlReader(copied, "test")
