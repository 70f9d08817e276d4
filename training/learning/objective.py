"""What a model is trained on: the heatmap's cross-entropy, and what else its kind of model can
learn from.

A kind is known by what a model offers (`KINDS`); each has its own function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from cross_view_localizer.models.contract import CrossViewModel, Scores
from cross_view_localizer.models.parts import losses
from training.datasets.sample import Batch

Terms = dict[str, Tensor]


@dataclass(frozen=True)
class Weights:
    """Weights and forms of the objective's terms; the heatmap's cross-entropy has weight 1.

    Attributes:
        sigma_start, sigma_end: smoothing of the target, metres, annealed over the first 70 %.
        sigma_cells: a fixed smoothing in heatmap cells instead (CVML: 4 of 512).
        target: "subpixel", or "published" as CVML's authors draw it (`losses.published_target`).
        yaw: of the heading's cross-entropy at the true place.
        tilt: of the pitch and roll that the calibration misses.
        nce: of infoNCE at the bottleneck, for models that have one: 1e4 as published, with
            pretrained VGG; about 1 from scratch.
        nce_form: "per_sample" as the paper writes it, "batch_wide" as the authors' code does.
        temperature: infoNCE's τ.
    """

    sigma_start: float = 1.5
    sigma_end: float = 0.5
    sigma_cells: float | None = None
    target: Literal["subpixel", "published"] = "subpixel"
    yaw: float = 0.2
    tilt: float = 0.3
    nce: float = 1.0
    nce_form: Literal["per_sample", "batch_wide"] = "per_sample"
    temperature: float = 0.1

    def sigma(self, cell: Tensor, progress: float) -> Tensor:
        """Return the smoothing in cells, (B,), for cells of ``cell`` metres."""
        if self.sigma_cells is not None:
            return torch.full_like(cell, self.sigma_cells)
        annealed = (self.sigma_end - self.sigma_start) * min(1, progress / 0.7)
        return (self.sigma_start + annealed) / cell

    def heatmap(self, cells: Tensor, size: int, sigma: Tensor, normalized: bool = True) -> Tensor:
        """Return the (B, size, size) target for (B, 2) offsets in cells."""
        if self.target == "published":
            return losses.published_target(cells, size, sigma, normalized)
        return losses.gaussian_target(cells, size, sigma, normalized)


def objective(
    model: CrossViewModel, batch: Batch, weights: Weights, progress: float
) -> dict[str, Tensor]:
    """Return the terms, each a float32 scalar, and their weighted sum under "loss".

    ``progress`` runs from 0 to 1 over the training.

    Raises:
        ValueError: for a model that learns nothing.
    """
    sigma = weights.sigma(batch.cell, progress)
    return kind_of(model)(model, batch, weights, sigma)


def kind_of(model: CrossViewModel) -> Callable[[Any, Batch, Weights, Tensor], Terms]:
    """Return the objective of a model's kind."""
    for offered, terms in KINDS.items():
        if hasattr(model, offered):
            return terms
    raise ValueError(
        f"{type(model).__name__} can't be trained: expected a model with one of {', '.join(KINDS)}"
    )


def geometric(model: Any, batch: Batch, weights: Weights, sigma: Tensor) -> Terms:
    """Terms of a model that projects: place, heading, and the camera's unmodelled tilt."""
    ground = model.encode_ground(batch.ground)
    scores = model.match(model.encode_aerial(batch.aerial), ground)
    with _float32(batch):
        truth = batch.tilt * model.tilt_scale(batch.ground)
        terms = {
            "tilt": torch.nn.functional.smooth_l1_loss(ground.tilt.float(), truth),
            "yaw": yaw_cross_entropy(scores, _cells(batch), batch.yaw),
            "place": _place(scores, batch, weights, sigma),
        }
        total = terms["place"] + weights.tilt * terms["tilt"] + weights.yaw * terms["yaw"]
        return terms | {"loss": total}


def bottleneck(model: Any, batch: Batch, weights: Weights, sigma: Tensor) -> Terms:
    """Terms of a model that matches at a bottleneck: place, and infoNCE there (CVML, 3.2)."""
    aerial, ground = model.encode_aerial(batch.aerial), model.encode_ground(batch.ground)
    scores, matching = model.match_with_bottleneck(aerial, ground)
    with _float32(batch):
        labels = _bottleneck_labels(model, batch, weights, sigma, matching.shape[-1])
        form = losses.INFO_NCE[weights.nce_form]
        terms = {
            "nce": form(matching, labels, weights.temperature),
            "place": _place(scores, batch, weights, sigma),
        }
        return terms | {"loss": terms["place"] + weights.nce * terms["nce"]}


def regression(model: Any, batch: Batch, weights: Weights, sigma: Tensor) -> Terms:
    """The plain L2 loss of a model that regresses the offset, in half sides of the map (CVR)."""
    found = model.regress(model.encode_aerial(batch.aerial), model.encode_ground(batch.ground))
    with _float32(batch):
        loss = (found.float() - _cells(batch) / model.half_side).square().sum(dim=1).mean()
        return {"offset": loss, "loss": loss}


KINDS: dict[str, Callable[[Any, Batch, Weights, Tensor], Terms]] = {
    "tilt_scale": geometric,
    "match_with_bottleneck": bottleneck,
    "regress": regression,
}
"""A model's kind by a method that only this kind has."""


def _float32(batch: Batch) -> torch.autocast:
    """Losses are computed in float32, whatever precision the network ran in."""
    return torch.autocast(batch.cell.device.type, enabled=False)


def _cells(batch: Batch) -> Tensor:
    return batch.offset / batch.cell[:, None]


def _place(scores: Scores, batch: Batch, weights: Weights, sigma: Tensor) -> Tensor:
    place = torch.logsumexp(scores.log_mass.float(), dim=1)
    target = weights.heatmap(_cells(batch), place.shape[-1], sigma)
    return losses.soft_cross_entropy(place, target)


def _bottleneck_labels(
    model: Any, batch: Batch, weights: Weights, sigma: Tensor, count: int
) -> Tensor:
    view = model.view
    if weights.target == "published":
        if view.output_size != view.aerial_size or view.aerial_ahead:
            raise ValueError(
                "target 'published': expected a view whose heatmap is the whole aerial picture"
            )
        whole = weights.heatmap(_cells(batch), view.output_size, sigma, normalized=False)
        return losses.bottleneck_labels(whole, count)
    pixels = sigma * (view.output_gsd / view.aerial_gsd)
    return losses.view_bottleneck_labels(view, _cells(batch), count, pixels)


def yaw_cross_entropy(scores: Scores, cells: Tensor, yaw: Tensor) -> Tensor:
    """Return the cross-entropy of the heading at the true cell, the truth shared by the two next
    offsets.
    """
    offsets = scores.yaw_offsets
    spacing = offsets[1] - offsets[0]
    share = (1 - (yaw[:, None] - offsets[None]).abs() / spacing).clamp(min=0)
    share = share / share.sum(dim=1, keepdim=True).clamp(min=1e-6)
    size = scores.log_mass.shape[-1]
    place = (cells + (size - 1) / 2).round().long().clamp(0, size - 1)
    index = torch.arange(len(cells), device=cells.device)
    column = scores.log_mass[index, :, place[:, 1], place[:, 0]].float()
    return -(share * torch.log_softmax(column, dim=1)).sum(dim=1).mean()
