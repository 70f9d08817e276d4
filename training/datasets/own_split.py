"""A split of your own data by location: places near each other stay on one side of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

SHARES = (("train", 0.70), ("validation", 0.15), ("test", 0.15))


@dataclass(frozen=True)
class Blocks:
    """Squares of ``side`` metres dealt out by ``seed``; ``gap`` metres between the parts."""

    side: float
    gap: float
    seed: int

    def part(self, block: tuple[int, int]) -> str:
        """Return the part that a block belongs to, whichever other blocks there are."""
        digest = hashlib.sha256(f"{self.seed} {block[0]} {block[1]}".encode()).digest()
        draw = int.from_bytes(digest[:4], "big") / 2**32
        for name, share in SHARES:
            draw -= share
            if draw < 0:
                return name
        return SHARES[-1][0]


def by_location(points: NDArray[np.float64], blocks: Blocks) -> tuple[list[str], list[str]]:
    """Return for points (N, 2), metres, the part that each belongs to and its block's name.

    "" is the part of training's points within the gap of another part's.
    """
    squares = [(int(x), int(y)) for x, y in np.floor(points / blocks.side)]
    parts = [blocks.part(square) for square in squares]
    others = _of(points, parts, ("validation", "test"))
    if len(others) and blocks.gap > 0:
        distance, _ = cKDTree(others).query(points)
        close = distance < blocks.gap
        parts = [
            "" if near and part == "train" else part
            for part, near in zip(parts, close, strict=True)
        ]
    return parts, [f"block {column},{row}" for column, row in squares]


def _of(
    points: NDArray[np.float64], parts: Sequence[str], wanted: Sequence[str]
) -> NDArray[np.float64]:
    return points[[part in wanted for part in parts]]
