"""Train a model on procedural towns or on a dataset: ``python -m training.train --config
training/configs/cvml_vigor_same.yaml --root DIR --out cvml.safetensors``.

On several GPUs or machines: ``torchrun --nproc_per_node 4 -m training.train …``.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonargparse
import lightning
import torch

from cross_view_localizer.models import registry
from training.datasets.pairs import Fit
from training.learning.data import Loading, PairSamples, Samples, StreamSamples, readers
from training.learning.module import Choice, KeepBest, Steps, Training
from training.learning.objective import set_options
from training.learning.pictures import Pictures
from training.learning.stage import Engine, Precision, last_checkpoint, trainer_of
from training.learning.start import warm_start

DRY_BATCH, DRY_STEPS, DRY_VALIDATION = 2, 2, 16


def train(
    model: str,
    out: Path,
    settings: dict[str, Any] | None = None,
    start: Path | None = None,
    data: dict[str, Any] | None = None,
    root: str | None = None,
    validation: dict[str, Any] | None = None,
    fit: Fit = "tile",
    vary: bool = False,
    skip_problems: bool = False,
    samples: int | None = None,
    epochs: int | None = None,
    minutes: float | None = None,
    batch: int = 16,
    learning_rate: float = 1.5e-3,
    steps: Steps | None = None,
    terms: dict[str, Any] | None = None,
    seed: int = 0,
    workers: int = 1,
    threads: int = 2,
    validate_every: int | None = None,
    validation_samples: int | None = None,
    validation_towns: int = 20,
    validation_frames: int = 15,
    choose_by: Choice = "nll",
    resume: bool = False,
    checkpoint_every: int = 10_000,
    runs: Path = Path("runs"),
    accelerator: str = "auto",
    precision: Precision = "auto",
    dry_run: bool = False,
    progress: bool = True,
) -> None:
    """Run one stage of training.

    Args:
        model: name in the registry ("bev", "cvml", "cvr").
        out: the weights file to write; rewritten only where the validation improves.
        settings: the model's keyword configuration.
        start: weights to go on from, or a trunk's; what fits by name and shape is taken, the rest
            starts fresh.
        data: "reader": a dataset's name, and its reader's options; none: the stream of made-up
            towns.
        root: the dataset's folder.
        validation: options of the reader that differ for validation; none: the split "validation".
        fit: "tile" resizes the dataset's tiles as the papers do, "metric" cuts squares of the
            model's own metres per pixel.
        vary: vary the light, and mirror half of the samples.
        skip_problems: leave rows with missing or broken files out instead of refusing to start.
        samples: length of the stage in samples; 200 000 of the towns.
        epochs: length of the stage in passes through the dataset, instead of samples.
        minutes: it ends earlier after so many; 100 on the towns, no limit on a dataset.
        batch: samples per step, over all processes.
        learning_rate: the optimiser's peak.
        steps: how the weights are changed.
        terms: options of the method's own loss (see its file in cross_view_localizer/models).
        seed: of initialisation, order and draws; give another one to each stage.
        workers: processes that make samples, beside each that trains.
        threads: of each training process.
        validate_every: samples between validations; 6 400 of the towns, an epoch of a dataset.
        validation_samples: validate on so many rows, evenly spread; none: on all.
        validation_towns: how many of the 50 validation towns to use.
        validation_frames: frames of each.
        choose_by: the validation figure by which weights are kept.
        resume: go on from the run's last checkpoint, with the same settings.
        checkpoint_every: samples between checkpoints to resume from.
        runs: folder of logs and checkpoints, in a folder named after ``out``.
        accelerator: "auto", "cpu" or "gpu".
        precision: "auto", "32", "bf16" or "16"; losses are float32 always.
        dry_run: a try on 20 samples, a validation included, that leaves nothing behind.
        progress: show a progress bar.
    """
    began = time.monotonic()
    check_positive(
        samples=samples, epochs=epochs, minutes=minutes, batch=batch, learning_rate=learning_rate,
        threads=threads, validate_every=validate_every, validation_samples=validation_samples,
        validation_towns=validation_towns, validation_frames=validation_frames,
        checkpoint_every=checkpoint_every,
    )  # fmt: skip
    torch.set_num_threads(threads)
    lightning.seed_everything(seed, verbose=False)
    engine = Engine(accelerator, precision, runs, checkpoint_every, progress)
    loading = Loading(batch, seed, workers, validate_every)
    if dry_run:
        engine = replace(engine, runs=None, progress=False)
        loading = Loading(DRY_BATCH, seed, 0, DRY_BATCH * DRY_STEPS)
        validation_samples, validation_towns, validation_frames = DRY_VALIDATION, 1, DRY_VALIDATION
        samples, epochs, resume = DRY_BATCH * DRY_STEPS, None, False
    checkpoint = last_checkpoint(engine, out.stem) if resume else None
    network = registry.build(model, settings or {})
    set_options(network, terms)
    about: dict[str, Any] = {"seeds": [seed]}
    best = float("inf")
    if start is not None:
        about, best = warm_start(network, start, about, out == start, choose_by)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    given: Samples
    if data is None:
        given = StreamSamples(network, loading, validation_towns, validation_frames)
        samples, minutes = samples or (None if epochs else 200_000), minutes or 100.0
    else:
        made = readers(data, validation, root)
        given = PairSamples(network, *made, loading, fit, vary, skip_problems, validation_samples)
    about |= given.about | {"command": " ".join(["python -m training.train", *sys.argv[1:]])}
    length = length_of(samples, epochs, given)
    module = Training(network, learning_rate, length, minutes, steps, seed)
    given.done = lambda: module.batches
    keep = KeepBest(None if dry_run else out, model, settings or {}, about, best, choose_by)
    shown = [keep] if dry_run else [keep, Pictures()]
    sanity = start is not None and data is None and not dry_run
    trainer = trainer_of(engine, out.stem, given, loading.batch, module.steps, shown, sanity)
    trainer.fit(module, datamodule=given, ckpt_path=checkpoint)
    if dry_run and trainer.is_global_zero:
        validated = sum(len(one["nll"]) for one in module.results)
        print(
            f"dry run: {module.seen} samples learned, {validated} validated, nothing written, "
            f"{time.monotonic() - began:.0f} s"
        )


def check_positive(**given: float | None) -> None:
    """Refuse a number that is not positive, in one line."""
    for name, value in given.items():
        if value is not None and not value > 0:
            raise ValueError(f"{name} {value}: expected a positive number")


def length_of(samples: int | None, epochs: int | None, data: Samples) -> int:
    """Return the stage's length in samples."""
    if (samples is None) == (epochs is None):
        raise ValueError(f"samples {samples}, epochs {epochs}: expected one of the two")
    if epochs is None:
        return int(samples or 0)
    if data.epoch is None:
        raise ValueError("epochs of the endless town stream: expected samples instead, or data")
    return epochs * data.epoch


def main() -> None:
    """Command line; a mistake ends in one line."""
    warnings.filterwarnings("ignore", module="lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    if os.environ.get("RANK", "0") != "0":  # of several processes, the first one speaks
        sys.stdout = open(os.devnull, "w")
    try:
        jsonargparse.CLI(train, as_positional=False, exit_on_error=False)
    except (ValueError, jsonargparse.ArgumentError) as error:  # also WeightsError, DatasetError
        files = [word for word in sys.argv[1:] if word.endswith((".yaml", ".yml"))]
        where = ", ".join(files) + ": " if "parsing config" in str(error) else ""
        raise SystemExit(f"train: {where}{one_line(error)}") from None


def one_line(error: Exception) -> str:
    """Return what an error says in one line; of one out of a loader process, its own message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if "Original Traceback" in str(error):
        return re.sub(r"^[\w.]+Error: ", "", lines[-1])
    return " ".join(lines)


if __name__ == "__main__":
    main()
