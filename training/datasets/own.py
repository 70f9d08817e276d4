"""Your own data: a CSV of pictures with latitude, longitude and heading, and any raster map."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cross_view_localizer.grid import Grid
from cross_view_localizer.map.satellite_map import MapError, SatelliteMap
from training.datasets.own_camera import OwnCamera
from training.datasets.own_rows import Row, read_rows
from training.datasets.own_split import Blocks, by_location
from training.datasets.pair import (
    RGB,
    DatasetError,
    GroundPicture,
    Label,
    Problem,
    Reader,
    read_rgb,
)

NORTH = math.pi / 2


@dataclass(frozen=True)
class _Place:
    """A usable row with its truth in the map frame."""

    row: Row
    position: tuple[float, float]
    yaw: float
    group: str


class OwnReader(Reader):
    """Pictures of a CSV on a raster.

    The CSV has a header with the columns image (a path, relative to ``root``), latitude, longitude
    (WGS84 degrees, of the camera), heading (degrees clockwise from true north: where the camera, or
    a panorama's middle column, looks) and may have group (a drive), split, stamp (seconds) and
    height (metres, of the camera above the road).

    Without a split column, rows are split by location: squares of ``block`` metres are dealt out
    to training (70 %), validation and test (15 % each), and training leaves out what lies within
    ``gap`` metres of the others.

    Args:
        csv, raster: the files; the raster in any CRS and of any size, read in windows.
        split: "train", "validation", "test", or "all".
        root: folder of the pictures; else the CSV's.
        crs: of the raster, where it has none; offset: metres (east, north) to move it by.
        camera: "panorama" or "pinhole"; fov, intrinsics, height, pitch, roll: see `OwnCamera`.
        ahead, left: metres from the point that the CSV locates (an antenna) to the camera.
        heading_up: of the patch; else north-up. By default for a pinhole only.
        side: of the patch, metres; pixels: the same.
        train_offset: training's truth is uniform within this of the patch's middle, metres along
            and across the heading that is told; test_offset: of the fixed rows, east and north.
        heading_noise: what is told as heading is uniform within this, degrees.
        seed: of the fixed rows' offsets, which also depend on the image's name, and of the split.

    Raises:
        DatasetError: an option, the CSV or the raster can't be used.
    """

    def __init__(
        self,
        csv: str | Path,
        raster: str | Path,
        split: Literal["train", "validation", "test", "all"] = "train",
        root: str | Path | None = None,
        crs: str | None = None,
        offset: Sequence[float] = (0.0, 0.0),
        camera: Literal["panorama", "pinhole"] = "panorama",
        fov: float | None = None,
        intrinsics: Sequence[float] | None = None,
        height: float = 1.6,
        pitch: float = 0.0,
        roll: float = 0.0,
        ahead: float = 0.0,
        left: float = 0.0,
        heading_up: bool | None = None,
        side: float = 72.0,
        pixels: int = 512,
        train_offset: float = 24.0,
        test_offset: float = 18.0,
        heading_noise: float = 5.0,
        block: float = 200.0,
        gap: float = 25.0,
        seed: int = 0,
    ) -> None:
        self.camera = OwnCamera(camera, fov, intrinsics, height, pitch, roll)
        if not 0 <= max(train_offset, test_offset) < side / 2 or min(pixels, block) <= 0:
            raise DatasetError(
                f"offsets {train_offset:g} and {test_offset:g} m in a patch of {side:g} m, "
                f"{pixels} px, blocks of {block:g} m: expected offsets below half the side"
            )
        self.csv, self.raster = Path(csv), Path(raster)
        self.root = self.csv.parent if root is None else Path(root)
        self.heading_up = camera == "pinhole" if heading_up is None else heading_up
        self.side, self.pixels, self.seed = side, pixels, seed
        self.reach = {"fixed": test_offset, "drawn": train_offset}
        self.noise = math.radians(heading_noise)
        self._map_options: dict[str, Any] = {"crs": crs, "offset": (offset[0], offset[1])}
        self._map: tuple[int, SatelliteMap] | None = None
        rows, self.problems = read_rows(self.csv)
        places = self._places(rows, (ahead, left))
        self.places, how = _split(places, split, Blocks(block, gap, seed))
        self.datum = self._opened().datum
        self._map = None  # workers open it for themselves
        self._heights = {self._name(p.row): p.row.height for p in self.places}
        self.tags = {
            "dataset": f"own ({self.csv.name})",
            "split": split,
            "split by": how,
            "labels": "CSV",
            "patch": f"{side:g} m of {self.raster.name}",
            "prior": f"+-{test_offset:g} m, +-{heading_noise:g} deg",
        }

    def _places(self, rows: list[Row], lever: tuple[float, float]) -> list[_Place]:
        """Convert to metres and ENU yaw; rows off the raster become problems."""
        world, places = self._opened(), []
        for row in rows:
            yaw = NORTH - math.radians(row.heading)
            try:
                x, y = world.frame.to_map(row.latitude, row.longitude).tolist()
            except ValueError:  # further from the raster than the map frame reaches
                x = y = math.inf
            x += lever[0] * math.cos(yaw) - lever[1] * math.sin(yaw)
            y += lever[0] * math.sin(yaw) + lever[1] * math.cos(yaw)
            if math.isfinite(x) and world.contains((x, y)):
                places.append(_Place(row, (x, y), yaw, row.group or ""))
                continue
            message = f"({row.latitude}, {row.longitude}) does not lie on {self.raster}"
            self.problems.append(Problem("row", f"{self.csv}:{row.line}", message))
        return places

    def _opened(self) -> SatelliteMap:
        """The raster, opened once in each process: GDAL's handles do not survive a fork."""
        if self._map is None or self._map[0] != os.getpid():
            try:
                world = SatelliteMap.open(self.raster, **self._map_options)
            except (MapError, ValueError) as error:
                raise DatasetError(f"raster {self.raster}: {error}") from None
            self._map = os.getpid(), world
        return self._map[1]

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open raster behind: each process opens its own."""
        return {**self.__dict__, "_map": None}

    def _name(self, row: Row) -> str:
        return f"{self.csv.name}:{row.line}"

    def __len__(self) -> int:
        return len(self.places)

    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        """Return a row; its prior fixed by the image's name and the seed, or drawn from ``rng``."""
        place = self.places[index]
        drawn = rng is not None
        reach = self.reach["drawn" if drawn else "fixed"]
        if rng is None:
            rng = np.random.default_rng([self.seed, zlib.crc32(place.row.image.encode())])
        shift = rng.uniform(-reach, reach, 2)
        heading = place.yaw + float(rng.uniform(-self.noise, self.noise))
        if drawn:  # along the sides of a heading-up heatmap, in which it then lies
            c, s = math.cos(heading), math.sin(heading)
            shift = np.array([c * shift[0] - s * shift[1], s * shift[0] + c * shift[1]])
        east, north = shift
        center = place.position[0] + float(east), place.position[1] + float(north)
        up = heading if self.heading_up else NORTH
        return Label(
            name=self._name(place.row),
            ground_file=self.root / place.row.image,
            aerial_file=self.raster,
            grid=Grid(self.pixels, self.pixels, self.side / self.pixels, center, up),
            position=place.position,
            yaw=place.yaw,
            heading=heading,
            group=place.group,
            datum=self.datum,
            stamp=place.row.stamp,
        )

    def aerial(self, label: Label, grid: Grid) -> RGB:
        """Return the raster (grid.height, grid.width, 3) on ``grid``; black where it ends."""
        try:
            return self._opened().patch(grid).image
        except MapError as error:
            raise DatasetError(f"{label.name}: {error}") from None

    def ground(self, label: Label) -> GroundPicture:
        """Return the camera's picture with its camera."""
        height = self._heights.get(label.name)
        return self.camera.picture(read_rgb(label.ground_file), label.name, height)


def _split(places: list[_Place], split: str, blocks: Blocks) -> tuple[list[_Place], str]:
    """Return the places of a split, and how it was made."""
    if split not in ("train", "validation", "test", "all"):
        raise DatasetError(f"split {split!r}: expected train, validation, test or all")
    points = np.array([place.position for place in places]).reshape(-1, 2)
    parts, names = by_location(points, blocks)
    how, left_out = f"location ({blocks.side:g} m blocks, gap {blocks.gap:g} m)", parts.count("")
    places = [
        place if place.group else replace(place, group=name)
        for place, name in zip(places, names, strict=True)
    ]
    if any(place.row.split for place in places):
        parts, how = [place.row.split or "" for place in places], "column"
    elif split == "train" and left_out:
        how += f"; {left_out} rows in the gap left out"
    if split == "all":
        return places, "not split"
    return [place for place, part in zip(places, parts, strict=True) if part == split], how
