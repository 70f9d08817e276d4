"""Writes KITTI's layout with Shi's lists from a town: drives, GNSS/INS files, tiles, shifts.

Drives are straight, a metre between frames. As in the real data, most drives of test1 are those of
train, and test2 has its own; both tests share one sequence of random shifts; the days differ in the
size of their pictures. The camera stands where the town's pose is, the GNSS/INS (OXTS) point behind
and to the left of it; tiles are north-up squares of one constant resolution about the OXTS point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.geo import Datum, MapFrame
from cross_view_localizer.grid import Grid
from training.datasets.picture_files import save
from training.town.layouts.crops import aerial_on, camera_picture
from training.town.layouts.mercator import anchored
from training.town.layouts.truth import Truth, truth_at
from training.town.town import CameraPose, Town

Point = Literal["camera", "oxts"]

PLACE = Datum(49.0150, 8.4000)
GSD = 0.19582851
TILE = 1280
FORWARD, RIGHT = 1.08, 0.26  # of the camera from the OXTS point, m
CAMERA_HEIGHT = 1.65
# day: picture size, focal length and principal point of P_rect_02, pixels
DAYS = {
    "2011_09_26": ((1242, 375), 721.5377, 609.5593, 172.8540),
    "2011_09_28": ((1224, 370), 707.0493, 604.0814, 180.5066),
    "2011_09_29": ((1238, 374), 718.3351, 600.3891, 181.5122),
    "2011_09_30": ((1226, 370), 707.0912, 601.8873, 183.1104),
    "2011_10_03": ((1241, 376), 718.8560, 607.1928, 185.2157),
}
TRAIN = (
    "2011_09_26_drive_0001_sync",
    "2011_09_26_drive_0002_sync",
    "2011_09_28_drive_0001_sync",
    "2011_09_30_drive_0018_sync",
)
TEST2 = ("2011_09_26_drive_0005_sync", "2011_10_03_drive_0027_sync")


@dataclass(frozen=True)
class Frame:
    """A frame of a drive: its path in the lists, and the camera's pose in the town's map."""

    drive: str
    number: int
    pose: CameraPose

    @property
    def day(self) -> str:
        """The drive's date."""
        return self.drive[:10]

    @property
    def path(self) -> str:
        """As the lists name it."""
        return f"{self.day}/{self.drive}/{self.number:010d}.png"

    @property
    def oxts(self) -> CameraPose:
        """The pose of the OXTS point."""
        c, s = math.cos(self.pose.yaw), math.sin(self.pose.yaw)
        x = self.pose.x - (FORWARD * c + RIGHT * s)
        y = self.pose.y - (FORWARD * s - RIGHT * c)
        return replace(self.pose, x=x, y=y)


def write(
    root: str | Path, seed: int = 31, frames: int = 3, point: Point = "camera"
) -> list[Truth]:
    """Write a small KITTI and return the truth of every frame.

    Args:
        frames: of each drive; the last of each training drive is one of test1.
        point: whose truth to return.
    """
    root, town = Path(root), kitti_town(seed)
    drives = {d: drive(town, d, n, frames) for n, d in enumerate(TRAIN + TEST2)}
    write_calibrations(root)
    written = [frame for one in drives.values() for frame in one]
    for index, frame in enumerate(written):
        write_frame(root, town, frame, index)
        write_tile(root / "satmap" / frame.path, town, (frame.oxts.x, frame.oxts.y))
    parts = {
        "train": [frame for d in TRAIN for frame in drives[d][:-1]],
        "test1": [drives[d][-1] for d in TRAIN],
        "test2": [frame for d in TEST2 for frame in drives[d]],
    }
    shifts = np.random.default_rng(seed).uniform(-1, 1, (len(written), 3)).tolist()
    for part, chosen in parts.items():
        rows = [
            frame.path if part == "train" else " ".join([frame.path, *(f"{s:.6f}" for s in shift)])
            for frame, shift in zip(chosen, shifts, strict=False)
        ]
        (root / f"{part}_files.txt").write_text("\n".join(rows) + "\n")
    return [truth(town, frame, point) for frame in written]


def kitti_town(seed: int = 31) -> Town:
    """Return the town that stands for Karlsruhe."""
    return anchored(Town(seed), PLACE)


def drive(town: Town, name: str, index: int, frames: int) -> list[Frame]:
    """Return a straight drive along a street of the town."""
    start = [pose for pose in town.poses(40, stream="drives") if pose.kind == "street"][index]
    c, s = math.cos(start.yaw), math.sin(start.yaw)
    return [
        Frame(name, 5 + k, replace(start, x=start.x + k * c, y=start.y + k * s))
        for k in range(frames)
    ]


def truth(town: Town, frame: Frame, point: Point) -> Truth:
    """Return a frame's truth; its key is the end of its picture's path."""
    pose = frame.pose if point == "camera" else frame.oxts
    return truth_at(town, f"{frame.day}/{_picture(frame)}", pose, frame.drive)


def _picture(frame: Frame) -> str:
    return f"{frame.drive}/image_02/data/{frame.number:010d}.png"


def write_frame(root: Path, town: Town, frame: Frame, index: int) -> None:
    """Write a frame's picture and its OXTS file."""
    folder = root / "raw_data" / frame.day
    size, focal, cx, cy = DAYS[frame.day]
    matrix = np.array([[focal, 0, cx], [0, focal, cy], [0, 0, 1]])
    picture = folder / _picture(frame)
    picture.parent.mkdir(parents=True, exist_ok=True)
    save(picture, camera_picture(town, frame.pose, matrix, size, CAMERA_HEIGHT, index))
    oxts = folder / frame.drive / "oxts" / "data" / f"{frame.number:010d}.txt"
    oxts.parent.mkdir(parents=True, exist_ok=True)
    oxts.write_text(" ".join(_oxts(town, frame.oxts)) + "\n")


def _oxts(town: Town, pose: CameraPose) -> list[str]:
    """Return the 30 fields: place, height, roll, pitch, yaw; velocities …; flags."""
    latitude, longitude = MapFrame(town.datum).to_wgs84((pose.x, pose.y)).tolist()
    speed = 10.0  # m/s: a metre a frame at 10 Hz
    fields = [latitude, longitude, 112.8, 0.0, 0.0, pose.yaw]
    fields += [speed * math.sin(pose.yaw), speed * math.cos(pose.yaw), speed, 0.0, 0.0]
    fields += [0.0] * 12 + [0.05, 0.02]
    return [f"{value:.14f}" for value in fields] + ["4", "10", "4", "4", "0"]


def write_tile(
    path: Path, town: Town, center: tuple[float, float], gsd: float = GSD, size: int = TILE
) -> None:
    """Write the north-up tile about a point of the town's map."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save(path, aerial_on(town, Grid(size, size, gsd, center)))


def write_calibrations(root: Path) -> None:
    """Write each day's camera calibration."""
    for day, (size, focal, cx, cy) in DAYS.items():
        folder = root / "raw_data" / day
        folder.mkdir(parents=True, exist_ok=True)
        lines = ["calib_time: 09-Jan-2012 13:57:47", "corner_dist: 9.950000e-02"]
        for camera, shift in (("00", 0.0), ("02", 44.85728)):
            rect = np.array([[focal, 0, cx, shift], [0, focal, cy, 0.0], [0, 0, 1, 0.0]])
            lines += [
                # before rectification: another size and other numbers
                f"S_{camera}: {_numbers([1392, 512])}",
                f"K_{camera}: {_numbers([959.8, 0, 696.0, 0, 956.9, 224.2, 0, 0, 1])}",
                f"D_{camera}: {_numbers([-0.37, 0.2, 0.001, 0.002, -0.07])}",
                f"S_rect_{camera}: {_numbers(list(size))}",
                f"R_rect_{camera}: {_numbers(np.eye(3).ravel())}",
                f"P_rect_{camera}: {_numbers(rect.ravel())}",
            ]
        (folder / "calib_cam_to_cam.txt").write_text("\n".join(lines) + "\n")


def _numbers(values: list[float] | list[int] | NDArray[np.float64]) -> str:
    return " ".join(f"{value:.12e}" for value in values)
