from __future__ import annotations

import functools
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from published_steps import middle, opened, rotated, shifted
from reader_proof import (
    _gray,
    _shift,
    assert_content,
    assert_mutants_fail,
    assert_truth,
    truth_of,
)

from cross_view_localizer.geo import wrap_angle
from training.datasets import ford
from training.datasets.ford import CROP, GSD, FordReader
from training.datasets.ford_files import TRAIN, RowSource, row_sources
from training.datasets.mercator import local
from training.datasets.pair import DatasetError, Problem
from training.town.layouts import ford as town_ford
from training.town.layouts.truth import Truth

Made = tuple[Path, dict[str, list[Truth]]]
LOGS = (4, 5)
OPTIONS: dict[str, Any] = {"rows": "all", "log": LOGS}


def blank(*given: Any) -> NDArray[np.uint8]:
    width, height = given[3]
    return np.zeros((height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    root, other = tmp_path_factory.mktemp("ford"), tmp_path_factory.mktemp("again")
    with pytest.MonkeyPatch.context() as patch:  # what the camera sees matters to no label
        patch.setattr(town_ford, "camera_picture", blank)
        truths = {"body": town_ford.write(root, point="body")}
        patch.setattr(town_ford, "save", lambda *_: None)
        patch.setattr(town_ford, "write_tile", lambda *_: None)
        truths["camera"] = town_ford.write(other, point="camera")
    yield root, truths
    shutil.rmtree(root)
    shutil.rmtree(other)


def rows_of(root: Path) -> dict[str, list[str]]:
    """Every row of the test files by its picture's stem."""
    texts = [file.read_text() for file in root.glob("*/V2/*/grd_sat_quaternion_latlon_test.txt")]
    rows = [line.split() for text in texts for line in text.splitlines()]
    return {Path(row[0]).stem: row for row in rows}


@functools.cache
def published(aerial_file: Path, row: tuple[str, ...]) -> NDArray[np.uint8]:
    """The protocol's own steps on a tile."""
    q0, q1, q2, q3, g_lat, g_lon, s_lat, s_lon, gu, gv, theta = map(float, row[1:])
    east, north = (local(g_lat, g_lon, s_lat) - local(s_lat, s_lon, s_lat)) / GSD
    at_body = shifted(opened(aerial_file), east, -north)
    yaw = math.atan2(2 * (q3 * q0 + q1 * q2), -1 + 2 * (q0**2 + q1**2))
    ahead = rotated(at_body, math.degrees(yaw))
    at_prior = shifted(ahead, gu * 20 / GSD, gv * 20 / GSD)
    return middle(rotated(at_prior, theta * 10), CROP)


def body_pixel(gu: float, gv: float, theta: float) -> tuple[float, float]:
    """The protocol's formula, with pixel centres at integers: shifted, then turned."""
    x, y = -gu * 20 / GSD, -gv * 20 / GSD  # right and down of the middle
    c, s = math.cos(math.radians(theta * 10)), math.sin(math.radians(theta * 10))
    return 255.5 + c * x + s * y, 255.5 - s * x + c * y


def prove(module: ModuleType, root: Path, truths: dict[str, list[Truth]]) -> None:
    for split in ("train", "validation", "test"):
        for point in ("body", "camera"):
            reader = module.FordReader(root, split, reference_point=point, **OPTIONS)
            assert_truth(reader, truths[point])
            assert reader.label(0).reference_point == point
    rows = rows_of(root)
    reader = module.FordReader(root, "test", reference_point="body", **OPTIONS)
    for index in range(len(reader)):
        label = reader.label(index)
        row = rows[label.ground_file.stem]
        gu, gv, theta = (float(word) for word in row[9:])
        pixel = label.grid.map_to_pixel(label.position)
        assert np.abs(pixel - body_pixel(gu, gv, theta)).max() < 0.01
        assert abs(wrap_angle(label.yaw - label.heading - math.radians(theta * 10))) < 1e-6
        if index == 0:
            seen = reader.aerial(label, label.grid)
            steps = published(label.aerial_file, tuple(row))
            off = _shift(_gray(steps), _gray(seen), np.ones((CROP, CROP), np.uint8))
            assert off[0] < 0.05 and abs(off[1]) < 0.02 and off[2] > 0.99, off


def test_labels_and_pictures_are_the_towns_and_the_protocols(dataset: Made) -> None:
    root, truths = dataset
    prove(ford, root, truths)
    town = town_ford.ford_town()
    for split in ("train", "test"):
        reader = FordReader(root, split, **OPTIONS)  # type: ignore[arg-type]
        label = reader.label(0)
        assert_content(reader, town, label, truth_of(label, truths["camera"]))


def test_each_sign_turned_round_is_noticed(dataset: Made) -> None:
    changes = [
        ("north - math.atan2(ahead[1], ahead[0])", "north + math.atan2(ahead[1], ahead[0])"),
        ("north - math.atan2(seen[1], seen[0])", "north + math.atan2(seen[1], seen[0])"),
        ("-down * self._shift", "down * self._shift"),
        ("right * self._shift)", "-right * self._shift)"),
        ("wrap_angle(heading - turn)", "wrap_angle(heading + turn)"),
        ("wrap_angle(yaw - turn)", "wrap_angle(yaw + turn)"),
        ("float(lever[0])", "-float(lever[0])"),
        ("float(lever[1])", "-float(lever[1])"),
        ("north, -ahead, -east)", "north, ahead, -east)"),
        ("north, -ahead, -east)", "north, -ahead, east)"),
        ("c * ahead + s * right", "c * ahead - s * right"),
        ("s * ahead - c * right", "s * ahead + c * right"),
        ("rotation_from_quaternion(q1, q2, q3, q0)", "rotation_from_quaternion(q1, q2, -q3, q0)"),
        ("rotation_from_quaternion(q1, q2, q3, q0)", "rotation_from_quaternion(q0, q1, q2, q3)"),
    ]
    assert_mutants_fail(ford, changes, lambda module: prove(module, *dataset))


@settings(deadline=None, max_examples=50)
@given(*[st.floats(-1, 1) for _ in range(3)])
def test_any_shift_and_turn_puts_the_body_where_the_formula_says(
    reader: FordReader, gu: float, gv: float, theta: float
) -> None:
    class Drawn(np.random.Generator):
        def uniform(self, *_: object) -> Any:
            return np.array([gu, gv, theta])

    label = reader.label(0, Drawn(np.random.PCG64(0)))
    pixel = label.grid.map_to_pixel(label.position)
    assert np.abs(pixel - body_pixel(gu, gv, theta)).max() < 1e-6


@pytest.fixture(scope="module")
def reader(dataset: Made) -> FordReader:
    return FordReader(dataset[0], "train", reference_point="body", **OPTIONS)


def test_uniform_draws_have_the_protocols_initial_error(reader: FordReader) -> None:
    rng = np.random.default_rng(5)
    labels = [reader.label(i % len(reader), rng) for i in range(4000)]
    errors = [math.dist(label.position, label.grid.center) for label in labels]
    turns = [abs(wrap_angle(label.yaw - label.heading)) for label in labels]
    assert np.mean(errors) == pytest.approx(15.33, abs=0.3)
    assert math.degrees(np.mean(turns)) == pytest.approx(5.0, abs=0.15)
    assert reader.label(0) == reader.label(0) != reader.label(0, rng)


def test_the_camera_looks_along_its_own_azimuth(reader: FordReader) -> None:
    ground = reader.ground(reader.label(0))
    forward = ground.rotation[:, 2]
    assert forward[0] > 0.99 and abs(forward[1]) < 1e-12
    assert np.linalg.det(ground.rotation) == pytest.approx(1.0)
    assert ground.rotation[2, 1] < -0.99  # image-down is down
    assert ground.height == pytest.approx(town_ford.CAMERA_HEIGHT, abs=0.01)
    assert ground.camera.matrix == pytest.approx(town_ford.MATRIX, rel=1e-6)


def test_training_takes_the_published_rows_less_what_is_held_back(tmp_path: Path) -> None:
    for number, (date, _) in TRAIN.items():
        folder = tmp_path / date / "V2" / f"Log{number}"
        folder.mkdir(parents=True)
        rows = [f"{n}.png 1 0 0 0 42 -83 42 -83\n" for n in range(15000)]
        (folder / "grd_sat_quaternion_latlon.txt").write_text("".join(rows))
    problems: list[Problem] = []

    def taken(source: RowSource) -> list[int]:
        return [int(words[0][:-4]) for _, words in source.lines(9, problems)]

    train = [taken(source) for source in row_sources(tmp_path, "train", None, "published")]
    kept = [taken(source) for source in row_sources(tmp_path, "validation", None, "published")]
    for number, used, held in zip(TRAIN, train, kept, strict=True):
        published_rows = {n for a, b in TRAIN[number][1] for n in range(a, b)}
        assert set(used) | set(held) <= published_rows and not set(used) & set(held)
        assert len(published_rows) - len(used) - len(held) <= 100 * len(TRAIN[number][1])
        assert len(held) == pytest.approx(0.05 * len(published_rows), abs=2)
    assert train[0][0] == 4500 and kept[0][-1] == 8499
    assert min(n - max(m for m in train[0] if m < n) for n in kept[0]) == 101
    assert (sum(map(len, train)), sum(map(len, kept))) == (32847, 1781) and not problems


@pytest.fixture
def copied(dataset: Made, tmp_path: Path) -> Path:
    root = tmp_path / "copy"
    shutil.copytree(dataset[0], root, ignore=shutil.ignore_patterns("*.png"))
    return root


def test_a_list_shorter_than_the_published_one_is_refused(copied: Path) -> None:
    with pytest.raises(DatasetError, match="4 rows: expected the published 7466 or more"):
        FordReader(copied, "train", log=4)


@pytest.mark.parametrize(
    "column, value, kind, said",
    [
        (11, None, "row", "11 columns: expected 12"),
        (1, "nan", "row", "quaternion nan"),
        (1, "7", "row", "expected length 1"),
        (5, "inf", "row", "latitude, longitude inf"),
        (5, "95.0", "row", "latitude 95.0: expected within"),
        (9, "3.0", "row", "expected finite numbers within ±1"),
        (5, "42.2", "outside", "from its tile's middle"),
    ],
)
def test_a_bad_row_is_left_out_and_named(
    copied: Path, column: int, value: str | None, kind: str, said: str
) -> None:
    file = copied / "2017-10-26/V2/Log5/grd_sat_quaternion_latlon_test.txt"
    rows = file.read_text().splitlines()
    words = rows[1].split()
    words[column : column + 1] = [] if value is None else [value]
    rows[1] = " ".join(words)
    file.write_text("\n".join(rows) + "\n")
    reader = FordReader(copied, "test", log=5)
    (problem,) = reader.problems
    assert len(reader) == len(rows) - 1
    assert problem.kind == kind and problem.where == f"{file}:2"
    assert said in problem.message and "\n" not in problem.message


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("cameraFrontLeft_body.yaml", None, "no such file"),
        ("cameraFrontLeft_body.yaml", "a: [1\n", "not YAML"),
        ("cameraFrontLeft_body.yaml", "transform: 3\n", "expected transform: rotation"),
        ("cameraFrontLeftIntrinsics.yaml", "D: [1, 2]\n", "expected K, nine numbers"),
        ("cameraFrontLeftIntrinsics.yaml", "K: [1, 2]\n", "expected K, nine numbers"),
    ],
)
def test_a_bad_calibration_is_refused_in_one_line(
    copied: Path, name: str, content: str | None, said: str
) -> None:
    file = copied / "Calibration-V2" / "V2" / name
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    with pytest.raises(DatasetError, match=said) as caught:
        FordReader(copied, "test", log=5)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_a_wrong_root_or_option_is_said(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file: expected Ford's V2 calibration"):
        FordReader(tmp_path)
    with pytest.raises(DatasetError, match="Log1/grd_sat_quaternion_latlon.txt: no such list"):
        FordReader(copied)
    with pytest.raises(DatasetError, match="log 7: expected some of"):
        FordReader(copied, log=7)
    with pytest.raises(DatasetError, match="'ins': expected one of camera, body"):
        FordReader(copied, reference_point="ins")  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="at most 35 m"):
        FordReader(copied, shift=50)
