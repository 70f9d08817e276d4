"""A reader over the flat world of the Localizer's tests: few rows, with the frame before each.

Cameras stand still in ``base_link``'s levelled frame; each row's drive comes round a bend.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from localizer_world import PINHOLE, FlatWorld, mounting

from cross_view_localizer.estimate import Motion
from cross_view_localizer.geo import RigidTransform
from cross_view_localizer.grid import Grid
from training.datasets.pair import RGB, DatasetError, GroundPicture, Label, Reader

MOUNT = mounting(1.2, -0.4, 1.6, pitch=0.2, yaw=0.15)
BEFORE: Motion = (-3.0, 0.8, -0.35)
"""Where base_link was a frame ago, in itself now."""
NOISE = math.radians(8.0)


class FlatReader(Reader):
    """Rows of `WORLD`: the same for every split, so that a training is judged on what it saw.

    Args:
        split: only a name.
        count: rows; every three of them stand within a few metres.
        frames: pictures that each row has.
    """

    WORLD: ClassVar[FlatWorld]

    def __init__(self, split: str = "train", count: int = 8, frames: int = 2) -> None:
        self.tags, self.problems = {"dataset": "flat", "split": split}, []
        self.frames = frames
        random = np.random.default_rng(5)
        blocks = np.repeat(random.uniform(-80, 80, (count, 2)), 3, axis=0)[:count]
        places = blocks + random.uniform(-6, 6, (count, 2))
        yaws = random.uniform(-math.pi, math.pi, count)
        rows = np.column_stack([places, yaws]).tolist()
        self.bases: list[Motion] = [(x, y, yaw) for x, y, yaw in rows]
        self.shifts = random.uniform(-8, 8, (count, 2))
        self.noises = random.uniform(-NOISE, NOISE, count)

    def __len__(self) -> int:
        return len(self.bases)

    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        x, y, yaw = camera_of(self.bases[index])
        east, north = self.shifts[index]
        return Label(
            name=f"row {index}",
            ground_file=Path(),
            aerial_file=Path(),
            grid=Grid(64, 64, 1.0, (x + float(east), y + float(north))),
            position=(x, y),
            yaw=yaw,
            heading=yaw + float(self.noises[index]),
            group=f"block {index // 3}",
            datum=self.WORLD.satellite_map.frame.datum,
        )

    def files(self, index: int) -> tuple[Path, ...]:
        return ()

    def aerial(self, label: Label, grid: Grid) -> RGB:
        return self.WORLD.satellite_map.patch(grid).image

    def ground(self, label: Label) -> GroundPicture:
        base = self.bases[_number(label)]
        image = self.WORLD.frame(base, PINHOLE, MOUNT).image
        levelled = mounting(0.0, 0.0, 0.0, pitch=0.2).rotation
        return GroundPicture(image, PINHOLE, levelled, 1.6)

    def earlier(self, label: Label, count: int) -> Sequence[tuple[RGB, Motion]]:
        if count > 1:
            raise DatasetError("one frame before each: expected no more to be asked for")
        if self.frames < 2:
            return ()
        now = self.bases[_number(label)]
        then = before(now)
        here, there = planar(camera_of(now)), planar(camera_of(then))
        motion = here.inverse() @ there
        turned = math.atan2(motion.rotation[1, 0], motion.rotation[0, 0])
        at = (float(motion.translation[0]), float(motion.translation[1]), turned)
        return [(self.WORLD.frame(then, PINHOLE, MOUNT).image, at)]


def _number(label: Label) -> int:
    return int(label.name.split()[1])


def planar(pose: Motion) -> RigidTransform:
    return RigidTransform.from_euler((pose[0], pose[1], 0.0), (0.0, 0.0, pose[2]))


def before(now: Motion) -> Motion:
    """Where base_link was a frame before."""
    x, y = planar(now).apply((BEFORE[0], BEFORE[1], 0.0))[:2]
    return float(x), float(y), now[2] + BEFORE[2]


def camera_of(base: Motion) -> Motion:
    """The camera's place and azimuth."""
    at = planar(base) @ MOUNT
    forward = at.rotation[:, 2]
    return float(at.translation[0]), float(at.translation[1]), math.atan2(forward[1], forward[0])
