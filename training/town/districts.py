"""What kinds of town there are in town-v2: their mesh, their roads, their houses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from training.town import kinds as k
from training.town.house_rules import HouseRules

Range = tuple[float, float]


@dataclass(frozen=True)
class District:
    """How the streets of a town are drawn; widths in metres, chances for each street.

    Attributes:
        main, cross: distances between main and between cross streets.
        bends: how much the mesh is bent, one is drawn.
        lane: lane widths of (main, cross) streets.
        lanes: chances of 1+1, 2+1, 2+2 and 3+3 lanes on a main street.
        divided: chance of a median where there are several lanes, and where there are not.
        tram, cycle, bus, canopy, angled, wooded, cobble: chances.
        parking, verge: chances for each side.
        pavement: widths.
        roundabouts: share of the junctions with room for one.
        dead_ends: share of the cross streets that end half-way.
        houses: what is built.
    """

    main: Range = (46.0, 92.0)
    cross: Range = (42.0, 105.0)
    bends: tuple[float, ...] = (0.3, 1.0, 1.6)
    lane: tuple[Range, Range] = ((2.8, 3.6), (2.4, 3.2))
    lanes: tuple[float, float, float, float] = (0.62, 0.17, 0.18, 0.03)
    divided: tuple[float, float] = (0.5, 0.06)
    tram: float = 0.07
    cycle: float = 0.16
    bus: float = 0.2
    canopy: float = 0.14
    angled: float = 0.1
    wooded: float = 0.02
    cobble: float = 0.04
    parking: float = 0.45
    verge: float = 0.35
    pavement: Range = (1.4, 3.6)
    roundabouts: float = 0.03
    dead_ends: float = 0.0
    houses: HouseRules = HouseRules(tries=2, interiors=14, squares=0.03)


DISTRICTS: tuple[tuple[float, District], ...] = (
    (0.2, District()),
    (
        0.22,
        District(  # an arterial quarter: wide roads, trams, flats and offices
            main=(66, 118),
            cross=(50, 115),
            lanes=(0.25, 0.2, 0.45, 0.1),
            divided=(0.6, 0.12),
            tram=0.28,
            cycle=0.3,
            bus=0.35,
            canopy=0.25,
            pavement=(2.2, 5.5),
            roundabouts=0.035,
            houses=HouseRules(
                tries=2,
                interiors=14,
                mood=(1.2, 0.5, 3.5, 1.2, 1.0),
                floors=((3, 6), (2, 4)),
                large_eave=(9, 26),
                squares=0.05,
            ),
        ),
    ),
    (
        0.2,
        District(  # houses in gardens, trees
            main=(48, 86),
            bends=(1.0, 1.6, 2.2),
            lanes=(0.93, 0.04, 0.03, 0.0),
            tram=0.01,
            cycle=0.1,
            bus=0.03,
            canopy=0.3,
            verge=0.5,
            roundabouts=0.045,
            dead_ends=0.12,
            houses=HouseRules(tries=2, interiors=14, mood=(1.0, 5.0, 0.4, 0.2, 1.0), squares=0.01),
        ),
    ),
    (
        0.14,
        District(  # an old town: narrow, paved, built to the edge
            main=(34, 62),
            cross=(28, 66),
            bends=(1.6, 2.2, 3.0),
            lane=((2.2, 2.9), (1.7, 2.4)),
            lanes=(0.97, 0.02, 0.01, 0.0),
            tram=0.08,
            cycle=0.06,
            bus=0.05,
            canopy=0.05,
            cobble=0.4,
            parking=0.3,
            verge=0.06,
            pavement=(0.5, 2.2),
            roundabouts=0.01,
            houses=HouseRules(
                tries=2,
                interiors=14,
                setback=((0, 0.4), (0, 3)),
                floors=((2, 5), (2, 4)),
                mood=(6.0, 0.4, 1.4, 0.3, 0.4),
                squares=0.09,
            ),
        ),
    ),
    (
        0.1,
        District(  # industry: halls, yards, broad bare roads
            main=(74, 130),
            cross=(66, 140),
            bends=(0.0, 0.3, 0.6),
            lane=((3.2, 3.7), (3.0, 3.6)),
            lanes=(0.7, 0.14, 0.14, 0.02),
            tram=0.02,
            canopy=0.04,
            parking=0.3,
            verge=0.5,
            pavement=(0.0, 2.2),
            roundabouts=0.06,
            houses=HouseRules(
                tries=2,
                interiors=14,
                large_width=(22, 60),
                large_depth=(16, 42),
                large_setback=(4, 16),
                large_eave=(5, 12),
                mood=(0.2, 0.4, 4.5, 2.2, 1.2),
                squares=0.0,
            ),
        ),
    ),
    (
        0.14,
        District(  # the edge of town: sparse, woods, few marks to hold on to
            main=(70, 125),
            cross=(64, 150),
            bends=(1.0, 2.2, 3.0),
            lane=((2.6, 3.4), (2.2, 3.0)),
            lanes=(0.94, 0.03, 0.03, 0.0),
            tram=0.0,
            cycle=0.12,
            bus=0.02,
            canopy=0.2,
            wooded=0.22,
            parking=0.12,
            verge=0.7,
            pavement=(0.0, 1.8),
            roundabouts=0.05,
            dead_ends=0.15,
            houses=HouseRules(
                tries=2,
                interiors=14,
                setback=((2, 6), (4, 9)),
                mood=(0.4, 3.0, 0.6, 0.3, 3.5),
                squares=0.01,
            ),
        ),
    ),
)


def draw_district(rng: np.random.Generator) -> District:
    """Draw the kind of a town."""
    share = np.array([s for s, _ in DISTRICTS])
    own = DISTRICTS[int(rng.choice(len(share), p=share / share.sum()))][1]
    if rng.random() < 0.3:  # towns without any of it, towns with much of it
        name = str(rng.choice(["tram", "cycle", "canopy", "angled", "cobble", "roundabouts"]))
        own = replace(own, **{name: min(0.6, 3 * getattr(own, name))})
    return own


def _pair(rng: np.random.Generator, chance: float, low: float, high: float) -> Range:
    both = rng.random(2) < chance
    widths = rng.uniform(low, high, 2) * both
    return float(widths[0]), float(widths[1])


def profile(rng: np.random.Generator, main: bool, own: District) -> dict[str, Any]:
    """Draw one street's cross-section: the keywords of ``Street``."""
    out: dict[str, Any] = {
        "lane": float(rng.uniform(*own.lane[0 if main else 1])),
        "parking": _pair(rng, own.parking, 1.9, 2.4),
        "verge": _pair(rng, own.verge, 1.0, 2.6),
        "pavement": tuple(float(w) for w in rng.uniform(*own.pavement, 2)),
        "paved": int(rng.choice([k.PAVEMENT, k.CONCRETE, k.COBBLE], p=[0.7, 0.18, 0.12])),
    }
    lanes = [(1, 1), (2, 1), (2, 2), (3, 3)][int(rng.choice(4, p=own.lanes))] if main else (1, 1)
    out["lanes"] = lanes if rng.random() < 0.5 else lanes[::-1]
    wide = sum(lanes) > 2
    if main and rng.random() < own.tram:
        out.update(_tram(rng, out["lane"]))
    elif main and rng.random() < own.divided[0 if wide else 1]:
        out.update(_median(rng))
    if rng.random() < own.cycle * (1.0 if main else 0.4):
        both = rng.uniform(1.3, 2.2) * (rng.random(2) < 0.85)
        out["cycle"] = (float(both[0]), float(both[1]))
    if wide and rng.random() < own.bus:
        out["bus"] = tuple(bool(n > 1 and rng.random() < 0.7) for n in out["lanes"])
    if rng.random() < own.angled:
        side, angle = int(rng.integers(2)), float(rng.choice([np.pi / 2, np.pi / 2, np.pi / 3]))
        width = float(rng.uniform(4.7, 5.3))
        other = out["parking"][1 - side] if rng.random() < 0.6 else width
        both_angles = (angle, angle if other == width else 0.0)
        out["parking"] = (width, other) if side == 0 else (other, width)
        out["angled"] = both_angles if side == 0 else both_angles[::-1]
    if rng.random() < own.canopy:
        out["canopy"] = float(rng.uniform(3.0, 6.2))
    if rng.random() < own.cobble:
        out["surface"] = int(rng.choice([k.COBBLE, k.CONCRETE, k.PATCH], p=[0.6, 0.25, 0.15]))
    if rng.random() < own.wooded:
        out.update(wooded=True, pavement=(0.0, 0.0), parking=(0.0, 0.0), angled=(0.0, 0.0))
        out.update(lanes=(1, 1), median=0.0, middle="none", cycle=(0.0, 0.0), bus=(False, False))
    return out


def _tram(rng: np.random.Generator, lane: float) -> dict[str, Any]:
    """Tracks in the inner lanes, or on a bed of their own."""
    if rng.random() < 0.5:
        return {"middle": "tram", "lane": max(lane, float(rng.uniform(2.9, 3.3)))}
    fill = int(rng.choice([k.BALLAST, k.GRASS, k.CONCRETE], p=[0.4, 0.35, 0.25]))
    return {"middle": "tram_bed", "median": float(rng.uniform(6.2, 7.4)), "fill": fill}


def _median(rng: np.random.Generator) -> dict[str, Any]:
    """An island of grass or stone, or a painted one."""
    if rng.random() < 0.2:
        return {"middle": "painted", "median": float(rng.uniform(1.0, 2.8))}
    fill = [k.GRASS, k.BED, k.PAVEMENT, k.COBBLE, k.CONCRETE, k.GRAVEL]
    kind = int(rng.choice(fill, p=[0.5, 0.14, 0.14, 0.1, 0.08, 0.04]))
    return {"middle": "island", "median": float(rng.uniform(0.8, 6.5)), "fill": kind}
