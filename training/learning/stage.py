"""Lightning's engine for one stage of training: devices, precision, logs, checkpoints."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from training.learning.data import Samples, StreamSamples
from training.learning.module import Steps

Precision = Literal["auto", "32", "bf16", "16"]
LAST = "last.ckpt"


@dataclass(frozen=True)
class Engine:
    """Where and how a stage runs. Processes, also on several machines, are torchrun's to start.

    Attributes:
        accelerator: "auto", "cpu" or "gpu".
        precision: of the network, the losses being float32 always: "auto" takes bf16 where it is
            supported.
        runs: folder of logs and checkpoints; None writes none.
        checkpoint_every: samples between checkpoints to resume from.
        progress: show a progress bar.
    """

    accelerator: str = "auto"
    precision: Precision = "auto"
    runs: Path | None = Path("runs")
    checkpoint_every: int = 10_000
    progress: bool = True


def trainer_of(
    engine: Engine,
    name: str,
    samples: Samples,
    batch: int,
    steps: Steps,
    callbacks: Sequence[lightning.Callback],
    sanity: bool,
) -> lightning.Trainer:
    """Build the engine; ``name`` is the run's folder, ``sanity`` validates before the first step.

    Steps are counted, not epochs: one of Lightning's epochs lasts until the next validation.
    """
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    everywhere = int(os.environ.get("WORLD_SIZE", "1"))
    used = [*callbacks, *_kept(engine, name, batch)]
    if steps.average:
        used.append(EMAWeightAveraging(decay=steps.average))
    endless = isinstance(samples, StreamSamples)
    return lightning.Trainer(
        accelerator=engine.accelerator,
        devices=processes,
        num_nodes=max(1, everywhere // processes),
        strategy="ddp" if everywhere > 1 else "auto",
        # A share of the batch is too little for batch normalisation's statistics.
        sync_batchnorm=everywhere > 1 and engine.accelerator != "cpu" and torch.cuda.is_available(),
        precision=_precision(engine),
        max_epochs=-1,
        limit_train_batches=samples.every if endless else None,
        callbacks=used,
        gradient_clip_val=steps.clip or None,
        logger=loggers(engine, name),
        use_distributed_sampler=False,
        enable_checkpointing=engine.runs is not None,
        enable_model_summary=False,
        enable_progress_bar=engine.progress,
        num_sanity_val_steps=-1 if sanity else 0,
        log_every_n_steps=50,
    )


def loggers(engine: Engine, name: str) -> list[Logger]:
    """Scalars as CSV and for TensorBoard, pictures for TensorBoard, in the run's next version."""
    if engine.runs is None:
        return []
    table = CSVLogger(engine.runs, name=name)
    return [table, TensorBoardLogger(engine.runs, name=name, version=table.version)]


def last_checkpoint(engine: Engine, name: str) -> Path:
    """Return the checkpoint to resume from.

    Raises:
        ValueError: where there is none; one line.
    """
    path = (engine.runs or Path()) / name / LAST
    if not path.is_file():
        raise ValueError(f"{path}: nothing to resume: expected a checkpoint; start without resume")
    return path


def _kept(engine: Engine, name: str, batch: int) -> list[ModelCheckpoint]:
    if engine.runs is None:
        return []
    return [
        ModelCheckpoint(
            engine.runs / name,
            filename=Path(LAST).stem,
            every_n_train_steps=max(1, engine.checkpoint_every // batch),
            enable_version_counter=False,
        )
    ]


def _precision(engine: Engine) -> Any:
    if engine.precision != "auto":
        return {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[engine.precision]
    if engine.accelerator == "cpu" or not torch.cuda.is_available():
        return "bf16-mixed"
    return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
