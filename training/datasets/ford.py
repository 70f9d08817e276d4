"""Ford Multi-AV for cross-view localization: the rows and protocol of Shi and Li (CVPR 2022).

Layout: ``<date>/V2/Log<n>/grd_sat_quaternion_latlon.txt`` (and ``…_test.txt``) beside
``<date>-V2-Log<n>-FL/*.png`` and ``SatelliteMaps_18/<latitude>_<longitude>.png``;
``Calibration-V2/V2/cameraFrontLeft_body.yaml`` and ``cameraFrontLeftIntrinsics.yaml``. A row is
``picture q0 q1 q2 q3 g_lat g_lon s_lat s_lon``, in test files also ``shift_u shift_v theta``:
the body's quaternion (w first, body to north-east-down), its place, and the tile's middle.

The protocol moves the tile until the body's origin is in its middle, turns it until the heading
points up, shifts it to the right by ``shift_u`` and down by ``shift_v``, turns it by the heading's
error and crops 512 x 512; test files hold these shifts without a change of sign, unlike KITTI's.
Here that is one grid, sampled once. Published truths are of the body's origin; the camera, some
metres from it, is found by the extrinsics. All tiles count as 0.22 m/px, as published (zoom 18 at
their latitude is 0.2209, so published metres are 0.4 % short).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.geo import (
    Datum,
    MapFrame,
    rotation_from_euler,
    rotation_from_quaternion,
    wrap_angle,
)
from cross_view_localizer.grid import Grid
from training.datasets.aerial_source import cropped
from training.datasets.ford_files import (
    CALIBRATION,
    Rows,
    RowSource,
    read_extrinsics,
    read_intrinsics,
    row_sources,
)
from training.datasets.kitti_files import Fault, numbers
from training.datasets.mercator import local
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

Split = Literal["train", "validation", "test"]
Point = Literal["camera", "body"]
GSD = 0.22
CROP = 512
TILE = 1280  # pixels of a tile's side
ROAD = 1.0  # metres that the road lies below the body's origin
COLUMNS = {"train": 9, "validation": 9, "test": 12}


@dataclass(frozen=True)
class _Row:
    """A row: where it stands, its files, and what it says (see the module)."""

    source: RowSource
    line: int
    ground: Path
    tile: Path
    rotation: NDArray[np.float64]
    body: tuple[float, float]
    middle: tuple[float, float]
    shift: tuple[float, float, float]


class FordReader(Reader):
    """A split of Ford Multi-AV.

    Args:
        root: holds the dates' folders and ``Calibration-V2``.
        split: "train" and "validation" divide the training rows: the last 5 % of each published
            stretch are for validation, up to 100 rows before them in neither; or "test".
        log: only these of the split's six logs, 1 … 6; None: all.
        reference_point: "camera", or "body", which is what the published errors are of.
        rows: "published": the authors' stretches; "all" rows of the training files.
        shift: largest offset of the prior to the right and along, metres.
        rotation: largest error of the heading that is told, degrees.

    Raises:
        DatasetError: an unknown option, missing lists or calibrations, lists shorter than the
            published ones, or no usable row.
    """

    def __init__(
        self,
        root: str | Path,
        split: Split = "train",
        log: int | Sequence[int] | None = None,
        reference_point: Point = "camera",
        rows: Rows = "published",
        shift: float = 20.0,
        rotation: float = 10.0,
    ) -> None:
        for value, kind in ((split, Split), (reference_point, Point), (rows, Rows)):
            if value not in get_args(kind):
                raise DatasetError(f"{value!r}: expected one of {', '.join(get_args(kind))}")
        if not (0 <= shift <= 35 and 0 <= rotation <= 180):
            raise DatasetError(
                f"shift {shift:g} m, rotation {rotation:g} degrees: expected at most 35 m, which "
                "keeps the camera in the patch, and 180 degrees"
            )
        self.root, self.split, self.point = Path(root), split, reference_point
        self._shift, self._rotation = shift, math.radians(rotation)
        self.problems: list[Problem] = []
        folder = self.root / CALIBRATION
        self._mounting, self._lever = read_extrinsics(folder / "cameraFrontLeft_body.yaml")
        self._camera = read_intrinsics(folder / "cameraFrontLeftIntrinsics.yaml")
        sources = row_sources(self.root, split, log, rows)
        self._rows = [row for source in sources for row in self._read(source)]
        if not self._rows:
            first = f": {self.problems[0]}" if self.problems else ""
            raise DatasetError(f"{self.root}: no usable row for {split}{first}")
        self._place()
        self.tags = {
            "dataset": "ford",
            "split": split,
            "logs": ",".join(source.name for source in sources),
            "rows": rows,
            "reference_point": reference_point,
            "shift": f"{shift:g} m",
            "rotation": f"{rotation:g} deg",
        }

    def _read(self, source: RowSource) -> list[_Row]:
        rows = []
        for line, words in source.lines(COLUMNS[self.split], self.problems):
            try:
                rows.append(self._row(source, line, words))
            except Fault as fault:
                self.problems.append(Problem(fault.kind, f"{source.file}:{line}", str(fault)))
        return rows

    def _row(self, source: RowSource, line: int, words: Sequence[str]) -> _Row:
        q0, q1, q2, q3 = numbers(words[1:5], "quaternion")
        if abs(math.hypot(q0, q1, q2, q3) - 1) > 0.01:
            raise Fault("row", f"quaternion {' '.join(words[1:5])}: expected length 1")
        body = _degrees(words[5:7])
        middle = _degrees(words[7:9])
        if len(words) == 12:
            right, down, theta = numbers(words[9:], "shift_u, shift_v, theta", 1.0)
        else:  # validation: drawn once for each frame, whatever the list's order
            rng = np.random.default_rng(zlib.crc32(f"{source.name} {words[0]}".encode()))
            right, down, theta = rng.uniform(-1, 1, 3).tolist()
        away = float(np.abs(_on_tile(body, middle)).max()) / GSD
        if away > TILE / 2:
            raise Fault(
                "outside",
                f"body at {words[5]} {words[6]}, {away:.0f} px from its tile's middle at "
                f"{words[7]} {words[8]}: expected within {TILE // 2}",
            )
        return _Row(
            source,
            line,
            source.picture(words[0]),
            source.folder / "SatelliteMaps_18" / f"{words[7]}_{words[8]}.png",
            rotation_from_quaternion(q1, q2, q3, q0),
            body,
            middle,
            (right, down, theta),
        )

    def _place(self) -> None:
        """Place all bodies in one frame; drop those that are nowhere near the first."""
        first = self._rows[0].body
        self._datum = Datum(round(first[0], 1), round(first[1], 1))
        near = []
        for row in self._rows:
            if math.dist(row.body, first) < 1.0:
                near.append(row)
                continue
            what = f"body at {row.body[0]} {row.body[1]}, degrees from the first: expected one city"
            self.problems.append(Problem("row", f"{row.source.file}:{row.line}", what))
        self._rows = near
        self._by_name = {self._name(row): index for index, row in enumerate(near)}
        frame = MapFrame(self._datum)
        latitude, longitude = np.array([row.body for row in near]).T
        self._xy = frame.to_map(latitude, longitude)
        to_north = frame.to_map(latitude + 1e-3, longitude) - self._xy
        self._north = np.arctan2(to_north[:, 1], to_north[:, 0])

    def _name(self, row: _Row) -> str:
        return f"{row.source.file.relative_to(self.root)}:{row.line}"

    def __len__(self) -> int:
        return len(self._rows)

    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        """Return a row with its fixed shift and turn, or with those that ``rng`` draws."""
        row, body, north = self._rows[index], self._xy[index], float(self._north[index])
        right, down, turn = row.shift if rng is None else rng.uniform(-1, 1, 3).tolist()
        turn *= self._rotation
        ahead = row.rotation[:, 0]  # the body's axes and the camera's, as north, east, down
        seen = row.rotation @ self._mounting[:, 2]
        heading = north - math.atan2(ahead[1], ahead[0])
        yaw = north - math.atan2(seen[1], seen[0])
        center = _moved(body, heading, -down * self._shift, right * self._shift)
        # The picture is turned counter-clockwise by the error: what points up then is as far
        # clockwise from the heading, and is what the method takes for the heading.
        grid = Grid(CROP, CROP, GSD, center, float(wrap_angle(heading - turn)))
        position = (float(body[0]), float(body[1]))
        if self.point == "camera":
            lever = row.rotation @ self._lever
            position = _moved(body, north, float(lever[0]), float(lever[1]))
        return Label(
            name=self._name(row),
            ground_file=row.ground,
            aerial_file=row.tile,
            grid=grid,
            position=position,
            yaw=float(wrap_angle(yaw)),
            heading=float(wrap_angle(yaw - turn)),
            group=row.source.name,
            reference_point=self.point,
            datum=self._datum,
        )

    def aerial(self, label: Label, grid: Grid) -> RGB:
        """Return the tile on ``grid``; black beyond it.

        Raises:
            DatasetError: where the tile is missing, broken or not square.
        """
        image = read_tile(label.aerial_file)
        height, width = image.shape[:2]
        index = self._by_name[label.name]
        row, north = self._rows[index], float(self._north[index])
        # the tile lies so that the body has its Mercator pixel
        east, ahead = _on_tile(row.body, row.middle).tolist()
        middle = _moved(self._xy[index], north, -ahead, -east)
        return cropped(image, Grid(width, height, GSD, middle, north), grid)

    def ground(self, label: Label) -> GroundPicture:
        """Return the front left camera's picture.

        Raises:
            DatasetError: where it is missing or broken.
        """
        image = read_rgb(label.ground_file)
        camera = self._camera.resized(image.shape[1], image.shape[0])
        levelled = np.diag([1.0, -1.0, -1.0]) @ self._mounting  # x forward, y left, z up
        azimuth = math.atan2(levelled[1, 2], levelled[0, 2])
        rotation = rotation_from_euler(0, 0, -azimuth) @ levelled
        return GroundPicture(image, camera, rotation, ROAD - float(self._lever[2]))


def _on_tile(body: tuple[float, float], middle: tuple[float, float]) -> NDArray[np.float64]:
    """Return where a body lies on its tile: metres east and north of the middle, as published."""
    return local(*body, middle[0]) - local(*middle, middle[0])


def _moved(xy: NDArray[np.float64], yaw: float, ahead: float, right: float) -> tuple[float, float]:
    """Return the point so many metres ahead and to the right of another."""
    c, s = math.cos(yaw), math.sin(yaw)
    return float(xy[0] + c * ahead + s * right), float(xy[1] + s * ahead - c * right)


def _degrees(words: Sequence[str]) -> tuple[float, float]:
    latitude, longitude = numbers(words, "latitude, longitude", 180.0)
    if abs(latitude) >= 85:
        raise Fault("row", f"latitude {latitude}: expected within ±85 degrees")
    return latitude, longitude
