"""The town's geometry, drawn once from its seed: what exists, and which view sees it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from training.town.buildings import Built, develop
from training.town.editions import Edition, rules_of
from training.town.furniture import Furniture, furnish
from training.town.lanes import paint_lanes
from training.town.marks import flare, paint, pave
from training.town.plan import draw_plan
from training.town.roundabouts import Roundabout, paint_roundabouts, pave_roundabouts
from training.town.shapes import Array, Soup
from training.town.streets import Street

HEIGHT_STEP = 8.0
MAX_SLOPE = 0.04


@dataclass
class World:
    """Geometry in the town's ``map`` frame, metres.

    Attributes:
        half_side: the world is the square from -half_side to +half_side in both axes.
        hand: +1 where traffic keeps right, -1 where it keeps left.
        share: share of trees and marks that only one view sees, 0.2 ... 0.4.
        soup: ground polygons in painting order.
        height: ground height (n, n) on a lattice of HEIGHT_STEP metres, rows along y from
            -half_side - HEIGHT_STEP, columns along x likewise.
        edition: by whose rules it was drawn.
        rings: its roundabouts.
    """

    half_side: float
    hand: float
    share: float
    streets: list[Street]
    soup: Soup
    built: Built
    furniture: Furniture
    height: Array
    edition: Edition = "town-v1"
    rings: list[Roundabout] = field(default_factory=list)


def _terrain(rng: np.random.Generator, half_side: float) -> Array:
    """A few long waves whose steepest slope is the town's own, at most MAX_SLOPE."""
    axis = np.arange(-half_side - HEIGHT_STEP, half_side + 2 * HEIGHT_STEP, HEIGHT_STEP)
    x, y = np.meshgrid(axis, axis)
    height = np.zeros_like(x)
    for _ in range(4):
        direction, wave = rng.uniform(0, 2 * np.pi), rng.uniform(140, 500)
        u = (x * np.cos(direction) + y * np.sin(direction)) * 2 * np.pi / wave
        height += wave * rng.uniform(0.2, 1) * np.sin(u + rng.uniform(0, 2 * np.pi))
    gy, gx = np.gradient(height, HEIGHT_STEP)
    steepest = np.hypot(gx, gy).max()
    return height * (rng.uniform(0, MAX_SLOPE) / steepest)


def make_world(seed: int, half_side: float, edition: Edition = "town-v1") -> World:
    """Draw the town of ``seed`` by the rules of ``edition``: same seed, same geometry."""
    rules = rules_of(edition)
    rng = rules.stream(seed, "world")
    share = float(rng.uniform(0.22, 0.38))
    hand = float(rng.choice([-1.0, 1.0]))
    soup = Soup()
    plan = draw_plan(rules, seed, half_side)
    streets, rings = plan.streets, plan.rings
    round_roads = [(r.circle(r.outer), r.circle(r.outer + r.pavement)) for r in rings]
    built = develop(
        soup,
        rules.stream(seed, "buildings"),
        streets,
        half_side,
        share,
        plan.houses,
        round_roads,
    )
    pave(soup, streets)
    flare(soup, streets)
    pave_roundabouts(soup, rings)
    marks = rules.stream(seed, "marks")
    if plan.convention is None:
        paint(soup, marks, streets, share, hand)
    else:
        paint_lanes(soup, marks, streets, share, hand, plan.convention)
        paint_roundabouts(soup, marks, rings, share)
    soup.sort()
    furniture = furnish(rules.stream(seed, "furniture"), streets, built, share, hand, rings)
    return World(
        half_side,
        hand,
        share,
        streets,
        soup,
        built,
        furniture,
        _terrain(rules.stream(seed, "terrain"), half_side),
        edition,
        rings,
    )
