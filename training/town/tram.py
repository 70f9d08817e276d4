"""Between the directions of traffic: islands, hatching, tram tracks."""

from __future__ import annotations

import numpy as np

from training.town import kinds as k
from training.town.shapes import Soup
from training.town.streets import Street

GAUGE = 1.435
RAIL_WIDTH = 0.1
TRACK = 1.62  # m from the middle of an own bed to the middle of each track


def stretches(street: Street, gap: float, least: float = 4.0) -> list[tuple[float, float]]:
    """Return the stretches (from, to) that keep ``gap`` metres from every junction."""
    s = np.arange(0.0, street.line.length, 0.5)
    free = np.concatenate([[False], street.clear(s, gap), [False]])
    edges = np.flatnonzero(free[1:] != free[:-1]).reshape(-1, 2)
    runs = [(float(s[a]), float(s[b - 1])) for a, b in edges]
    return [(a, b) for a, b in runs if b - a >= least]


def lay_islands(soup: Soup, rng: np.random.Generator, street: Street) -> None:
    """Add kerbed islands and a tram's own bed, open at the junctions."""
    if street.middle not in ("island", "tram_bed"):
        return
    half = street.median / 2
    for a, b in stretches(street, 9.0 if street.middle == "island" else 6.5):
        soup.add(street.line.strip(a, b, -half, half), k.KERB, k.L_ISLAND)
        wide = half - 0.2
        if wide > 0.2:
            inner = street.line.strip(a + 0.3, b - 0.3, -wide, wide)
            soup.add(inner, street.fill, k.L_ISLAND)
        if street.middle == "island" and half > 0.8 and rng.random() < 0.2:
            soup.add(street.line.strip(a, a + 3, -wide, wide), k.PAVEMENT, k.L_ISLAND)


def lay_rails(soup: Soup, rng: np.random.Generator, street: Street) -> None:
    """Add the rails of two tracks, in the inner lanes or on their own bed."""
    if street.middle not in ("tram", "tram_bed"):
        return
    length = street.line.length
    centre = TRACK if street.middle == "tram_bed" else street.lane_middle()
    slab = int(rng.choice([0, k.CONCRETE, k.COBBLE, k.PATCH])) if street.middle == "tram" else 0
    for sign in (1.0, -1.0):
        if slab:
            low, high = sign * centre - 1.2, sign * centre + 1.2
            soup.add(street.line.strip(0, length, low, high), slab, k.L_PATCH)
        for rail in (-GAUGE / 2, GAUGE / 2):
            low = sign * centre + rail - RAIL_WIDTH / 2
            strip = street.line.strip(0, length, low, low + RAIL_WIDTH)
            soup.add(strip, k.RAIL, k.L_RAIL)
