"""The colours of one view of a town: the camera and the aerial picture each draw their own."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from training.town import kinds as k
from training.town.editions import Edition
from training.town.looks.appearance import Appearance, Paint, choose, within
from training.town.looks.town_v2 import TOWN_V2
from training.town.looks.town_v2_other import TOWN_V2_OTHER
from training.town.shapes import Array

APPEARANCES: dict[Edition, Appearance] = {"town-v2": TOWN_V2, "town-v2-other": TOWN_V2_OTHER}
"""The look of every edition but town-v1, whose own is fixed in its code."""
SNOW = np.array([232.0, 236.0, 244.0])
DRIVEN = (k.ASPHALT, k.LOT, k.PATCH, k.CYCLE, k.BUS, k.RAIL, k.COBBLE, k.CONCRETE)
"""Classes that are cleared of most snow."""
MARKS = (k.MARK, k.YELLOW)


class Palette(Protocol):
    """What a view asks colours of; every draw comes from the view's own stream."""

    rough: NDArray[Any]
    laid: NDArray[np.float32]

    def lawn(self, rng: np.random.Generator) -> Array:
        """Return the colour (3,) of the ground where nothing else lies."""
        ...

    def ground(self, rng: np.random.Generator, kinds: list[int]) -> Array:
        """Return the colour (n, 3) of every ground polygon."""
        ...

    def roofs(self, rng: np.random.Generator, styles: Array) -> Array:
        """Return (n, 3) for roofs: the same style has the same colour within the view."""
        ...

    def hedges(self, rng: np.random.Generator, count: int) -> Array:
        """Return (count, 3) for hedges."""
        ...

    def leaves(self, rng: np.random.Generator, count: int) -> Array:
        """Return (count, 3) for crowns."""
        ...

    def leafiness(self, rng: np.random.Generator, count: int) -> Array:
        """Return (count,): how full crowns are."""
        ...

    def walls(self, rng: np.random.Generator, styles: Array) -> tuple[Array, Array]:
        """Return (n, 3) colours, (n, 4): storey height, window period, windows' share, cladding."""
        ...


class Wardrobe:
    """Everything's colours in one view of one town, from the materials of ``look``.

    Args:
        look: the edition's appearance.
        rng: the view's own stream.

    Attributes:
        season: the time of year that the view shows.
        snow: share of it on the ground.
        rough: (classes,) uint8, the strength of each class's texture: no two alike, so that it
            names the class.
        laid: (256, 8) float32 by ``rough``: length, width, shift, joint, contrast of stones and the
            cosine and sine of their rows; zeros where there are none.
    """

    def __init__(self, look: Appearance, rng: np.random.Generator) -> None:
        self.look = look
        self.season = choose(rng, look.seasons)
        self.snow = within(rng, self.season.snow)
        materials = self._materials(rng)
        self._base = np.array([m.draw(rng) for m in materials])
        self._spread = np.array([m.spread for m in materials])
        self._relations(rng)
        self._snow_over(rng)
        self.rough, self.laid = _textures(materials, rng)

    def _materials(self, rng: np.random.Generator) -> list[Paint]:
        """Draw each class's material."""
        options = dict(self.look.ground)
        options[k.GRASS] = self.season.grass
        fallback = options[k.ASPHALT]
        return [choose(rng, options.get(c, fallback)) for c in range(k.GROUND_CLASSES)]

    def _relations(self, rng: np.random.Generator) -> None:
        """Kerbs are about as bright as their pavement, patches about as their road."""
        base = self._base
        base[k.KERB] = np.clip(base[k.PAVEMENT].mean() + rng.normal(10, 28), 40, 235)
        base[k.PATCH] = np.clip(base[k.ASPHALT] + rng.choice([-1, 1]) * rng.uniform(6, 34), 20, 230)

    def _snow_over(self, rng: np.random.Generator) -> None:
        cover = np.full(k.GROUND_CLASSES, self.snow)
        cover[list(DRIVEN)] = self.snow * rng.uniform(0.0, 0.75)
        cover[list(MARKS)] = self.snow * rng.uniform(0.3, 0.9)
        cover[[k.PAVEMENT, k.KERB]] = self.snow * rng.uniform(0.2, 1.0)
        # where snow lies on a road, it lies on the road's marks
        road = self._base[k.ASPHALT] * (1 - cover[k.ASPHALT]) + SNOW * cover[k.ASPHALT]
        self._base += cover[:, None] * (SNOW - self._base)
        hidden = self.snow * rng.uniform(0.2, 0.9)
        self._base[list(MARKS)] += hidden * (road - self._base[list(MARKS)])
        self._base *= (
            1 - 0.25 * self.snow * rng.random() * np.isin(np.arange(len(cover)), DRIVEN)[:, None]
        )

    def lawn(self, rng: np.random.Generator) -> Array:
        """Return the colour (3,) of the ground where nothing else lies."""
        out: Array = self._base[k.GRASS]
        return np.clip(out + rng.normal(0, 6), 3, 252)

    def ground(self, rng: np.random.Generator, kinds: list[int]) -> Array:
        """Return the colour (n, 3) of every ground polygon."""
        index = np.asarray(kinds)
        jitter = rng.normal(0, 1, (len(index), 1)) + 0.3 * rng.normal(0, 1, (len(index), 3))
        return np.clip(self._base[index] + jitter * self._spread[index][:, None], 3, 252)

    def roofs(self, rng: np.random.Generator, styles: Array) -> Array:
        """Return (n, 3) for roofs: the same style has the same colour within the view."""
        salt = int(rng.integers(1 << 30))
        own = [np.random.default_rng([salt, int(style)]) for style in styles]
        out = np.array([choose(r, self.look.roofs).draw(r) for r in own]).reshape(-1, 3)
        return out + self.snow * 0.8 * (SNOW - out)

    def leaves(self, rng: np.random.Generator, count: int) -> Array:
        """Return (count, 3) for crowns: a town has some species more than others."""
        options = self.season.leaves
        weights = np.array([o.weight for o in options]) * rng.uniform(0.2, 1, len(options))
        kind = rng.choice(len(options), count, p=weights / weights.sum())
        drawn = np.stack([o.draw(rng, count) for o in options])
        out = drawn[kind, np.arange(count)]
        return out + self.snow * 0.35 * (SNOW - out)

    def leafiness(self, rng: np.random.Generator, count: int) -> Array:
        """Return (count,): how full crowns are; a few stay full in winter."""
        evergreen = rng.random(count) < 0.12
        drawn = rng.uniform(*self.season.leafiness, count)
        return np.where(evergreen, np.maximum(drawn, 0.8), drawn)

    @property
    def fullness(self) -> float:
        """How much of a crown is leaves in this season, 0.35 ... 1."""
        return float(np.clip(0.9 + np.mean(self.season.leafiness), 0.35, 1.0))

    def walls(self, rng: np.random.Generator, styles: Array) -> tuple[Array, Array]:
        """Return (n, 3) colours, (n, 4): storey height, window period, windows' share, cladding."""
        salt = int(rng.integers(1 << 30))
        colors, own = np.zeros((len(styles), 3)), np.zeros((len(styles), 4))
        for i, style in enumerate(styles.astype(int)):
            draw = np.random.default_rng([salt, style])
            f = choose(draw, self.look.walls)
            colors[i] = f.paint.draw(draw)
            own[i] = [within(draw, r) for r in (f.storey, f.period, f.share)] + [f.cladding]
        return colors, own

    def hedges(self, rng: np.random.Generator, count: int) -> Array:
        """Return (count, 3) for hedges."""
        out = np.array([choose(rng, self.season.leaves).draw(rng) for _ in range(count)])
        return out.reshape(-1, 3) * 1.05


def _textures(
    materials: list[Paint], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Give every class a roughness of its own near its material's, and its stones by it."""
    rough = np.zeros(k.GROUND_CLASSES, np.uint8)
    laid = np.zeros((256, 8), np.float32)
    for c, material in enumerate(materials):
        level = material.rough
        while level in rough[:c]:
            level += 1
        rough[c] = level
        if material.laid is not None:
            s, turn = material.laid, rng.uniform(0, np.pi)
            row = (s.length, s.width, s.shift, s.joint, s.contrast, np.cos(turn), np.sin(turn))
            laid[level, :7] = row
    return rough, laid
