"""What `check` finds in files and pictures; that training refuses it; the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from drives_reader import Drives, on_disk

from training.check import main, splits_of
from training.datasets.checking.files import usable
from training.datasets.checking.report import check
from training.datasets.pair import DatasetError, Problem
from training.datasets.picture_files import save


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
