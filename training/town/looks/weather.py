"""Wet roads, lamps at night, the sun in the picture and what is on the lens."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.town.canvas import tile
from training.town.looks.light import Air
from training.town.shapes import Array, Picture

GROUND, SKY = -2, -1
REACH = 45.0
"""Lamps further away than this light nothing, metres."""


@dataclass(frozen=True)
class Stand:
    """A camera in the town: how pixels look out.

    Attributes:
        panorama: equirectangular, otherwise pinhole.
        focal, cu, cv: pixels.
        rotation: optical frame -> levelled frame (x along ``yaw``).
        yaw: of the levelled frame in ``map``; position: (3,) metres.
    """

    panorama: bool
    focal: float
    cu: float
    cv: float
    rotation: Array
    yaw: float
    position: Array

    def project(self, directions: Array, size: tuple[int, int]) -> tuple[Array, Array]:
        """Return pixels (n, 2) of map directions (n, 3), and whether they are before the camera."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        level = directions @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
        x, y, z = (level @ self.rotation).T
        if self.panorama:
            width, height = size
            azimuth = np.arctan2(x, z)
            elevation = np.arctan2(-y, np.hypot(x, z))
            u = self.cu + azimuth * width / (2 * math.pi)
            v = (0.5 - elevation / math.pi) * height - 0.5
            return np.stack([u, v], 1), np.ones(len(u), bool)
        ahead = z > 0.05
        z = np.where(ahead, z, 1.0)
        return np.stack([self.cu + self.focal * x / z, self.cv + self.focal * y / z], 1), ahead

    def horizon(self, size: tuple[int, int]) -> Array:
        """Return the horizon's row in every column, (width,)."""
        width, height = size
        if self.panorama:
            return np.full(width, (height - 1) / 2)
        turn = self.rotation[2]
        across = (np.arange(width) - self.cu) / self.focal
        out: Array = self.cv - self.focal * (turn[0] * across + turn[2]) / turn[1]
        return out


def through_weather(
    image: Picture,
    truth: NDArray[np.float32],
    stand: Stand,
    air: Air,
    sun: tuple[float, float],
    lamps: Array,
    rng: np.random.Generator,
) -> None:
    """Let the frame's weather change ``image`` (h, w, 3) float32 in place.

    ``truth`` (h, w, 4) holds each pixel's point and kind where it is wet or night; ``lamps`` rows
    (x, y, radius, height).
    """
    if air.sunny > 0.3:
        _sun_glare(image, truth, stand, sun, air.sunny * rng.uniform(0.3, 1.0))
    if air.night > 0:
        _lamp_light(image, truth, stand, lamps, air.night, rng)
    if air.wet > 0:
        _wet_ground(image, truth, stand, air.wet, rng)


def _wet_ground(
    image: Picture, truth: NDArray[np.float32], stand: Stand, wet: float, rng: np.random.Generator
) -> None:
    """Darken the ground and let it mirror what stands behind it, puddles more than the rest."""
    height, width = image.shape[:2]
    ground = truth[..., 3] == GROUND
    line = stand.horizon((width, height))
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    mirrored = cv2.remap(
        image,
        u,
        (2 * line[None] - v).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    mirrored = cv2.blur(mirrored, (1, 5))
    noise = tile()
    x, y = truth[..., 0], truth[..., 1]
    offset = rng.uniform(0, 512, 2)
    p = np.floor(x * 3 + offset[0]).astype(np.int64) & 511
    q = np.floor(y * 3 + offset[1]).astype(np.int64) & 511
    puddle = np.clip(noise[q, p] * 0.5 + rng.uniform(-0.6, 0.4), 0, 1)
    depth = np.maximum(stand.position[2] - truth[..., 2], 0.3)
    away = np.hypot(x - stand.position[0], y - stand.position[1])
    sine = depth / np.hypot(depth, away)
    mirror = np.clip((0.04 + 0.9 * (1 - sine) ** 5) * (0.45 + 0.9 * puddle), 0, 0.85) * wet
    weight = (mirror * ground)[..., None].astype(np.float32)
    dark = (1 - 0.42 * wet * ground)[..., None].astype(np.float32)
    image *= dark
    image += weight * (mirrored - image)


def _lamp_light(
    image: Picture,
    truth: NDArray[np.float32],
    stand: Stand,
    lamps: Array,
    night: float,
    rng: np.random.Generator,
) -> None:
    """Leave as much daylight as ``night`` says and add street lamps and the vehicle's own."""
    height, width = image.shape[:2]
    x, y, z = truth[..., 0], truth[..., 1], truth[..., 2]
    solid = truth[..., 3] != SKY
    near = lamps[np.hypot(*(lamps[:, :2] - stand.position[:2]).T) < REACH]
    light = np.full((height, width), 1 - night, np.float32)
    power = rng.uniform(9, 22)
    for px, py, _, tall in near:
        top = stand.position[2] - 1.5 + tall
        distance = (x - px) ** 2 + (y - py) ** 2 + (z - top) ** 2
        light += power * tall / (distance + 8) ** 1.25 * 4
    dx, dy = x - stand.position[0], y - stand.position[1]
    away = np.hypot(dx, dy) + 0.1
    turn = np.arctan2(dy, dx) - stand.yaw
    turn = np.arctan2(np.sin(turn), np.cos(turn))
    light += rng.uniform(0.3, 0.9) * np.exp(-((turn / 0.45) ** 2)) * 14 / (away + 14) * (away > 1.5)
    warm = np.array([1.12, 1.0, rng.uniform(0.6, 0.95)], np.float32)
    shade = light[..., None] * warm
    image *= np.where(solid[..., None], shade, 1.0)
    if len(near) == 0:
        return
    heads = np.column_stack([near[:, :2], stand.position[2] - 1.6 + near[:, 3]])
    uv, ahead = stand.project(heads - stand.position, (width, height))
    glow = np.zeros((height, width), np.float32)
    for (u, v), (hx, hy, _) in zip(uv[ahead], heads[ahead], strict=True):
        size = 60.0 / (np.hypot(hx - stand.position[0], hy - stand.position[1]) + 8)
        if -50 < u < width + 50 and -50 < v < height + 50:
            cv2.circle(glow, (round(u), round(v)), max(1, round(size * width / 700)), 1.0, -1)
    image += cv2.GaussianBlur(glow, (0, 0), 1.0)[..., None] * warm * 420
    image += cv2.GaussianBlur(glow, (0, 0), width / 40)[..., None] * warm * 300


def _sun_glare(
    image: Picture,
    truth: NDArray[np.float32],
    stand: Stand,
    sun: tuple[float, float],
    strength: float,
) -> None:
    """Add the sun's disc and its veil where the camera looks towards it."""
    height, width = image.shape[:2]
    level = math.cos(sun[1])
    direction = np.array([[level * math.cos(sun[0]), level * math.sin(sun[0]), math.sin(sun[1])]])
    uv, ahead = stand.project(direction, (width, height))
    focal = width / (2 * math.pi) if stand.panorama else stand.focal
    u, v = uv[0]
    if not ahead[0] or abs(v - height / 2) > height or abs(u - width / 2) > width:
        return
    row, column = round(v), round(u)
    if 0 <= row < height and 0 <= column < width and truth[row, column, 3] != SKY:
        strength *= 0.15  # behind something
    across = np.arange(width, dtype=np.float32) - np.float32(u)
    if stand.panorama:
        across = (across + width / 2) % width - width / 2
    down = np.arange(height, dtype=np.float32) - np.float32(v)
    square = (across[None] ** 2 + down[:, None] ** 2) / focal**2
    veil = 260 / (1 + square / 0.004) + 45 / (1 + square / 0.08)
    image += (strength * veil)[..., None].astype(np.float32)
