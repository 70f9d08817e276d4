"""Ground beside a street where nothing is built: squares, woods, what lies behind houses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from training.town import kinds as k
from training.town.occupancy import Occupancy
from training.town.shapes import BOTH, Soup, one_view, rectangle
from training.town.streets import Street

if TYPE_CHECKING:
    from training.town.buildings import Built, Side


def square(side: Side, s: float) -> float:
    """Open a paved square with slabs, beds, trees in rows and a kiosk; return where it ends."""
    rng = side.rng
    stop = min(s + rng.uniform(22, 48), side.street.line.length - 3)
    if stop - s < 14:
        return stop + 3
    depth = rng.uniform(14, 30)
    centre, yaw = side.place((s + stop) / 2, side.edge + depth / 2)
    shape = rectangle(centre[0], centre[1], yaw, stop - s - 1, depth)
    if not side.taken.free(shape):
        return s + 6
    side.taken.take(shape)
    kind, seam = rng.choice([k.COBBLE, k.CONCRETE, k.PAVEMENT, k.GRAVEL], 2)
    far = side.edge + depth
    side.band(s, stop, side.edge - 0.1, far, int(kind), k.L_PARCEL)
    for at in np.arange(s + rng.uniform(2, 6), stop - 1, rng.uniform(5, 9)):
        side.band(at, at + 0.5, side.edge, far, int(seam), k.L_DRIVE)
    for _ in range(int(rng.integers(0, 4))):
        a, b = rng.uniform(s + 1, stop - 5), side.edge + rng.uniform(2, depth - 5)
        side.band(a, a + rng.uniform(2, 6), b, b + rng.uniform(2, 5), k.BED, k.L_DRIVE)
    row = side.edge + rng.uniform(2, depth - 2)
    for at in np.arange(s + 3, stop - 3, rng.uniform(6, 9)):
        p, _ = side.place(float(at), float(row))
        side.out.greens.append((p[0], p[1], 0.2))
    p, yaw = side.place(rng.uniform(s + 3, stop - 3), side.edge + rng.uniform(4, depth - 3))
    side.out.rails.append((p[0], p[1], yaw, rng.uniform(2, 5), rng.uniform(2, 3), 2.7, k.BOX))
    side.out.rail_seen.append(int(one_view(rng, 1, side.share * 0.4)[0]))
    return stop + 1


def forest(side: Side, s: float) -> float:
    """Grow a stretch of wood up to the road, with a track leading in; return where it ends."""
    rng = side.rng
    stop = min(s + rng.uniform(25, 60), side.street.line.length - 1)
    depth = rng.uniform(12, 26)
    kind = int(rng.choice([k.SOIL, k.GRASS, k.BED]))
    side.band(s, stop, side.edge + rng.uniform(0.5, 2), side.edge + depth, kind, k.L_BASE)
    for _ in range(int((stop - s) * depth / 30)):
        p, _ = side.place(rng.uniform(s, stop), side.edge + rng.uniform(0.8, depth))
        side.out.greens.append((p[0], p[1], 0.3))
    if rng.random() < 0.3:
        at = rng.uniform(s, stop - 3)
        side.band(
            at, at + rng.uniform(2, 3), side.kerb - 0.1, side.edge + depth, k.GRAVEL, k.L_DRIVE
        )
    return stop


def fill_interiors(
    soup: Soup,
    rng: np.random.Generator,
    streets: Sequence[Street],
    taken: Occupancy,
    out: Built,
    count: int,
) -> None:
    """Try ``count`` pieces of free ground: gardens, yards, sheds, rear buildings, copses."""
    points = np.concatenate([s.line.points for s in streets])
    tangents = np.concatenate([s.line.tangents for s in streets])
    places = rng.uniform(-1, 1, (count, 2)) * (taken.half - 40)
    sizes = rng.uniform([7, 5], [24, 17], (count, 2))
    for (x, y), (length, width) in zip(places, sizes, strict=True):
        nearest = int(np.argmin(((points - (x, y)) ** 2).sum(axis=1)))
        yaw = float(np.arctan2(*tangents[nearest][::-1]))
        shape = rectangle(x, y, yaw, length, width)
        if not taken.free(shape):
            continue
        taken.take(shape)
        draw = rng.random()
        kinds = [k.GRASS, k.YARD, k.SOIL, k.BED, k.GRAVEL, k.LOT]
        kind = int(rng.choice(kinds, p=[0.34, 0.2, 0.16, 0.14, 0.08, 0.08]))
        soup.add(shape, kind, k.L_PARCEL)
        for _ in range(int(rng.integers(0, 5)) if draw < 0.5 else 0):
            out.greens.append((x, y, float(width) / 4))
        if 0.5 < draw < 0.72:
            eave = float(rng.uniform(2.5, 7))
            ridge = eave + float(rng.uniform(0, 2)) * (rng.random() < 0.6)
            block = (x, y, yaw, float(length) * 0.7, min(float(width), float(length) * 0.7) * 0.7)
            out.blocks.append((*block, eave, ridge, float(rng.integers(1 << 20))))
        elif draw > 0.86:
            shed = (x, y, yaw, float(rng.uniform(2, 4)), float(rng.uniform(2, 3)), 2.3)
            out.rails.append((*shed, float(k.BOX)))
            out.rail_seen.append(BOTH)
