"""A regular grid of square cells placed in the ``map`` frame: what patches and heatmaps share."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Grid:
    """``width`` × ``height`` square cells about ``center``, whose image-up points to ``up``.

    Pixels are (column, row) = (u, v) with centres at integers, so the middle of the grid is the
    pixel ((width − 1) / 2, (height − 1) / 2).

    Attributes:
        width, height: number of columns and rows.
        gsd: ground sampling distance, metres per cell.
        center: (x, y) of the middle, metres in ``map`` (x east, y north).
        up: yaw that image-up points to, radians, 0 = east, counter-clockwise (north-up is π/2).
    """

    width: int
    height: int
    gsd: float
    center: tuple[float, float]
    up: float = math.pi / 2

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or not 0 < self.gsd < math.inf:
            raise ValueError(
                f"grid of {self.width} x {self.height} cells at {self.gsd} m: "
                "expected positive sizes"
            )
        if not all(math.isfinite(value) for value in (*self.center, self.up)):
            raise ValueError(f"grid at {self.center}, up {self.up}: expected finite numbers")

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height of the footprint, metres."""
        return self.width * self.gsd, self.height * self.gsd

    def _axes(self) -> NDArray[np.float64]:
        """Columns: unit vectors of image-right and image-down in ``map``, shape (2, 2)."""
        s, c = math.sin(self.up), math.cos(self.up)
        return np.array([[s, -c], [-c, -s]])

    def pixel_to_map(self, uv: ArrayLike) -> NDArray[np.float64]:
        """Return (x, y) in metres, shape (..., 2), for (column, row) of the same shape."""
        middle = ((self.width - 1) / 2, (self.height - 1) / 2)
        offset = (np.asarray(uv, dtype=np.float64) - middle) * self.gsd
        return offset @ self._axes().T + self.center

    def map_to_pixel(self, xy: ArrayLike) -> NDArray[np.float64]:
        """Return (column, row), shape (..., 2), for (x, y) in metres of the same shape."""
        middle = ((self.width - 1) / 2, (self.height - 1) / 2)
        offset = np.asarray(xy, dtype=np.float64) - self.center
        return offset @ self._axes() / self.gsd + middle

    def contains(self, xy: ArrayLike) -> NDArray[np.bool_]:
        """Return whether (x, y), shape (..., 2), falls on a cell of the grid."""
        uv = self.map_to_pixel(xy)
        inside = (uv >= -0.5) & (uv < np.array([self.width, self.height]) - 0.5)
        return np.asarray(inside.all(axis=-1))

    def resampled(self, width: int, height: int) -> Grid:
        """Return the grid of ``width`` × ``height`` cells over the same footprint.

        Raises:
            ValueError: where the cells would not be square.
        """
        if width * self.height != height * self.width:
            raise ValueError(
                f"{self.width} x {self.height} cells can't become {width} x {height}: "
                "expected the same proportions, since cells stay square"
            )
        return replace(self, width=width, height=height, gsd=self.gsd * self.width / width)
