"""Painting the town's vectors with OpenCV, anti-aliased, to a fraction of a pixel."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.town.shapes import Array, Picture, Soup

SHIFT = 4


def subpixels(uv: Array) -> NDArray[np.int32]:
    """Return pixel coordinates as OpenCV's fixed-point integers."""
    return np.round(uv * (1 << SHIFT)).astype(np.int32)


def fill(image: Picture, uv: NDArray[np.int32], color: ArrayLike) -> None:
    """Fill one outline (n, 2) given in fixed point, anti-aliased."""
    cv2.fillPoly(image, [uv], np.asarray(color, float).tolist(), cv2.LINE_AA, SHIFT)


def fill_convex(image: Picture, uv: NDArray[np.int32], color: ArrayLike) -> None:
    """Fill one convex outline (n, 2) given in fixed point, anti-aliased."""
    cv2.fillConvexPoly(image, uv, np.asarray(color, float).tolist(), cv2.LINE_AA, SHIFT)


def soup_pixels(soup: Soup, to_pixels: Callable[[Array], Array]) -> list[NDArray[np.int32]]:
    """Return ``soup``'s outlines in fixed point; ``to_pixels`` maps (n, 2) metres to pixels."""
    joined = subpixels(to_pixels(np.concatenate(soup.shapes)))
    ends = np.cumsum([len(s) for s in soup.shapes])
    return np.split(joined, ends[:-1])


def hulls(base: Array, shift: Array) -> list[Array]:
    """Return, for outlines (n, k, 2) swept along ``shift`` (n, 2), each sweep's convex hull."""
    points = np.concatenate([base, base + shift[:, None]], axis=1).astype(np.float32)
    return [cv2.convexHull(p)[:, 0].astype(np.float64) for p in points]


def circles(xy: Array, radius: Array, sides: int = 10) -> Array:
    """Return polygons (n, sides, 2) around ``xy`` (n, 2)."""
    angle = np.arange(sides) * (2 * np.pi / sides)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    out: Array = xy[:, None] + radius[:, None, None] * ring
    return out


def noise_tile(rng: np.random.Generator, size: int = 512) -> NDArray[np.float32]:
    """Return tileable noise (size, size) of several octaves, mean 0, deviation 1."""
    out = np.zeros((size, size), np.float32)
    for octave, weight in ((8, 1.0), (32, 1.0), (128, 1.0), (512, 0.8)):
        cells = rng.normal(0, 1, (octave, octave)).astype(np.float32)
        wide = np.pad(cells, 2, mode="wrap")
        k = size // octave
        big = cv2.resize(wide, None, fx=k, fy=k, interpolation=cv2.INTER_CUBIC)
        out += weight * big[2 * k : 2 * k + size, 2 * k : 2 * k + size]
    out = (out - out.mean()) / out.std()
    return out


_TILE: NDArray[np.float32] | None = None


def tile() -> NDArray[np.float32]:
    """Return the process's one noise tile, the same in every process."""
    global _TILE
    if _TILE is None:
        _TILE = noise_tile(np.random.default_rng(20))
    return _TILE
