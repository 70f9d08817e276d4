"""Which ground of a town is taken."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.town.shapes import Array

CELL = 0.5


class Occupancy:
    """Which ground is taken, on a 0.5 m raster."""

    def __init__(self, half_side: float) -> None:
        self.half = half_side + 40
        size = int(2 * self.half / CELL)
        self.mask: NDArray[np.uint8] = np.zeros((size, size), np.uint8)

    def _pixels(self, shape: Array) -> NDArray[np.int32]:
        return np.round((shape + self.half) / CELL).astype(np.int32)

    def take(self, shape: Array) -> None:
        """Mark the outline's ground as taken."""
        cv2.fillPoly(self.mask, [self._pixels(shape)], 1)

    def at(self, xy: Array) -> NDArray[np.bool_]:
        """Whether the ground is taken at points (n, 2)."""
        uv = np.clip(self._pixels(xy), 0, len(self.mask) - 1)
        return np.asarray(self.mask[uv[:, 1], uv[:, 0]] > 0)

    def free(self, shape: Array) -> bool:
        """Whether a convex outline lies on free ground inside the raster."""
        pixels = self._pixels(shape)
        low, high = pixels.min(axis=0), pixels.max(axis=0) + 1
        if (low < 0).any() or (high > len(self.mask)).any():
            return False
        part = self.mask[low[1] : high[1], low[0] : high[0]]
        if not part.any():
            return True
        stencil = np.zeros_like(part)
        cv2.fillConvexPoly(stencil, pixels - low, 1)
        return not bool((part & stencil).any())
