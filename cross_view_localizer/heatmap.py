"""A distribution over positions: log mass per cell of a grid placed in the ``map`` frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cross_view_localizer.grid import Grid
from cross_view_localizer.modes import Mode, find_modes, refine_peak, second_moments

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

    @classmethod
    def from_scores(
        cls,
        scores: ArrayLike,
        grid: Grid,
        temperature: float = 1.0,
        support: NDArray[np.bool_] | None = None,
        background: float = 0.0,
    ) -> Heatmap:
        """Build from unnormalised log scores.

        Args:
            scores: (H, W), or (R, H, W) over R headings, which are summed over after tempering.
            grid: of W × H cells.
            temperature: scores are divided by it.
            support: (H, W); False cells get no mass.
            background: share of the mass that is spread evenly over the support.

        Raises:
            ValueError: where shapes differ, a score is NaN, or no cell has a finite score.
        """
        logits = np.asarray(scores, dtype=np.float64)
        logits = (logits if logits.ndim == 3 else logits[None]) / temperature
        if logits.shape[1:] != (grid.height, grid.width):
            raise ValueError(
                f"scores of shape {logits.shape}: expected {grid.height} x {grid.width} cells"
            )
        if np.isnan(logits).any():
            raise ValueError("scores hold NaN: expected log mass; is the network's input finite?")
        inside = np.ones(logits.shape[1:], dtype=bool) if support is None else support
        logits = np.where(inside, logits, -np.inf)
        flat = np.logaddexp.reduce(logits, axis=0) if len(logits) > 1 else logits[0]
        flat = flat - log_sum(flat)
        if background > 0:
            even = np.where(inside, math.log(background / inside.sum()), -np.inf)
            flat = np.logaddexp(flat + math.log1p(-background), even)
        return cls(grid, flat.astype(np.float32))

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

    def covariance_about(self, xy: ArrayLike, radius: float | None = None) -> NDArray[np.float64]:
        """Return the (2, 2) second moments about ``xy``, m², of the mass within ``radius`` metres.

        None takes all of it.
        """
        u, v = self.grid.map_to_pixel(xy)
        mass = self.mass
        if radius is not None:
            mass = np.where(self.distance(xy) <= radius, mass, 0.0)
        return second_moments(mass, (float(u), float(v)), self.grid)

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

    def mass_on(self, grid: Grid) -> NDArray[np.float64]:
        """Return the mass that falls on each cell of another grid, shape (grid.height, grid.width).

        The density is interpolated bilinearly at points at most half a source cell apart, zero
        outside: mass is conserved to about 1e-3 wherever the target covers the support, and the
        peak stays where it is. (Handing out the source's cells whole, or in parts, gives
        neighbouring target cells unequal numbers of parts, which moves a flat peak by a cell.)
        """
        parts = max(1, math.ceil(2 * grid.gsd / self.grid.gsd))
        steps = (np.arange(parts) + 0.5) / parts - 0.5
        columns, rows = np.meshgrid(np.arange(grid.width), np.arange(grid.height))
        total = np.zeros((grid.height, grid.width))
        for dv in steps:
            for du in steps:
                xy = grid.pixel_to_map(np.stack([columns + du, rows + dv], -1))
                total += _interpolated(self.mass, self.grid.map_to_pixel(xy))
        return total * (grid.gsd / parts / self.grid.gsd) ** 2

    def resampled(self, grid: Grid) -> Heatmap:
        """Return the distribution on another grid, by mass (:meth:`mass_on`), normalised again.

        Raises:
            ValueError: where the other grid holds none of the mass.
        """
        mass = self.mass_on(grid)
        if not mass.sum() > 0:
            raise ValueError(
                f"grid around {grid.center} holds no mass of that around {self.grid.center}"
            )
        with np.errstate(divide="ignore"):
            return Heatmap(grid, np.log(mass / mass.sum()).astype(np.float32))


def _interpolated(values: NDArray[np.float64], uv: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (H, W) values at (..., 2) places (column, row), bilinearly; zero outside."""
    height, width = values.shape
    padded = np.pad(values, 2)
    place = np.clip(uv, -1.5, (width + 0.5, height + 0.5))
    whole = np.floor(place).astype(np.intp)
    x, y = np.moveaxis(place - whole, -1, 0)
    column, row = np.moveaxis(whole + 2, -1, 0)
    above = padded[row, column] * (1 - x) + padded[row, column + 1] * x
    below = padded[row + 1, column] * (1 - x) + padded[row + 1, column + 1] * x
    return np.asarray(above * (1 - y) + below * y)
