"""Sensor messages of the test vehicle."""

from __future__ import annotations

import array
from typing import Any

import node_world as world
import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image, NavSatFix
from std_msgs.msg import Header

from cross_view_localizer.geo import RigidTransform

SECOND = 1_000_000_000


def stamp_message(stamp: int) -> Time:
    return Time(sec=stamp // SECOND, nanosec=stamp % SECOND)


def stamp_of(message: Any) -> int:
    return int(message.header.stamp.sec) * SECOND + int(message.header.stamp.nanosec)


def header(stamp: int, frame: str) -> Header:
    return Header(stamp=stamp_message(stamp), frame_id=frame)


def transform_message(name: str, frame: RigidTransform) -> TransformStamped:
    made = TransformStamped(header=Header(frame_id="base_link"), child_frame_id=name)
    t, q = made.transform.translation, made.transform.rotation
    t.x, t.y, t.z = map(float, frame.translation)
    q.x, q.y, q.z, q.w = _quaternion(frame.rotation)
    return made


def _quaternion(rotation: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """(x, y, z, w) of a rotation matrix, by its eigenvector form (any rotation)."""
    r = rotation
    k = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], 0, 0, 0],
            [r[0, 1] + r[1, 0], r[1, 1] - r[0, 0] - r[2, 2], 0, 0],
            [r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], r[2, 2] - r[0, 0] - r[1, 1], 0],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], r.trace()],
        ]
    )
    _, vectors = np.linalg.eigh(k)  # the lower triangle
    x, y, z, w = (float(value) for value in vectors[:, -1])
    return x, y, z, w


def fix_message(stamp: int, latitude: float, longitude: float, std: float) -> NavSatFix:
    made = NavSatFix(header=header(stamp, "gps"), latitude=latitude, longitude=longitude)
    made.position_covariance = [std**2, 0.0, 0.0, 0.0, std**2, 0.0, 0.0, 0.0, 4 * std**2]
    made.position_covariance_type = NavSatFix.COVARIANCE_TYPE_DIAGONAL_KNOWN
    return made


def info_message(stamp: int, width: int, height: int) -> CameraInfo:
    matrix = world.intrinsics(width, height)
    return CameraInfo(
        header=header(stamp, "camera"),
        width=width,
        height=height,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=matrix.ravel(),
    )


def image_message(stamp: int, picture: NDArray[np.uint8]) -> Image:
    height, width = picture.shape[:2]
    return Image(
        header=header(stamp, "camera"),
        height=height,
        width=width,
        encoding="rgb8",
        step=3 * width,
        data=array.array("B", picture.tobytes()),
    )
