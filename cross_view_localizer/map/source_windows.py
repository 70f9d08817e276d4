"""Source windows kept between patches, so that a drive reads the map's file rarely."""

from __future__ import annotations

import threading
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.map.raster import Raster, RasterWindow

# Windows are read this much wider, in their own pixels, so that the next patches need no file.
MARGIN = 128
# Bytes of source windows that are kept.
CACHE_BYTES = 32 << 20


class SourceWindows:
    """Windows of a raster, reduced and smoothed for a scale; the last ones used are kept."""

    def __init__(self, raster: Raster) -> None:
        self._raster = raster
        self._kept: list[tuple[float, RasterWindow]] = []
        self._lock = threading.Lock()

    def get(
        self, low: NDArray[np.float64], high: NDArray[np.float64], scale: float
    ) -> RasterWindow:
        """Return a window around what lies between two corners, without aliasing at a scale.

        Args:
            low, high: (column, row) in raster pixels, corner-based; the raster's rim is respected.
            scale: raster pixels per pixel of the patch that will be interpolated from it.

        Raises:
            MapError: the file is damaged there.
        """
        # Powers of two, which is what overviews come in; smoothing does the rest.
        factor = 1 << max(0, int(scale + 1e-3).bit_length() - 1)
        size = np.array([self._raster.width, self._raster.height])
        first = np.clip(np.floor(low) - 2 * factor, 0, size).astype(int)
        last = np.clip(np.ceil(high) + 2 * factor, 0, size).astype(int)
        with self._lock:
            for index, (for_scale, window) in enumerate(self._kept):
                if abs(for_scale / scale - 1) < 0.02 and _holds(window, first, last):
                    self._kept.insert(0, self._kept.pop(index))
                    return window
            start = np.maximum(first // factor - MARGIN, 0)
            (width, height) = (-(-last // factor) + MARGIN - start).tolist()
            (column, row) = (start * factor).tolist()
            window = _smoothed(
                self._raster.read(column, row, width, height, factor), scale / factor
            )
            self._kept.insert(0, (scale, window))
            while len(self._kept) > 1 and sum(w.nbytes for _, w in self._kept) > CACHE_BYTES:
                self._kept.pop()
            return window

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()


def _holds(window: RasterWindow, first: NDArray[np.int_], last: NDArray[np.int_]) -> bool:
    starts = all(at <= wanted for at, wanted in zip(window.corner, first, strict=True))
    return starts and all(at >= wanted for at, wanted in zip(window.end, last, strict=True))


def _smoothed(window: RasterWindow, scale: float) -> RasterWindow:
    """Average a window over ``scale`` (1 … 2) of its pixels in x and in y.

    That is the footprint of a patch's pixel: interpolating afterwards does not alias.
    """
    if scale < 1.05 or not window.image.size:
        return window
    # The part of either neighbour that such a box around a pixel covers.
    part = (min(scale, 2.0) - 1) / 2
    box = np.array([part, 1.0, part]) / (1 + 2 * part)
    image = cv2.sepFilter2D(window.image, -1, box, box, borderType=cv2.BORDER_REPLICATE)
    return replace(window, image=np.asarray(image, dtype=np.uint8))
