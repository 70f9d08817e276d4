"""A reader whose truth is known: two drives through bends, panoramas named by their places."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cross_view_localizer.camera.camera import OPTICAL_TO_BODY, Camera
from cross_view_localizer.geo import Datum, MapFrame
from cross_view_localizer.grid import Grid
from training.datasets.pair import RGB, GroundPicture, Label, Reader, read_rgb
from training.datasets.picture_files import save

DATUM = Datum(48.0, 11.0)
FRAME = MapFrame(DATUM)
NORTH = math.pi / 2
Change = Callable[[Label], Label]


def unchanged(label: Label) -> Label:
    return label


@dataclass
class Drives(Reader):
    """Two drives through bends, a frame every 3 m; panoramas named by their true place."""

    root: Path = Path("nowhere")
    count: int = 60
    change: Change = unchanged
    start: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        self.tags = {"dataset": "drives", "split": "test"}
        self.problems = []

    def __len__(self) -> int:
        return self.count

    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        drive, step = index % 2, index // 2
        s = 3.0 * step
        x = self.start[0] + 100.0 * math.sin(s / 100.0) + 2000.0 * drive
        y = self.start[1] + 100.0 * (1 - math.cos(s / 100.0))
        yaw = math.atan2(math.sin(s / 100.0), math.cos(s / 100.0))
        latitude, longitude = FRAME.to_wgs84((x, y))
        east, north = np.random.default_rng(index).uniform(-18, 18, 2).tolist()
        name = f"{index},{latitude:.8f},{longitude:.8f},.png"
        label = Label(
            name=f"list.txt:{index + 1}",
            ground_file=self.root / name,
            aerial_file=self.root / f"tile{index}.png",
            grid=Grid(64, 64, 1.0, (x + east, y + north), NORTH),
            position=(x, y),
            yaw=yaw,
            heading=yaw + 0.02,
            group=f"drive {drive}",
            datum=DATUM,
            stamp=int(1e18) + step * 300_000_000,
        )
        return self.change(label)

    def aerial(self, label: Label, grid: Grid) -> RGB:
        read_rgb(label.aerial_file)
        return np.zeros((grid.height, grid.width, 3), np.uint8)

    def ground(self, label: Label) -> GroundPicture:
        image = read_rgb(label.ground_file)
        camera = Camera("equirectangular", image.shape[1], image.shape[0])
        return GroundPicture(image, camera, OPTICAL_TO_BODY, 2.0)


def on_disk(root: Path, count: int = 6) -> Drives:
    """Noise, so that a picture is long enough to be cut."""
    reader = Drives(root, count)
    noise = np.random.default_rng(0).integers(0, 255, (32, 64, 3), np.uint8)
    for index in range(count):
        for file in reader.files(index):
            save(file, noise)
    return reader


def turned(function: Callable[[float], float]) -> Change:
    return lambda label: replace(label, yaw=function(label.yaw))
