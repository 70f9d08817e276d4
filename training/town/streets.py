"""The street network: a warped, turned mesh of main streets with cross streets between them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from training.town.shapes import Array, Line


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
    """

    line: Line
    main: bool
    lane: float
    parking: tuple[float, float]
    pavement: tuple[float, float]
    verge: tuple[float, float]
    joints: list[float] = field(default_factory=list)
    ends: tuple[bool, bool] = (False, False)

    def half(self, side: int) -> float:
        """Distance from the centre line to the kerb on ``side`` (0 left, 1 right)."""
        return self.lane + self.parking[side]

    def outer(self, side: int) -> float:
        """Distance from the centre line to the outer edge of the pavement."""
        return self.half(side) + self.verge[side] + self.pavement[side]


class _Warp:
    """Mesh coordinates (s, t) -> map: a rotation and a smooth bending."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.angle = rng.uniform(0, 2 * np.pi)
        bend = rng.choice([0.3, 1.0, 1.6])
        wave = rng.uniform(150, 420, 4)
        direction = rng.uniform(0, 2 * np.pi, 4)
        self.k = np.stack([np.cos(direction), np.sin(direction)], 1) * (2 * np.pi / wave)[:, None]
        self.phase = rng.uniform(0, 2 * np.pi, 4)
        self.amplitude = rng.normal(0, 1, (4, 2)) * (wave / 60)[:, None] * bend

    def __call__(self, st: Array) -> Array:
        xy = st + np.sin(st @ self.k.T + self.phase) @ self.amplitude
        c, s = np.cos(self.angle), np.sin(self.angle)
        out: Array = xy @ np.array([[c, s], [-s, c]])
        return out


def _profile(rng: np.random.Generator, main: bool) -> dict[str, object]:
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


def _cross_positions(
    rng: np.random.Generator, previous: list[float], reach: float
) -> list[tuple[float, float]]:
    """Draw where the cross streets of one strip leave its two main streets."""
    out: list[tuple[float, float]] = []
    t = -reach + rng.uniform(0, 60)
    while t < reach:
        start = t
        near = [p for p in previous if abs(p - t) < 18]
        if near:  # either a crossing of four arms or a clear jog
            start = near[0] if rng.random() < 0.6 else near[0] + rng.choice([-1, 1]) * 20.0
        out.append((float(start), float(start + rng.normal(0, 7))))
        t = start + rng.uniform(42, 105)
    return out


def network(rng: np.random.Generator, half_side: float) -> list[Street]:
    """Draw the streets of a town whose square reaches ``half_side`` metres from its middle."""
    warp = _Warp(rng)
    reach = half_side * 1.5
    mains: list[float] = []
    s = -reach + rng.uniform(0, 40)
    while s < reach:
        mains.append(float(s))
        s += rng.uniform(44, 92)
    streets: list[Street] = []
    t = np.arange(-reach, reach, 3.0)
    for s in mains:
        _append(streets, rng, warp(np.stack([np.full_like(t, s), t], 1)), half_side, True)
    previous: list[float] = []
    for s0, s1 in zip(mains[:-1], mains[1:], strict=True):
        pairs = _cross_positions(rng, previous, reach)
        for t0, t1 in pairs:
            w = np.linspace(0, 1, max(4, int((s1 - s0) / 3)))[:, None]
            st = np.array([s0, t0]) * (1 - w) + np.array([s1, t1]) * w
            _append(streets, rng, warp(st), half_side, False)
        previous = [t1 for _, t1 in pairs]
    _join(streets)
    return streets


def _append(
    streets: list[Street], rng: np.random.Generator, points: Array, half_side: float, main: bool
) -> None:
    profile = _profile(rng, main)
    run = _inside(points, half_side + 12)
    if run is None:
        return
    ends = (not main and run[0] is not None, not main)
    if not main:  # an end that was cut off by the border meets nothing
        ends = (bool((run[0] == points[0]).all()), bool((run[-1] == points[-1]).all()))
    streets.append(Street(Line(run), main, ends=ends, **profile))  # type: ignore[arg-type]


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
