"""From a clean drawing to an aerial photograph: misregistration, seams, blur, light, JPEG."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.grid import Grid
from training.town.canvas import tile
from training.town.shapes import Array, Picture

MISREGISTRATION = 0.5
LATTICE = 100.0


def _tiles(rng: np.random.Generator, width: int, height: int) -> NDArray[np.int64]:
    """Return a tile's number for every pixel: a few stitched strips and their cuts."""
    rows = np.searchsorted(np.sort(rng.uniform(0, height, rng.integers(1, 4))), np.arange(height))
    columns = np.searchsorted(np.sort(rng.uniform(0, width, rng.integers(1, 4))), np.arange(width))
    return rows[:, None] * (columns.max() + 1) + columns[None]


def _displacement(rng: np.random.Generator, grid: Grid) -> Array:
    """Draw the smooth part: independent nodes about LATTICE metres apart, metres in map axes."""
    n = max(2, round(grid.width * grid.gsd / LATTICE))
    return rng.normal(0, MISREGISTRATION, (n, n, 2))


def misregister(
    image: Picture, grid: Grid, rng: np.random.Generator
) -> tuple[Picture, NDArray[np.int64], Array]:
    """Return the picture stitched from strips that lie a little wrong.

    With it come each pixel's strip (H, W) and the misregistration (H / 16, W / 16, 2), metres
    (map).
    """
    height, width = image.shape[:2]
    nodes = _displacement(rng, grid)
    small = (width // 16, height // 16)
    smooth = cv2.resize(nodes, small, interpolation=cv2.INTER_CUBIC)
    number = _tiles(rng, width, height)
    count = int(number.max()) + 1
    jumps = rng.uniform(-0.3, 0.3, (count, 2))
    truth = smooth + jumps[number[8::16, 8::16]]
    axes = grid._axes()
    moved = (cv2.resize(smooth, (width, height)) @ axes / grid.gsd).astype(np.float32)
    moved += (jumps @ axes / grid.gsd).astype(np.float32)[number]
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    image = cv2.remap(
        image,
        u - moved[..., 0],
        v - moved[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return image, number, truth


def photograph(image: Picture, grid: Grid, rng: np.random.Generator) -> tuple[Picture, Array]:
    """Return the photograph (H, W, 3) and the misregistration (H / 16, W / 16, 2), metres (map)."""
    height, width = image.shape[:2]
    image, number, truth = misregister(image, grid, rng)
    count = int(number.max()) + 1
    # 2-4 px wide at half height
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(2, 4) / 2.355)
    gains = rng.normal(1, 0.045, (count, 1)) + rng.normal(0, 0.015, (count, 3))
    gains = gains * rng.uniform(0.8, 1.2) * rng.uniform(0.93, 1.07, 3)
    light = gains.astype(np.float32)[number]
    image = cv2.multiply(image, light, dtype=cv2.CV_8U)
    grain = np.roll(tile(), tuple(rng.integers(0, 512, 2)), (0, 1))[:, ::-1]
    grain = np.tile(grain, (height // 512 + 1, width // 512 + 1))[:height, :width]
    image = cv2.add(image, cv2.merge([grain * rng.uniform(1, 4)] * 3), dtype=cv2.CV_8U)
    gamma = rng.uniform(0.8, 1.25)
    haze = rng.uniform(0, 25)
    table = haze + (255 - haze) * (np.arange(256) / 255.0) ** gamma
    image = cv2.LUT(image, table.astype(np.uint8))
    quality = int(rng.integers(60, 93))
    _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8), truth
