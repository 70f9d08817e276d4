"""One row per evaluated frame, and the table that rows make."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cross_view_localizer.estimate import Estimate
from training.measuring import metrics


@dataclass(frozen=True)
class FrameRecord:
    """What one frame gave.

    Attributes:
        town: its group for error bars.
        truth: (x, y, yaw) of the camera, metres and radians.
        prior: (x, y) of the prior: the centre-only control.
        estimate: (x, y, yaw), raw: also where a gate refused; None where the network did not run.
        covariance: (3, 3) rows, raw, or None.
        log_density: of the heatmap at the truth, nats per m².
        level: credible level of the truth.
        entropy, confidence: of the heatmap.
        reason: why it was refused; empty when it was not.
    """

    town: int
    truth: tuple[float, float, float]
    prior: tuple[float, float]
    estimate: tuple[float, float, float] | None
    covariance: list[list[float]] | None
    log_density: float
    level: float
    entropy: float
    confidence: float
    reason: str = ""

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self))


def record(
    town: int, truth: tuple[float, float, float], prior: tuple[float, float], estimate: Estimate
) -> FrameRecord:
    """Turn an Estimate into a row; ``base_link`` must be the camera's point on the road."""
    heatmap, bounds = estimate.heatmap, estimate.raw_covariance
    return FrameRecord(
        town=town,
        truth=truth,
        prior=prior,
        estimate=estimate.raw_pose,
        covariance=None if bounds is None else bounds.tolist(),
        log_density=-np.inf if heatmap is None else float(heatmap.log_density(truth[:2])),
        level=1.0 if heatmap is None else heatmap.credible_level(truth[:2]),
        entropy=0.0 if heatmap is None else heatmap.entropy(),
        confidence=estimate.confidence,
        reason="" if estimate.reason is None else estimate.reason.value,
    )


def table(records: Sequence[FrameRecord], draws: int = 2000) -> dict[str, Any]:
    """Return every figure of evaluation.md over all frames, with 95 % intervals over towns.

    A frame without an estimate counts with its prior as the position, and is named under "refused".

    Raises:
        ValueError: where there is no frame.
    """
    if not records:
        raise ValueError("no frames to tabulate: expected at least one record")
    towns = np.array([r.town for r in records])
    truth = np.array([r.truth for r in records])
    prior = np.array([r.prior for r in records])
    found = np.array([(r.estimate or (*r.prior, r.truth[2])) for r in records])
    errors = metrics.distances(found[:, :2], truth[:, :2])
    along, across = metrics.longitudinal_lateral(found[:, :2], truth[:, :2], truth[:, 2])
    answered = np.array([r.reason == "" for r in records])
    turn = metrics.heading_errors(found[:, 2], truth[:, 2])
    result: dict[str, Any] = {
        "frames": len(records),
        "towns": len(np.unique(towns)),
        "error": metrics.error_summary(errors),
        "error_median_95": metrics.bootstrap(errors, towns, draws=draws),
        "error_mean_95": metrics.bootstrap(errors, towns, lambda v: float(v.mean()), draws),
        "longitudinal": _axis(along),
        "lateral": _axis(across),
        "heading_degrees": _axis(turn),
        "centre_only": metrics.error_summary(metrics.distances(prior, truth[:, :2])),
        "refused": dict(Counter(r.reason for r in records if r.reason)),
        "gated": {"share": float(answered.mean())},
    }
    if answered.any():
        result["gated"] |= metrics.error_summary(errors[answered])
    return result | _calibration(records, found[:, :2] - truth[:, :2], errors)


def _axis(signed: metrics.Floats) -> dict[str, float]:
    size = np.abs(signed)
    return {
        "bias": float(signed.mean()),
        "mean": float(size.mean()),
        "median": float(np.median(size)),
        **{f"recall_{r:g}": metrics.recall(size, r) for r in metrics.RECALLS},
    }


def _calibration(
    records: Sequence[FrameRecord], difference: metrics.Floats, errors: metrics.Floats
) -> dict[str, float]:
    """Figures of the covariance and the heatmap, over the frames that have them."""
    ran = np.array([r.covariance is not None for r in records])
    if not ran.any():
        return {}
    bounds = np.array([r.covariance for r in records if r.covariance is not None])[:, :2, :2]
    sigma = np.sqrt(np.trace(bounds, axis1=1, axis2=2) / 2)
    density = np.array([r.log_density for r in records])[ran]
    # A truth outside the support has no density; it is counted, not averaged.
    inside = np.isfinite(density)
    return {
        "nees_per_dof": float(metrics.nees(difference[ran], bounds).mean()),
        "coverage_90_region": metrics.coverage(
            [r.level for r in records if r.covariance is not None]
        ),
        "coverage_90_ellipse": metrics.ellipse_coverage(difference[ran], bounds),
        "spearman_sigma_error": metrics.spearman(sigma, errors[ran]),
        "sigma_median": float(np.median(sigma)),
        "nll_nats_per_m2": float(-density[inside].mean()) if inside.any() else float("inf"),
        "outside_support": float(1 - inside.mean()),
    }
