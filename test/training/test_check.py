"""What `check` finds: in files, in pictures, in labels; and that training refuses what it finds."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cross_view_localizer.camera import OPTICAL_TO_BODY, Camera
from cross_view_localizer.geo import Datum, MapFrame
from cross_view_localizer.grid import Grid
from training.check import main, splits_of
from training.datasets.anchors import against_anchor
from training.datasets.audit import center_only, course, nearest, panorama_places
from training.datasets.check import check, usable
from training.datasets.contact_sheet import RED, SIDE, YELLOW, contact_sheet, spread_over_groups
from training.datasets.label_table import LabelTable
from training.datasets.pair import (
    RGB,
    DatasetError,
    GroundPicture,
    Label,
    Problem,
    Reader,
    read_rgb,
)
from training.town.layouts.pictures import save

DATUM = Datum(48.0, 11.0)
FRAME = MapFrame(DATUM)
NORTH = math.pi / 2
Change = Callable[[Label], Label]


def unchanged(label: Label) -> Label:
    return label


@dataclass
class Drives(Reader):
    """Two drives through bends, a frame every 3 m; panoramas named by their true place."""

    root: Path = Path("nowhere")
    count: int = 60
    change: Change = unchanged
    start: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        self.tags = {"dataset": "drives", "split": "test"}
        self.problems = []

    def __len__(self) -> int:
        return self.count

    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        drive, step = index % 2, index // 2
        s = 3.0 * step
        x = self.start[0] + 100.0 * math.sin(s / 100.0) + 2000.0 * drive
        y = self.start[1] + 100.0 * (1 - math.cos(s / 100.0))
        yaw = math.atan2(math.sin(s / 100.0), math.cos(s / 100.0))
        latitude, longitude = FRAME.to_wgs84((x, y))
        east, north = np.random.default_rng(index).uniform(-18, 18, 2).tolist()
        name = f"{index},{latitude:.8f},{longitude:.8f},.png"
        label = Label(
            name=f"list.txt:{index + 1}",
            ground_file=self.root / name,
            aerial_file=self.root / f"tile{index}.png",
            grid=Grid(64, 64, 1.0, (x + east, y + north), NORTH),
            position=(x, y),
            yaw=yaw,
            heading=yaw + 0.02,
            group=f"drive {drive}",
            datum=DATUM,
            stamp=int(1e18) + step * 300_000_000,
        )
        return self.change(label)

    def aerial(self, label: Label, grid: Grid) -> RGB:
        read_rgb(label.aerial_file)
        return np.zeros((grid.height, grid.width, 3), np.uint8)

    def ground(self, label: Label) -> GroundPicture:
        image = read_rgb(label.ground_file)
        camera = Camera("equirectangular", image.shape[1], image.shape[0])
        return GroundPicture(image, camera, OPTICAL_TO_BODY, 2.0)


def on_disk(root: Path, count: int = 6) -> Drives:
    """Noise, so that a picture is long enough to be cut."""
    reader = Drives(root, count)
    noise = np.random.default_rng(0).integers(0, 255, (32, 64, 3), np.uint8)
    for index in range(count):
        for file in reader.files(index):
            save(file, noise)
    return reader


def test_good_files_are_usable(tmp_path: Path) -> None:
    assert usable(on_disk(tmp_path)) == [0, 1, 2, 3, 4, 5]
    assert check({"test": on_disk(tmp_path)}).problems == 0


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


HARM: dict[str, Callable[[Path], object]] = {
    "no such file": Path.unlink,
    "truncated": cut,
    "0 bytes": emptied,
}


@pytest.mark.parametrize("what", HARM)
@pytest.mark.parametrize("which", [0, 1])
def test_training_refuses_missing_and_truncated_files_unless_told_to_skip(
    tmp_path: Path, what: str, which: int, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = on_disk(tmp_path)
    harmed = reader.files(2)[which]
    HARM[what](harmed)
    with pytest.raises(DatasetError) as error:
        usable(reader)
    said = str(error.value)
    assert what in said and str(harmed) in said and "row 2" in said and "1 of 6 rows" in said
    assert "\n" not in said and "skip" in said
    assert usable(reader, skip=True) == [0, 1, 3, 4, 5]
    assert "skipped: 1 of 6 rows" in capsys.readouterr().out
    report = check({"test": reader})
    assert len(report.splits["test"].problems) == report.problems == 1


def test_training_refuses_broken_rows_but_not_rows_outside_the_patch(tmp_path: Path) -> None:
    reader = on_disk(tmp_path)
    reader.problems.append(Problem("outside", "list.txt:9", "the camera lies beside the tile"))
    assert len(usable(reader)) == 6
    reader.problems.append(Problem("row", "list.txt:8", "3 columns: expected 4"))
    with pytest.raises(DatasetError, match="1 of 7 rows.*list.txt:8: 3 columns"):
        usable(reader)
    assert len(usable(reader, skip=True)) == 6
    report = check({"test": reader})
    assert report.problems == 1 and report.splits["test"].left_out == 1


def test_a_wrong_root_leaves_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="6 of 6 rows.*nor the folder"):
        usable(Drives(tmp_path / "wrong", 6), skip=True)
    with pytest.raises(DatasetError, match="no rows"):
        usable(Drives(tmp_path, 0), skip=True)


def test_a_picture_that_only_decoding_finds_broken(tmp_path: Path) -> None:
    reader = on_disk(tmp_path)
    broken = reader.files(4)[0]
    content = bytearray(broken.read_bytes())
    content[40:-64] = b"\0" * (len(content) - 104)
    broken.write_bytes(content)
    assert usable(reader) == list(range(6))  # its ends are those of a picture
    report = check({"test": reader}, pictures=None, workers=1)
    assert [p.kind for p in report.splits["test"].problems] == ["unreadable"]
    assert str(broken) in str(report.splits["test"].problems[0])
    assert check({"test": reader}, pictures=0).problems == 0


def test_a_shared_file_that_is_missing_is_one_problem(tmp_path: Path) -> None:
    reader = on_disk(tmp_path)
    reader.change = lambda label: replace(label, aerial_file=tmp_path / "map.png")
    assert check({"test": reader}).problems == 1


def turned(function: Callable[[float], float]) -> Change:
    return lambda label: replace(label, yaw=function(label.yaw))


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


CSV = "image,latitude,longitude,heading,group,split\n"


@pytest.fixture
def own(tmp_path: Path) -> list[str]:
    """Arguments that check a tiny dataset of one's own: pictures and a map with a world file."""
    rng = np.random.default_rng(1)
    for name in ("a.png", "b.png", "c.png"):
        save(tmp_path / name, rng.integers(0, 255, (16, 32, 3), np.uint8))
    save(tmp_path / "map.png", rng.integers(0, 255, (200, 200, 3), np.uint8))
    (tmp_path / "map.pgw").write_text("1\n0\n0\n-1\n499900.5\n5499999.5\n")
    rows = "".join(
        f"{name}.png,49.6516,9.0000{digit},10,one,{split}\n"
        for name, digit, split in (("a", 1, "train"), ("b", 2, "validation"), ("c", 3, "test"))
    )
    (tmp_path / "list.csv").write_text(CSV + rows)
    return [
        *("--reader", "own", "--csv", f"{tmp_path}/list.csv", "--raster", f"{tmp_path}/map.png"),
        *("--crs=EPSG:32632", "--out", f"{tmp_path}/out", "--samples", "2"),
    ]


def test_command_reports_and_succeeds(
    own: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(own) == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    assert "no problems" in said and "test to the nearest training place" in said
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert [report["splits"][s]["rows"] for s in ("train", "validation", "test")] == [1, 1, 1]
    sheet = cv2.imread(str(tmp_path / "out/contact_sheet_train.png"))
    assert sheet is not None and sheet.max() > 100


def test_command_counts_problems_and_fails(
    own: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "list.csv").open("a") as stream:
        stream.write("d.png,49.6516,9.00001,10,one,train\n")
        stream.write("e.png,49.6516,9.00001,nan,one,train\nf.png,49.6516\n")
    cut(tmp_path / "a.png")
    assert main([*own, "--show", "3"]) == 1  # the list is every split's, its faults count once
    said = capsys.readouterr().out
    assert "4 problems" in said and "and 1 more" in said
    assert f"{tmp_path}/list.csv:6: heading 'nan'" in said
    report = json.loads((tmp_path / "out/report.json").read_text())
    kinds = [p["kind"] for p in report["splits"]["train"]["problems"]]
    assert sorted(kinds) == ["missing", "row", "row", "unreadable"]


def test_command_says_in_one_line_what_is_wrong(
    own: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {
        ("--reader", "vigour"): "vigour",
        ("--csv", "/no/where.csv"): "/no/where.csv: no such file",
        ("--fovv", "3"): "no option 'fovv'",
        ("--pictures", "some"): "--pictures 'some'",
        ("--lonely",): "pairs of --option value",
        ("--crs", "{"): "expected a plain value",
    }
    for change, message in wrong.items():
        assert main([*own, *change]) == 1
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1, error


def test_splits_come_from_the_reader() -> None:
    assert splits_of("own") == ["train", "validation", "test"]
    assert splits_of("vigor") == ["train", "validation", "test"]
