"""Crowns and surfaces as an aerial picture shows them; the fourth channel is how rough they are."""

from __future__ import annotations

import cv2
import numpy as np

from cross_view_localizer.grid import Grid
from training.town.canvas import fill, subpixels, tile
from training.town.looks.palette import Wardrobe
from training.town.shapes import Array, Picture

LEAVES = 210
CLUMPS = 8


def crowns(
    image: Picture,
    trees: Array,
    grid: Grid,
    lean: Array,
    sun: Array,
    palette: Wardrobe,
    rng: np.random.Generator,
) -> None:
    """Paint crowns on ``image`` (H, W, 4), lower ones first.

    Args:
        trees: rows (x, y, radius, height, ...).
        lean: displacement (2,) for each metre of height; sun: unit vector (2,) towards it.
    """
    n = len(trees)
    colors, full = palette.leaves(rng, n), palette.leafiness(rng, n)
    centre = trees[:, :2] + lean * trees[:, 3:4] * 0.7
    angle = np.arange(13) * (2 * np.pi / 13)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    outline = centre[:, None] + (trees[:, 2:3] * rng.uniform(0.7, 1.12, (n, 13)))[..., None] * ring
    spots = rng.normal(0, 0.4, (n, CLUMPS, 2)) * trees[:, None, 2:3]
    gain = (
        1.05 + 0.42 * np.tanh((spots @ sun) / trees[:, None, 2]) + rng.normal(0, 0.16, (n, CLUMPS))
    )
    uv = subpixels(grid.map_to_pixel(outline))
    middle = subpixels(grid.map_to_pixel(centre[:, None] + spots))
    reach = np.round(trees[:, 2] * 0.33 / grid.gsd * 16).astype(int)
    for i in np.argsort(trees[:, 3]):
        if full[i] < 0.2:
            _branches(image, uv[i], subpixels(grid.map_to_pixel(centre[i])), colors[i])
            continue
        fill(image, uv[i], [*(colors[i] * 0.66), LEAVES])
        for j in range(CLUMPS):
            shade = np.clip(colors[i] * gain[i, j], 0, 255)
            cv2.circle(
                image,
                middle[i, j].tolist(),
                int(reach[i]),
                (*shade.tolist(), LEAVES),
                -1,
                cv2.LINE_AA,
                4,
            )


def _branches(image: Picture, uv: Picture, middle: Picture, color: Array) -> None:
    """Bare branches from the trunk outwards: what is below shows through."""
    tips = np.concatenate([uv, (uv + np.roll(uv, 1, axis=0)) // 2, (uv + middle) // 2])
    lines = np.stack([np.broadcast_to(middle, tips.shape), tips], axis=1)
    ends = np.stack([tips[:13], np.roll(tips[26:], 1, axis=0)], axis=1)
    tone = (*(color * 0.9).tolist(), 60)
    cv2.polylines(image, list(lines), False, tone, 1, cv2.LINE_AA, 4)
    cv2.polylines(image, list(ends), False, tone, 1, cv2.LINE_AA, 4)


def surface(image: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """Return (H, W, 3): ``image``'s colours in two scales of noise, by its fourth channel."""
    size = image.shape[0]
    fine = np.roll(tile(), tuple(rng.integers(0, 512, 2)), (0, 1))
    fine = np.tile(fine, (size // 512 + 1,) * 2)[:size, :size]
    coarse = cv2.resize(
        np.roll(tile(), tuple(rng.integers(0, 512, 2)), (0, 1))[:128, :128], (size, size)
    )
    rough = image[..., 3].astype(np.float32)
    rough *= np.float32(0.4 * strength / 255)
    rough += np.float32(0.03)
    gain = cv2.multiply(fine, rough)
    gain += 1 + np.float32(rng.uniform(0.03, 0.09)) * coarse
    colors = cv2.cvtColor(image, cv2.COLOR_RGBA2RGB)
    return cv2.multiply(colors, cv2.merge([gain] * 3), dtype=cv2.CV_8U)
