"""A frame's light and weather by the edition's look."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from training.town.looks.appearance import Appearance, Sky, choose, within
from training.town.shapes import Array


@dataclass(frozen=True)
class Air:
    """What lies between the camera and the town in one frame.

    Attributes:
        day: the frame's light as ``shading`` takes it.
        wet: how wet the ground is, 0 ... 1.
        night: how much of the daylight is missing, 0 ... 1.
        sunny: strength of the sunlight.
    """

    day: Array
    wet: float
    night: float
    sunny: float


def draw_air(look: Appearance, rng: np.random.Generator, elevation: float, foot: float) -> Air:
    """Draw one frame's weather under a sun at ``elevation`` radians; ``foot``: ground below."""
    sky: Sky = choose(rng, look.skies)
    gain, sunny = within(rng, sky.gain), within(rng, sky.sun)
    zenith, horizon = sky.zenith.draw(rng) * gain, sky.horizon.draw(rng) * gain
    far = np.array([0.8, 0.9, 0.85]) * rng.uniform(40, 130) * 0.6 + sky.horizon.draw(rng) * 0.35
    haze = math.exp(rng.uniform(*np.log(sky.haze)))
    night = float(rng.uniform(0.86, 0.96)) if rng.random() < sky.night else 0.0
    wet = float(rng.uniform(0.25, 1.0)) if rng.random() < sky.wet else 0.0
    day = [
        *zenith,
        *horizon,
        *(far * (1 - night)),
        within(rng, sky.clouds),
        within(rng, sky.cloud) * gain,
        haze,
        rng.uniform(0.0, 0.12),
        rng.uniform(0, 500),
        sunny,
        foot,
        math.sin(elevation),
    ]
    return Air(np.array(day), wet, night, sunny)
