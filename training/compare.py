"""Everything that the paper reports, ours beside it, from one plan:
``python -m training.compare --plan training/measuring/plans/eccv2022_town.yaml --out runs/town``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import jsonargparse
import torch

from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.models import weights as weights_file
from cross_view_localizer.models.weights import LoadedModel, WeightsError
from training.datasets import registry
from training.datasets.pair import DatasetError, Reader
from training.measuring import plan
from training.measuring.assemble import gathered, write
from training.measuring.plan import Plan, PlanError
from training.measuring.runs import Bench, Job, commit


def compare(
    plan: str,
    out: Path,
    root: str = "",
    weights_dir: str = "",
    limit: int | None = None,
    require_weights: bool = False,
    fresh: bool = False,
    batch_size: int = 8,
    workers: int = 0,
    device: str = "auto",
    precision: str = "auto",
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
        limit: at most so many samples of each set, to try a plan; the protocol says so then.
        require_weights: refuse to start where weights are missing; else their cells say so.
        fresh: measure everything again.
        batch_size: samples at a time.
        workers: processes that read samples.
        device: "auto", "cpu", "cuda" ….
        precision: "auto" (as a vehicle's: bfloat16 on CUDA, float32 on a CPU), "float32" ….
        threads: of the network on a CPU.
        draws: of the bootstrap.
    """
    torch.set_num_threads(threads)
    chosen = placed(load_plan(plan), root, weights_dir, limit)
    chosen, missing = present(chosen, require_weights)
    for line in missing:
        print(f"not trained, left out: {line}", file=sys.stderr)
    config = LocalizerConfig(device=device, precision=precision)
    bench = make_bench(chosen, Path(out), batch_size, workers, config, fresh)
    jobs = list(jobs_of(chosen))
    ran = 0
    for number, job in enumerate(jobs, 1):
        print(f"pass {number} of {len(jobs)}: {job.stem}", file=sys.stderr)
        ran += bench.run(job)
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


def make_bench(
    one: Plan, out: Path, batch_size: int, workers: int, config: LocalizerConfig, fresh: bool
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

    return Bench(one, out / "scores", reader, model, batch_size, workers, config, fresh)


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


def main() -> None:
    """Command line."""
    try:
        jsonargparse.CLI(compare, as_positional=False)
    except (ValueError, WeightsError) as error:
        raise SystemExit(f"compare: {error}") from None


if __name__ == "__main__":
    main()
