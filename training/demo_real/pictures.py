"""Pictures of the real samples beside what was found. They stay on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

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
from training.demo_real.trials import Trial
from training.town.drive_bag import IMAGE


def draw_drive(path: Path, folder: Path, frames: Frames) -> None:
    """Draw the first pass: every image beside its heatmap."""
    world = SatelliteMap.open(folder / "map.tif")
    images = read_images(folder / "drive", IMAGE)
    scenes = SceneMaker(frames, images, read_heatmaps(folder / "answers"), world)
    write_png(path, np.vstack([scenes.scene(i) for i in range(min(3, len(frames.stamp)))]))
    world.close()


def draw_trials(path: Path, trials: Sequence[Trial]) -> None:
    """Draw every picture beside the heatmap of its first prior."""
    rows = []
    for one in trials:
        image = _fitted(one.scene.image, 2 * HEIGHT)
        world = SatelliteMap.open(one.scene.map)
        rows.append(np.hstack([image, _overlay(world, one)]))
        world.close()
    write_png(path, np.vstack(rows))


def _fitted(image: RGB, width: int) -> RGB:
    """Return a picture as wide as asked, in the middle of a black one of ``HEIGHT`` rows."""
    height = min(round(image.shape[0] * width / image.shape[1]), HEIGHT)
    result = np.zeros((HEIGHT, width, 3), np.uint8)
    top = (HEIGHT - height) // 2
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    result[top : top + height] = small
    return result


def _overlay(world: SatelliteMap, trial: Trial) -> RGB:
    estimate, prior = trial.first, trial.first.prior
    assert prior is not None
    center = np.array([prior.x, prior.y])
    grid = Grid(HEIGHT, HEIGHT, SIDE / HEIGHT, (prior.x, prior.y))
    picture = world.patch(grid).image.copy()
    if estimate.heatmap is not None:
        mass = np.exp(estimate.heatmap.log_mass)
        share = mass / mass.max()
        values = np.where(share < 0.01, 0, np.round(98 * np.sqrt(share))).astype(np.int8)
        picture = blended(picture, grid, HeatmapCells(values, estimate.heatmap.grid))
    mark(picture, grid, center, PRIOR)
    if estimate.raw_pose is not None:
        color = ANSWER if estimate.ok else REFUSED
        mark(picture, grid, np.array(estimate.raw_pose[:2]), color)
    mark(picture, grid, np.array(trial.scene.truth[:2]), TRUTH)
    return picture
