"""Vehicles on the move: each frame has its own, and the aerial picture none of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.town import kinds as k
from training.town.poses import CameraPose
from training.town.scenery import Scenery
from training.town.shapes import Array


def traffic(rng: np.random.Generator, pose: CameraPose, hand: float) -> Array:
    """Draw rows (x, y, yaw, length, width, height, style share) of vehicles around."""
    rows = []
    c, s = np.cos(pose.yaw), np.sin(pose.yaw)
    for way, lateral, chance in ((0.0, 0.0, 0.3), (0.0, 0.0, 0.2), (np.pi, 3.2 * hand, 0.35)):
        present = rng.random() < chance
        ahead = rng.uniform(9, 32) * (1 if way or rng.random() < 0.6 else -1)
        side = lateral + rng.normal(0, 0.3)
        size = rng.uniform([3.8, 1.65, 1.4], [4.8, 1.9, 1.75])
        if rng.random() < 0.12:
            size = rng.uniform([5.0, 1.9, 2.0], [8.0, 2.3, 3.0])
        yaw = pose.yaw + way + rng.normal(0, 0.03)
        share = rng.random()
        if present:
            rows.append(
                [pose.x + ahead * c - side * s, pose.y + ahead * s + side * c, yaw, *size, share]
            )
    return np.array(rows).reshape(-1, 7)


def traffic_boxes(
    rows: Array, scenery: Scenery, foot: float
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return bodies and cabins as the columns' boxes, in the colours of parked cars."""
    painted = scenery.box_kind[scenery.box_kind[:, 0] == k.CAR, 1]
    if len(painted) == 0:
        return np.zeros((0, 8), np.float32), np.zeros((0, 2), np.int32)
    style = painted[(rows[:, 6] * len(painted)).astype(int)]
    van = rows[:, 5] > 1.9
    waist = np.where(van, 0.9, rows[:, 5] * 0.55)
    c, s = np.cos(rows[:, 2]), np.sin(rows[:, 2])
    n = len(rows)
    body = np.column_stack(
        [rows[:, :2], c, s, rows[:, 3:5] / 2, np.full(n, foot + 0.16), foot + waist]
    )
    back = np.where(van, 0.1, 0.3)[:, None] * np.stack([c, s], axis=1)
    long = rows[:, 3] * np.where(van, 0.95, 0.55) / 2
    cabin = np.column_stack(
        [rows[:, :2] - back, c, s, long, rows[:, 4] * 0.43, foot + waist, foot + rows[:, 5]]
    )
    kinds = np.concatenate(
        [
            np.column_stack([np.full(n, k.CAR), style]),
            np.column_stack([np.full(n, k.GLASSHOUSE), style]),
        ]
    )
    return np.concatenate([body, cabin]).astype(np.float32), kinds.astype(np.int32)
