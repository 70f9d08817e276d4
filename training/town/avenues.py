"""Trees that reach over the road, and what stands between the directions of traffic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.town.roundabouts import Roundabout
from training.town.shapes import Array
from training.town.streets import Street


def _tall(rng: np.random.Generator, xy: Array, crown: float) -> Array:
    """Return trees whose crowns begin above a lorry."""
    n = len(xy)
    radius = crown * rng.uniform(0.75, 1.25, n)
    base = rng.uniform(3.4, 5.5, n)
    height = base + radius * rng.uniform(1.2, 2.2, n)
    return np.column_stack([xy, radius, height, base, 0.1 + radius * rng.uniform(0.03, 0.07, n)])


def avenue(rng: np.random.Generator, street: Street) -> list[Array]:
    """Return rows of trees along both kerbs, crowns over the lanes."""
    rows = []
    for side, sign in ((0, 1.0), (1, -1.0)):
        s = rng.uniform(3, 9) + np.cumsum(rng.uniform(6.5, 11) * rng.uniform(0.8, 1.25, 60))
        s = s[(s < street.line.length - 3) & (rng.random(60) < 0.92)]
        s = s[street.clear(s, 8)]
        into = street.verge[side] / 2 if street.verge[side] > 0 else 0.8
        lateral = sign * (street.half(side) + into + rng.normal(0, 0.1, len(s)))
        if len(s):
            rows.append(_tall(rng, street.line.offset(s, lateral), street.canopy))
    return rows


def middle_trees(
    rng: np.random.Generator, streets: Sequence[Street], rings: Sequence[Roundabout]
) -> list[Array]:
    """Return trees on islands between the directions and in roundabouts."""
    rows = []
    for street in streets:
        if street.middle != "island" or street.median < 1.8 or rng.random() < 0.35:
            continue
        s = rng.uniform(3, 9) + np.cumsum(rng.uniform(6, 14) * rng.uniform(0.7, 1.4, 60))
        s = s[s < street.line.length - 3]
        s = s[street.clear(s, 10)]
        if len(s):
            xy = street.line.offset(s, rng.normal(0, 0.1, len(s)))
            rows.append(_tall(rng, xy, rng.uniform(1.5, 4.5)))
    for ring in (r for r in rings if r.island > 0):
        count = int(rng.integers(0, 5))
        angle, away = rng.uniform(0, 2 * np.pi, count), rng.uniform(0, 0.7, count) * ring.island
        xy = np.column_stack([ring.x + away * np.cos(angle), ring.y + away * np.sin(angle)])
        rows.append(_tall(rng, xy, rng.uniform(1.2, 3)))
    return rows


def masts(rng: np.random.Generator, streets: Sequence[Street]) -> list[Array]:
    """Return posts (x, y, radius, height) between the directions: lamps, masts of a tram's wire."""
    rows = []
    for street in streets:
        if street.median < 1.0 or street.middle not in ("island", "tram_bed"):
            continue
        s = rng.uniform(0, 20) + np.cumsum(rng.uniform(24, 40, 30))
        s = s[s < street.line.length]
        s = s[street.clear(s, 9)]
        if len(s):
            size = np.column_stack([np.full(len(s), 0.11), rng.uniform(6, 9, len(s))])
            rows.append(np.column_stack([street.line.offset(s, 0.0), size]))
    return rows
