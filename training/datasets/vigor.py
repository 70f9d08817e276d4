"""VIGOR (Zhu et al., CVPR 2021): street panoramas in four cities with overlapping tiles.

Layout: ``<City>/panorama``, ``<City>/satellite`` and ``splits/<City>/*.txt`` (the original labels)
or ``splits__corrected/<City>/*__corrected.txt`` (those of SliceMatch, CVPR 2023).

A label d0, d1 says: camera at row H/2 + d0, column W/2 − d1 of the 640 × 640 tile. H/2 and W/2 mean
the tile's middle, the place in its name, which is (319.5, 319.5) where pixel centres are integers:
so the camera is −d1 pixels east and −d0 pixels north of the tile's centre, whole numbers or not. A
pixel is that of Web Mercator at zoom 20 on the tile's latitude; taking it for square, as everyone
does, is true to 0.2 %.
The original labels were computed with 0.114 m/px everywhere and point beside the camera, the
further from the tile's centre the more; they are read as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.camera import OPTICAL_TO_BODY, Camera
from cross_view_localizer.geo import Datum, MapFrame
from cross_view_localizer.grid import Grid
from training.datasets.aerial_source import cropped
from training.datasets.location_split import validation_by_location
from training.datasets.mercator import EQUATOR_GSD
from training.datasets.pair import (
    RGB,
    DatasetError,
    GroundPicture,
    Label,
    Problem,
    Reader,
    read_rgb,
)
from training.datasets.vigor_lists import (
    Rows,
    city_center,
    random_validation,
    read_rows,
)

Area = Literal["same", "cross"]
Part = Literal["train", "validation", "test"]
Labels = Literal["corrected", "original"]
Tiles = Literal["positive", "semi", "all"]
Resolution = Literal["city", "published"]
Validation = Literal["location", "random"]

TRAIN_CITIES = ("NewYork", "Seattle")
TEST_CITIES = ("SanFrancisco", "Chicago")
TILES: dict[str, tuple[int, ...]] = {"positive": (0,), "semi": (1, 2, 3), "all": (0, 1, 2, 3)}
SIZE = 640
PUBLISHED_GSD = 0.114
ZOOM_20 = EQUATOR_GSD / 2**20  # m/px at the equator
CAMERA_HEIGHT = 2.5  # m above the road: stated nowhere, usual for such cars
DRAWN = -1


@dataclass(frozen=True)
class _City:
    """A city's rows placed in its frame: centres (N, 4, 2), up (N, 4) and gsd (N, 4) of the tiles;
    usable (N, 4): the camera lies within the tile.
    """

    name: str
    datum: Datum
    rows: Rows
    xy: NDArray[np.float64]
    up: NDArray[np.float64]
    gsd: NDArray[np.float64]
    usable: NDArray[np.bool_]


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
    ) -> None:
        for value, kind in (
            (area, Area), (split, Part), (labels, Labels), (tiles, Tiles),
            (resolution, Resolution), (validation, Validation),
        ):  # fmt: skip
            if value not in get_args(kind):
                raise DatasetError(f"{value!r}: expected one of {', '.join(get_args(kind))}")
        self.root, self.split = Path(root), split
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
        if split != "test":
            self.tags["validation"] = validation
        if split != "test" and validation == "location":
            self.tags["validation"] += (
                f" (cells {cell:g} m, rim {rim:g} m holds back {self.held_back})"
            )

    def _read(self, name: str, area: Area, labels: Labels, resolution: Resolution) -> _City:
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
            return _placed(name, frame, rows, resolution)
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
        """Return (M, 3) city, row and tile, DRAWN for training; tiles without the camera are
        reported.
        """
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

    def _report_outside(self, city: _City, row: int, tile: int) -> None:
        d0, d1 = city.rows.deltas[row, tile].tolist()
        where = f"{city.rows.file}:{city.rows.lines[row]}"
        message = f"tile {tile + 1}: camera at {d0:g} {d1:g}: expected within ±{SIZE // 2} px"
        self.problems.append(Problem("outside", where, message))

    def __len__(self) -> int:
        return len(self._index)

    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        """Return a row; of several tiles ``rng`` draws one, without it the first is taken."""
        number, row, tile = self._index[index].tolist()
        city = self._cities[number]
        if tile == DRAWN:
            usable = [pick for pick in self._picks if city.usable[row, pick]]
            tile = usable[0 if rng is None else int(rng.integers(len(usable)))]
        return self._label(city, row, tile)

    def _label(self, city: _City, row: int, tile: int) -> Label:
        rows = city.rows
        x, y = city.xy[row, tile].tolist()
        north = float(city.up[row, tile])
        grid = Grid(SIZE, SIZE, float(city.gsd[row, tile]), (x, y), north)
        d0, d1 = rows.deltas[row, tile].tolist()
        middle = (SIZE - 1) / 2
        east, up = grid.pixel_to_map((middle - d1, middle + d0)).tolist()
        folder = self.root / city.name
        return Label(
            name=f"{rows.file.relative_to(self.root)}:{rows.lines[row]}/{tile + 1}",
            ground_file=folder / "panorama" / rows.panoramas[row],
            aerial_file=folder / "satellite" / rows.tiles[row][tile],
            grid=grid,
            position=(east, up),
            yaw=north,
            heading=north,
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
        image = read_rgb(label.aerial_file)
        height, width = image.shape[:2]
        if height != width:
            raise DatasetError(f"{label.aerial_file}: {width} x {height} px: expected a square")
        return cropped(image, label.grid.resampled(width, height), grid)

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


def _placed(name: str, frame: MapFrame, rows: Rows, resolution: Resolution) -> _City:
    """Place a city's tiles in its frame, whose north differs from theirs by the convergence."""
    latitude, longitude = np.moveaxis(rows.centers, -1, 0)
    xy = frame.to_map(latitude, longitude)
    to_north = frame.to_map(latitude + 1e-3, longitude) - xy
    up = np.arctan2(to_north[..., 1], to_north[..., 0])
    gsd = ZOOM_20 * np.cos(np.radians(latitude))
    if resolution == "published":
        gsd = np.full_like(gsd, PUBLISHED_GSD)
    usable = np.all(np.abs(rows.deltas) < SIZE / 2, axis=-1)
    return _City(name, frame.datum, rows, xy, up, gsd, np.asarray(usable))
