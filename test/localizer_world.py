"""A flat world for tests: a random texture as a real GeoTIFF, and what a camera over it sees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

from cross_view_localizer.camera.camera import OPTICAL_TO_BODY, Camera
from cross_view_localizer.estimate import Frame
from cross_view_localizer.geo import RigidTransform
from cross_view_localizer.grid import Grid
from cross_view_localizer.map.satellite_map import SatelliteMap
from cross_view_localizer.prior.prior import Prior

SIDE, GSD = 1200, 0.25
PINHOLE = Camera("pinhole", 320, 240, np.array([[200.0, 0, 159.5], [0, 200, 119.5], [0, 0, 1]]))
PANORAMA = Camera("equirectangular", 640, 320)


def mounting(x: float, y: float, z: float, pitch: float = 0.0, yaw: float = 0.0) -> RigidTransform:
    """The optical frame of a camera in base_link."""
    body = RigidTransform.from_euler((x, y, z), (0.0, pitch, yaw))
    return body @ RigidTransform(OPTICAL_TO_BODY, np.zeros(3))


@dataclass
class FlatWorld:
    """The texture around the datum, and the map made of it."""

    satellite_map: SatelliteMap
    texture: NDArray[np.uint8]
    grid: Grid

    def frame(
        self, pose: tuple[float, float, float], camera: Camera, mount: RigidTransform
    ) -> Frame:
        """What the camera of a vehicle at (x, y, yaw) sees of the ground; the sky is black."""
        x, y, yaw = pose
        base = RigidTransform.from_euler((x, y, 0.0), (0.0, 0.0, yaw))
        at = base @ mount
        uv = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), axis=-1)
        rays = camera.ray(uv) @ at.rotation.T
        down = rays[..., 2] < -0.02
        depth = np.where(down, -at.translation[2] / np.where(down, rays[..., 2], -1.0), 0.0)
        ground = at.translation[:2] + depth[..., None] * rays[..., :2]
        pixels = self.grid.map_to_pixel(ground).astype(np.float32)
        picture = cv2.remap(self.texture, pixels[..., 0], pixels[..., 1], cv2.INTER_LINEAR)
        picture[~down] = 0
        return Frame(np.ascontiguousarray(picture), 7, camera, mount)


def flat_world(folder: Path, seed: int = 0) -> FlatWorld:
    """Write a map of 300 × 300 m; its texture is cut from the map itself, so that both agree."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 255, (SIDE // 4, SIDE // 4, 3), dtype=np.uint8)
    picture = cv2.resize(cv2.GaussianBlur(small, (0, 0), 1.0), (SIDE, SIDE), interpolation=2)
    picture = cv2.convertScaleAbs(picture, alpha=2.5, beta=-190)
    path = folder / "map.tif"
    profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8"}
    transform = from_origin(620000.0, 5735000.0, GSD, GSD)
    with rasterio.open(path, "w", crs="EPSG:32630", transform=transform, **profile) as file:
        file.write(picture.transpose(2, 0, 1))
    satellite_map = SatelliteMap.open(path)
    grid = Grid(SIDE, SIDE, GSD, (0.0, 0.0))
    return FlatWorld(satellite_map, satellite_map.patch(grid).image, grid)


def prior_at(
    x: float, y: float, yaw: float | None, std: float = 5.0, yaw_std: float = math.radians(2)
) -> Prior:
    """A prior like that of a GNSS fix with a heading."""
    variance = math.pi**2 / 3 if yaw is None else yaw_std**2
    return Prior(7, x, y, yaw, np.diag([std**2, std**2, variance]), 0.0, "test")
