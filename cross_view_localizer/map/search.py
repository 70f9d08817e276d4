"""The aerial picture around a place: cut, and kept while the vehicle stays inside."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.geo import wrap_angle
from cross_view_localizer.grid import Grid
from cross_view_localizer.map.satellite_map import MapError, Patch
from cross_view_localizer.views import View

NORTH = math.pi / 2


class OutsideMap(MapError):
    """The place is off the raster."""


class LittleImagery(MapError):
    """Too little of the patch shows anything, or the file is damaged there."""


class Imagery(Protocol):
    """A picture from above: the satellite map, or what a dataset has of one place."""

    def contains(self, xy: NDArray[np.float64]) -> Any:
        """Return whether (x, y), metres in ``map``, lies on it."""

    def patch(self, grid: Grid) -> Patch:
        """Return what it shows under a grid."""


@dataclass(frozen=True)
class Keeping:
    """When a patch is good enough, and how long it is kept with its encoding.

    Attributes:
        min_coverage: a smaller share of imagery under the patch is too little.
        reuse: keep it while the vehicle stays well inside the patch.
        distance: from the patch's middle, as a share of the searchable half.
        angle: radians between the camera's azimuth and the patch's up.
    """

    min_coverage: float = 0.5
    reuse: bool = True
    distance: float = 0.5
    angle: float = 0.1


@dataclass(frozen=True)
class Searched:
    """A stretch of map, ready to be matched.

    Attributes:
        patch: the aerial picture.
        grid: the heatmap's cells.
        support: (H, W) cells with imagery; None where all have.
    """

    patch: Patch
    grid: Grid
    support: NDArray[np.bool_] | None


class Searcher:
    """Cuts what is to be searched, and keeps it for the frames after.

    What is kept answers in the same ``map`` coordinates: its grid stays where it is, and the ground
    picture is told the difference of headings (Preparation).

    Args:
        imagery: what is searched.
        view: the pictures that the model is made for.
        keeping: when a patch is good enough, and for how long.
        timed: takes the time of a block, by its name.
    """

    def __init__(
        self,
        imagery: Imagery,
        view: View,
        keeping: Keeping,
        timed: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        self._map, self._view, self._keeping, self._timed = imagery, view, keeping, timed
        self._kept: Searched | None = None

    def clear(self) -> None:
        """Forget what is kept."""
        self._kept = None

    def around(
        self, xy: NDArray[np.float64], azimuth: float, reach: float, half: float
    ) -> Searched:
        """Return what to search around a place.

        Args:
            xy: (2,) metres in ``map``.
            azimuth: of the camera, radians: the patch's up where the view is heading-up.
            reach: how far from ``xy`` the truth may lie, metres.
            half: how far from the patch's middle is searchable along each axis, metres.

        Raises:
            OutsideMap, LittleImagery: as they say.
        """
        up = azimuth if self._view.heading_up else NORTH
        if self._kept is not None and self._still_good(self._kept, xy, up, reach, half):
            return self._kept
        self.clear()
        x, y = (float(value) for value in xy)
        view = self._view
        self._kept = self.on(Grid(view.output_size, view.output_size, view.output_gsd, (x, y), up))
        return self._kept

    def on(self, grid: Grid) -> Searched:
        """Return what to search on a heatmap's grid, whatever its metres per cell.

        Raises:
            OutsideMap, LittleImagery: as they say.
        """
        x, y = grid.center
        if not self._map.contains(np.array(grid.center)):
            raise OutsideMap(f"({x:.1f}, {y:.1f}) m in map is off the raster")
        try:
            with self._timed("patch"):
                patch = self._map.patch(aerial_grid(grid, self._view))
        except MapError as error:  # the file is damaged here; elsewhere it may be whole
            raise LittleImagery(str(error)) from error
        if patch.coverage < self._keeping.min_coverage:
            raise LittleImagery(
                f"imagery under {patch.coverage:.0%} of the patch at ({x:.1f}, {y:.1f}) m: "
                f"expected at least {self._keeping.min_coverage:.0%}"
            )
        return Searched(patch, grid, _support(patch, grid))

    def _still_good(
        self, kept: Searched, xy: NDArray[np.float64], up: float, reach: float, half: float
    ) -> bool:
        u, v = kept.grid.map_to_pixel(xy) - kept.grid.map_to_pixel(kept.grid.center)
        moved = float(max(abs(u), abs(v)) * kept.grid.gsd)
        keeping = self._keeping
        return (
            keeping.reuse
            and moved <= keeping.distance * half
            and moved + reach <= half
            and abs(float(wrap_angle(up - kept.grid.up))) <= keeping.angle
        )


def aerial_grid(heatmap: Grid, view: View) -> Grid:
    """Return the grid of the aerial picture that belongs to a heatmap, scaled as the heatmap is."""
    scale = heatmap.gsd / view.output_gsd
    x, y = heatmap.center
    ahead = view.aerial_ahead * scale
    center = (x + ahead * math.cos(heatmap.up), y + ahead * math.sin(heatmap.up))
    size = view.aerial_size
    return Grid(size, size, view.aerial_gsd * scale, center, heatmap.up)


def _support(patch: Patch, grid: Grid) -> NDArray[np.bool_] | None:
    """Return which cells of the heatmap have imagery; None where all have.

    Raises:
        LittleImagery: none has.
    """
    if patch.valid.all():
        return None
    columns, rows = np.meshgrid(np.arange(grid.width), np.arange(grid.height))
    xy = grid.pixel_to_map(np.stack([columns, rows], axis=-1))
    uv = np.rint(patch.grid.map_to_pixel(xy)).astype(np.intp)
    height, width = patch.valid.shape
    inside = ((uv >= 0) & (uv < [width, height])).all(axis=-1)
    at = np.clip(uv, 0, [width - 1, height - 1])
    support = inside & patch.valid[at[..., 1], at[..., 0]]
    if not support.any():
        raise LittleImagery("no imagery where the vehicle may be")
    return np.asarray(support)
