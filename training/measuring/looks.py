"""The benchmark's results: rows on one or several looks of the world, as figures and as tables.

A look is a set of frames from one world (an edition of the town, a dataset). Each has its own block
of rows: ours, the controls, and what was disturbed on purpose.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from training.measuring import columns, metrics, summary
from training.measuring.records import Record
from training.measuring.tables import Cell, Line, Table, piped

DRAWS = 2000
CONTROLS = ("aerial only", "shuffled")
Found = Mapping[str, Mapping[str, Sequence[Record]]]
"""Records by look and row; the first row of a look is what the others differ from."""


def write(out: Path, found: Found, header: dict[str, Any]) -> None:
    """Write results.json, frames.csv and table.md; each appears whole."""
    out.mkdir(parents=True, exist_ok=True)
    rows = (
        {"look": look, "row": name} | asdict(one)
        for look, block in found.items()
        for name, records in block.items()
        for one in records
    )
    columns.write(out / "frames.csv", rows)
    results = header | results_of(found)
    columns.replace_text(out / "results.json", json.dumps(results, indent=2) + "\n")
    columns.replace_text(out / "table.md", page(results))


def results_of(found: Found) -> dict[str, Any]:
    """Return all figures by look: "rows", "differences" from the first of them, and "no_match":
    how often another row's frame has the higher probability of no match than one of the first's.
    """
    return {"looks": {look: _block(block) for look, block in found.items()}}


def _block(rows: Mapping[str, Sequence[Record]]) -> dict[str, Any]:
    each = {name: columns.Columns.of(map(asdict, records)) for name, records in rows.items()}
    (_, ours), *others = each.items()
    return {
        "rows": {name: summary.summary([one], DRAWS) for name, one in each.items()},
        "differences": {
            name: summary.difference([ours], [one], summary.median, "mode_error", DRAWS)
            for name, one in others
        },
        "no_match": {
            name: auc for name, one in others if (auc := _told_apart(ours, one)) is not None
        },
    }


def _told_apart(ours: columns.Columns, other: columns.Columns) -> float | None:
    told = [one["no_match"][np.isfinite(one["no_match"])] for one in (ours, other)]
    return metrics.auc(*told) if all(map(len, told)) else None


def page(results: Mapping[str, Any]) -> str:
    """Return two tables, of errors (metres, brackets are 95 % intervals) and of honesty."""
    looks: Mapping[str, Any] = results["looks"]
    errors, honest, said = [], [], []
    for look, block in looks.items():
        of = f", {look}" if len(looks) > 1 else ""
        first, ours = next(iter(block["rows"].items()))
        for name, figures in block["rows"].items():
            auc = block.get("no_match", {}).get(name)
            errors.append(Line(name + of, [Cell(show(figures)) for _, show in ERRORS]))
            values = figures | {"auc": auc}
            honest.append(Line(name + of, [Cell(show(values)) for _, show in HONESTY]))
        centre = [Cell(f"{ours['centre_only'][kind]:.2f}") for kind in ("median", "mean")]
        errors.append(Line(f"centre only{of}", [*centre, *[Cell("")] * (len(ERRORS) - 2)]))
        for name in (name for name in CONTROLS if name in block["differences"]):
            one = block["differences"][name]
            interval = f" [{one['low']:.2f}, {one['high']:.2f}]" if "low" in one else ""
            said.append(f"{first} − {name}{of}, median: {one['value']:.2f} m{interval}")
        said.append(f"{ours['frames']} frames of {ours['groups']} groups{of}, none left out.")
    tables = [_table(ERRORS, errors), _table(HONESTY, honest)]
    return "\n\n".join([*tables, "\n".join(said)]) + "\n"


_Figures = Mapping[str, Any]
_Columns = Sequence[tuple[str, Callable[[_Figures], str]]]


def _table(heads: _Columns, lines: Sequence[Line]) -> str:
    """Return a table without the columns that no row fills."""
    kept = [k for k in range(len(heads)) if any(one.cells[k].text not in "-" for one in lines)]
    lines = [Line(one.label, [one.cells[k] for k in kept]) for one in lines]
    names = [heads[k][0] for k in kept]
    return piped(Table("benchmark", "", names, [""] * len(names), lines, where=False))


def _found(figures: _Figures, path: str) -> Any:
    value: Any = figures
    for key in path.split("."):
        value = None if value is None else value.get(key)
    return value


def _number(path: str) -> Callable[[_Figures], str]:
    def show(figures: _Figures) -> str:
        value = _found(figures, path)
        return "-" if value is None else f"{value:.2f}"

    return show


def _share(path: str, digits: int = 0) -> Callable[[_Figures], str]:
    def show(figures: _Figures) -> str:
        value = _found(figures, path)
        return "-" if value is None else f"{value:.{digits}%}"

    return show


def _interval(kind: str) -> Callable[[_Figures], str]:
    def show(figures: _Figures) -> str:
        one = figures[f"mode_error_{kind}"]
        low = "" if one["low"] is None else f" [{one['low']:.2f}, {one['high']:.2f}]"
        return f"{one['value']:.2f}{low}"

    return show


ERRORS: _Columns = (
    ("median", _interval("median")),
    ("mean", _interval("mean")),
    ("longitudinal", _number("longitudinal.median")),
    ("lateral", _number("lateral.median")),
    ("< 1 m", _share("mode_error.recall_1m")),
    ("< 3 m", _share("mode_error.recall_3m")),
    ("< 5 m", _share("mode_error.recall_5m")),
    ("NLL", _number("nll_nats_per_m2")),
)
# Of all frames but for what says "published": shares of those.
HONESTY: _Columns = (
    ("published", _share("gated.share")),
    ("> 5 m", _share("gated.wrong", 1)),
    ("> 5 m, 3 σ", _share("gated.wrong_and_sure", 1)),
    ("… along", _share("gated.longitudinal_wrong_and_sure", 1)),
    ("… across", _share("gated.lateral_wrong_and_sure", 1)),
    ("NEES", _number("nees_per_dof")),
    ("NEES along", _number("longitudinal_nees")),
    ("NEES across", _number("lateral_nees")),
    ("σ along", _number("longitudinal_sigma_median")),
    ("σ across", _number("lateral_sigma_median")),
    ("NEES yaw", _number("yaw_nees")),
    ("90 %", _share("coverage_90_region")),
    ("no match", _number("no_match.mean")),
    ("AUC", _number("auc")),
)
