"""A validation part that shares no place with training: whole cells of a dataset's map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SEED = 42
SHARE = 0.2


def validation_by_location(
    xy: NDArray[np.float64], cell: float, rim: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which of places (N, 2), metres, are for validation and which for training.

    Whole square cells are drawn until they hold a fifth of the places. Those of their places that
    lie within ``rim`` metres of their edge belong to neither part, unless the neighbour is for
    validation too: so no place of training is nearer than ``rim`` to one of validation.
    """
    cells = np.floor(xy / cell).astype(np.int64)
    keys, member, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    drawn = np.random.default_rng(SEED).permutation(len(keys))
    # cells up to the one that completes the fifth
    before = np.concatenate([[0], np.cumsum(counts[drawn])[:-1]])
    inside = np.zeros(len(keys), dtype=bool)
    inside[drawn[before < SHARE * len(xy)]] = True
    others = {(int(i), int(j)) for i, j in keys[~inside]}
    validation: NDArray[np.bool_] = inside[member.reshape(-1)]
    kept = validation.copy()
    for index in np.flatnonzero(validation).tolist():
        low = np.floor((xy[index] - rim) / cell).astype(int).tolist()
        high = np.floor((xy[index] + rim) / cell).astype(int).tolist()
        near = {(i, j) for i in range(low[0], high[0] + 1) for j in range(low[1], high[1] + 1)}
        kept[index] = near.isdisjoint(others)
    return kept, ~validation
