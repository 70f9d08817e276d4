"""The satellite map: a georeferenced raster of any size, cut into patches of the ``map`` frame."""

from __future__ import annotations

import functools
import logging
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyproj
from numpy.typing import ArrayLike, NDArray

from cross_view_localizer.geo import MAX_DISTANCE, Datum, MapFrame
from cross_view_localizer.grid import Grid
from cross_view_localizer.map.bands import Warn
from cross_view_localizer.map.crs import middle_of, operation, raster_crs
from cross_view_localizer.map.metadata import MapMetadata, read_metadata
from cross_view_localizer.map.raster import MapError, Raster
from cross_view_localizer.map.source_windows import SourceWindows

__all__ = ["MapError", "Patch", "SatelliteMap"]

logger = logging.getLogger(__name__)

# Patches are made in blocks of this side, which bounds the memory that any of them takes.
BLOCK = 1024
# The longest side of a patch.
MAX_SIDE = 8192
# Further from the datum than this, the plane is off by 0.1 m and the datum probably wrong.
FAR_DATUM = 30_000.0
# Imagery lies a few metres off: more than this was probably not meant in metres.
LARGE_OFFSET = 30.0
# Positions are projected at every so many pixels and interpolated between: off by under 0.02 px.
LATTICE = 64


@dataclass(frozen=True)
class Patch:
    """An aerial image crop.

    Attributes:
        image: (H, W, 3) uint8 RGB, black where there is no imagery.
        valid: (H, W) bool, where there is imagery.
        grid: where it lies.
    """

    image: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    grid: Grid

    @property
    def coverage(self) -> float:
        """Share of the pixels that have imagery, 0 … 1."""
        return float(self.valid.mean())


class SatelliteMap:
    """A raster seen from the ``map`` frame; made by :meth:`open`.

    Attributes:
        frame, datum: the ``map`` frame that patches are asked for in.
        gsd: native ground sampling distance at the datum (at the map's middle if the datum is
            outside), metres per pixel.
        offset: (x, y) metres added to where the file says its imagery is.
        metadata: the side file's content.
    """

    def __init__(
        self,
        raster: Raster,
        metadata: MapMetadata,
        crs: pyproj.CRS,
        datum: Datum | None,
        warn: Warn,
    ) -> None:
        self.metadata = metadata
        self.offset = metadata.offset
        self._raster = raster
        self._to_pixel = ~raster.dataset.transform
        self._windows = SourceWindows(raster)
        self.datum = datum or metadata.datum or middle_of(raster, crs)
        self.frame = MapFrame(self.datum)
        self._to_crs = operation(self.frame, crs, raster.path, warn)
        self.gsd = self._native_gsd(warn)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        datum: Datum | None = None,
        crs: str | None = None,
        offset: tuple[float, float] = (0.0, 0.0),
        warn: Warn = logger.warning,
    ) -> SatelliteMap:
        """Open any georeferenced raster that GDAL reads.

        Args:
            path: GeoTIFF, VRT, MBTiles, picture with a world file, … in any CRS, degrees included.
            datum: origin of ``map``; else the side file's (``map.tif.yaml`` or ``map.yaml`` beside
                ``map.tif``), else the map's middle.
            crs: the raster's CRS, where the file has none or a wrong one, e.g. "EPSG:32630".
            offset: (x, y) metres to move the imagery by, in addition to the side file's: with
                (2, 0), what the file shows at x is really at x + 2 (the imagery lay too far west).
            warn: told, a line each, of what makes the map worse than it could be.

        Raises:
            MapError: unreadable, not georeferenced, or a datum far from it.
        """
        metadata = read_metadata(path).with_offset(offset)
        raster = Raster(str(path), warn)
        try:
            return cls(raster, metadata, raster_crs(raster, crs or metadata.crs), datum, warn)
        except BaseException:
            raster.close()
            raise

    def move(self, by: tuple[float, float]) -> None:
        """Move the imagery by (x, y) more metres."""
        self.metadata = self.metadata.with_offset(by)
        self.offset = self.metadata.offset

    def contains(self, xy: ArrayLike) -> NDArray[np.bool_]:
        """Return whether (x, y), shape (..., 2), metres in ``map``, lies on the raster.

        It may be empty there: a patch's ``valid`` tells.
        """
        uv = self._pixels(np.asarray(xy, dtype=np.float64))
        inside = (uv >= 0) & (uv < (self._raster.width, self._raster.height))
        return np.asarray(inside.all(axis=-1))

    def patch(self, grid: Grid) -> Patch:
        """Return the imagery under a grid, averaged where the grid is coarser than the raster.

        Raises:
            MapError: the file is damaged there.
            ValueError: a grid of more than 8192 pixels a side.
        """
        if max(grid.width, grid.height) > MAX_SIDE:
            raise ValueError(
                f"patch of {grid.width} x {grid.height} px: expected at most {MAX_SIDE} a side; "
                "ask for a coarser one"
            )
        image = np.zeros((grid.height, grid.width, 3), dtype=np.uint8)
        valid = np.zeros((grid.height, grid.width), dtype=bool)
        for top in range(0, grid.height, BLOCK):
            for left in range(0, grid.width, BLOCK):
                rows = slice(top, min(top + BLOCK, grid.height))
                columns = slice(left, min(left + BLOCK, grid.width))
                self._fill(grid, rows, columns, image[rows, columns], valid[rows, columns])
        return Patch(image, valid, grid)

    def close(self) -> None:
        """Close the file."""
        self._windows.clear()
        self._raster.close()

    def _pixels(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Corner-based raster pixels, (..., 2), of positions in ``map``; far away if undefined."""
        x, y = xy[..., 0] - self.offset[0], xy[..., 1] - self.offset[1]
        east, north = self._to_crs.transform(x, y)
        t = self._to_pixel
        with np.errstate(invalid="ignore"):  # PROJ gives infinity where a CRS is not defined
            u, v = t.a * east + t.b * north + t.c, t.d * east + t.e * north + t.f
        uv = np.stack([u, v], axis=-1)
        return np.nan_to_num(uv, nan=-1e7, posinf=-1e7, neginf=-1e7).clip(-1e7, 1e7)

    def _native_gsd(self, warn: Warn) -> float:
        """Metres per pixel, which also shows whether datum, CRS and transform fit together."""
        middle = self._to_crs.transform(*self._raster.middle, direction="INVERSE")
        distance = math.hypot(*middle)
        if not distance <= MAX_DISTANCE:
            raise MapError(
                f"map {self._raster.path} is {distance / 1000:.0f} km from the datum "
                f"({self.datum.latitude}, {self.datum.longitude}): give a datum in the map, or none"
            )
        if distance > FAR_DATUM:
            warn(
                f"map {self._raster.path} is {distance / 1000:.0f} km from the datum "
                f"({self.datum.latitude}, {self.datum.longitude}): expected one in the map, or near"
            )
        if math.hypot(*self.offset) > LARGE_OFFSET:
            warn(
                f"map {self._raster.path} is moved by {self.offset} m: expected a few metres east "
                "and north; check the side file's offset and map_offset"
            )
        here = np.zeros(2) if self.contains((0.0, 0.0)) else np.add(middle, self.offset)
        east, north = (self._pixels(here + step) - self._pixels(here - step) for step in np.eye(2))
        area = abs(float(east[0] * north[1] - east[1] * north[0]))
        gsd = 2.0 / math.sqrt(area) if area > 0 else math.inf
        if not 0.001 <= gsd <= 1000:
            raise MapError(
                f"map {self._raster.path} would have {gsd:g} m per pixel: its transform and its "
                "CRS don't belong together; give the CRS the transform is in, crs: EPSG:..."
            )
        stated = self.metadata.gsd
        if stated is not None and abs(stated / gsd - 1) > 0.02:
            warn(
                f"map {self._raster.path} has {gsd:.4f} m per pixel by its georeference, but "
                f"{stated:.4f} by its side file"
            )
        return gsd

    def _fill(
        self,
        grid: Grid,
        rows: slice,
        columns: slice,
        image: NDArray[np.uint8],
        valid: NDArray[np.bool_],
    ) -> None:
        """Make one block: project a coarse lattice, interpolate it to every pixel, look up."""
        v, by_row = _hats(rows.start, rows.stop)
        u, by_column = _hats(columns.start, columns.stop)
        uv = self._pixels(grid.pixel_to_map(np.stack(np.meshgrid(u, v), axis=-1)))
        low, high = uv.min(axis=(0, 1)), uv.max(axis=(0, 1))
        if (high <= 0).any() or (low >= (self._raster.width, self._raster.height)).any():
            return
        scale = grid.gsd / self.gsd
        if (high - low > 4 * BLOCK * max(scale, 1.0)).any():
            return  # reaches to where the CRS ends: no place of one scale, and no imagery
        window = self._windows.get(low, high, scale)
        # From corner-based raster pixels to the window's own, centres at integers.
        uv = (uv - window.corner) / window.step - 0.5
        s, t = (by_row @ uv[..., k].astype(np.float32) @ by_column.T for k in (0, 1))
        # OpenCV writes into a contiguous destination of the right size, which saves a copy.
        cv2.remap(window.image, s, t, cv2.INTER_LINEAR, image, cv2.BORDER_REPLICATE)
        height, width = window.image.shape[:2]
        if window.valid is None and (uv >= 0).all() and (uv <= (width - 1, height - 1)).all():
            valid[:] = True
            return
        mask = np.full((height, width), 255, np.uint8) if window.valid is None else window.valid
        share = cv2.remap(mask, s, t, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        valid[:] = share >= 128
        image[~valid] = 0


@functools.lru_cache(maxsize=64)
def _hats(start: int, stop: int) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Nodes spread over a range of pixels, and each pixel's linear weights on them."""
    if stop - start == 1:
        return np.array([float(start)]), np.ones((1, 1), dtype=np.float32)
    nodes = np.linspace(start, stop - 1, math.ceil((stop - start) / LATTICE) + 1)
    distance = np.abs(np.arange(start, stop)[:, None] - nodes) / (nodes[1] - nodes[0])
    return nodes, np.maximum(0.0, 1.0 - distance).astype(np.float32)
