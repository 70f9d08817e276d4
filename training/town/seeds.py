"""Which seeds are for what, and the town's independent random streams."""

from __future__ import annotations

import zlib
from typing import Literal

import numpy as np

Split = Literal["train", "validation", "test", "calibration", "demo"]

RANGES: dict[Split, range] = {
    "train": range(0, 100_000),
    "validation": range(100_000, 100_050),
    "test": range(200_000, 200_050),
    "calibration": range(300_000, 300_050),
    "demo": range(400_000, 2**31),
}


def split_of(seed: int) -> Split:
    """Return the split that a town's seed belongs to.

    Raises:
        ValueError: for a seed of no split.
    """
    for name, seeds in RANGES.items():
        if seed in seeds:
            return name
    raise ValueError(f"town seed {seed} belongs to no split: use 0 ... 99999 to train")


def check_training_seed(seed: int) -> None:
    """Refuse a seed that is kept for measuring.

    Raises:
        ValueError: where the seed is not one of 0 ... 99999.
    """
    split = split_of(seed)
    if split != "train":
        raise ValueError(f"town seed {seed} is kept for {split}: train on seeds 0 ... 99999 only")


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator of one named stream of a town: independent of every other name."""
    words = [zlib.crc32(n.encode()) if isinstance(n, str) else n for n in names]
    return np.random.default_rng([seed, *words])
