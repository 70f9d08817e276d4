"""Offsets on web-map tiles: the sphere's Mercator, as the published KITTI and Ford code has it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

RADIUS = 6_378_137.0
EQUATOR_GSD = 156_543.03392  # metres per pixel at zoom 0 with tiles of 256 px, as published


def local(latitude: ArrayLike, longitude: ArrayLike, scale_latitude: float) -> NDArray[np.float64]:
    """Return Mercator metres (..., 2), east and north, of degrees (...).

    They are scaled by the cosine of ``scale_latitude``. On the ellipsoid these metres are off by
    0.2 % at most: their differences are proportional to pixels of a tile, which is what they are
    for; they are no map frame.
    """
    lat, lon = np.radians(latitude), np.radians(longitude)
    scale = RADIUS * math.cos(math.radians(scale_latitude))
    north = np.log(np.tan(np.pi / 4 + lat / 2))
    return scale * np.stack(np.broadcast_arrays(lon, north), axis=-1)
