"""Pixels of a raster file of any size: any window, at any whole reduction, as RGB and validity.

Knows files, bands and overviews, but no geography: pixels here are (column, row) of the full
raster, corner-based as rasterio has them (the first pixel spans 0 … 1).
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

logger = logging.getLogger(__name__)

# GDAL's block cache is 5 % of the machine's memory by default; this caps it for the process.
GDAL_CACHE_BYTES = 64 << 20
# Source pixels decoded at once while a large window is being reduced.
STRIP_PIXELS = 4 << 20
# Formats without random access: every window decodes the picture from its top.
SEQUENTIAL_DRIVERS = {"PNG", "JPEG", "WEBP", "GIF"}


class MapError(ValueError):
    """A map that can't be used; the message is one line: the value, what was expected, the fix."""


@dataclass(frozen=True)
class Window8:
    """A piece of the raster, reduced by a whole factor.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        valid: (H, W) uint8, 255 where there is imagery, or None if there is everywhere.
        column, row: the corner of its first pixel, in full raster pixels.
        factor: full raster pixels per pixel of this piece.
    """

    image: NDArray[np.uint8]
    valid: NDArray[np.uint8] | None
    column: int
    row: int
    factor: int

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return self.image.nbytes + (0 if self.valid is None else self.valid.nbytes)


class Raster:
    """A raster file read in windows; calls may come from any thread, one at a time is served.

    Args:
        path: whatever GDAL opens.

    Raises:
        MapError: unreadable, or of a pixel type that is no picture.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._overviews: dict[int, Any] = {}
        self.dataset = self._open()
        self.width, self.height = self.dataset.width, self.dataset.height
        try:
            self._choose_bands()
        except (RasterioError, MapError):
            self.dataset.close()
            raise
        if self.dataset.driver in SEQUENTIAL_DRIVERS and self.width * self.height > 25_000_000:
            logger.warning(
                "map %s is a %s of %d x %d px, which has to be decoded from its top for every new "
                "place: convert it once: "
                "gdal_translate -co TILED=YES -co COMPRESS=DEFLATE %s map.tif",
                *(path, self.dataset.driver, self.width, self.height, path),
            )

    def _open(self, **options: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            try:
                with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
                    return rasterio.open(self.path, sharing=False, **options)
            except (RasterioError, TypeError, ValueError) as error:
                why = one_line(error) if os.path.exists(self.path) else "no such file"
                raise MapError(
                    f"map {self.path} can't be read ({why}): expected a raster that GDAL opens, "
                    "e.g. GeoTIFF, VRT or MBTiles"
                ) from error

    def _choose_bands(self) -> None:
        """Decide how bands become RGB: which ones, whether by palette, and how 16 bits become 8."""
        dataset = self.dataset
        if dataset.count == 0:
            raise MapError(
                f"map {self.path} is a container of {len(dataset.subdatasets)} subdatasets: "
                f"name one of them, e.g. {dataset.subdatasets[:1]}"
            )
        roles = list(dataset.colorinterp)
        colours = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
        self._palette: NDArray[np.uint8] | None = None
        if all(colour in roles for colour in colours):
            self._bands = [roles.index(colour) + 1 for colour in colours]
        elif ColorInterp.palette in roles:
            self._bands = [roles.index(ColorInterp.palette) + 1]
            self._palette = self._read_palette(self._bands[0])
        else:
            plain = [i + 1 for i, role in enumerate(roles) if role != ColorInterp.alpha]
            self._bands = plain[:3] if len(plain) >= 3 else plain[:1]
        kind = dataset.dtypes[self._bands[0] - 1]
        if kind not in ("uint8", "uint16", "int16"):
            raise MapError(
                f"map {self.path} has {kind} pixels: expected 8 or 16 bits; convert it: "
                "gdal_translate -ot Byte -scale"
            )
        self._masked = any(
            MaskFlags.all_valid not in flags
            for flags in (dataset.mask_flag_enums[b - 1] for b in self._bands)
        )
        self._stretch = None if kind == "uint8" else self._measure_stretch()

    def _read_palette(self, band: int) -> NDArray[np.uint8]:
        table = np.zeros((256, 4), dtype=np.uint8)
        for index, colour in self.dataset.colormap(band).items():
            if index < 256:
                table[index] = colour
        return table

    def _measure_stretch(self) -> tuple[float, float]:
        """Darkest and brightest value shown: the 0.5 and 99.5 % points over 5 × 5 places.

        One stretch for the whole map, so that a place looks the same in every patch.
        """
        size, samples = 64, []
        for row in np.linspace(0, max(0, self.height - size), 5).astype(int):
            for column in np.linspace(0, max(0, self.width - size), 5).astype(int):
                window = Window(column, row, min(size, self.width), min(size, self.height))
                pixels = self.dataset.read(self._bands, window=window)
                samples.append(pixels[:, self.dataset.dataset_mask(window=window) > 0].ravel())
        values = np.concatenate(samples)
        if not values.size:
            return 0.0, 65535.0
        low, high = np.percentile(values, [0.5, 99.5])
        return float(low), float(max(high, low + 1))

    @property
    def middle(self) -> tuple[float, float]:
        """The raster's middle in its CRS's own x and y."""
        t = self.dataset.transform
        u, v = self.width / 2, self.height / 2
        return t.a * u + t.b * v + t.c, t.d * u + t.e * v + t.f

    @property
    def reductions(self) -> list[int]:
        """Factors of the file's overviews, ascending."""
        return sorted(int(factor) for factor in self.dataset.overviews(self._bands[0]))

    def read(self, column: int, row: int, width: int, height: int, factor: int) -> Window8:
        """Read a window, averaged over ``factor`` × ``factor`` pixels.

        Args:
            column, row: first full raster pixel, multiples of ``factor``.
            width, height: size in reduced pixels; what lies outside the raster is left out.

        Raises:
            MapError: the file is damaged there.
        """
        width = max(0, min(width, -(-(self.width - column) // factor)))
        height = max(0, min(height, -(-(self.height - row) // factor)))
        image = np.zeros((height, width, 3), dtype=np.uint8)
        valid = np.zeros((height, width), dtype=np.uint8)
        if not image.size:
            return Window8(image, valid, column, row, factor)
        rows = max(1, STRIP_PIXELS // (width * factor * factor))
        with self._lock, rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
            for top in range(0, height, rows):
                part = slice(top, min(top + rows, height))
                window = Window(
                    column, row + top * factor, width * factor, (part.stop - top) * factor
                )
                try:
                    image[part], valid[part] = self._read_strip(window, factor)
                except RasterioError as error:
                    raise MapError(
                        f"map {self.path} is damaged at column {column}, row {row} "
                        f"({one_line(error)}): copy or make it again"
                    ) from error
        return Window8(image, None if valid.all() else valid, column, row, factor)

    def _read_strip(
        self, window: Window, factor: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Read a window and average it, from an overview at least four times finer if there is one.

        Overviews made by nearest neighbour (gdaladdo's default) are shifted by up to half of their
        pixels; four times finer, that is an eighth of a pixel at worst.
        """
        level = max((f for f in self.reductions if self._is_exact(f, factor)), default=1)
        dataset = self.dataset if level == 1 else self._overview(level)
        scaled = Window(
            window.col_off // level,
            window.row_off // level,
            window.width // level,
            window.height // level,
        )
        inside = scaled.intersection(Window(0, 0, dataset.width, dataset.height))
        pixels = np.moveaxis(dataset.read(self._bands, window=inside), 0, -1)
        mask = (
            dataset.dataset_mask(window=inside)
            if self._masked
            else np.full(pixels.shape[:2], 255, np.uint8)
        )
        image = self._to_rgb(pixels)
        ratio = factor // level
        if ratio == 1:
            return image, mask
        size = (-(-image.shape[1] // ratio), -(-image.shape[0] // ratio))
        return _reduce(image, ratio, size), _reduce(mask, ratio, size)

    def _is_exact(self, level: int, factor: int) -> bool:
        """Whether an overview fits under a reduction: fine enough, not stretched by an odd size.

        An overview of ceil(width / level) pixels covers the raster's width, so its pixels are a
        little narrower than ``level``; a tenth of a reduced pixel at the far side is let pass.
        """
        excess = max(-self.width % level, -self.height % level)
        return level * 4 <= factor and factor % level == 0 and excess * 10 <= factor

    def _overview(self, level: int) -> Any:
        if level not in self._overviews:
            self._overviews[level] = self._open(overview_level=self.reductions.index(level))
        return self._overviews[level]

    def _to_rgb(self, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        if self._palette is not None:
            return np.ascontiguousarray(self._palette[pixels[..., 0], :3])
        if self._stretch is not None:
            low, high = self._stretch
            pixels = np.clip((pixels.astype(np.float32) - low) * (255 / (high - low)), 0, 255)
        image = np.ascontiguousarray(pixels, dtype=np.uint8)
        return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image

    def close(self) -> None:
        """Close the file; reading afterwards is an error."""
        with self._lock:
            for dataset in (self.dataset, *self._overviews.values()):
                dataset.close()


def one_line(error: Exception) -> str:
    """An error's message without its line breaks."""
    return " ".join(str(error.__cause__ or error).split())


def _reduce(pixels: NDArray[np.uint8], ratio: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Average over ``ratio`` × ``ratio`` pixels; at the raster's rim the last are repeated."""
    below, right = size[1] * ratio - pixels.shape[0], size[0] * ratio - pixels.shape[1]
    if below or right:
        pixels = np.pad(pixels, ((0, below), (0, right), *((0, 0),) * (pixels.ndim - 2)), "edge")
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
