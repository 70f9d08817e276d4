"""What tables and figures are made of, and their cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.measuring import summary
from training.measuring.columns import Columns
from training.measuring.plan import Plan
from training.measuring.summary import Figure, Statistic, figure
from training.measuring.tables import Cell, shown, small


@dataclass(frozen=True)
class Results:
    """What the tables and figures are made of.

    Attributes:
        plan: the plan.
        columns: (row, set) → one Columns per seed; unions included; pairs that did not run lack.
        tags: of the sets.
        draws: of the bootstrap.
    """

    plan: Plan
    columns: dict[tuple[str, str], list[Columns]]
    tags: dict[str, dict[str, str]]
    draws: int = 1000

    def label(self, row: str, sets: Sequence[str]) -> str:
        """Return a row's label; how many training seeds it stands for."""
        one = self.plan.rows[row]
        return one.label if one.control else f"{one.label} ({self.seeds(row, sets)})"

    def seeds(self, row: str, sets: Sequence[str]) -> str:
        """Return how many training seeds a row has on some sets, in words."""
        seeds = {len(self.columns[row, s]) for s in sets if (row, s) in self.columns}
        if not seeds:
            return "not trained"
        count = "/".join(str(n) for n in sorted(seeds))
        return f"{count} seed{'s' if seeds != {1} else ''}"

    def cell(self, row: str, name: str, column: str, statistic: Statistic) -> Cell:
        """Return a cell of one set."""
        seeds = self.columns.get((row, name))
        if not seeds:
            planned = self.plan.rows[row]
            asked = all(planned.run_of(member) for member in self.plan.members(name))
            return Cell("not trained" if asked and planned.runs else "-")
        values = summary.stacked(seeds, column)
        if not np.isfinite(values).all():
            return Cell()
        found = figure(values, seeds[0].groups, statistic, self.draws)
        small_one = column == "p_truth"
        text = _probability(found) if small_one else shown(found)
        return Cell(text, found.value, self.tags[name])


def _probability(found: Figure) -> str:
    text = small(found.value)
    if found.low is not None and found.high is not None:
        text += f" [{small(found.low)}, {small(found.high)}]"
    return text
