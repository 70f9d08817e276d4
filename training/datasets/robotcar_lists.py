"""The lists of the authors' Oxford RobotCar split: positions, headings and time stamps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from training.datasets.pair import DatasetError, Problem

Split = Literal["train", "validation", "test1", "test2", "test3", "test"]

TESTS = ("test1", "test2", "test3")
# Lists of rows, the headings' file and the look-up list of each part; the tests share the latter
# two, which hold theirs one after the other.
FILES = {
    "train": (("training.txt",), "train_yaw.npy", "lookup_training.txt"),
    "validation": (("validation.txt",), "val_yaw.npy", "lookup_validation.txt"),
    "test": (tuple(f"{name}_j.txt" for name in TESTS), "test_yaw.npy", "lookup_test.txt"),
}


@dataclass(frozen=True)
class Row:
    """One frame.

    Attributes:
        where: list and line; ground: path of the prepared picture under the root.
        utm: easting and northing of the INS, metres, zone 30 north, along the grid's axes.
        yaw: azimuth of the vehicle from true north, as radians, 0 = east, counter-clockwise.
        raw: path of the raw picture under the root; stamp: nanoseconds, raw pictures are named
            after their microseconds. None where the look-up list lacks the row.
    """

    where: str
    ground: str
    utm: tuple[float, float]
    yaw: float
    raw: str | None
    stamp: int | None

    @property
    def traversal(self) -> str:
        """The date that the picture's path begins with."""
        return self.ground.split("/", 1)[0]


def enu_yaw(published: float) -> float:
    """Return the ENU azimuth of a published one, radians: theirs is 0 = west, clockwise."""
    return (2 * math.pi - published) % (2 * math.pi) - math.pi


def read_split(
    folder: Path, split: Split, problems: list[Problem], stamped: bool = False
) -> list[Row]:
    """Read the rows of a part of the split; what can't be used goes to ``problems``.

    Args:
        folder: ``Oxford_split``.
        stamped: leave out rows without a time stamp, and want the look-up list to be there.

    Raises:
        DatasetError: a list is missing, or there is not one heading per row.
    """
    if split not in get_args(Split):
        raise DatasetError(f"split '{split}': expected one of {', '.join(get_args(Split))}")
    lists, yaw_name, lookup_name = FILES["test" if split in TESTS else split]
    lines = [(name, number, line) for name in lists for number, line in _lines(folder / name)]
    pairs = _lookup(folder / lookup_name, stamped)
    raws = {ground: raw for raw, ground in pairs}
    pictures = [line.split()[0] if line.strip() else "" for _, _, line in lines]
    yaws = _yaws(folder / yaw_name, pictures, [ground for _, ground in pairs], " + ".join(lists))
    rows = []
    for (name, number, line), yaw in zip(lines, yaws, strict=True):
        if split in TESTS and name != f"{split}_j.txt":
            continue
        row = _row(f"{name}:{number}", line, yaw, raws, stamped)
        if isinstance(row, Problem):
            problems.append(row)
        else:
            rows.append(row)
    return rows


def _lines(path: Path) -> list[tuple[int, str]]:
    """Numbered lines of a list; an empty one keeps its number and counts as a row."""
    if not path.is_file():
        raise DatasetError(
            f"{path}: no such file: expected the authors' split beside the pictures; give the "
            "folder with Oxford_split as root, or its place as splits"
        )
    return list(enumerate(path.read_text(encoding="utf-8").splitlines(), start=1))


def _yaws(path: Path, pictures: list[str], known: list[str], lists: str) -> list[float]:
    """Published headings, one per row of the lists.

    A copy of the split is about whose training list lacks the five unreadable pictures while its
    headings and look-up list have them: there, the look-up list's pictures (``known``) tell whose
    the headings are.
    """
    if not path.is_file():
        raise DatasetError(f"{path}: no such file: expected the headings of {lists}")
    try:
        yaws = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"{path}: no NumPy array ({error}): download it again") from error
    if yaws.ndim == 1 and np.issubdtype(yaws.dtype, np.number):
        values = [float(yaw) for yaw in yaws]
        if len(values) == len(pictures):
            return values
        named = dict(zip(known, values, strict=False))
        if len(values) == len(known) and named.keys() >= set(pictures):
            return [named[picture] for picture in pictures]
    raise DatasetError(
        f"{path}: {yaws.dtype} of shape {yaws.shape} for the {len(pictures)} rows of {lists}: "
        "expected one heading a row; use the authors' files as they are, unreadable pictures "
        "included"
    )


def _lookup(path: Path, needed: bool) -> list[tuple[str, str]]:
    """(raw picture, prepared picture) of each row of the look-up list; none without one."""
    if not path.is_file() and not needed:
        return []
    pairs = [line.split() for _, line in _lines(path)]
    return [(pair[0], pair[1]) if len(pair) == 2 else ("", "") for pair in pairs]


def _row(where: str, line: str, yaw: float, raws: dict[str, str], stamped: bool) -> Row | Problem:
    words = line.split()
    if len(words) != 4:
        return Problem("row", where, f"{len(words)} columns: expected ground satellite E N")
    try:
        east, north = float(words[2]), float(words[3])
    except ValueError:
        return Problem("row", where, f"E {words[2]}, N {words[3]}: expected numbers")
    if not (1e5 <= east <= 9e5 and 0 <= north <= 1e7):  # also false for NaN
        return Problem("row", where, f"E {east}, N {north}: expected UTM metres, easting first")
    if not abs(yaw) <= math.pi + 1e-6:
        return Problem("row", where, f"heading {yaw}: expected radians within ±3.1416")
    raw = raws.get(words[0])
    time = "" if raw is None else raw.rsplit("/", 1)[-1].removesuffix(".png")
    stamp = int(time) * 1000 if time.isdigit() else None
    row = Row(where, words[0], (east, north), enu_yaw(yaw), raw, stamp)
    if stamped and row.stamp is None:
        return Problem(
            "row", where, f"no raw picture named by its microseconds for {words[0]} in the look-up"
        )
    return row


def by_time(rows: list[Row]) -> list[Row]:
    """Return the rows sorted by time within each traversal; traversals keep their order."""
    first = {name: place for place, name in reversed(list(enumerate(r.traversal for r in rows)))}
    return sorted(rows, key=lambda row: (first[row.traversal], row.stamp or 0))
