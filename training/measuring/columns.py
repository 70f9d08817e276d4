"""Rows of samples on disk: written as they come, read back by column."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TEXT = ("name", "group")


@dataclass(frozen=True)
class Columns:
    """One file's rows by column.

    Attributes:
        names, groups: (N,) of the labels.
        numbers: the other columns, (N,) float64 each.
    """

    names: NDArray[np.str_]
    groups: NDArray[np.str_]
    numbers: Mapping[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, column: str) -> NDArray[np.float64]:
        return self.numbers[column]


def write(path: Path, rows: Iterable[Any]) -> int:
    """Write dataclass rows as CSV, one at a time; the file appears whole. Returns their number.

    Raises:
        ValueError: where there is no row.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    count = 0
    with part.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        for row in rows:
            if not count:
                writer.writerow([f.name for f in fields(row)])
            writer.writerow([_shown(value) for value in asdict(row).values()])
            count += 1
    if not count:
        part.unlink()
        raise ValueError(f"{path.name}: no rows to write: expected at least one sample")
    part.replace(path)
    return count


def _shown(value: object) -> object:
    return f"{value:.9g}" if isinstance(value, float) else value


def read(path: Path) -> Columns:
    """Read what `write` wrote.

    Raises:
        ValueError: for a file that is not such a table; one line.
    """
    with path.open(newline="") as stream:
        lines = csv.reader(stream)
        head = next(lines, [])
        if not set(TEXT) <= set(head):
            raise ValueError(f"{path}: columns {head}: expected name, group …: delete the file")
        kept: list[list[str]] = [[], []]
        values = array("d")  # eight bytes each, for hundreds of thousands of rows
        where = [head.index(one) for one in TEXT]
        numeric = [i for i in range(len(head)) if i not in where]
        for line in lines:
            for column, i in zip(kept, where, strict=True):
                column.append(line[i])
            values.extend(float(line[i]) for i in numeric)
    table = np.frombuffer(values, dtype=np.float64).reshape(-1, len(numeric))
    numbers = {head[i]: table[:, k] for k, i in enumerate(numeric)}
    return Columns(np.array(kept[0]), np.array(kept[1]), numbers)


def joined(parts: Iterable[Columns]) -> Columns:
    """Return the rows of several files after each other."""
    some = list(parts)
    return Columns(
        np.concatenate([p.names for p in some]),
        np.concatenate([p.groups for p in some]),
        {k: np.concatenate([p[k] for p in some]) for k in some[0].numbers},
    )


def merge(path: Path, parts: Iterable[tuple[Mapping[str, object], Path]]) -> None:
    """Write one CSV of several, line by line, each line led by its part's own columns."""
    part = path.with_name(f".{path.name}.part")
    with part.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        head = True
        for leading, source in parts:
            with source.open(newline="") as lines:
                rows = csv.reader(lines)
                names = next(rows)
                if head:
                    writer.writerow([*leading, *names])
                    head = False
                writer.writerows([*leading.values(), *row] for row in rows)
    part.replace(path)
