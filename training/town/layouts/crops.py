"""Pictures of a town as a vehicle's dataset has them: square-metre tiles, calibrated cameras."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.grid import Grid
from training.town.town import CameraPose, CameraRig, Town


def aerial_on(town: Town, grid: Grid) -> NDArray[np.uint8]:
    """Return the town's aerial picture (height, width, 3) on a grid of its map; black beyond."""
    corners = np.array([[0, 0], [grid.width - 1, 0], [0, grid.height - 1]], dtype=np.float64)
    source = town.grid.map_to_pixel(grid.pixel_to_map(corners))
    # Not warpAffine: its rounded matrix moves an enlarged picture by a tenth of a pixel.
    right = (source[1] - source[0]) / (grid.width - 1)
    down = (source[2] - source[0]) / (grid.height - 1)
    u, v = (
        (
            source[0, axis]
            + np.arange(grid.width)[None] * right[axis]
            + np.arange(grid.height)[:, None] * down[axis]
        ).astype(np.float32)
        for axis in (0, 1)
    )
    return np.asarray(cv2.remap(town.aerial, u, v, cv2.INTER_CUBIC), dtype=np.uint8)


def camera_picture(
    town: Town,
    pose: CameraPose,
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    height: float,
    index: int,
) -> NDArray[np.uint8]:
    """Return what a level camera with these intrinsics sees.

    It is drawn at a third of its size about the optical axis and enlarged: quick, and enough for a
    reader.

    Args:
        matrix: (3, 3), pixel centres at integers; size: (width, height) pixels.
        height: of the camera above the road, metres; index: of the frame's light and noise.
    """
    fx, fy, cx, cy = matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]
    across = max(cx, size[0] - cx) / fx
    upright = max(cy, size[1] - cy) / fy
    width = size[0] // 3
    rig = CameraRig(2 * math.atan(across * 1.02), height, 0.0, 0.0)
    drawn = town.render(
        pose,
        "pinhole",
        width,
        math.ceil(width * upright / across * 1.05),
        stream="layout",
        index=index,
        rig=rig,
    )
    k = drawn.intrinsics
    sx, sy = k[0, 0] / fx, k[1, 1] / fy
    affine = np.array([[sx, 0, k[0, 2] - sx * cx], [0, sy, k[1, 2] - sy * cy]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(drawn.image, affine, size, flags=flags), dtype=np.uint8)
