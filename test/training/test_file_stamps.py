"""Files that were found whole are not opened again, by no process of a training."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from drives_reader import on_disk

from training.datasets.checking import file_stamps, files
from training.datasets.checking.files import usable
from training.datasets.pair import DatasetError


@pytest.fixture()
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was opened."""
    counts: Counter[str] = Counter()
    look = files._broken

    def counted(file: Path) -> tuple[str, str] | None:
        counts[str(file)] += 1
        return look(file)

    monkeypatch.setattr(files, "_broken", counted)
    monkeypatch.setattr(file_stamps, "FOLDER", tmp_path / "stamps")
    return counts


def test_the_next_start_opens_no_file(tmp_path: Path, opened: Counter[str]) -> None:
    reader = on_disk(tmp_path)
    rows = usable(reader)
    assert opened and set(opened.values()) == {1}
    opened.clear()
    assert usable(reader) == rows == list(range(6))
    assert not opened


def test_a_file_that_changed_is_looked_at_again_even_with_its_old_size_and_time(
    tmp_path: Path, opened: Counter[str]
) -> None:
    reader = on_disk(tmp_path)
    usable(reader)
    opened.clear()
    file = reader.files(2)[0]
    before = file.stat()
    file.write_bytes(b"\x89PNG" + bytes(before.st_size - 4))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DatasetError, match=f"{file.name}: truncated"):
        usable(reader)
    assert dict(opened) == {str(file): 1}
    with pytest.raises(DatasetError, match="truncated"):  # what is broken is not remembered
        usable(reader)
    assert opened[str(file)] == 2


def test_of_processes_that_start_together_one_opens_each_file(
    tmp_path: Path, opened: Counter[str]
) -> None:
    reader = on_disk(tmp_path)
    with ThreadPoolExecutor(4) as pool:  # each takes the lock of the file system for itself
        found = list(pool.map(lambda _: usable(reader), range(4)))
    assert found == [list(range(6))] * 4
    assert set(opened.values()) == {1}


def test_without_a_place_to_write_all_is_looked_at(
    tmp_path: Path, opened: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").write_text("")
    monkeypatch.setattr(file_stamps, "FOLDER", tmp_path / "taken" / "stamps")
    reader = on_disk(tmp_path)
    for count in (1, 2):
        assert usable(reader) == list(range(6))
        assert set(opened.values()) == {count}


def test_a_half_written_list_is_no_list(tmp_path: Path, opened: Counter[str]) -> None:
    reader = on_disk(tmp_path)
    usable(reader)
    for file in (tmp_path / "stamps").glob("*.json"):
        file.write_text(file.read_text()[:20])
    opened.clear()
    assert usable(reader) == list(range(6))
    assert set(opened.values()) == {1}
