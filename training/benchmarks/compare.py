"""Rows a second of `training.compare` on VIGOR-sized files with the published CVML network, as
ratios in one run: one process in float32, against rows that others read, and against bfloat16.

    python -m training.benchmarks.compare [--root VIGOR --rows 32 --workers 2]

Without --root it writes a small VIGOR from towns, the panoramas drawn at full size. The variants
take turns, so that whatever else the machine does falls on all of them; the ratios are of the least
times by the clock, and of the asking process's own processor time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.models.weights import LoadedModel, without_weights
from training.datasets.vigor import VigorReader
from training.measuring.records import Record
from training.measuring.rows import Rows
from training.town.layouts import vigor

Variant = tuple[str, int]  # precision and workers


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--root", type=Path, help="of VIGOR; else a small one is written")
    parser.add_argument("--rows", type=int, default=16, help="that each variant goes through")
    parser.add_argument("--workers", type=int, default=2, help="processes that read rows")
    parser.add_argument("--batch", type=int, default=4, help="rows at a time")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each variant")
    parser.add_argument("--threads", type=int, default=2, help="of the network on a CPU")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    model = without_weights("cvml", {"view": "vigor"})
    variants = [("float32", 0), ("float32", given.workers), ("bfloat16", given.workers)]
    with tempfile.TemporaryDirectory() as folder:
        root = given.root or Path(folder)
        if given.root is None:
            vigor.write(root, 4, cities=("Seattle",), rendered=(2048, 1024))
        cities = None if given.root else ["Seattle"]
        reader = VigorReader(root, split="train", cities=cities, validation="random")
        clock: dict[Variant, list[float]] = {one: [] for one in variants}
        spent: dict[Variant, list[float]] = {one: [] for one in variants}
        errors = {}
        for _ in range(given.rounds):
            for one in variants:
                seconds, busy, found = measured(reader, model, one, given.rows, given.batch)
                clock[one].append(seconds)
                spent[one].append(busy)
                errors[one] = np.array([record.argmax_error for record in found])
    report(given.rows, clock, spent)
    moved = np.abs(errors[variants[2]] - errors[variants[1]])
    print(f"bfloat16 moves the argmax error by {moved.mean():.3f} m, at most {moved.max():.3f} m")


def measured(
    reader: VigorReader, model: LoadedModel, one: Variant, count: int, batch: int
) -> tuple[float, float, list[Record]]:
    """Return seconds by the clock and of this process's time, and the records of ``count`` rows.

    Counted after the first batch, which leaves out what starting workers and the network takes.
    """
    precision, workers = one
    rows = Rows(reader, model, "tile", config=LocalizerConfig(precision=precision, warm_up=False))
    rows.rows = np.arange(count + batch) % len(reader)
    answers = rows.run(batch, workers)
    for _ in range(batch):
        next(answers)
    busy, began = time.process_time(), time.perf_counter()
    found = list(answers)
    return time.perf_counter() - began, time.process_time() - busy, found


def report(
    rows: int, clock: Mapping[Variant, list[float]], spent: Mapping[Variant, list[float]]
) -> None:
    """Print a line for each variant, ratios to the first."""
    first = next(iter(clock))
    for one in clock:
        precision, workers = one
        print(
            f"{precision}, {workers} workers: {rows / min(clock[one]):.2f} rows a second; "
            f"{min(clock[one]) / min(clock[first]):.2f} of the time by the clock, "
            f"{min(spent[one]) / min(spent[first]):.2f} of its processor time"
        )


if __name__ == "__main__":
    main()
