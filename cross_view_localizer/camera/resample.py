"""Resizing and warping of pictures: averaged where they shrink, at a cost a vehicle can bear."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.camera.camera import Camera


def resized(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize (H, W, 3) to (width, height), averaging where it shrinks.

    Halving first, which OpenCV does ten times faster than averaging at a broken ratio.
    """
    picture = halved(picture, halvings(picture.shape[1], picture.shape[0], size))
    if picture.shape[1::-1] == size:
        return np.ascontiguousarray(picture)
    shrinks = picture.shape[1] >= size[0] and picture.shape[0] >= size[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=method), dtype=np.uint8)


def halvings(width: int, height: int, size: tuple[int, int]) -> int:
    """How often a size can be halved, without a remainder, until it would be below another."""
    times = 0
    while width % 2 == height % 2 == 0 and width >= 2 * size[0] and height >= 2 * size[1]:
        width, height, times = width // 2, height // 2, times + 1
    return times


def halved(picture: NDArray[np.uint8], times: int) -> NDArray[np.uint8]:
    """Halve a picture of even size some times."""
    for _ in range(times):
        half = (picture.shape[1] // 2, picture.shape[0] // 2)
        picture = np.asarray(cv2.resize(picture, half, interpolation=cv2.INTER_AREA), np.uint8)
    return picture


def rolled(panorama: NDArray[np.uint8], turn: float) -> NDArray[np.uint8]:
    """Bring what lies ``turn`` radians to the left of the middle column into it."""
    columns = turn / (2 * math.pi) * panorama.shape[1]
    whole, part = math.floor(columns), columns - math.floor(columns)
    moved = np.roll(panorama, whole, axis=1) if whole % panorama.shape[1] else panorama
    if not 0.01 < part < 0.99:
        return moved if part <= 0.01 else np.roll(moved, 1, axis=1)
    mixed = cv2.addWeighted(moved, 1 - part, np.roll(moved, 1, axis=1), part, 0.0)
    return np.asarray(mixed, dtype=np.uint8)


class Warp:
    """Makes pictures of one camera into those of another at the same place; the map is kept.

    Args:
        source: of the pictures given.
        target: of the pictures made: "pinhole" or "equirectangular".
        rotation: (3, 3) from the target's optical frame to the source's.
        scale: source pixels per target pixel, where that matters most.

    Attributes:
        seen: (height, width) uint8: 1 where all of a target's pixel shows the source, else 0.
    """

    def __init__(
        self, source: Camera, target: Camera, rotation: NDArray[np.float64], scale: float
    ) -> None:
        self._size = (target.width, target.height)
        # The source is averaged down to two to four times the target's resolution, looked up at
        # two or three, and averaged again.
        least = (round(source.width * 2 / scale), round(source.height * 2 / scale))
        self._halvings = halvings(source.width, source.height, least)
        shrunk = source.resized(source.width >> self._halvings, source.height >> self._halvings)
        finer = max(1, round(scale / 2**self._halvings))
        fine = target.resized(target.width * finer, target.height * finer)
        uv = np.stack(np.meshgrid(np.arange(fine.width), np.arange(fine.height)), axis=-1)
        at = shrunk.project(fine.ray(uv) @ rotation.T)
        found = np.asarray(np.isfinite(at).all(axis=-1))
        blocks = found.reshape(target.height, finer, target.width, finer)
        self.seen: NDArray[np.uint8] = np.asarray(blocks.all(axis=(1, 3)), dtype=np.uint8)
        at = np.where(found[..., None], at, -1e4).astype(np.float32)
        # Fixed point: as exact as OpenCV interpolates (1/32 px), and faster.
        self._maps = cv2.convertMaps(at[..., 0], at[..., 1], cv2.CV_16SC2)
        borders = {"equirectangular": cv2.BORDER_WRAP, "pinhole": cv2.BORDER_REPLICATE}
        self._border = borders.get(source.kind, cv2.BORDER_CONSTANT)

    def fine(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the target's picture at a multiple of its size; black where nothing is seen."""
        shrunk = halved(picture, self._halvings)
        found = cv2.remap(shrunk, *self._maps, cv2.INTER_LINEAR, borderMode=self._border)
        return np.asarray(found, dtype=np.uint8)
