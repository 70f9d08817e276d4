"""What is measured, and how, so that numbers stay comparable: errors, calibration, error bars.

Positions are the camera's, metres in ``map``; yaw is radians, 0 = east, counter-clockwise. All rows
are over all frames; what a gate refused counts with its raw estimate, and the gated figures stand
beside them with their share of the frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

RECALLS = (1.0, 3.0, 5.0, 10.0)
# 90 % of a chi-square distribution with two degrees of freedom.
CHI2_90 = -2 * math.log(0.1)

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], float]


def distances(estimate: ArrayLike, truth: ArrayLike) -> Floats:
    """Return (N,) metres between (N, 2) estimates and (N, 2) truths."""
    difference = np.asarray(estimate, dtype=np.float64) - np.asarray(truth, dtype=np.float64)
    return np.asarray(np.hypot(difference[:, 0], difference[:, 1]))


def longitudinal_lateral(
    estimate: ArrayLike, truth: ArrayLike, yaw: ArrayLike
) -> tuple[Floats, Floats]:
    """Return signed errors (N,) along (ahead positive) and across (left positive) the heading.

    Δ·(cos ψ, sin ψ) and Δ·(−sin ψ, cos ψ), Δ = estimate − truth, ψ the true yaw (N,).
    """
    difference = np.asarray(estimate, dtype=np.float64) - np.asarray(truth, dtype=np.float64)
    psi = np.asarray(yaw, dtype=np.float64)
    along = difference[:, 0] * np.cos(psi) + difference[:, 1] * np.sin(psi)
    across = -difference[:, 0] * np.sin(psi) + difference[:, 1] * np.cos(psi)
    return along, across


def heading_errors(estimate: ArrayLike, truth: ArrayLike) -> Floats:
    """Return the signed errors (N,) of yaws (N,) in radians, in degrees, in [−180, 180)."""
    difference = np.degrees(
        np.asarray(estimate, dtype=np.float64) - np.asarray(truth, dtype=np.float64)
    )
    return np.asarray((difference + 180.0) % 360.0 - 180.0)


def recall(errors: ArrayLike, threshold: float) -> float:
    """Return the share of (N,) errors that are less than (not equal to) a threshold."""
    return float(np.mean(np.abs(np.asarray(errors, dtype=np.float64)) < threshold))


def nees(difference: ArrayLike, covariance: ArrayLike) -> Floats:
    """Return (N,) normalised squared errors per degree of freedom: eᵀ Σ⁻¹ e / d.

    Args:
        difference: (N, d) estimate − truth.
        covariance: (N, d, d).
    """
    e, sigma = np.asarray(difference, dtype=np.float64), np.asarray(covariance, dtype=np.float64)
    solved = np.linalg.solve(sigma, e[..., None])[..., 0]
    return np.asarray((e * solved).sum(axis=-1) / e.shape[-1])


def axis_sigmas(covariance: ArrayLike, yaw: ArrayLike) -> tuple[Floats, Floats]:
    """Return the standard deviations (N,) of (N, 2, 2) covariances along and across yaws (N,)."""
    sigma, psi = np.asarray(covariance, dtype=np.float64), np.asarray(yaw, dtype=np.float64)
    axes = np.array([[np.cos(psi), np.sin(psi)], [-np.sin(psi), np.cos(psi)]])
    along, across = np.sqrt(np.einsum("ain,nij,ajn->an", axes, sigma, axes))
    return along, across


def auc(low: ArrayLike, high: ArrayLike) -> float:
    """Return how often one of (M,) values that should be high exceeds one of (N,) low ones.

    The area under the curve of two kinds told apart by a threshold; equal values count half.
    """
    from scipy.stats import rankdata

    few, many = np.asarray(high, dtype=np.float64), np.asarray(low, dtype=np.float64)
    ranks = rankdata(np.concatenate([few, many]))[: len(few)].sum()
    return float((ranks - len(few) * (len(few) + 1) / 2) / (len(few) * len(many)))


def ellipse_coverage(difference: ArrayLike, covariance: ArrayLike) -> float:
    """Return the share of (N, 2) errors inside the 90 % ellipse of their (N, 2, 2) covariances."""
    return float(np.mean(2 * nees(difference, covariance) < CHI2_90))


def coverage(levels: ArrayLike, level: float = 0.9) -> float:
    """Return the share of truths inside the region of ``level``, from their credible levels."""
    return float(np.mean(np.asarray(levels, dtype=np.float64) < level))


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Return the rank correlation of two (N,) series, ties sharing a rank; 0 for a constant."""
    from scipy.stats import rankdata

    first, second = rankdata(np.asarray(a)), rankdata(np.asarray(b))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def error_summary(errors: ArrayLike) -> dict[str, float]:
    """Return mean, median, 25/75/95 % and the recalls of (N,) unsigned errors."""
    values = np.asarray(errors, dtype=np.float64)
    result = {"mean": float(values.mean()), "median": float(np.median(values))}
    result |= {f"p{q}": float(np.percentile(values, q)) for q in (25, 75, 95)}
    return result | {f"recall_{r:g}m": recall(values, r) for r in RECALLS}


def bootstrap(
    values: ArrayLike,
    towns: Sequence[object] | NDArray[np.generic],
    statistic: Statistic = lambda v: float(np.median(v)),
    draws: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the 95 % interval of a statistic of (N, …) values, by drawing whole towns.

    Frames of a town are alike, so that drawing frames would make the interval too narrow.
    """
    data = np.asarray(values, dtype=np.float64)
    names = np.asarray(towns)
    groups = [data[names == name] for name in np.unique(names)]
    random = np.random.default_rng(seed)
    found = [
        statistic(
            np.concatenate([groups[i] for i in random.integers(len(groups), size=len(groups))])
        )
        for _ in range(draws)
    ]
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def gaussian_sigma(errors: ArrayLike) -> float:
    """Return the most likely σ of an isotropic Gaussian for (N,) distances: σ² = mean e² / 2.

    What a regressor's probability rests on (ECCV 2022, section 4.2); fit it on validation samples.
    """
    values = np.asarray(errors, dtype=np.float64)
    return float(np.sqrt(np.mean(values**2) / 2))


def gaussian_probability(errors: ArrayLike, sigma: float, pixel: float) -> Floats:
    """Return the (N,) probability of the true pixel under a Gaussian about the estimate.

    Args:
        errors: (N,) metres.
        sigma: metres, along each axis.
        pixel: side of a pixel, metres.
    """
    values = np.asarray(errors, dtype=np.float64)
    peak = pixel**2 / (2 * math.pi * sigma**2)
    return np.asarray(peak * np.exp(-(values**2) / (2 * sigma**2)))


def ranked_quantiles(
    errors: ArrayLike, probability: ArrayLike, shares: ArrayLike, levels: Sequence[float]
) -> Floats:
    """Return quantiles (len(levels), len(shares)) of the errors of the most probable predictions.

    Args:
        errors: (N,) metres.
        probability: (N,) of each prediction, higher is surer; ties keep their order.
        shares: of the predictions that are kept, in (0, 1]; at least one is kept.
        levels: of the quantiles, 0 … 1.
    """
    order = np.argsort(-np.asarray(probability, dtype=np.float64), kind="stable")
    ranked = np.asarray(errors, dtype=np.float64)[order]
    counts = [max(1, round(float(s) * len(ranked))) for s in np.asarray(shares)]
    return np.stack([np.quantile(ranked[:count], levels) for count in counts], axis=1)
