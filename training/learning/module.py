"""The Lightning side of training: optimiser, schedule, validation, and keeping the best weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import lightning
import numpy as np
import torch
from torch import Tensor, distributed

from cross_view_localizer.models import weights as weights_file
from cross_view_localizer.models.contract import Batch, CrossViewModel

Choice = Literal["nll", "mean", "median"]


@dataclass(frozen=True)
class Steps:
    """How the weights are changed.

    Attributes:
        method: "adamw", or "adam" without decay.
        rate: "cosine": warmed up over the first 3 % and down to a hundredth, or "constant".
        decay: of AdamW, on matrices only.
        clip: largest norm of the gradient; 0: not clipped.
        average: decay of the running average of the weights that is validated and kept; 0: none.
        rates: factors on the learning rate of the parameters whose names begin so (the longest
            beginning counts), such as {aerial_net.stem: 0.0, aerial_net.blocks: 0.3}; 0: frozen.
    """

    method: Literal["adamw", "adam"] = "adamw"
    rate: Literal["cosine", "constant"] = "cosine"
    decay: float = 1e-2
    clip: float = 5.0
    average: float = 0.998
    rates: Mapping[str, float] = field(default_factory=dict)

    def factor(self, name: str) -> float:
        """Return the factor on the learning rate of a parameter."""
        fitting = [one for one in self.rates if name.startswith(one)]
        return float(self.rates[max(fitting, key=len)]) if fitting else 1.0


class Training(lightning.LightningModule):
    """One model, its own loss and a schedule over samples or minutes, whichever ends first.

    Args:
        model: to train, with its loss's options set.
        learning_rate: the peak.
        samples, minutes: the stage's length; minutes None: by samples alone, which makes the
            result independent of the machine's speed.
        steps: how the weights are changed.
        seed: of dropout, which also depends on the step alone, so that a resumed training is the
            unbroken one.
    """

    def __init__(
        self,
        model: CrossViewModel,
        learning_rate: float,
        samples: int,
        minutes: float | None,
        steps: Steps | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        plain_buffers(model)
        self.model, self.learning_rate = model, learning_rate
        self.samples, self.minutes, self.seed = samples, minutes, seed
        self.steps = steps or Steps()
        if unknown := self.unknown_rates():
            raise ValueError(
                f"steps.rates '{unknown[0]}': no parameter's name begins so; expected such as "
                f"'{next(iter(dict(model.named_parameters())))}'"
            )
        self.seen = self.batches = 0
        self.started: float | None = None
        self.earlier = 0.0
        self.results: list[dict[str, Tensor]] = []

    @property
    def elapsed(self) -> float:
        """Minutes of training so far, those before a resume included."""
        if self.started is None:
            return self.earlier
        return self.earlier + (time.monotonic() - self.started) / 60

    @property
    def progress(self) -> float:
        """0 at the start, 1 at the end of the stage."""
        share = self.seen / self.samples
        if self.minutes is not None:
            share = max(share, self.elapsed / self.minutes)
            if self.trainer.world_size > 1:  # clocks differ, and all must stop at the same step
                share = float(self.trainer.strategy.broadcast(share))
        return min(1.0, share)

    def unknown_rates(self) -> list[str]:
        """Return the beginnings among the steps' rates that no parameter's name has."""
        names = [name for name, _ in self.model.named_parameters()]
        return [one for one in self.steps.rates if not any(n.startswith(one) for n in names)]

    def on_train_start(self) -> None:
        """Start the clock."""
        self.started = time.monotonic()

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        """Draw dropout from seed, step and process alone, so that a resume draws the same."""
        entropy = [self.seed, self.batches, self.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Return the loss; end the stage when it is over."""
        progress = self.progress
        factor = schedule(progress) if self.steps.rate == "cosine" else 1.0
        optimizer: Any = self.optimizers()
        for group in optimizer.param_groups:
            group["lr"] = self.learning_rate * factor * group["factor"]
        terms = self.model.loss(batch, progress)
        self.batches += 1
        self.seen += len(batch.yaw) * self.trainer.world_size
        found = {f"train/{k}": v.detach() for k, v in terms.items()}
        self.log_dict(found, on_epoch=True, batch_size=len(batch.yaw))
        self.log("train/rate", self.learning_rate * factor)
        self.log("progress", progress, prog_bar=True)
        self.log("loss", terms["loss"].detach(), prog_bar=True, logger=False)
        if self.seen >= self.samples or progress >= 1.0:
            self.trainer.should_stop = True
        return terms["loss"]

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self.results = []

    def validation_step(self, batch: Batch, index: int) -> None:
        """Keep error and log density at the truth of each sample."""
        scores = self.model(batch.aerial, batch.ground)
        size = self.model.view.output_size
        place = torch.logsumexp(scores.log_mass.float(), dim=1)
        cell = batch.cell[:, None]
        cells = batch.offset / cell + (size - 1) / 2
        best = place.flatten(1).argmax(dim=1)
        found = torch.stack([best % size, best // size], dim=1)
        nearest = cells.round().long().clamp(0, size - 1)
        at_truth = place[torch.arange(len(place)), nearest[:, 1], nearest[:, 0]]
        nll = 2 * torch.log(batch.cell) - at_truth
        error = (found - cells) * cell
        self.results.append({"error": error, "nll": nll, "cell": batch.cell})

    def summary(self) -> dict[str, float]:
        """Return the last validation's figures over all processes.

        Errors are in metres, the NLL in nats over m².
        """
        error, nll, cell = (
            gathered(torch.cat([r[key] for r in self.results]).float())
            for key in ("error", "nll", "cell")
        )
        distance = np.hypot(error[:, 0], error[:, 1])
        figures = {
            "nll": float(nll.mean()),
            "median": float(np.median(distance)),
            "mean": float(distance.mean()),
            "lateral": float(np.median(np.abs(error[:, 0]))),
            "longitudinal": float(np.median(np.abs(error[:, 1]))),
        }
        fitted = self.model.fit_errors(error, cell)
        return figures if fitted is None else figures | {"nll": fitted.nll}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, or AdamW without decay on vectors (biases, normalisation, scales)."""
        groups: dict[tuple[float, bool], list[torch.nn.Parameter]] = {}
        for name, parameter in self.model.named_parameters():
            factor = self.steps.factor(name)
            parameter.requires_grad_(factor > 0)
            if factor > 0:
                groups.setdefault((factor, parameter.ndim > 1), []).append(parameter)
        adam = self.steps.method == "adam"
        made = [
            {
                "params": parameters,
                "factor": factor,
                "weight_decay": self.steps.decay if is_matrix and not adam else 0.0,
            }
            for (factor, is_matrix), parameters in groups.items()
        ]
        return (torch.optim.Adam if adam else torch.optim.AdamW)(made, lr=self.learning_rate)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add how far the stage has come."""
        checkpoint["stage"] = {"seen": self.seen, "batches": self.batches, "minutes": self.elapsed}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on where the stage was.

        Raises:
            ValueError: where the checkpoint is another model's.
        """
        own = self.state_dict()
        for name, tensor in checkpoint["state_dict"].items():
            if name not in own or own[name].shape != tensor.shape:
                raise ValueError(
                    f"the checkpoint's '{name}' does not fit this model: resume with the same "
                    "model and settings"
                )
        stage = checkpoint["stage"]
        self.seen, self.batches, self.earlier = stage["seen"], stage["batches"], stage["minutes"]


def plain_buffers(model: torch.nn.Module) -> None:
    """Lay buffers out plainly: with the strides of channels-last, processes can't exchange them."""
    for part in model.modules():
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = buffer.clone(memory_format=torch.contiguous_format)


def gathered(values: Tensor) -> Any:
    """Return a tensor's rows of all processes as an array, in the processes' order."""
    own = values.cpu().numpy()
    if not (distributed.is_available() and distributed.is_initialized()):
        return own
    parts: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(parts, own)
    return np.concatenate(parts)


def schedule(progress: float, warmup: float = 0.03) -> float:
    """Return the share of the peak rate: linear warm-up, then half a cosine down to 1 %."""
    if progress < warmup:
        return max(progress / warmup, 0.02)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


class KeepBest(lightning.Callback):
    """After each validation: one line, and the weights into ``path`` where they are the best yet.

    Must stand before the weight averaging in the list of callbacks, so that it saves the average.

    Args:
        path: the weights file; None keeps nothing.
        name, config: of the model, as the registry takes them.
        about: what else the file says.
        best: the figure to beat.
        choose_by: the validation figure that decides.
    """

    def __init__(
        self,
        path: Path | None,
        name: str,
        config: dict[str, Any],
        about: dict[str, Any],
        best: float,
        choose_by: Choice = "nll",
    ) -> None:
        self.path, self.name, self.config, self.about, self.best = path, name, config, about, best
        self.choose_by = choose_by
        self.say: Callable[[str], None] = print
        self.earlier_samples = int(about.get("samples", 0))
        self.earlier_hours = float(about.get("hours", 0.0))

    def on_validation_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Report and save."""
        figures = module.summary()
        for logger in trainer.loggers:
            named = {f"validation/{key}": value for key, value in figures.items()}
            logger.log_metrics(named, step=module.batches)
        hours = self.earlier_hours + module.elapsed / 60
        better = figures[self.choose_by] < self.best and not trainer.sanity_checking
        better = better and self.path is not None
        text = ", ".join(f"{key} {value:.3f}" for key, value in figures.items())
        if trainer.is_global_zero:
            self.say(f"{module.seen} samples, {hours:.2f} h: {text}{', kept' if better else ''}")
        if not better:
            return
        self.best = figures[self.choose_by]
        about = self.about | {
            "validation": figures,
            "chosen_by": self.choose_by,
            "samples": self.earlier_samples + module.seen,
            "hours": round(hours, 3),
        }
        if trainer.is_global_zero and self.path:
            weights_file.save(self.path, self.name, self.config, module.model.state_dict(), about)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training must still beat."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the figure to beat."""
        self.best = float(state_dict["best"])
