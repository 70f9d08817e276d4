"""What the shipped front model publishes against the prior, on validation towns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from cross_view_localizer.estimate import Estimate, Frame, Reason
from cross_view_localizer.localizer import Localizer, LocalizerConfig
from cross_view_localizer.map.satellite_map import SatelliteMap
from cross_view_localizer.models.weights import load
from cross_view_localizer.prior.prior import Prior
from training.datasets.town import benchmark
from training.measuring.rows import frame_of

FRAMES = 24


@dataclass
class Scene:
    """A town's frames with the true poses of the camera, and what answers."""

    localizer: Localizer
    frames: list[Frame]
    truths: list[tuple[float, float, float]]
    random: np.random.Generator

    def localize(
        self, east_north: NDArray[np.float64], std: float, yaw_std: float, frame: int, place: int
    ) -> tuple[Estimate, NDArray[np.float64]]:
        """Return the answer to one frame at the prior of a place, and its error there."""
        x, y, yaw = self.truths[place]
        given = yaw + self.random.normal(0, yaw_std)
        prior = Prior(
            frame + 1,
            x + east_north[0],
            y + east_north[1],
            given,
            np.diag([std**2, std**2, yaw_std**2]),
            0.0,
            "test",
        )
        estimate = self.localizer.localize(self.frames[frame], prior)
        assert estimate.raw_pose is not None
        error = np.array(estimate.raw_pose) - (x, y, yaw)
        error[2] = math.remainder(error[2], math.tau)
        return estimate, error


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    model = load("front")
    cache = tmp_path_factory.mktemp("towns")
    reader = benchmark(model.model.view, "validation", range(30, 31), FRAMES, cache)
    labels = [reader.label(index) for index in range(FRAMES)]
    frames = [frame_of(reader.ground(label), i + 1) for i, label in enumerate(labels)]
    satellite_map = SatelliteMap.open(labels[0].aerial_file)
    localizer = Localizer(model, satellite_map, LocalizerConfig(reuse_aerial=False))
    truths = [(*label.position, label.yaw) for label in labels]
    yield Scene(localizer, frames, truths, np.random.default_rng(0))
    satellite_map.close()


def answers(
    scene: Scene,
    error: Callable[[], NDArray[np.float64]],
    std: float,
    yaw_std: float = math.radians(2),
    shift: int = 0,
) -> list[tuple[Estimate, NDArray[np.float64]]]:
    """Localize all frames, each at the prior of the frame ``shift`` further."""
    return [
        scene.localize(error(), std, yaw_std, i, (i + shift) % FRAMES)
        for i in range(len(scene.frames))
    ]


@pytest.mark.parametrize("degrees", [4.0, 10.0])
def test_the_yaw_is_honest_under_any_given_heading(scene: Scene, degrees: float) -> None:
    found = answers(scene, lambda: scene.random.normal(0, 4, 2), 4.0, math.radians(degrees))
    squares = [
        error[2] ** 2 / estimate.raw_covariance[2, 2]
        for estimate, error in found
        if estimate.raw_covariance is not None
    ]
    assert len(squares) == FRAMES and np.mean(squares) < 1.7
    refused = [estimate.reason is Reason.HEADING_TOO_WIDE for estimate, _ in found]
    assert all(refused) if degrees > 5.1 else not any(refused)


def test_receivers_that_understate_their_errors_cost_nothing(scene: Scene) -> None:
    def far() -> NDArray[np.float64]:
        angle, distance = scene.random.uniform(0, math.tau), scene.random.uniform(12, 15)
        return distance * np.array([math.cos(angle), math.sin(angle)])

    found = answers(scene, far, 6.0)
    good = [estimate for estimate, error in found if math.hypot(error[0], error[1]) < 3]
    assert len(good) > 0.75 * FRAMES
    assert not any(estimate.reason is Reason.PRIOR_DISAGREES for estimate in good)


def test_another_frames_picture_is_mostly_refused_where_the_prior_is_sure(scene: Scene) -> None:
    found = answers(scene, lambda: scene.random.normal(0, 1, 2), 1.0, shift=FRAMES // 2)
    published = [(e, error) for e, error in found if e.ok and e.covariance is not None]
    assert len(published) <= 0.5 * FRAMES
    assert sum(e.reason is Reason.PRIOR_DISAGREES for e, _ in found) >= 0.25 * FRAMES
    # What is still published says how little it knows.
    wrong = [
        error[:2] @ np.linalg.solve(e.covariance[:2, :2], error[:2])
        for e, error in published
        if math.hypot(error[0], error[1]) > 5 and e.covariance is not None
    ]
    assert sum(square > 9 for square in wrong) <= 0.15 * FRAMES
