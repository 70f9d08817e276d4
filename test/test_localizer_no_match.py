"""The probability that image and map do not show the same place: gate, order and confidence."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from localizer_world import FlatWorld, prior_at
from scripted_model import SURE, Scripted, refused, scripted

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.estimate import Frame, Reason
from cross_view_localizer.gates import Judged, gate
from cross_view_localizer.localizer import LocalizerConfig


def telling(no_match: float | None, *blobs: tuple[float, float, float, float]) -> Scripted:
    model = Scripted(*(blobs or (SURE,)))
    model.no_match = no_match
    return model


def test_no_match_is_refused_and_keeps_the_raw_answer(world: FlatWorld, frame: Frame) -> None:
    sure = scripted(world, telling(None)).localize(frame, prior_at(3, 4, 0.3))
    wrong = scripted(world, telling(0.8)).localize(frame, prior_at(3, 4, 0.3))
    detail = refused(wrong, Reason.NO_MATCH)
    assert "probability 0.8: expected at most 0.5" in detail
    assert wrong.no_match == pytest.approx(0.8)
    # Given a match, everything is what it is without that probability.
    assert (
        wrong.raw_pose == sure.raw_pose and wrong.heatmap is not None and sure.heatmap is not None
    )
    np.testing.assert_array_equal(wrong.raw_covariance, sure.raw_covariance)
    np.testing.assert_array_equal(wrong.heatmap.log_mass, sure.heatmap.log_mass)
    assert wrong.confidence == pytest.approx(0.2 * sure.confidence)


def test_a_model_that_does_not_tell_is_not_gated(world: FlatWorld, frame: Frame) -> None:
    estimate = scripted(world, telling(None), max_no_match=0.0).localize(frame, prior_at(0, 0, 0.0))
    assert estimate.ok and estimate.no_match is None and estimate.confidence > 0.9


def test_the_gate_on_no_match_moves_and_opens(world: FlatWorld, frame: Frame) -> None:
    model = telling(0.4)
    front, prior = scripted(world, model), prior_at(0, 0, 0.0)
    assert front.localize(frame, prior).ok
    front.adjust(replace(front.config, max_no_match=0.3))
    refused(front.localize(frame, prior), Reason.NO_MATCH)
    model.no_match = 1.0
    front.adjust(replace(front.config, max_no_match=1.0))
    estimate = front.localize(frame, prior)
    assert estimate.ok and estimate.no_match == pytest.approx(1.0)
    assert estimate.confidence == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(ValueError, match="max_no_match 1.5: expected between 0 and 1"):
        LocalizerConfig(max_no_match=1.5)


def test_the_calibrated_probability_is_what_the_gate_sees(world: FlatWorld, frame: Frame) -> None:
    lenient = Calibration(no_match_scale=0.5, no_match_shift=-1.0)
    estimate = scripted(world, telling(0.6), lenient).localize(frame, prior_at(0, 0, 0.0))
    odds = math.sqrt(0.6 / 0.4) / math.e
    assert estimate.ok and estimate.no_match == pytest.approx(odds / (1 + odds))


def test_no_match_is_named_before_what_follows_from_it(world: FlatWorld, frame: Frame) -> None:
    prior = prior_at(0, 0, 0.0)
    blobs = ((4.0, 23.5, 6.0, 0.0), (43.0, 23.5, 6.0, -0.1))
    strict: dict[str, Any] = {"max_std": 1.0, "max_second_mode": 0.1, "max_prior_distance": 0.1}
    estimate = scripted(world, telling(0.9, *blobs), **strict).localize(frame, prior)
    refused(estimate, Reason.NO_MATCH)
    found = scripted(world, telling(0.1, *blobs), **strict).localize(frame, prior)
    refused(found, Reason.TOO_UNCERTAIN)
    # A heading beyond those that are searched explains no match, and not the other way round.
    judged = Judged(prior, 0.01, np.eye(3), [], np.zeros(2), np.eye(2), no_match=0.9)
    verdict = gate(LocalizerConfig(), judged)
    assert verdict is not None and verdict[0] is Reason.HEADING_TOO_WIDE


@pytest.mark.parametrize("broken", [math.nan, 1.5, -0.1])
def test_a_probability_that_is_none(world: FlatWorld, frame: Frame, broken: float) -> None:
    front = scripted(world, telling(broken), max_no_match=1.0)
    estimate = front.localize(frame, prior_at(0, 0, 0.0))
    assert "probability of no match" in refused(estimate, Reason.INTERNAL_ERROR)
    assert estimate.raw_pose is None and estimate.no_match is None
