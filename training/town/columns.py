"""Casting columns: which walls, boxes and trees each azimuth meets, nearest first."""

# mypy: allow-untyped-defs, allow-incomplete-defs
# Compiled by numba, which takes its types from the arguments.
from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from training.town.kinds import CROWN, ROOF, TRUNK, WALL

DEPTH = 64
"""Most surfaces kept for one column."""
REACH = 120.0
"""How far surfaces are drawn, metres."""
PROFILE = 40
"""Points of each column's ground profile."""


@njit(cache=True)
def wrap(angle: float) -> float:
    """Bring an angle into [-pi, pi)."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


@njit(cache=True)
def height_at(height, half, step, x, y):
    """Ground height, bilinear."""
    u = (x + half + step) / step
    v = (y + half + step) / step
    n = height.shape[0] - 2
    j = min(max(int(u), 0), n)
    i = min(max(int(v), 0), n)
    a = min(max(u - j, 0.0), 1.0)
    b = min(max(v - i, 0.0), 1.0)
    low = height[i, j] * (1 - a) + height[i, j + 1] * a
    high = height[i + 1, j] * (1 - a) + height[i + 1, j + 1] * a
    return low * (1 - b) + high * b


@njit(cache=True)
def _push(count, hits, kinds, j, d0, d1, z0, z1, u, lit, kind, style):
    """Insert a surface into column j, keeping the nearest first."""
    n = count[j]
    if n == DEPTH:
        if d0 >= hits[j, n - 1, 0]:
            return
        n -= 1
    k = n
    while k > 0 and hits[j, k - 1, 0] > d0:
        for m in range(6):
            hits[j, k, m] = hits[j, k - 1, m]
        kinds[j, k, 0] = kinds[j, k - 1, 0]
        kinds[j, k, 1] = kinds[j, k - 1, 1]
        k -= 1
    hits[j, k, 0] = d0
    hits[j, k, 1] = d1
    hits[j, k, 2] = z0
    hits[j, k, 3] = z1
    hits[j, k, 4] = u
    hits[j, k, 5] = lit
    kinds[j, k, 0] = kind
    kinds[j, k, 1] = style
    count[j] = n + 1


@njit(cache=True)
def _interval(az0, step, a, b):
    """Column numbers from azimuth a to azimuth b (the short way round)."""
    qa = (az0 - a) / step - 0.5
    qb = qa - wrap(b - a) / step
    return math.ceil(min(qa, qb)), math.floor(max(qa, qb))


@njit(cache=True)
def cast_walls(walls, kind, cx, cy, az0, full, cosine, sine, sun, count, hits, kinds):
    """Put the walls that face the camera into the columns."""
    step = 2 * math.pi / full
    columns = count.shape[0]
    sx, sy = math.cos(sun), math.sin(sun)
    for i in range(walls.shape[0]):
        ax, ay = walls[i, 0] - cx, walls[i, 1] - cy
        bx, by = walls[i, 2] - cx, walls[i, 3] - cy
        if min(ax * ax + ay * ay, bx * bx + by * by) > REACH * REACH:
            continue
        ex, ey = bx - ax, by - ay
        facing = ax * ey - ay * ex
        if kind[i, 0] == WALL and facing > 0:
            continue
        length = math.hypot(ex, ey)
        lit = (ey * sx - ex * sy) / length
        if kind[i, 0] == ROOF:
            lit = lit if facing < 0 else -lit
        k0, k1 = _interval(az0, step, math.atan2(ay, ax), math.atan2(by, bx))
        for k in range(k0, k1 + 1):
            j = k % full
            if j >= columns:
                continue
            c, s = cosine[j], sine[j]
            across = c * ey - s * ex
            if abs(across) < 1e-9:
                continue
            d = facing / across
            if d < 0.2 or d > REACH:
                continue
            w = (s * ax - c * ay) / across
            top = walls[i, 5] + (walls[i, 6] - walls[i, 5]) * (1 - abs(2 * w - 1))
            if kind[i, 0] == ROOF:
                top = walls[i, 6]
            _push(
                count,
                hits,
                kinds,
                j,
                d,
                d,
                walls[i, 4],
                top,
                w * length,
                lit,
                kind[i, 0],
                kind[i, 1],
            )


@njit(cache=True)
def cast_boxes(boxes, kind, cx, cy, az0, full, cosine, sine, sun, count, hits, kinds):
    """Put oriented boxes into the columns, with where each ray enters and leaves."""
    step = 2 * math.pi / full
    columns = count.shape[0]
    for i in range(boxes.shape[0]):
        px, py = boxes[i, 0] - cx, boxes[i, 1] - cy
        far = px * px + py * py
        if far > 90.0 * 90.0:
            continue
        c0, s0, hx, hy = boxes[i, 2], boxes[i, 3], boxes[i, 4], boxes[i, 5]
        ox, oy = -(px * c0 + py * s0), -(-px * s0 + py * c0)  # the camera in the box's frame
        if abs(ox) < hx + 0.2 and abs(oy) < hy + 0.2:
            continue
        middle = math.atan2(py, px)
        low, high = 0.0, 0.0
        for m in range(4):
            lx = hx if m & 1 else -hx
            ly = hy if m & 2 else -hy
            a = wrap(math.atan2(py + lx * s0 + ly * c0, px + lx * c0 - ly * s0) - middle)
            low, high = min(low, a), max(high, a)
        k0 = math.ceil((az0 - middle - high) / step - 0.5)
        k1 = math.floor((az0 - middle - low) / step - 0.5)
        if k1 < k0 and high - low > 0.35 * step:  # thinner than a column: keep it in one
            k1 = k0
        for k in range(k0, k1 + 1):
            j = k % full
            if j >= columns:
                continue
            c = cosine[j] * c0 + sine[j] * s0
            s = -cosine[j] * s0 + sine[j] * c0
            c = c if abs(c) > 1e-9 else 1e-9
            s = s if abs(s) > 1e-9 else 1e-9
            tx0, tx1 = (-hx - ox) / c, (hx - ox) / c
            if tx0 > tx1:
                tx0, tx1 = tx1, tx0
            ty0, ty1 = (-hy - oy) / s, (hy - oy) / s
            if ty0 > ty1:
                ty0, ty1 = ty1, ty0
            near, away = max(tx0, ty0), min(tx1, ty1)
            if near > away:
                if k1 > k0:
                    continue
                near = away = math.sqrt(far)
            if near < 0.3:
                continue
            side = tx0 > ty0  # enters through an end
            if side:
                nx, ny, u = (-c0, -s0, oy + s * near) if c > 0 else (c0, s0, oy + s * near)
            else:
                nx, ny, u = (s0, -c0, ox + c * near) if s > 0 else (-s0, c0, ox + c * near)
            lit = nx * math.cos(sun) + ny * math.sin(sun)
            if not side:  # tells long sides from ends
                u += 100.0
            _push(
                count,
                hits,
                kinds,
                j,
                near,
                away,
                boxes[i, 6],
                boxes[i, 7],
                u,
                lit,
                kind[i, 0],
                kind[i, 1],
            )


@njit(cache=True)
def cast_trees(trees, style, cx, cy, az0, full, cosine, sine, count, hits, kinds):
    """Put crowns (ellipsoids) and trunks into the columns."""
    step = 2 * math.pi / full
    columns = count.shape[0]
    for i in range(trees.shape[0]):
        px, py, r = trees[i, 0] - cx, trees[i, 1] - cy, trees[i, 2]
        d = math.hypot(px, py)
        if d > REACH or d < r + 0.3:
            if d > 1.0 and d <= r + 0.3:
                r = max(0.2, d - 0.4)
            else:
                continue
        middle = math.atan2(py, px)
        reach = math.asin(min(0.99, r / d))
        k0 = math.ceil((az0 - middle - reach) / step - 0.5)
        k1 = math.floor((az0 - middle + reach) / step - 0.5)
        zc, hz = (trees[i, 5] + trees[i, 4]) / 2, (trees[i, 5] - trees[i, 4]) / 2
        for k in range(k0, k1 + 1):
            j = k % full
            if j >= columns:
                continue
            off = (px * sine[j] - py * cosine[j]) / r
            part = 1 - off * off
            if part <= 0:
                continue
            h = hz * math.sqrt(part) * 1.05
            _push(count, hits, kinds, j, d, d, zc - h, zc + h, off, h, CROWN, i)
        thick = max(trees[i, 6] / d, 0.35 * step)
        k0 = math.ceil((az0 - middle - thick) / step - 0.5)
        k1 = math.floor((az0 - middle + thick) / step - 0.5)
        for k in range(k0, k1 + 1):
            j = k % full
            if j < columns:
                _push(
                    count,
                    hits,
                    kinds,
                    j,
                    d + 0.05,
                    d + 0.05,
                    trees[i, 3] - 0.3,
                    trees[i, 4] + 0.4 * hz,
                    0.0,
                    0.3,
                    TRUNK,
                    style[i],
                )


@njit(cache=True)
def ground_profile(height, half, step, cx, cy, cz, cosine, sine, tangents, distances):
    """Fill tangents (columns, PROFILE): the elevation's tangent at which each distance is seen.

    A running maximum, so that what lies behind a crest is hidden by it.
    """
    for j in range(tangents.shape[0]):
        top = -1e9
        for k in range(distances.shape[0]):
            d = distances[k]
            z = height_at(height, half, step, cx + d * cosine[j], cy + d * sine[j])
            top = max(top + 1e-9, (z - cz) / d)
            tangents[j, k] = top


@njit(cache=True)
def ground_distance(tangents, distances, j, t):
    """Distance at which column j meets the ground at tangent t; infinite above the horizon.

    Between the profile's points the tangent is linear in 1 / distance: exact on a plane.
    """
    n = distances.shape[0]
    if t >= tangents[j, n - 1]:
        return 1e9
    if t <= tangents[j, 0]:
        return max(0.3, distances[0] * tangents[j, 0] / t)
    low, high = 0, n - 1
    while high - low > 1:
        middle = (low + high) >> 1
        if tangents[j, middle] <= t:
            low = middle
        else:
            high = middle
    w = (t - tangents[j, low]) / (tangents[j, high] - tangents[j, low])
    return 1.0 / ((1 - w) / distances[low] + w / distances[high])


def profile_distances() -> NDArray[np.float64]:
    """Distances of the ground profile, 2 ... 200 m in equal ratios."""
    return np.geomspace(2.0, 200.0, PROFILE)
