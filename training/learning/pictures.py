"""Pictures of a training for TensorBoard: aerial and ground picture, heatmap, and the truth."""

from __future__ import annotations

from typing import Any

import cv2
import lightning
import numpy as np
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray

from cross_view_localizer.views import View
from training.datasets.sample import Batch

RGB = NDArray[np.uint8]
SIDE = 320  # pixels, of each square panel
TRUTH, FOUND = (60, 220, 90), (255, 255, 255)


class Pictures(lightning.Callback):
    """After each validation: its first samples, as ``aerial | ground | heatmap`` with truth (green)
    and answer (white).

    Args:
        count: how many samples.
    """

    def __init__(self, count: int = 4) -> None:
        self.count = count
        self.drawn: list[RGB] = []

    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        module: Any,
        outputs: Any,
        batch: Batch,
        index: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw the first batch; before the averaged weights are swapped out again."""
        if index or not trainer.is_global_zero or trainer.sanity_checking:
            return
        few = first(batch, self.count)
        with torch.no_grad():
            place = torch.logsumexp(module.model(few.aerial, few.ground).log_mass, dim=1)
        cells = (few.offset / few.cell[:, None]).cpu().numpy()
        aerial, ground = uint8(few.aerial), uint8(few.ground.image)
        mass = place.float().exp().cpu().numpy()
        self.drawn = [
            panel(module.model.view, a, g, m, c)
            for a, g, m, c in zip(aerial, ground, mass, cells, strict=True)
        ]

    def on_validation_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Hand the pictures over."""
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger) and self.drawn:
                whole = np.vstack(self.drawn)
                logger.experiment.add_image("validation", whole, module.batches, dataformats="HWC")
        self.drawn = []


def first(batch: Batch, count: int) -> Batch:
    """Return the first samples of a batch."""
    return batch.each(lambda part: part[:count])


def uint8(pictures: torch.Tensor) -> RGB:
    """Return (B, 3, H, W) pictures of 0 … 255 as (B, H, W, 3) uint8."""
    return np.asarray(pictures.permute(0, 2, 3, 1).round().clamp(0, 255).byte().cpu().numpy())


def panel(
    view: View, aerial: RGB, ground: RGB, mass: NDArray[np.float32], truth: NDArray[np.float32]
) -> RGB:
    """Return ``aerial | ground | heatmap`` side by side, SIDE high.

    Args:
        view: of the model.
        aerial: (S, S, 3); ground: (h, w, 3); mass: (n, n) of the heatmap's cells.
        truth: (right, down) from the heatmap's middle, cells.
    """
    plain: RGB = np.asarray(cv2.resize(aerial, (SIDE, SIDE)), dtype=np.uint8)
    shown = overlaid(plain, view, mass)
    row, column = np.unravel_index(int(mass.argmax()), mass.shape)
    middle = (view.output_size - 1) / 2
    cross(shown, view, np.array([column - middle, row - middle]), FOUND)
    for picture in (plain, shown):
        cross(picture, view, truth, TRUTH)
    width = round(ground.shape[1] * SIDE / ground.shape[0])
    beside = cv2.resize(ground, (width, SIDE))
    return np.asarray(np.hstack([plain, beside, shown]), dtype=np.uint8)


def overlaid(picture: RGB, view: View, mass: NDArray[np.float32]) -> RGB:
    """Return the aerial panel faded, with the heatmap in red, opaque where it is densest."""
    share = np.sqrt(mass / max(float(mass.max()), 1e-30)).astype(np.float32)
    scale = SIDE / view.aerial_size
    side = max(1, round(view.output_size * view.output_gsd / view.aerial_gsd * scale))
    share = cv2.resize(share, (side, side), interpolation=cv2.INTER_LINEAR)
    left = (SIDE - side) // 2
    top = left + round(view.aerial_ahead / view.aerial_gsd * scale)
    opacity = np.zeros((SIDE, SIDE, 1), np.float32)
    kept = opacity[max(top, 0) : top + side, max(left, 0) : left + side, 0]
    kept[:] = share[: kept.shape[0], : kept.shape[1]]
    faded = 0.6 * picture + 0.4 * 128
    red = np.array([255.0, 40.0, 30.0], np.float32)
    return np.round(faded * (1 - 0.85 * opacity) + red * 0.85 * opacity).astype(np.uint8)


def cross(
    picture: RGB, view: View, offset: NDArray[np.floating[Any]], color: tuple[int, int, int]
) -> None:
    """Mark a place given as (right, down) from the heatmap's middle, cells, on an aerial panel."""
    pixels = np.asarray(offset) * view.output_gsd / view.aerial_gsd
    pixels = pixels + [0.0, view.aerial_ahead / view.aerial_gsd]
    scale = SIDE / view.aerial_size
    u, v = ((pixels + view.aerial_size / 2) * scale - 0.5).round().astype(int).tolist()
    for width, shade in ((3, (0, 0, 0)), (1, color)):
        cv2.drawMarker(picture, (u, v), shade, cv2.MARKER_CROSS, 15, width)
