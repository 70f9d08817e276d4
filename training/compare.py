"""Everything that the paper reports, ours beside it, from one plan:
``python -m training.compare --plan training/report/plans/eccv2022_town.yaml --out runs/town``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache, lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

import jsonargparse
import numpy as np
import torch

from cross_view_localizer.models import weights as weights_file
from cross_view_localizer.models.weights import LoadedModel, WeightsError
from training.datasets import registry
from training.datasets.pair import DatasetError, Reader
from training.report import figures, paper_tables, plan, samples, summary, tables
from training.report.paper_tables import Results
from training.report.plan import Plan, PlanError
from training.report.runs import Bench, Job, commit

BUILDERS = {
    "table1": paper_tables.table_1,
    "table2": paper_tables.table_2,
    "table3": paper_tables.table_3,
    "table4": paper_tables.table_4,
}


def compare(
    plan: str,
    out: Path,
    root: str = "",
    weights_dir: str = "",
    skip_missing: bool = False,
    fresh: bool = False,
    batch_size: int = 8,
    workers: int = 0,
    device: str = "auto",
    threads: int = 2,
    draws: int = 1000,
) -> None:
    """Measure a plan's rows and write results.json, samples.csv, tables.md, tables.tex and figures.

    What is in ``out`` from the same configuration is kept: an ended run goes on where it ended.

    Args:
        plan: YAML file.
        out: folder to write to.
        root: of the dataset, for sets whose options name none.
        weights_dir: folder of weights given by relative paths.
        skip_missing: leave out weights that are not there, and say so; else refuse to start.
        fresh: measure everything again.
        batch_size: samples at a time.
        workers: processes that read samples.
        device: "auto", "cpu", "cuda" ….
        threads: of the network on a CPU.
        draws: of the bootstrap.
    """
    torch.set_num_threads(threads)
    chosen = placed(load_plan(plan), root, weights_dir)
    chosen, missing = present(chosen, skip_missing)
    bench = make_bench(chosen, Path(out), batch_size, workers, device, fresh)
    jobs = list(jobs_of(chosen))
    ran = sum(bench.run(job) for job in jobs)
    results = gathered(bench, jobs, draws)
    header = {
        "title": chosen.title,
        "plan": plan,
        "commit": commit(),
        "command": " ".join(["python -m training.compare", *sys.argv[1:]]),
        "missing_weights": missing,
        "passes_now": ran,
        "passes_kept": len(jobs) - ran,
        "draws": draws,
    }
    write(Path(out), bench, jobs, results, header)
    print((Path(out) / "tables.md").read_text())


def load_plan(path: str) -> Plan:
    """Read a plan; see `plan.load`."""
    return plan.load(path)


def placed(one: Plan, root: str, weights_dir: str) -> Plan:
    """Return a plan with the dataset's root and the folder of the weights put in."""

    def rooted(entry: plan.TestSet) -> plan.TestSet:
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


def present(one: Plan, skip: bool) -> tuple[Plan, list[str]]:
    """Return the plan without the weights that are not there, and their names.

    Raises:
        PlanError: where some are missing and are not to be skipped, or none is left.
    """
    files = [(n, w) for n, row in one.rows.items() for run in row.runs for w in run.weights]
    missing = [(n, w) for n, w in files if not weights_file.resolve(w).is_file()]
    if missing and not skip:
        name, path = missing[0]
        raise PlanError(
            f"row '{name}': weights {path}: no such file ({len(missing)} of {len(files)} are "
            "missing): train them, or leave them out with --skip_missing true"
        )
    if files and len(missing) == len(files):
        raise PlanError(f"none of the plan's {len(files)} weights files is there: train some")
    gone = {w for _, w in missing}
    rows = {}
    for name, row in one.rows.items():
        kept = [replace(r, weights=tuple(w for w in r.weights if w not in gone)) for r in row.runs]
        rows[name] = replace(row, runs=tuple(r for r in kept if r.weights))
    return replace(one, rows=rows), sorted({f"{name}: {path}" for name, path in missing})


def make_bench(
    one: Plan, out: Path, batch_size: int, workers: int, device: str, fresh: bool
) -> Bench:
    """Return what the jobs run with; readers are built once, the newest model is kept."""

    @cache
    def reader(name: str) -> Reader:
        entry = one.sets[name]
        try:
            return registry.build(entry.reader, **entry.options)
        except DatasetError as error:
            raise DatasetError(f"set '{name}': {error}") from None

    @lru_cache(maxsize=1)
    def model(path: str) -> LoadedModel:
        return weights_file.load(path)

    return Bench(one, out / "scores", reader, model, batch_size, workers, device, fresh)


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


def gathered(bench: Bench, jobs: Sequence[Job], draws: int) -> Results:
    """Read what ran back, unions put together."""
    columns: dict[tuple[str, str], list[samples.Columns]] = {}
    for job in jobs:
        if job.kind == "errors":
            columns.setdefault((job.row, job.set), []).append(bench.done(job))
    for name, entry in bench.plan.sets.items():
        for row in bench.plan.rows if entry.union else ():
            parts = [columns.get((row, member), []) for member in entry.union]
            if all(parts):
                columns[row, name] = [samples.joined(seeds) for seeds in zip(*parts, strict=False)]
    sets = {s for _, s in columns}
    tags = {name: bench.tags(name) for name in bench.plan.sets if name in sets}
    return Results(bench.plan, columns, tags, draws)


def write(
    out: Path, bench: Bench, jobs: Sequence[Job], results: Results, header: dict[str, Any]
) -> None:
    """Write everything that a comparison gives."""
    made = tables_of(results)
    robust, turned = figure_6_of(bench, jobs)
    content = header | {
        "runs": {job.stem: bench.about(job) for job in jobs},
        "sets": results.tags,
        "rows": {
            f"{row} on {name}": summary.summary(seeds, results.draws)
            for (row, name), seeds in results.columns.items()
        },
        "differences": differences(results),
        "heading_noise": robust,
        "headings": {
            name: {"classes": n, "right": [float(one["right"].mean()) for one in seeds]}
            for name, (n, seeds) in turned.items()
        },
        "tables": {table.name: asdict(table) for table in made},
    }
    _replace(out / "results.json", json.dumps(content, indent=2, default=str) + "\n")
    errors = [job for job in jobs if job.kind == "errors"]
    samples.merge(
        out / "samples.csv",
        (
            ({"row": j.row, "set": j.set, "seed": j.seed}, bench.folder / f"{j.stem}.csv")
            for j in errors
        ),
    )
    head = f"# {results.plan.title}\n\n{results.plan.note}\n\n"
    _replace(out / "tables.md", head + "\n".join(tables.markdown(table) for table in made))
    _replace(out / "tables.tex", "\n".join(tables.latex(table) for table in made))
    entries = results.plan.figures
    if "fig3" in entries:
        figures.figure_3(results, entries["fig3"], out)
    if "fig5" in entries:
        figures.figure_5(results, entries["fig5"], out)
    if "fig6" in entries:
        figures.figure_6(robust, turned, out)


def tables_of(results: Results) -> list[tables.Table]:
    """Return the tables that the plan fills."""
    made = []
    for name, entry in results.plan.tables.items():
        if name == "table2_corrected":
            made.append(paper_tables.table_2(results, dict(entry), corrected=True))
        else:
            made.append(BUILDERS[name](results, dict(entry)))
    return made


def figure_6_of(bench: Bench, jobs: Sequence[Job]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what Figure 6 is drawn from: errors by heading noise, and the chosen headings."""
    noise: dict[str, dict[float, list[samples.Columns]]] = {}
    turned: dict[str, tuple[int, list[samples.Columns]]] = {}
    for job in jobs:
        name = f"{bench.plan.rows[job.row].label}, {job.set}"
        if job.kind == "noise":
            noise.setdefault(name, {}).setdefault(job.degrees, []).append(bench.done(job))
        if job.kind == "turns":
            turned.setdefault(name, (job.classes, []))[1].append(bench.done(job))
    curves = {
        name: [
            (
                degrees,
                float(np.mean([one["argmax_error"].mean() for one in seeds])),
                float(np.mean([np.median(one["argmax_error"]) for one in seeds])),
            )
            for degrees, seeds in sorted(points.items())
        ]
        for name, points in noise.items()
    }
    return curves, turned


def differences(results: Results) -> dict[str, Any]:
    """Return pairs of rows of one table on the same frames: mean and median, with intervals."""
    found: dict[str, Any] = {}
    for first, second, name in _pairs(results.plan):
        ours, others = results.columns.get((first, name)), results.columns.get((second, name))
        if not ours or not others:
            continue
        for kind, statistic in paper_tables.STATISTICS.items():
            found[f"{first} - {second} on {name}, {kind}"] = summary.difference(
                ours, others, statistic, draws=results.draws
            )
    return found


def _pairs(one: Plan) -> dict[tuple[str, str, str], None]:
    """Return (row, row, set) of the tables: variants against the default, other rows all."""
    found: dict[tuple[str, str, str], None] = {}
    for entry in one.tables.values():
        variants = entry.get("variants", {})
        default = variants.get(entry.get("default", "8,S+M"))
        for row in variants.values() if default else ():
            if row != default:
                found[row, default, entry["set"]] = None
        for name in (*entry.get("columns", {}).values(), *entry.get("sets", ())):
            for first, second in combinations(entry.get("rows", ()), 2):
                if (second, first, name) not in found:
                    found[first, second, name] = None
    return found


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.replace(path)


def main() -> None:
    """Command line."""
    try:
        jsonargparse.CLI(compare, as_positional=False)
    except (ValueError, WeightsError) as error:
        raise SystemExit(f"compare: {error}") from None


if __name__ == "__main__":
    main()
