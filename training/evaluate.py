"""Measure weights as on a vehicle, beside the controls:
``python -m training.evaluate --weights front``.

Rows of any reader go through the front door; without one, the frames of the town benchmark, of one
or several editions: each is a block of rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonargparse
import torch

from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.models.weights import WeightsError, load
from training.measuring.benchmark import Job, about, looks_of, measured
from training.measuring.disturbed import DISTURBANCES
from training.measuring.looks import write


def evaluate(
    weights: str,
    out: Path = Path("runs/evaluation"),
    split: str = "validation",
    blind: str | None = None,
    robust: bool = False,
    editions: list[str] | None = None,
    data: dict[str, Any] | None = None,
    root: str | None = None,
    towns: int = 50,
    frames: int = 40,
    limit: int | None = None,
    cache: Path | None = None,
    batch_size: int = 8,
    workers: int = 0,
    device: str = "auto",
    precision: str = "auto",
    threads: int = 2,
) -> None:
    """Run the rows and write ``results.json``, ``frames.csv`` and ``table.md``.

    Args:
        weights: a safetensors file, or "front" or "panorama".
        out: folder to write to.
        split: "validation" to choose by; "test" for a released row only: runs are counted.
        blind: weights of the aerial-only control.
        robust: rows with what is wrong on purpose too: covered camera, another town's map, camera
            height, heading.
        editions: of the town benchmark, such as "[town-v1,town-v2,town-v2-other]"; None: town-v1.
        data: "reader": its name, and its options; None: the town benchmark.
        root: of the dataset, where it is not among the options.
        towns: how many of the split's towns; frames: of each; cache: else cache/town.
        limit: at most so many rows, drawn.
        batch_size: rows at a time; workers: processes that read them.
        device: "auto", "cpu", "cuda" ….
        precision: "auto" (as a vehicle's: bfloat16 on CUDA, float32 on a CPU), "float32" ….
        threads: of the network on a CPU.
    """
    torch.set_num_threads(threads)
    config = LocalizerConfig(device=device, precision=precision)
    model = load(weights)
    jobs = [Job("ours", model), Job("shuffled", model, shuffled=True)]
    if blind:
        jobs.insert(1, Job("aerial only", load(blind)))
    if robust:
        jobs += [Job(one.name, model, disturbance=one) for one in DISTURBANCES]
    size = (towns, frames)
    readers = looks_of(
        model.model.view, split, editions, data, root=root, size=size, cache=cache, workers=workers
    )
    found = {
        look: {job.name: measured(job, reader, config, limit, batch_size, workers) for job in jobs}
        for look, reader in readers.items()
    }
    write(out, found, about(model, weights, readers, out))
    print((out / "table.md").read_text())


def main() -> None:
    """Command line."""
    try:
        jsonargparse.CLI(evaluate, as_positional=False)
    except (ValueError, WeightsError) as error:
        raise SystemExit(f"evaluate: {error}") from None


if __name__ == "__main__":
    main()
