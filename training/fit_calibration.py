"""Fit a weights file's calibration on rows that nobody trained on:
``python -m training.fit_calibration --weights front.safetensors``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonargparse
import torch

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.models import weights as weights_file
from training.measuring.benchmark import held_out
from training.measuring.calibrate import assess, check_unseen, fit, halves, raw_scores
from training.measuring.rows import Rows


def fit_calibration(
    weights: Path,
    data: dict[str, Any] | None = None,
    root: str | None = None,
    split: str = "calibration",
    towns: int = 50,
    frames: int = 20,
    limit: int | None = None,
    moments: str = "all",
    cache: Path | None = None,
    batch_size: int = 16,
    workers: int = 0,
    device: str = "auto",
    precision: str = "auto",
    threads: int = 2,
) -> None:
    """Fit on half of the rows' groups, check on the other half, fit on all, write it back.

    Args:
        weights: the file to change.
        data: "reader": its name, and its options; None: the calibration towns.
        root: of the dataset, where it is not among the options.
        split: of the reader; datasets without one for calibration have "validation".
        towns: how many of the 50 calibration towns; frames: of each; cache: else cache/town.
        limit: at most so many rows, drawn.
        moments: what the covariance sums over: "all", "basin" or "radius".
        batch_size: rows at a time; workers: processes that read them.
        device: "auto", "cpu", "cuda" ….
        precision: "auto" (as a vehicle's: bfloat16 on CUDA, float32 on a CPU), "float32" ….
        threads: of the network on a CPU.
    """
    torch.set_num_threads(threads)
    loaded = weights_file.load(weights)
    view = loaded.model.view
    reader = held_out(view, split, data, root, (towns, frames), cache, workers, fitting=True)
    check_unseen(loaded.metadata, reader)
    config = LocalizerConfig(device=device, precision=precision)
    rows = Rows(reader, loaded, "metric", limit=limit, config=config)
    found = raw_scores(rows, batch_size, workers)
    base = Calibration(moments=moments)
    first, second = halves(found)
    print("as trained:", assess(second, Calibration(floor_std=0.0, moments=moments)))
    print("fitted on one half, measured on the other:", assess(second, fit(first, base=base)))
    chosen = fit(found, base=base)
    print("written:", chosen)
    metadata = loaded.metadata | {
        "calibrated_on": dict(reader.tags),
        "calibration_frames": len(found),
    }
    state = {name: tensor.cpu() for name, tensor in loaded.model.state_dict().items()}
    weights_file.save(weights, loaded.name, loaded.config, state, metadata, chosen)


def main() -> None:
    """Command line."""
    try:
        jsonargparse.CLI(fit_calibration, as_positional=False)
    except ValueError as error:
        raise SystemExit(f"fit_calibration: {error}") from None


if __name__ == "__main__":
    main()
