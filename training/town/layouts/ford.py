"""Writes the Ford Multi-AV layout with Shi's rows from a town.

The body frame is x forward, y right, z down; quaternions (w first) take it to north-east-down; the
camera's place and direction in the body come from the calibration's YAML files. Tiles are north-up
squares of 0.22 m/px on a lattice of 5 m. The logs are some of those whose official rows begin at 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from cross_view_localizer.geo import Datum, MapFrame
from training.datasets.picture_files import save
from training.town.layouts.crops import camera_picture
from training.town.layouts.kitti import write_tile
from training.town.layouts.mercator import anchored
from training.town.layouts.truth import Truth, truth_at
from training.town.town import CameraPose, Town

Point = Literal["body", "camera"]

PLACE = Datum(42.3000, -83.2300)
GSD, TILE = 0.22, 1280
LATTICE = 5.0
SIZE = (1656, 860)
MATRIX = np.array([[945.391406, 0, 855.502825], [0, 945.668274, 566.372868], [0, 0, 1]])
# X_body = R X_cam + T: metres, and the camera's small turn to the right, radians
TRANSLATION = (1.15, -0.40, -0.65)
TURN = 0.02
TILT = (0.010, -0.008)  # roll and pitch of the body
CAMERA_HEIGHT = 1.65
TRAIN = (("2017-10-26", "Log4"), ("2017-08-04", "Log5"))
TEST = (("2017-10-26", "Log5"), ("2017-08-04", "Log4"))


@dataclass(frozen=True)
class Frame:
    """A picture's name, and the poses of camera and body in the town's map."""

    name: str
    camera: CameraPose
    body: CameraPose


def write(root: str | Path, seed: int = 32, frames: int = 4, point: Point = "body") -> list[Truth]:
    """Write a small Ford Multi-AV and return the truth of every frame.

    Args:
        frames: of each of the two training and two test logs.
        point: whose truth to return; its yaw is the camera's in any case.
    """
    root, town = Path(root), ford_town(seed)
    truths: list[Truth] = []
    _write_calibration(root / "Calibration-V2" / "V2")
    rng = np.random.default_rng(seed)
    for number, (date, log) in enumerate(TRAIN + TEST):
        folder = root / date / "V2" / log
        pictures = folder / f"{date}-V2-{log}-FL"
        pictures.mkdir(parents=True, exist_ok=True)
        rows = []
        for frame in _drive(town, number, frames):
            index = len(truths)
            picture = camera_picture(town, frame.camera, MATRIX, SIZE, CAMERA_HEIGHT, index)
            save(pictures / frame.name, picture)
            rows.append(_row(town, frame, folder / "SatelliteMaps_18"))
            pose = replace(frame.body if point == "body" else frame.camera, yaw=frame.camera.yaw)
            truths.append(truth_at(town, f"{pictures.name}/{frame.name}", pose, f"{date}/{log}"))
        (folder / "grd_sat_quaternion_latlon.txt").write_text("\n".join(rows) + "\n")
        if (date, log) in TEST:
            shifts = rng.uniform(-1, 1, (len(rows), 3)).tolist()
            rows = [" ".join([row, *map(str, s)]) for row, s in zip(rows, shifts, strict=True)]
            (folder / "grd_sat_quaternion_latlon_test.txt").write_text("\n".join(rows) + "\n")
    return truths


def ford_town(seed: int = 32) -> Town:
    """Return the town that stands for Dearborn."""
    return anchored(Town(seed), PLACE)


def _drive(town: Town, number: int, count: int) -> list[Frame]:
    """Return a straight drive, a metre between frames."""
    start = [pose for pose in town.poses(40, stream="drives") if pose.kind == "street"][number]
    out = []
    for k in range(count):
        x = start.x + k * math.cos(start.yaw)
        y = start.y + k * math.sin(start.yaw)
        camera = replace(start, x=x, y=y)
        name = f"{1_501_822_133_000_000 + 10_000_000_000 * number + 66_000 * k}.png"
        out.append(Frame(name, camera, _body(camera)))
    return out


def _body(camera: CameraPose) -> CameraPose:
    """Return where the body is, its yaw that of its x axis."""
    yaw = camera.yaw + TURN
    forward = np.array([math.cos(yaw), math.sin(yaw)])
    right = np.array([math.sin(yaw), -math.cos(yaw)])
    x, y = (camera.x, camera.y) - TRANSLATION[0] * forward - TRANSLATION[1] * right
    return replace(camera, x=float(x), y=float(y), yaw=yaw)


def _row(town: Town, frame: Frame, tiles: Path) -> str:
    """Write the frame's tile and return its row."""
    map_frame = MapFrame(town.datum)
    body = np.array([frame.body.x, frame.body.y])
    center = np.round(body / LATTICE) * LATTICE
    latitude, longitude = map_frame.to_wgs84(center).tolist()
    tile = tiles / f"{latitude}_{longitude}.png"
    if not tile.exists():
        write_tile(tile, town, (float(center[0]), float(center[1])), GSD, TILE)
    azimuth = math.pi / 2 - frame.body.yaw  # clockwise from north
    x, y, z, w = Rotation.from_euler("ZYX", [azimuth, TILT[1], TILT[0]]).as_quat().tolist()
    place = map_frame.to_wgs84(body).tolist()
    return " ".join([frame.name, *map(str, [w, x, y, z, *place, latitude, longitude])])


def _write_calibration(folder: Path) -> None:
    """Write the front left camera's two files, in the form of ROS's messages."""
    folder.mkdir(parents=True, exist_ok=True)
    level = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])  # columns: camera x, y, z in the body
    turned = Rotation.from_euler("Z", TURN).as_matrix() @ level
    x, y, z, w = Rotation.from_matrix(turned).as_quat().tolist()
    tx, ty, tz = TRANSLATION
    (folder / "cameraFrontLeft_body.yaml").write_text(
        "header: {frame_id: body, seq: 0, stamp: {nsecs: 0, secs: 0}}\n"
        "child_frame_id: cameraFrontLeft\n"
        "transform:\n"
        f"  translation: {{x: {tx}, y: {ty}, z: {tz}}}\n"
        f"  rotation: {{x: {x}, y: {y}, z: {z}, w: {w}}}\n"
    )
    projection = np.hstack([MATRIX, np.zeros((3, 1))])
    (folder / "cameraFrontLeftIntrinsics.yaml").write_text(
        f"height: {SIZE[1]}\nwidth: {SIZE[0]}\ndistortion_model: plumb_bob\n"
        "D: [0.0, 0.0, 0.0, 0.0, 0.0]\n"
        f"K: {_flow(MATRIX)}\nR: {_flow(np.eye(3))}\nP: {_flow(projection)}\n"
    )


def _flow(values: NDArray[np.float64]) -> str:
    return "[" + ", ".join(str(value) for value in values.ravel().tolist()) + "]"
