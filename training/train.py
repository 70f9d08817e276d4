"""Train a model on procedural towns: ``python -m training.train --config
training/configs/front.yaml``.
"""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import jsonargparse
import lightning
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from cross_view_localizer.models import registry
from cross_view_localizer.models import weights as weights_file
from training.datasets.sample import collate
from training.datasets.town import TownFrames, TownStream
from training.module import KeepBest, Training
from training.objective import Weights


def train(
    model: str,
    out: Path,
    settings: dict[str, Any] | None = None,
    start: Path | None = None,
    samples: int = 200_000,
    minutes: float = 100.0,
    batch: int = 16,
    learning_rate: float = 1.5e-3,
    terms: Weights | None = None,
    seed: int = 0,
    workers: int = 1,
    threads: int = 2,
    validate_every: int = 6_400,
    validation_towns: int = 20,
    validation_frames: int = 15,
    progress: bool = True,
) -> None:
    """Run one stage of training.

    Args:
        model: name in the registry ("bev", "cvml").
        out: the weights file to write; rewritten only where the validation NLL improves.
        settings: the model's keyword configuration.
        start: weights to go on from; what fits by name and shape is taken, the rest starts fresh.
        samples: length of the stage in samples; it ends earlier after ``minutes``.
        minutes: length of the stage in minutes.
        batch: samples per step.
        learning_rate: AdamW's peak.
        terms: weights of the objective.
        seed: of initialisation and stream; give another one to each stage.
        workers: processes that make samples.
        threads: of the training process.
        validate_every: samples between validations.
        validation_towns: how many of the 50 validation towns to use.
        validation_frames: frames of each.
        progress: show a progress bar.
    """
    torch.set_num_threads(threads)
    lightning.seed_everything(seed, verbose=False)
    network = registry.build(model, settings or {})
    about: dict[str, Any] = {"reference_point": "camera", "towns": "town-v1", "seeds": [seed]}
    best = float("inf")
    if start is not None:
        about, best = warm_start(network, start, about, same=out == start)
    about["command"] = " ".join(["python -m training.train", *sys.argv[1:]])
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    view = network.view
    held_out = TownFrames(view, "validation", validation_towns, validation_frames)
    streams = DataLoader(
        TownStream(view, seed),
        batch_size=batch,
        num_workers=workers,
        collate_fn=collate,
        persistent_workers=workers > 0,
        prefetch_factor=8 if workers else None,
        # A forked worker inherits OpenCV's thread pool without its threads, and hangs.
        multiprocessing_context="spawn" if workers else None,
    )
    module = Training(network, terms or Weights(), learning_rate, samples, minutes)
    keep = KeepBest(out, model, settings or {}, about, best)
    trainer = lightning.Trainer(
        accelerator="auto",
        precision="bf16-mixed",
        max_epochs=-1,
        limit_train_batches=validate_every // batch,
        callbacks=[keep, EMAWeightAveraging(decay=0.998)],
        gradient_clip_val=5.0,
        logger=CSVLogger("runs", name=out.stem),
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=progress,
        num_sanity_val_steps=-1 if start is not None else 0,
        log_every_n_steps=50,
    )
    trainer.fit(module, streams, DataLoader(held_out, batch_size=batch, collate_fn=collate))


def warm_start(
    network: torch.nn.Module, start: Path, about: dict[str, Any], same: bool
) -> tuple[dict[str, Any], float]:
    """Fill ``network`` from ``start``; return what its file says of earlier stages, and its best
    NLL.

    The best NLL counts only where the stage goes on with the ``same`` file.
    """
    loaded = weights_file.load(start)
    own, given = network.state_dict(), loaded.model.state_dict()
    fitting = {k: v for k, v in given.items() if k in own and own[k].shape == v.shape}
    network.load_state_dict(fitting, strict=False)
    print(f"{start}: {len(fitting)} of {len(own)} tensors taken")
    if not same:
        return about | {"started_from": start.name}, float("inf")
    earlier = loaded.metadata
    seeds = [*earlier.get("seeds", []), *about["seeds"]]
    best = earlier.get("validation", {}).get("nll", float("inf"))
    return earlier | about | {"seeds": seeds}, float(best)


def main() -> None:
    """Command line."""
    warnings.filterwarnings("ignore", module="lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    try:
        jsonargparse.CLI(train, as_positional=False)
    except ValueError as error:  # also WeightsError
        raise SystemExit(f"train: {error}") from None


if __name__ == "__main__":
    main()
