"""Junctions: how wide each is, and which of them are roundabouts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.town import kinds as k
from training.town.canvas import circles
from training.town.shapes import Array, Soup, one_view
from training.town.streets import Street

SAME = 5.0  # m between two streets' joints that are one junction
ROOM = 16.0  # m from a roundabout's edge to the next junction


@dataclass(frozen=True)
class Roundabout:
    """A round junction.

    Attributes:
        x, y: its middle.
        outer: radius of the kerb around the carriageway.
        island: radius of the island in the middle; 0 where a dead end only widens.
        pavement: width of the pavement around it.
    """

    x: float
    y: float
    outer: float
    island: float
    pavement: float

    def circle(self, radius: float) -> Array:
        """Return an outline (48, 2) around the middle."""
        return circles(np.array([[self.x, self.y]]), np.array([radius]), 48)[0]


def widen(streets: list[Street]) -> None:
    """Note at every joint how far the kerb of what it meets is away."""
    places = [street.line.at(street.joints)[0] if street.joints else None for street in streets]
    for street, own in zip(streets, places, strict=True):
        street.mouths = [5.0] * len(street.joints)
        if own is None:
            continue
        for other, theirs in zip(streets, places, strict=True):
            if other is street or theirs is None or other.main == street.main:
                continue
            near = np.hypot(*(own[:, None] - theirs).transpose(2, 0, 1)).min(axis=1) < SAME
            wide = max(other.half(0), other.half(1)) + 0.5
            for i in np.flatnonzero(near):
                street.mouths[i] = max(street.mouths[i], wide)


def place_roundabouts(
    rng: np.random.Generator, streets: list[Street], chance: float, reach: float
) -> list[Roundabout]:
    """Turn junctions with room around them into roundabouts, ``chance`` of them."""
    out: list[Roundabout] = []
    for street in streets:
        if not street.main:
            continue
        for joint in street.joints:
            draw, wide, ring = rng.random(), rng.uniform(6, 11), rng.uniform(5.0, 7.5)
            if draw > chance or not 35 < joint < street.line.length - 35:
                continue
            outer = max(street.half(0), street.half(1)) + wide
            away = np.abs(np.array(street.joints) - joint)
            if ((away > SAME) & (away < outer + ROOM)).any():
                continue
            x, y = street.line.at(joint)[0][0]
            clear = all(np.hypot(x - r.x, y - r.y) > r.outer + outer + 20 for r in out)
            if clear and max(abs(x), abs(y)) < reach:
                out.append(Roundabout(x, y, outer, outer - ring, rng.uniform(1.5, 3.0)))
    for street in streets:
        places = street.line.at(street.joints)[0] if street.joints else []
        for i, place in enumerate(places):
            for r in out:
                if np.hypot(*(place - (r.x, r.y))) < SAME:
                    street.mouths[i] = r.outer + 1.0
    return out


def turning_places(
    rng: np.random.Generator, streets: list[Street], reach: float
) -> list[Roundabout]:
    """Widen the dead ends so that one can turn round; each becomes a joint of its street."""
    out = []
    for street in streets:
        for end, s in enumerate((0.0, street.line.length)):
            x, y = street.line.points[-1 if end else 0]
            if street.main or s in street.joints or max(abs(x), abs(y)) > reach:
                continue
            r = Roundabout(x, y, max(street.half(0), street.half(1)) + rng.uniform(1.5, 6), 0, 1.5)
            out.append(r)
            street.joints.append(s)
            street.mouths.append(r.outer)
            street.ends = (street.ends[0], False) if end else (False, street.ends[1])
    return out


def pave_roundabouts(soup: Soup, rings: list[Roundabout], surface: int = k.ASPHALT) -> None:
    """Add pavement, kerb and carriageway."""
    for r in rings:
        soup.add(r.circle(r.outer + r.pavement), k.PAVEMENT, k.L_PAVEMENT)
        soup.add(r.circle(r.outer + 0.16), k.KERB, k.L_KERB)
        soup.add(r.circle(r.outer), surface, k.L_ROAD)


def paint_roundabouts(
    soup: Soup, rng: np.random.Generator, rings: list[Roundabout], share: float
) -> None:
    """Add islands, the cobbles around them, and the dashes at the edge."""
    for r in rings:
        if r.island == 0:
            continue
        soup.add(r.circle(r.island), k.KERB, k.L_ISLAND)
        inner = r.island - 0.2
        if rng.random() < 0.5 and inner > 3:
            soup.add(r.circle(inner), k.COBBLE, k.L_ISLAND)
            inner -= rng.uniform(0.8, 1.8)
        fill = int(rng.choice([k.GRASS, k.BED, k.GRAVEL, k.COBBLE], p=[0.55, 0.2, 0.1, 0.15]))
        soup.add(r.circle(inner), fill, k.L_ISLAND)
        if rng.random() < 0.4:
            count = int(2 * np.pi * r.outer / rng.uniform(1.2, 3.0))
            angle = np.arange(count) * 2 * np.pi / count
            radius = np.array([[r.outer - 0.35], [r.outer - 0.1]])
            wide = 0.5 * np.pi / count
            a = np.stack([angle - wide, angle + wide, angle + wide, angle - wide], axis=1)
            reach = np.broadcast_to(radius[[0, 0, 1, 1], 0], a.shape)
            dashes = np.stack([r.x + reach * np.cos(a), r.y + reach * np.sin(a)], axis=2)
            soup.add_all(dashes, k.MARK, k.L_MARK, one_view(rng, count, share))
