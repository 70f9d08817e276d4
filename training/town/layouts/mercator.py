"""Web-Mercator tiles of a town that is put down somewhere else on Earth.

Providers' tiles are squares of Web Mercator: their metres per pixel follow the latitude, and differ
by up to 0.4 % between east and north and from the usual formula, which takes the Earth as a sphere.
"""

from __future__ import annotations

import copy

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cross_view_localizer.geo import Datum, MapFrame
from training.town.town import Town


def anchored(town: Town, datum: Datum) -> Town:
    """Return the same town with its middle at another place; its aerial picture keeps its turn.

    ``epsg`` and ``corner`` of the result still tell where it came from.
    """
    moved = copy.copy(town)
    moved.datum = datum
    return moved


def to_pixel(latitude: ArrayLike, longitude: ArrayLike, zoom: float) -> NDArray[np.float64]:
    """Return corner-based (column, row) of the world's picture at a zoom, (..., 2), of degrees."""
    side = 256.0 * 2.0**zoom
    u = (np.asarray(longitude, dtype=np.float64) / 360.0 + 0.5) * side
    angle = np.radians(np.asarray(latitude, dtype=np.float64))
    v = (0.5 - np.arctanh(np.sin(angle)) / (2 * np.pi)) * side
    return np.stack([u, v], axis=-1)


def to_degrees(uv: ArrayLike, zoom: float) -> NDArray[np.float64]:
    """Return (latitude, longitude), (..., 2), of corner-based (column, row) at a zoom."""
    share = np.asarray(uv, dtype=np.float64) / (256.0 * 2.0**zoom)
    latitude = np.degrees(np.arcsin(np.tanh((0.5 - share[..., 1]) * 2 * np.pi)))
    return np.stack([latitude, (share[..., 0] - 0.5) * 360.0], axis=-1)


def tile(
    town: Town, latitude: float, longitude: float, zoom: float, size: int
) -> NDArray[np.uint8]:
    """Return the north-up tile, (size, size, 3) RGB, centred on a place; black beyond the town."""
    frame = MapFrame(town.datum)
    target = np.array([[0, 0], [size - 1, 0], [0, size - 1]], dtype=np.float64)
    world = to_pixel(latitude, longitude, zoom) + target - (size - 1) / 2
    degrees = to_degrees(world, zoom)
    source = town.grid.map_to_pixel(frame.to_map(degrees[:, 0], degrees[:, 1]))
    # An affine map fits to 1e-5 px over a tile. OpenCV's own warpAffine would round its numbers,
    # which moves an enlarged picture by a tenth of a pixel.
    right, down = (source[1:] - source[0]) / (size - 1)
    steps = np.arange(size)[:, None]
    across, along = source[0] + steps * right, steps * down
    at = (across[None, :, :] + along[:, None, :]).astype(np.float32)
    return np.asarray(cv2.remap(town.aerial, at, np.empty(0), cv2.INTER_CUBIC), dtype=np.uint8)
