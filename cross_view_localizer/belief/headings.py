"""A continuous distribution over headings in each cell: von Mises, with what filters ask of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CellHeadings:
    """The heading if the camera stands in a cell: von Mises.

    Attributes:
        mean: (H, W) radians, the camera's azimuth minus the one that was given.
        concentration: (H, W) κ, at least 0; about 1 / σ² for a σ of less than half a radian.

    Raises:
        ValueError: shapes that differ, values that aren't finite, a negative κ.
    """

    mean: Floats
    concentration: Floats

    def __post_init__(self) -> None:
        kappa = self.concentration
        finite = np.isfinite(self.mean).all() and np.isfinite(kappa).all()
        if self.mean.shape != kappa.shape or not finite or not (kappa >= 0).all():
            raise ValueError(
                f"headings of shape {self.mean.shape} with concentrations of {kappa.shape}: "
                "expected finite ones of one shape, concentrations of 0 or more"
            )

    @property
    def resultant(self) -> Floats:
        """(H, W) length of the mean direction, 0 … 1."""
        kappa = torch.from_numpy(self.concentration)
        return (torch.special.i1e(kappa) / torch.special.i0e(kappa)).numpy()

    @property
    def variance(self) -> Floats:
        """(H, W) rad², of the wrapped normal of the same mean direction; at most the circle's."""
        length = np.maximum(self.resultant, 1e-12)
        return np.minimum(-2 * np.log(length), math.pi**2 / 3)

    def tempered(self, temperature: float) -> tuple[CellHeadings, Floats | float]:
        """Return the headings of a distribution whose log is divided by ``temperature``.

        Also what that adds to the log mass of each cell, (H, W), once headings are summed over.
        """
        if temperature == 1.0:
            return self, 0.0
        flatter = CellHeadings(self.mean, self.concentration / temperature)
        return flatter, flatter._log_whole() - self._log_whole() / temperature

    def times(self, variance: float) -> tuple[CellHeadings, Floats]:
        """Return the product with a von Mises prior about 0 of 1 / κ = ``variance``, rad².

        Also what that adds to the log mass of each cell, (H, W), up to a constant.
        """
        kappa, given = self.concentration, 1.0 / variance
        right = kappa * np.cos(self.mean) + given
        up = kappa * np.sin(self.mean)
        product = CellHeadings(np.arctan2(up, right), np.hypot(right, up))
        return product, product._log_whole() - self._log_whole() - given

    def _log_whole(self) -> Floats:
        """The log of the integral of exp(κ cos) over the circle."""
        kappa = torch.from_numpy(self.concentration)
        return self.concentration + np.log(2 * math.pi * torch.special.i0e(kappa).numpy())
