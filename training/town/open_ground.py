"""Ground beside a street where nothing is built: squares and woods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.town import kinds as k
from training.town.shapes import one_view, rectangle

if TYPE_CHECKING:
    from training.town.buildings import Side


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
