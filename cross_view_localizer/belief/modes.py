"""Modes of a gridded distribution: sub-pixel peaks, basins, their mass and covariance."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.grid import Grid


@dataclass(frozen=True)
class Mode:
    """One place where the vehicle may be.

    Attributes:
        x, y: sub-pixel peak, metres in ``map``.
        mass: probability of the mode's basin.
        covariance: (2, 2) second moments of the basin about the peak, m².
    """

    x: float
    y: float
    mass: float
    covariance: NDArray[np.float64]


# Least squares of a + b·u + c·v + d·u² + e·u·v + f·v² over the nine cells of a 3 × 3 window.
_U, _V = (axis.ravel().astype(np.float64) for axis in np.meshgrid([-1, 0, 1], [-1, 0, 1]))
_PARABOLOID = np.linalg.pinv(np.stack([np.ones(9), _U, _V, _U * _U, _U * _V, _V * _V], axis=1))


def refine_peak(log_mass: NDArray[np.float32], row: int, column: int) -> tuple[float, float]:
    """Return the sub-pixel (column, row) of the peak at a local maximum of (H, W) log mass.

    The top of the paraboloid fitted to the log mass of the 3 × 3 window: exact for a Gaussian
    wherever it lies between the cells, and never more than half a cell from the maximum, so that
    pose and heatmap can't disagree. At the border and beside empty cells: the cell itself.
    """
    height, width = log_mass.shape
    if not (0 < row < height - 1 and 0 < column < width - 1):
        return float(column), float(row)
    window = log_mass[row - 1 : row + 2, column - 1 : column + 2].astype(np.float64).ravel()
    if not np.isfinite(window).all():
        return float(column), float(row)
    _, b, c, d, e, f = _PARABOLOID @ (window - window[4])
    determinant = 4 * d * f - e * e
    if determinant <= 1e-12 or d >= 0:
        return float(column), float(row)
    du = np.clip((e * c - 2 * f * b) / determinant, -0.5, 0.5)
    dv = np.clip((e * b - 2 * d * c) / determinant, -0.5, 0.5)
    return float(column + du), float(row + dv)


def cell_axes(grid: Grid) -> NDArray[np.float64]:
    """Return (2, 2): its columns are one cell to the right and one down, metres in ``map``."""
    origin, right, down = grid.pixel_to_map(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    return np.stack([right - origin, down - origin], axis=1)


def second_moments(
    mass: NDArray[np.float64], uv: tuple[float, float], grid: Grid
) -> NDArray[np.float64]:
    """Return the (2, 2) second moments of (H, W) mass about pixel ``uv``, in ``map`` axes, m².

    The mass need not sum to one (the moments are divided by its sum); the spread inside a cell,
    gsd²/12, is included, so that a single cell has the variance of a uniform square.
    """
    height, width = mass.shape
    u, v = np.arange(width) - uv[0], np.arange(height) - uv[1]
    columns, rows = mass.sum(axis=0), mass.sum(axis=1)
    uu, vv, uv_ = columns @ (u * u), rows @ (v * v), v @ mass @ u
    local = np.array([[uu, uv_], [uv_, vv]]) / mass.sum() + np.eye(2) / 12
    axes = cell_axes(grid)
    return np.asarray(axes @ local @ axes.T)


def basins(log_mass: NDArray[np.float32], radius: int) -> NDArray[np.intp]:
    """Return, for each cell of (H, W), the flat index of the peak it climbs to, shape (H, W).

    A cell climbs to the greatest of its 3 × 3 neighbours; a local maximum that is not the greatest
    within ``radius`` cells jumps there, so ripples narrower than that don't become modes. Equal
    cells are ordered by index, so that plateaus have no cycles.
    """
    order, mask = _ordered(log_mass)
    near = cv2.dilate(order, np.ones((3, 3), np.uint8))
    wide = cv2.dilate(order, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8))
    parent = (near.astype(np.intp) & mask).ravel()
    top = np.flatnonzero(parent == np.arange(parent.size))
    parent[top] = wide.ravel()[top].astype(np.intp) & mask
    while True:
        further = parent[parent]
        if np.array_equal(further, parent):
            return parent.reshape(log_mass.shape)
        parent = further


def _ordered(log_mass: NDArray[np.float32]) -> tuple[NDArray[np.float64], int]:
    """Return (H, W) whole numbers that order cells by value, then index, and the index's bits.

    The bits of a float, flipped where it is negative, sort like its value; with the index below
    them they fit the 53 bits of a double, which spares a sort.
    """
    bits = np.ascontiguousarray(log_mass, dtype=np.float32).view(np.uint32)
    value = np.where(bits >> 31 == 1, ~bits, bits | np.uint32(1 << 31)).astype(np.float64)
    base = 1 << (log_mass.size - 1).bit_length()
    if base > 1 << 21:
        raise ValueError(f"heatmap of {log_mass.shape} cells: expected at most 2 million")
    return value * base + np.arange(log_mass.size).reshape(log_mass.shape), base - 1


def find_modes(
    log_mass: NDArray[np.float32], grid: Grid, max_modes: int, min_mass: float, separation: float
) -> list[Mode]:
    """Return at most ``max_modes`` modes: that of the greatest cell, then by falling mass.

    Args:
        log_mass: (H, W) log mass per cell.
        grid: where the cells are.
        min_mass: modes of less are left out, except the first.
        separation: peaks closer than this, metres, are one mode.
    """
    peak_of = basins(log_mass, max(1, round(separation / grid.gsd)))
    mass = np.exp(log_mass.astype(np.float64))
    totals = np.bincount(peak_of.ravel(), weights=mass.ravel(), minlength=mass.size)
    first = int(peak_of.ravel()[int(log_mass.argmax())])
    peaks = np.flatnonzero(totals)
    heaviest = peaks[np.argsort(-totals[peaks])][: max_modes + 1]
    least = max(min_mass, 1e-9)
    others = [int(peak) for peak in heaviest if peak != first and totals[peak] >= least]
    modes = []
    for peak in [first, *others[: max_modes - 1]]:
        uv = refine_peak(log_mass, *divmod(peak, grid.width))
        own = np.where(peak_of == peak, mass, 0.0)
        x, y = grid.pixel_to_map(uv)
        modes.append(Mode(float(x), float(y), float(totals[peak]), second_moments(own, uv, grid)))
    return modes
