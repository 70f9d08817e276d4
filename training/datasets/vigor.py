"""VIGOR (Zhu et al., CVPR 2021): street panoramas in four cities with overlapping tiles.

Layout: ``<City>/panorama``, ``<City>/satellite`` and ``splits/<City>/*.txt`` (the original labels)
or ``splits__corrected/<City>/*__corrected.txt`` (those of SliceMatch, CVPR 2023).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.camera.camera import OPTICAL_TO_BODY, Camera
from cross_view_localizer.geo import Datum, MapFrame
from cross_view_localizer.grid import Grid
from training.datasets.aerial_source import cropped
from training.datasets.location_split import validation_by_location
from training.datasets.pair import (
    RGB,
    DatasetError,
    GroundPicture,
    Label,
    Problem,
    Reader,
    read_rgb,
    read_tile,
)
from training.datasets.vigor_lists import (
    city_center,
    random_validation,
    read_rows,
)
from training.datasets.vigor_tiles import SIZE, City, Resolution, drawn_offset, placed

Area = Literal["same", "cross"]
Part = Literal["train", "validation", "test"]
Labels = Literal["corrected", "original"]
Tiles = Literal["positive", "semi", "all"]
Validation = Literal["location", "random"]

TRAIN_CITIES = ("NewYork", "Seattle")
TEST_CITIES = ("SanFrancisco", "Chicago")
TILES: dict[str, tuple[int, ...]] = {"positive": (0,), "semi": (1, 2, 3), "all": (0, 1, 2, 3)}
CAMERA_HEIGHT = 2.5  # m above the road: stated nowhere, usual for such cars
DRAWN = -1


@dataclass(frozen=True)
class TileLabel(Label):
    """A label that also knows the tile's own grid, as its patch may lie elsewhere on the tile."""

    tile: Grid = Grid(SIZE, SIZE, 1.0, (0.0, 0.0))


class VigorReader(Reader):
    """A split of VIGOR.

    Args:
        root: the folder that holds the cities and ``splits`` or ``splits__corrected``.
        area: "same": all four cities, half of their panoramas each for training and testing;
            "cross": train in New York and Seattle, test in San Francisco and Chicago.
        split: "train" and "validation" divide the official training lists, see ``validation``.
        labels: "corrected" or "original".
        tiles: "positive", "semi" (the three others) or "all" four. A training draw takes any of
            them; validation and test go through all of them.
        cities: only these of the split's cities.
        resolution: "city": each tile's own metres per pixel; "published": 0.114 m everywhere, as
            the first papers evaluate (their metres are not those on the ground).
        validation: "location": whole cells of each city's map, a fifth of its panoramas, with
            ``rim`` metres free between the parts; "random": the authors' fifth of the rows of all
            cities in turn, which shares tiles with training.
        cell, rim: metres, of "location".
        shift: training draws the patch's middle anew, up to so many metres along each side from the
            tile's, so that a camera's place in it is not the same for ever; for views that are that
            much smaller than the tile. Validation and test keep the tile's middle.
        rotation: largest error of the heading that is told, degrees: drawn anew in training, fixed
            by the row's name elsewhere; 0 as published.

    Attributes:
        held_back: panoramas in the free rim, in neither part.

    Raises:
        DatasetError: an unknown option, a missing list, or no row left.
    """

    def __init__(
        self,
        root: str | Path,
        area: Area = "same",
        split: Part = "train",
        labels: Labels = "corrected",
        tiles: Tiles = "positive",
        cities: Sequence[str] | None = None,
        resolution: Resolution = "city",
        validation: Validation = "location",
        cell: float = 800.0,
        rim: float = 75.0,
        shift: float = 0.0,
        rotation: float = 0.0,
    ) -> None:
        for value, kind in (
            (area, Area), (split, Part), (labels, Labels), (tiles, Tiles),
            (resolution, Resolution), (validation, Validation),
        ):  # fmt: skip
            if value not in get_args(kind):
                raise DatasetError(f"{value!r}: expected one of {', '.join(get_args(kind))}")
        if not (0 <= shift <= 18 and 0 <= rotation <= 180):
            raise DatasetError(
                f"shift {shift:g} m, rotation {rotation:g} degrees: expected at most 18 m, which "
                "keeps the patch on its tile, and 180 degrees"
            )
        self.root, self.split = Path(root), split
        self._shift, self._rotation = shift, math.radians(rotation)
        self.problems: list[Problem] = []
        self.held_back = 0
        names = _cities(area, split, cities)
        self._cities = [self._read(name, area, labels, resolution) for name in names]
        chosen = self._chosen(validation, cell, rim)
        self._index = self._rows(chosen, TILES[tiles])
        if not len(self._index):
            raise DatasetError(
                f"{self.root}: no panorama in the {split} part of {', '.join(names)}: with few "
                f"panoramas take a smaller cell than {cell:g} m or validation 'random'"
            )
        self.tags = {
            "dataset": "vigor",
            "area": area,
            "split": split,
            "labels": labels,
            "tiles": tiles,
            "resolution": resolution,
            "cities": ",".join(names),
        }
        if shift:
            self.tags["shift"] = f"{shift:g} m"
        if rotation:
            self.tags["rotation"] = f"{rotation:g} deg"
        if split != "test":
            self.tags["validation"] = validation
        if split != "test" and validation == "location":
            self.tags["validation"] += (
                f" (cells {cell:g} m, rim {rim:g} m holds back {self.held_back})"
            )

    def _read(self, name: str, area: Area, labels: Labels, resolution: Resolution) -> City:
        folder, suffix = ("splits__corrected", "__corrected") if labels == "corrected" else (
            "splits", "",
        )  # fmt: skip
        part = "test" if self.split == "test" else "train"
        stem = f"same_area_balanced_{part}" if area == "same" else "pano_label_balanced"
        lists = self.root / folder / name
        rows = read_rows(lists / f"{stem}{suffix}.txt", self.problems)
        listed = lists / "satellite_list.txt"
        if not listed.is_file():
            listed = self.root / "splits" / name / "satellite_list.txt"
        frame = MapFrame(Datum(*city_center(listed)))
        try:
            return placed(name, frame, rows, resolution)
        except ValueError as error:  # a tile or panorama far from its city
            raise DatasetError(f"{rows.file}: {error}") from None

    def _chosen(self, validation: Validation, cell: float, rim: float) -> list[NDArray[np.bool_]]:
        """Return for each city which rows belong to this split."""
        if self.split == "test":
            return [np.ones(len(city.rows.lines), dtype=bool) for city in self._cities]
        if validation == "random":
            held = random_validation(sum(city.rows.total for city in self._cities))
            held = held if self.split == "validation" else ~held
            starts = np.cumsum([0, *(city.rows.total for city in self._cities)])
            return [held[s + c.rows.order] for s, c in zip(starts, self._cities, strict=False)]
        chosen = []
        for city in self._cities:
            places = MapFrame(city.datum).to_map(*city.rows.places.T)
            kept, train = validation_by_location(places, cell, rim)
            self.held_back += int((~kept & ~train).sum())
            chosen.append(kept if self.split == "validation" else train)
        return chosen

    def _rows(self, chosen: list[NDArray[np.bool_]], picks: tuple[int, ...]) -> NDArray[np.int64]:
        """Return (M, 3) city, row and tile, DRAWN in training; report tiles without the camera."""
        index: list[NDArray[np.int64]] = []
        for number, city in enumerate(self._cities):
            usable = city.usable[:, picks] & chosen[number][:, None]
            for row, pick in np.argwhere(~city.usable[:, picks] & chosen[number][:, None]):
                self._report_outside(city, int(row), picks[int(pick)])
            if self.split == "train" and len(picks) > 1:
                row = np.flatnonzero(usable.any(axis=1))
                tile = np.full(len(row), DRAWN)
            else:
                row, pick = np.nonzero(usable)
                tile = np.array(picks)[pick]
            index.append(np.stack([np.full(len(row), number), row, tile], axis=1))
        self._picks = picks
        return np.concatenate(index)

    def _report_outside(self, city: City, row: int, tile: int) -> None:
        d0, d1 = city.rows.deltas[row, tile].tolist()
        where = f"{city.rows.file}:{city.rows.lines[row]}"
        message = f"tile {tile + 1}: camera at {d0:g} {d1:g}: expected within ±{SIZE // 2} px"
        self.problems.append(Problem("outside", where, message))

    def __len__(self) -> int:
        return len(self._index)

    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        """Return a row; of several tiles ``rng`` draws one, without it the first is taken.

        It also draws the patch's middle and the heading's error.
        """
        number, row, tile = self._index[index].tolist()
        city = self._cities[number]
        if tile == DRAWN:
            usable = [pick for pick in self._picks if city.usable[row, pick]]
            tile = usable[0 if rng is None else int(rng.integers(len(usable)))]
        label = self._label(city, row, tile)
        if rng is not None and self._shift:
            label = replace(label, grid=self._elsewhere(label, rng))
        if self._rotation:
            draws = rng or np.random.default_rng(zlib.crc32(label.name.encode()))
            turn = float(draws.uniform(-self._rotation, self._rotation))
            label = replace(label, heading=label.yaw + turn)
        return label

    def _elsewhere(self, label: TileLabel, rng: np.random.Generator) -> Grid:
        """Draw a patch of a label's tile."""
        tile, middle = label.tile, (SIZE - 1) / 2
        place = (tile.map_to_pixel(label.position) - middle) * tile.gsd
        reach = SIZE / (4 if self._picks == TILES["positive"] else 2) * tile.gsd
        offset = drawn_offset(place, reach, self._shift, rng)
        x, y = tile.pixel_to_map(middle + (place - offset) / tile.gsd).tolist()
        return replace(tile, center=(x, y))

    def _label(self, city: City, row: int, tile: int) -> TileLabel:
        rows, folder = city.rows, self.root / city.name
        grid, position = city.camera(row, tile)
        return TileLabel(
            name=f"{rows.file.relative_to(self.root)}:{rows.lines[row]}/{tile + 1}",
            ground_file=folder / "panorama" / rows.panoramas[row],
            aerial_file=folder / "satellite" / rows.tiles[row][tile],
            grid=grid,
            tile=grid,
            position=position,
            yaw=grid.up,
            heading=grid.up,
            group=city.name,
            datum=city.datum,
        )

    def files(self, index: int) -> tuple[Path, ...]:
        """Return the panorama and every tile that may be drawn for it."""
        label = self.label(index)
        number, row, tile = self._index[index].tolist()
        city = self._cities[number]
        picks = [p for p in self._picks if city.usable[row, p]] if tile == DRAWN else [tile]
        folder = self.root / city.name / "satellite"
        return label.ground_file, *(folder / city.rows.tiles[row][pick] for pick in picks)

    def aerial(self, label: Label, grid: Grid) -> RGB:
        """Return the tile on ``grid``; black outside.

        Raises:
            DatasetError: where the tile is missing, broken or not square.
        """
        assert isinstance(label, TileLabel)
        image = read_tile(label.aerial_file)
        height, width = image.shape[:2]
        return cropped(image, label.tile.resampled(width, height), grid)

    def ground(self, label: Label) -> GroundPicture:
        """Return the panorama; its middle column looks north."""
        image = read_rgb(label.ground_file)
        camera = Camera("equirectangular", image.shape[1], image.shape[0])
        return GroundPicture(image, camera, OPTICAL_TO_BODY, CAMERA_HEIGHT)


def _cities(area: Area, split: Part, wanted: Sequence[str] | None) -> list[str]:
    """Return the split's cities in the authors' order."""
    cities = list(TRAIN_CITIES + TEST_CITIES)
    if area == "cross":
        cities = list(TEST_CITIES if split == "test" else TRAIN_CITIES)
    unknown = set(wanted or ()) - set(cities)
    if unknown:
        raise DatasetError(
            f"cities {', '.join(sorted(unknown))}: expected some of {', '.join(cities)}"
        )
    return [city for city in cities if not wanted or city in wanted]
