"""Heatmaps of scores, as the Localizer makes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cross_view_localizer.belief.belief import Belief
from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.belief.heatmap import Heatmap
from cross_view_localizer.grid import Grid


def heatmap_of(
    scores: ArrayLike,
    grid: Grid,
    temperature: float = 1.0,
    support: NDArray[np.bool_] | None = None,
    background: float = 0.0,
) -> Heatmap:
    """The heatmap of (H, W) scores, or of (R, H, W) over headings."""
    joint = np.asarray(scores, dtype=np.float64)
    joint = joint if joint.ndim == 3 else joint[None]
    calibration = Calibration(temperature=temperature, background=background)
    return Belief.from_scores(joint, np.zeros(len(joint)), grid, calibration, support).heatmap
