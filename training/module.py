"""The Lightning side of training: optimiser, schedule, validation, and keeping the best weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor

from cross_view_localizer.models import weights as weights_file
from cross_view_localizer.models.contract import CrossViewModel
from training.datasets.sample import Batch
from training.objective import Weights, objective


class Training(lightning.LightningModule):
    """One model, its objective and a cosine schedule over samples or minutes, whichever ends first.

    Args:
        model: to train.
        terms: weights of the objective.
        learning_rate: AdamW's peak, after a warm-up over the first 3 %.
        samples, minutes: the stage's length.
    """

    def __init__(
        self,
        model: CrossViewModel,
        terms: Weights,
        learning_rate: float,
        samples: int,
        minutes: float,
    ) -> None:
        super().__init__()
        self.model, self.terms, self.learning_rate = model, terms, learning_rate
        self.samples, self.minutes = samples, minutes
        self.seen = 0
        self.started: float | None = None
        self.results: list[dict[str, Tensor]] = []

    @property
    def progress(self) -> float:
        """0 at the start, 1 at the end of the stage."""
        if self.started is None:
            self.started = time.monotonic()
        elapsed = (time.monotonic() - self.started) / 60
        return min(1.0, max(self.seen / self.samples, elapsed / self.minutes))

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Return the objective; end the stage when it is over."""
        progress = self.progress
        optimizer: Any = self.optimizers()
        for group in optimizer.param_groups:
            group["lr"] = self.learning_rate * schedule(progress)
        terms = objective(self.model, batch, self.terms, progress)
        self.seen += len(batch.yaw)
        self.log_dict({f"train/{k}": v.detach() for k, v in terms.items()}, on_epoch=True)
        self.log("progress", progress, prog_bar=True)
        if progress >= 1.0:
            self.trainer.should_stop = True
        return terms["loss"]

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self.results = []

    def validation_step(self, batch: Batch, index: int) -> None:
        """Keep error and log density at the truth of each sample."""
        scores = self.model(batch.aerial, batch.ground)
        view = self.model.view
        place = torch.logsumexp(scores.log_mass, dim=1)
        cell = batch.cell[:, None]
        cells = batch.offset / cell + (view.output_size - 1) / 2
        best = place.flatten(1).argmax(dim=1)
        found = torch.stack([best % view.output_size, best // view.output_size], dim=1)
        nearest = cells.round().long().clamp(0, view.output_size - 1)
        at_truth = place[torch.arange(len(place)), nearest[:, 1], nearest[:, 0]]
        self.results.append(
            {
                "error": (found - cells) * cell,
                "nll": 2 * torch.log(batch.cell) - at_truth,
            }
        )

    def summary(self) -> dict[str, float]:
        """Return the last validation's figures; errors in metres, NLL in nats over m²."""
        error = torch.cat([r["error"] for r in self.results]).float().numpy()
        distance = np.hypot(error[:, 0], error[:, 1])
        return {
            "nll": float(torch.cat([r["nll"] for r in self.results]).mean()),
            "median": float(np.median(distance)),
            "mean": float(distance.mean()),
            "lateral": float(np.median(np.abs(error[:, 0]))),
            "longitudinal": float(np.median(np.abs(error[:, 1]))),
        }

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; no decay on vectors (biases, normalisation, scales)."""
        matrices = [p for p in self.model.parameters() if p.ndim > 1]
        vectors = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": 1e-2},
            {"params": vectors, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.learning_rate)


def schedule(progress: float, warmup: float = 0.03) -> float:
    """Return the share of the peak learning rate: linear warm-up, then half a cosine down to 1
    %.
    """
    if progress < warmup:
        return max(progress / warmup, 0.02)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


class KeepBest(lightning.Callback):
    """After each validation: one line, and the weights into ``path`` where the NLL is the best so
    far.

    Must stand before the weight averaging in the list of callbacks, so that it saves the average.
    """

    def __init__(
        self, path: Path, name: str, config: dict[str, Any], about: dict[str, Any], best: float
    ) -> None:
        self.path, self.name, self.config, self.about, self.best = path, name, config, about, best
        self.say: Callable[[str], None] = print
        self.earlier_samples = int(about.get("samples", 0))
        self.earlier_hours = float(about.get("hours", 0.0))

    def on_validation_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Report and save."""
        figures = module.summary()
        hours = self.earlier_hours
        if module.started is not None:
            hours += (time.monotonic() - module.started) / 3600
        better = figures["nll"] < self.best and not trainer.sanity_checking
        text = ", ".join(f"{key} {value:.3f}" for key, value in figures.items())
        self.say(f"{module.seen} samples, {hours:.2f} h: {text}{', kept' if better else ''}")
        if not better:
            return
        self.best = figures["nll"]
        about = self.about | {
            "validation": figures,
            "samples": self.earlier_samples + module.seen,
            "hours": round(hours, 3),
        }
        weights_file.save(self.path, self.name, self.config, module.model.state_dict(), about)
