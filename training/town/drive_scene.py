"""A demo town seen by the one camera of a drive."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from training.town.drive_bag import DriveSettings
from training.town.town import CameraPose, CameraRig, Town


class TownScene:
    """What a drive needs of a town: streets, aerial picture, and images of a fixed camera.

    Attributes: as ``training.town.drive.Scene`` says.
    """

    def __init__(self, settings: DriveSettings) -> None:
        self._town, self._size = Town(settings.seed), (settings.width, settings.height)
        self._rig = CameraRig(
            fov=math.radians(settings.fov),
            height=settings.camera[2],
            pitch=math.radians(settings.pitch),
            bonnet=0.05,
        )
        self.streets, self.hand = self._town.streets, self._town.world.hand
        self.grid, self.datum, self.epsg = self._town.grid, self._town.datum, self._town.epsg
        self.aerial: NDArray[np.uint8] = self._town.aerial
        self.mounting: NDArray[np.float64] = self._rig.rotation

    def view(self, pose: NDArray[np.float64], index: int) -> NDArray[np.uint8]:
        """Return image ``index``, taken by a camera at (x, y, yaw) in ``map``."""
        x, y, yaw = (float(v) for v in pose)
        place = CameraPose(x, y, yaw, "street")
        frame = self._town.render(place, "pinhole", *self._size, "drive", index, self._rig, light=0)
        return frame.image
