"""What a network says of position and heading, calibrated: one distribution over both."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.belief.headings import CellHeadings
from cross_view_localizer.belief.heatmap import Heatmap, log_sum
from cross_view_localizer.grid import Grid


@dataclass(frozen=True)
class Belief:
    """A distribution over positions of the camera and its headings, a few or all in each cell.

    Attributes:
        grid: cells of the positions.
        log_joint: (R, H, W) float64; the exponentials sum to one over all axes.
        yaw_offsets: (R,) radians: the camera's azimuth minus the one that was given.
        heatmap: (H, W), summed over the headings.
        prior_in_yaw: the given heading's distribution was multiplied in.
        headings: in each cell, where they are continuous; R is 1 then, and ``yaw_offsets`` 0.
    """

    grid: Grid
    log_joint: NDArray[np.float64]
    yaw_offsets: NDArray[np.float64]
    heatmap: Heatmap
    prior_in_yaw: bool = False
    headings: CellHeadings | None = None

    @classmethod
    def from_scores(
        cls,
        scores: ArrayLike,
        yaw_offsets: ArrayLike,
        grid: Grid,
        calibration: Calibration | None = None,
        support: NDArray[np.bool_] | None = None,
        headings: CellHeadings | None = None,
    ) -> Belief:
        """Temper (R, H, W) log scores, mix in the background, and normalise over the support.

        The temperature acts on the joint distribution, before headings are summed over. The
        background is even over positions and the few headings; continuous ones stay as they are.

        Raises:
            ValueError: where shapes differ, scores hold NaN, or no cell is left.
        """
        chosen = calibration or Calibration()
        logits = np.asarray(scores, dtype=np.float64) / chosen.temperature
        offsets = np.asarray(yaw_offsets, dtype=np.float64)
        if logits.shape != (len(offsets), grid.height, grid.width):
            raise ValueError(
                f"scores of shape {logits.shape}: expected {len(offsets)} headings of "
                f"{grid.height} x {grid.width} cells"
            )
        if np.isnan(logits).any():
            raise ValueError("scores hold NaN: expected log mass; is the network's input finite?")
        if headings is not None:
            if logits.shape != (1, *headings.mean.shape):
                raise ValueError(
                    f"scores of shape {logits.shape} with headings of {headings.mean.shape}: "
                    "expected one heading of the heatmap's shape"
                )
            headings, factor = headings.tempered(chosen.temperature)
            logits = logits + factor
        if support is not None:
            logits = np.where(support, logits, -np.inf)
        logits = logits - log_sum(logits)
        if chosen.background > 0:
            inside = np.broadcast_to(True if support is None else support, logits.shape)
            even = np.where(inside, math.log(chosen.background / inside.sum()), -np.inf)
            logits = np.logaddexp(logits + math.log1p(-chosen.background), even)
        return cls._of(grid, logits, offsets, headings)

    @classmethod
    def _of(
        cls,
        grid: Grid,
        log_joint: NDArray[np.float64],
        offsets: NDArray[np.float64],
        headings: CellHeadings | None,
    ) -> Belief:
        summed = np.logaddexp.reduce(log_joint, axis=0) if len(offsets) > 1 else log_joint[0]
        return cls(
            grid, log_joint, offsets, Heatmap(grid, summed.astype(np.float32)), headings=headings
        )

    def times_prior(
        self,
        mean: ArrayLike,
        covariance: ArrayLike,
        yaw_variance: float | None = None,
    ) -> Belief:
        """Return the normalised product with a Gaussian prior.

        Args:
            mean: (2,) of the camera, metres in ``map``.
            covariance: (2, 2), m².
            yaw_variance: of the given azimuth, rad²; None where that counts for nothing.
        """
        columns, rows = np.meshgrid(np.arange(self.grid.width), np.arange(self.grid.height))
        offset = self.grid.pixel_to_map(np.stack([columns, rows], axis=-1)) - np.asarray(mean)
        precision = np.linalg.inv(np.asarray(covariance, dtype=np.float64))
        joint = self.log_joint - 0.5 * np.einsum("...i,ij,...j->...", offset, precision, offset)
        headings, in_yaw = self.headings, False
        if yaw_variance is not None and headings is not None:
            headings, factor = headings.times(yaw_variance)
            joint, in_yaw = joint + factor, True
        elif yaw_variance is not None and len(self.yaw_offsets) > 1:
            joint = joint - 0.5 * (self.yaw_offsets**2 / yaw_variance)[:, None, None]
            in_yaw = True
        product = self._of(self.grid, joint - log_sum(joint), self.yaw_offsets, headings)
        return replace(product, prior_in_yaw=in_yaw)

    def moved(self, grid: Grid) -> Belief:
        """Return the same numbers on another grid of the same size."""
        return replace(self, grid=grid, heatmap=replace(self.heatmap, grid=grid))
