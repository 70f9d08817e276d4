"""VIGOR's tiles on the map, and where labels put the camera in them.

A label d0, d1 says: camera at row H/2 + d0, column W/2 − d1 of the 640 × 640 tile. H/2 and W/2 mean
the tile's middle, the place in its name, which is (319.5, 319.5) where pixel centres are integers:
so the camera is −d1 pixels east and −d0 pixels north of the tile's centre, whole numbers or not. A
pixel is that of Web Mercator at zoom 20 on the tile's latitude; taking it for square, as everyone
does, is true to 0.2 %. The original labels were computed with 0.114 m/px everywhere and point
beside the camera, the further from the tile's centre the more; they are read as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.geo import Datum, MapFrame
from cross_view_localizer.grid import Grid
from training.datasets.mercator import EQUATOR_GSD
from training.datasets.vigor_lists import Rows

Resolution = Literal["city", "published"]

SIZE = 640
PUBLISHED_GSD = 0.114
ZOOM_20 = EQUATOR_GSD / 2**20  # m/px at the equator


@dataclass(frozen=True)
class City:
    """A city's rows in its frame.

    Attributes:
        name, datum, rows: of the city.
        xy: (N, 4, 2) centres of the tiles, metres; up: (N, 4) the way to true north there, radians.
        gsd: (N, 4) metres per pixel.
        usable: (N, 4) whether the camera lies within the tile.
    """

    name: str
    datum: Datum
    rows: Rows
    xy: NDArray[np.float64]
    up: NDArray[np.float64]
    gsd: NDArray[np.float64]
    usable: NDArray[np.bool_]

    def camera(self, row: int, tile: int) -> tuple[Grid, tuple[float, float]]:
        """Return a tile's grid and the (x, y) of the camera."""
        x, y = self.xy[row, tile].tolist()
        grid = Grid(SIZE, SIZE, float(self.gsd[row, tile]), (x, y), float(self.up[row, tile]))
        d0, d1 = self.rows.deltas[row, tile].tolist()
        middle = (SIZE - 1) / 2
        x, y = grid.pixel_to_map((middle - d1, middle + d0)).tolist()
        return grid, (x, y)


def placed(name: str, frame: MapFrame, rows: Rows, resolution: Resolution) -> City:
    """Place a city's tiles in its frame, whose north differs from theirs by the convergence.

    Raises:
        ValueError: where a tile is further than 200 km from the frame's datum.
    """
    latitude, longitude = np.moveaxis(rows.centers, -1, 0)
    xy = frame.to_map(latitude, longitude)
    to_north = frame.to_map(latitude + 1e-3, longitude) - xy
    up = np.arctan2(to_north[..., 1], to_north[..., 0])
    gsd = ZOOM_20 * np.cos(np.radians(latitude))
    if resolution == "published":
        gsd = np.full_like(gsd, PUBLISHED_GSD)
    usable = np.all(np.abs(rows.deltas) < SIZE / 2, axis=-1)
    return City(name, frame.datum, rows, xy, up, gsd, np.asarray(usable))


def drawn_offset(
    place: NDArray[np.float64], reach: float, shift: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw where a camera lies from the middle of a patch on its tile, (2,) metres along its sides.

    Cameras that are spread evenly over a square of ``reach`` to each side of the tile's middle
    are then spread evenly over one of ``reach + shift / 2``: a walk that is turned back at the
    square's sides keeps them so. The patch's middle stays within ``shift`` of the tile's.

    Args:
        place: (2,) where the camera lies from the tile's middle.
    """
    wide = reach + shift / 2
    walked = place * (wide / reach) + rng.uniform(-shift / 2, shift / 2, 2)
    turned = np.clip(walked, -wide, wide) * 2 - walked
    return np.clip(turned, place - shift, place + shift)
