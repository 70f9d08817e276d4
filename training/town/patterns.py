"""Noise, hashes and the regular patterns of stones and panels."""

# mypy: allow-untyped-defs, allow-incomplete-defs
# Compiled by numba, which takes its types from the arguments.
from __future__ import annotations

import math

from numba import njit


@njit(cache=True, inline="always")
def noise_at(tile, u, v):
    """The tile's value at (u, v) of its cells, again every 512."""
    return tile[int(math.floor(v)) & 511, int(math.floor(u)) & 511]


@njit(cache=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})
def hash_of(a, b, c):
    """A number 0 ... 1 of three whole ones."""
    h = (int(a) * 73856093) ^ (int(b) * 19349663) ^ (int(c) * 83492791)
    h = (h ^ (h >> 13)) * 1274126177
    return ((h ^ (h >> 16)) & 1023) / 1023.0


@njit(cache=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})
def stones(x, y, size, paint, half, laid):
    """Gain of the stones and joints at (x, y), fading where they are as small as the pixel."""
    n = paint.shape[0]
    j = min(max(int((x + half) / 0.1), 0), n - 1)
    i = min(max(int((y + half) / 0.1), 0), n - 1)
    length, width, shift, joint, contrast, c, s = laid[paint[i, j, 3]][:7]
    if length <= 0 or size > 0.7 * width:
        return 1.0
    p, q = (c * x + s * y) / length, (c * y - s * x) / width
    row = math.floor(q)
    p += shift * (row % 2)
    column = math.floor(p)
    edge = min(min(p - column, column + 1 - p) * length, min(q - row, row + 1 - q) * width)
    fade = 1 - size / (0.7 * width)
    gain = 1 + contrast * fade * (hash_of(column, row, 5) - 0.5)
    wide = max(joint, 0.5 * size)
    if edge < wide:
        gain -= 1.6 * contrast * fade * joint / wide
    return gain


@njit(cache=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})
def clad(cladding, u, z, texel, salt):
    """Gain of boards or panels on a facade, ``u`` metres along it and ``z`` above its foot."""
    if cladding == 2:
        return 0.86 if texel < 0.1 and (z / 0.2) % 1.0 < 0.2 else 1.0
    if cladding == 3:
        gain = 0.94 + 0.12 * hash_of(math.floor(u / 1.2), math.floor(z / 1.6), salt)
        if texel < 0.2 and ((u / 1.2) % 1.0 < 0.05 or (z / 1.6) % 1.0 < 0.04):
            gain *= 0.8
        return gain
    return 1.0
