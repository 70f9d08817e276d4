"""The benchmark's frames through the front door: towns as GeoTIFFs, frames as localize() calls."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cross_view_localizer.camera import Camera
from cross_view_localizer.estimate import Frame
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
from training.records import FrameRecord, record
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


def frames_of(
    town: Town, seed: int, view: View, count: int, stream: str
) -> Iterator[BenchmarkFrame]:
    """Yield ``count`` frames of a town, at least 10 m apart, with the benchmark's priors."""
    priors = benchmark_priors(seed, count)
    for index, pose in enumerate(town.poses(count, stream=stream, min_distance=10.0)):
        ground = render(town, pose, view, stream, index)
        yield BenchmarkFrame(seed, index, pose, ground, priors[index])


def camera_of(frame: GroundFrame, view: View) -> tuple[Camera, RigidTransform]:
    """Return the rendered camera and its pose in base_link, which is the levelled frame."""
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
) -> list[FrameRecord]:
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


def answer(localizer: Localizer, frame: BenchmarkFrame, picture: GroundFrame) -> FrameRecord:
    """Localize one frame, independently of those before."""
    localizer.clear()
    camera, mount = camera_of(picture, localizer.view)
    prior = prior_of(frame, frame.index + 1)
    estimate = localizer.localize(Frame(picture.image, prior.stamp, camera, mount), prior)
    pose = frame.pose
    return record(frame.town, (pose.x, pose.y, pose.yaw), (prior.x, prior.y), estimate)


def open_gates(config: LocalizerConfig | None = None) -> LocalizerConfig:
    """Return a configuration for measuring: the benchmark's wide uniform prior is let through."""
    return replace(config or LocalizerConfig(), prior_sigmas=1.5, reuse_aerial=False)
