"""CVACT (Liu & Li, CVPR 2019): street panoramas of Canberra, each with a tile centred on it.

Layout: ``ACT_data.mat`` (places and lists), ``streetview/<id>_grdView.png|jpg`` and
``satview_polish/<id>_satView_polish.png|jpg``.

The tiles have 1200 × 1200 pixels of Web Mercator at zoom 20 and scale 2, that is 0.0609 m in
Canberra: no file says so; it follows from the 73.1 m that a tile spans. The camera stands in the
tile's middle, true to the 1 to 3 m of the panoramas' own places: to localize, see ``shift``.
``utm`` is easting and northing of zone 55 south, grid north; tiles are true-north.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
import pyproj
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from cross_view_localizer.camera.camera import OPTICAL_TO_BODY, Camera
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
    read_tile,
)

Part = Literal["train", "validation", "test"]
Suffix = Literal["auto", "png", "jpg"]

SIZE = 1200
ZOOM_21 = EQUATOR_GSD / 2**21  # zoom 20 at scale 2, m/px at the equator
UTM = "EPSG:32755"
CAMERA_HEIGHT = 2.5  # m above the road: stated nowhere, usual for such cars
POLAR = (128, 512)
SEED = 42  # of the fixed shifts


class CvactReader(Reader):
    """A split of CVACT.

    Args:
        root: the folder that holds ``ACT_data.mat``.
        split: "train" and "validation" divide the official training list by location; "test" is
            the official validation list, on which papers report.
        polar: give the aerial pictures polar-transformed about the grid's middle, see
            ``polar_transform``: for retrieval methods that want them so; not on the grid then.
        shift: metres, east and north, by which patches are moved off the camera at most: drawn for
            training, fixed by the row otherwise. A patch is the tile less that much on each side.
        suffix: of the pictures; "auto": as the first panorama's and the first tile's are found.
        cell, rim: metres: side of the cells that validation takes, and the free space around them.

    Attributes:
        held_back: panoramas in the free rim, in neither part.

    Raises:
        DatasetError: an unknown option, a missing or unreadable ``ACT_data.mat``, or no row left.
    """

    def __init__(
        self,
        root: str | Path,
        split: Part = "train",
        polar: bool = False,
        shift: float = 0.0,
        suffix: Suffix = "auto",
        cell: float = 800.0,
        rim: float = 75.0,
    ) -> None:
        for value, kind in ((split, Part), (suffix, Suffix)):
            if value not in get_args(kind):
                raise DatasetError(f"{value!r}: expected one of {', '.join(get_args(kind))}")
        if not 0 <= shift <= 25:
            raise DatasetError(f"shift {shift}: expected 0 … 25 m, as a tile spans 73 m")
        self.root, self.is_polar, self.shift = Path(root), polar, float(shift)
        self.problems: list[Problem] = []
        self.held_back = 0
        self._file = self.root / "ACT_data.mat"
        ids, utm, listed = _read(self._file, "val" if split == "test" else "train")
        latitude, longitude = _degrees(utm)
        known = np.isfinite(latitude)
        if not known.any():
            raise DatasetError(f"{self._file}: no place in utm is in zone 55 south: {utm[:1]}")
        # a fixed point of the city, the same for every split
        self.datum = Datum(float(np.median(latitude[known])), float(np.median(longitude[known])))
        off = np.maximum(
            np.abs(latitude - self.datum.latitude), np.abs(longitude - self.datum.longitude)
        )
        known = off < 1.0  # NaN is not
        rows = self._good(ids, known, listed, "valSet" if split == "test" else "trainSet")
        frame = MapFrame(self.datum)
        xy = frame.to_map(latitude[rows], longitude[rows])
        if split != "test":
            kept, train = validation_by_location(xy, cell, rim)
            self.held_back = int((~kept & ~train).sum())
            mine = train if split == "train" else kept
            rows, xy = rows[mine], xy[mine]
        if not len(rows):
            raise DatasetError(
                f"{self._file}: no panorama in the {split} part: with few panoramas take a smaller "
                f"cell than {cell:g} m"
            )
        self._ids = [ids[row] for row in rows.tolist()]
        self._xy = xy
        to_north = frame.to_map(latitude[rows] + 1e-3, longitude[rows]) - xy
        self._up = np.arctan2(to_north[:, 1], to_north[:, 0])
        self._gsd = ZOOM_21 * np.cos(np.radians(latitude[rows]))
        self._ground = self._suffix("streetview", "_grdView", suffix)
        self._aerial = self._suffix("satview_polish", "_satView_polish", suffix)
        self.tags = {"dataset": "cvact", "split": split, "aerial": "polar" if polar else "tile"}
        self.tags["shift"] = f"{shift:g} m"
        if split != "test":
            self.tags["validation"] = (
                f"location (cells {cell:g} m, rim {rim:g} m holds back {self.held_back})"
            )

    def _good(
        self, ids: list[str], known: NDArray[np.bool_], listed: NDArray[np.float64], name: str
    ) -> NDArray[np.int64]:
        """Return the 0-based rows of a list; its bad entries are reported."""
        rows = []
        for number, one in enumerate(listed.tolist(), 1):
            wrong = ""
            if not (one == one // 1 and 1 <= one <= len(ids)):
                wrong = f"index {one:g}: expected a whole number of 1 … {len(ids)}"
            elif not ids[int(one) - 1]:
                wrong = f"panoIds entry {one:g} is empty: expected a panorama's name"
            elif not known[int(one) - 1]:
                wrong = f"utm of panorama {one:g}: expected easting and northing near Canberra"
            if wrong:
                self.problems.append(Problem("row", f"{self._file}:{name}:{number}", wrong))
            else:
                rows.append(int(one) - 1)
        return np.array(rows, dtype=np.int64)

    def _suffix(self, folder: str, stem: str, suffix: Suffix) -> str:
        """Return the end of the pictures' names in a folder; png where none is found."""
        if suffix != "auto":
            return f"{stem}.{suffix}"
        first = self.root / folder / f"{self._ids[0]}{stem}.jpg"
        return f"{stem}.jpg" if first.is_file() else f"{stem}.png"

    def __len__(self) -> int:
        return len(self._ids)

    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        """Return a row; ``rng`` draws the patch's shift."""
        name, gsd, north = self._ids[index], float(self._gsd[index]), float(self._up[index])
        x, y = self._xy[index].tolist()
        rng = np.random.default_rng([SEED, index]) if rng is None else rng
        east, up = rng.uniform(-self.shift, self.shift, 2).tolist()
        size = SIZE - 2 * math.ceil(self.shift / gsd)
        return Label(
            name=f"{self._file.name}:{name}",
            ground_file=self.root / "streetview" / f"{name}{self._ground}",
            aerial_file=self.root / "satview_polish" / f"{name}{self._aerial}",
            grid=Grid(size, size, gsd, (x + east, y + up), north),
            position=(x, y),
            yaw=north,
            heading=north,
            group="Canberra",
            datum=self.datum,
        )

    def aerial(self, label: Label, grid: Grid) -> RGB:
        """Return the tile on ``grid``, black outside; of a reader with ``polar`` the polar
        picture of that size, reaching half of the grid's width.

        Raises:
            DatasetError: where the tile is missing, broken or not square.
        """
        image = read_tile(label.aerial_file)
        height, width = image.shape[:2]
        gsd = label.grid.gsd * SIZE / width
        source = Grid(width, height, gsd, label.position, label.grid.up)
        if not self.is_polar:
            return cropped(image, source, grid)
        side = max(1, round(grid.extent[0] / source.gsd))
        square = Grid(side, side, grid.extent[0] / side, grid.center, grid.up)
        return polar_transform(cropped(image, source, square), grid.height, grid.width)

    def ground(self, label: Label) -> GroundPicture:
        """Return the panorama; its middle column looks north."""
        image = read_rgb(label.ground_file)
        camera = Camera("equirectangular", image.shape[1], image.shape[0])
        return GroundPicture(image, camera, OPTICAL_TO_BODY, CAMERA_HEIGHT)


def polar_transform(image: RGB, height: int = POLAR[0], width: int = POLAR[1]) -> RGB:
    """Return a north-up square aerial picture (S, S, 3) around its middle as (height, width, 3),
    laid out as a panorama whose middle column looks north; the top row is the far end.

    As published (SAFA, NeurIPS 2019): pixel (i, j) shows row S/2 + r cos a, column S/2 − r sin a,
    with r = S/2 (height − 1 − i) / height, a = 2π j / width; indices, so half a pixel down and
    right of the square's middle.
    """
    half = image.shape[0] / 2
    reach = half * (height - 1 - np.arange(height)[:, None]) / height
    angle = 2 * np.pi * np.arange(width)[None] / width
    rows = (half + reach * np.cos(angle)).astype(np.float32)
    columns = (half - reach * np.sin(angle)).astype(np.float32)
    return np.asarray(cv2.remap(image, columns, rows, cv2.INTER_LINEAR), dtype=np.uint8)


def _read(
    file: Path, part: Literal["train", "val"]
) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Return the panoramas' names, their easting and northing (N, 2), and a list's indices."""
    if not file.is_file():
        raise DatasetError(f"{file}: no such file: expected CVACT's root, which holds it")
    try:
        data: dict[str, Any] = loadmat(
            file, variable_names=["panoIds", "utm", f"{part}Set"], simplify_cells=True
        )
        # an empty cell is read as an empty array
        cells = np.atleast_1d(data["panoIds"])
        ids = [name.strip() if isinstance(name, str) else "" for name in cells]
        utm = np.asarray(data["utm"], dtype=np.float64).reshape(-1, 2)
        listed = np.atleast_1d(np.asarray(data[f"{part}Set"][f"{part}Ind"], dtype=np.float64))
    except (KeyError, TypeError, IndexError) as error:
        raise DatasetError(f"{file}: no {error}: expected panoIds, utm, {part}Set") from None
    except (ValueError, OSError, NotImplementedError, MatReadError) as error:
        raise DatasetError(
            f"{file}: {error}: expected CVACT's MATLAB file; fetch it anew"
        ) from None
    if len(ids) != len(utm):
        raise DatasetError(f"{file}: {len(ids)} panoIds and {len(utm)} rows of utm: expected equal")
    return ids, utm, listed


def _degrees(utm: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return latitudes and longitudes (N,); NaN where there is no place of zone 55 south."""
    easting, northing = utm.T
    good = (easting > 1e5) & (easting < 9e5) & (northing > 1.1e6) & (northing < 1e7)
    project = pyproj.Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    longitude, latitude = project.transform(
        np.where(good, easting, 5e5), np.where(good, northing, 6e6)
    )
    return np.where(good, latitude, np.nan), np.where(good, longitude, np.nan)
