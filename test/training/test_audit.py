"""What audits say of labels, right and wrong, and where contact sheets mark them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drives_reader import FRAME, NORTH, Change, Drives, on_disk, turned

from cross_view_localizer.geo import Datum, MapFrame
from training.datasets.checking.contact_sheet import (
    RED,
    SIDE,
    YELLOW,
    contact_sheet,
    spread_over_groups,
)
from training.datasets.checking.labels import (
    LabelTable,
    against_anchor,
    center_only,
    course,
    nearest,
    panorama_places,
)
from training.datasets.pair import Label


def test_course_over_ground_agrees_with_right_yaws() -> None:
    finding = course(LabelTable.of(Drives()))
    assert finding is not None and finding.kind == "note"
    assert abs(finding.numbers["median_deg"]) < 0.05 and finding.numbers["pairs"] == 58


YAWS: dict[str, tuple[Callable[[float], float], str]] = {
    "clockwise": (lambda yaw: -yaw, "sense of turning reversed and zero moved by 180 deg"),
    "from north": (lambda yaw: yaw + NORTH, "zero moved by 90 deg"),
    "compass": (lambda yaw: NORTH - yaw, "sense of turning reversed"),
    "backwards": (lambda yaw: yaw + math.pi, "zero moved by 180 deg"),
}


@pytest.mark.parametrize("name", YAWS)
def test_a_wrong_yaw_convention_is_found_and_named(name: str) -> None:
    function, hint = YAWS[name]
    finding = course(LabelTable.of(Drives(change=turned(function))))
    assert finding is not None and finding.kind == "problem"
    assert hint in finding.text and "\n" not in finding.text


def test_grid_convergence_shows_in_the_course() -> None:
    finding = course(LabelTable.of(Drives(change=turned(lambda yaw: yaw - math.radians(1.4)))))
    assert finding is not None and abs(finding.numbers["median_deg"] - 1.4) < 0.05


def test_course_is_measured_from_true_north_far_from_the_datum() -> None:
    far = Drives(start=(60_000.0, 0.0))  # the frame's north is turned by 0.6 degrees there
    finding = course(LabelTable.of(far))
    assert finding is not None and abs(finding.numbers["median_deg"]) < 0.05


def test_frames_on_both_sides_of_a_pause_tell_no_course() -> None:
    def paused(label: Label) -> Label:
        late = int(label.name.split(":")[1]) > 20
        return replace(label, stamp=(label.stamp or 0) + 60_000_000_000 * late)

    finding = course(LabelTable.of(Drives(change=paused)))
    assert finding is not None and finding.numbers["pairs"] == 56


def test_course_needs_an_order_in_time() -> None:
    def unordered(label: Label) -> Label:
        return replace(label, stamp=None)

    assert course(LabelTable.of(Drives(change=unordered))) is None

    def numbered(label: Label) -> Label:
        number = label.ground_file.name.split(",")[0]
        return replace(label, stamp=None, ground_file=Path(f"{number}.png"))

    finding = course(LabelTable.of(Drives(change=numbered)))
    assert finding is not None and finding.kind == "note"


def test_places_do_not_depend_on_the_datum() -> None:
    def own_datum(label: Label) -> Label:
        frame = MapFrame(Datum(*FRAME.to_wgs84(label.grid.center).tolist()))
        latitude, longitude = FRAME.to_wgs84(label.position).tolist()
        here = frame.to_map(latitude, longitude).tolist()
        grid = replace(label.grid, center=(0.0, 0.0))
        return replace(label, grid=grid, position=(here[0], here[1]), datum=frame.datum)

    one, each = LabelTable.of(Drives()), LabelTable.of(Drives(change=own_datum))
    np.testing.assert_allclose(one.place, each.place, atol=2e-8)  # 2 mm
    np.testing.assert_allclose(one.place, FRAME.to_wgs84(one.position), atol=2e-8)
    finding = course(each)
    assert finding is not None and finding.kind == "note"


def placed(change: Callable[[float, float], tuple[float, float]]) -> Change:
    def change_label(label: Label) -> Label:
        x, y = label.grid.center
        east, north = change(label.position[0] - x, label.position[1] - y)
        return replace(label, position=(x + east, y + north))

    return change_label


def test_panorama_positions_agree_with_right_labels() -> None:
    finding = panorama_places(LabelTable.of(Drives()))
    assert finding is not None and finding.kind == "note"
    assert finding.numbers["median_m"] < 0.01
    assert abs(finding.numbers["scale_east"] - 1) < 1e-3


PLACES: dict[str, tuple[Callable[[float, float], tuple[float, float]], str]] = {
    "east": (lambda e, n: (-e, n), "east and west exchanged"),
    "north": (lambda e, n: (e, -n), "north and south exchanged"),
    "both": (lambda e, n: (-e, -n), "both axes reversed"),
    "swapped": (lambda e, n: (n, e), "east and north swapped"),
}


@pytest.mark.parametrize("name", PLACES)
def test_mirrored_labels_are_found_and_named(name: str) -> None:
    change, hint = PLACES[name]
    finding = panorama_places(LabelTable.of(Drives(change=placed(change))))
    assert finding is not None and finding.kind == "problem"
    assert re.search(r"labels disagree with panorama positions: median \d+\.\d\d m", finding.text)
    assert f"with {hint} they would agree to 0.0" in finding.text


def test_a_wrong_scale_shows() -> None:
    change = placed(lambda e, n: (1.13 * e, 1.13 * n))
    finding = panorama_places(LabelTable.of(Drives(change=change)))
    assert finding is not None and abs(finding.numbers["scale_north"] - 1.13) < 1e-3


def test_distances_to_training_places() -> None:
    train = LabelTable.of(Drives(count=400))
    beside = LabelTable.of(Drives(count=40, start=(0.0, -7.0)))
    near = nearest(train, beside)
    assert near is not None and near["p5_m"] == pytest.approx(near["p95_m"], abs=1.0)
    assert near["median_m"] == pytest.approx(7.0, abs=0.5)
    assert nearest(train, LabelTable.of(Drives(count=0))) is None


def test_center_only_and_its_anchors() -> None:
    table = LabelTable.of(Drives(count=200))
    found = center_only(table)
    expected = np.hypot(*table.offset.T)
    assert found["mean_m"] == pytest.approx(expected.mean())
    assert found["heading_mean_deg"] == pytest.approx(math.degrees(0.02))
    tags = {"dataset": "kitti", "split": "test2", "shift": "20 m", "rotation": "10 deg"}
    right = {"mean_m": 15.33, "median_m": 15.9, "heading_mean_deg": 5.0}
    for errors, rows, kind in (
        (right, 7542, "note"),
        ({**right, "mean_m": 15.9}, 7542, "problem"),
        ({**right, "heading_mean_deg": 4.0}, 7542, "problem"),
        ({**right, "mean_m": 15.9}, 20, "note"),
    ):
        finding = against_anchor(tags, rows, errors)
        assert finding is not None and finding.kind == kind
    assert against_anchor({"dataset": "own"}, 5000, right) is None
    assert against_anchor({**tags, "shift": "10 m"}, 5000, right) is None
    tags = {"dataset": "robotcar", "split": "test1", "reference_point": "ins"}
    flagged = against_anchor(tags, 1673, right)
    assert flagged is not None and "12.09/12.65" in flagged.text


def test_contact_sheet_marks_the_truth_where_it_is(tmp_path: Path) -> None:
    reader = on_disk(tmp_path)
    reader.change = turned(lambda yaw: yaw + 2.0)
    sheet = contact_sheet(reader, [1], columns=1)
    label = reader.label(1)
    grid = label.grid.resampled(SIDE, SIDE)
    wide = sheet.shape[1] - SIDE - 6
    aerial = sheet[:SIDE, wide : wide + SIDE]

    def middle(color: tuple[int, int, int]) -> tuple[float, float]:
        at = np.argwhere(np.abs(aerial.astype(int) - color).sum(axis=-1) < 30)
        return float(at[:, 1].mean()), float(at[:, 0].mean())

    u, v = grid.map_to_pixel(label.position)
    assert middle(RED) == pytest.approx((u, v), abs=2.0)
    ahead = np.subtract(middle(YELLOW), middle(RED))
    seen = math.atan2(-ahead[1], ahead[0])
    assert seen == pytest.approx(label.yaw, abs=0.2)


def test_contact_sheet_of_a_broken_picture_says_why(tmp_path: Path) -> None:
    reader = on_disk(tmp_path)
    reader.files(0)[0].unlink()
    sheet = contact_sheet(reader, [0, 1])
    assert sheet[:SIDE, : SIDE // 2].max() == 0 and sheet[SIDE:, :200].max() > 200


def test_samples_are_spread_over_groups() -> None:
    groups = [0] * 50 + [1] * 3 + [2]
    chosen = spread_over_groups(groups, 6)
    assert sorted(groups[row] for row in chosen) == [0, 0, 0, 1, 1, 2]
    assert len(set(chosen)) == 6 and spread_over_groups([], 4) == []
