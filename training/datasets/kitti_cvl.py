"""KITTI-CVL (Shi et al., CVLNet, ACCV 2022): short videos and north-up tiles on a 10 m grid.

Layout: KITTI's ``raw_data``; tiles ``satmap/train_10mgap/<day>/<drive>/<number>.png`` for training
and validation, ``satmap/test/<drive>/<latitude>_<longitude>.png`` for the test; lists
``{train,test1,test2}_files_with_sat_GPS.txt`` with rows ``path latitude longitude`` of the nearest
tile's middle. ``test1`` is a validation list: its drives, and nearly all of its tiles, occur in
training; only ``test2`` is a test.

The papers retrieve the tile and judge at 10 m; here the camera's place within the listed tile is
known, and the reader states it: from the difference of the OXTS point and the tile's middle in
Mercator pixels, which is how the tile was drawn, and the camera's lever arm. Headings and relative
poses come from OXTS, as in the paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.geo import Datum, MapFrame, wrap_angle
from cross_view_localizer.grid import Grid
from training.datasets.kitti import (
    AHEAD,
    CROP,
    GSD,
    RIGHT,
    ground_picture,
    list_file,
    moved,
    placed,
    tile_on,
)
from training.datasets.kitti_files import Fault, Frame, Oxts, RawData, list_rows, numbers
from training.datasets.mercator import local
from training.datasets.pair import RGB, DatasetError, GroundPicture, Label, Problem, Reader

Split = Literal["train", "validation", "test"]
LISTS = {"train": "train", "validation": "test1", "test": "test2"}
SCALE_LATITUDE = 49.015


@dataclass(frozen=True)
class _Row:
    """A sequence, oldest frame first, with its tile's file and middle in degrees."""

    line: int
    frames: tuple[Frame, ...]
    oxts: tuple[Oxts, ...]
    tile: Path
    latitude: float
    longitude: float


class KittiCvlReader(Reader):
    """A split of KITTI-CVL; each row is the last frame of its sequence.

    Args:
        root: holds ``raw_data`` and ``satmap``.
        split: "train", "validation" (the authors' test1 list) or "test" (their test2 list).
        frames: of each sequence; skip: frames left out between two of them.
        lists: folder of the list files; None: ``root``, else ``root/dataLoader``.

    Raises:
        DatasetError: an unknown split, missing lists or raw data, or no usable row.
    """

    def __init__(
        self,
        root: str | Path,
        split: Split = "train",
        frames: int = 4,
        skip: int = 2,
        lists: str | Path | None = None,
    ) -> None:
        if split not in get_args(Split):
            raise DatasetError(f"split {split!r}: expected one of {', '.join(get_args(Split))}")
        if frames < 1 or skip < 0:
            raise DatasetError(f"{frames} frames, skip {skip}: expected at least 1, and 0 or more")
        self.root, self.split = Path(root), split
        self._steps = [(skip + 1) * back for back in range(frames - 1, -1, -1)]
        self.problems: list[Problem] = []
        self._file = list_file(self.root, lists, f"{LISTS[split]}_files_with_sat_GPS.txt")
        self._raw = RawData(self.root)
        self._oxts: dict[Frame, Oxts] = {}
        self._rows = self._read()
        if not self._rows:
            first = f": {self.problems[0]}" if self.problems else ""
            raise DatasetError(f"{self._file}: no usable row for {split}{first}")
        self._oxts.clear()
        every = [oxts for row in self._rows for oxts in row.oxts]
        positions, norths = placed(MapFrame(self._datum), every)
        self._xy, self._north = positions.reshape(-1, frames, 2), norths.reshape(-1, frames)
        self.tags = {
            "dataset": "kitti-cvl",
            "split": split,
            "frames": f"{frames}, skip {skip}",
        }

    def _read(self) -> list[_Row]:
        rows: list[_Row] = []
        for line, words in list_rows(self._file, 3, self.problems):
            try:
                row = self._row(line, words)
                if not rows:
                    latitude, longitude = row.oxts[-1].latitude, row.oxts[-1].longitude
                    self._datum = Datum(round(latitude, 1), round(longitude, 1))
                self._check(row)
            except Fault as fault:
                self.problems.append(Problem(fault.kind, f"{self._file}:{line}", str(fault)))
                continue
            rows.append(row)
        return rows

    def _row(self, line: int, words: Sequence[str]) -> _Row:
        last = Frame.of(words[0])
        latitude, longitude = numbers(words[1:], "latitude, longitude", 180.0)
        if int(last.number) < self._steps[0]:
            raise Fault("row", f"{words[0]}: fewer than {self._steps[0]} frames before it")
        frames = tuple(last.before(step) for step in self._steps)
        self._raw.camera(last.day)
        oxts = tuple(self._read_oxts(frame) for frame in frames)
        if self.split == "test":
            tile = Path("test") / last.drive / f"{words[1]}_{words[2]}.png"
        else:
            tile = Path("train_10mgap") / last.tile
        path = self.root / "satmap" / tile
        return _Row(line, frames, oxts, path, latitude, longitude)

    def _check(self, row: _Row) -> None:
        """Refuse rows that are nowhere near the first one, or outside their tile.

        Raises:
            Fault: for those.
        """
        for oxts in row.oxts:
            away = math.hypot(
                oxts.latitude - self._datum.latitude, oxts.longitude - self._datum.longitude
            )
            if not away < 1.0:
                what = f"{oxts.latitude}, {oxts.longitude} is {away:.0f} degrees from the first row"
                raise Fault("row", f"{what}: expected one region")
        here = row.oxts[-1]
        camera = moved(_on_tile(row), here.yaw, AHEAD, -RIGHT) / GSD
        if not np.abs(camera).max() < CROP / 2:
            raise Fault(
                "outside",
                f"vehicle at {here.latitude} {here.longitude}, {camera[0]:.0f} px east and "
                f"{camera[1]:.0f} px north of its tile's middle: expected within ±{CROP // 2}",
            )

    def _read_oxts(self, frame: Frame) -> Oxts:
        """Sequences overlap: each file is read once."""
        if frame not in self._oxts:
            self._oxts[frame] = self._raw.oxts(frame)
        return self._oxts[frame]

    def __len__(self) -> int:
        return len(self._rows)

    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        """Return a sequence's last frame; nothing is drawn."""
        return self.frames(index)[-1]

    def frames(self, index: int) -> list[Label]:
        """Return a sequence, oldest frame first, all with the tile of the last one.

        Earlier frames may lie outside the tile's patch.
        """
        row = self._rows[index]
        grid = self._tile(index)
        labels = []
        for frame, oxts, xy, north in zip(
            row.frames, row.oxts, self._xy[index], self._north[index], strict=True
        ):
            yaw = float(wrap_angle(float(north) - math.pi / 2 + oxts.yaw))
            camera = moved(xy, yaw, AHEAD, -RIGHT)
            labels.append(
                Label(
                    name=f"{self._file.name}:{row.line}",
                    ground_file=self._raw.picture(frame),
                    aerial_file=row.tile,
                    grid=grid,
                    position=(float(camera[0]), float(camera[1])),
                    yaw=yaw,
                    heading=yaw,
                    group=frame.drive,
                    datum=self._datum,
                )
            )
        return labels

    def _tile(self, index: int) -> Grid:
        """Return the middle of a row's tile, placed so that the last frame's OXTS point has its
        Mercator pixel.
        """
        east, north = _on_tile(self._rows[index]).tolist()
        up = float(self._north[index, -1])
        x, y = moved(self._xy[index, -1], up, -north, east).tolist()
        return Grid(CROP, CROP, GSD, (x, y), up)

    def files(self, index: int) -> tuple[Path, ...]:
        """Return the pictures of the whole sequence, and the tile."""
        row = self._rows[index]
        return *(self._raw.picture(frame) for frame in row.frames), row.tile

    def aerial(self, label: Label, grid: Grid) -> RGB:
        """Return the tile on ``grid``; black beyond it.

        Raises:
            DatasetError: where the tile is missing, broken or not square.
        """
        return tile_on(label.aerial_file, np.array(label.grid.center), label.grid.up, grid)

    def ground(self, label: Label) -> GroundPicture:
        """Return the left colour camera's rectified picture.

        Raises:
            DatasetError: where it is missing or broken.
        """
        return ground_picture(self._raw, label)


def _on_tile(row: _Row) -> NDArray[np.float64]:
    """Return where a row's OXTS point lies on its tile: metres east and north of the middle."""
    here = row.oxts[-1]
    return local(here.latitude, here.longitude, SCALE_LATITUDE) - local(
        row.latitude, row.longitude, SCALE_LATITUDE
    )
