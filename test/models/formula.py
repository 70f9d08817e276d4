"""Weights and pictures that follow from their names alone, so that two programs can be compared."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def draw(name: str) -> np.random.RandomState:
    """Return a generator seeded by the name; RandomState's streams never change with numpy."""
    return np.random.RandomState(zlib.crc32(f"cross_view_localizer {name}".encode()))


def weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Return an array for each TensorFlow variable, scaled so that signals keep their size."""
    values = {}
    for name, shape in shapes.items():
        value = draw(name).standard_normal(shape)
        if len(shape) == 4:
            taps = shape[0] * shape[1] / (4 if "deconv" in name else 1)
            value *= np.sqrt(2 / (taps * (shape[3] if "deconv" in name else shape[2])))
        else:
            value *= 0.05
        values[name] = value.astype(np.float32)
    return values


def picture(name: str, height: int, width: int) -> NDArray[np.uint8]:
    """Return an RGB picture (height, width, 3) of blocks of 16 pixels under noise."""
    random = draw(name)
    blocks = random.randint(0, 256, (-(-height // 16), -(-width // 16), 3))
    coarse = np.kron(blocks, np.ones((16, 16, 1), int))[:height, :width]
    return np.clip(coarse + random.randint(-25, 26, coarse.shape), 0, 255).astype(np.uint8)
