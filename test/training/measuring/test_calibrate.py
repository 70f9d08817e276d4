"""Fits whose right answer is known: truths are drawn from the distribution itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.grid import Grid
from cross_view_localizer.models.contract import Answer
from training.measuring.calibrate import HeldOut, assess, fit, fit_floor

OFFSETS = np.radians([-3.0, 0.0, 3.0])


def frames(count: int, seed: int, sharpness: float, outliers: float = 0.0) -> list[HeldOut]:
    """Mixtures of Gaussians of random width; scores ``sharpness`` times too sure of themselves."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        grid = Grid(48, 48, 1.0, tuple(random.uniform(-50, 50, 2)), random.uniform(-3, 3))
        uv = np.stack(np.meshgrid(np.arange(48), np.arange(48)), axis=-1)
        log = np.full((48, 48), -np.inf)
        for weight in random.dirichlet((6, 1, 1)):
            offset = uv - random.uniform(10, 37, 2)
            std = math.exp(random.uniform(-0.2, 1.7))
            log = np.logaddexp(log, math.log(weight / std**2) - (offset**2).sum(-1) / 2 / std**2)
        joint = np.stack([log - 1, log, log - 0.5])
        mass = np.exp(joint - joint.max())
        index = random.choice(mass.size, p=(mass / mass.sum()).ravel())
        heading, row, column = np.unravel_index(index, mass.shape)
        truth = grid.pixel_to_map((column, row) + random.uniform(-0.5, 0.5, 2))
        if random.random() < outliers:
            truth = grid.pixel_to_map(random.uniform(0, 47, 2))
        turn = float(OFFSETS[heading] + math.radians(random.uniform(-1.5, 1.5)))
        scores = (joint * sharpness).astype(np.float32)
        found.append(HeldOut(Answer(scores, OFFSETS), grid, truth, turn))
    return found


def test_the_temperature_is_found_and_the_covariance_is_honest_on_other_frames() -> None:
    calibration = fit({"": frames(400, 0, sharpness=2.5)})
    assert calibration.temperature == pytest.approx(2.5, rel=0.2)
    assert calibration.background < 0.03
    quality = assess(frames(400, 1, sharpness=2.5), calibration)
    assert 0.7 < quality["nees_per_dof"] < 1.4
    assert 0.85 < quality["coverage_90_region"] < 0.95
    assert quality["spearman_sigma_error"] > 0.3
    assert 0.7 < quality["yaw_nees"] < 1.4
    untouched = assess(frames(400, 1, sharpness=2.5), Calibration(floor_std=0.0))
    assert untouched["nees_per_dof"] > 2 and untouched["coverage_90_region"] < 0.8
    assert quality["nll_nats_per_m2"] < untouched["nll_nats_per_m2"]


def test_frames_that_fool_the_network_become_background() -> None:
    calibration = fit({"": frames(400, 2, sharpness=1.0, outliers=0.15)})
    assert calibration.background == pytest.approx(0.15, abs=0.06)
    quality = assess(frames(400, 3, sharpness=1.0, outliers=0.15), calibration)
    assert 0.6 < quality["nees_per_dof"] < 1.5
    assert 0.83 < quality["coverage_90_region"] < 0.97


def test_what_the_heatmap_cannot_know_becomes_the_floor() -> None:
    random = np.random.default_rng(4)
    stds = random.uniform(0.2, 3.0, 400)
    covariances = stds[:, None, None] ** 2 * np.eye(2)
    errors = random.normal(0, 1, (400, 2)) * np.sqrt(stds**2 + 0.8**2)[:, None]
    assert fit_floor(errors, covariances) == pytest.approx(0.8, abs=0.12)
    assert fit_floor(errors * 0.3, covariances) == 0.0


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 10"):
        fit({"": frames(5, 0, 1.0)})
    with pytest.raises(ValueError, match="5 of 'town-v2' frames .* at least 10"):
        fit({"town-v1": frames(20, 0, 1.0), "town-v2": frames(5, 0, 1.0)})
    with pytest.raises(ValueError, match="no frames .* at least 10"):
        fit({})


def test_of_several_looks_the_worst_one_counts() -> None:
    """The sharp look alone would be believed; the other's frames are too sure of themselves."""
    easy, hard = frames(120, 5, sharpness=1.0), frames(120, 6, sharpness=2.5, outliers=0.05)
    both = fit({"easy": easy, "hard": hard}, floor=0.3)
    alone = fit({"easy": easy})
    assert both.temperature > 1.5 > alone.temperature
    assert both.floor_std >= 0.3 and both.yaw_std >= alone.yaw_std
    held_out = frames(150, 7, sharpness=2.5, outliers=0.05)
    assert assess(held_out, both)["nees_per_dof"] < 1.6
    assert assess(held_out, alone)["nees_per_dof"] > 2
    assert assess(frames(150, 8, sharpness=1.0), both)["nees_per_dof"] < 1.2


def bumps(count: int, seed: int, beyond: float) -> list[HeldOut]:
    """One Gaussian each, narrow or wide, the truth off by ``beyond`` metres more than it knows."""
    random = np.random.default_rng(seed)
    found = []
    for std in random.choice([0.7, 6.0], count):
        grid = Grid(64, 64, 1.0, (0.0, 0.0))
        uv = np.stack(np.meshgrid(np.arange(64), np.arange(64)), axis=-1)
        middle = random.uniform(20, 43, 2)
        scores = (-((uv - middle) ** 2).sum(-1) / 2 / std**2).astype(np.float32)[None]
        truth = grid.pixel_to_map(middle + random.normal(0, std, 2) + random.normal(0, beyond, 2))
        found.append(HeldOut(Answer(scores, np.zeros(1)), grid, truth))
    return found


def test_floors_are_the_greatest_that_any_look_asks_for() -> None:
    exact, shifted = bumps(100, 9, 0.0), bumps(100, 10, 1.5)
    least = fit({"": exact}).floor_std
    both = fit({"exact": exact, "shifted": shifted}).floor_std
    assert least < 0.4 and both > 0.8
    assert fit({"": exact}, floor=0.6).floor_std == 0.6
