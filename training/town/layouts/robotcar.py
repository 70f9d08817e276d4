"""A tiny Oxford RobotCar in the layout of the CVML authors, seen in a town moved to Oxford.

The town is put where the north-west corner of the published stitched map lies, so that the
published affine holds for the small map as it stands, and so that grid convergence (1.37 degrees)
and true-north headings are the real ones. What the public sources leave open is assumed here:

* the affine's (column, row) count from the picture's outer corner: the first stitched tile fills
  columns and rows 600 to 1200, and its middle is called 900;
* the levelled camera stands at the SDK's stereo frame (x forward, y right, z down), and the INS has
  the camera's azimuth: its small mounting angles are not in the published yaws;
* the SDK's look-up table maps pixels of the undistorted picture to the raw one, centres at
  integers: all columns, then all rows, float64, both row by row;
* the matrix under the intrinsics takes optical axes to x forward, y right, z down: no translation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np
import pyproj
from numpy.typing import NDArray

from cross_view_localizer.geo import Datum, MapFrame
from training.datasets.picture_files import save
from training.town.layouts.truth import Truth
from training.town.motion import along
from training.town.route import route
from training.town.seeds import stream
from training.town.town import CameraPose, CameraRig, Town

MAP = "satellite_map_new.png"
MODELS = "models"
EPSG = 32630
# (east, north) in metres -> (column, row): slopes, and what remains at zero.
SLOPES = np.array([[10.798207486, 0.2573664654], [0.25806494848, -10.826331958]])
# Least squares over the five published anchors; the column's constant that is sometimes quoted,
# -8163806.8, lies 6 px beside them.
OFFSET = np.array([-8163812.776297, 61943005.899065])
MAP_SIZE = 3464
FINER = 3
REACH = 75.0  # metres that poses may lie from the town's middle: every patch stays on the map
SPACING = 5.0
INS = (-1.7132, -0.1181)  # metres forward and left of the camera
SIZE = (1280, 960)
FOCAL, CX, CY = 964.828979, 643.788025, 484.407990
CANVAS = (1440, 1090)  # what is rendered: wider, as the lens draws its edges inward
BEND = -0.08  # raw radius = radius (1 + BEND radius²), on the unit plane
CROP = (slice(0, 800), slice(40, 1240))
SPLITS: dict[str, tuple[str, ...]] = {
    "training": ("2015-06-26-08-09-43", "2014-12-12-10-45-15"),
    "validation": ("2015-08-17-10-42-18",),
    "test1_j": ("2015-08-14-14-54-57",),
    "test2_j": ("2015-08-12-15-04-18",),
    "test3_j": ("2015-02-10-11-58-05",),
}
YAWS = {"training": "train", "validation": "val", "test": "test"}

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class _Frame:
    """One frame: its row's east and north, its stamp in microseconds, and where the camera is."""

    date: str
    stamp: int
    east: float
    north: float
    pose: CameraPose

    @property
    def ground(self) -> str:
        return f"{self.date}/ground/{self.east}_{self.north}.png"

    @property
    def raw(self) -> str:
        return f"{self.date}/stereo/centre/{self.stamp}.png"


def oxford_town(seed: int = 28) -> Town:
    """Return a town moved to where the published affine puts the map's north-west corner."""
    town = Town(seed)
    middle = np.linalg.solve(SLOPES, np.full(2, MAP_SIZE / 2) - OFFSET)
    to_degrees = pyproj.Transformer.from_crs(f"EPSG:{EPSG}", "EPSG:4326", always_xy=True)
    longitude, latitude = to_degrees.transform(*middle)
    town.datum, town.epsg = Datum(latitude, longitude), EPSG
    return town


def write(
    root: str | Path, seed: int = 28, frames: int = 4, pictures: bool = True, point: str = "ins"
) -> list[Truth]:
    """Write training, validation and the three tests; return their truths in the lists' order.

    Args:
        frames: of each of the six traversals, 5 m apart.
        pictures: also write the ground pictures, prepared and raw; the map is always written.
        point: what the truths are of: "ins", as the lists' positions are, or "camera".

    Raises:
        ValueError: another point.
        RouteError: a town without room for so many frames.
    """
    if point not in ("ins", "camera"):
        raise ValueError(f"point {point!r}: expected 'ins' or 'camera'")
    root, town = Path(root), oxford_town(seed)
    frame = MapFrame(town.datum)
    root.mkdir(parents=True, exist_ok=True)
    save(root / MAP, _stitched(town, frame))
    _write_models(root / MODELS)
    truths = []
    rows: dict[str, list[_Frame]] = {}
    for split, dates in SPLITS.items():
        rows[split] = [f for date in dates for f in _traversal(town, frame, date, frames)]
        for index, row in enumerate(rows[split]):
            x, y = _ins(row.pose) if point == "ins" else (row.pose.x, row.pose.y)
            latitude, longitude = frame.to_wgs84((x, y)).tolist()
            truths.append(Truth(row.ground, latitude, longitude, row.pose.yaw, row.date))
            if pictures:
                _film(root, town, row, index)
    _write_lists(root / "Oxford_split", rows)
    return truths


def _ins(pose: CameraPose) -> tuple[float, float]:
    """Where the INS is when the camera is at a pose, metres in the town's ``map``."""
    c, s = math.cos(pose.yaw), math.sin(pose.yaw)
    return pose.x + c * INS[0] - s * INS[1], pose.y + s * INS[0] + c * INS[1]


def _traversal(town: Town, frame: MapFrame, date: str, count: int) -> list[_Frame]:
    """Drive once through the town; the frames are shuffled, as they are in the lists."""
    rng = stream(town.seed, "robotcar", date)
    drive = along(route(town.streets, count * SPACING + 10.0, rng, REACH, town.world.hand))
    gone = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(drive.xy, axis=0).T))])
    time = np.interp(5.0 + SPACING * np.arange(count), gone, drive.time)
    positions, yaws = drive.at(time)
    start = datetime.strptime(date, "%Y-%m-%d-%H-%M-%S").replace(tzinfo=timezone.utc)
    to_utm = pyproj.Transformer.from_crs("EPSG:4326", f"EPSG:{EPSG}", always_xy=True)
    frames = []
    for seconds, (x, y), yaw in zip(time, positions, yaws, strict=True):
        pose = CameraPose(float(x), float(y), math.remainder(float(yaw), math.tau), "street")
        latitude, longitude = frame.to_wgs84(_ins(pose)).tolist()
        east, north = to_utm.transform(longitude, latitude)
        stamp = round((start.timestamp() + float(seconds)) * 1e6)
        frames.append(_Frame(date, stamp, float(east), float(north), pose))
    return [frames[i] for i in rng.permutation(count)]


def _stitched(town: Town, frame: MapFrame) -> Picture:
    """The town's aerial picture on the stitched map, (MAP_SIZE, MAP_SIZE, 3) RGB.

    Between the two lies an affine map: over the town what a projection bends is below 0.1 mm.
    """
    corners = np.array([[0.0, 0.0], [MAP_SIZE - 1, 0.0], [0.0, MAP_SIZE - 1]])
    utm = np.linalg.solve(SLOPES, (corners + 0.5 - OFFSET).T)
    to_degrees = pyproj.Transformer.from_crs(f"EPSG:{EPSG}", "EPSG:4326", always_xy=True)
    longitude, latitude = to_degrees.transform(*utm)
    source = (town.grid.map_to_pixel(frame.to_map(latitude, longitude)) + 0.5) * FINER - 0.5
    affine = cv2.getAffineTransform(corners.astype(np.float32), source.astype(np.float32))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    # OpenCV warps to 1/32 of a source pixel, which would be 0.07 px of the map
    fine = cv2.resize(town.aerial, None, fx=FINER, fy=FINER, interpolation=cv2.INTER_LINEAR)
    stitched = cv2.warpAffine(fine, affine, (MAP_SIZE, MAP_SIZE), flags=flags)
    return np.asarray(stitched, dtype=np.uint8)


def _write_lists(folder: Path, rows: dict[str, list[_Frame]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split, frames in rows.items():
        lines = [
            f"{f.ground} {f.ground.replace('/ground/', '/satellite/')} {f.east} {f.north}\n"
            for f in frames
        ]
        (folder / f"{split}.txt").write_text("".join(lines), encoding="utf-8")
    for name, short in YAWS.items():
        frames = [f for split in rows if split.startswith(name) for f in rows[split]]
        (folder / f"lookup_{name}.txt").write_text(
            "".join(f"{f.raw} {f.ground}\n" for f in frames), encoding="utf-8"
        )
        # west is pi east of counter-clockwise yaw's zero, and the sense is reversed
        clockwise_from_west = np.array([math.pi - f.pose.yaw for f in frames])
        wrapped = np.pi - (np.pi - clockwise_from_west) % (2 * np.pi)
        np.save(folder / f"{short}_yaw.npy", wrapped)


def _film(root: Path, town: Town, row: _Frame, index: int) -> None:
    """Write a frame's raw Bayer picture, and the crop of its colours that the authors prepared."""
    rig = CameraRig(2 * math.atan(CANVAS[0] / 2 / FOCAL), 1.65, 0.0, 0.0)
    seen = town.render(row.pose, "pinhole", *CANVAS, f"robotcar {row.date}", index, rig, light=0)
    u, v = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    x, y = (u - CX) / FOCAL, (v - CY) / FOCAL
    straight = np.linspace(0.0, 1.2, 4801)
    bent = np.hypot(x, y)
    grow = np.interp(bent, straight * (1 + BEND * straight**2), straight) / np.maximum(bent, 1e-9)
    at = [
        (FOCAL * plane * grow + (size - 1) / 2).astype(np.float32)
        for plane, size in zip((x, y), CANVAS, strict=True)
    ]
    colors = np.asarray(cv2.remap(seen.image, at[0], at[1], cv2.INTER_LINEAR), dtype=np.uint8)
    for path, picture in ((root / row.raw, mosaic(colors)), (root / row.ground, colors[CROP])):
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, picture)


def mosaic(colors: Picture) -> Picture:
    """Return what a GBRG sensor keeps (H, W) of a picture (H, W, 3) RGB."""
    raw = colors[..., 1].copy()
    raw[0::2, 1::2] = colors[0::2, 1::2, 2]
    raw[1::2, 0::2] = colors[1::2, 0::2, 0]
    return raw


def _write_models(folder: Path) -> None:
    """Write the SDK's model of the centre camera: intrinsics, axes, and the look-up table."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: Sequence[Sequence[float]] = [
        (FOCAL, FOCAL, CX, CY),
        (0, 0, 1, 0),
        (1, 0, 0, 0),
        (0, 1, 0, 0),
        (0, 0, 0, 1),
    ]
    text = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in rows) + "\n"
    (folder / "stereo_narrow_left.txt").write_text(text, encoding="utf-8")
    u, v = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    x, y = (u - CX) / FOCAL, (v - CY) / FOCAL
    grow = 1 + BEND * (x**2 + y**2)
    table = np.stack([FOCAL * x * grow + CX, FOCAL * y * grow + CY])
    table.astype("<f8").tofile(folder / "stereo_narrow_left_distortion_lut.bin")
