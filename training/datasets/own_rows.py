"""The list of your own data: a CSV with a header, one picture per row."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from training.datasets.pair import DatasetError, Problem

REQUIRED = ("image", "latitude", "longitude", "heading")
OPTIONAL = ("group", "split", "stamp", "height")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Row:
    """One row as the file says it: degrees, heading clockwise from north, stamp in nanoseconds."""

    line: int
    image: str
    latitude: float
    longitude: float
    heading: float
    group: str | None = None
    split: str | None = None
    stamp: int | None = None
    height: float | None = None


def read_rows(path: Path) -> tuple[list[Row], list[Problem]]:
    """Return the rows that can be used, in the file's order, and what is wrong with the others.

    Raises:
        DatasetError: no such file, not text, or a header without the columns needed.
    """
    if not path.is_file():
        raise DatasetError(f"{path}: no such file: expected a CSV with {', '.join(REQUIRED)}")
    rows, problems = [], []
    try:
        # Spreadsheets put a byte order mark before the first column's name.
        with path.open(newline="", encoding="utf-8-sig") as stream:
            for line, values in _records(path, stream):
                try:
                    rows.append(_row(line, values))
                except ValueError as error:
                    problems.append(Problem("row", f"{path}:{line}", str(error)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: not a CSV in UTF-8 ({error})") from None
    return rows, problems


def _records(path: Path, stream: Iterator[str]) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Yield (line, column → value), a missing value as None."""
    reader = csv.reader(stream, skipinitialspace=True)
    names = [name.strip().lower() for name in next(reader, [])]
    missing = [name for name in REQUIRED if name not in names]
    if missing or len(set(names)) < len(names):
        raise DatasetError(
            f"{path}:1: header {','.join(names)!r}: expected the columns {', '.join(REQUIRED)} "
            f"once each, separated by commas (and may have {', '.join(OPTIONAL)})"
        )
    for values in reader:
        if values:
            padded = [*values, *[None] * (len(names) - len(values))]
            yield reader.line_num, dict(zip(names, padded, strict=False))


def _row(line: int, values: Mapping[str, str | None]) -> Row:
    given = {name: (value or "").strip() for name, value in values.items()}
    absent = [name for name in REQUIRED if not given[name]]
    if absent:
        found = sum(value is not None for value in values.values())
        raise ValueError(f"no {', '.join(absent)}: {found} of {len(values)} columns are there")
    latitude = _number(given, "latitude", -90.0, 90.0)
    longitude = _number(given, "longitude", -180.0, 180.0)
    heading = _number(given, "heading", -360.0, 360.0)
    split = given.get("split") or None
    if "split" in given and split not in SPLITS:
        raise ValueError(f"split {split!r}: expected {', '.join(SPLITS)}")
    height = _number(given, "height", 0.0, 100.0) if given.get("height") else None
    return Row(
        line=line,
        image=given["image"],
        latitude=latitude,
        longitude=longitude,
        heading=heading,
        group=given.get("group") or None,
        split=split,
        stamp=_nanoseconds(given["stamp"]) if given.get("stamp") else None,
        height=height,
    )


def _number(values: Mapping[str, str], name: str, low: float, high: float) -> float:
    try:
        number = float(values[name])
    except ValueError:
        number = math.nan
    if not low <= number <= high:  # NaN fails it too
        raise ValueError(f"{name} {values[name]!r}: expected a number from {low:g} to {high:g}")
    return number


def _nanoseconds(text: str) -> int:
    """Seconds with any number of decimals as whole nanoseconds; a float would lose the last."""
    try:
        seconds = Decimal(text)
    except InvalidOperation:
        seconds = Decimal("nan")
    if not seconds.is_finite():
        raise ValueError(f"stamp {text!r}: expected seconds")
    return int(seconds * 1_000_000_000)
