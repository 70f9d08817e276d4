"""A reader and a model whose answers are known: the aerial picture shows one blob, beside the truth
by a known error, and the model believes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.camera.camera import OPTICAL_TO_BODY, Camera
from cross_view_localizer.grid import Grid
from cross_view_localizer.models.contract import (
    CrossViewModel,
    GroundInput,
    Scores,
    log_softmax_map,
)
from cross_view_localizer.models.weights import LoadedModel
from cross_view_localizer.views import View
from training.datasets.pair import RGB, GroundPicture, Label, Problem, Reader

NORTH = math.pi / 2
SIDE = 32


class BlobReader(Reader):
    """Rows of a patch of 64 m; the blob lies ``errors[i]`` (east, north) from the truth.

    The panorama is black but for the two columns that look to ``mark`` (the azimuth of the camera
    unless given), whose brightness is ``sure[i]``.
    """

    def __init__(
        self,
        errors: Sequence[tuple[float, float]] = ((0.0, 0.0),),
        sure: Sequence[float] | None = None,
        yaw: float = NORTH,
        mark: float | None = None,
        groups: int = 3,
        tags: dict[str, str] | None = None,
    ) -> None:
        self.errors, self.sure, self.yaw, self.groups = errors, sure, yaw, groups
        self.mark = yaw if mark is None else mark
        self.tags = tags or {"dataset": "blobs"}
        self.problems = [Problem("outside", "list:7", "the truth lies outside the patch")]

    def __len__(self) -> int:
        return len(self.errors)

    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        return Label(
            name=f"row {index}",
            ground_file=Path(),
            aerial_file=Path(),
            grid=Grid(SIDE, SIDE, 2.0, (100.0, 50.0)),
            position=(100.0 + 3.0, 50.0 + 4.0),
            yaw=self.yaw,
            heading=self.yaw,
            group=f"group {index % self.groups}",
        )

    def aerial(self, label: Label, grid: Grid) -> RGB:
        error = self.errors[int(label.name.split()[1])]
        columns, rows = np.meshgrid(np.arange(grid.width), np.arange(grid.height))
        xy = grid.pixel_to_map(np.stack([columns, rows], -1))
        away = np.hypot(*(xy - label.position - error).transpose(2, 0, 1))
        picture = 250 * np.exp(-(away**2) / (2 * 6.0**2))
        return np.repeat(picture[..., None].round().astype(np.uint8), 3, axis=2)

    def ground(self, label: Label) -> GroundPicture:
        index = int(label.name.split()[1])
        image = np.zeros((16, 32, 3), np.uint8)
        left = round(15 - (self.mark - self.yaw) / (2 * math.pi) * 32) % 32
        image[:, [left, (left + 1) % 32]] = 200 if self.sure is None else round(self.sure[index])
        return GroundPicture(image, Camera("equirectangular", 32, 16), OPTICAL_TO_BODY, 1.5)


class BlobModel(CrossViewModel):
    """Logits: the aerial picture's brightness, times that of the panorama's middle."""

    peak_kind = "logit"

    def __init__(self, heading_up: bool = True) -> None:
        super().__init__()
        self.view = View("panorama", 32, 16, SIDE, 2.0, SIDE, 2.0, heading_up=heading_up)

    def encode_aerial(self, image: Tensor) -> Tensor:
        return image[:, :1] / 10

    def encode_ground(self, ground: GroundInput) -> Tensor:
        return ground.image[:, 0, :, 15:17].mean(dim=(1, 2)) / 100

    def match(self, aerial: Any, ground: Any) -> Scores:
        return Scores(log_softmax_map(aerial * ground[:, None, None, None]), torch.zeros(1))

    def peak(self, aerial: Any, ground: Any) -> Tensor:
        return (aerial * ground[:, None, None, None]).flatten(1).amax(dim=1)


def blob_model(heading_up: bool = True, calibration: Calibration | None = None) -> LoadedModel:
    model = BlobModel(heading_up).eval()
    return LoadedModel(model, "blob", {}, calibration or Calibration(), {}, "blob-0")
