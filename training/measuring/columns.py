"""Rows of samples on disk: written as they come, read back by column."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TEXT = ("name", "group", "reason")


@dataclass(frozen=True)
class Columns:
    """Rows by column.

    Attributes:
        names, groups, reasons: (N,) of the records; reasons are empty where rows have none.
        numbers: the other columns, (N,) float64 each.
    """

    names: NDArray[np.str_]
    groups: NDArray[np.str_]
    reasons: NDArray[np.str_]
    numbers: Mapping[str, NDArray[np.float64]]

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> Columns:
        """Return rows by column.

        Raises:
            ValueError: where there is no row.
        """
        some = list(rows)
        if not some:
            raise ValueError("no frames to measure: expected at least one")
        name, group, reason = (np.array([str(row.get(key, "")) for row in some]) for key in TEXT)
        numeric = [key for key in some[0] if key not in TEXT]
        numbers = {key: np.array([row[key] for row in some], np.float64) for key in numeric}
        return cls(name, group, reason, numbers)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, column: str) -> NDArray[np.float64]:
        return self.numbers[column]


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows as CSV, one at a time; the file appears whole. Returns their number.

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
                writer.writerow(row)
            writer.writerow([_shown(value) for value in row.values()])
            count += 1
    if not count:
        part.unlink()
        raise ValueError(f"{path.name}: no rows to write: expected at least one sample")
    part.replace(path)
    return count


def _shown(value: object) -> object:
    return f"{value:.12g}" if isinstance(value, float) else value


def read(path: Path) -> Columns:
    """Read what `write` wrote.

    Raises:
        ValueError: for a file that is not such a table; one line.
    """
    with path.open(newline="") as stream:
        lines = csv.reader(stream)
        head = next(lines, [])
        if not {"name", "group"} <= set(head):
            raise ValueError(f"{path}: columns {head}: expected name, group …: delete the file")
        kept: list[list[str]] = [[] for _ in TEXT]
        values = array("d")  # eight bytes each, for hundreds of thousands of rows
        numeric = [i for i, name in enumerate(head) if name not in TEXT]
        for line in lines:
            for column, name in zip(kept, TEXT, strict=True):
                column.append(line[head.index(name)] if name in head else "")
            values.extend(float(line[i]) for i in numeric)
    table = np.frombuffer(values, dtype=np.float64).reshape(-1, len(numeric))
    numbers = {head[i]: table[:, k] for k, i in enumerate(numeric)}
    names, groups, reasons = (np.array(column) for column in kept)
    return Columns(names, groups, reasons, numbers)


def joined(parts: Iterable[Columns]) -> Columns:
    """Return the rows of several files after each other."""
    some = list(parts)
    return Columns(
        np.concatenate([p.names for p in some]),
        np.concatenate([p.groups for p in some]),
        np.concatenate([p.reasons for p in some]),
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


def replace_text(path: Path, text: str) -> None:
    """Write a text file that appears whole."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.replace(path)
