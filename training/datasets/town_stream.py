"""The endless stream of samples from procedural towns that training draws from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from cross_view_localizer.camera.camera import Camera
from cross_view_localizer.camera.view_maker import ViewMaker
from cross_view_localizer.geo import RigidTransform
from cross_view_localizer.grid import Grid
from cross_view_localizer.map.search import aerial_grid
from cross_view_localizer.views import View
from training.datasets.aerial_source import AerialSource
from training.datasets.augment import augment
from training.datasets.no_match import half_covered, unmatched
from training.datasets.sample import Sample, tilt_between
from training.town.editions import Edition, rules_of
from training.town.seeds import check_training_seed
from training.town.town import CameraPose, GroundFrame, Town

YAW_NOISE = math.radians(5.0)
# Share of the samples with a partly covered lens, where some show two places.
HALF_COVERED = 0.02
# A wrong map's middle is so much further from the truth than any that a heatmap reaches, metres.
FAR, TRIES = 10.0, 20


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
    image, intrinsics, mask = shown(frame, view)
    return Sample(
        aerial=source.crop(aerial_grid(grid, view)),
        ground=image,
        intrinsics=intrinsics,
        rotation=frame.rotation,
        tilt=tilt_between(frame.rotation, frame.true_rotation),
        height=frame.height,
        offset=np.array([u - middle, v - middle]) * grid.gsd,
        yaw=-prior.yaw,
        position=np.array([pose.x, pose.y]),
        heading=pose.yaw,
        group=group,
        cell=view.output_gsd,
        mask=mask,
        height_error=math.log(frame.true_height / frame.height),
    )


def shown(
    frame: GroundFrame, view: View
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.uint8] | None]:
    """Return a frame's picture, intrinsics and mask as a vehicle would give them to the model."""
    height, width = frame.image.shape[:2]
    if (width, height) == (view.ground_width, view.ground_height):
        return frame.image, np.asarray(frame.intrinsics, dtype=np.float64), None
    camera = Camera("pinhole", width, height, frame.intrinsics)
    mounting = RigidTransform(frame.rotation, np.array([0.0, 0.0, frame.height]))
    maker = ViewMaker(camera, mounting, view)
    return maker(frame.image), maker.intrinsics, maker.mask


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
        editions: shares of the towns' editions; None: town-v1 alone.
        no_match_share: of samples whose pictures do not show the same place; where there are any, a
            few of the others come from a lens that is partly covered.

    Raises:
        ValueError: seeds or editions kept from training, shares that make no sense; one line.
    """

    def __init__(
        self,
        view: View,
        seed: int,
        frames: int = 120,
        uses: int = 2,
        pool: int = 8,
        towns: Sequence[int] = range(100_000),
        editions: Mapping[Edition, float] | None = None,
        no_match_share: float = 0.0,
    ) -> None:
        check_training_seed(min(towns))
        check_training_seed(max(towns))
        if not 0 <= no_match_share < 1:
            raise ValueError(f"no_match_share {no_match_share}: expected from 0 to less than 1")
        self.view, self.seed = view, seed
        self.editions, self.no_match_share = shares(editions), no_match_share
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
            # A map of another look with this look's picture would be told by the paint.
            alike = [one for one in pool if one.town.edition == pool[index].town.edition]
            yield self._varied(self._draw(pool[index], rng), alike, rng)
            if not pool[index].order:
                pool.pop(index)

    def _open(self, rng: np.random.Generator) -> _OpenTown:
        names = list(self.editions)
        one = len(names) == 1
        edition = names[0 if one else int(rng.choice(len(names), p=list(self.editions.values())))]
        town = Town(int(self.towns[int(rng.integers(len(self.towns)))]), edition)
        poses = town.poses(self.frames, stream=f"train-{rng.integers(1 << 30)}")
        order = [i for _ in range(self.uses) for i in rng.permutation(len(poses)).tolist()]
        source = AerialSource(town.aerial, town.grid, self.view.aerial_gsd)
        return _OpenTown(town, source, poses, order)

    def _draw(self, opened: _OpenTown, rng: np.random.Generator) -> Sample:
        index = opened.order.pop(0)
        if index not in opened.frames:
            opened.frames[index] = self._rendered(opened.town, opened.poses[index], index)
        half = self.view.output_size * self.view.output_gsd / 2
        yaw = rng.uniform(-YAW_NOISE, YAW_NOISE)
        pose = opened.poses[index]
        right, up = rng.uniform(-half, half, 2)
        east = right * math.sin(pose.yaw + yaw) + up * math.cos(pose.yaw + yaw)
        north = -right * math.cos(pose.yaw + yaw) + up * math.sin(pose.yaw + yaw)
        prior = PriorError(east, north, yaw)
        frame = opened.frames[index]
        return make_sample(opened.source, self.view, pose, frame, prior, opened.town.seed)

    def _rendered(self, town: Town, pose: CameraPose, index: int) -> GroundFrame:
        """Render a frame as large as its camera gives it to the view."""
        view = self.view
        rig = town.rig(view.ground, "train", index)
        size = rig.picture(view.ground_width, view.ground_height, view.pad)
        return town.render(pose, view.ground, *size, stream="train", index=index, rig=rig)

    def _varied(
        self, sample: Sample, pool: Sequence[_OpenTown], rng: np.random.Generator
    ) -> Sample:
        """Vary a sample's light; make some that show two places, or one of them hardly."""
        if self.no_match_share:
            luck = rng.random()
            if luck < self.no_match_share:
                sample = unmatched(sample, self._elsewhere(sample, pool, rng), rng)
            elif luck < self.no_match_share + HALF_COVERED:
                sample = replace(sample, ground=half_covered(sample, rng))
        return augment(sample, rng)

    def _elsewhere(
        self, sample: Sample, pool: Sequence[_OpenTown], rng: np.random.Generator
    ) -> NDArray[np.uint8] | None:
        """Return a map of another place, as a prior that is far off gives it; None: none found."""
        half = self.view.output_size * self.view.output_gsd / 2
        reach = half * math.sqrt(2) + FAR
        for _ in range(TRIES):
            other = pool[int(rng.integers(len(pool)))]
            pose = other.poses[int(rng.integers(len(other.poses)))]
            # As far off the street as a right sample's map, or that would tell them apart.
            east, north = rng.uniform(-half, half, 2)
            prior = PriorError(float(east), float(north), sample.yaw)
            middle = (pose.x + prior.east, pose.y + prior.north)
            if other.town.seed == sample.group and math.dist(sample.position, middle) < reach:
                continue
            grid = heatmap_grid(self.view, pose, prior)
            return other.source.crop(aerial_grid(grid, self.view))
        return None


def shares(editions: Mapping[Edition, float] | None) -> dict[Edition, float]:
    """Return how often training is to see which edition; the shares' sum is one.

    Raises:
        ValueError: an edition kept from training, or shares that make no sense; one line.
    """
    given: dict[Edition, float] = {"town-v1": 1.0} if editions is None else dict(editions)
    for edition, share in given.items():
        if not rules_of(edition).trained:
            raise ValueError(f"edition '{edition}' is kept from training: expected another")
        if not 0 < share < math.inf:
            raise ValueError(f"edition '{edition}' has share {share}: expected a positive number")
    if not given:
        raise ValueError("no editions to train on: expected at least one")
    total = sum(given.values())
    return {edition: share / total for edition, share in given.items()}
