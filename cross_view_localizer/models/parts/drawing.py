"""Ways of drawing batches that methods need (`CrossViewModel.drawing`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Neighbours:
    """Batches of places near each other: hard negatives for a retrieval, by the map alone.

    Each batch holds a random row and rows within ``radius`` of it, as many as there are; the rest
    is filled with random rows. Every row comes once an epoch.

    Attributes:
        radius: metres.
        most: neighbours in a batch, the first row included; None: as many as fit.
    """

    radius: float
    most: int | None = None

    def arranged(
        self, places: NDArray[np.float64], batch: int, rng: np.random.Generator
    ) -> NDArray[np.intp]:
        """See `Drawing`: the rows' order, O(rows² / batch)."""
        left = rng.permutation(len(places))
        order = []
        while len(left) > batch:
            away = np.linalg.norm(places[left] - places[left[0]], axis=1)
            near = np.flatnonzero(away <= self.radius)[: min(batch, self.most or batch)]
            others = np.setdiff1d(np.arange(len(left)), near, assume_unique=True)
            chosen = np.concatenate([near, others[: batch - len(near)]])
            order.append(left[chosen])
            left = np.delete(left, chosen)
        return np.concatenate([*order, left])
