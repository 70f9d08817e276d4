"""Flat geometry of the town: polylines, strips along them, rectangles and a soup of polygons."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Picture = NDArray[Any]
"""What OpenCV paints on and returns: its stubs know no element type."""

BOTH, CAMERA, AERIAL = 0, 1, 2
"""Who sees an object: both views, the camera only, the aerial picture only."""


def one_view(rng: np.random.Generator, count: int, share: float) -> NDArray[np.int64]:
    """Draw who sees each of ``count`` objects; ``share`` of them are in one view only."""
    return rng.choice([BOTH, CAMERA, AERIAL], size=count, p=[1 - share, share / 2, share / 2])


class Line:
    """A polyline with arc length: points (N, 2), metres."""

    def __init__(self, points: Array) -> None:
        self.points = points
        steps = np.diff(points, axis=0)
        lengths = np.hypot(steps[:, 0], steps[:, 1])
        self.arc: Array = np.concatenate([[0.0], np.cumsum(lengths)])
        tangent = np.gradient(points, self.arc, axis=0)
        self.tangents: Array = tangent / np.hypot(tangent[:, 0], tangent[:, 1])[:, None]

    @property
    def length(self) -> float:
        """Arc length of the whole line, metres."""
        return float(self.arc[-1])

    def at(self, s: ArrayLike) -> tuple[Array, Array]:
        """Return points and unit tangents at the arc lengths ``s`` (n,), each (n, 2)."""
        s = np.atleast_1d(np.asarray(s, dtype=np.float64))
        i = np.clip(np.searchsorted(self.arc, s) - 1, 0, len(self.arc) - 2)
        w = ((s - self.arc[i]) / (self.arc[i + 1] - self.arc[i]))[:, None]
        p = self.points[i] * (1 - w) + self.points[i + 1] * w
        t = self.tangents[i] * (1 - w) + self.tangents[i + 1] * w
        return p, t / np.hypot(t[:, 0], t[:, 1])[:, None]

    def offset(self, s: ArrayLike, lateral: ArrayLike) -> Array:
        """Return the points ``lateral`` metres to the left of the line at ``s``, (n, 2)."""
        p, t = self.at(s)
        left = np.stack([-t[:, 1], t[:, 0]], axis=1)
        out: Array = p + left * np.broadcast_to(np.asarray(lateral, float), (len(p),))[:, None]
        return out

    def strip(self, s0: float, s1: float, l0: float, l1: float, step: float = 3.0) -> Array:
        """Return the outline of the band from laterals ``l0`` to ``l1``, ``s0`` to ``s1``."""
        s = np.linspace(s0, s1, max(2, int((s1 - s0) / step) + 2))
        p, t = self.at(s)
        left = np.stack([-t[:, 1], t[:, 0]], axis=1)
        return np.concatenate([p + left * l0, (p + left * l1)[::-1]])

    def quads(self, s: ArrayLike, length: ArrayLike, lateral: ArrayLike, width: ArrayLike) -> Array:
        """Return rectangles (n, 4, 2) centred at (s, lateral), ``length`` along the line."""
        p, t = self.at(s)
        n = len(p)
        left = np.stack([-t[:, 1], t[:, 0]], axis=1)
        c = p + left * np.broadcast_to(np.asarray(lateral, float), (n,))[:, None]
        a = t * np.broadcast_to(np.asarray(length, float) / 2, (n,))[:, None]
        b = left * np.broadcast_to(np.asarray(width, float) / 2, (n,))[:, None]
        return np.stack([c - a - b, c + a - b, c + a + b, c - a + b], axis=1)


def rectangle(x: float, y: float, yaw: float, length: float, width: float) -> Array:
    """Return the corners (4, 2), counter-clockwise, of a rectangle turned by ``yaw``."""
    c, s = np.cos(yaw) / 2, np.sin(yaw) / 2
    a, b = np.array([c, s]) * length, np.array([-s, c]) * width
    middle = np.array([x, y])
    return np.stack([middle - a - b, middle + a - b, middle + a + b, middle - a + b])


def rectangles(table: Array) -> Array:
    """Return the corners (n, 4, 2) of rows (x, y, yaw, length, width)."""
    c, s = np.cos(table[:, 2]) / 2, np.sin(table[:, 2]) / 2
    a = np.stack([c, s], axis=1) * table[:, 3:4]
    b = np.stack([-s, c], axis=1) * table[:, 4:5]
    m = table[:, :2]
    return np.stack([m - a - b, m + a - b, m + a + b, m - a + b], axis=1)


@dataclass
class Soup:
    """Polygons on the ground in painting order.

    Attributes:
        shapes: outlines (n, 2), metres.
        kinds: ground class of each (see ``kinds``).
        layers: painting order.
        seen: BOTH, CAMERA or AERIAL.
    """

    shapes: list[Array] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    layers: list[int] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)

    def add(self, shape: Array, kind: int, layer: int, seen: int = BOTH) -> None:
        """Add one outline (n, 2)."""
        self.shapes.append(shape)
        self.kinds.append(kind)
        self.layers.append(layer)
        self.seen.append(seen)

    def add_all(self, shapes: Array, kind: int, layer: int, seen: ArrayLike = BOTH) -> None:
        """Add (n, k, 2) outlines at once; ``seen`` is one value or one for each."""
        self.shapes.extend(shapes)
        self.kinds.extend([kind] * len(shapes))
        self.layers.extend([layer] * len(shapes))
        self.seen.extend(np.broadcast_to(np.asarray(seen), (len(shapes),)).tolist())

    def sort(self) -> None:
        """Bring the polygons into painting order."""
        order = np.argsort(np.asarray(self.layers), kind="stable")
        self.shapes = [self.shapes[i] for i in order]
        self.kinds = [self.kinds[i] for i in order]
        self.seen = [self.seen[i] for i in order]
        self.layers = [self.layers[i] for i in order]
