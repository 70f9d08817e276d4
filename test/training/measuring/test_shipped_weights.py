"""Floors on what is shipped, on validation towns, through the front door."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from cross_view_localizer.models.weights import LoadedModel, load
from training.datasets.town import by_town
from training.measuring.records import FrameRecord, table
from training.measuring.town_benchmark import open_gates, run_town
from training.town.manifest import BenchmarkFrame
from training.town.manifest import load as load_frames

TOWNS, FRAMES = 6, 12


@pytest.fixture(scope="module")
def towns() -> list[list[BenchmarkFrame]]:
    return [group[:FRAMES] for group in by_town(load_frames("validation"))[20 : 20 + TOWNS]]


@pytest.fixture(scope="module", params=["front", "panorama"])
def model(request: pytest.FixtureRequest) -> LoadedModel:
    return load(request.param)


@pytest.fixture(scope="module")
def records(model: LoadedModel, towns: list[list[BenchmarkFrame]]) -> list[FrameRecord]:
    return localized(model, towns)


def localized(model: LoadedModel, towns: Sequence[Sequence[BenchmarkFrame]]) -> list[FrameRecord]:
    return [r for frames in towns for r in run_town(model, frames, "validation", open_gates())]


def test_errors_stay_below_their_floor(records: list[FrameRecord]) -> None:
    figures = table(records, draws=50)
    assert figures["frames"] == TOWNS * FRAMES
    assert figures["error"]["median"] < 2.0
    assert figures["error"]["mean"] < 5.0
    assert figures["error"]["median"] < 0.2 * figures["centre_only"]["median"]
    assert figures["lateral"]["median"] < 0.9
    assert abs(figures["lateral"]["bias"]) < 0.7


# A panorama's errors are little more than the imagery's misregistration, of which no picture tells.
RANKS = {"pinhole": 0.25, "panorama": 0.0}


def test_the_covariance_tells_the_error(model: LoadedModel, records: list[FrameRecord]) -> None:
    figures = table(records, draws=50)
    assert 0.3 < figures["nees_per_dof"] < 2.5
    assert 0.8 < figures["coverage_90_region"] < 0.99
    assert figures["spearman_sigma_error"] > RANKS[model.model.view.ground]


def test_moving_the_patch_does_not_move_the_peak(
    model: LoadedModel, towns: list[list[BenchmarkFrame]], records: list[FrameRecord]
) -> None:
    """A likelihood of positions, not of offsets from the patch's middle."""
    turn = np.random.default_rng(0)
    moved = [[five_metres_off(one, turn.uniform(-math.pi, math.pi)) for one in t] for t in towns]
    pairs = zip(records, localized(model, moved), strict=True)
    shifts = [
        math.dist(a.estimate[:2], b.estimate[:2]) for a, b in pairs if a.estimate and b.estimate
    ]
    assert len(shifts) == TOWNS * FRAMES
    assert np.median(shifts) < 0.5


def five_metres_off(frame: BenchmarkFrame, angle: float) -> BenchmarkFrame:
    x, y = frame.prior
    return replace(frame, prior=(x + 5 * math.cos(angle), y + 5 * math.sin(angle)))
