"""Crops of one aerial picture on any grid."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.grid import Grid


def cropped(image: NDArray[np.uint8], grid: Grid, target: Grid) -> NDArray[np.uint8]:
    """Return an aerial picture (H, W, 3) on ``grid`` as one of ``target``'s size on ``target``.

    The same footprint, if need be turned by quarters, is resized by averaging, as the published
    code does; other targets are halved while they stay coarser and then sampled linearly, black
    beyond the edge.
    """
    size = (target.width, target.height)
    same = np.allclose(grid.extent, target.extent, rtol=1e-6)
    same = same and np.allclose(grid.center, target.center, atol=1e-3 * grid.gsd)
    quarters = (target.up - grid.up) / (np.pi / 2)
    if same and abs(quarters - round(quarters)) < 1e-7:
        turned = np.rot90(image, -round(quarters)) if quarters else image
        method = cv2.INTER_AREA if grid.gsd <= target.gsd else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(turned, size, interpolation=method), dtype=np.uint8)
    return AerialSource(image, grid, target.gsd).crop(target)


class AerialSource:
    """An aerial picture on its grid, halved while it stays as fine as what is asked of it.

    Args:
        image: (H, W, 3) uint8 RGB on ``grid``.
        gsd: the finest ground sampling distance that crops will have, metres.
    """

    def __init__(self, image: NDArray[np.uint8], grid: Grid, gsd: float) -> None:
        while grid.gsd * 2 <= gsd * 1.001:
            width, height = grid.width // 2 * 2, grid.height // 2 * 2
            size = (width // 2, height // 2)
            middle = grid.pixel_to_map(((width - 1) / 2, (height - 1) / 2))
            image = np.asarray(
                cv2.resize(image[:height, :width], size, interpolation=cv2.INTER_AREA)
            )
            grid = Grid(*size, grid.gsd * 2, (float(middle[0]), float(middle[1])), grid.up)
        self.image, self.grid = image, grid

    def crop(self, target: Grid) -> NDArray[np.uint8]:
        """Return the picture (target.height, target.width, 3) on ``target``; black beyond it."""
        corners = np.array(
            [[0, 0], [target.width - 1, 0], [0, target.height - 1]], dtype=np.float64
        )
        source = self.grid.map_to_pixel(target.pixel_to_map(corners))
        affine = cv2.getAffineTransform(corners.astype(np.float32), source.astype(np.float32))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(
            cv2.warpAffine(self.image, affine, (target.width, target.height), flags=flags)
        )
