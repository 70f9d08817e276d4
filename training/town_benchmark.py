"""The benchmark's frames through the front door: each town as a GeoTIFF, each frame a localize()."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.camera import Camera
from cross_view_localizer.estimate import Estimate, Frame
from cross_view_localizer.geo import RigidTransform
from cross_view_localizer.localizer import Localizer
from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.models.contract import View
from cross_view_localizer.models.weights import LoadedModel
from cross_view_localizer.prior import Prior
from cross_view_localizer.satellite_map import SatelliteMap
from training.datasets.town import (
    PRIOR_HALF,
    YAW_NOISE,
    PriorError,
    benchmark_priors,
    render,
)
from training.town.drive import write_map
from training.town.town import CameraPose, GroundFrame, Town


@dataclass(frozen=True)
class BenchmarkFrame:
    """One frame: what was drawn, what was rendered, and where the prior puts the vehicle."""

    town: int
    index: int
    pose: CameraPose
    ground: GroundFrame
    prior: PriorError


@dataclass(frozen=True)
class Answer:
    """What came out for one frame.

    Attributes:
        frame: the question.
        estimate: as localize() gave it; its raw pose counts also where a gate refused.
        density: log density at the true position, nats per m².
        level: mass of the cells denser than the one at the truth: inside the 90 % region below 0.9.
    """

    frame: BenchmarkFrame
    estimate: Estimate
    density: float
    level: float


def frames_of(
    town: Town, seed: int, view: View, count: int, stream: str
) -> Iterator[BenchmarkFrame]:
    """Yield ``count`` frames of a town, at least 10 m apart, with the benchmark's priors."""
    priors = benchmark_priors(seed, count)
    for index, pose in enumerate(town.poses(count, stream=stream, min_distance=10.0)):
        ground = render(town, pose, view, stream, index)
        yield BenchmarkFrame(seed, index, pose, ground, priors[index])


def camera_of(frame: GroundFrame, view: View) -> tuple[Camera, RigidTransform]:
    """Return the rendered camera and its optical frame in base_link, which is the levelled frame."""
    height, width = frame.image.shape[:2]
    if view.ground == "panorama":
        camera = Camera("equirectangular", width, height, None, ())
    else:
        camera = Camera("pinhole", width, height, frame.intrinsics, ())
    return camera, RigidTransform(frame.rotation, np.array([0.0, 0.0, frame.height]))


def prior_of(frame: BenchmarkFrame, stamp: int) -> Prior:
    """Return the benchmark's prior: uniform errors, stated by their variances."""
    variance = PRIOR_HALF**2 / 3
    covariance = np.diag([variance, variance, YAW_NOISE**2 / 3])
    pose, error = frame.pose, frame.prior
    return Prior(
        stamp=stamp,
        x=pose.x + error.east,
        y=pose.y + error.north,
        yaw=pose.yaw + error.yaw,
        covariance=covariance,
        age=0.0,
        source="benchmark",
    )


def run_town(
    model: LoadedModel,
    seed: int,
    count: int,
    stream: str,
    config: LocalizerConfig,
    shuffled: bool = False,
) -> list[Answer]:
    """Localize ``count`` frames of town ``seed``.

    Args:
        shuffled: the control: every frame gets the picture of the frame half the town away.
    """
    town = Town(seed)
    frames = list(frames_of(town, seed, model.model.view, count, stream))
    pictures = [frame.ground for frame in frames]
    if shuffled:
        half = len(pictures) // 2
        pictures = pictures[half:] + pictures[:half]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.tif"
        write_map(path, town)
        satellite_map = SatelliteMap.open(path)
        localizer = Localizer(model, satellite_map, config)
        answers = [
            answer(localizer, frame, picture)
            for frame, picture in zip(frames, pictures, strict=True)
        ]
        satellite_map.close()
    return answers


def answer(localizer: Localizer, frame: BenchmarkFrame, picture: GroundFrame) -> Answer:
    """Localize one frame, independently of those before."""
    localizer.clear()
    camera, mount = camera_of(picture, localizer.view)
    stamp = frame.index + 1
    estimate = localizer.localize(
        Frame(picture.image, stamp, camera, mount), prior_of(frame, stamp)
    )
    truth = (frame.pose.x, frame.pose.y)
    if estimate.heatmap is None:
        return Answer(frame, estimate, float("nan"), float("nan"))
    return Answer(
        frame,
        estimate,
        float(estimate.heatmap.log_density(truth)),
        float(estimate.heatmap.credible_level(truth)),
    )


def columns(answers: Sequence[Answer]) -> dict[str, NDArray[np.float64]]:
    """Return what the metrics want, one row per frame.

    "truth", "estimate" and "prior" are (N, 3) of x, y, yaw; "covariance" (N, 3, 3); "town",
    "density" and "level" (N,). Frames without an answer have the prior as their estimate.
    """
    rows = []
    for one in answers:
        pose, error = one.frame.pose, one.frame.prior
        prior = (pose.x + error.east, pose.y + error.north, pose.yaw + error.yaw)
        found = one.estimate.raw_pose or prior
        covariance = one.estimate.raw_covariance
        if covariance is None:
            covariance = np.diag([PRIOR_HALF**2 / 3] * 2 + [YAW_NOISE**2 / 3])
        rows.append(
            {
                "truth": (pose.x, pose.y, pose.yaw),
                "estimate": found,
                "prior": prior,
                "covariance": covariance,
                "town": one.frame.town,
                "density": one.density,
                "level": one.level,
                "ok": float(one.estimate.status == "ok"),
            }
        )
    return {key: np.array([row[key] for row in rows], dtype=np.float64) for key in rows[0]}


def open_gates(config: LocalizerConfig | None = None) -> LocalizerConfig:
    """Return a configuration for measuring: the benchmark's wide uniform prior is let through."""
    return replace(config or LocalizerConfig(), prior_sigmas=1.5, reuse_aerial=False)
