"""Pixels of a raster file of any size: any window, at any whole reduction, as RGB and validity.

Knows files, bands and overviews, but no geography: pixels here are (column, row) of the full
raster, corner-based as rasterio has them (the first pixel spans 0 … 1).
"""

from __future__ import annotations

import os
import threading
import warnings
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from cross_view_localizer.map.bands import Bands, MapError, Warn

# GDAL's block cache is 5 % of the machine's memory by default; this caps it for the process.
GDAL_CACHE_BYTES = 48 << 20
# Source pixels decoded at once while a large window is being reduced.
STRIP_PIXELS = 4 << 20
# Formats without random access: every window decodes the picture from its top.
SEQUENTIAL_DRIVERS = {"PNG", "JPEG", "WEBP", "GIF"}
# From this many pixels on that takes seconds.
SEQUENTIAL_PIXELS = 25_000_000
# An overview is used where it is this much finer than what is asked for: GDAL's nearest and gauss
# overviews lie up to half of their pixels off, in x and in y; this leaves a twelfth of a pixel.
OVERVIEW_MARGIN = 8


@dataclass(frozen=True)
class RasterWindow:
    """A piece of the raster, reduced.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        valid: (H, W) uint8, 255 where there is imagery, or None if there is everywhere.
        corner: (column, row) of its first pixel's corner, in full raster pixels.
        step: full raster pixels per pixel of this piece, across and down; the factor asked for, but
            a little less where an overview of an odd-sized raster was used.
    """

    image: NDArray[np.uint8]
    valid: NDArray[np.uint8] | None
    corner: tuple[float, float]
    step: tuple[float, float]

    @property
    def end(self) -> tuple[float, float]:
        """(column, row) of its last pixel's far corner, in full raster pixels."""
        height, width = self.image.shape[:2]
        return self.corner[0] + width * self.step[0], self.corner[1] + height * self.step[1]

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return self.image.nbytes + (0 if self.valid is None else self.valid.nbytes)


class Raster:
    """A raster file read in windows; calls may come from any thread, one at a time is served.

    Args:
        path: whatever GDAL opens.
        warn: told that reading will be slow.

    Raises:
        MapError: unreadable, or of a pixel type that is no picture.
    """

    def __init__(self, path: str, warn: Warn) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._overviews: dict[int, Any] = {}
        self.dataset = self._open()
        self.width, self.height = self.dataset.width, self.dataset.height
        try:
            self._bands = Bands(self.dataset, path)
        except RasterioError as error:
            self.dataset.close()
            raise MapError(f"map {path} is damaged ({one_line(error)}): copy it again") from error
        except MapError:
            self.dataset.close()
            raise
        if (
            self.dataset.driver in SEQUENTIAL_DRIVERS
            and self.width * self.height > SEQUENTIAL_PIXELS
        ):
            warn(
                f"map {path} is a {self.dataset.driver} of {self.width} x {self.height} px, which "
                "has to be decoded from its top for every new place: convert it once: "
                f"gdal_translate -co TILED=YES -co COMPRESS=DEFLATE {path} map.tif"
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

    @property
    def middle(self) -> tuple[float, float]:
        """The raster's middle in its CRS's own x and y."""
        t = self.dataset.transform
        u, v = self.width / 2, self.height / 2
        return t.a * u + t.b * v + t.c, t.d * u + t.e * v + t.f

    def read(self, column: int, row: int, width: int, height: int, factor: int) -> RasterWindow:
        """Read a window, averaged over ``factor`` × ``factor`` pixels.

        Args:
            column, row: first full raster pixel, multiples of ``factor``.
            width, height: size in reduced pixels; what lies outside the raster is left out.

        Raises:
            MapError: the file is damaged there, or closed.
        """
        with self._lock, rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
            try:
                return self._read(column, row, width, height, factor)
            except RasterioError as error:
                raise MapError(
                    f"map {self.path} can't be read at column {column}, row {row} "
                    f"({one_line(error)}): if the file is damaged there, make it again"
                ) from error

    def _read(self, column: int, row: int, width: int, height: int, factor: int) -> RasterWindow:
        level, dataset = self._source(factor)
        ratio = factor // level
        left, top = column // level, row // level
        # Reduced pixels that there are; the last ones may be incomplete.
        width = max(0, min(width, -(-(dataset.width - left) // ratio)))
        height = max(0, min(height, -(-(dataset.height - top) // ratio)))
        image = np.zeros((height, width, 3), dtype=np.uint8)
        valid = np.zeros((height, width), dtype=np.uint8)
        rows = max(1, STRIP_PIXELS // max(1, width * ratio * ratio))
        for start in range(0, height if width else 0, rows):
            part = slice(start, min(start + rows, height))
            window = Window(
                left, top + start * ratio, width * ratio, (part.stop - start) * ratio
            ).intersection(Window(0, 0, dataset.width, dataset.height))
            pixels, mask = self._bands.read(dataset, window)
            size = (width, part.stop - start)
            image[part], valid[part] = _reduce(pixels, ratio, size), _reduce(mask, ratio, size)
        across, down = self.width / dataset.width, self.height / dataset.height
        return RasterWindow(
            image,
            None if (valid == 255).all() else valid,
            (left * across, top * down),
            (ratio * across, ratio * down),
        )

    def _source(self, factor: int) -> tuple[int, Any]:
        """The coarsest overview that is exact enough (its reduction first), or the raster."""
        reductions = sorted(int(f) for f in self.dataset.overviews(self._bands.indexes[0]))
        fit = [f for f in reductions if f * OVERVIEW_MARGIN <= factor and factor % f == 0]
        if not fit:
            return 1, self.dataset
        level = fit[-1]
        if level not in self._overviews:
            self._overviews[level] = self._open(overview_level=reductions.index(level))
        return level, self._overviews[level]

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
    if ratio == 1:
        return pixels
    below, right = size[1] * ratio - pixels.shape[0], size[0] * ratio - pixels.shape[1]
    if below or right:
        pixels = np.pad(pixels, ((0, below), (0, right), *((0, 0),) * (pixels.ndim - 2)), "edge")
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
