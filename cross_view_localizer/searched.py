"""The aerial picture around the prior: cut, encoded, kept while the vehicle stays inside."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.checks import Refused, major_std
from cross_view_localizer.estimate import Reason
from cross_view_localizer.geo import wrap_angle
from cross_view_localizer.grid import Grid
from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.network import Network
from cross_view_localizer.prior import Prior
from cross_view_localizer.satellite_map import MapError, Patch, SatelliteMap

NORTH = math.pi / 2


def turned(vector: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Return a (2,) vector turned counter-clockwise."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([c * vector[0] - s * vector[1], s * vector[0] + c * vector[1]])


@dataclass(frozen=True)
class Place:
    """Where the prior puts the point that the model finds (usually the camera).

    Attributes:
        xy: (2,) metres in ``map``.
        lever: (2,) the point in ``base_link``, metres.
        azimuth: of the camera, radians; north where the heading is unknown.
        prior: of ``base_link``.
    """

    xy: NDArray[np.float64]
    lever: NDArray[np.float64]
    azimuth: float
    prior: Prior


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

    def __init__(
        self, satellite_map: SatelliteMap, network: Network, config: LocalizerConfig
    ) -> None:
        self._map, self._network, self._config = satellite_map, network, config
        self._kept: Searched | None = None

    def clear(self) -> None:
        """Forget the kept encoding."""
        self._kept = None

    def around(self, place: Place, half: float) -> Searched:
        """Return what to search around a place; ``half`` metres each way are searchable.

        Raises:
            Refused: outside the map, or too little imagery.
        """
        up = place.azimuth if self._network.model.view.heading_up else NORTH
        if self._kept is not None and self._still_good(self._kept, place, up, half):
            return self._kept
        self._kept = None
        x, y = place.xy
        if not self._map.contains(place.xy):
            raise Refused(Reason.OUTSIDE_MAP, f"({x:.1f}, {y:.1f}) m in map is off the raster")
        try:
            with self._network.timed("patch"):
                patch = self._cut(place.xy, up)
        except MapError as error:  # the file is damaged here; elsewhere it may be whole
            raise Refused(Reason.LITTLE_IMAGERY, str(error)) from error
        if patch.coverage < self._config.min_coverage:
            raise Refused(
                Reason.LITTLE_IMAGERY,
                f"imagery under {patch.coverage:.0%} of the patch at ({x:.1f}, {y:.1f}) m: "
                f"expected at least {self._config.min_coverage:.0%}",
            )
        view = self._network.model.view
        grid = Grid(view.output_size, view.output_size, view.output_gsd, (float(x), float(y)), up)
        support = _support(patch, grid)
        self._kept = Searched(patch, self._network.encode_aerial(patch.image), grid, support)
        return self._kept

    def _cut(self, xy: NDArray[np.float64], up: float) -> Patch:
        view = self._network.model.view
        x, y = xy + view.aerial_ahead * np.array([math.cos(up), math.sin(up)])
        size = view.aerial_size
        return self._map.patch(Grid(size, size, view.aerial_gsd, (float(x), float(y)), up))

    def _still_good(self, kept: Searched, place: Place, up: float, half: float) -> bool:
        config = self._config
        moved = float(np.abs(turned(place.xy - kept.grid.center, NORTH - kept.grid.up)).max())
        return (
            config.reuse_aerial
            and moved <= config.reuse_distance * half
            and moved + config.prior_sigmas * major_std(place.prior.covariance) <= half
            and abs(float(wrap_angle(up - kept.grid.up))) <= config.reuse_angle
        )


def _support(patch: Patch, grid: Grid) -> NDArray[np.bool_] | None:
    """Return which cells of the heatmap have imagery; None where all have.

    Raises:
        Refused: none has.
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
        raise Refused(Reason.LITTLE_IMAGERY, "no imagery where the vehicle may be")
    return np.asarray(support)
