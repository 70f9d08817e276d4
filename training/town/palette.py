"""Colours drawn for one view: nothing here is shared between camera and aerial picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.town import kinds as k
from training.town.shapes import Array

ROUGHNESS = {
    k.GRASS: 60,
    k.BED: 90,
    k.SOIL: 50,
    k.ASPHALT: 16,
    k.LOT: 18,
    k.PAVEMENT: 18,
    k.YARD: 30,
    k.BALLAST: 70,
    k.COBBLE: 45,
    k.GRAVEL: 55,
    k.CONCRETE: 14,
    k.CYCLE: 16,
    k.BUS: 16,
}


def _tinted(rng: np.random.Generator, low: float, high: float, tint: float) -> Array:
    return np.clip(rng.uniform(low, high) + rng.normal(0, tint, 3), 4, 250)


def ground_palette(rng: np.random.Generator) -> tuple[Array, Array]:
    """Return base colours (classes, 3) RGB and how much objects of a class vary (classes,)."""
    base = np.zeros((k.GROUND_CLASSES, 3))
    green = rng.uniform(50, 120)
    base[k.GRASS] = [green * rng.uniform(0.7, 1.15), green, green * rng.uniform(0.4, 0.75)]
    base[k.ASPHALT] = _tinted(rng, 60, 140, 4)
    base[k.PAVEMENT] = _tinted(rng, 90, 185, 9)
    base[k.KERB] = np.clip(base[k.PAVEMENT] + rng.normal(10, 25), 40, 230)
    base[k.MARK] = _tinted(rng, 185, 245, 4)
    base[k.YELLOW] = [rng.uniform(170, 230), rng.uniform(140, 190), rng.uniform(20, 90)]
    base[k.YARD] = np.array([1.06, 1.0, 0.93]) * _tinted(rng, 80, 175, 7)
    base[k.SOIL] = np.array([1.1, 0.95, 0.75]) * rng.uniform(70, 140)
    base[k.PATCH] = np.clip(base[k.ASPHALT] + rng.choice([-1, 1]) * rng.uniform(8, 28), 20, 220)
    base[k.COVER] = _tinted(rng, 35, 85, 4)
    base[k.LOT] = _tinted(rng, 60, 140, 5)
    base[k.BED] = [rng.uniform(50, 110), rng.uniform(60, 110), rng.uniform(30, 60)]
    _newer(base, rng.spawn(1)[0])
    spread = np.full(k.GROUND_CLASSES, 8.0)
    spread[[k.YARD, k.BED, k.SOIL, k.GRAVEL]] = 26.0
    spread[[k.PATCH, k.COVER, k.LOT, k.PAVEMENT]] = 12.0
    spread[k.MARK] = 14.0
    return base, spread


def _newer(base: Array, rng: np.random.Generator) -> None:
    """Fill in the classes that town-v1 has not, from a stream of their own."""
    base[k.RAIL] = _tinted(rng, 60, 200, 6)
    base[k.BALLAST] = np.array([1.05, 1.0, 0.93]) * _tinted(rng, 80, 150, 5)
    red, green, blue = rng.uniform(110, 190), rng.uniform(45, 85), rng.uniform(40, 75)
    base[k.CYCLE] = [red, green, blue] if rng.random() < 0.6 else [green, red * 0.8, blue * 1.6]
    base[k.BUS] = [red * 0.95, green, blue] if rng.random() < 0.5 else base[k.ASPHALT] * 1.1
    base[k.COBBLE] = np.array([1.02, 1.0, 0.97]) * _tinted(rng, 70, 160, 6)
    base[k.CONCRETE] = _tinted(rng, 130, 200, 6)
    base[k.GRAVEL] = np.array([1.08, 1.0, 0.86]) * _tinted(rng, 110, 185, 7)


def object_colors(rng: np.random.Generator, kinds: list[int]) -> Array:
    """Return the colour (n, 3) RGB of every ground polygon as one view shows it."""
    base, spread = ground_palette(rng)
    index = np.asarray(kinds)
    n = len(index)
    jitter = rng.normal(0, 1, (n, 1)) + 0.3 * rng.normal(0, 1, (n, 3))
    return np.clip(base[index] + jitter * spread[index][:, None], 3, 252)


def roof_colors(rng: np.random.Generator, styles: Array) -> Array:
    """Return (n, 3) RGB for roofs: the same style has the same colour within the view."""
    salt = int(rng.integers(1 << 30))
    out = np.zeros((len(styles), 3))
    for i, style in enumerate(styles.astype(int)):
        own = np.random.default_rng([salt, style])
        draw = own.random()
        if draw < 0.4:
            out[i] = np.array([1.25, 0.85, 0.7]) * own.uniform(70, 135)
        elif draw < 0.85:
            out[i] = own.uniform(50, 130) + own.normal(0, 5, 3)
        else:
            out[i] = own.uniform(130, 215) + own.normal(0, 8, 3)
    return np.clip(out, 10, 245)


def car_colors(rng: np.random.Generator, count: int) -> Array:
    """Return (n, 3) RGB of cars."""
    gray = rng.choice([25.0, 60.0, 120.0, 175.0, 230.0], count)[:, None] + rng.normal(
        0, 8, (count, 3)
    )
    hue = rng.uniform(20, 190, (count, 3))
    return np.clip(np.where(rng.random((count, 1)) < 0.7, gray, hue), 8, 250)


class FirstCamera:
    """The colours of town-v1's camera view."""

    rough = np.array([ROUGHNESS.get(c, 12) for c in range(k.GROUND_CLASSES)])
    laid: NDArray[np.float32] = np.zeros((0, 8), np.float32)

    def lawn(self, rng: np.random.Generator) -> Array:
        """Return the colour (3,) of the ground where nothing else lies."""
        return rng.uniform([45, 60, 25], [110, 125, 65])

    def ground(self, rng: np.random.Generator, kinds: list[int]) -> Array:
        """Return the colour (n, 3) of every ground polygon."""
        return object_colors(rng, kinds)

    def roofs(self, rng: np.random.Generator, styles: Array) -> Array:
        """Return (n, 3) for roofs."""
        return roof_colors(rng, styles)

    def hedges(self, rng: np.random.Generator, count: int) -> Array:
        """Return (count, 3) for hedges."""
        shape = (
            rng.uniform(25, 75, count),
            rng.uniform(50, 100, count),
            rng.uniform(15, 45, count),
        )
        return np.stack(shape, 1)

    def leaves(self, rng: np.random.Generator, count: int) -> Array:
        """Return (count, 3) for crowns."""
        parts = (
            rng.uniform(25, 100, count),
            rng.uniform(45, 120, count),
            rng.uniform(12, 55, count),
        )
        return np.stack(parts, 1)

    def leafiness(self, rng: np.random.Generator, count: int) -> Array:
        """Return (count,): how full crowns are."""
        return rng.uniform(0.55, 1.0, count)

    def walls(self, rng: np.random.Generator, styles: Array) -> tuple[Array, Array]:
        """Return (n, 3) colours, (n, 4): storey height, window period, windows' share, cladding."""
        salt = int(rng.integers(1 << 30))
        colors, own = np.zeros((len(styles), 3)), np.zeros((len(styles), 4))
        for i, style in enumerate(styles.astype(int)):
            draw = np.random.default_rng([salt, style])
            tone = draw.random()
            if tone < 0.35:
                colors[i] = np.array([1.2, 0.8, 0.65]) * draw.uniform(85, 150)
            elif tone < 0.75:
                colors[i] = np.array([1.0, 0.96, 0.86]) * draw.uniform(130, 225)
            else:
                colors[i] = draw.uniform(70, 190) + draw.normal(0, 18, 3)
            own[i] = [
                draw.uniform(2.7, 3.2),
                draw.uniform(1.9, 4.2),
                draw.uniform(0.3, 0.6),
                float(tone < 0.35),
            ]
        return np.clip(colors, 20, 245), own


class FirstAerial(FirstCamera):
    """The colours of town-v1's aerial view."""

    def lawn(self, rng: np.random.Generator) -> Array:
        """Return the colour (3,) of the ground where nothing else lies."""
        return np.clip(rng.uniform([55, 70, 35], [110, 120, 70]), 0, 255)

    def hedges(self, rng: np.random.Generator, count: int) -> Array:
        """Return (count, 3) for hedges."""
        return np.tile([50.0, 80.0, 38.0], (count, 1))

    def leaves(self, rng: np.random.Generator, count: int) -> Array:
        """Return (count, 3) for crowns."""
        parts = (
            rng.uniform(40, 95, count),
            rng.uniform(60, 115, count),
            rng.uniform(25, 60, count),
        )
        return np.stack(parts, 1)
