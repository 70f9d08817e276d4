"""The endless stream of samples from procedural towns that training draws from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from torch.utils.data import IterableDataset

from cross_view_localizer.grid import Grid
from cross_view_localizer.map.search import aerial_grid
from cross_view_localizer.views import View
from training.datasets.aerial_source import AerialSource
from training.datasets.augment import augment
from training.datasets.sample import Sample, tilt_between
from training.town.seeds import check_training_seed
from training.town.town import CameraPose, GroundFrame, Town

YAW_NOISE = math.radians(5.0)


@dataclass(frozen=True)
class PriorError:
    """Where the heatmap's middle is put: truth plus (east, north) metres, and up: truth plus yaw,
    radians.
    """

    east: float
    north: float
    yaw: float


def heatmap_grid(view: View, pose: CameraPose, prior: PriorError) -> Grid:
    """Return the grid of the heatmap that a prior with this error gives (heading-up)."""
    center = (pose.x + prior.east, pose.y + prior.north)
    return Grid(view.output_size, view.output_size, view.output_gsd, center, pose.yaw + prior.yaw)


def make_sample(
    source: AerialSource,
    view: View,
    pose: CameraPose,
    frame: GroundFrame,
    prior: PriorError,
    group: int,
) -> Sample:
    """Crop the aerial picture where ``prior`` puts it and state the truth in it."""
    grid = heatmap_grid(view, pose, prior)
    u, v = grid.map_to_pixel((pose.x, pose.y))
    middle = (grid.width - 1) / 2
    return Sample(
        aerial=source.crop(aerial_grid(grid, view)),
        ground=frame.image,
        intrinsics=np.asarray(frame.intrinsics, dtype=np.float64),
        rotation=frame.rotation,
        tilt=tilt_between(frame.rotation, frame.true_rotation),
        height=frame.height,
        offset=np.array([u - middle, v - middle]) * grid.gsd,
        yaw=-prior.yaw,
        position=np.array([pose.x, pose.y]),
        heading=pose.yaw,
        group=group,
        cell=view.output_gsd,
    )


@dataclass
class _OpenTown:
    """A town in use: its frames, rendered when first asked for, each given ``uses`` times."""

    town: Town
    source: AerialSource
    poses: list[CameraPose]
    order: list[int]
    frames: dict[int, GroundFrame] = field(default_factory=dict)


class TownStream(IterableDataset[Sample]):
    """Endless training samples; each worker draws its own towns.

    Args:
        view: the pictures that the model wants.
        seed: of the stream; the same seed, worker count and version give the same samples.
        frames: poses rendered per town; uses: crops, with fresh prior and light, per rendered
            frame.
        pool: towns open at a time per worker, so that a batch holds several.
        towns: training seeds to draw from.
    """

    def __init__(
        self,
        view: View,
        seed: int,
        frames: int = 120,
        uses: int = 2,
        pool: int = 8,
        towns: Sequence[int] = range(100_000),
    ) -> None:
        check_training_seed(min(towns))
        check_training_seed(max(towns))
        self.view, self.seed = view, seed
        self.frames, self.uses, self.pool, self.towns = frames, uses, pool, towns
        self._running: Iterator[Sample] | None = None

    def __iter__(self) -> Iterator[Sample]:
        """Go on with the stream: a loader that asks anew each epoch must not get the same again."""
        if self._running is None:
            self._running = self._samples()
        return self._running

    def _samples(self) -> Iterator[Sample]:
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, 0 if worker is None else worker.id])
        cv2.setNumThreads(1)
        pool: list[_OpenTown] = []
        while True:
            if len(pool) < self.pool:
                pool.append(self._open(rng))
            index = int(rng.integers(len(pool)))
            yield self._draw(pool[index], rng)
            if not pool[index].order:
                pool.pop(index)

    def _open(self, rng: np.random.Generator) -> _OpenTown:
        town = Town(int(self.towns[int(rng.integers(len(self.towns)))]))
        poses = town.poses(self.frames, stream=f"train-{rng.integers(1 << 30)}")
        order = [i for _ in range(self.uses) for i in rng.permutation(len(poses)).tolist()]
        source = AerialSource(town.aerial, town.grid, self.view.aerial_gsd)
        return _OpenTown(town, source, poses, order)

    def _draw(self, opened: _OpenTown, rng: np.random.Generator) -> Sample:
        index = opened.order.pop(0)
        if index not in opened.frames:
            size = (self.view.ground, self.view.ground_width, self.view.ground_height)
            pose = opened.poses[index]
            opened.frames[index] = opened.town.render(pose, *size, stream="train", index=index)
        half = self.view.output_size * self.view.output_gsd / 2
        yaw = rng.uniform(-YAW_NOISE, YAW_NOISE)
        pose = opened.poses[index]
        right, up = rng.uniform(-half, half, 2)
        east = right * math.sin(pose.yaw + yaw) + up * math.cos(pose.yaw + yaw)
        north = -right * math.cos(pose.yaw + yaw) + up * math.sin(pose.yaw + yaw)
        prior = PriorError(east, north, yaw)
        frame = opened.frames[index]
        sample = make_sample(opened.source, self.view, pose, frame, prior, opened.town.seed)
        return augment(sample, rng)
