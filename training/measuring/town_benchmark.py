"""The benchmark's frames through the front door: towns as GeoTIFFs, frames as localize() calls."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cross_view_localizer.camera.camera import Camera
from cross_view_localizer.estimate import Frame
from cross_view_localizer.geo import RigidTransform
from cross_view_localizer.localizer import Localizer
from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.map.satellite_map import SatelliteMap
from cross_view_localizer.models.weights import LoadedModel
from cross_view_localizer.prior.prior import Prior
from cross_view_localizer.views import View
from training.datasets.town import render
from training.measuring.records import FrameRecord, record
from training.town.drive import write_map
from training.town.manifest import SETTINGS, BenchmarkFrame
from training.town.seeds import Split
from training.town.town import GroundFrame, Town


def camera_of(frame: GroundFrame, view: View) -> tuple[Camera, RigidTransform]:
    """Return the rendered camera and its pose in base_link, which is the levelled frame."""
    height, width = frame.image.shape[:2]
    if view.ground == "panorama":
        camera = Camera("equirectangular", width, height, None, ())
    else:
        camera = Camera("pinhole", width, height, frame.intrinsics, ())
    return camera, RigidTransform(frame.rotation, np.array([0.0, 0.0, frame.height]))


def prior_of(frame: BenchmarkFrame) -> Prior:
    """Return the benchmark's prior: uniform errors, stated by their variances."""
    variance = SETTINGS["half_prior"] ** 2 / 3
    turn = math.radians(SETTINGS["heading_degrees"])
    return Prior(
        stamp=frame.index + 1,
        x=frame.prior[0],
        y=frame.prior[1],
        yaw=frame.pose.yaw + frame.heading_error,
        covariance=np.diag([variance, variance, turn**2 / 3]),
        age=0.0,
        source="benchmark",
    )


def run_town(
    model: LoadedModel,
    frames: Sequence[BenchmarkFrame],
    split: Split,
    config: LocalizerConfig,
    shuffled: bool = False,
) -> list[FrameRecord]:
    """Localize the frames of one town.

    Args:
        shuffled: the control: every frame gets the picture of the frame half the town away.
    """
    town = Town(frames[0].seed)
    pictures = [render(town, f.pose, model.model.view, split, f.index) for f in frames]
    if shuffled:
        half = len(pictures) // 2
        pictures = pictures[half:] + pictures[:half]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.tif"
        write_map(path, town)
        satellite_map = SatelliteMap.open(path)
        localizer = Localizer(model, satellite_map, config)
        records = [
            answer(localizer, frame, picture)
            for frame, picture in zip(frames, pictures, strict=True)
        ]
        satellite_map.close()
    return records


def answer(localizer: Localizer, frame: BenchmarkFrame, picture: GroundFrame) -> FrameRecord:
    """Localize one frame, independently of those before."""
    localizer.clear()
    camera, mount = camera_of(picture, localizer.view)
    prior = prior_of(frame)
    estimate = localizer.localize(Frame(picture.image, prior.stamp, camera, mount), prior)
    pose = frame.pose
    return record(frame.seed, (pose.x, pose.y, pose.yaw), frame.prior, estimate)


def open_gates(config: LocalizerConfig | None = None) -> LocalizerConfig:
    """Return a configuration for measuring: the benchmark's wide uniform prior is let through."""
    return replace(config or LocalizerConfig(), prior_sigmas=1.5, reuse_aerial=False)
