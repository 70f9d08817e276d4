"""The aerial picture around a place: cut, encoded, kept while the vehicle stays inside."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.geo import wrap_angle
from cross_view_localizer.grid import Grid
from cross_view_localizer.map.satellite_map import MapError, Patch, SatelliteMap
from cross_view_localizer.views import View

NORTH = math.pi / 2


class OutsideMap(MapError):
    """The place is off the raster."""


class LittleImagery(MapError):
    """Too little of the patch shows anything, or the file is damaged there."""


class Encoder(Protocol):
    """What turns a patch's picture into something to be matched."""

    @property
    def view(self) -> View:
        """The pictures that it is made for."""

    def encode_aerial(self, image: NDArray[np.uint8]) -> Any:
        """Encode (S, S, 3) uint8 RGB."""

    def timed(self, stage: str) -> AbstractContextManager[None]:
        """Take the time of a block."""


@dataclass(frozen=True)
class Keeping:
    """When a patch is good enough, and how long its encoding is kept.

    Attributes:
        min_coverage: a smaller share of imagery under the patch is too little.
        reuse: keep the encoding while the vehicle stays well inside the patch.
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
        encoding: what the model made of it.
        grid: the heatmap's cells.
        support: (H, W) cells with imagery; None where all have.
    """

    patch: Patch
    encoding: Any
    grid: Grid
    support: NDArray[np.bool_] | None


class Searcher:
    """Cuts and encodes what is to be searched.

    A kept encoding answers in the same ``map`` coordinates: its grid stays where it is, and the
    ground picture is told the difference of headings (Localizer).
    """

    def __init__(self, satellite_map: SatelliteMap, encoder: Encoder, keeping: Keeping) -> None:
        self._map, self._encoder, self._keeping = satellite_map, encoder, keeping
        self._kept: Searched | None = None

    def clear(self) -> None:
        """Forget the kept encoding."""
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
        up = azimuth if self._encoder.view.heading_up else NORTH
        if self._kept is not None and self._still_good(self._kept, xy, up, reach, half):
            return self._kept
        self._kept = None
        x, y = (float(value) for value in xy)
        if not self._map.contains(xy):
            raise OutsideMap(f"({x:.1f}, {y:.1f}) m in map is off the raster")
        try:
            with self._encoder.timed("patch"):
                patch = self._cut(xy, up)
        except MapError as error:  # the file is damaged here; elsewhere it may be whole
            raise LittleImagery(str(error)) from error
        if patch.coverage < self._keeping.min_coverage:
            raise LittleImagery(
                f"imagery under {patch.coverage:.0%} of the patch at ({x:.1f}, {y:.1f}) m: "
                f"expected at least {self._keeping.min_coverage:.0%}"
            )
        view = self._encoder.view
        grid = Grid(view.output_size, view.output_size, view.output_gsd, (x, y), up)
        support = _support(patch, grid)
        self._kept = Searched(patch, self._encoder.encode_aerial(patch.image), grid, support)
        return self._kept

    def _cut(self, xy: NDArray[np.float64], up: float) -> Patch:
        view = self._encoder.view
        x, y = xy + view.aerial_ahead * np.array([math.cos(up), math.sin(up)])
        size = view.aerial_size
        return self._map.patch(Grid(size, size, view.aerial_gsd, (float(x), float(y)), up))

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
