"""The probability of no match, fitted to pairs whose right answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.models.contract import Answer
from training.measuring.no_match import Told, assess_no_match, fit_no_match, told


def sigmoid(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def drawn(seed: int, apart: float, scale: float = 1.0, shift: float = 0.0) -> Told:
    """Unit Gaussians ``apart`` from each other: their true log-odds, wrongly scaled and shifted."""
    random = np.random.default_rng(seed)
    right, wrong = (random.normal(middle, 1, 1500) for middle in (-apart / 2, apart / 2))
    # The log-odds of two unit Gaussians at ±a/2 are a·x.
    return Told(*(sigmoid((apart * x - shift) / scale) for x in (right, wrong)))


def test_scale_and_shift_are_found() -> None:
    fitted = fit_no_match({"": drawn(0, 4.0, scale=0.5, shift=-1.5)}, Calibration(temperature=3.0))
    assert fitted.no_match_scale == pytest.approx(0.5, rel=0.15)
    assert fitted.no_match_shift == pytest.approx(-1.5, abs=0.35)
    assert fitted.temperature == 3.0
    right, wrong = 1 - np.array([0.0228, 0.9772])
    quality = assess_no_match(drawn(1, 4.0, scale=0.5, shift=-1.5), fitted)
    assert quality["right_passing"] == pytest.approx(right, abs=0.01)
    assert quality["wrong_passing"] == pytest.approx(wrong, abs=0.01)
    assert quality["auc"] > 0.99


def test_the_worst_look_keeps_96_percent_of_its_right_pairs() -> None:
    looks = {"clear": drawn(2, 6.0), "hard": drawn(3, 2.0)}
    fitted = fit_no_match(looks, Calibration())
    passing = {look: assess_no_match(one, fitted)["right_passing"] for look, one in looks.items()}
    assert passing["hard"] == pytest.approx(0.96, abs=0.002) and passing["clear"] > 0.99
    fresh = assess_no_match(drawn(4, 2.0), fitted)
    assert fresh["right_passing"] == pytest.approx(0.96, abs=0.015)
    # What the shift pays for: of the hard look's wrong pairs more pass.
    assert fresh["wrong_passing"] > assess_no_match(drawn(5, 6.0), fitted)["wrong_passing"]


@pytest.mark.parametrize("sure", [1.0, 1 - 1e-12])
def test_a_saturated_network_fits_too(sure: float) -> None:
    one = Told(np.full(50, 1 - sure), np.full(50, sure))
    fitted = fit_no_match({"": one}, Calibration())
    assert assess_no_match(one, fitted) == {"right_passing": 1.0, "wrong_passing": 0.0, "auc": 1.0}


def test_right_pairs_that_a_saturated_network_calls_wrong_pass_as_well() -> None:
    """One in ten is told to be wrong for certain: 96 % pass all the same, and others with them."""
    right = np.where(np.arange(200) % 10 == 0, 1.0, 0.1)
    fitted = fit_no_match({"": Told(right, np.full(200, 0.9))}, Calibration())
    assert assess_no_match(Told(right, np.full(200, 0.9)), fitted)["right_passing"] >= 0.96


def test_models_that_do_not_tell_are_left_alone() -> None:
    silent = Answer(np.zeros((1, 2, 2), np.float32), np.zeros(1))
    assert told([silent], [None]) is None
    assert told([silent._replace(no_match=0.2)], [0.9]) == Told(np.array([0.2]), np.array([0.9]))
