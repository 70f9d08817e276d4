"""Naive localizers that must fail: they show that the views share no cheap cue.

Both get more than a network does: the true heading, and the raw flat-ground projection of the
picture by the nominal calibration. One compares colour histograms, the other edge strength.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.grid import Grid
from training.town.ground import GroundFrame
from training.town.poses import CameraPose
from training.town.shapes import Array, Picture
from training.town.town import Town

GSD = 0.5
AHEAD = 36.0
HALF_PRIOR = 18.0
BINS = 8


def flat_projection(frame: GroundFrame) -> tuple[Picture, NDArray[np.bool_]]:
    """Project a pinhole frame on a flat ground by its nominal calibration.

    Returns the picture (n, n, 3) of a square with the camera in the middle of its bottom row, up
    ahead, GSD metres per pixel, and where it is valid.
    """
    n = int(AHEAD / GSD)
    rows, columns = np.mgrid[0:n, 0:n]
    forward = (n - 1 - rows) * GSD
    left = ((n - 1) / 2 - columns) * GSD
    points = np.stack([forward, left, np.full_like(left, -frame.height)], axis=-1)
    optical = points @ frame.rotation  # the rotation's transpose, for row vectors
    with np.errstate(divide="ignore", invalid="ignore"):
        uv = optical[..., :2] / optical[..., 2:] * frame.intrinsics[0, 0] + frame.intrinsics[:2, 2]
    h, w = frame.image.shape[:2]
    ok = (
        (optical[..., 2] > 0.3)
        & (uv > 0).all(axis=-1)
        & (uv[..., 0] < w - 1)
        & (uv[..., 1] < h - 1)
    )
    uv = np.where(ok[..., None], uv, -9).astype(np.float32)
    return cv2.remap(frame.image, uv[..., 0], uv[..., 1], cv2.INTER_LINEAR), ok


def aerial_patch(town: Town, pose: CameraPose, prior: tuple[float, float]) -> Picture:
    """Cut the heading-up patch around ``prior`` that every shift of the projection needs."""
    n = int(AHEAD / GSD) * 2 + int(2 * HALF_PRIOR / GSD) + 1
    grid = Grid(n, n, GSD, prior, pose.yaw)
    uv = grid.pixel_to_map(np.stack(np.meshgrid(np.arange(n), np.arange(n)), axis=-1))
    uv = town.grid.map_to_pixel(uv).astype(np.float32)
    small = cv2.GaussianBlur(town.aerial, (0, 0), 1.0)
    return cv2.remap(small, uv[..., 0], uv[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def _correlate(image: Array, template: Array) -> Array:
    """Cross-correlation: out[i, j] = sum of image[i + a, j + b] * template[a, b] ("valid")."""
    shape = image.shape
    f = np.fft.rfft2(image) * np.conj(np.fft.rfft2(template, shape))
    return np.fft.irfft2(f, shape)[
        : shape[0] - template.shape[0] + 1, : shape[1] - template.shape[1] + 1
    ]


def _best(scores: Array, patch: int, n: int, pose: CameraPose, prior: tuple[float, float]) -> float:
    """Error of the best shift within the prior's square (map axes), metres."""
    i, j = np.indices(scores.shape)
    # the camera of the template placed at (i, j) sits in the middle of its bottom row
    uv = np.stack([j + (n - 1) / 2, i + n - 1.0], axis=-1)
    xy = Grid(patch, patch, GSD, prior, pose.yaw).pixel_to_map(uv)
    inside = (np.abs(xy - prior) <= HALF_PRIOR).all(axis=-1)
    scores = np.where(inside, scores, -np.inf)
    best = xy[np.unravel_index(int(np.argmax(scores)), scores.shape)]
    return float(np.hypot(best[0] - pose.x, best[1] - pose.y))


def _bins(image: Picture, ok: NDArray[np.bool_], balanced: bool) -> NDArray[np.int64]:
    """Quantised colours, raw or after a gray-world balance."""
    mean = image[ok].reshape(-1, 3).mean(axis=0) + 1.0 if balanced else np.full(3, 128.0)
    level = np.clip(image / mean * 0.5 * BINS, 0, BINS - 1).astype(np.int64)
    return level[..., 0] * BINS * BINS + level[..., 1] * BINS + level[..., 2]


def histogram_error(
    town: Town,
    pose: CameraPose,
    prior: tuple[float, float],
    frame: GroundFrame,
    balanced: bool = False,
) -> float:
    """Error of the colour-histogram correlator, metres; ``balanced``: by a gray world first."""
    view, ok = flat_projection(frame)
    patch = aerial_patch(town, pose, prior)
    seen = _bins(view, ok, balanced)[ok]
    own = np.bincount(seen, minlength=BINS**3) / max(1, len(seen))
    labels = _bins(patch, np.ones(patch.shape[:2], bool), balanced)
    mask = ok.astype(float) / max(1, ok.sum())
    scores = np.zeros(tuple(np.array(patch.shape[:2]) - len(view) + 1))
    for b in np.flatnonzero(own > 0.002):
        share = np.maximum(_correlate((labels == b).astype(float), mask), 0)
        scores += np.sqrt(share * own[b])
    return _best(scores, len(patch), len(view), pose, prior)


def _edges(image: Picture) -> Array:
    gray: Picture = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    gray = cv2.GaussianBlur(gray, (0, 0), 0.8)
    strength = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))
    return np.sqrt(strength).astype(np.float64)


def edge_error(
    town: Town, pose: CameraPose, prior: tuple[float, float], frame: GroundFrame
) -> float:
    """Error of the edge correlation (normalised), metres."""
    view, ok = flat_projection(frame)
    ok = cv2.erode(ok.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    patch = _edges(aerial_patch(town, pose, prior))
    if ok.sum() < 20:
        return float(np.hypot(prior[0] - pose.x, prior[1] - pose.y))
    template = np.where(ok, _edges(view), 0)
    template[ok] -= template[ok].mean()
    mask = ok.astype(float)
    n = mask.sum()
    mean = _correlate(patch, mask) / n
    power = np.maximum(_correlate(patch**2, mask) / n - mean**2, 1e-3)
    return _best(_correlate(patch, template) / np.sqrt(power), len(patch), len(view), pose, prior)
