"""KITTI for cross-view localization: the split and protocol of Shi and Li (CVPR 2022).

Layout: ``raw_data/<day>/<drive>/{image_02,oxts}/data``, ``raw_data/<day>/calib_cam_to_cam.txt``,
tiles ``satmap/<day>/<drive>/<number>.png`` (1280 x 1280, north-up, centred on the OXTS point) and
``train_files.txt``, ``test1_files.txt`` (drives of training), ``test2_files.txt`` (others).

The protocol turns the tile until the vehicle's heading points right, puts the camera in its middle,
shifts it along and across the heading, turns it by the heading's error and crops 512 x 512. Here
that is one grid, sampled once. The published labels give the camera as column 256 − dx, row
256 − dy counted from the crop's outer corner: pixel (255.5 − dx, 255.5 − dy). The published code
cuts these to whole numbers, which moves its truth by up to a pixel (0.2 m) and ours not at all; its
four successive resamplings blur, and it scales all intrinsics for 1242 x 375 pictures, where those
of three days are smaller.
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

from cross_view_localizer.camera.camera import OPTICAL_TO_BODY
from cross_view_localizer.geo import Datum, MapFrame, wrap_angle
from cross_view_localizer.grid import Grid
from training.datasets.aerial_source import cropped
from training.datasets.kitti_files import (
    Fault,
    Frame,
    Oxts,
    RawData,
    list_rows,
    numbers,
    validation_drives,
)
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

Split = Literal["train", "validation", "test1", "test2"]
GSD = EQUATOR_GSD * math.cos(math.radians(49.015)) / 2**18 / 2
CROP = 512
AHEAD, RIGHT = 1.08, 0.26  # of the camera, metres from the OXTS point
CAMERA_HEIGHT = 1.65
LISTS = {"train": "train", "validation": "train", "test1": "test1", "test2": "test2"}


@dataclass(frozen=True)
class _Row:
    """A frame with its place in the list and the fixed (gx, gy, theta) of the protocol, ±1."""

    line: int
    frame: Frame
    oxts: Oxts
    shift: tuple[float, float, float]


class KittiReader(Reader):
    """A split of KITTI.

    Args:
        root: holds ``raw_data`` and ``satmap``.
        split: "train" and "validation" divide the training list by drives (see
            `validation_drives`); "test1" is same-area, "test2" cross-area.
        lists: folder of the list files; None: ``root``, else ``root/dataLoader``.
        shift: largest offset of the prior along and across the heading, metres.
        rotation: largest error of the heading that is told, degrees.

    Raises:
        DatasetError: an unknown split, a shift that leaves the patch, missing lists or raw data,
            or no usable row.
    """

    def __init__(
        self,
        root: str | Path,
        split: Split = "train",
        lists: str | Path | None = None,
        shift: float = 20.0,
        rotation: float = 10.0,
    ) -> None:
        if split not in get_args(Split):
            raise DatasetError(f"split {split!r}: expected one of {', '.join(get_args(Split))}")
        if not (0 <= shift <= 35 and 0 <= rotation <= 180):
            raise DatasetError(
                f"shift {shift:g} m, rotation {rotation:g} degrees: expected at most 35 m, which "
                "keeps the camera in the patch, and 180 degrees"
            )
        self.root, self.split = Path(root), split
        self._shift, self._rotation = shift, math.radians(rotation)
        self.problems: list[Problem] = []
        file = list_file(self.root, lists, f"{LISTS[split]}_files.txt")
        self._file, self._raw = file, RawData(self.root)
        self._rows = self._read(file)
        if not self._rows:
            first = f": {self.problems[0]}" if self.problems else ""
            raise DatasetError(f"{file}: no usable row for {split}{first}")
        self._place()
        self.tags = {
            "dataset": "kitti",
            "split": split,
            "shift": f"{shift:g} m",
            "rotation": f"{rotation:g} deg",
        }
        if split in ("train", "validation"):
            self.tags["validation"] = "5 % by drives"

    def _read(self, file: Path) -> list[_Row]:
        tested = self.split.startswith("test")
        lines = list_rows(file, 4 if tested else 1, self.problems)
        held = set() if tested else validation_drives([_drive(words[0]) for _, words in lines])
        rows = []
        for line, words in lines:
            if not tested and (_drive(words[0]) in held) != (self.split == "validation"):
                continue
            try:
                rows.append(self._row(line, words))
            except Fault as fault:
                self.problems.append(Problem(fault.kind, f"{file}:{line}", str(fault)))
        return rows

    def _row(self, line: int, words: Sequence[str]) -> _Row:
        frame = Frame.of(words[0])
        if len(words) == 1:  # validation: drawn once for each frame, whatever the list's order
            rng = np.random.default_rng(zlib.crc32(words[0].encode()))
            shift_x, shift_y, theta = rng.uniform(-1, 1, 3).tolist()
        else:
            shift_x, shift_y, theta = numbers(words[1:], "shift_x, shift_y, theta", 1.0)
        self._raw.camera(frame.day)
        # the test files hold the labels, which are minus the shifts that the crop is given
        shift = (-shift_x, -shift_y, theta)
        return _Row(line, frame, self._raw.oxts(frame), shift)

    def _place(self) -> None:
        """Place all OXTS points in one frame; drop those that are nowhere near the first."""
        first = self._rows[0].oxts
        self._datum = Datum(round(first.latitude, 1), round(first.longitude, 1))
        near = []
        for row in self._rows:
            away = math.hypot(
                row.oxts.latitude - self._datum.latitude,
                row.oxts.longitude - self._datum.longitude,
            )
            if away < 1.0:
                near.append(row)
                continue
            what = f"{row.oxts.latitude}, {row.oxts.longitude} is {away:.0f} degrees from the first"
            where = f"{self._file}:{row.line}"
            self.problems.append(Problem("row", where, f"{what}: expected one region"))
        self._rows = near
        self._frame = MapFrame(self._datum)
        self._xy, self._north = placed(self._frame, [row.oxts for row in self._rows])

    def __len__(self) -> int:
        return len(self._rows)

    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        """Return a row with its fixed shift and turn, or with those that ``rng`` draws."""
        row = self._rows[index]
        along, left, turn = row.shift if rng is None else rng.uniform(-1, 1, 3).tolist()
        turn *= self._rotation
        yaw = float(wrap_angle(self._north[index] - math.pi / 2 + row.oxts.yaw))
        camera = moved(self._xy[index], yaw, AHEAD, -RIGHT)
        center = moved(camera, yaw, along * self._shift, left * self._shift)
        # The picture is turned counter-clockwise by the error: what points right then is as far
        # clockwise from the heading, and is what the method takes for the heading.
        told = float(wrap_angle(yaw - turn))
        grid = Grid(CROP, CROP, GSD, (float(center[0]), float(center[1])), told + math.pi / 2)
        return Label(
            name=f"{self._file.name}:{row.line}",
            ground_file=self._raw.picture(row.frame),
            aerial_file=self.root / "satmap" / row.frame.tile,
            grid=grid,
            position=(float(camera[0]), float(camera[1])),
            yaw=yaw,
            heading=told,
            group=row.frame.drive,
            datum=self._datum,
        )

    def aerial(self, label: Label, grid: Grid) -> RGB:
        """Return the tile on ``grid``; black beyond it.

        Raises:
            DatasetError: where the tile is missing, broken or not square.
        """
        point = moved(label.position, label.yaw, -AHEAD, RIGHT)  # the tile's middle
        latitude, longitude = self._frame.to_wgs84(point).tolist()
        _, up = placed(self._frame, [Oxts(latitude, longitude, 0.0)])
        return tile_on(label.aerial_file, point, float(up[0]), grid)

    def ground(self, label: Label) -> GroundPicture:
        """Return the left colour camera's rectified picture.

        Raises:
            DatasetError: where it is missing or broken.
        """
        return ground_picture(self._raw, label)


def moved(xy: Sequence[float] | NDArray[np.float64], yaw: float, ahead: float, left: float) -> (
    NDArray[np.float64]
):  # fmt: skip
    """Return the point (2,) so many metres ahead and to the left of another."""
    c, s = math.cos(yaw), math.sin(yaw)
    return np.array([xy[0] + c * ahead - s * left, xy[1] + s * ahead + c * left])


def placed(
    frame: MapFrame, points: Sequence[Oxts]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (N, 2) positions and (N,) azimuths of true north there, which turns from the frame's
    by the meridians' convergence.
    """
    latitude = np.array([point.latitude for point in points])
    longitude = np.array([point.longitude for point in points])
    xy = frame.to_map(latitude, longitude)
    to_north = frame.to_map(latitude + 1e-3, longitude) - xy
    return xy, np.arctan2(to_north[:, 1], to_north[:, 0])


def tile_on(file: Path, middle: NDArray[np.float64], up: float, grid: Grid) -> RGB:
    """Return a tile of KITTI's resolution, whose middle and up are given, on ``grid``.

    Raises:
        DatasetError: where the tile is missing, broken or not square.
    """
    image = read_tile(file)
    height, width = image.shape[:2]
    tile = Grid(width, height, GSD, (float(middle[0]), float(middle[1])), up)
    return cropped(image, tile, grid)


def ground_picture(raw: RawData, label: Label) -> GroundPicture:
    """Return a label's ground picture with the camera of its day."""
    image = read_rgb(label.ground_file)
    try:
        camera = raw.camera(label.group[:10])
    except Fault as fault:
        raise DatasetError(str(fault)) from None
    camera = camera.resized(image.shape[1], image.shape[0])
    return GroundPicture(image, camera, OPTICAL_TO_BODY, CAMERA_HEIGHT)


def list_file(root: Path, lists: str | Path | None, name: str) -> Path:
    """Return where a list file is, or should be."""
    if lists is not None:
        return Path(lists) / name
    beside = root / "dataLoader" / name
    return beside if beside.is_file() and not (root / name).is_file() else root / name


def _drive(path: str) -> str:
    return path.split("/")[1] if path.count("/") == 2 else path
