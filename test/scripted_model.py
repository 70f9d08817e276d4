"""A model that answers what it is told to, and what it takes to ask it."""

from __future__ import annotations

from typing import Any

import torch
from localizer_world import FlatWorld, mounting
from torch import Tensor

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.estimate import Estimate, Reason
from cross_view_localizer.localizer import Localizer, LocalizerConfig
from cross_view_localizer.models.contract import (
    CrossViewModel,
    GroundInput,
    Scores,
    log_softmax_map,
)
from cross_view_localizer.models.weights import LoadedModel
from cross_view_localizer.views import View

MOUNT = mounting(1.0, 0.0, 1.5)
VIEW = View("pinhole", 32, 24, 48, 1.0, 48, 1.0)


class Scripted(CrossViewModel):
    """Answers what it is told to: blobs of (row, column, σ in cells, log height)."""

    def __init__(self, *blobs: tuple[float, float, float, float], view: View = VIEW) -> None:
        super().__init__()
        self.view = view
        self.blobs = blobs
        self.offsets = torch.zeros(1)
        self.fails: Exception | None = None
        self.no_match: float | None = None

    def encode_aerial(self, image: Tensor) -> Any:
        return image

    def encode_ground(self, ground: GroundInput) -> Any:
        self.seen = ground
        return ground

    def match(self, aerial: Any, ground: Any) -> Scores:
        if self.fails is not None:
            raise self.fails
        size = self.view.output_size
        rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        layers = [
            height - ((rows - r) ** 2 + (columns - c) ** 2) / 2 / std**2
            for r, c, std, height in self.blobs
        ]
        logits = torch.logsumexp(torch.stack(layers), dim=0)[None, None]
        logits = logits.expand(1, len(self.offsets), size, size)
        told = None if self.no_match is None else torch.tensor([self.no_match])
        return Scores(log_softmax_map(logits), self.offsets, no_match=told)


SURE = (23.5, 23.5, 1.0, 0.0)


def scripted(
    world: FlatWorld,
    model: CrossViewModel,
    calibration: Calibration | None = None,
    **config: Any,
) -> Localizer:
    loaded = LoadedModel(model, "scripted", {}, calibration or Calibration(), {}, "scripted-1")
    return Localizer(loaded, world.satellite_map, LocalizerConfig(warm_up=False, **config))


def refused(estimate: Estimate, reason: Reason) -> str:
    assert estimate.status == "refused" and not estimate.ok
    assert estimate.reason is reason
    assert estimate.pose is None and estimate.covariance is None
    assert estimate.detail and "\n" not in estimate.detail
    assert estimate.model_id == "scripted-1" and estimate.timing["total"] > 0
    return estimate.detail
