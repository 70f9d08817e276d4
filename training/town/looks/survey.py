"""From a clean drawing to an aerial picture as it is published: sensor, strips, light, gaps."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.grid import Grid
from training.town.aerial_effects import misregister
from training.town.canvas import tile
from training.town.looks.appearance import Survey, within
from training.town.looks.optics import LUMA
from training.town.shapes import Array, Picture


def publish(
    image: Picture, grid: Grid, survey: Survey, rng: np.random.Generator
) -> tuple[Picture, Array]:
    """Return the published picture (H, W, 3) and its misregistration, as ``photograph`` does."""
    image, number, truth = misregister(image, grid, rng)
    image = _sensor(image, grid, survey, rng)
    image = _light(image, number, survey, rng)
    quality = int(rng.integers(*survey.jpeg))
    _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    image = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
    if rng.random() < survey.missing_share:
        _cut_off(image, rng)
    return image, truth


def _sensor(image: Picture, grid: Grid, survey: Survey, rng: np.random.Generator) -> Picture:
    """Blur, the sensor's own resolution, and the sharpening of whoever sells it."""
    height, width = image.shape[:2]
    image = cv2.GaussianBlur(image, (0, 0), within(rng, survey.blur))
    native, fine = within(rng, survey.native), rng.random() < survey.fine_share
    if not fine:
        scale = grid.gsd / native
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    amount = within(rng, survey.sharpening)
    soft = cv2.GaussianBlur(image, (0, 0), 1.2 if fine else 1.2 * native / grid.gsd)
    return cv2.addWeighted(image, 1 + amount, soft, -amount, 0)


def _light(
    image: Picture, number: NDArray[np.int64], survey: Survey, rng: np.random.Generator
) -> Picture:
    """Strips, white balance, saturation, noise, tone and haze."""
    height, width = image.shape[:2]
    count = int(number.max()) + 1
    spread = survey.strip * rng.choice([0.5, 1.0, 2.5], p=[0.4, 0.45, 0.15])
    gains = rng.normal(1, spread, (count, 1)) + rng.normal(0, 0.35 * spread, (count, 3))
    gains = gains * within(rng, survey.light) * np.exp(rng.normal(0, survey.cast, 3))
    image = cv2.multiply(image, gains.astype(np.float32)[number], dtype=cv2.CV_8U)
    saturation = within(rng, survey.saturation)
    mix = saturation * np.eye(3) + (1 - saturation) * LUMA[None]
    image = cv2.transform(image, mix.astype(np.float32))
    grain = np.roll(tile(), tuple(rng.integers(0, 512, 2)), (0, 1))[:, ::-1]
    grain = np.tile(grain, (height // 512 + 1, width // 512 + 1))[:height, :width]
    noise = cv2.merge([grain * within(rng, survey.noise)] * 3)
    image = cv2.add(image, noise, dtype=cv2.CV_8U)
    haze, gamma = within(rng, survey.haze), within(rng, survey.gamma)
    table = haze + (255 - haze) * (np.arange(256) / 255.0) ** gamma
    return cv2.LUT(image, table.astype(np.uint8))


def _cut_off(image: Picture, rng: np.random.Generator) -> None:
    """Blacken or whiten what lies beyond a line in the outer third: the survey ended there."""
    height, width = image.shape[:2]
    turn = rng.uniform(0, 2 * np.pi)
    away = rng.uniform(0.16, 0.45) * width
    normal, along = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    middle = np.array([width, height]) / 2 + normal * away
    far = 2.0 * width
    corners = [middle - far * along, middle + far * along]
    outline = np.array([*corners, corners[1] + far * normal, corners[0] + far * normal])
    level = float(rng.choice([0.0, 255.0]))
    cv2.fillConvexPoly(image, np.round(outline).astype(np.int32), (level, level, level))
