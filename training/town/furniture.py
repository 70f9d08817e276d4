"""Trees, cars and street furniture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.town.avenues import avenue, masts, middle_trees
from training.town.buildings import Built
from training.town.roundabouts import Roundabout
from training.town.shapes import AERIAL, CAMERA, Array, one_view
from training.town.streets import Street


@dataclass
class Furniture:
    """Things on the ground that are no buildings.

    Attributes:
        trees: rows (x, y, crown radius, height, height of the crown's base, trunk radius).
        cars: rows (x, y, yaw, length, width, height); none of them is in both views.
        posts: rows (x, y, radius, height) of lamps, signs, bollards.
        cabinets: rows (x, y, yaw, length, width, height).
        *_seen: who sees each.
    """

    trees: Array
    tree_seen: NDArray[np.int64]
    cars: Array
    car_seen: NDArray[np.int64]
    posts: Array
    post_seen: NDArray[np.int64]
    cabinets: Array
    cabinet_seen: NDArray[np.int64]


def _tree_rows(rng: np.random.Generator, xy: Array, small: float) -> Array:
    n = len(xy)
    radius = rng.uniform(1.1, 3.9, n) * small
    height = radius * rng.uniform(1.8, 2.9, n) + rng.uniform(1.2, 3, n)
    base = np.maximum(rng.uniform(1.6, 3.2, n), height - radius * 2.4)
    return np.column_stack([xy, radius, height, base, 0.06 + radius * rng.uniform(0.03, 0.07, n)])


def _street_trees(rng: np.random.Generator, street: Street) -> list[Array]:
    if street.canopy > 0:
        return avenue(rng, street)
    rows = []
    for side, sign in ((0, 1.0), (1, -1.0)):
        verge = street.verge[side] > 0
        if rng.random() > (0.75 if verge else 0.4):
            continue
        s = 5 + np.cumsum(rng.uniform(6, 15) * rng.uniform(0.6, 1.6, 40))
        s = s[(s < street.line.length - 4) & (rng.random(40) < 0.85)]
        s = s[street.clear(s, 9)]
        into = street.verge[side] / 2 if verge else 0.7
        lateral = sign * (street.half(side) + into + rng.normal(0, 0.12, len(s)))
        if len(s):
            rows.append(_tree_rows(rng, street.line.offset(s, lateral), rng.uniform(0.6, 1.0)))
    return rows


def _garden_trees(rng: np.random.Generator, built: Built) -> list[Array]:
    if not built.greens:
        return []
    greens = np.array(built.greens)
    greens = greens[rng.random(len(greens)) < 0.75]
    xy = greens[:, :2] + rng.normal(0, 1, (len(greens), 2)) * greens[:, 2:3]
    return [_tree_rows(rng, xy, 0.9)]


def _parked(
    rng: np.random.Generator, streets: list[Street], built: Built, hand: float
) -> tuple[Array, NDArray[np.int64]]:
    """Draw for every parking place whether nobody, the camera or the aerial picture sees a car."""
    rows, seen = [], []
    fill = rng.uniform(0.3, 0.85)
    for street in streets:
        for side, sign in ((0, 1.0), (1, -1.0)):
            strip, angle = street.parking[side] > 0, street.angled[side]
            room = street.lanes[side] == 1 and street.cycle[side] == 0
            chance = fill if strip else fill * 0.12 * room
            apart = (2.5 / np.sin(angle), 3.0 / np.sin(angle)) if angle else (5.6, 8.0)
            s = np.cumsum(rng.uniform(*apart, int(street.line.length / (apart[0] - 0.1))))
            s = s[(s < street.line.length - 6) & (rng.random(len(s)) < chance)]
            s = s[street.clear(s, 14)]
            into = street.parking[side] / 2 if angle else 1.05
            lateral = sign * (street.half(side) - into + rng.normal(0, 0.12, len(s)))
            p, t = street.line.at(s) if len(s) else (np.zeros((0, 2)), np.zeros((0, 2)))
            left = np.stack([-t[:, 1], t[:, 0]], 1)
            flip = np.where(rng.random(len(s)) < 0.5, np.pi, 0)
            yaw = np.arctan2(t[:, 1], t[:, 0]) + flip + rng.normal(0, 0.02, len(s)) + sign * angle
            rows.append(np.column_stack([p + left * lateral[:, None], yaw]))
        s = np.cumsum(rng.exponential(60, 8)) + 5  # cars on the move, seen from above only
        s = s[s < street.line.length - 5]
        if len(s):
            way = rng.choice([-1.0, 1.0], len(s))
            p = street.line.offset(s, _own_lane(rng, street, -way * hand))
            _, t = street.line.at(s)
            rows.append(np.column_stack([p, np.arctan2(t[:, 1], t[:, 0]) + (way < 0) * np.pi]))
            seen.append((sum(map(len, rows[:-1])), len(s)))
    slots = np.array(built.slots).reshape(-1, 3)
    slots = slots[rng.random(len(slots)) < fill]
    slots = slots + rng.normal(0, 1, slots.shape) * [0.15, 0.15, 0.02]
    rows.append(slots)
    table = np.concatenate(rows)
    who = rng.choice([CAMERA, AERIAL], len(table))
    for start, n in seen:
        who[start : start + n] = AERIAL
    return table, who


def _own_lane(rng: np.random.Generator, street: Street, sign: Array) -> Array:
    """Return the lateral (n,) of a lane of traffic on the side that ``sign`` tells."""
    if street.lanes == (1, 1):
        return sign * street.lane_middle()
    lanes = np.where(sign > 0, *street.lanes)
    return sign * (street.median / 2 + (rng.integers(0, lanes) + 0.5) * street.lane)


def _posts(rng: np.random.Generator, street: Street) -> list[Array]:
    rows = []
    for side, sign in ((0, 1.0), (1, -1.0)):
        s = rng.uniform(0, 25) + np.cumsum(rng.uniform(22, 38, 20))
        s = s[s < street.line.length]
        lateral = sign * (street.half(side) + 0.45)
        rows.append(
            np.column_stack(
                [
                    street.line.offset(s, lateral) if len(s) else np.zeros((0, 2)),
                    np.full(len(s), 0.09),
                    rng.uniform(5.5, 8.5, len(s)),
                ]
            )
        )
        s = rng.uniform(0, street.line.length, int(street.line.length / 18))
        if len(s):
            rows.append(
                np.column_stack(
                    [
                        street.line.offset(s, lateral),
                        np.full(len(s), 0.05),
                        rng.uniform(2.2, 3.2, len(s)),
                    ]
                )
            )
        s = np.concatenate([j + rng.uniform(-14, 14, 6) for j in street.joints] or [np.zeros(0)])
        s = s[(s > 0) & (s < street.line.length)]
        s = s[street.clear(s, 7)]
        if len(s):
            rows.append(
                np.column_stack(
                    [street.line.offset(s, lateral), np.full(len(s), 0.07), np.full(len(s), 0.95)]
                )
            )
    return rows


def _cabinets(rng: np.random.Generator, street: Street) -> list[Array]:
    rows = []
    for side, sign in ((0, 1.0), (1, -1.0)):
        s = rng.uniform(0, street.line.length, int(street.line.length / 28))
        if len(s) == 0:
            continue
        _, t = street.line.at(s)
        xy = street.line.offset(s, sign * (street.outer(side) - 0.4))
        size = rng.uniform([0.5, 0.4, 0.8], [1.8, 0.7, 1.6], (len(s), 3))
        shelter = rng.random(len(s)) < 0.15
        size[shelter] = [3.6, 1.4, 2.4]
        rows.append(np.column_stack([xy, np.arctan2(t[:, 1], t[:, 0]), size]))
    return rows


def _apart(trees: Array, built: Built) -> NDArray[np.bool_]:
    """Whether each trunk keeps clear of buildings and of the roads' surface."""
    ok = np.ones(len(trees), bool)
    for x, y, yaw, length, width, *_ in built.blocks:
        c, s = np.cos(yaw), np.sin(yaw)
        d = trees[:, :2] - (x, y)
        u, v = np.abs(d @ np.array([c, s])), np.abs(d @ np.array([-s, c]))
        ok &= (u > length / 2 + 0.9) | (v > width / 2 + 0.9)
    if built.roads is not None:
        ok &= ~built.roads.at(trees[:, :2])
    return ok


def furnish(
    rng: np.random.Generator,
    streets: list[Street],
    built: Built,
    share: float,
    hand: float,
    rings: Sequence[Roundabout] = (),
) -> Furniture:
    """Draw trees, cars and street furniture. ``share`` of the trees is in one view only."""
    trees = np.concatenate(
        [r for st in streets for r in _street_trees(rng, st)]
        + _garden_trees(rng, built)
        + [np.zeros((0, 6))]
    )
    trees = np.concatenate([trees[_apart(trees, built)], *middle_trees(rng, streets, rings)])
    parked, car_seen = _parked(rng, streets, built, hand)
    size = rng.uniform([3.7, 1.65, 1.4], [4.9, 1.9, 1.75], (len(parked), 3))
    van = rng.random(len(parked)) < 0.1
    size[van] = rng.uniform([4.9, 1.9, 1.9], [6.2, 2.1, 2.7], (int(van.sum()), 3))
    posts = np.concatenate([r for st in streets for r in _posts(rng, st)])
    cabinets = np.concatenate(
        [r for st in streets for r in _cabinets(rng, st)] + [np.zeros((0, 6))]
    )
    if built.roads is not None:
        posts = np.concatenate([posts[~built.roads.at(posts[:, :2])], *masts(rng, streets)])
        cabinets = cabinets[~built.roads.at(cabinets[:, :2])]
    return Furniture(
        trees,
        one_view(rng, len(trees), share),
        np.column_stack([parked, size]),
        car_seen,
        posts,
        one_view(rng, len(posts), 0.3),
        cabinets,
        one_view(rng, len(cabinets), share),
    )
