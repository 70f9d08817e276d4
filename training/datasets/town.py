"""Procedural towns: the benchmark, and stand-ins for VIGOR's and RobotCar's splits.

The benchmark's frames come with its priors and the GeoTIFF that a vehicle would be given.

Tiles as VIGOR's: each camera is covered by four tiles that overlap by half; it lies in the middle
quarter of the positive one. Areas as VIGOR's: "same" takes new places in the towns of training,
"cross" takes other towns. Days as RobotCar's traversals: the same towns in another light.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from cross_view_localizer.camera.camera import Camera
from cross_view_localizer.grid import Grid
from cross_view_localizer.views import View
from training.datasets import town_cache
from training.datasets.pair import RGB, DatasetError, GroundPicture, Label, Reader
from training.datasets.town_cache import (
    MAP,
    Calibrated,
    Recipe,
    folder_of,
    open_map,
    open_town,
    prepare,
)
from training.town.editions import EDITIONS, Edition, rules_of
from training.town.manifest import SETTINGS, BenchmarkFrame, load
from training.town.poses import CameraPose
from training.town.seeds import Split, check_training_seed, stream

NORTH = math.pi / 2
Area = Literal["train", "same", "cross", "benchmark"]
Tiles = Literal["positive", "semi", "all"]
TILES = {"positive": (0,), "semi": (1, 2, 3), "all": (0, 1, 2, 3)}


class TownReader(Reader):
    """Frames of rendered towns.

    Args:
        area: "train", "same" (fresh places in the first ``towns`` training towns) or "cross"
            (``split``'s towns, with the benchmark's poses and priors), or "benchmark" (the same
            frames on the town's map, headings told with the benchmark's errors).
        split: of "cross" and "benchmark": "validation", "calibration" or "test".
        tiles: "positive", "semi" (the three others) or "all" four: training draws one of them for
            each frame, validation and test go through all of them.
        ground: "panorama" (middle column = the camera's azimuth) or "pinhole".
        north_up: whether tiles are north-up, as VIGOR's, or heading-up, as CVML's of RobotCar.
        towns, frames: how many towns, and frames of each.
        light: number of the day whose light all frames have, or several: the same places on each
            of these days; None: each frame has its own light.
        tile: side of a tile, metres; gsd: of its pixels.
        width, height: of the view that ground pictures are for, pixels.
        cache: folder of the rendered pictures, else cache/town.
        workers: processes that render what is missing.
        edition: of the towns. From town-v2 on calibrations are wrong by a little: labels are where
            the stated extrinsics put the camera, except those for training, which are where it is.
        whole: pinhole pictures are to lie within the view, as padded ones do; otherwise they fill
            it, and are cut.

    Raises:
        DatasetError: options that make no sense, or an edition kept from training; one line.
    """

    def __init__(
        self,
        area: Area = "train",
        split: Split = "validation",
        tiles: Tiles = "positive",
        ground: Literal["panorama", "pinhole"] = "panorama",
        north_up: bool = True,
        towns: int | range = 50,
        frames: int = 40,
        light: int | Sequence[int] | None = None,
        tile: float = 72.0,
        gsd: float = 0.5625,
        width: int = 192,
        height: int = 96,
        cache: str | Path | None = None,
        workers: int = 1,
        edition: Edition = "town-v1",
        whole: bool = False,
    ) -> None:
        if area not in get_args(Area) or tiles not in TILES:
            raise DatasetError(
                f"area {area!r}, tiles {tiles!r}: expected {', '.join(get_args(Area))}, and one of "
                f"{', '.join(TILES)}"
            )
        held_out = area in ("cross", "benchmark")
        if held_out and split not in ("validation", "calibration", "test"):
            raise DatasetError(f"split {split!r}: expected validation, calibration or test")
        _check_edition(edition, area)
        towns = range(towns) if isinstance(towns, int) else towns
        if not towns or frames < 1:
            raise DatasetError(
                f"{len(towns)} towns of {frames} frames: expected at least one of each"
            )
        name = split if held_out else area
        self.kept_for = "" if area == "train" else split if held_out else "same-area tests"
        self.mapped = area == "benchmark"
        self.tile, self.north_up, self.kind = tile, north_up, ground
        self.side = round(tile / gsd)
        self.picks = TILES[tiles]
        self.each = 1 if area == "train" else len(self.picks)
        poses, self.fixed = _poses(edition, split if held_out else None, towns, frames)
        days: Sequence[int | None] = [light] if light is None or isinstance(light, int) else light
        self.rows: list[tuple[Path, int]] = []
        folder = Path(cache or town_cache.FOLDER)
        for day in days:
            # Every day's frames stand at the same places, with mountings of their own.
            places, own = (name, name) if day is None else (f"{name}-days", f"{name}-day-{day}")
            detail = (day, round(gsd, 4), self.mapped, edition, whole)
            recipe = Recipe(ground, width, height, frames, places, own, *detail)
            prepare(folder, recipe, poses, workers)
            towns_at = [folder_of(folder, recipe, seed) for seed in poses]
            self.rows += [(town, frame) for town in towns_at for frame in range(frames)]
        self.problems = []
        self.tags = {
            "dataset": edition,
            "split": " ".join([area if self.mapped else f"{area}-area", split * held_out]).strip(),
            "tiles": tiles,
            "labels": "exact",
            "resolution": f"{gsd:g} m/px",
            "orientation": "known, north-up" if north_up else "known, heading-up",
            "ground": ground,
        }
        if self.mapped:
            self.tags |= {"tiles": "none", "resolution": "0.2 m/px", "orientation": "+-5 deg"}
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
        middle = (x, y)
        if self.kept_for:
            x, y, yaw = _seen_from(self._camera(folder, frame).moved, x, y, yaw)
        east, north = prior - np.array([tile & 1, tile >> 1]) * np.sign(prior) * self.tile / 2
        heading, half = yaw, None
        if self.mapped:
            heading += self.fixed[int(folder.name), frame].heading_error
            half = (SETTINGS["half_prior"], math.radians(SETTINGS["heading_degrees"]))
        return Label(
            name=f"town {folder.name} frame {frame} tile {tile}",
            ground_file=folder / "grounds.npy",
            aerial_file=folder / (MAP if self.mapped else "aerial.npy"),
            grid=Grid(
                self.side,
                self.side,
                self.tile / self.side,
                (middle[0] + float(east), middle[1] + float(north)),
                NORTH if self.north_up else heading,
            ),
            position=(x, y),
            yaw=yaw,
            heading=heading,
            group=folder.name,
            datum=town.datum,
            prior_half=half,
        )

    def _prior(self, seed: int, frame: int) -> np.ndarray:
        """Where the positive tile's middle lies from the camera: (east, north) metres."""
        one = self.fixed.get((seed, frame))
        if one is not None:
            return np.subtract(one.prior, (one.pose.x, one.pose.y)) * (self.tile / 72.0)
        return stream(seed, "tile", frame).uniform(-self.tile / 4, self.tile / 4, 2)

    def aerial(self, label: Label, grid: Grid) -> RGB:
        """Return the town's aerial picture (grid.height, grid.width, 3) on ``grid``."""
        folder = label.aerial_file.parent
        if self.mapped:
            return open_map(folder).patch(grid).image
        return open_town(folder).aerial.crop(grid)

    def ground(self, label: Label) -> GroundPicture:
        """Return the camera's picture with its calibration."""
        folder, frame = label.ground_file.parent, int(label.name.split()[3])
        known = self._camera(folder, frame)
        width, height = known.size
        image = np.array(open_town(folder).grounds[frame, :height, :width])
        if self.kind == "panorama":
            camera = Camera("equirectangular", width, height)
        else:
            camera = Camera("pinhole", width, height, known.matrix)
        return GroundPicture(
            image, camera, known.rotation, known.height, known.true_rotation, known.true_height
        )

    def _camera(self, folder: Path, frame: int) -> Calibrated:
        town = open_town(folder)
        height, width = town.grounds.shape[1:3]
        return Calibrated.of(town.cameras[frame], (width, height))


def benchmark(
    view: View,
    split: Split,
    towns: int | range = 50,
    frames: int = 40,
    cache: str | Path | None = None,
    workers: int = 1,
    edition: Edition = "town-v1",
) -> TownReader:
    """Return the benchmark's frames, rendered at the size that a view wants.

    Args:
        towns: the first so many of the split's 50, or which of them.
        edition: as for `TownReader`.
    """
    return TownReader(
        "benchmark",
        split,
        ground=view.ground,
        towns=towns,
        frames=frames,
        width=view.ground_width,
        height=view.ground_height,
        cache=cache,
        workers=workers,
        edition=edition,
        whole=view.pad,
    )


def _check_edition(edition: Edition, area: Area) -> None:
    """Refuse an unknown edition, and one kept from training where training asks."""
    if edition not in EDITIONS:
        raise DatasetError(f"edition {edition!r}: expected one of {', '.join(EDITIONS)}")
    if area == "train" and not rules_of(edition).trained:
        raise DatasetError(f"edition '{edition}' is kept from training: expected another")


def _seen_from(
    moved: tuple[float, float, float], x: float, y: float, yaw: float
) -> tuple[float, float, float]:
    """Return where (forward, left, turn) from a pose lies."""
    (forward, left, turn), c, s = moved, math.cos(yaw), math.sin(yaw)
    return x + forward * c - left * s, y + forward * s + left * c, yaw + turn


def _poses(
    edition: Edition, split: Split | None, towns: range, frames: int
) -> tuple[dict[int, Sequence[CameraPose] | None], dict[tuple[int, int], BenchmarkFrame]]:
    """Return seed → poses (None: drawn from the stream), and the benchmark's frames."""
    if split is None:
        check_training_seed(min(towns))
        check_training_seed(max(towns))
        return {seed: None for seed in towns}, {}
    groups: dict[int, list[BenchmarkFrame]] = {}
    for one in load(split, edition):
        groups.setdefault(one.seed, []).append(one)
    names = list(groups)
    chosen = {names[k]: groups[names[k]][:frames] for k in towns if k < len(names)}
    fixed = {(seed, one.index): one for seed, group in chosen.items() for one in group}
    return {seed: [one.pose for one in group] for seed, group in chosen.items()}, fixed
