"""Fit a weights file's calibration on rows that nobody trained on:
``python -m training.fit_calibration --weights front.safetensors``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonargparse
import torch

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.models import weights as weights_file
from training.measuring.benchmark import looks_of
from training.measuring.calibrate import check_unseen
from training.measuring.calibrated_looks import Look, fit_looks, report
from training.measuring.rows import Rows


def fit_calibration(
    weights: Path,
    editions: list[str] | None = None,
    data: dict[str, Any] | None = None,
    root: str | None = None,
    split: str = "calibration",
    towns: int = 50,
    frames: int = 20,
    limit: int | None = None,
    moments: str = "all",
    floor: float = 0.3,
    cache: Path | None = None,
    batch_size: int = 16,
    workers: int = 0,
    device: str = "auto",
    precision: str = "auto",
    threads: int = 2,
) -> None:
    """Fit on half of the rows' groups, check on the other half, fit on all, write it back.

    Where several editions are given, the one on which a calibration does worst decides.

    Args:
        weights: the file to change.
        editions: of the town benchmark, such as "[town-v1,town-v2]"; None: those that the weights
            were trained on.
        data: "reader": its name, and its options; None: the calibration towns.
        root: of the dataset, where it is not among the options.
        split: of the reader; datasets without one for calibration have "validation".
        towns: how many of the 50 calibration towns; frames: of each; cache: else cache/town.
        limit: at most so many rows, drawn.
        moments: what the covariance sums over: "all", "basin" or "radius".
        floor: metres, of each axis' σ: no calibration has less.
        batch_size: rows at a time; workers: processes that read them.
        device: "auto", "cpu", "cuda" ….
        precision: "auto" (as a vehicle's: bfloat16 on CUDA, float32 on a CPU), "float32" ….
        threads: of the network on a CPU.
    """
    torch.set_num_threads(threads)
    loaded = weights_file.load(weights)
    readers = looks_of(
        loaded.model.view,
        split,
        editions if editions or data else learned_editions(loaded.metadata),
        data,
        root=root,
        size=(towns, frames),
        cache=cache,
        workers=workers,
        fitting=True,
    )
    for reader in readers.values():
        check_unseen(loaded.metadata, reader)
    config = LocalizerConfig(device=device, precision=precision)
    looks = {}
    for name, reader in readers.items():
        own = Rows(reader, loaded, "metric", limit=limit, config=config)
        wrong = Rows(reader, loaded, "metric", None, "set" if data else "group", limit, config)
        looks[name] = Look.of(own, wrong, batch_size, workers)
    base = Calibration(moments=moments)
    print(report(looks, loaded.calibration, base, floor))
    chosen = fit_looks(looks, base, floor)
    print("written:", chosen)
    metadata = loaded.metadata | {
        "calibrated_on": {name: dict(reader.tags) for name, reader in readers.items()},
        "calibration_frames": sum(len(look.frames) for look in looks.values()),
    }
    state = {name: tensor.cpu() for name, tensor in loaded.model.state_dict().items()}
    weights_file.save(weights, loaded.name, loaded.config, state, metadata, chosen)


def learned_editions(metadata: Mapping[str, Any]) -> list[str] | None:
    """Return the editions of the towns that weights were trained on; None: they do not say."""
    towns = metadata.get("towns")
    return [towns] if isinstance(towns, str) else list(towns or ()) or None


def main() -> None:
    """Command line."""
    try:
        jsonargparse.CLI(fit_calibration, as_positional=False)
    except ValueError as error:
        raise SystemExit(f"fit_calibration: {error}") from None


if __name__ == "__main__":
    main()
