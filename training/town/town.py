"""The front of the procedural town: an aerial picture, poses, and what a camera sees from them."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.geo import Datum
from cross_view_localizer.grid import Grid
from training.town.aerial import paint_aerial
from training.town.editions import Edition
from training.town.ground import GroundFrame, render_frame
from training.town.place import place_town
from training.town.poses import MARGIN, CameraPose, PoseSampler
from training.town.rigs import CameraRig
from training.town.scenery import Scenery, make_scenery
from training.town.seeds import check_training_seed, split_of, stream
from training.town.shapes import Array, Picture
from training.town.streets import Street
from training.town.world import World, make_world

__all__ = ["CameraPose", "CameraRig", "GroundFrame", "Town", "check_training_seed", "split_of"]

SIDE = 320.0


class Town:
    """One town, made from its seed: the same seed and edition give the same bytes.

    Attributes:
        seed: what it was made from.
        edition: by whose rules.
        datum, epsg: origin of ``map`` and the UTM zone of the aerial picture.
        corner: UTM easting and northing of the outer corner of the picture's top left pixel.
        grid: the aerial picture's grid in ``map``: 0.2 m in UTM, turned by the grid convergence.
        world: the geometry.
    """

    def __init__(self, seed: int, edition: Edition = "town-v1") -> None:
        self.seed, self.edition = seed, edition
        self.place = place_town(seed)
        self.datum: Datum = self.place.datum
        self.epsg: int = self.place.epsg
        self.corner: tuple[float, float] = self.place.corner
        self.grid: Grid = self.place.grid
        self.world: World = make_world(seed, SIDE / 2, edition)

    @property
    def streets(self) -> list[Street]:
        """The street network, in ``map``."""
        return self.world.streets

    @cached_property
    def _painted(self) -> tuple[Picture, Array]:
        return paint_aerial(self.seed, self.world, self.grid)

    @property
    def aerial(self) -> Picture:
        """The aerial picture, (H, W, 3) uint8 RGB, on ``grid``; painted on first use."""
        return self._painted[0]

    @property
    def misregistration(self) -> Array:
        """Displacement of the aerial picture's content, (H / 16, W / 16, 2) metres in map axes."""
        return self._painted[1]

    @cached_property
    def scenery(self) -> Scenery:
        """The camera's side of the town, drawn on first use."""
        return make_scenery(self.seed, self.world)

    @cached_property
    def sampler(self) -> PoseSampler:
        """Where cameras may stand."""
        # the grid is turned by the convergence: its corners reach out, its sides never come nearer
        reach = self.grid.width * self.grid.gsd / 2 - MARGIN
        return PoseSampler(self.world, reach - 5.0)

    def poses(
        self, count: int, stream: str = "train", min_distance: float = 0.0
    ) -> list[CameraPose]:
        """Draw camera poses at least 70 m inside the picture, a quarter off the plain road.

        Raises:
            ValueError: where the town has no room for that many ``min_distance`` metres apart.
        """
        return self.sampler.sample(self.seed, count, stream, min_distance)

    def rig(self, view: Literal["pinhole", "panorama"], stream_name: str, index: int) -> CameraRig:
        """Draw the mounting of frame ``index`` of a stream."""
        draw = CameraRig.draw if self.edition == "town-v1" else CameraRig.draw_any
        return draw(stream(self.seed, "rig", stream_name, index), view == "panorama")

    def render(
        self,
        pose: CameraPose,
        view: Literal["pinhole", "panorama"],
        width: int,
        height: int,
        stream: str = "train",
        index: int = 0,
        rig: CameraRig | None = None,
        truth: NDArray[np.float32] | None = None,
        light: int | None = None,
    ) -> GroundFrame:
        """Render what a camera sees at ``pose``.

        Args:
            pose: where the camera is.
            view: "pinhole" (forward) or "panorama" (equirectangular, middle column = the azimuth).
            width, height: size in pixels.
            stream, index: name the frame's own randomness: mounting, light, noise.
            rig: a given mounting, for a drive; otherwise each frame draws its own.
            truth: (height, width, 4) float32 that receives every pixel's point (x, y, z) and kind.
            light: number of a day whose light all frames of a drive share, without moving
                vehicles; otherwise each frame has its own.
        """
        rig = rig or self.rig(view, stream, index)
        rng = _named_stream(self.seed, "frame", stream, index)
        day = None if light is None else _named_stream(self.seed, "light", stream, light)
        return render_frame(self.scenery, pose, view, (width, height), rig, rng, truth, day)


def _named_stream(seed: int, what: str, name: str, index: int) -> np.random.Generator:
    return stream(seed, what, name, index)
