"""Pictures of the real samples beside what was found. They stay on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from cross_view_localizer.estimate import Estimate
from cross_view_localizer.grid import Grid
from cross_view_localizer.map.satellite_map import SatelliteMap
from training.demo.pictures import write_png
from training.demo.results import Frames
from training.demo.scenes import (
    ANSWER,
    HEIGHT,
    PRIOR,
    REFUSED,
    RGB,
    SIDE,
    TRUTH,
    HeatmapCells,
    SceneMaker,
    blended,
    mark,
    read_heatmaps,
    read_images,
)
from training.demo_real.panoramas import Answers
from training.demo_real.samples import Panorama
from training.town.drive_bag import IMAGE


def draw_drive(path: Path, folder: Path, frames: Frames) -> None:
    """Draw the first pass: every image beside its heatmap."""
    world = SatelliteMap.open(folder / "map.tif")
    images = read_images(folder / "drive", IMAGE)
    scenes = SceneMaker(frames, images, read_heatmaps(folder / "answers"), world)
    write_png(path, np.vstack([scenes.scene(i) for i in range(min(3, len(frames.stamp)))]))
    world.close()


def draw_panoramas(
    path: Path, panoramas: Sequence[Panorama], answers: Sequence[Answers], folder: Path
) -> None:
    """Draw every panorama beside the heatmap of its first centre."""
    rows = []
    for panorama, answer in zip(panoramas, answers, strict=True):
        width = 2 * HEIGHT
        image = cv2.resize(panorama.image, (width, HEIGHT), interpolation=cv2.INTER_AREA)
        world = SatelliteMap.open(folder / f"{panorama.name.replace(' ', '_')}.tif")
        rows.append(np.hstack([image, _overlay(world, answer, answer.estimates[0])]))
        world.close()
    write_png(path, np.vstack(rows))


def _overlay(world: SatelliteMap, answer: Answers, estimate: Estimate) -> RGB:
    prior = answer.truth + answer.shifts[0]
    grid = Grid(HEIGHT, HEIGHT, SIDE / HEIGHT, (float(prior[0]), float(prior[1])))
    picture = world.patch(grid).image.copy()
    if estimate.heatmap is not None:
        mass = np.exp(estimate.heatmap.log_mass)
        share = mass / mass.max()
        values = np.where(share < 0.01, 0, np.round(98 * np.sqrt(share))).astype(np.int8)
        picture = blended(picture, grid, HeatmapCells(values, estimate.heatmap.grid))
    mark(picture, grid, prior, PRIOR)
    if estimate.raw_pose is not None:
        color = ANSWER if estimate.ok else REFUSED
        mark(picture, grid, np.array(estimate.raw_pose[:2]), color)
    mark(picture, grid, answer.truth, TRUTH)
    return picture
