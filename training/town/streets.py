"""The street network: a warped, turned mesh of main streets with cross streets between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from training.town import kinds as k
from training.town.shapes import Array, Line

MOUTH = 6.0  # m from a junction's middle to its kerbs, as the marks' distances count on
Middle = Literal["none", "island", "painted", "tram", "tram_bed"]


@dataclass
class Street:
    """One street from end to end.

    Attributes:
        line: the centre line between the two directions of traffic.
        main: a through street; others end on main streets.
        lane: width of one lane, metres.
        parking: width of the strip for parked cars on (left, right), 0 where there is none.
        pavement: width of the pavement on (left, right), metres.
        verge: width of the grass between kerb and pavement on (left, right).
        joints: arc lengths at which other streets meet this one.
        ends: whether (start, end) lies on a main street.
        mouths: metres from each joint to the kerb of what it meets; none: MOUTH for all.
        lanes: lanes of traffic on (left, right).
        median: width of what separates the directions, 0 where nothing does.
        middle: what lies between the directions; "tram" are tracks in the inner lanes.
        fill: ground class of an island or a tram's bed between the directions.
        cycle: width of the cycle lane on (left, right), between traffic and parked cars.
        bus: whether the outermost lane on (left, right) is for buses.
        angled: angle of the parked cars to the street on (left, right), radians.
        surface, paved: ground classes of road and pavement.
        canopy: radius of the crowns of an avenue, 0 where it is none, metres.
        wooded: whether it leads through trees instead of houses.
    """

    line: Line
    main: bool
    lane: float
    parking: tuple[float, float]
    pavement: tuple[float, float]
    verge: tuple[float, float]
    joints: list[float] = field(default_factory=list)
    ends: tuple[bool, bool] = (False, False)
    mouths: list[float] = field(default_factory=list)
    lanes: tuple[int, int] = (1, 1)
    median: float = 0.0
    middle: Middle = "none"
    fill: int = k.GRASS
    cycle: tuple[float, float] = (0.0, 0.0)
    bus: tuple[bool, bool] = (False, False)
    angled: tuple[float, float] = (0.0, 0.0)
    surface: int = k.ASPHALT
    paved: int = k.PAVEMENT
    canopy: float = 0.0
    wooded: bool = False

    def carriage(self, side: int) -> float:
        """Distance from the centre line to the outer edge of the traffic lanes on ``side``."""
        return self.median / 2 + self.lanes[side] * self.lane

    def lane_middle(self, index: int = 0) -> float:
        """Distance from the centre line to the middle of a lane; 0 is the inner one."""
        return self.median / 2 + (index + 0.5) * self.lane

    def kerbside(self, side: int) -> float:
        """Distance from the centre line to where cars may park on ``side``."""
        return self.carriage(side) + self.cycle[side]

    def half(self, side: int) -> float:
        """Distance from the centre line to the kerb on ``side`` (0 left, 1 right)."""
        return self.kerbside(side) + self.parking[side]

    def clear(self, s: Array, gap: float) -> NDArray[np.bool_]:
        """Whether each arc length is more than ``gap`` metres from every junction.

        Where what the street meets there is wider than MOUTH, that much further.
        """
        if not self.joints:
            return np.ones(len(s), bool)
        away = np.abs(s[:, None] - np.array(self.joints))
        if self.mouths:
            away = away - (np.array(self.mouths) - MOUTH)
        return np.asarray(away.min(axis=1) > gap)

    def mouth(self, joint: float) -> float:
        """Return how far the kerb of what the street meets at ``joint`` is from there."""
        return self.mouths[self.joints.index(joint)] if self.mouths else MOUTH

    def outer(self, side: int) -> float:
        """Distance from the centre line to the outer edge of the pavement."""
        return self.half(side) + self.verge[side] + self.pavement[side]


class Warp:
    """Mesh coordinates (s, t) -> map: a rotation and a smooth bending, one of ``bends`` strong."""

    def __init__(
        self, rng: np.random.Generator, bends: tuple[float, ...] = (0.3, 1.0, 1.6)
    ) -> None:
        self.angle = rng.uniform(0, 2 * np.pi)
        bend = rng.choice(bends)
        wave = rng.uniform(150, 420, 4)
        direction = rng.uniform(0, 2 * np.pi, 4)
        self.k = np.stack([np.cos(direction), np.sin(direction)], 1) * (2 * np.pi / wave)[:, None]
        self.phase = rng.uniform(0, 2 * np.pi, 4)
        self.amplitude = rng.normal(0, 1, (4, 2)) * (wave / 60)[:, None] * bend

    def __call__(self, st: Array) -> Array:
        """Return the map coordinates (n, 2) of mesh coordinates (n, 2)."""
        xy = st + np.sin(st @ self.k.T + self.phase) @ self.amplitude
        c, s = np.cos(self.angle), np.sin(self.angle)
        out: Array = xy @ np.array([[c, s], [-s, c]])
        return out


def _profile(rng: np.random.Generator, main: bool) -> dict[str, Any]:
    """Draw lane, parking, verge and pavement widths of one street."""

    def pair(chance: float, low: float, high: float) -> tuple[float, float]:
        both = rng.random(2) < chance
        widths = rng.uniform(low, high, 2)
        return float(widths[0] * both[0]), float(widths[1] * both[1])

    parking = pair(0.5 if main else 0.4, 1.9, 2.3)
    verge = pair(0.35, 1.0, 2.4)
    wide = rng.uniform(1.4, 3.6, 2)
    lane = rng.uniform(2.9, 3.7) if main else rng.uniform(2.4, 3.2)
    return {
        "lane": float(lane),
        "parking": parking,
        "verge": verge,
        "pavement": (float(wide[0]), float(wide[1])),
    }


def _inside(points: Array, limit: float) -> Array | None:
    """Return the longest run of ``points`` whose coordinates stay within ``limit``."""
    ok = np.concatenate([[False], (np.abs(points) < limit).all(axis=1), [False]])
    edges = np.flatnonzero(ok[1:] != ok[:-1]).reshape(-1, 2)
    if len(edges) == 0:
        return None
    a, b = edges[np.argmax(edges[:, 1] - edges[:, 0])]
    return points[a:b] if b - a >= 6 else None


@dataclass(frozen=True)
class Mesh:
    """How a network is drawn in mesh coordinates (s, t), about metres.

    Attributes:
        warp: (n, 2) mesh coordinates -> map.
        profile: draws the widths of a street, given whether it is a main one.
        main: least and greatest distance between main streets, which run along t.
        cross: the same between the cross streets.
        jog: how far apart cross streets that do not meet leave a main street.
        stretch: metres for each unit of t at s.
        dead_ends: share of the cross streets that end half-way.
    """

    warp: Callable[[Array], Array]
    profile: Callable[[np.random.Generator, bool], dict[str, Any]] = _profile
    main: tuple[float, float] = (44.0, 92.0)
    cross: tuple[float, float] = (42.0, 105.0)
    jog: float = 20.0
    stretch: Callable[[float], float] = lambda s: 1.0
    dead_ends: float = 0.0


def _cross_positions(
    rng: np.random.Generator, previous: list[float], reach: float, mesh: Mesh, unit: float
) -> list[tuple[float, float]]:
    """Draw where the cross streets of one strip leave its two main streets."""
    out: list[tuple[float, float]] = []
    t = -reach + rng.uniform(0, 60) / unit
    while t < reach:
        start = t
        near = [p for p in previous if abs(p - t) < (mesh.jog - 2) / unit]
        if near:  # either a crossing of four arms or a clear jog
            step = mesh.jog / unit
            start = near[0] if rng.random() < 0.6 else near[0] + rng.choice([-1, 1]) * step
        out.append((float(start), float(start + rng.normal(0, 7) / unit)))
        t = start + rng.uniform(*mesh.cross) / unit
    return out


def network(rng: np.random.Generator, half_side: float, mesh: Mesh | None = None) -> list[Street]:
    """Draw the streets of a town whose square reaches ``half_side`` metres from its middle."""
    mesh = mesh or Mesh(Warp(rng))
    reach = half_side * 1.5
    mains: list[float] = []
    s = -reach + rng.uniform(0, 40)
    while s < reach:
        mains.append(float(s))
        s += rng.uniform(*mesh.main)
    streets: list[Street] = []
    for s in mains:
        t = np.arange(-reach, reach, 3.0 / mesh.stretch(s))
        _append(streets, rng, mesh, np.stack([np.full_like(t, s), t], 1), half_side, True)
    previous: list[float] = []
    for s0, s1 in zip(mains[:-1], mains[1:], strict=True):
        pairs = _cross_positions(rng, previous, reach, mesh, mesh.stretch((s0 + s1) / 2))
        for t0, t1 in pairs:
            w = np.linspace(0, 1, max(4, int((s1 - s0) / 3)))[:, None]
            if mesh.dead_ends and rng.random() < mesh.dead_ends and s1 - s0 > 50:
                w = w[: int(len(w) * rng.uniform(0.45, 0.65))]
            st = np.array([s0, t0]) * (1 - w) + np.array([s1, t1]) * w
            _append(streets, rng, mesh, st, half_side, False)
        previous = [t1 for _, t1 in pairs]
    _join(streets)
    return streets


def _append(
    streets: list[Street],
    rng: np.random.Generator,
    mesh: Mesh,
    coordinates: Array,
    half_side: float,
    main: bool,
) -> None:
    points = mesh.warp(coordinates)
    profile = mesh.profile(rng, main)
    run = _inside(points, half_side + 12)
    if run is None:
        return
    ends = (not main and run[0] is not None, not main)
    if not main:  # an end that was cut off by the border meets nothing
        ends = (bool((run[0] == points[0]).all()), bool((run[-1] == points[-1]).all()))
    streets.append(Street(Line(run), main, ends=ends, **profile))


def _join(streets: list[Street]) -> None:
    """Note on both streets where a cross street meets a main one."""
    mains = [s for s in streets if s.main]
    for street in streets:
        if street.main:
            continue
        for end, (met, s) in enumerate(zip(street.ends, (0.0, street.line.length), strict=True)):
            if not met:
                continue
            point = street.line.points[-1 if end else 0]
            found = False
            for main in mains:
                distance = np.hypot(*(main.line.points - point).T)
                i = int(np.argmin(distance))
                if distance[i] < 4:
                    main.joints.append(float(main.line.arc[i]))
                    found = True
                    break
            if found:
                street.joints.append(s)
    for street in streets:
        street.joints.sort()
