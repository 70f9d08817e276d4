"""town-v2-other: rings with spokes, or meandering roads with dead ends, and wide plots.

Its plan, its marks and, for each class of street, its widths of lanes occur in no other edition;
the distances of houses overlap in part, and medians, tracks and roundabouts are built alike. It
stands for a world that training has not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from training.town import kinds as k
from training.town.districts import District, profile
from training.town.house_rules import HouseRules
from training.town.shapes import Array
from training.town.streets import Mesh

FAR = 85.0  # m for each radian of the rings' mesh coordinate t

SUBURB = District(
    lane=((3.75, 4.3), (3.3, 3.7)),
    lanes=(0.62, 0.2, 0.16, 0.02),
    divided=(0.6, 0.1),
    tram=0.05,
    cycle=0.12,
    canopy=0.16,
    angled=0.14,
    verge=0.75,
    parking=0.35,
    pavement=(1.0, 2.0),
    roundabouts=0.04,
    cobble=0.03,
    wooded=0.05,
    houses=HouseRules(
        tries=5,
        interiors=8,
        setback=((5, 7), (9, 15)),
        width=((9, 13), (18, 27)),
        depth=(12, 17),
        floors=((1, 3), (1, 3)),
        large_width=(36, 64),
        large_depth=(22, 40),
        large_setback=(10, 22),
        yards=0.6,
        large_eave=(4, 9),
        mood=(1.0, 3.5, 1.4, 1.2, 1.0),
        squares=0.02,
    ),
)
CITY = District(
    lane=((3.75, 4.1), (3.3, 3.6)),
    lanes=(0.4, 0.2, 0.3, 0.1),
    divided=(0.5, 0.1),
    tram=0.14,
    cycle=0.2,
    bus=0.25,
    canopy=0.25,
    angled=0.16,
    verge=0.2,
    pavement=(3.7, 6.5),
    roundabouts=0.04,
    cobble=0.06,
    houses=HouseRules(
        tries=5,
        interiors=8,
        setback=((0, 0.5), (0, 0.5)),
        width=((10, 16), (18, 26)),
        depth=(13, 18),
        floors=((4, 8), (3, 7)),
        large_width=(36, 60),
        large_depth=(16, 26),
        large_setback=(7.5, 12),
        yards=0.4,
        large_eave=(14, 34),
        mood=(5.0, 0.6, 2.0, 0.4, 0.8),
        squares=0.06,
    ),
)


@dataclass(frozen=True)
class _Rings:
    """Mesh coordinates (s, t) -> map: s is a radius less a constant, t an angle."""

    centre: Array
    seam: float
    inner: float

    def __call__(self, st: Array) -> Array:
        radius, angle = st[:, 0] + self.inner, st[:, 1] / FAR + self.seam
        out: Array = self.centre + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
        return out

    def stretch(self, s: float) -> float:
        """Metres for each unit of t."""
        return max(0.3, (s + self.inner) / FAR)


class _Meander:
    """Mesh coordinates (s, t) -> map: every road winds along with its neighbours."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.angle = rng.uniform(0, 2 * np.pi)
        self.wave = rng.uniform(150, 260, 2)
        self.swing = np.array([rng.uniform(0.14, 0.2), rng.uniform(0.03, 0.09)]) * self.wave
        self.phase = rng.uniform(0, 2 * np.pi, 2)

    def __call__(self, st: Array) -> Array:
        bend = self.swing * np.sin(st[:, ::-1] * 2 * np.pi / self.wave + self.phase)
        c, s = np.cos(self.angle), np.sin(self.angle)
        out: Array = (st + bend) @ np.array([[c, s], [-s, c]])
        return out


def draw_elsewhere(rng: np.random.Generator, half_side: float) -> tuple[District, Mesh]:
    """Draw the houses and roads of a town of the other edition, and its mesh."""
    own = SUBURB if rng.random() < 0.6 else CITY

    def draw(rng: np.random.Generator, main: bool) -> dict[str, Any]:
        out = profile(rng, main, own)
        out["paved"] = int(rng.choice([k.CONCRETE, k.PAVEMENT], p=[0.75, 0.25]))
        return out

    if rng.random() < 0.5:
        away, angle = rng.uniform(0, 1.6) * half_side, rng.uniform(0, 2 * np.pi)
        centre = away * np.array([np.cos(angle), np.sin(angle)])
        rings = _Rings(centre, angle + np.pi, half_side * 1.5 + rng.uniform(22, 45))
        return own, Mesh(rings, draw, (62, 104), (62, 120), 34, rings.stretch, 0.08)
    return own, Mesh(_Meander(rng), draw, (58, 100), (70, 130), 34, dead_ends=0.35)
