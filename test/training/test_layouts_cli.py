"""The command that writes a tiny dataset."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.check import main as check
from training.town.layouts.__main__ import DATASETS, main


def test_a_dataset_is_written_and_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "own"
    options = ["--frames", "5", "--drives=1", "--size", "[64, 32]"]
    assert main(["--dataset", "own", "--out", str(out), *options]) == 0
    said = capsys.readouterr().out
    assert "wrote 5 frames" in said
    command = said.strip().rpartition("training.check ")[2].split()
    report = ["--split", "all", "--out", str(tmp_path / "report"), "--samples", "1"]
    assert check([*command, *report]) == 0
    said = capsys.readouterr().out
    assert "5 rows (drive0 5)" in said and "they agree" in said and "no problems" in said


WRONG = {
    "unknown dataset": (["--dataset", "vigour"], "dataset 'vigour': expected one of vigor"),
    "unknown option": (["--dataset", "own", "--sed", "1"], "no option 'sed'"),
    "no value": (["--dataset", "own", "--seed"], "pairs of --option value"),
    "no room": (["--dataset", "own", "--seed", "13"], "next seed"),
}


@pytest.mark.parametrize("name", WRONG)
def test_mistakes_are_one_line_and_leave_nothing(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, message = WRONG[name]
    assert main([*arguments, "--out", str(tmp_path / "new")]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["--dataset", "own", "--out", str(tmp_path)]) == 1
    assert "expected a new or empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_has_a_writer(name: str) -> None:
    __import__(DATASETS[name])
