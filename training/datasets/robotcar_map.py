"""Oxford RobotCar's stitched map: where its pixels are, and how patches are read from it.

The map is one PNG of 20 000 x 17 000 px, which can only be decoded from its top; it is turned into
a tiled GeoTIFF once (``python -m training.maps.stitched``), and windows of that are read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from rasterio.transform import Affine

from cross_view_localizer.geo import Datum
from cross_view_localizer.grid import Grid
from cross_view_localizer.map.satellite_map import MapError, SatelliteMap
from training.datasets.pair import RGB, DatasetError

UTM = "EPSG:32630"
# The authors' anchors: easting, northing (metres) of a few tiles' middles, and the column and row
# at which these lie in the stitched picture. Tiles are 600 px wide and the first one's middle is
# called 900, so these count from the picture's outer corner.
ANCHORS = (
    (619400.0, 5736195.0, 900.0, 900.0),
    (619400.0, 5734600.0, 492.0, 18168.0),
    (620795.0, 5736195.0, 15966.0, 1260.0),
    (620795.0, 5734600.0, 15553.0, 18528.0),
    (620100.0, 5735400.0, 8255.0, 9688.0),
)


@dataclass(frozen=True, eq=False)
class StitchedAffine:
    """Pixels of a stitched map and UTM metres: column, row = matrix @ (E, N) about a middle.

    Attributes:
        middle: (E, N) about which it is written, since differences of six million metres would
            cost a least-squares solver its digits.
        pixel: corner-based (column, row) there.
        matrix: (2, 2) pixels per metre.
    """

    middle: tuple[float, float]
    pixel: tuple[float, float]
    matrix: NDArray[np.float64]

    @classmethod
    def fitted(cls, anchors: ArrayLike) -> StitchedAffine:
        """Least squares over rows of (E, N, column, row), at least three, not on a line.

        Raises:
            ValueError: too few of them.
        """
        rows = np.asarray(anchors, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != 4 or not np.isfinite(rows).all():
            raise ValueError(f"anchors of shape {rows.shape}: expected rows of E, N, column, row")
        middle, pixel = rows[:, :2].mean(axis=0), rows[:, 2:].mean(axis=0)
        solution, _, rank, _ = np.linalg.lstsq(rows[:, :2] - middle, rows[:, 2:] - pixel)
        if len(rows) < 3 or rank < 2:
            raise ValueError(f"{len(rows)} anchors: expected at least three, not on one line")
        at = (float(middle[0]), float(middle[1])), (float(pixel[0]), float(pixel[1]))
        return cls(*at, solution.T)

    def to_pixel(self, utm: ArrayLike) -> NDArray[np.float64]:
        """Return corner-based (column, row), (..., 2), of (E, N)."""
        offset = np.asarray(utm, dtype=np.float64) - self.middle
        return np.asarray(offset @ self.matrix.T + self.pixel)

    def to_utm(self, uv: ArrayLike) -> NDArray[np.float64]:
        """Return (E, N), (..., 2), of corner-based (column, row)."""
        offset = np.asarray(uv, dtype=np.float64) - self.pixel
        return np.asarray(offset @ np.linalg.inv(self.matrix).T + self.middle)

    @property
    def transform(self) -> Affine:
        """The same as a raster's transform: corner-based (column, row) to (E, N)."""
        (a, b), (d, e) = np.linalg.inv(self.matrix).tolist()
        c, f = self.to_utm((0.0, 0.0)).tolist()
        return Affine(a, b, c, d, e, f)


PUBLISHED = StitchedAffine.fitted(ANCHORS)


class MapFile:
    """A georeferenced raster, opened anew in every process that reads patches of it.

    A loader's workers are forked, and GDAL's open files must not be shared between processes.

    Args:
        path: what SatelliteMap opens; datum: origin of the frame that grids are in.

    Raises:
        DatasetError: a PNG, not georeferenced, unreadable.
    """

    def __init__(self, path: Path, datum: Datum) -> None:
        self.path, self.datum = path, datum
        self._opened: tuple[int, SatelliteMap] | None = None
        if not path.is_file():
            picture = next(iter(sorted(path.parent.glob("*map*.png"))), "map.png")
            raise DatasetError(
                f"{path}: no such file: expected the map as a GeoTIFF; make it from the stitched "
                f"picture: python -m training.maps.stitched {picture} {path.with_suffix('.tif')}"
            )
        if path.suffix.lower() in (".png", ".jpg", ".jpeg"):
            raise DatasetError(
                f"{path}: patches can't be read from a picture without decoding all of it: run "
                f"python -m training.maps.stitched {path} {path.with_suffix('.tif')} once and give "
                "that map"
            )
        _ = self.map  # says at once what is wrong with it

    @property
    def map(self) -> SatelliteMap:
        """The map, opened in this process."""
        if self._opened is None or self._opened[0] != os.getpid():
            try:
                self._opened = (os.getpid(), SatelliteMap.open(self.path, datum=self.datum))
            except MapError as error:
                raise DatasetError(str(error)) from error
        return self._opened[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def picture(self, grid: Grid) -> RGB:
        """Return the imagery on a grid, averaged over areas where that is coarser, as published.

        Raises:
            DatasetError: the file is damaged there.
        """
        fine = grid
        if grid.width == grid.height and grid.gsd > self.map.gsd:
            side = round(grid.width * grid.gsd / self.map.gsd)
            fine = grid.resampled(side, side)
        try:
            image = self.map.patch(fine).image
        except MapError as error:
            raise DatasetError(str(error)) from error
        if fine.width == grid.width:
            return image
        size = (grid.width, grid.height)
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
