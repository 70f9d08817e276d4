"""Where a drive goes: a walk through the streets, in its own lane, corners rounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.town.shapes import Array
from training.town.streets import Street

SAME_JUNCTION = 5.0  # m: joints closer than this are one junction
CORNER = 9.0  # m before and after a junction that a turn may use
TRIES = 50
STEP = 0.25  # m between the points of a route


class RouteError(ValueError):
    """A town without a long enough way through it."""


@dataclass(frozen=True)
class _Edge:
    """A piece of one street between two junctions, in the direction of travel (s0 -> s1)."""

    street: int
    s0: float
    s1: float
    start: int
    end: int

    @property
    def length(self) -> float:
        return abs(self.s1 - self.s0)

    @property
    def key(self) -> tuple[int, float, float]:
        """The same for both directions."""
        return self.street, min(self.s0, self.s1), max(self.s0, self.s1)


def route(
    streets: Sequence[Street],
    length: float,
    rng: np.random.Generator,
    limit: float,
    hand: float = 1.0,
) -> Array:
    """Return a drive of at least ``length`` metres as points (N, 2), ``STEP`` apart.

    Args:
        streets: the town's network.
        limit: no point has a coordinate beyond ± this, metres.
        hand: +1 where traffic keeps right, -1 where it keeps left.

    Raises:
        RouteError: where the network has no such walk.
    """
    edges = _through(_edges(streets, limit - CORNER / 2))  # a corner may reach out a little
    for _ in range(TRIES):
        walk = _walk(edges, length, rng)
        if walk:
            points = _rounded([_lane(streets, run, hand) for run in _runs(walk)])
            if np.abs(points).max() <= limit and len(points) * STEP > length + STEP:
                return points
    raise RouteError(f"no drive of {length:g} m within {limit:g} m of the town's middle: next seed")


def _edges(streets: Sequence[Street], limit: float) -> list[_Edge]:
    """Cut the streets at their junctions; both directions of every piece that stays inside."""
    junctions: list[Array] = []
    edges: list[_Edge] = []
    for index, street in enumerate(streets):
        if len(street.joints) < 2:
            continue
        arcs = np.array(sorted(street.joints))
        nodes = [_junction(junctions, p) for p in street.line.at(arcs)[0]]
        for s0, s1, a, b in zip(arcs[:-1], arcs[1:], nodes[:-1], nodes[1:], strict=True):
            outline = street.line.strip(s0, s1, -street.lane, street.lane)
            if a != b and s1 - s0 > 2 * SAME_JUNCTION and np.abs(outline).max() < limit:
                edges += [_Edge(index, s0, s1, a, b), _Edge(index, s1, s0, b, a)]
    return edges


def _through(edges: list[_Edge]) -> list[_Edge]:
    """Leave out what leads into a dead end, where one would have to turn round."""
    while True:
        keep = [e for e in edges if any(n.start == e.end and n.key != e.key for n in edges)]
        if len(keep) == len(edges):
            return keep
        edges = keep


def _junction(junctions: list[Array], point: Array) -> int:
    """Return the number of the junction at ``point``, a new one where none is near."""
    for i, other in enumerate(junctions):
        if np.hypot(*(other - point)) < SAME_JUNCTION:
            return i
    junctions.append(point)
    return len(junctions) - 1


def _walk(edges: Sequence[_Edge], length: float, rng: np.random.Generator) -> list[_Edge]:
    """Walk at random without turning round, rather where it has not been; [] at a dead end."""
    if not edges:
        return []
    used: dict[tuple[int, float, float], int] = {}
    walk = [edges[int(rng.integers(len(edges)))]]
    gone = walk[0].length
    while gone < 1.1 * length + 4 * CORNER:  # corners cut the way short
        here = walk[-1]
        used[here.key] = used.get(here.key, 0) + 1
        onward = [e for e in edges if e.start == here.end and e.key != here.key]
        if not onward:
            return []
        # turns are what a drive is about: going straight on counts half
        weight = np.array(
            [(0.5 if e.street == here.street else 1.0) / 4.0 ** used.get(e.key, 0) for e in onward]
        )
        walk.append(onward[int(rng.choice(len(onward), p=weight / weight.sum()))])
        gone += walk[-1].length
    return walk


def _runs(walk: Sequence[_Edge]) -> list[list[_Edge]]:
    """Group the edges that go straight on along one street."""
    runs = [[walk[0]]]
    for edge in walk[1:]:
        last = runs[-1][-1]
        if edge.street == last.street and edge.s0 == last.s1:
            runs[-1].append(edge)
        else:
            runs.append([edge])
    return runs


def _lane(streets: Sequence[Street], run: Sequence[_Edge], hand: float) -> Array:
    """Return the middle of the lane along a run, without its corners."""
    street = streets[run[0].street]
    s0, s1 = run[0].s0, run[-1].s1
    way = np.sign(s1 - s0)
    trim = min(CORNER, abs(s1 - s0) / 3)
    s = np.linspace(s0 + way * trim, s1 - way * trim, max(2, int(abs(s1 - s0) / 2)))
    return street.line.offset(s, -way * hand * street.lane / 2)


def _rounded(pieces: Sequence[Array]) -> Array:
    """Join the pieces by curves that keep their directions, evenly spaced."""
    parts = [pieces[0]]
    for before, after in zip(pieces[:-1], pieces[1:], strict=True):
        reach = 0.55 * float(np.hypot(*(after[0] - before[-1])))
        out = before[-1] - before[-2]
        into = after[1] - after[0]
        p0, p3 = before[-1], after[0]
        p1 = p0 + out / np.hypot(*out) * reach
        p2 = p3 - into / np.hypot(*into) * reach
        t = np.linspace(0, 1, 24)[1:-1, None]
        curve = (1 - t) ** 3 * p0 + 3 * (1 - t) ** 2 * t * p1 + 3 * (1 - t) * t**2 * p2 + t**3 * p3
        parts += [curve, after]
    return resampled(np.concatenate(parts), STEP)


def resampled(points: Array, step: float) -> Array:
    """Return the polyline (N, 2) with points ``step`` metres apart."""
    steps = np.hypot(*np.diff(points, axis=0).T)
    keep = np.concatenate([[True], steps > 1e-9])
    points = points[keep]
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    even = np.arange(0.0, arc[-1], step)
    return np.stack([np.interp(even, arc, points[:, i]) for i in range(2)], axis=1)
