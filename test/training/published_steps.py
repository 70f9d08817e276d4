"""The picture operations of the published KITTI and Ford pipelines, as their library defines them.

Pillow turns counter-clockwise for positive angles, about the picture's middle; its affine transform
says where each pixel of the result comes from.
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.datasets.pair import read_rgb

Picture = NDArray[np.float32]


def opened(path: Path) -> Picture:
    """Return a picture (H, W, 3) RGB as float32, which repeated sampling does not round."""
    return read_rgb(path).astype(np.float32)


def rotated(picture: Picture, degrees: float) -> Picture:
    """Turn a picture counter-clockwise."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    middle = (np.array(picture.shape[1::-1]) - 1) / 2
    # content at (x, y) right and down of the middle goes to (c x + s y, −s x + c y); its source is
    # found the other way round
    source = np.array([[c, -s], [s, c]])
    return _sampled(picture, np.column_stack([source, middle - source @ middle]))


def shifted(picture: Picture, right: float, down: float) -> Picture:
    """Each pixel comes from so far to the right and down."""
    return _sampled(picture, np.array([[1.0, 0.0, right], [0.0, 1.0, down]]))


def middle(picture: Picture, size: int) -> NDArray[np.uint8]:
    """Return the central square."""
    top, left = (picture.shape[0] - size) // 2, (picture.shape[1] - size) // 2
    return np.round(picture[top : top + size, left : left + size]).astype(np.uint8)


def _sampled(picture: Picture, source: NDArray[np.float64]) -> Picture:
    u, v = np.meshgrid(np.arange(picture.shape[1]), np.arange(picture.shape[0]))
    at = [(row[0] * u + row[1] * v + row[2]).astype(np.float32) for row in source]
    return np.asarray(cv2.remap(picture, at[0], at[1], cv2.INTER_LINEAR), dtype=np.float32)
