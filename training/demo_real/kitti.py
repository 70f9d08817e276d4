"""The KITTI drive as a map, as scenes, and as a bag: driven several times, each time with another
GNSS error.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
from numpy.typing import ArrayLike, NDArray
from rasterio.transform import Affine

from cross_view_localizer.camera.camera import Camera
from cross_view_localizer.geo import MapFrame, RigidTransform
from training.bags.messages import Messages, Row, write_rows
from training.bags.store import new_bag
from training.demo_real.samples import (
    KITTI_CAMERA,
    KITTI_DATUM,
    KITTI_GSD,
    KITTI_MATRIX,
    KittiDrive,
)
from training.demo_real.trials import Scene
from training.maps.geotiff import write_geotiff
from training.town.drive_bag import FIX, IMAGE, IMU, INFO, OPTICAL, START, STATIC, TRUTH

MERCATOR = "EPSG:3857"
PASS = 20.0  # s from one pass to the next: longer than any prior lives
BEFORE, AFTER = 1.0, 1.0  # s of sensor data around the images
CAMERA_FRAME = "camera_optical_frame"


def pixel_transform(size: int) -> Affine:
    """Return the corner-based transform of the aerial picture to Web Mercator metres."""
    to_mercator = pyproj.Transformer.from_crs("EPSG:4326", MERCATOR, always_xy=True)
    x, y = to_mercator.transform(KITTI_DATUM.longitude, KITTI_DATUM.latitude)
    step = KITTI_GSD / np.cos(np.radians(KITTI_DATUM.latitude))
    return Affine(step, 0, x - step * size / 2, 0, -step, y + step * size / 2)


def pixels_to_map(uv: NDArray[np.float64], size: int, frame: MapFrame) -> NDArray[np.float64]:
    """Return (x, y) metres in ``map``, (n, 2), of (column, row) in the aerial picture."""
    a = pixel_transform(size)
    x, y = a.c + a.a * (uv[:, 0] + 0.5), a.f + a.e * (uv[:, 1] + 0.5)
    to_degrees = pyproj.Transformer.from_crs(MERCATOR, "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform(x, y)
    return frame.to_map(lat, lon)


def write_map(path: Path, drive: KittiDrive) -> None:
    """Write the aerial picture as a Web Mercator GeoTIFF with the datum beside it."""
    side: dict[str, object] = {
        "datum": {"latitude": KITTI_DATUM.latitude, "longitude": KITTI_DATUM.longitude},
        "licence": "the imagery's owner's; for local runs only",
    }
    size = drive.aerial.shape[0]
    write_geotiff(path, drive.aerial, pixel_transform(size), MERCATOR, side)


def scenes(drive: KittiDrive, path: Path) -> list[Scene]:
    """Return the drive's images with the map at ``path``; ``base_link`` is the GNSS/INS point."""
    times = np.array(list(drive.images))
    uv, yaw = drive.at(times)
    places = pixels_to_map(uv, drive.aerial.shape[0], MapFrame(KITTI_DATUM))
    mount = RigidTransform(OPTICAL, np.array(KITTI_CAMERA))
    found = []
    for i, image in enumerate(drive.images.values()):
        height, width = image.shape[:2]
        camera = Camera("pinhole", width, height, KITTI_MATRIX)
        truth = (float(places[i, 0]), float(places[i, 1]), float(yaw[i]))
        found.append(Scene(f"KITTI image {i + 1}", "KITTI 0002", image, camera, mount, path, truth))
    return found


def write_bag(path: Path, drive: KittiDrive, shifts: NDArray[np.float64], std: float) -> None:
    """Write one pass for each of ``shifts`` (n, 2), metres that its fixes are off.

    Args:
        std: what the fixes state of their error per axis, metres.
    """
    streams = _Passes(drive, shifts, std)
    with new_bag(path) as writer:
        write_rows(writer, streams.messages, streams.all(), latched=[STATIC])


class _Passes:
    """The messages of all passes."""

    def __init__(self, drive: KittiDrive, shifts: NDArray[np.float64], std: float) -> None:
        self._drive, self._shifts, self._std = drive, shifts, std
        self._frame, self.messages = MapFrame(KITTI_DATUM), Messages()
        self._end = max(drive.images) + AFTER

    def all(self) -> list[Iterator[Row]]:
        return [self._static(), self._fixes(), self._headings(), self._truth(), self._images()]

    def _where(self, times: NDArray[np.float64]) -> tuple[NDArray[np.float64], Any]:
        uv, yaw = self._drive.at(times)
        return pixels_to_map(uv, self._drive.aerial.shape[0], self._frame), yaw

    def _times(self, rate: float) -> NDArray[np.float64]:
        return np.arange(-BEFORE, self._end, 1 / rate)

    def _stamps(self, number: int, times: NDArray[np.float64]) -> list[int]:
        base = START + round((number * PASS + BEFORE) * 1e9)
        return [base + int(t) for t in np.round(times * 1e9)]

    def _static(self) -> Iterator[Row]:
        edges: dict[tuple[str, str], tuple[ArrayLike, ArrayLike]] = {
            ("base_link", CAMERA_FRAME): (KITTI_CAMERA, OPTICAL),
            ("base_link", "gps_link"): ((0.0, 0.0, 0.93), np.eye(3)),
            ("base_link", "imu_link"): ((0.0, 0.0, 0.93), np.eye(3)),
        }
        yield Row(START, STATIC, self.messages.transforms(START, edges))

    def _fixes(self) -> Iterator[Row]:
        times = self._times(10.0)
        xy, _ = self._where(times)
        for number, shift in enumerate(self._shifts):
            degrees = self._frame.to_wgs84(xy + shift)
            for t, (lat, lon) in zip(self._stamps(number, times), degrees, strict=True):
                yield Row(t, FIX, self.messages.fix(t, "gps_link", lat, lon, self._std**2))

    def _headings(self) -> Iterator[Row]:
        times = self._times(50.0)
        _, yaw = self._where(times)
        stated = (np.radians(2.0) ** 2, 0.01**2)
        for number in range(len(self._shifts)):
            for t, angle in zip(self._stamps(number, times), yaw, strict=True):
                yield Row(t, IMU, self.messages.imu(t, "imu_link", angle, 0.0, stated))

    def _truth(self) -> Iterator[Row]:
        # on the images' own stamps too: between them the track is only as good as its drawing
        times = np.unique(np.concatenate([self._times(10.0), list(self._drive.images)]).round(6))
        xy, yaw = self._where(times)
        for number in range(len(self._shifts)):
            for t, place, angle in zip(self._stamps(number, times), xy, yaw, strict=True):
                pose, frames = (*place, angle), ("map", "base_link")
                yield Row(t, TRUTH, self.messages.odometry(t, frames, pose, (0.0, 0.0)))

    def _images(self) -> Iterator[Row]:
        for number in range(len(self._shifts)):
            stamps = self._stamps(number, np.array(list(self._drive.images)))
            for t, image in zip(stamps, self._drive.images.values(), strict=True):
                height, width = image.shape[:2]
                info = self.messages.camera_info(t, CAMERA_FRAME, KITTI_MATRIX, width, height)
                yield Row(t + 20_000_000, INFO, info)
                yield Row(t + 20_000_000, IMAGE, self.messages.image(t, CAMERA_FRAME, image))
