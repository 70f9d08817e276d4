"""A demo town seen by the one camera of a drive."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.town.drive_bag import DriveSettings


class TownScene:
    """What a drive needs of a town: streets, aerial picture, and images of a fixed camera."""

    def __init__(self, settings: DriveSettings) -> None:
        raise NotImplementedError

    def view(self, pose: NDArray[np.float64], index: int) -> NDArray[np.uint8]:
        """Return image ``index``, taken by a camera at (x, y, yaw) in ``map``."""
        raise NotImplementedError
