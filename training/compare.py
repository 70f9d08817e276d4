"""Everything that the paper reports, ours beside it, from one plan:
``python -m training.compare --plan training/measuring/plans/eccv2022_town.yaml --out runs/town``.
"""

from __future__ import annotations

import sys
from functools import cache, lru_cache
from pathlib import Path

import jsonargparse
import torch

from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.models import weights as weights_file
from cross_view_localizer.models.weights import LoadedModel, WeightsError
from training.datasets import registry
from training.datasets.pair import DatasetError, Reader
from training.measuring.assemble import gathered, write
from training.measuring.jobs import jobs_of, placed, present
from training.measuring.plan import Plan
from training.measuring.plan import load as load_plan
from training.measuring.runs import Bench, commit


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


def main() -> None:
    """Command line."""
    try:
        jsonargparse.CLI(compare, as_positional=False)
    except (ValueError, WeightsError) as error:
        raise SystemExit(f"compare: {error}") from None


if __name__ == "__main__":
    main()
