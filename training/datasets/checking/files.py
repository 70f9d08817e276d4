"""Whether a dataset's files are there and whole: the cheap look before training starts, and the
thorough one that opens pictures.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
from torch.utils.data import DataLoader, Dataset

from training.datasets.checking.file_stamps import FileStamps, file_stamps
from training.datasets.pair import DatasetError, Problem, Reader

_PNG, _JPEG = b"\x89PNG", b"\xff\xd8"
_GLANCE = 16  # pixels a side: the file is decoded, little else is done
_TAIL = 64  # bytes at a picture's end among which its end marker lies


class FileCheck:
    """Tells what is wrong with a file, each file once, each folder listed once; decodes nothing.

    Args:
        ends: also look at a picture's first and last bytes, which tells a broken-off download.
        stamps: of files that were whole before, which are not opened again.
    """

    def __init__(self, ends: bool = True, stamps: FileStamps | None = None) -> None:
        self._ends, self._stamps = ends, stamps
        self._folders: dict[str, set[str]] = {}
        self._verdicts: dict[str, tuple[str, str] | None] = {}

    def fault(self, file: Path) -> tuple[str, str] | None:
        """Return (kind, message) as a `Problem` has them, or None for a good file."""
        path = str(file)
        if path not in self._verdicts:
            self._verdicts[path] = self._look(file)
        return self._verdicts[path]

    def _look(self, file: Path) -> tuple[str, str] | None:
        folder = str(file.parent)
        if folder not in self._folders:
            self._folders[folder] = _names(folder)
        if file.name not in self._folders[folder]:
            at_all = "" if os.path.isdir(folder) else " (nor the folder it should be in)"
            return "missing", f"no such file{at_all}"
        if not self._ends or (self._stamps is not None and self._stamps.is_known(file)):
            return None
        fault = _broken(file)
        if fault is None and self._stamps is not None:
            self._stamps.keep(file)
        return fault


def _names(folder: str) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except OSError:
        return set()


def _broken(file: Path) -> tuple[str, str] | None:
    """The fault that a file's size, first and last bytes show."""
    try:
        with open(file, "rb") as stream:
            start = stream.read(4)
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _TAIL))
            end = stream.read()
    except OSError as error:
        return "unreadable", f"can't be read: {error.strerror}"
    if size == 0:
        return "unreadable", "empty (0 bytes): download it again"
    png, jpeg = start == _PNG, start[:2] == _JPEG
    if (png and b"IEND" not in end) or (jpeg and b"\xff\xd9" not in end):
        return "unreadable", f"truncated ({size} bytes): download it again"
    return None


def faults(
    reader: Reader, ends: bool = True, stamps: FileStamps | None = None
) -> Iterator[tuple[int, list[Problem]]]:
    """Yield (row, its problems) for every row of a reader; no problems for a good row."""
    check = FileCheck(ends, stamps)
    for index in range(len(reader)):
        found = []
        for file in reader.files(index):
            fault = check.fault(file)
            if fault is not None:
                kind, message = fault
                found.append(Problem(kind, str(file), f"{message} (row {index})"))
        yield index, found


def usable(reader: Reader, skip: bool = False, ends: bool = True) -> list[int]:
    """Return the rows whose files are all there and whole.

    Rows left out because their truth lies outside the patch are no fault: protocols drop them.

    Args:
        skip: leave faulty rows out, and print how many, rather than refuse.
        ends: also find truncated pictures, by their last bytes: one open per file, the first time.

    Raises:
        DatasetError: rows that can't be parsed, or files that are missing or truncated, without
            ``skip``; with it, where no row is left.
    """
    what = ", ".join(f"{key} {value}" for key, value in reader.tags.items())
    good: list[int] = []
    bad: list[Problem] = []
    with file_stamps() as stamps:
        for index, problems in faults(reader, ends, stamps):
            if problems:
                bad.append(problems[0])
            else:
                good.append(index)
    rows = [problem for problem in reader.problems if problem.kind != "outside"]
    if not bad and not rows and good:
        return good
    if not bad and not rows:
        raise DatasetError(f"no rows ({what}): is the root right, and the split?")
    first, advice = [*bad, *rows][0], "`python -m training.check` lists all"
    total = len(reader) + len(rows)
    count = f"{len(bad) + len(rows)} of {total} rows can't be used ({what})"
    if not good:
        raise DatasetError(f"{count}, none is left; the first: {first}")
    if not skip:
        raise DatasetError(
            f"{count}: {len(bad)} by their files, {len(rows)} by their lists; the first: {first}; "
            f"{advice}; to train without them, say skip"
        )
    print(f"skipped: {count}; the first: {first}; {advice}", flush=True)
    return good


class _Pictures(Dataset[list[Problem]]):
    """What is wrong with the pictures of rows; a map that rows share is opened for the first."""

    def __init__(self, reader: Reader, rows: Sequence[int]) -> None:
        self.reader, self.rows = reader, rows
        seen: set[str] = set()
        self.first = [str(reader.label(row).aerial_file) for row in rows]
        # Where one map serves all rows, it need not be opened for each of them.
        for i, file in enumerate(self.first):
            self.first[i] = "" if file in seen else file
            seen.add(file)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> list[Problem]:
        label = self.reader.label(self.rows[index])
        looks: list[Callable[[], object]] = [lambda: self.reader.ground(label)]
        if self.first[index]:
            size = min(_GLANCE, label.grid.width)
            grid = replace(label.grid, width=size, height=size, gsd=label.grid.extent[0] / size)
            looks.append(lambda: self.reader.aerial(label, grid))
        problems = []
        for look in looks:
            try:
                look()
            except (ValueError, OSError, cv2.error) as error:  # one bad file must not end it
                line = str(error).strip().replace("\n", " ")
                problems.append(Problem("unreadable", label.name, line))
        return problems


def unreadable(reader: Reader, rows: Sequence[int], workers: int = 0) -> Iterator[list[Problem]]:
    """Yield what is wrong with each row's pictures, in order; mostly nothing."""
    pictures = _Pictures(reader, rows)
    # A forked worker inherits OpenCV's thread pool without its threads, and hangs.
    start = "spawn" if workers else None
    yield from DataLoader(
        pictures, batch_size=None, num_workers=workers, multiprocessing_context=start
    )
