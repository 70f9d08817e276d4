"""From light to a camera's picture: lens, exposure, tone, noise, sharpening, compression."""

from __future__ import annotations

import cv2
import numpy as np

from training.town.looks.appearance import Appearance, Optics, choose, within
from training.town.shapes import Array, Picture

LEVELS = 1024
"""Brightness beyond this is all the same; 255 is white at an exposure of one."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def take(
    image: Picture,
    look: Appearance,
    rng: np.random.Generator,
    grain: np.random.Generator,
    panorama: bool,
) -> Picture:
    """Return the camera's picture (h, w, 3) uint8 of ``image`` (h, w, 3) float32.

    ``rng`` draws the camera's habits, which a drive's frames share, ``grain`` the noise.
    """
    optics = choose(rng, look.optics)
    image = _lens(image, optics, rng, panorama)
    image = _develop(image, optics, rng)
    image += _noise(image.shape[:2], optics, rng, grain)
    amount = within(rng, optics.sharpening)
    soft = cv2.GaussianBlur(image, (0, 0), 1.0)
    image = cv2.addWeighted(image, 1 + amount, soft, -amount, 0)
    picture = np.clip(image, 0, 255).astype(np.uint8)
    quality = int(rng.integers(*optics.jpeg))
    if rng.random() < optics.jpeg_share:
        _, code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        picture = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
    return picture


def _lens(image: Picture, optics: Optics, rng: np.random.Generator, panorama: bool) -> Picture:
    """Softness or motion, what is on the glass, and the dark corners of a pinhole picture."""
    h, w = image.shape[:2]
    if rng.random() < 0.2:
        n = int(rng.integers(2, 4))
        image = cv2.blur(image, (n, 1) if rng.random() < 0.6 else (1, n))
    else:
        image = cv2.GaussianBlur(image, (0, 0), within(rng, optics.blur))
    spots = rng.random(3) < [optics.flare_share, optics.dirt_share, optics.drops_share]
    if spots[0]:
        image += rng.uniform(6, 40) * np.array([1.0, rng.uniform(0.85, 1), rng.uniform(0.75, 1)])
    if spots[1]:
        cover = _spots(rng, (h, w), int(rng.integers(2, 9)), (0.02, 0.09), 0.02)
        image *= 1 - rng.uniform(0.2, 0.6) * cover[..., None]
    if spots[2]:
        cover = _spots(rng, (h, w), int(rng.integers(10, 40)), (0.006, 0.025), 0.004)
        bent = cv2.GaussianBlur(cv2.flip(image, 0), (0, 0), w / 60)
        image = image + 0.8 * cover[..., None] * (bent - image)
    if not panorama:
        u = (np.arange(w, dtype=np.float32) - w / 2) / (w / 2)
        v = (np.arange(h, dtype=np.float32) - h / 2) / (w / 2)
        loss = within(rng, optics.vignette) * 0.7
        image = image * (1 - loss * (u[None] ** 2 + v[:, None] ** 2))[..., None]
    return np.asarray(image, np.float32)


def _spots(
    rng: np.random.Generator,
    shape: tuple[int, int],
    count: int,
    radius: tuple[float, float],
    soft: float,
) -> Picture:
    """Return a mask (h, w) of blurred discs; sizes as shares of the width."""
    h, w = shape
    mask = np.zeros(shape, np.float32)
    for x, y, r in rng.uniform([0, 0, radius[0]], [w, h, radius[1]], (count, 3)):
        cv2.circle(mask, (int(x), int(y)), max(1, round(r * w)), 1.0, -1)
    return cv2.GaussianBlur(mask, (0, 0), max(0.6, soft * w))


def _develop(image: Picture, optics: Optics, rng: np.random.Generator) -> Picture:
    """Automatic exposure, white balance, saturation and the tone curve."""
    mean = float(image[::4, ::4].clip(0, 330).mean()) + 1.0
    gain = (within(rng, optics.brightness) / mean) ** 0.75 * np.exp(rng.normal(0, optics.drift))
    balance = gain * np.exp(rng.normal(0, optics.cast, 3))
    grey = rng.random() < optics.grey_share
    saturation = 0.0 if grey else within(rng, optics.saturation)
    mix = saturation * np.eye(3) + (1 - saturation) * LUMA[None]
    image = cv2.transform(image, (mix * balance[None]).astype(np.float32))
    curve = _tone(within(rng, optics.contrast), within(rng, optics.lift))
    index = np.clip(image, 0, LEVELS - 1).astype(np.uint16)
    return curve[index]


def _tone(contrast: float, lift: float) -> Array:
    """Return the curve (LEVELS,) float32 from linear 0 ... LEVELS: steeper in the middle."""
    x = np.arange(LEVELS, dtype=np.float32) / 255
    middle = 0.42
    bent = middle * (x / middle) ** contrast
    # above the middle the steep curve leans over to white, and clips
    high = 1 - (1 - middle) * np.clip((1 - x) / (1 - middle), 0, None) ** contrast
    curve = np.where((x > middle) & (contrast > 1), np.minimum(high, 1.0), bent)
    return (np.clip(lift + (255 - lift) * curve, 0, 255)).astype(np.float32)


def _noise(
    shape: tuple[int, int], optics: Optics, rng: np.random.Generator, grain: np.random.Generator
) -> Picture:
    """Return noise (h, w, 3): of single pixels, and blotches of colour."""
    h, w = shape
    cv2.setRNGSeed(int(grain.integers(1 << 31)))
    fine = np.empty((h, w, 3), np.float32)
    cv2.randn(fine, 0, within(rng, optics.noise))  # type: ignore[call-overload]
    coarse = np.empty((h // 4 + 1, w // 4 + 1, 3), np.float32)
    cv2.randn(coarse, 0, within(rng, optics.blotches))  # type: ignore[call-overload]
    fine += cv2.resize(coarse, (w, h), interpolation=cv2.INTER_LINEAR)
    return fine
