"""A flat textured world for the node's tests: a GeoTIFF, and what a camera over it sees."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pyproj
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

from cross_view_localizer.camera.camera import OPTICAL_TO_BODY
from cross_view_localizer.geo import Datum, MapFrame, RigidTransform

DATUM = Datum(51.7520, -1.2577)
CRS = "EPSG:32630"
GSD, SIDE = 0.5, 640  # 320 m square
CAMERA_HEIGHT = 1.6
CAMERA_IN_BASE = RigidTransform.from_euler((1.2, 0.1, CAMERA_HEIGHT), (0.0, 0.06, 0.0)) @ (
    RigidTransform(OPTICAL_TO_BODY, np.zeros(3))
)
ANTENNA = (0.3, 0.0, 1.7)
Pose = tuple[float, float, float]


@lru_cache(maxsize=1)
def texture() -> NDArray[np.uint8]:
    """Blobs of several sizes and colours: every place looks different."""
    rng = np.random.default_rng(7)
    total = np.zeros((SIDE, SIDE, 3))
    for scale, weight in ((2, 0.5), (5, 0.8), (14, 1.0)):
        small = rng.normal(size=(SIDE // scale + 2, SIDE // scale + 2, 3))
        large = cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        total += weight * large[:SIDE, :SIDE]
    return np.clip(128 + 45 * total, 0, 255).astype(np.uint8)


def corner() -> tuple[float, float]:
    """UTM easting and northing of the map's upper left corner."""
    to_utm = pyproj.Transformer.from_crs("EPSG:4326", CRS, always_xy=True)
    east, north = to_utm.transform(DATUM.longitude, DATUM.latitude)
    return east - SIDE * GSD / 2, north + SIDE * GSD / 2


def write_map(path: Path) -> Path:
    """Write the GeoTIFF (UTM); its side file carries the datum."""
    profile = {
        "driver": "GTiff",
        "width": SIDE,
        "height": SIDE,
        "count": 3,
        "dtype": "uint8",
        "crs": CRS,
        "transform": from_origin(*corner(), GSD, GSD),
    }
    with rasterio.open(path, "w", **profile) as file:
        file.write(texture().transpose(2, 0, 1))
    return path


def wgs84(pose: Pose, lever: tuple[float, float, float] = ANTENNA) -> tuple[float, float]:
    """Latitude and longitude of a point of the vehicle (the antenna)."""
    x, y, yaw = pose
    c, s = math.cos(yaw), math.sin(yaw)
    point = (x + c * lever[0] - s * lever[1], y + s * lever[0] + c * lever[1])
    latitude, longitude = MapFrame(DATUM).to_wgs84(point)
    return float(latitude), float(longitude)


def intrinsics(width: int, height: int) -> NDArray[np.float64]:
    """Of a camera with 80 degrees across."""
    focal = width / 2 / math.tan(math.radians(40))
    return np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]])


def render(pose: Pose, width: int = 320, height: int = 240) -> NDArray[np.uint8]:
    """What the camera sees with base_link at ``pose``: the road's texture below, grey above."""
    x, y, yaw = pose
    base = RigidTransform.from_euler((x, y, 0.0), (0.0, 0.0, yaw))
    camera = base @ CAMERA_IN_BASE
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    rays = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(intrinsics(width, height)).T
    rays = rays @ camera.rotation.T
    down = rays[..., 2] < -0.02
    scale = np.where(down, -CAMERA_HEIGHT / np.where(down, rays[..., 2], -1.0), 0.0)
    ground = camera.translation[:2] + rays[..., :2] * scale[..., None]
    pixels = map_to_pixel(ground)
    found = cv2.remap(
        texture(), pixels[..., 0], pixels[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    found[~down] = 150
    return np.asarray(found, dtype=np.uint8)


def map_to_pixel(xy: NDArray[np.float64]) -> NDArray[np.float32]:
    """Texture pixels of map positions; affine, good to millimetres over this small map."""
    to_utm = pyproj.Transformer.from_crs(MapFrame(DATUM).crs, CRS, always_xy=True)
    anchors = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]])
    east, north = to_utm.transform(anchors[:, 0], anchors[:, 1])
    left, top = corner()
    pixel = np.stack([(east - left) / GSD - 0.5, (top - north) / GSD - 0.5], axis=-1)
    axes = np.stack([pixel[1] - pixel[0], pixel[2] - pixel[0]]) / 100.0
    return (xy @ axes + pixel[0]).astype(np.float32)
