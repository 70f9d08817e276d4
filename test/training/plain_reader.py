"""A reader without files: pictures from a row's number, truth where a row's number puts it."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np

from cross_view_localizer.camera.camera import Camera
from cross_view_localizer.grid import Grid
from training.datasets.pair import RGB, DatasetError, GroundPicture, Label, Reader

SIDE, GSD = 64, 0.5


class PlainReader(Reader):
    """Pinhole pictures of random blocks; the row "train:3" of 64 × 64 px at 0.5 m."""

    def __init__(self, root: str | Path, split: str = "train", count: int = 12) -> None:
        if not Path(root).is_dir():
            raise DatasetError(f"{root}: no such folder: expected the dataset's")
        self.tags = {"dataset": "plain", "split": split}
        self.problems = []
        self.split, self.count = split, count
        self.root = Path(root)

    def __len__(self) -> int:
        return self.count

    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        drawn = np.random.default_rng(index) if rng is None else rng
        right, up = drawn.uniform(-8, 8, 2)
        return Label(
            name=f"{self.split}:{index}",
            ground_file=self.root / f"ground{index}.png",
            aerial_file=self.root / "aerial.png",
            grid=Grid(SIDE, SIDE, GSD, (0.0, 0.0), math.pi / 2),
            position=(float(right), float(up)),
            yaw=math.pi / 2,
            heading=math.pi / 2,
            group=f"drive{index % 3}",
        )

    def files(self, index: int) -> tuple[Path, ...]:
        return ()

    def aerial(self, label: Label, grid: Grid) -> RGB:
        return _blocks(_number(label), (grid.width, grid.height))

    def ground(self, label: Label) -> GroundPicture:
        camera = Camera("pinhole", 64, 48, np.array([[40.0, 0, 31.5], [0, 40, 23.5], [0, 0, 1]]))
        levelled = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
        return GroundPicture(_blocks(_number(label) + 1000, (64, 48)), camera, levelled, 1.6)


def _number(label: Label) -> int:
    return int(label.name.split(":")[1])


def _blocks(seed: int, size: tuple[int, int]) -> RGB:
    coarse = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_NEAREST))
