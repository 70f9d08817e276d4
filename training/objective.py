"""What a model is trained on: the heatmap's cross-entropy, and what else its kind of model can
learn from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cross_view_localizer.models.bev import BevModel
from cross_view_localizer.models.contract import CrossViewModel, Scores
from training.datasets.sample import Batch
from training.losses import (
    gaussian_target,
    info_nce_per_sample,
    soft_cross_entropy,
    view_bottleneck_labels,
)


@dataclass(frozen=True)
class Weights:
    """Weights of the objective's terms; the heatmap's cross-entropy has weight 1.

    Attributes:
        sigma_start, sigma_end: smoothing of the target, metres, annealed over the first 70 %.
        yaw: of the heading's cross-entropy at the true place.
        tilt: of the pitch and roll that the calibration misses.
        nce: of infoNCE at the bottleneck, for models that have one.
    """

    sigma_start: float = 1.5
    sigma_end: float = 0.5
    yaw: float = 0.2
    tilt: float = 0.3
    nce: float = 1.0


def objective(
    model: CrossViewModel, batch: Batch, weights: Weights, progress: float
) -> dict[str, Tensor]:
    """Return the terms, each a scalar, and their weighted sum under "loss".

    ``progress`` runs from 0 to 1 over the training.
    """
    view = model.view
    sigma = weights.sigma_start + (weights.sigma_end - weights.sigma_start) * min(1, progress / 0.7)
    cells = batch.offset / batch.cell[:, None]
    target = gaussian_target(cells, view.output_size, sigma / batch.cell)
    terms: dict[str, Tensor] = {}
    if isinstance(model, BevModel):
        ground = model.encode_ground(batch.ground)
        scores = model.match(model.encode_aerial(batch.aerial), ground)
        truth = batch.tilt * model.tilt_scale(batch.ground)
        terms["tilt"] = torch.nn.functional.smooth_l1_loss(ground.tilt, truth)
        terms["yaw"] = yaw_cross_entropy(scores, cells, batch.yaw)
        total = weights.tilt * terms["tilt"] + weights.yaw * terms["yaw"]
    else:
        bottleneck: Any = model  # compact CVML and whatever else shows its matching map
        scores, matching = bottleneck.match_with_bottleneck(
            model.encode_aerial(batch.aerial), model.encode_ground(batch.ground)
        )
        pixels = sigma / batch.cell * (view.output_gsd / view.aerial_gsd)
        labels = view_bottleneck_labels(view, cells, matching.shape[-1], pixels)
        terms["nce"] = info_nce_per_sample(matching, labels)
        total = weights.nce * terms["nce"]
    place = torch.logsumexp(scores.log_mass, dim=1)
    terms["place"] = soft_cross_entropy(place, target)
    terms["loss"] = terms["place"] + total
    return terms


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
    column = scores.log_mass[index, :, place[:, 1], place[:, 0]]
    return -(share * torch.log_softmax(column, dim=1)).sum(dim=1).mean()
