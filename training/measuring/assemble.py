"""What ran, put together: results.json, samples.csv, tables and figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from training.measuring import columns, figures, paper_tables, summary, tables
from training.measuring.jobs import Job
from training.measuring.plan import Plan
from training.measuring.results import Results
from training.measuring.runs import Bench
from training.measuring.summary import STATISTICS

BUILDERS = {
    "table1": paper_tables.table_1,
    "table2": paper_tables.table_2,
    "table2_corrected": paper_tables.table_2_corrected,
    "table3": paper_tables.table_3,
    "table4": paper_tables.table_4,
}


def gathered(bench: Bench, jobs: Sequence[Job], draws: int) -> Results:
    """Read what ran back, unions put together."""
    found: dict[tuple[str, str], list[columns.Columns]] = {}
    for job in jobs:
        if job.kind == "errors":
            found.setdefault((job.row, job.set), []).append(bench.done(job))
    for name, entry in bench.plan.sets.items():
        for row in bench.plan.rows if entry.union else ():
            parts = [found.get((row, member), []) for member in entry.union]
            if all(parts):
                found[row, name] = [columns.joined(seeds) for seeds in zip(*parts, strict=False)]
    sets = {s for _, s in found}
    tags = {name: bench.tags(name) for name in bench.plan.sets if name in sets}
    return Results(bench.plan, found, tags, draws)


def write(
    out: Path, bench: Bench, jobs: Sequence[Job], results: Results, header: dict[str, Any]
) -> None:
    """Write everything that a comparison gives."""
    made = tables_of(results)
    robust, turned = figure_6_of(bench, jobs)
    content = header | {
        "note": results.plan.note,
        "left_out": left_out(bench, jobs),
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
    columns.replace_text(out / "results.json", json.dumps(content, indent=2, default=str) + "\n")
    turns = [job for job in jobs if job.kind == "turns"]
    _merge(out / "samples.csv", bench, [job for job in jobs if job not in turns])
    _merge(out / "headings.csv", bench, turns)
    columns.replace_text(out / "tables.md", page(content))
    columns.replace_text(out / "tables.tex", "\n".join(tables.latex(table) for table in made))
    entries = results.plan.figures
    if "fig3" in entries:
        figures.figure_3(results, entries["fig3"], out)
    if "fig5" in entries:
        figures.figure_5(results, entries["fig5"], out)
    if "fig6" in entries:
        paper = entries["fig6"].get("orientation", {}).get("paper", "vigor")
        figures.figure_6(robust, turned, out, paper)


def page(content: Mapping[str, Any]) -> str:
    """Return what results.json says as a page of tables."""
    head = [f"# {content['title']}", content.get("note", "")]
    if content.get("left_out"):
        found = "; ".join(f"{name}: {what}" for name, what in content["left_out"].items())
        head.append(
            f"Rows that the readers left out (python -m training.check names them): {found}."
        )
    if content["missing_weights"]:
        head.append(f"Weights that were not there: {'; '.join(content['missing_weights'])}.")
    made = (tables.markdown(tables.from_plain(one)) for one in content["tables"].values())
    return "\n".join([*(part + "\n" for part in head if part), *made])


def left_out(bench: Bench, jobs: Sequence[Job]) -> dict[str, str]:
    """Return, by set, how many rows its reader left out for which reason."""
    found: dict[str, str] = {}
    for job in jobs:
        kinds = bench.about(job)["left_out"]
        if kinds:
            found[job.set] = ", ".join(f"{count} '{kind}'" for kind, count in kinds.items())
    return found


def _merge(path: Path, bench: Bench, jobs: Sequence[Job]) -> None:
    """Write the samples of some passes into one file."""
    if jobs:
        parts = (
            (
                {"row": j.row, "set": j.set, "seed": j.seed, "pass": f"{j.kind}{_degrees(j)}"},
                bench.folder / f"{j.stem}.csv",
            )
            for j in jobs
        )
        columns.merge(path, parts)


def _degrees(job: Job) -> str:
    return f" {job.degrees:g}" if job.kind == "noise" else ""


def tables_of(results: Results) -> list[tables.Table]:
    """Return the tables that the plan fills."""
    made: list[tables.Table] = []
    for name, entry in results.plan.tables.items():
        if name == "details":
            made += paper_tables.details(results, dict(entry))
        else:
            made.append(BUILDERS[name](results, dict(entry)))
    return made


def figure_6_of(bench: Bench, jobs: Sequence[Job]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what Figure 6 is drawn from: errors by heading noise, and the chosen headings."""
    noise: dict[str, dict[float, list[columns.Columns]]] = {}
    turned: dict[str, tuple[int, list[columns.Columns]]] = {}
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
        for kind, statistic in STATISTICS.items():
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
