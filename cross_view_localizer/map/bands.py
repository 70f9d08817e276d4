"""From a raster's bands to RGB and validity: roles, palettes, 16 bits, nodata, masks and alpha."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.windows import Window

# Takes one line on what makes a map worse than it could be.
Warn = Callable[[str], None]


class MapError(ValueError):
    """A map that can't be used; the message is one line: the value, what was expected, the fix."""


class Bands:
    """How a raster's bands are shown.

    Args:
        dataset: an open rasterio dataset.
        path: its name for messages.

    Raises:
        MapError: no bands, or of a pixel type that is no picture.
    """

    def __init__(self, dataset: Any, path: str) -> None:
        if dataset.count == 0:
            raise MapError(
                f"map {path} is a container of {len(dataset.subdatasets)} subdatasets: "
                f"name one of them, e.g. {dataset.subdatasets[:1]}"
            )
        self._palette: NDArray[np.uint8] | None = None
        self.indexes = self._choose(dataset)
        kind = dataset.dtypes[self.indexes[0] - 1]
        if kind not in ("uint8", "uint16", "int16"):
            raise MapError(
                f"map {path} has {kind} pixels: expected 8 or 16 bits; convert it: "
                "gdal_translate -ot Byte -scale"
            )
        flags = [dataset.mask_flag_enums[index - 1] for index in self.indexes]
        self._masked = any(MaskFlags.all_valid not in flag for flag in flags)
        self._stretch = None if kind == "uint8" else self._measure_stretch(dataset)

    def _choose(self, dataset: Any) -> list[int]:
        """Red, green and blue by their roles; else a palette; else the first three, or one grey."""
        roles = list(dataset.colorinterp)
        colours = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
        if all(colour in roles for colour in colours):
            return [roles.index(colour) + 1 for colour in colours]
        if ColorInterp.palette in roles:
            index = roles.index(ColorInterp.palette) + 1
            self._palette = np.zeros((256, 3), dtype=np.uint8)
            for entry, colour in dataset.colormap(index).items():
                if entry < 256:
                    self._palette[entry] = colour[:3]
            return [index]
        plain = [i + 1 for i, role in enumerate(roles) if role != ColorInterp.alpha] or [1]
        return plain[:3] if len(plain) >= 3 else plain[:1]

    def _measure_stretch(self, dataset: Any) -> tuple[float, float]:
        """Darkest and brightest value shown: the 0.5 and 99.5 % points over 5 × 5 places.

        One stretch for the whole map, so that a place looks the same in every patch.
        """
        size, samples = 64, []
        for row in np.linspace(0, max(0, dataset.height - size), 5).astype(int):
            for column in np.linspace(0, max(0, dataset.width - size), 5).astype(int):
                window = Window(column, row, min(size, dataset.width), min(size, dataset.height))
                pixels = dataset.read(self.indexes, window=window)
                samples.append(pixels[:, dataset.dataset_mask(window=window) > 0].ravel())
        values = np.concatenate(samples)
        if not values.size:
            return 0.0, 65535.0
        low, high = np.percentile(values, [0.5, 99.5])
        return float(low), float(max(high, low + 1))

    def read(self, dataset: Any, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return (H, W, 3) RGB and (H, W) validity (0 or 255) of a window of it or its overview."""
        pixels = np.moveaxis(dataset.read(self.indexes, window=window), 0, -1)
        if not self._masked:
            return self._to_rgb(pixels), np.full(pixels.shape[:2], 255, dtype=np.uint8)
        return self._to_rgb(pixels), dataset.dataset_mask(window=window)

    def _to_rgb(self, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        if self._palette is not None:
            return np.ascontiguousarray(self._palette[pixels[..., 0]])
        if self._stretch is not None:
            low, high = self._stretch
            scaled = (pixels.astype(np.float32) - low) * (255 / (high - low))
            pixels = np.clip(np.rint(scaled), 0, 255)
        image = np.ascontiguousarray(pixels, dtype=np.uint8)
        return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
