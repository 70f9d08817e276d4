"""Whether a download is right: what `python -m training.check` finds out, for any reader.

Labels are gone through as arrays, files by listing their folders, pictures one after the other:
memory grows with the labels only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from training.datasets.checking.files import faults, unreadable
from training.datasets.checking.labels import (
    Finding,
    LabelTable,
    against_anchor,
    center_only,
    course,
    nearest,
    panorama_places,
)
from training.datasets.pair import Problem, Reader


@dataclass
class SplitReport:
    """What was found in one split.

    Attributes:
        tags: the reader's; rows: usable ones; groups: rows of each.
        left_out: rows whose truth lies outside the patch, which protocols drop.
        problems: by row and file; findings: of all labels together.
        opened: pictures opened; center: centre-only errors.
    """

    tags: dict[str, str]
    rows: int
    groups: dict[str, int]
    left_out: int
    problems: list[Problem]
    findings: list[Finding]
    opened: int = 0
    center: dict[str, float] = field(default_factory=dict)

    @property
    def kinds(self) -> dict[str, int]:
        """How many problems there are of each kind."""
        return dict(Counter(problem.kind for problem in self.problems))


@dataclass
class Report:
    """What was found in all splits; ``nearest``: from each split's places to training's."""

    splits: dict[str, SplitReport] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    nearest: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def problems(self) -> int:
        """How many faults there are in all, one that several splits share counted once."""
        found = [f for s in self.splits.values() for f in s.findings if f.kind == "problem"]
        return len(found) + len(self.errors) + len(self.rows_and_files())

    def rows_and_files(self) -> list[tuple[str, Problem]]:
        """Return the problems of rows and files with the first split that has each."""
        first: dict[Problem, str] = {}  # splits may share a list, and a map
        for name, split in self.splits.items():
            for problem in split.problems:
                first.setdefault(problem, name)
        return [(name, problem) for problem, name in first.items()]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values; all problems, not only the first."""
        return {**asdict(self), "problem_count": self.problems}

    def lines(self, show: int = 20) -> list[str]:
        """Return the report to read: counts and audits, then the first ``show`` problems."""
        said = []
        for name, split in self.splits.items():
            said += _split_lines(name, split)
        for name, near in self.nearest.items():
            said.append(
                f"{name} to the nearest training place: median {near['median_m']:.2f} m, "
                f"5 % {near['p5_m']:.2f} m, 95 % {near['p95_m']:.2f} m"
            )
        for name, error in self.errors.items():
            said.append(f"PROBLEM {name}: {error}")
        every = self.rows_and_files()
        said += [f"PROBLEM {name}, {p.kind}: {p}" for name, p in every[:show]]
        if len(every) > show:
            said.append(f"… and {len(every) - show} more, all in report.json")
        count = self.problems
        return [*said, "no problems" if not count else f"{count} problems"]


def check(
    readers: Mapping[str, Reader],
    pictures: int | None = 64,
    workers: int = 0,
    seed: int = 0,
) -> Report:
    """Check the splits of a dataset.

    Args:
        readers: by the split's name; "train" is what the others' distances are measured to.
        pictures: how many rows of each split, drawn at random, have their pictures opened; None:
            all.
        workers: processes that open pictures; seed: of the draw.
    """
    report, tables = Report(), {}
    for name, reader in readers.items():
        tables[name] = LabelTable.of(reader)
        report.splits[name] = check_split(reader, tables[name], name, pictures, workers, seed)
    for name, table in tables.items():
        near = None if name == "train" or "train" not in tables else nearest(tables["train"], table)
        if near is not None:
            report.nearest[name] = near
    return report


def check_split(
    reader: Reader,
    table: LabelTable,
    name: str = "",
    pictures: int | None = 64,
    workers: int = 0,
    seed: int = 0,
) -> SplitReport:
    """Check one split whose labels are already in a table; arguments as of `check`."""
    problems = [p for p in reader.problems if p.kind != "outside"]
    left_out = len(reader.problems) - len(problems)
    rows: list[int] = []
    seen: set[str] = set()
    for row, found in _bar(faults(reader), f"{name}: files", len(reader)):
        # A map that is missing is one problem, not one for each row.
        problems += [p for p in found if p.where not in seen]
        seen.update(p.where for p in found)
        if not found:
            rows.append(row)
    if pictures is not None and pictures < len(rows):
        rng = np.random.default_rng(seed)
        rows = sorted(rng.choice(rows, pictures, replace=False).tolist())
    for broken in _bar(unreadable(reader, rows, workers), f"{name}: pictures", len(rows)):
        problems += broken
    counts = Counter(table.group.tolist())
    groups = {table.groups[number]: count for number, count in sorted(counts.items())}
    report = SplitReport(dict(reader.tags), len(table), groups, left_out, problems, [], len(rows))
    if len(table):
        report.center = center_only(table)
        audits = [
            against_anchor(reader.tags, len(table), report.center),
            course(table),
            panorama_places(table),
        ]
        report.findings += [finding for finding in audits if finding is not None]
    else:
        report.findings.append(Finding("problem", "no rows: is the root right, and the split?"))
    return report


def _bar(steps: Any, what: str, total: int) -> Any:
    """A progress bar where someone watches."""
    return tqdm(steps, what, total, leave=False, disable=None)


def _split_lines(name: str, split: SplitReport) -> list[str]:
    tags = ", ".join(f"{key} {value}" for key, value in split.tags.items() if key != "split")
    said = [f"{name} ({tags})"]
    groups = list(split.groups.items())
    shown = ", ".join(f"{group} {count}" for group, count in groups[:8])
    more = f" … {len(groups)} groups" if len(groups) > 8 else ""
    kinds = ", ".join(f"{count} {kind}" for kind, count in split.kinds.items()) or "none"
    said.append(
        f"  {split.rows} rows ({shown}{more}); {split.left_out} left out, the truth being outside "
        f"the patch; problems: {kinds}; pictures of {split.opened} rows opened"
    )
    if split.center:
        center = split.center
        said.append(
            f"  centre-only: mean {center['mean_m']:.2f} m, median {center['median_m']:.2f} m, "
            f"heading told off by {center['heading_mean_deg']:.2f} deg"
        )
    for finding in split.findings:
        mark = "  PROBLEM " if finding.kind == "problem" else "  "
        said.append(mark + finding.text)
    return said
