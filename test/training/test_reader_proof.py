from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import reader_proof
from reader_proof import assert_content, assert_mutants_fail, assert_truth, content_error

from cross_view_localizer.camera.camera import OPTICAL_TO_BODY, Camera
from cross_view_localizer.geo import Datum, MapFrame
from cross_view_localizer.grid import Grid
from training.datasets.aerial_source import AerialSource
from training.datasets.pair import RGB, GroundPicture, Label, Problem, Reader
from training.town.layouts.truth import Truth, truth_at
from training.town.town import Town


class Given(Reader):
    """Labels as given; the aerial picture is the town's, moved by a known error."""

    def __init__(self, town: Town, labels: list[Label], moved: float) -> None:
        self.tags: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.labels, self.moved = labels, moved
        self.source = AerialSource(town.aerial, town.grid, 0.1)

    def __len__(self) -> int:
        return len(self.labels)

    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        return self.labels[index]

    def aerial(self, label: Label, grid: Grid) -> RGB:
        x, y = grid.center
        return self.source.crop(replace(grid, center=(x + self.moved, y)))

    def ground(self, label: Label) -> GroundPicture:
        image = np.zeros((2, 4, 3), np.uint8)
        return GroundPicture(image, Camera("equirectangular", 4, 2), OPTICAL_TO_BODY, 1.5)


@pytest.fixture(scope="module")
def town() -> Town:
    return Town(12)


def made(town: Town, east: float = 0.0, turn: float = 0.0) -> tuple[list[Label], list[Truth]]:
    poses = town.poses(4)
    truths = [truth_at(town, f"{i}.png", pose, "a") for i, pose in enumerate(poses)]
    labels = [
        Label(
            name=f"list.txt:{i + 1}",
            ground_file=Path(f"images/{i}.png"),
            aerial_file=Path("tile.png"),
            grid=Grid(640, 640, 0.1, (pose.x + 3, pose.y - 4)),
            position=(pose.x + east, pose.y),
            yaw=pose.yaw + turn,
            heading=pose.yaw,
            group="A",
            datum=town.datum,
        )
        for i, pose in enumerate(poses)
    ]
    return labels, truths


def test_a_faithful_reader_passes(town: Town) -> None:
    labels, truths = made(town)
    reader = Given(town, labels, 0.0)
    assert_truth(reader, truths, expected=4)
    for label, truth in zip(labels, truths, strict=True):
        assert_content(reader, town, label, truth)
        assert content_error(reader, town, label, truth)[0] < 0.02


@pytest.mark.parametrize("east, turn", [(0.02, 0.0), (0.0, math.radians(0.1))])
def test_a_label_that_is_a_little_off_fails(town: Town, east: float, turn: float) -> None:
    labels, truths = made(town, east, turn)
    with pytest.raises(AssertionError, match="off"):
        assert_truth(Given(town, labels, 0.0), truths)


def test_a_far_datum_turns_the_frame_but_not_the_truth(town: Town) -> None:
    labels, truths = made(town)
    near, far = MapFrame(town.datum), MapFrame(Datum(town.datum.latitude, town.datum.longitude + 1))
    turned = []
    for label in labels:
        ahead = np.array(label.position) + (100 * math.cos(label.yaw), 100 * math.sin(label.yaw))
        x, y = far.to_map(*near.to_wgs84(label.position)).tolist()
        dx, dy = far.to_map(*near.to_wgs84(ahead)) - (x, y)
        grid = replace(label.grid, center=(x, y))
        moved = replace(label, position=(x, y), grid=grid, datum=far.datum)
        turned.append(replace(moved, yaw=math.atan2(dy, dx)))
    assert_truth(Given(town, turned, 0.0), truths)
    assert abs(turned[0].yaw - labels[0].yaw) > math.radians(0.3)
    kept = [replace(new, yaw=old.yaw) for new, old in zip(turned, labels, strict=True)]
    with pytest.raises(AssertionError, match="yaw off"):
        assert_truth(Given(town, kept, 0.0), truths)


@pytest.mark.parametrize("moved", [0.02, 0.5, 8.0])
def test_a_picture_that_is_moved_fails_whatever_its_label(town: Town, moved: float) -> None:
    labels, truths = made(town)
    reader = Given(town, labels, moved)
    assert_truth(reader, truths)
    for label, truth in zip(labels, truths, strict=True):
        with pytest.raises(AssertionError, match="content"):
            assert_content(reader, town, label, truth)


def test_the_size_of_a_small_move_is_measured(town: Town) -> None:
    labels, truths = made(town)
    px, degrees, _ = content_error(Given(town, labels, 0.05), town, labels[0], truths[0])
    assert px == pytest.approx(0.5, abs=0.02)
    assert degrees == pytest.approx(0.0, abs=0.02)


def test_a_mutant_that_nothing_notices_is_reported() -> None:
    change = ("return float(np.hypot(*moved))", "return -float(np.hypot(*moved))")
    with pytest.raises(pytest.fail.Exception, match="nothing noticed"):
        assert_mutants_fail(reader_proof, [change], lambda module: None)
    with pytest.raises(AssertionError, match="0 times"):
        assert_mutants_fail(reader_proof, [("no such line", "")], lambda module: None)
