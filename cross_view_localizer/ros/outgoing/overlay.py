"""The overlay: what was searched and found, in one picture for people."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from cross_view_localizer.belief.heatmap import Heatmap
from cross_view_localizer.estimate import Estimate
from cross_view_localizer.grid import Grid
from cross_view_localizer.ros.incoming.images import rgb_bytes
from cross_view_localizer.ros.messages import header

LEAST_SIDE = 512  # of the overlay, pixels

_GREEN, _RED, _BLUE, _WHITE = (60, 220, 90), (255, 60, 40), (70, 130, 255), (255, 255, 255)
_SUBPIXEL_BITS = 4


def overlay_message(estimate: Estimate, frame: str) -> Image | None:
    """Return the overlay as an rgb8 Image, or None where the estimate has no patch."""
    if estimate.patch is None:
        return None
    picture = overlay(estimate)
    height, width = picture.shape[:2]
    return Image(
        header=header(estimate.stamp, frame),
        height=height,
        width=width,
        encoding="rgb8",
        step=3 * width,
        data=rgb_bytes(picture),
    )


def overlay(estimate: Estimate) -> NDArray[np.uint8]:
    """Draw heatmap, prior (blue ellipse), pose (green, or red where refused) over the faded crop.

    Ellipses hold 95 %; the bar is 10 m long. Returns RGB (H, W, 3), the patch enlarged by a whole
    factor to at least ``LEAST_SIDE``; needs ``estimate.patch``.
    """
    assert estimate.patch is not None
    small = estimate.patch.grid
    factor = max(1, math.ceil(LEAST_SIDE / max(small.width, small.height)))
    grid = small.resampled(small.width * factor, small.height * factor)
    faded = cv2.resize(_faded(estimate.patch.image), (grid.width, grid.height))
    picture = np.asarray(faded, dtype=np.uint8)
    if estimate.heatmap is not None:
        picture = _with_heat(picture, grid, estimate.heatmap)
    if estimate.prior is not None:
        prior = estimate.prior
        _ellipse(picture, grid, (prior.x, prior.y), prior.covariance[:2, :2], _BLUE)
        if prior.yaw is not None:
            _arrow(picture, grid, (prior.x, prior.y, prior.yaw), _BLUE)
    if estimate.raw_pose is not None and estimate.raw_covariance is not None:
        colour = _GREEN if estimate.ok else _RED
        x, y, yaw = estimate.raw_pose
        _ellipse(picture, grid, (x, y), estimate.raw_covariance[:2, :2], colour)
        _arrow(picture, grid, (x, y, yaw), colour)
    _bar(picture, grid.gsd)
    if estimate.reason is not None:
        _caption(picture, str(estimate.reason.value).replace("_", " "))
    return picture


def _faded(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Half grey and lighter, so that the heat's colours stand out."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(image, 0.45, grey, 0.35, 25.0), dtype=np.uint8)


def _with_heat(picture: NDArray[np.uint8], grid: Grid, heatmap: Heatmap) -> NDArray[np.uint8]:
    """Blend the heatmap in; opacity grows with the square root of the density."""
    anchors = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    at = heatmap.grid.map_to_pixel(grid.pixel_to_map(anchors))
    affine = np.column_stack([at[1] - at[0], at[2] - at[0], at[0]])
    share = np.sqrt(np.exp(heatmap.log_mass - heatmap.log_mass.max()))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    share = cv2.warpAffine(share, affine, (grid.width, grid.height), flags=flags)
    colours = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    opacity = (0.85 * share)[..., None]
    return np.asarray(picture * (1 - opacity) + colours * opacity, dtype=np.uint8)


def _point(uv: NDArray[np.float64]) -> tuple[int, int]:
    scaled = np.clip(np.rint(uv * (1 << _SUBPIXEL_BITS)), -(2**24), 2**24)
    return int(scaled[0]), int(scaled[1])


def _ellipse(
    picture: NDArray[np.uint8],
    grid: Grid,
    xy: tuple[float, float],
    covariance: NDArray[np.float64],
    colour: tuple[int, int, int],
) -> None:
    values, vectors = np.linalg.eigh(np.asarray(covariance, dtype=np.float64))
    if not np.isfinite(values).all():
        return
    radii = 2.4477 * np.sqrt(np.maximum(values, 0.0))  # chi-square, 2 degrees of freedom, 95 %
    angles = np.linspace(0.0, 2 * math.pi, 73)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * radii
    uv = grid.map_to_pixel(circle @ vectors.T + np.asarray(xy))
    points = np.array([_point(p) for p in uv], np.int32)
    for thickness, shade in ((4, (0, 0, 0)), (2, colour)):
        cv2.polylines(picture, [points], True, shade, thickness, cv2.LINE_AA, shift=_SUBPIXEL_BITS)


def _arrow(
    picture: NDArray[np.uint8],
    grid: Grid,
    pose: tuple[float, float, float],
    colour: tuple[int, int, int],
) -> None:
    """An arrow of fixed length in the picture, from the pose along its heading."""
    x, y, yaw = pose
    length = 0.06 * max(grid.extent)
    tail = grid.map_to_pixel((x, y))
    tip = grid.map_to_pixel((x + length * math.cos(yaw), y + length * math.sin(yaw)))
    for thickness, shade in ((5, (0, 0, 0)), (2, colour)):
        cv2.arrowedLine(
            picture, _point(tail), _point(tip), shade, thickness, cv2.LINE_AA, _SUBPIXEL_BITS, 0.3
        )


def _bar(picture: NDArray[np.uint8], gsd: float) -> None:
    height, length = picture.shape[0], round(10.0 / gsd)
    for thickness, shade in ((5, (0, 0, 0)), (2, _WHITE)):
        cv2.line(picture, (12, height - 14), (12 + length, height - 14), shade, thickness)


def _caption(picture: NDArray[np.uint8], text: str) -> None:
    scale = max(0.4, picture.shape[1] / 700)
    at = (round(12 * scale), round(30 * scale))
    for thickness, shade in ((4, (0, 0, 0)), (1, _WHITE)):
        cv2.putText(
            picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, shade, thickness, cv2.LINE_AA
        )
