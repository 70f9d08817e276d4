"""The satellite map: a georeferenced raster of any size, cut into patches of the ``map`` frame."""

from __future__ import annotations

import logging
import math
import threading
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyproj
from numpy.typing import ArrayLike, NDArray
from pyproj.aoi import AreaOfInterest

from cross_view_localizer.geo import Datum, MapFrame
from cross_view_localizer.grid import Grid
from cross_view_localizer.map_metadata import MapMetadata, read_metadata
from cross_view_localizer.raster import MapError, Raster, Window8

__all__ = ["MapError", "Patch", "SatelliteMap"]

logger = logging.getLogger(__name__)

# Patches are made in blocks of this side, which bounds the memory that any of them takes.
BLOCK = 1024
# Positions are projected at every so many pixels and interpolated between: off by under 0.02 px.
LATTICE = 64
# Source windows are read this much wider, pixels, so that the next patches of a drive need no file.
MARGIN = 128
# Bytes of source windows that are kept.
CACHE_BYTES = 64 << 20


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
    """A raster seen from the ``map`` frame. Use :meth:`open`.

    Attributes:
        frame, datum: the ``map`` frame that patches are asked for in.
        gsd: native ground sampling distance at the datum (at the map's middle if the datum is
            outside), metres per pixel.
        offset: (x, y) metres added to where the file says its imagery is.
        metadata: the side file's content.
    """

    def __init__(
        self, raster: Raster, metadata: MapMetadata, crs: pyproj.CRS, datum: Datum | None
    ) -> None:
        self.metadata = metadata
        self.offset = metadata.offset
        self._raster = raster
        self._to_pixel = ~raster.dataset.transform
        self._windows: list[tuple[float, Window8]] = []
        self._lock = threading.Lock()
        self.datum = datum or metadata.datum or self._middle(crs)
        self.frame = MapFrame(self.datum)
        self._to_crs = self._transformer(crs)
        self.gsd = self._native_gsd()

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        datum: Datum | None = None,
        crs: str | None = None,
        offset: tuple[float, float] = (0.0, 0.0),
    ) -> SatelliteMap:
        """Open any georeferenced raster that GDAL reads.

        Args:
            path: GeoTIFF, VRT, MBTiles, picture with a world file, … in any CRS, degrees included.
            datum: origin of ``map``; else the side file's (``map.yaml`` or ``map.tif.yaml`` beside
                ``map.tif``), else the map's middle.
            crs: the raster's CRS, where the file has none or a wrong one, e.g. "EPSG:32630".
            offset: (x, y) metres to move the imagery by, in addition to the side file's: with
                (2, 0), what the file shows at x is really at x + 2 (the imagery lay too far west).

        Raises:
            MapError: unreadable, not georeferenced, or a datum far from it.
        """
        metadata = read_metadata(path).with_offset(offset)
        raster = Raster(str(path))
        try:
            return cls(raster, metadata, _raster_crs(raster, crs or metadata.crs), datum)
        except ValueError as error:
            raster.close()
            if isinstance(error, MapError):
                raise
            raise MapError(f"map {path}: {error}") from error

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
        if max(grid.width, grid.height) > 8192:
            raise ValueError(
                f"patch of {grid.width} x {grid.height} px: expected at most 8192 a side; "
                "ask for a coarser one"
            )
        image = np.zeros((grid.height, grid.width, 3), dtype=np.uint8)
        valid = np.zeros((grid.height, grid.width), dtype=bool)
        for top in range(0, grid.height, BLOCK):
            for left in range(0, grid.width, BLOCK):
                part = (
                    slice(top, min(top + BLOCK, grid.height)),
                    slice(left, min(left + BLOCK, grid.width)),
                )
                self._fill(grid, part, image, valid)
        return Patch(image, valid, grid)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._windows.clear()
        self._raster.close()

    # -- where things are -----------------------------------------------------------------------

    def _middle(self, crs: pyproj.CRS) -> Datum:
        x, y = self._raster.middle
        lon, lat = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
        if not (math.isfinite(lat) and math.isfinite(lon)):
            raise MapError(
                f"map {self._raster.path} has its middle at ({x}, {y}), which is nowhere in {crs.name}: "
                "give the CRS its transform is in, crs: EPSG:..."
            )
        return Datum(lat, lon)

    def _transformer(self, crs: pyproj.CRS) -> pyproj.Transformer:
        """From ``map`` to the raster's CRS, by the best operation for this place that is installed."""
        lat, lon = self.datum.latitude, self.datum.longitude
        around = AreaOfInterest(
            max(lon - 0.1, -180), max(lat - 0.1, -90), min(lon + 0.1, 180), min(lat + 0.1, 90)
        )
        return pyproj.Transformer.from_crs(
            self.frame.crs,
            crs,
            always_xy=True,
            area_of_interest=around,  # type: ignore[arg-type]
        )

    def _pixels(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Corner-based raster pixels, (..., 2), of positions in ``map``; far away where undefined."""
        east, north = self._to_crs.transform(
            xy[..., 0] - self.offset[0], xy[..., 1] - self.offset[1]
        )
        t = self._to_pixel
        uv = np.stack([t.a * east + t.b * north + t.c, t.d * east + t.e * north + t.f], axis=-1)
        return np.nan_to_num(uv, nan=-1e7, posinf=-1e7, neginf=-1e7).clip(-1e7, 1e7)

    def _native_gsd(self) -> float:
        x, y = self._to_crs.transform(*self._raster.middle, direction="INVERSE")
        here = np.zeros(2) if self.contains((0.0, 0.0)) else np.array([x, y]) + self.offset
        if not np.hypot(*here) <= 200_000:
            raise MapError(
                f"map {self._raster.path} is {np.hypot(*here) / 1000:.0f} km from the datum "
                f"({self.datum.latitude}, {self.datum.longitude}): give the datum in the map, or none"
            )
        east_px, north_px = (
            self._pixels(here + step) - self._pixels(here - step) for step in np.eye(2)
        )
        gsd = 2.0 / math.sqrt(
            abs(float(east_px[0] * north_px[1] - east_px[1] * north_px[0])) or math.inf
        )
        if not 0.001 <= gsd <= 1000:
            raise MapError(
                f"map {self._raster.path} would have {gsd:g} m per pixel: its transform and its CRS "
                "don't belong together; give the CRS that the transform is in, crs: EPSG:..."
            )
        return gsd

    # -- pixels ---------------------------------------------------------------------------------

    def _fill(
        self,
        grid: Grid,
        part: tuple[slice, slice],
        image: NDArray[np.uint8],
        valid: NDArray[np.bool_],
    ) -> None:
        """Make one block of a patch."""
        uv, rows, columns = self._lattice(grid, part)
        low, high = uv.min(axis=(0, 1)), uv.max(axis=(0, 1))
        if (high <= 0).any() or (low >= (self._raster.width, self._raster.height)).any():
            return
        window = self._window(low, high, grid.gsd / self.gsd)
        # Corner-based full pixels to the window's own, centres at integers.
        uv = (uv - (window.column, window.row)) / window.factor - 0.5
        at = [(rows @ uv[..., axis] @ columns).astype(np.float32) for axis in (0, 1)]
        found = cv2.remap(
            window.image, at[0], at[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        size = window.image.shape[:2]
        mask = window.valid
        low, high = uv.min(axis=(0, 1)), uv.max(axis=(0, 1))
        if mask is None and (low >= 0).all() and (high <= (size[1] - 1, size[0] - 1)).all():
            image[part], valid[part] = found, True
            return
        mask = np.full(size, 255, np.uint8) if mask is None else mask
        known = (
            cv2.remap(mask, at[0], at[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT) >= 128
        )
        found[~known] = 0
        image[part], valid[part] = found, known

    def _lattice(
        self, grid: Grid, part: tuple[slice, slice]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Raster pixels at the nodes of a coarse lattice over a block, (n, m, 2), and the weights
        (rows, n) and (m, columns) that interpolate them to every pixel."""
        v, rows = _hats(part[0])
        u, columns = _hats(part[1])
        nodes = np.stack(np.meshgrid(u, v), axis=-1)
        return self._pixels(grid.pixel_to_map(nodes)), rows, columns.T

    def _window(self, low: NDArray[np.float64], high: NDArray[np.float64], scale: float) -> Window8:
        """The source pixels between two corners for patches ``scale`` times coarser than the raster."""
        factor = max(1, int(scale + 1e-3))
        blur = scale / factor
        size = np.array([self._raster.width, self._raster.height])
        need_low = np.clip(np.floor(low) - 2 * factor, 0, size)
        need_high = np.clip(np.ceil(high) + 2 * factor, 0, size)
        with self._lock:
            for index, (known_blur, window) in enumerate(self._windows):
                corner = np.array([window.column, window.row])
                end = np.minimum(corner + np.array(window.image.shape[1::-1]) * factor, size)
                if (
                    window.factor == factor
                    and abs(known_blur - blur) < 0.02
                    and (corner <= need_low).all()
                    and (end >= need_high).all()
                ):
                    self._windows.insert(0, self._windows.pop(index))
                    return window
            start = np.maximum(need_low // factor - MARGIN, 0).astype(int)
            cells = np.ceil(need_high / factor).astype(int) + MARGIN - start
            (column, row), (width, height) = (start * factor).tolist(), cells.tolist()
            window = self._raster.read(column, row, width, height, factor)
            window = _smoothed(window, blur)
            self._windows.insert(0, (blur, window))
            while (
                len(self._windows) > 1
                and sum(w.image.nbytes for _, w in self._windows) > CACHE_BYTES
            ):
                self._windows.pop()
            return window


def _hats(part: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes spread over a range of pixels, and each pixel's linear weights on them, (pixels, nodes)."""
    count = part.stop - part.start
    nodes = np.linspace(part.start, part.stop - 1, max(2, math.ceil(count / LATTICE) + 1))
    if count == 1:
        return nodes[:1], np.ones((1, 1))
    step = nodes[1] - nodes[0]
    distance = np.abs(np.arange(part.start, part.stop)[:, None] - nodes) / step
    return nodes, np.maximum(0.0, 1.0 - distance)


def _smoothed(window: Window8, scale: float) -> Window8:
    """Blur a window for patches ``scale`` (1 … 2) times coarser than it.

    The Gaussian has the variance that a box of that width has beyond the pixel's own, so that
    linear interpolation afterwards does not alias.
    """
    sigma = math.sqrt(max(0.0, scale**2 - 1) / 12)
    if sigma < 0.1 or not window.image.size:
        return window
    image = np.asarray(cv2.GaussianBlur(window.image, (0, 0), sigma), dtype=np.uint8)
    return Window8(image, window.valid, window.column, window.row, window.factor)


def _raster_crs(raster: Raster, given: str | None) -> pyproj.CRS:
    """The CRS that the raster's transform is in.

    Raises:
        MapError: there is no transform or no CRS, or none by that name.
    """
    dataset = raster.dataset
    if dataset.transform.is_identity:
        gcps = ", only ground control points: warp it once with gdalwarp" if dataset.gcps[0] else ""
        raise MapError(
            f"map {raster.path} has no georeference{gcps}: expected a GeoTIFF, or a world file "
            "beside the picture (map.pgw, map.jgw, map.tfw) and crs: EPSG:..."
        )
    if given is None and dataset.crs is None:
        raise MapError(
            f"map {raster.path} names no CRS: give the one its transform is in, crs: EPSG:..."
        )
    try:
        return pyproj.CRS.from_user_input(given if given is not None else dataset.crs.to_wkt())
    except pyproj.exceptions.CRSError as error:
        raise MapError(
            f"map {raster.path}: {given!r} is no CRS: expected e.g. crs: EPSG:32630"
        ) from error
