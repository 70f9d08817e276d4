"""A town without pictures: its streets and its place, for tests that are not about pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.town.drive_bag import OPTICAL
from training.town.place import place_town
from training.town.seeds import stream
from training.town.streets import network


class PlainScene:
    """The streets and the place of a town with striped pictures, for tests of other things."""

    def __init__(self, seed: int, size: tuple[int, int] = (96, 64)) -> None:
        place = place_town(seed)
        self.streets = network(stream(seed, "streets"), min(place.grid.extent) / 2)
        self.hand = 1.0 if seed % 2 else -1.0
        self.grid, self.datum, self.epsg = place.grid, place.datum, place.epsg
        noise = stream(seed, "noise").integers(0, 255, (100, 100, 3), np.uint8)
        self.aerial = np.kron(noise, np.ones((16, 16, 1), np.uint8))
        self.mounting = OPTICAL
        self._size = size
        self.poses: list[NDArray[np.float64]] = []

    def view(self, pose: NDArray[np.float64], index: int) -> NDArray[np.uint8]:
        self.poses.append(pose)
        picture = np.full((self._size[1], self._size[0], 3), index, np.uint8)
        picture[self._size[1] // 2 :, ::2] = 255  # a uniform picture is refused as a covered lens
        return picture
