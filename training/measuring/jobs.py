"""The passes that a plan needs, with the files that are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cross_view_localizer.models import weights as weights_file
from training.datasets import registry
from training.measuring import plan
from training.measuring.plan import Plan, PlanError


@dataclass(frozen=True)
class Job:
    """One pass over one set.

    Attributes:
        row, set: names in the plan.
        seed: number of the weights file in its run.
        weights: the file; empty for controls.
        kind: "errors", "noise" (of the told heading, ± ``degrees``) or "turns".
        degrees: of "noise".
        limit: rows, in place of the set's; None keeps it.
        classes, start: of "turns".
    """

    row: str
    set: str
    seed: int = 0
    weights: str = ""
    kind: str = "errors"
    degrees: float = 0.0
    limit: int | None = None
    classes: int = 16
    start: str = "truth"

    @property
    def stem(self) -> str:
        """File name without its ending."""
        extra = {"errors": "", "noise": f".{self.degrees:g}deg", "turns": f".{self.classes}way"}
        name = f"{self.row}.{self.set}.{self.seed}{extra[self.kind]}"
        return "".join(c if c.isalnum() or c in "._-+" else "_" for c in name)

    @property
    def settings(self) -> list[Any]:
        """What makes this pass another one than those of the same row on the same set."""
        counts = {"errors": 1, "noise": 2, "turns": 4}[self.kind]
        return [self.kind, self.degrees, self.classes, self.start][:counts]


def placed(one: Plan, root: str, weights_dir: str, limit: int | None = None) -> Plan:
    """Return a plan with the dataset's root, the folder of the weights and the limit put in."""

    def rooted(entry: plan.TestSet) -> plan.TestSet:
        if limit is not None and not entry.union:
            entry = replace(entry, limit=min(limit, entry.limit or limit))
        wants = root and entry.reader and "root" in registry.options(entry.reader)
        if not wants or "root" in entry.options:
            return entry
        return replace(entry, options={**entry.options, "root": root})

    def found(path: str) -> str:
        bare = Path(path).suffix == "" and "/" not in path  # a shipped one
        return path if bare or not weights_dir else str(Path(weights_dir) / path)

    rows = {
        name: replace(
            row,
            runs=tuple(
                replace(run, weights=tuple(found(w) for w in run.weights)) for run in row.runs
            ),
        )
        for name, row in one.rows.items()
    }
    return replace(one, sets={k: rooted(v) for k, v in one.sets.items()}, rows=rows)


def present(one: Plan, require: bool) -> tuple[Plan, list[str]]:
    """Return the plan without the weights that are not there, and their names.

    Raises:
        PlanError: where some are missing and all are required, or none is there.
    """
    files = [(n, w) for n, row in one.rows.items() for run in row.runs for w in run.weights]
    missing = [(n, w) for n, w in files if not weights_file.resolve(w).is_file()]
    if missing and require:
        name, path = missing[0]
        raise PlanError(
            f"row '{name}': weights {path}: no such file ({len(missing)} of {len(files)} are "
            "missing): train them, or leave them out with --require_weights false"
        )
    if files and len(missing) == len(files):
        raise PlanError(f"none of the plan's {len(files)} weights files is there: train some")
    gone = {w for _, w in missing}
    rows = {}
    for name, row in one.rows.items():
        kept = (replace(r, weights=tuple(w for w in r.weights if w not in gone)) for r in row.runs)
        rows[name] = replace(row, runs=tuple(kept))
    return replace(one, rows=rows), sorted({f"{name}: {path}" for name, path in missing})


def jobs_of(one: Plan) -> Iterator[Job]:
    """Yield every pass that the plan needs, the passes of one weights file together."""
    entry6 = one.figures.get("fig6", {})
    used = _sets_of_tables(one)
    for name, row in one.rows.items():
        if row.control:
            yield from (Job(name, s) for s in used)
        for run in row.runs:
            for seed, path in enumerate(run.weights):
                yield from (Job(name, s, seed, path) for s in run.sets)
                yield from _turning(name, run, seed, path, entry6)


def _turning(
    name: str, run: plan.Run, seed: int, path: str, entry6: Mapping[str, Any]
) -> Iterator[Job]:
    noise, turns = entry6.get("robustness", {}), entry6.get("orientation", {})
    for s in run.sets:
        if name in noise.get("rows", ()) and s in noise.get("sets", ()):
            for degrees in noise.get("degrees", (0, 5, 10, 15, 20)):
                yield Job(name, s, seed, path, "noise", float(degrees), noise.get("limit"))
        if name in turns.get("rows", ()) and s in turns.get("sets", ()):
            yield Job(
                name, s, seed, path, "turns", 0.0, turns.get("limit"),
                int(turns.get("classes", 16)), str(turns.get("start", "truth")),
            )  # fmt: skip


def _sets_of_tables(one: Plan) -> list[str]:
    """Return the sets with a reader that tables and figures use, for the controls."""
    names: dict[str, None] = {}
    for entry in (*one.tables.values(), *one.figures.values()):
        here = [entry["set"]] if "set" in entry else []
        here += [*entry.get("sets", ()), *entry.get("columns", {}).values()]
        names |= {member: None for name in here for member in one.members(name)}
    return list(names)
