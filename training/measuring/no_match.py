"""Fits the probability that two pictures do not show the same place, on pairs that do and pairs
that do not, so that the look of the world where it is worst counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from cross_view_localizer.belief.calibration import SURE, Calibration
from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.models.contract import Answer
from training.measuring import metrics

GATE = LocalizerConfig.max_no_match
PASSING = 0.96  # of the right pairs, on every look


@dataclass(frozen=True)
class Told:
    """What a network said of no match: (N,) of right pairs, (M,) of wrong ones."""

    right: NDArray[np.float64]
    wrong: NDArray[np.float64]

    def halves(self) -> tuple[Told, Told]:
        """Return the first halves of both, and the second ones."""
        r, w = len(self.right) // 2, len(self.wrong) // 2
        return Told(self.right[:r], self.wrong[:w]), Told(self.right[r:], self.wrong[w:])


def told(right: Sequence[Answer], wrong: Sequence[float | None]) -> Told | None:
    """Return what answers say; None where the model does not tell."""
    own = [answer.no_match for answer in right]
    if None in own or None in wrong or not own or not wrong:
        return None
    return Told(np.array(own, np.float64), np.array(wrong, np.float64))


def fit_no_match(looks: Mapping[str, Told], base: Calibration) -> Calibration:
    """Return the calibration with scale and shift of the log-odds.

    First by likelihood, both kinds of pairs weighing the same, on the look where that is worst;
    then, where less than 96 % of the right pairs of some look would pass a gate of 0.5, the shift
    is lowered until they do.
    """
    odds = {look: (_log_odds(one.right), _log_odds(one.wrong)) for look, one in looks.items()}

    def cost(parameters: NDArray[np.float64]) -> float:
        scale, shift = math.exp(parameters[0]), parameters[1]
        return max(
            float(
                np.logaddexp(0, scale * right + shift).mean()
                + np.logaddexp(0, -scale * wrong - shift).mean()
            )
            for right, wrong in odds.values()
        )

    # From scales of 0.02 to 50: where both kinds are apart, the likeliest scale is infinite.
    found = minimize(cost, [0.0, 0.0], method="Nelder-Mead", bounds=[(-4, 4), (-20, 20)])
    scale, shift = math.exp(found.x[0]), float(found.x[1])
    limit = math.log(GATE / (1 - GATE))
    highest = max(float(np.quantile(right, PASSING, method="higher")) for right, _ in odds.values())
    # A hair more than just passing, so that rounding refuses none of them.
    shift = min(shift, limit - scale * highest - 1e-6)
    return replace(base, no_match_scale=scale, no_match_shift=shift)


def assess_no_match(one: Told, calibration: Calibration) -> dict[str, float]:
    """Return the shares of right and wrong pairs that pass the gate, and how often a wrong pair
    is told by more than a right one.
    """
    right, wrong = (calibration.no_match(values) for values in (one.right, one.wrong))
    return {
        "right_passing": float(np.mean(right <= GATE)),
        "wrong_passing": float(np.mean(wrong <= GATE)),
        "auc": metrics.auc(right, wrong),
    }


def _log_odds(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    kept = np.clip(probability, SURE, 1 - SURE)
    return np.asarray(np.log(kept) - np.log1p(-kept))
