"""A plan: which weights are measured on which sets, and which table or figure each fills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

CONTROLS = ("", "center", "uniform")
TABLES = ("table1", "table2", "table2_corrected", "table3", "table4", "details")
FIGURES = ("fig3", "fig5", "fig6")
CORNERS = ("same/positive", "same/all", "cross/positive", "cross/all")
NEEDED = {
    "table1": ("set", "variants"),
    "table4": ("sets", "rows"),
    "details": ("sets", "rows"),
    "fig6": (),
}  # all others: columns and rows
ALLOWED = ("default", "estimate", "flat", "robustness", "orientation", "control")
PASSES = ("rows", "sets", "degrees", "limit", "classes", "start", "paper")


class PlanError(ValueError):
    """A plan that can't be carried out; one line with the file, the entry and what was expected."""


@dataclass(frozen=True)
class TestSet:
    """A split to measure on.

    Attributes:
        reader, options: what `registry.build` takes.
        fit: how samples are cut, see `PairDataset`.
        limit: at most so many rows, drawn; the protocol's tags say so then.
        tags: added to the reader's, or in their place.
        union: names of sets that this one is the rows of, instead of a reader.
    """

    __test__ = False  # not a test, whatever its name

    reader: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    fit: str = "tile"
    limit: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    union: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """Weights, one file per training seed, and the sets that they are measured on.

    Attributes:
        sets: names.
        weights: files, or names of shipped ones.
        fit: in place of the set's.
        fit_sigma: the set, of validation samples, that a regressor's Gaussian is fitted on.
        shuffled: the control: every sample gets another one's camera picture.
    """

    sets: tuple[str, ...]
    weights: tuple[str, ...]
    fit: str | None = None
    fit_sigma: str | None = None
    shuffled: bool = False


@dataclass(frozen=True)
class Row:
    """One line of the tables.

    Attributes:
        label: what tables call it.
        runs: empty for controls.
        control: "center" (the patch's centre) or "uniform" (an even heatmap); no weights.
    """

    label: str
    runs: tuple[Run, ...] = ()
    control: str = ""

    def run_of(self, name: str) -> Run | None:
        """Return the run that covers a set."""
        return next((run for run in self.runs if name in run.sets), None)


@dataclass(frozen=True)
class Plan:
    """See the module's head.

    Attributes:
        title: of the report.
        note: paragraphs for its head.
        sets, rows: by name.
        tables, figures: what fills each, see the plans that come with this package.
    """

    title: str
    sets: Mapping[str, TestSet]
    rows: Mapping[str, Row]
    tables: Mapping[str, Mapping[str, Any]]
    figures: Mapping[str, Mapping[str, Any]]
    note: str = ""

    def members(self, name: str) -> tuple[str, ...]:
        """Return the sets with a reader that a set consists of."""
        return self.sets[name].union or (name,)


def load(path: str | Path) -> Plan:
    """Read a plan.

    Raises:
        PlanError: missing, not YAML, or an entry that is not understood; one line.
    """
    file = Path(path)
    if not file.is_file():
        raise PlanError(f"{file}: no such plan: expected a YAML file")
    try:
        content = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise PlanError(f"{file}: not YAML: {' '.join(str(error).split())}") from None
    try:
        plan = _built(content)
        _checked(plan)
    except PlanError as error:
        raise PlanError(f"{file}: {error}") from None
    return plan


def _built(content: Any) -> Plan:
    _known(content, "the plan", {"title", "note", "sets", "rows", "tables", "figures"})
    for part in ("title", "sets", "rows"):
        if not content.get(part):
            raise PlanError(f"no '{part}': expected title, sets and rows")
    sets = {k: _set(f"set '{k}'", v) for k, v in _table(content["sets"], "sets").items()}
    rows = {k: _row(k, v) for k, v in _table(content["rows"], "rows").items()}
    tables = _table(content.get("tables") or {}, "tables")
    figures = _table(content.get("figures") or {}, "figures")
    _known(tables, "tables", set(TABLES))
    _known(figures, "figures", set(FIGURES))
    note = str(content.get("note", ""))
    return _controlled(Plan(str(content["title"]), sets, rows, tables, figures, note))


def _controlled(plan: Plan) -> Plan:
    """Return the plan with a row that no picture is opened for in every table.

    That is the patch's centre; among probabilities, which it has none of, the even heatmap.
    """
    rows, tables = dict(plan.rows), dict(plan.tables)
    for table, entry in plan.tables.items():
        control = "uniform" if table == "table3" else "center"
        name = next((name for name, row in rows.items() if row.control == control), control)
        label = {"center": "Center-only", "uniform": "Uniform"}[control]
        rows.setdefault(name, Row(label, control=control))
        if table == "table1":
            tables[table] = {**entry, "control": name}
        elif isinstance(entry, dict) and name not in entry.get("rows", ()):
            tables[table] = {**entry, "rows": [name, *entry.get("rows", ())]}
    return replace(plan, rows=rows, tables=tables)


def _set(where: str, entry: Any) -> TestSet:
    _known(entry, where, {f.name for f in fields(TestSet)})
    if bool(entry.get("reader")) == bool(entry.get("union")):
        raise PlanError(f"{where}: expected either a reader or a union of sets")
    if entry.get("fit", "tile") not in ("tile", "metric"):
        raise PlanError(f"{where}: fit '{entry['fit']}': expected tile or metric")
    return TestSet(**(entry | {"union": tuple(entry.get("union", ()))}))


def _row(name: str, entry: Any) -> Row:
    where = f"row '{name}'"
    _known(entry, where, {f.name for f in fields(Row)})
    control = entry.get("control", "")
    if control not in CONTROLS:
        raise PlanError(f"{where}: control '{control}': expected center or uniform")
    if bool(control) == bool(entry.get("runs")):
        raise PlanError(f"{where}: expected either runs or a control")
    runs = []
    for number, run in enumerate(entry.get("runs", ()), 1):
        _known(run, f"{where}, run {number}", {f.name for f in fields(Run)})
        if not run.get("sets") or not run.get("weights"):
            raise PlanError(f"{where}, run {number}: expected sets and weights")
        lists = {key: _listed(run[key]) for key in ("sets", "weights")}
        runs.append(Run(**(run | lists)))
    return Row(str(entry.get("label", name)), tuple(runs), control)


def _checked(plan: Plan) -> None:
    """Check that every name that is used is there."""
    for name, one in plan.sets.items():
        for member in one.union:
            _there(member, plan.sets, f"set '{name}'")
            if plan.sets[member].union:
                raise PlanError(f"set '{name}': '{member}' is a union itself: name its members")
    for name, row in plan.rows.items():
        for run in row.runs:
            for used in (*run.sets, *([run.fit_sigma] if run.fit_sigma else [])):
                _there(used, plan.sets, f"row '{name}'")
                if plan.sets[used].union:
                    raise PlanError(f"row '{name}': '{used}' is a union: name its members")
    for part, entry in {**plan.tables, **plan.figures}.items():
        _part(plan, part, entry, NEEDED.get(part, ("columns", "rows")), ALLOWED)
    for part in ("robustness", "orientation"):
        if part in plan.figures.get("fig6", {}):
            _part(plan, f"fig6, {part}", plan.figures["fig6"][part], ("rows", "sets"), PASSES)


def _part(
    plan: Plan, where: str, entry: Any, needed: tuple[str, ...], allowed: tuple[str, ...]
) -> None:
    """Check what fills one table or figure."""
    _known(entry, where, {*needed, *allowed})
    lacking = [key for key in needed if not entry.get(key)]
    if lacking:
        raise PlanError(f"{where}: no '{lacking[0]}': expected {' and '.join(needed)}")
    for corner in entry.get("columns", ()):
        _there(corner, dict.fromkeys(CORNERS), f"{where}, columns")
    for key, value in entry.items():
        for used in _named(key, value, "set"):
            _there(used, plan.sets, where)
        for used in _named(key, value, "row"):
            _there(used, plan.rows, where)


def _named(key: str, value: Any, kind: str) -> list[str]:
    """Return the names of sets or rows that an entry of a table uses."""
    holders = {"set": ("set", "sets", "columns"), "row": ("row", "rows", "variants", "flat")}
    if key not in holders[kind]:
        return []
    return [str(v) for v in (value.values() if isinstance(value, Mapping) else _listed(value))]


def _listed(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _table(entry: Any, where: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise PlanError(f"{where}: {entry!r}: expected entries by name")
    return entry


def _known(entry: Any, where: str, names: set[str]) -> None:
    unknown = sorted(set(_table(entry, where)) - names)
    if unknown:
        raise PlanError(f"{where}: '{unknown[0]}': expected some of {', '.join(sorted(names))}")


def _there(name: str, among: Mapping[str, object], where: str) -> None:
    if name not in among:
        raise PlanError(f"{where}: '{name}' is unknown: expected one of {', '.join(among)}")
