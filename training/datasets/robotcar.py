"""Oxford RobotCar with the split and the stitched map of CVML (Xia et al., ECCV 2022).

Layout: ``Oxford_split/`` with lists, headings and look-up lists; prepared pictures
``<date>/ground/<E>_<N>.png`` or raw ones ``<date>/stereo/centre/<microseconds>.png``; the map as a
GeoTIFF (``python -m training.maps.stitched``) or any other georeferenced raster.

Positions are UTM metres along the grid's axes, turned here by the grid convergence (1.37 degrees);
headings come from true north. Patches are the published ones: 800 x 800 px of the stitched map,
whole pixels of it, about a random point near the camera for training and on a raster of 400 px for
validation and test; only their truth is not rounded. The published code rounds it by up to 0.5 map
pixels in training and 1 px512 (0.14 m) in validation and test, and turns patches about a point half
a pixel off their middle.
"""

from __future__ import annotations

import functools
import math
import zlib
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pyproj
from numpy.typing import NDArray

from cross_view_localizer.geo import Datum, MapFrame
from cross_view_localizer.grid import Grid
from training.datasets.pair import RGB, DatasetError, GroundPicture, Label, Problem, Reader
from training.datasets.robotcar_lists import Row, Split, by_time, read_split
from training.datasets.robotcar_map import PUBLISHED, UTM, MapFile
from training.datasets.robotcar_pictures import Pictures

Images = Literal["ground", "raw"]
Order = Literal["list", "time"]
Point = Literal["ins", "camera"]
Patches = Literal["published", "uniform"]

DATUM = Datum(51.7566, -1.2599)
# True metres per pixel of the stitched map, by its affine and UTM's scale there (0.99978); the
# papers take 0.0924, the nominal resolution of Google's zoom 20 there.
GSD = 1 / math.sqrt(abs(float(np.linalg.det(PUBLISHED.matrix)))) / 0.9997771
SIDE, STRIDE = 800, 400  # of patches and of the raster of the fixed ones, map pixels
REACH = 200.0
WIDE = 240.0  # 22 m: more than the prior's square, and still within a heatmap of 48 m
# From the INS to the camera, metres (forward, left): the SDK has the INS at (-1.7132, 0.1181) of
# the stereo camera, x forward and y right.
INS_TO_CAMERA = (1.7132, 0.1181)
NORTH = math.pi / 2


@functools.cache
def _frames() -> tuple[pyproj.Transformer, MapFrame]:
    return pyproj.Transformer.from_crs(UTM, "EPSG:4326", always_xy=True), MapFrame(DATUM)


def to_map(utm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (x, y) in the frame of DATUM, (..., 2), of (E, N)."""
    to_wgs84, frame = _frames()
    longitude, latitude = to_wgs84.transform(utm[..., 0], utm[..., 1])
    return frame.to_map(latitude, longitude)


class RobotCarReader(Reader):
    """A part of the split.

    Args:
        root: folder of ``Oxford_split`` and of the traversals.
        split: "train", "validation", one of the test traversals, or "test" for all three.
        map: GeoTIFF or other raster; ``root/satellite_map.tif`` if not given.
        images: "ground" for the authors' prepared pictures, "raw" for the Bayer ones.
        sdk_models: folder of the SDK's camera models, to undistort raw pictures.
        heading_up: turn patches so that the heading points up, as CVML; else north is up and
            nothing is told of the heading, as in CCVPE.
        order: "list" as in the lists, random along the way; "time" for sequences.
        reference_point: "camera", or "ins", 1.7 m behind it, whose position the lists give and on
            which the published recipes train.
        patches: offsets of training's patches as published, more often near the middle, or
            "uniform" over a square along the told heading, somewhat larger than the one in which
            the fixed ones lie.
        rotation: largest error of the heading that is told, degrees: drawn anew in training, fixed
            by the row's name elsewhere; 0 as published.
        splits: folder of the lists, where it is not ``root/Oxford_split``.

    Raises:
        DatasetError: a wrong root, map or option; headings that don't belong to the lists.
    """

    def __init__(
        self,
        root: str | Path,
        split: Split = "train",
        map: str | Path | None = None,
        images: Images = "ground",
        sdk_models: str | Path | None = None,
        heading_up: bool = True,
        order: Order = "list",
        reference_point: Point = "camera",
        patches: Patches = "published",
        splits: str | Path | None = None,
        rotation: float = 0.0,
    ) -> None:
        _check("images", images, get_args(Images))
        _check("order", order, get_args(Order))
        _check("reference_point", reference_point, get_args(Point))
        _check("patches", patches, get_args(Patches))
        if not 0 <= rotation <= 180 or (rotation and not heading_up):
            raise DatasetError(
                f"rotation {rotation:g} degrees, heading_up {heading_up}: expected at most 180, "
                "and only where a heading is told"
            )
        self._rotation = math.radians(rotation)
        self.root, self.images, self.patches = Path(root), images, patches
        self.heading_up, self.reference_point = heading_up, reference_point
        self.problems: list[Problem] = []
        stamped = images == "raw" or order == "time"
        folder = self.root / "Oxford_split" if splits is None else Path(splits)
        rows = read_split(folder, split, self.problems, stamped)
        self._pictures = Pictures(images == "raw", None if sdk_models is None else Path(sdk_models))
        self._map = MapFile(Path(map) if map else self.root / "satellite_map.tif", DATUM)
        self._place(by_time(rows) if order == "time" else rows)
        if not self.rows:
            first = f"; first: {self.problems[0]}" if self.problems else ""
            raise DatasetError(f"{folder}: no row of '{split}' can be used{first}")
        self.tags = {
            "dataset": "robotcar",
            "split": split,
            "patches": patches,
            "up": "heading" if heading_up else "north",
            "images": images + ("" if sdk_models is None else ", undistorted"),
            "order": order,
            "reference_point": reference_point,
        }
        if rotation:
            self.tags["rotation"] = f"{rotation:g} deg"

    def _place(self, rows: list[Row]) -> None:
        """Place rows in the frame; those beyond the map become problems."""
        utm = np.array([row.utm for row in rows]).reshape(-1, 2)
        here = to_map(utm)
        on_map = self._map.map.contains(here)
        for row, inside in zip(rows, on_map, strict=True):
            if not inside:
                said = f"E {row.utm[0]}, N {row.utm[1]}: not on the map {self._map.path}"
                self.problems.append(Problem("outside", row.where, said))
        self.rows = [row for row, inside in zip(rows, on_map, strict=True) if inside]
        self._ins, utm = here[on_map], utm[on_map]
        self._pixel = PUBLISHED.to_pixel(utm)
        # Over a patch's 40 m, what a pixel's steps are in the frame changes by less than 0.01 mm.
        steps = [to_map(PUBLISHED.to_utm(self._pixel + step)) - self._ins for step in np.eye(2)]
        self._steps = np.stack(steps, axis=-1)

    def __len__(self) -> int:
        return len(self.rows)

    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        """Return a row; see ``Reader.label``. The fixed patch of training is that of validation."""
        row, yaw = self.rows[index], self.rows[index].yaw
        pixel = self._pixel[index]
        up = yaw + self._turn(row.where, rng) if self.heading_up else NORTH
        middle = fixed_middle(pixel) if rng is None else self._drawn(pixel, up, rng)
        x, y = (self._ins[index] + self._steps[index] @ (middle - pixel)).tolist()
        picture = row.ground if self.images == "ground" else row.raw
        return Label(
            name=row.where,
            ground_file=self.root / str(picture),
            aerial_file=self._map.path,
            grid=Grid(SIDE, SIDE, GSD, (x, y), up),
            position=self._position(index),
            yaw=yaw,
            heading=up,
            group=row.traversal,
            reference_point=self.reference_point,
            datum=DATUM,
            stamp=row.stamp,
        )

    def _turn(self, name: str, rng: np.random.Generator | None) -> float:
        """Return the error of the heading that is told."""
        if not self._rotation:
            return 0.0
        draws = rng or np.random.default_rng(zlib.crc32(name.encode()))
        return float(draws.uniform(-self._rotation, self._rotation))

    def _position(self, index: int) -> tuple[float, float]:
        x, y = self._ins[index].tolist()
        if self.reference_point == "ins":
            return x, y
        c, s = math.cos(self.rows[index].yaw), math.sin(self.rows[index].yaw)
        forward, left = INS_TO_CAMERA
        return x + forward * c - left * s, y + forward * s + left * c

    def _drawn(
        self, pixel: NDArray[np.float64], up: float, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Draw the middle of a training patch, a whole corner-based (column, row) of the map."""
        if self.patches == "uniform":
            ahead, left = rng.uniform(-WIDE, WIDE, 2)
            c, s = math.cos(up), math.sin(up)
            return np.round(pixel + (c * ahead - s * left, -s * ahead - c * left))
        radius = REACH * math.sqrt(2) * rng.random()
        angle = 2 * math.pi * rng.random()
        # (row, column), and int() cuts towards zero
        down, right = int(radius * math.cos(angle)), int(radius * math.sin(angle))
        return np.round(pixel) + (right, down)

    def aerial(self, label: Label, grid: Grid) -> RGB:
        """See ``Reader.aerial``."""
        return self._map.picture(grid)

    def ground(self, label: Label) -> GroundPicture:
        """See ``Reader.ground``."""
        return self._pictures.read(label.ground_file)


def fixed_middle(pixel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the middle, corner-based (column, row), of the fixed patch that has a camera's pixel
    within 200 px of it, left and right, above and below.
    """
    split = np.floor(pixel / STRIDE)
    split -= np.round(pixel - STRIDE * split) < REACH
    return np.asarray(STRIDE * split + SIDE / 2)


def _check(option: str, value: object, known: tuple[object, ...]) -> None:
    if value not in known:
        raise DatasetError(f"{option} '{value}': expected one of {', '.join(map(str, known))}")
