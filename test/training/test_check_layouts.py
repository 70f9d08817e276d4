"""What `check` says of the datasets' layouts: nothing where they are right, and what is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from training.check import main, splits_of
from training.datasets import registry
from training.town.layouts import kitti, vigor


def said(capsys: pytest.CaptureFixture[str], out: Path, *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    status = main([*arguments, "--out", str(out / "report"), "--samples", "1"])
    return status, capsys.readouterr().out


@pytest.fixture(scope="module")
def vigor_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("vigor")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vigor, "tile", lambda *_: np.zeros((640, 640, 3), np.uint8))
        vigor.write(root, 8, cities=("Seattle",), rendered=(64, 32), size=(64, 32))
    return root


VIGOR = ("--reader", "vigor", "--cities", "[Seattle]", "--validation", "random")


def test_vigors_labels_agree_with_its_panoramas(
    vigor_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, text = said(capsys, tmp_path, *VIGOR, "--root", str(vigor_root))
    assert status == 0, text
    assert "labels agree with panorama positions" in text and "no problems" in text


@pytest.mark.parametrize(
    ("column", "hint"), [(2, "north and south exchanged"), (3, "east and west exchanged")]
)
def test_mirrored_vigor_labels_are_one_line(
    vigor_root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    column: int,
    hint: str,
) -> None:
    root = tmp_path / "mirrored"
    shutil.copytree(vigor_root, root)
    path = root / "splits__corrected/Seattle/same_area_balanced_test__corrected.txt"
    rows = [line.split() for line in path.read_text().splitlines()]
    for row in rows:
        row[column] = str(-float(row[column]))
    path.write_text("\n".join(" ".join(row) for row in rows))
    status, text = said(capsys, tmp_path, *VIGOR, "--root", str(root), "--split", "test")
    lines = [line for line in text.splitlines() if "labels disagree" in line]
    assert status == 1 and len(lines) == 1 and hint in lines[0], text


@pytest.fixture(scope="module")
def kitti_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of black pictures: labels only are looked at."""
    root = tmp_path_factory.mktemp("kitti")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kitti, "camera_picture", lambda *_: np.zeros((375, 1242, 3), np.uint8))
        patch.setattr(kitti, "aerial_on", lambda *_: np.zeros((64, 64, 3), np.uint8))
        kitti.write(root)
    return root


def test_kittis_yaws_agree_with_its_drives(
    kitti_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--reader", "kitti", "--root", str(kitti_root), "--split", "test2")
    status, text = said(capsys, tmp_path, *arguments)
    assert status == 0 and "they agree" in text, text
    changed = {}
    for path in kitti_root.glob("raw_data/*/*/oxts/data/*.txt"):
        changed[path] = path.read_text()
        fields = changed[path].split()
        fields[5] = str(np.pi / 2 - float(fields[5]))
        path.write_text(" ".join(fields) + "\n")
    try:
        status, text = said(capsys, tmp_path, *arguments)
    finally:
        for path, content in changed.items():
            path.write_text(content)
    lines = [line for line in text.splitlines() if "yaws disagree with the drives" in line]
    assert status == 1 and len(lines) == 1, text
    assert "sense of turning reversed" in lines[0]


@pytest.mark.parametrize("name", sorted(set(registry.names()) - {"own", "town"}))
def test_a_wrong_root_is_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "train" in splits_of(name) and "test" in "".join(splits_of(name))
    assert main(["--reader", name, "--root", str(tmp_path / "nowhere")]) == 1
    error = capsys.readouterr().err
    assert "nowhere" in error and "expected" in error and error.count("\n") == 1
