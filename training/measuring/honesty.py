"""What heatmaps, covariances and silence are worth, over the frames that have them.

An answer is *wrong* where it lies more than 5 m from the truth, and *wrong and sure* where the
truth lies beyond 3 σ of the covariance that comes with it as well: by Mahalanobis' distance,
√(eᵀ Σ⁻¹ e) > 3, over both axes; along or across the true heading by that axis alone,
|e| > 5 m and |e| > 3 σ, σ² = uᵀ Σ u. NEES is per degree of freedom, 1 where σ is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.measuring import metrics
from training.measuring.columns import Columns
from training.measuring.metrics import Floats

WRONG = 5.0  # m
SURE = 3.0  # σ
# Thresholds of the probability of no match at which the share that passes is told.
THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def honesty(one: Columns) -> dict[str, Any]:
    """Return what is known of all frames, refused ones with their raw estimate."""
    return _likelihood(one) | _calibration(one, np.isfinite(one["var_xx"])) | _no_match(one)


def published(one: Columns) -> dict[str, Any]:
    """Return the share of frames that passed the gates, and what these are worth.

    The shares of "wrong" ones are of the published, not of all frames.
    """
    answered = one.reasons == ""
    result: dict[str, Any] = {"share": float(answered.mean())}
    if not answered.any():
        return result
    result |= metrics.error_summary(one["mode_error"][answered])
    known = answered & np.isfinite(one["var_xx"])
    if not known.any():  # a control that opens no picture states no σ
        return result
    of = _Answers.of(one, known)
    far = of.distance > WRONG
    return result | {
        "wrong": float(far.mean()),
        "wrong_and_sure": float((far & (of.mahalanobis > SURE)).mean()),
        "longitudinal_wrong_and_sure": _beyond(of.along, of.sigma_along),
        "lateral_wrong_and_sure": _beyond(of.across, of.sigma_across),
        **_calibration(one, known),
    }


@dataclass(frozen=True)
class _Answers:
    """Errors (N, 2) and covariances (N, 2, 2) of some frames, also by the true heading's axes."""

    errors: Floats
    bounds: Floats
    along: Floats
    across: Floats
    sigma_along: Floats
    sigma_across: Floats

    @classmethod
    def of(cls, one: Columns, chosen: NDArray[np.bool_]) -> _Answers:
        xx, xy, yy = (one[f"var_{key}"][chosen] for key in ("xx", "xy", "yy"))
        bounds = np.stack([np.stack([xx, xy], -1), np.stack([xy, yy], -1)], -2)
        errors = np.stack([one["x"] - one["truth_x"], one["y"] - one["truth_y"]], axis=-1)[chosen]
        yaw = one["truth_yaw"][chosen]
        along, across = metrics.longitudinal_lateral(errors, np.zeros_like(errors), yaw)
        return cls(errors, bounds, along, across, *metrics.axis_sigmas(bounds, yaw))

    @property
    def distance(self) -> Floats:
        return np.asarray(np.hypot(self.errors[:, 0], self.errors[:, 1]))

    @property
    def mahalanobis(self) -> Floats:
        return np.asarray(np.sqrt(2 * metrics.nees(self.errors, self.bounds)))


def _beyond(error: Floats, sigma: Floats) -> float:
    return float(((np.abs(error) > WRONG) & (np.abs(error) > SURE * sigma)).mean())


def _likelihood(one: Columns) -> dict[str, float | None]:
    ran = ~np.isnan(one["log_density"]) & (np.isfinite(one["cell"]) | (one.reasons == ""))
    if not ran.any():
        return {}
    density = one["log_density"][ran]
    inside = np.isfinite(density)  # a truth outside the heatmap is counted, not averaged
    return {
        "nll_nats_per_m2": float(-density[inside].mean()) if inside.any() else None,
        "outside_heatmap": float(1 - inside.mean()),
    }


def _calibration(one: Columns, chosen: NDArray[np.bool_]) -> dict[str, float]:
    if not chosen.any():
        return {}
    of = _Answers.of(one, chosen)
    sigma = np.sqrt(np.trace(of.bounds, axis1=1, axis2=2) / 2)
    turned = chosen & np.isfinite(one["heading_error"])
    yaw = np.radians(one["heading_error"][turned]) ** 2 / one["var_yaw"][turned]
    return {
        **({"yaw_nees": float(yaw.mean())} if turned.any() else {}),
        "nees_per_dof": float(metrics.nees(of.errors, of.bounds).mean()),
        "longitudinal_nees": float(np.mean((of.along / of.sigma_along) ** 2)),
        "lateral_nees": float(np.mean((of.across / of.sigma_across) ** 2)),
        "coverage_90_region": metrics.coverage(one["level"][chosen]),
        "coverage_90_ellipse": metrics.ellipse_coverage(of.errors, of.bounds),
        "spearman_sigma_error": metrics.spearman(sigma, one["mode_error"][chosen]),
        "sigma_median": float(np.median(sigma)),
        "longitudinal_sigma_median": float(np.median(of.sigma_along)),
        "lateral_sigma_median": float(np.median(of.sigma_across)),
    }


def _no_match(one: Columns) -> dict[str, Any]:
    told = one.numbers.get("no_match", np.empty(0))  # files of earlier runs lack it
    told = told[np.isfinite(told)]
    if not len(told):
        return {}
    passing = {f"{limit:g}": float(np.mean(told <= limit)) for limit in THRESHOLDS}
    return {"no_match": {"mean": float(told.mean()), "passing": passing}}
