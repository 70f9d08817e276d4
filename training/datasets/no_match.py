"""Samples whose pictures do not show the same place, or hardly show one at all."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from training.datasets.sample import Sample

Picture = NDArray[np.uint8]
# How often the map is of another place, the camera tells nothing, the map tells nothing.
CHANCES = (0.45, 0.4, 0.15)


def unmatched(sample: Sample, elsewhere: Picture | None, rng: np.random.Generator) -> Sample:
    """Return a sample whose pictures do not show the same place.

    Args:
        sample: one whose pictures do.
        elsewhere: an aerial picture of another place; None where there is none.
    """
    fate = int(rng.choice(3, p=CHANCES))
    sample = replace(sample, same_place=False, height_error=math.nan)
    if fate == 1 or (fate == 0 and elsewhere is None):
        unseen = np.full(2, np.nan)
        return replace(sample, ground=_masked(_spoilt(sample.ground, rng), sample), tilt=unseen)
    if fate == 0 and elsewhere is not None:
        return replace(sample, aerial=elsewhere)
    return replace(sample, aerial=_missing(sample.aerial, rng))


def half_covered(sample: Sample, rng: np.random.Generator) -> Picture:
    """Return a sample's ground picture with up to 40 % of the lens covered."""
    return _masked(covered(sample.ground, float(rng.uniform(0.05, 0.4)), rng), sample)


def covered(image: Picture, share: float, rng: np.random.Generator) -> Picture:
    """Cover a share of a picture (h, w, 3) by something near the lens: blurred, dark or bright."""
    h, w = image.shape[:2]
    rows, columns = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    angle = rng.uniform(0, 2 * math.pi)
    side = math.cos(angle) * columns + math.sin(angle) * rows
    shape = _smooth(rng, h, w) + rng.uniform(0, 2) * side
    edge = rng.uniform(0.02, 0.3)
    alpha = expit((shape - np.quantile(shape, 1 - share)) / edge * 4)
    tone = rng.uniform(0, 60) if rng.random() < 0.6 else rng.uniform(150, 255)
    paint = tone * rng.uniform(0.85, 1.15, 3) + 12 * _smooth(rng, h, w)[..., None]
    if rng.random() < 0.4:  # flakes and drops
        paint = paint + (rng.uniform(0, 1, (h, w, 1)) < 0.1) * rng.uniform(20, 90)
    return _bytes(image + alpha[..., None] * (paint - image))


def _spoilt(image: Picture, rng: np.random.Generator) -> Picture:
    """Return what a camera gives that tells nothing."""
    kinds: tuple[Callable[[Picture, np.random.Generator], Picture], ...]
    kinds = (_constant, _hidden, _noise, _torn)
    return kinds[int(rng.choice(4, p=(0.35, 0.4, 0.15, 0.1)))](image, rng)


def _hidden(image: Picture, rng: np.random.Generator) -> Picture:
    return covered(image, float(rng.uniform(0.6, 1.0)), rng)


def _constant(image: Picture, rng: np.random.Generator) -> Picture:
    """Black, white, grey or any one colour; at times with the sensor's noise."""
    tones = (np.zeros(3), np.full(3, 255.0), np.full(3, rng.uniform(0, 255)))
    tones += (rng.uniform(0, 255, 3),)
    noise = rng.normal(0, rng.uniform(0, 6), image.shape) if rng.random() < 0.5 else 0.0
    return _bytes(tones[int(rng.integers(4))] + np.zeros(image.shape) + noise)


def _noise(image: Picture, rng: np.random.Generator) -> Picture:
    """Noise of any grain."""
    h, w = image.shape[:2]
    grain = float(2 ** rng.uniform(0, 5))
    small = rng.uniform(0, 255, (max(1, round(h / grain)), max(1, round(w / grain)), 3))
    return _bytes(cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR))


def _torn(image: Picture, rng: np.random.Generator) -> Picture:
    """What a broken link leaves: one row over and over, or the rows and columns mixed."""
    h, w = image.shape[:2]
    if rng.random() < 0.5:
        return np.repeat(image[int(rng.integers(h))][None], h, axis=0)
    parts = np.array_split(np.arange(h), max(4, h // 8))
    rows = np.concatenate([parts[k] for k in rng.permutation(len(parts))])
    columns = np.roll(np.arange(w), int(rng.integers(w)))
    return image[rows][:, columns]


def _missing(aerial: Picture, rng: np.random.Generator) -> Picture:
    """Return a map without imagery, or with hardly any."""
    if rng.random() < 0.6:
        return _constant(aerial, rng)
    return covered(aerial, float(rng.uniform(0.85, 1.0)), rng)


def _smooth(rng: np.random.Generator, h: int, w: int) -> NDArray[np.float64]:
    """Smooth noise (h, w) of deviation about one."""
    small = rng.normal(0, 1.4, (int(rng.integers(2, 7)), int(rng.integers(2, 7))))
    return np.asarray(cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC))


def _masked(image: Picture, sample: Sample) -> Picture:
    return image if sample.mask is None else image * sample.mask[..., None]


def _bytes(values: NDArray[np.float64]) -> Picture:
    return np.clip(values, 0, 255).astype(np.uint8)
