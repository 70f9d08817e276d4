"""Solvability: an oracle that sees the frame's true semantics and knows the true map.

Each pixel's true point gives an observation (where, relative to the camera; what). The oracle
knows the camera's heading and scores every shift of the prior square by how well the map explains
what is seen: the sum over seen cells of log(1 + (1 - e) / (e f)) where the class agrees, f being
the class's frequency, tempered because neighbouring cells are not independent. Cars, light and
texture take no part.
"""

# mypy: allow-untyped-defs

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from training.town import kinds as k
from training.town.canvas import circles
from training.town.poses import CameraPose
from training.town.shading import GROUND
from training.town.shapes import AERIAL, CAMERA, Array, Picture, rectangles
from training.town.town import Town
from training.town.world import World

CELL = 0.25
SEEN_CELL = 0.5
RANGE = 45.0
CONFUSION = 0.3
TEMPER = 1 / 9
HALF_PRIOR = 18.0
BUILDING, TREE, RAIL, UNKNOWN = range(k.GROUND_CLASSES, k.GROUND_CLASSES + 4)
CLASSES = k.GROUND_CLASSES + 4


@dataclass(frozen=True)
class OracleAnswer:
    """The oracle's answer for one frame.

    Attributes:
        error: distance of its best shift from the truth, metres.
        second: mass of the strongest mode at least 3 m away from the best, relative to all mass.
    """

    error: float
    second: float


def _fill(mask: Picture, shapes: list[Array], half: float, value: int) -> None:
    for shape in shapes:
        cv2.fillPoly(
            mask, [np.round((shape + half) / CELL * 16 - 8).astype(np.int32)], value, shift=4
        )


def semantic_map(world: World, hidden: int) -> Picture:
    """Return classes (n, n), rows along +y, CELL metres each, less what only ``hidden`` sees."""
    half, soup = world.half_side, world.soup
    mask = np.zeros((int(2 * half / CELL),) * 2, np.uint8)
    for shape, kind, seen in zip(soup.shapes, soup.kinds, soup.seen, strict=True):
        if seen != hidden:
            _fill(mask, [shape], half, kind)
    f = world.furniture
    rails = np.array(world.built.rails).reshape(-1, 7)[np.array(world.built.rail_seen) != hidden]
    blocks = np.array(world.built.blocks).reshape(-1, 8)
    trunks = f.trees[f.tree_seen != hidden]
    _fill(mask, list(rectangles(rails[:, :5])), half, RAIL)
    _fill(mask, list(circles(trunks[:, :2], np.full(len(trunks), 0.6))), half, TREE)
    _fill(mask, list(rectangles(blocks[:, :5])), half, BUILDING)
    return mask


@njit(cache=True)
def _scores(points, classes, weights, semantic, half, centre, shifts):
    n = len(shifts)
    out = np.zeros((n, n))
    size = semantic.shape[0]
    for i in range(n):
        for j in range(n):
            total = 0.0
            for m in range(len(points)):
                u = int((points[m, 0] + centre[0] + shifts[j] + half) / CELL)
                v = int((points[m, 1] + centre[1] + shifts[i] + half) / CELL)
                if 0 <= u < size and 0 <= v < size and semantic[v, u] == classes[m]:
                    total += weights[m]
            out[i, j] = total
    return out


def observations(
    truth: NDArray[np.float32], pose: CameraPose, semantic: Picture, half: float
) -> tuple[Array, Picture]:
    """Return what the frame truly shows.

    Points (n, 2) relative to the camera in map axes, and classes (n,).
    """
    xy, kind = truth[..., :2].reshape(-1, 2).astype(np.float64), truth[..., 3].reshape(-1)
    relative = xy - (pose.x, pose.y)
    distance = np.hypot(relative[:, 0], relative[:, 1])
    inward = (
        xy + relative / np.maximum(distance, 0.1)[:, None] * 0.3
    )  # a wall's hit lies on its edge
    ground = kind == GROUND
    flat = np.clip(((xy + half) / CELL).astype(int), 0, len(semantic) - 1)
    classes = np.where(ground, semantic[flat[:, 1], flat[:, 0]], UNKNOWN)
    classes[kind == k.WALL] = BUILDING
    classes[(kind == k.CROWN) | (kind == k.TRUNK)] = TREE
    classes[(kind == k.HEDGE) | (kind == k.FENCE)] = RAIL
    points = np.where(ground[:, None], xy, inward)
    points[kind == k.TRUNK] = xy[kind == k.TRUNK]
    keep = (distance < RANGE) & (classes != UNKNOWN)
    cells = np.floor((points[keep] - (pose.x, pose.y)) / SEEN_CELL).astype(np.int64)
    key = (cells[:, 0] * 100003 + cells[:, 1]) * CLASSES + classes[keep]
    _, first = np.unique(key, return_index=True)
    return points[keep][first] - (pose.x, pose.y), classes[keep][first].astype(np.uint8)


class Oracle:
    """The oracle of one town."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.known = semantic_map(town.world, CAMERA)
        self.shown = semantic_map(town.world, AERIAL)
        share = np.bincount(self.known.ravel(), minlength=CLASSES) / self.known.size
        frequency = np.maximum(share, 1e-4)
        self.weights = TEMPER * np.log(
            (1 - CONFUSION) / (CONFUSION * np.minimum(frequency, 0.9)) + 1
        )

    def observe(self, pose: CameraPose, truth: NDArray[np.float32]) -> tuple[Array, Picture]:
        """Return what a frame shows: see ``observations``."""
        return observations(truth, pose, self.shown, self.town.world.half_side)

    def search(
        self, points: Array, classes: Picture, prior: tuple[float, float]
    ) -> tuple[Array, float]:
        """Return the best place (2,) within the prior's square, and the second mode's mass."""
        half = self.town.world.half_side
        shifts = np.arange(-HALF_PRIOR, HALF_PRIOR + 0.01, 0.5)
        weights = self.weights[classes]
        scores = _scores(points, classes, weights, self.known, half, np.array(prior), shifts)
        mass = np.exp(scores - scores.max())
        mass /= mass.sum()
        y, x = np.meshgrid(prior[1] + shifts, prior[0] + shifts, indexing="ij")
        top = np.unravel_index(int(np.argmax(scores)), scores.shape)
        best = np.array([x[top], y[top]])
        rest = np.where(np.hypot(x - best[0], y - best[1]) >= 3.0, mass, 0)
        other = np.unravel_index(int(np.argmax(rest)), rest.shape)
        near = np.hypot(x - x[other], y - y[other]) < 1.5
        return best, float(rest[near].sum())

    def locate(
        self, pose: CameraPose, prior: tuple[float, float], truth: NDArray[np.float32]
    ) -> OracleAnswer:
        """Search the prior's square, centred on ``prior`` (x, y), for the frame of ``truth``."""
        best, second = self.search(*self.observe(pose, truth), prior)
        return OracleAnswer(float(np.hypot(best[0] - pose.x, best[1] - pose.y)), second)
