"""A distribution over positions: log mass per cell of a grid placed in the ``map`` frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cross_view_localizer.belief.modes import Mode, find_modes, refine_peak
from cross_view_localizer.grid import Grid

__all__ = ["Heatmap", "Mode"]


def log_sum(log_values: NDArray[np.floating]) -> float:
    """Return the log of the sum of the exponentials of all elements.

    Raises:
        ValueError: where none is finite.
    """
    top = float(log_values.max())
    if not math.isfinite(top):
        raise ValueError(f"log mass peaks at {top}: expected finite scores in at least one cell")
    return top + math.log(np.exp(log_values.astype(np.float64) - top).sum())


@dataclass(frozen=True)
class Heatmap:
    """The likelihood of an image at each position, normalised over its support (not a posterior).

    Attributes:
        grid: where the cells are.
        log_mass: (height, width) float32; the exponentials sum to one. −inf marks cells outside
            the support.
    """

    grid: Grid
    log_mass: NDArray[np.float32]

    @property
    def mass(self) -> NDArray[np.float64]:
        """(H, W) probability per cell."""
        return np.exp(self.log_mass.astype(np.float64))

    @property
    def support(self) -> NDArray[np.bool_]:
        """(H, W): the cells that were searched."""
        return self.log_mass > -np.inf

    def argmax_cell(self) -> tuple[int, int]:
        """Return (row, column) of the greatest cell."""
        row, column = divmod(int(self.log_mass.argmax()), self.grid.width)
        return row, column

    def argmax_xy(self) -> NDArray[np.float64]:
        """Return (x, y) of the greatest cell's centre, metres: the papers' point estimate."""
        row, column = self.argmax_cell()
        return self.grid.pixel_to_map((column, row))

    def peak_xy(self) -> NDArray[np.float64]:
        """Return (x, y) of the sub-pixel mode (:func:`modes.refine_peak`), metres."""
        return self.grid.pixel_to_map(refine_peak(self.log_mass, *self.argmax_cell()))

    def modes(
        self, max_modes: int = 5, min_mass: float = 0.02, separation: float = 3.0
    ) -> list[Mode]:
        """Return the modes, that of :meth:`peak_xy` first (see :func:`modes.find_modes`)."""
        return find_modes(self.log_mass, self.grid, max_modes, min_mass, separation)

    def log_density(self, xy: ArrayLike) -> NDArray[np.float64]:
        """Return the log density, nats per m², at (..., 2) positions; −inf outside the grid.

        The density is interpolated bilinearly between the cells' centres.
        """
        uv = np.atleast_2d(self.grid.map_to_pixel(xy))
        size = np.array([self.grid.width, self.grid.height])
        inside = ((uv >= -0.5) & (uv <= size - 0.5)).all(axis=-1)
        low = np.floor(np.clip(uv, 0, size - 1)).astype(np.intp)
        high = np.minimum(low + 1, size - 1)
        fraction = np.clip(uv, 0, size - 1) - low
        mass, density = self.mass, np.zeros(uv.shape[:-1])
        for column, a in ((low[..., 0], 1 - fraction[..., 0]), (high[..., 0], fraction[..., 0])):
            for row, b in ((low[..., 1], 1 - fraction[..., 1]), (high[..., 1], fraction[..., 1])):
                density += a * b * mass[row, column]
        with np.errstate(divide="ignore"):
            log = np.log(np.where(inside, density, 0.0)) - 2 * math.log(self.grid.gsd)
        return np.asarray(log.reshape(np.shape(xy)[:-1]))

    def credible_level(self, xy: ArrayLike) -> float:
        """Return the mass of the cells denser than the one at ``xy``.

        A position lies inside the 90 % region iff its level is below 0.9.
        """
        if not self.grid.contains(xy):
            return 1.0
        column, row = np.rint(self.grid.map_to_pixel(xy)).astype(int)
        column, row = min(column, self.grid.width - 1), min(row, self.grid.height - 1)
        return float(min(self.mass[self.log_mass > self.log_mass[row, column]].sum(), 1.0))

    def distance(self, xy: ArrayLike) -> NDArray[np.float64]:
        """Return the metres from each cell's centre to ``xy``, (H, W)."""
        u, v = self.grid.map_to_pixel(xy)
        columns, rows = np.arange(self.grid.width) - u, np.arange(self.grid.height) - v
        return np.hypot(columns[None, :], rows[:, None]) * self.grid.gsd

    def mass_within(self, xy: ArrayLike, radius: float) -> float:
        """Return the mass of the cells with centres within ``radius`` metres of ``xy``."""
        return float(self.mass[self.distance(xy) <= radius].sum())

    def entropy(self) -> float:
        """Return the differential entropy, nats: of a density per m², so that grids compare."""
        mass = self.mass
        used = mass > 0
        return float(-(mass[used] * self.log_mass[used]).sum() + 2 * math.log(self.grid.gsd))

    def moved(self, offset: ArrayLike) -> Heatmap:
        """Return the same distribution displaced by (dx, dy) metres."""
        dx, dy = np.asarray(offset, dtype=np.float64)
        x, y = self.grid.center
        return replace(self, grid=replace(self.grid, center=(x + float(dx), y + float(dy))))

    def mass_on(self, grid: Grid) -> NDArray[np.float32]:
        """Return the mass per cell of another grid, (grid.height, grid.width) float32, sum one.

        The density is interpolated on cells at least as fine as the heatmap's, and these are
        summed: unlike counting sub-cells this leaves no pattern that could move the maximum. All
        zero where the other grid holds none of the mass.
        """
        parts = max(1, math.ceil(grid.gsd / self.grid.gsd))
        fine = grid.resampled(grid.width * parts, grid.height * parts)
        anchors = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        source = self.grid.map_to_pixel(fine.pixel_to_map(anchors))
        affine = np.column_stack([source[1] - source[0], source[2] - source[0], source[0]])
        density = cv2.warpAffine(
            np.exp(self.log_mass),
            affine,
            (fine.width, fine.height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=0.0,
        )
        summed = density.reshape(grid.height, parts, grid.width, parts).sum(axis=(1, 3))
        total = float(summed.sum())
        return np.asarray(summed / total if total > 0 else summed)
