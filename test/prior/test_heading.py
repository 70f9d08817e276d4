"""Fits under the noise they are made for: the errors must be as large as the fits say."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest

from cross_view_localizer.prior.config import PriorConfig
from cross_view_localizer.prior.heading import Fix, OdometryAligner, course, regress, velocity
from cross_view_localizer.prior.stamp_gate import SECOND

CONFIG = PriorConfig()
ZERO = 0.7


def noisy_fixes(
    seconds: np.ndarray, track: np.ndarray, rng: np.random.Generator, std: float = 6.0
) -> list[Fix]:
    """Return fixes with the Gauss-Markov and white errors of the demo drive's receiver."""
    error, out = complex(*rng.normal(0, std, 2)), []
    for index, time in enumerate(seconds):
        keep = math.exp(-(time - seconds[max(index - 1, 0)]) / 60.0)
        error = keep * error + math.sqrt(1 - keep**2) * complex(*rng.normal(0, std, 2))
        white = complex(*rng.normal(0, 0.5, 2))
        variance = std**2 + 0.25
        stamp = round(time * SECOND)
        out.append(Fix(stamp, complex(track[index]) + error + white, (variance, 0.0, variance)))
    return out


def bent_track(seconds: np.ndarray, speed: float = 8.0) -> np.ndarray:
    """Return a track with a right-angled corner."""
    return np.where(seconds < 12, speed * seconds, speed * (12 + 1j * (seconds - 12)))


def test_the_odometrys_zero_is_found_with_an_honest_deviation() -> None:
    seconds = np.arange(25.0)
    track = bent_track(seconds)
    errors, deviations = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        aligner = OdometryAligner(CONFIG)
        for index, fix in enumerate(noisy_fixes(seconds, track, rng)):
            aligner.add(fix, complex(track[index]) * cmath.rect(1, -ZERO) + 7j, 8.0 * index)
        found = aligner.zero(25 * SECOND)
        assert found is not None
        errors.append(math.remainder(found[0] - ZERO, math.tau))
        deviations.append(math.sqrt(found[1]))
    nees = np.mean((np.array(errors) / deviations) ** 2)
    assert 0.5 < nees < 1.6, nees
    assert float(np.median(deviations)) < math.radians(2.5)
    assert abs(float(np.mean(errors))) < math.radians(0.7)


def test_a_multipath_step_turns_the_track_little_and_is_owned_up_to() -> None:
    seconds = np.arange(30.0)
    track = np.asarray(8.0 * seconds, dtype=np.complex128)
    shifts, deviations = [], []
    for seed in range(20):
        fixes = noisy_fixes(seconds, track, np.random.default_rng(seed), std=1.0)
        stepped = [
            fix._replace(position=fix.position + (15j if index >= 20 else 0))
            for index, fix in enumerate(fixes)
        ]
        plain, robust = regress(track, fixes, 60.0, 0.5), regress(track, stepped, 60.0, 0.5)
        assert plain is not None and robust is not None
        shifts.append(abs(cmath.phase(robust.value) - cmath.phase(plain.value)))
        deviations.append(math.sqrt(robust.variance))
    assert np.mean(shifts) < 0.4 * 0.074, "what least squares would be off"
    assert np.mean(np.square(shifts)) < 4 * np.mean(np.square(deviations))


def test_the_zero_fades_when_it_is_not_renewed_and_needs_a_way() -> None:
    aligner = OdometryAligner(CONFIG)
    for index in range(3):
        fix = Fix(index * SECOND, 8.0 * index + 0j, (0.01, 0.0, 0.01))
        aligner.add(fix, 8.0 * index + 0j, 8.0 * index)
    assert aligner.zero(2 * SECOND) is None, "16 m are too short"
    aligner.add(Fix(3 * SECOND, 24.0 + 0j, (0.01, 0.0, 0.01)), 24.0 + 0j, 24.0)
    soon, late = aligner.zero(3 * SECOND), aligner.zero(600 * SECOND)
    assert soon is not None and late is not None and late[1] > soon[1]
    assert aligner.zero(3600 * SECOND) is None


def test_only_the_last_stretch_counts_because_odometry_drifts() -> None:
    aligner, drift, position, track = OdometryAligner(CONFIG), 0.002, 0j, 0j
    for index in range(200):
        exact = (0.01, 0.0, 0.01)
        aligner.add(Fix(index * SECOND, position, exact), track, 8.0 * index)
        position += 8.0
        track += cmath.rect(8.0, drift * index)
    found = aligner.zero(199 * SECOND)
    assert found is not None
    off = found[0] + drift * 199
    assert abs(off) < drift * 200 / 8 / 2 * 1.2
    assert found[1] > 0.003**2 * 20 / 3, "its own drift within the window is reckoned with"


def test_a_track_of_another_scale_is_not_aligned() -> None:
    aligner = OdometryAligner(CONFIG)
    for index in range(12):
        fix = Fix(index * SECOND, 8.0 * index + 0j, (1.0, 0.0, 1.0))
        aligner.add(fix, 4.0 * index + 0j, 4.0 * index)
    assert aligner.zero(12 * SECOND) is None


@pytest.mark.parametrize("rate", [1, 5])
def test_course_and_velocity_have_honest_deviations(rate: int) -> None:
    seconds = np.arange(0.0, 3.01, 1.0 / rate)
    track = 8.0 * seconds * cmath.rect(1.0, 1.1)
    turns, speeds = [], []
    for seed in range(80):
        fixes = noisy_fixes(seconds, track, np.random.default_rng(seed))
        mean, found = velocity(fixes, CONFIG), course(fixes, CONFIG)
        assert mean is not None and found is not None
        speeds.append(abs(mean.value - cmath.rect(8.0, 1.1)) ** 2 / 2 / mean.variance)
        turns.append((found[0].yaw - 1.1) ** 2 / found[0].variance)
        assert found[1] == round(1.5 * SECOND)
    assert 0.5 < np.mean(speeds) < 1.6 and 0.5 < np.mean(turns) < 1.6


def test_too_little_gives_nothing() -> None:
    one = Fix(0, 0j, (1.0, 0.0, 1.0))
    assert velocity([], CONFIG) is None and velocity([one], CONFIG) is None
    same_place = np.zeros(3, dtype=np.complex128)
    fixes = [one._replace(stamp=index * SECOND) for index in range(3)]
    assert regress(same_place, fixes, 60.0, 0.5) is None
    assert course(fixes, CONFIG) is None
