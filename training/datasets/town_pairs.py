"""Procedural towns under the papers' protocols: stand-ins for VIGOR's and RobotCar's splits.

Tiles as VIGOR's: each camera is covered by four tiles that overlap by half; it lies in the middle
quarter of the positive one. Areas as VIGOR's: "same" takes new places in the towns of training,
"cross" takes other towns. Days as RobotCar's traversals: the same towns in another light.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from cross_view_localizer.camera.camera import Camera
from cross_view_localizer.grid import Grid
from training.datasets.pair import RGB, DatasetError, GroundPicture, Label, Reader
from training.datasets.town_cache import Recipe, folder_of, open_town, prepare
from training.town.manifest import VERSION, BenchmarkFrame, load
from training.town.poses import CameraPose
from training.town.seeds import Split, check_training_seed, stream

NORTH = math.pi / 2
Tiles = Literal["positive", "semi", "all"]
TILES = {"positive": (0,), "semi": (1, 2, 3), "all": (0, 1, 2, 3)}


class TownReader(Reader):
    """Frames of rendered towns.

    Args:
        area: "train", "same" (fresh places in the first ``towns`` training towns) or "cross"
            (``split``'s towns, with the benchmark's poses and priors).
        split: of "cross": "validation", "calibration" or "test".
        tiles: "positive", "semi" (the three others) or "all" four: training draws one of them for
            each frame, validation and test go through all of them.
        ground: "panorama" (middle column = the camera's azimuth) or "pinhole".
        north_up: whether tiles are north-up, as VIGOR's, or heading-up, as CVML's of RobotCar.
        towns, frames: how many towns, and frames of each.
        light: number of the day whose light all frames have, or several: the same places on each
            of these days; None: each frame has its own light.
        tile: side of a tile, metres; gsd: of its pixels.
        width, height: of the ground pictures, pixels.
        cache: folder of the rendered pictures; workers: processes that render what is missing.
    """

    def __init__(
        self,
        area: Literal["train", "same", "cross"] = "train",
        split: Split = "validation",
        tiles: Tiles = "positive",
        ground: Literal["panorama", "pinhole"] = "panorama",
        north_up: bool = True,
        towns: int = 50,
        frames: int = 40,
        light: int | Sequence[int] | None = None,
        tile: float = 72.0,
        gsd: float = 0.5625,
        width: int = 192,
        height: int = 96,
        cache: str | Path = "cache/town",
        workers: int = 1,
    ) -> None:
        if area not in ("train", "same", "cross") or tiles not in TILES:
            raise DatasetError(
                f"area {area!r}, tiles {tiles!r}: expected train, same or cross, and one of "
                f"{', '.join(TILES)}"
            )
        if area == "cross" and split not in ("validation", "calibration", "test"):
            raise DatasetError(f"split {split!r}: expected validation, calibration or test")
        if towns < 1 or frames < 1:
            raise DatasetError(f"{towns} towns of {frames} frames: expected at least one of each")
        name = split if area == "cross" else area
        self.kept_for = {"train": "", "same": "same-area tests", "cross": split}[area]
        self.tile, self.north_up, self.kind = tile, north_up, ground
        self.side = round(tile / gsd)
        self.picks = TILES[tiles]
        self.each = 1 if area == "train" else len(self.picks)
        poses, self.fixed = _poses(area, split, towns, frames)
        days: Sequence[int | None] = [light] if light is None or isinstance(light, int) else light
        self.rows: list[tuple[Path, int]] = []
        for day in days:
            # Every day's frames stand at the same places, with mountings of their own.
            places, own = (name, name) if day is None else (f"{name}-days", f"{name}-day-{day}")
            recipe = Recipe(ground, width, height, frames, places, own, day, round(gsd, 4))
            prepare(Path(cache), recipe, poses, workers)
            folders = [folder_of(Path(cache), recipe, seed) for seed in poses]
            self.rows += [(folder, frame) for folder in folders for frame in range(frames)]
        self.problems = []
        self.tags = {
            "dataset": VERSION,
            "split": f"{area}-area {split}" if area == "cross" else f"{area}-area",
            "tiles": tiles,
            "labels": "exact",
            "resolution": f"{gsd:g} m/px",
            "orientation": "known, north-up" if north_up else "known, heading-up",
            "ground": ground,
        }
        if light is not None:
            self.tags["light"] = "day " + ", ".join(str(day) for day in days)

    def __len__(self) -> int:
        return len(self.rows) * self.each

    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        """Return a row; ``rng`` draws one of the picked tiles, and the place in it anew."""
        if rng is not None and self.kept_for:
            raise DatasetError(f"towns kept for {self.kept_for}: train with area: train")
        row, pick = divmod(index, self.each)
        folder, frame = self.rows[row]
        town = open_town(folder)
        x, y, yaw = (float(v) for v in town.poses[frame])
        if rng is None:
            tile, prior = self.picks[pick], self._prior(int(folder.name), frame)
        else:
            tile = self.picks[int(rng.integers(len(self.picks)))]
            prior = rng.uniform(-self.tile / 4, self.tile / 4, 2)
        east, north = prior - np.array([tile & 1, tile >> 1]) * np.sign(prior) * self.tile / 2
        return Label(
            name=f"town {folder.name} frame {frame} tile {tile}",
            ground_file=folder / "grounds.npy",
            aerial_file=folder / "aerial.npy",
            grid=Grid(
                self.side,
                self.side,
                self.tile / self.side,
                (x + float(east), y + float(north)),
                NORTH if self.north_up else yaw,
            ),
            position=(x, y),
            yaw=yaw,
            heading=yaw,
            group=folder.name,
            datum=town.datum,
        )

    def _prior(self, seed: int, frame: int) -> np.ndarray:
        """Where the positive tile's middle lies from the camera: (east, north) metres."""
        if (seed, frame) in self.fixed:
            return self.fixed[seed, frame] * (self.tile / 72.0)
        return stream(seed, "tile", frame).uniform(-self.tile / 4, self.tile / 4, 2)

    def aerial(self, label: Label, grid: Grid) -> RGB:
        """Return the town's aerial picture (grid.height, grid.width, 3) on ``grid``."""
        return open_town(label.aerial_file.parent).aerial.crop(grid)

    def ground(self, label: Label) -> GroundPicture:
        """Return the camera's picture with its calibration."""
        town = open_town(label.ground_file.parent)
        frame = int(label.name.split()[3])
        image = np.array(town.grounds[frame])
        height, width = image.shape[:2]
        numbers = town.cameras[frame]
        if self.kind == "panorama":
            camera = Camera("equirectangular", width, height)
        else:
            camera = Camera("pinhole", width, height, numbers[:9].reshape(3, 3))
        return GroundPicture(image, camera, numbers[9:18].reshape(3, 3), float(numbers[18]))


def _poses(
    area: str, split: Split, towns: int, frames: int
) -> tuple[dict[int, Sequence[CameraPose] | None], dict[tuple[int, int], np.ndarray]]:
    """Return seed → poses (None: drawn from the stream), and the benchmark's fixed priors."""
    if area != "cross":
        check_training_seed(towns - 1)
        return {seed: None for seed in range(towns)}, {}
    groups: dict[int, list[BenchmarkFrame]] = {}
    for one in load(split):
        groups.setdefault(one.seed, []).append(one)
    chosen = {seed: groups[seed][:frames] for seed in list(groups)[:towns]}
    fixed = {
        (seed, one.index): np.array(one.prior) - (one.pose.x, one.pose.y)
        for seed, group in chosen.items()
        for one in group
    }
    return {seed: [one.pose for one in group] for seed, group in chosen.items()}, fixed
