"""The messages that our bags are made of, built without ROS; and how they go into one.

Positions are metres, angles radians, stamps integer nanoseconds.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Writer
from scipy.spatial.transform import Rotation

from training.bags.store import message_store, recorded_qos

DIAGONAL_KNOWN = 2  # NavSatFix.position_covariance_type


class Messages:
    """Builds messages of the types that rosbags knows."""

    def __init__(self) -> None:
        self.store = message_store()

    def make(self, msgtype: str, *values: Any) -> Any:
        """Return a message of ``msgtype`` with all fields given in order."""
        return self.store.types[msgtype](*values)

    def header(self, stamp: int, frame: str) -> Any:
        """std_msgs/Header."""
        time = self.make("builtin_interfaces/msg/Time", stamp // 10**9, stamp % 10**9)
        return self.make("std_msgs/msg/Header", time, frame)

    def _vector(self, xyz: ArrayLike) -> Any:
        return self.make("geometry_msgs/msg/Vector3", *np.asarray(xyz, np.float64).tolist())

    def _quaternion(self, rotation: Rotation) -> Any:
        return self.make("geometry_msgs/msg/Quaternion", *rotation.as_quat().tolist())

    def image(self, stamp: int, frame: str, rgb: NDArray[np.uint8]) -> Any:
        """sensor_msgs/Image, rgb8."""
        height, width = rgb.shape[:2]
        data = np.ascontiguousarray(rgb).reshape(-1)
        head = self.header(stamp, frame)
        return self.make("sensor_msgs/msg/Image", head, height, width, "rgb8", 0, 3 * width, data)

    def camera_info(
        self, stamp: int, frame: str, matrix: NDArray[np.float64], width: int, height: int
    ) -> Any:
        """sensor_msgs/CameraInfo of an undistorted pinhole camera; ``matrix`` is (3, 3)."""
        projection = np.hstack([matrix, np.zeros((3, 1))]).ravel()
        roi = self.make("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False)
        return self.make(
            "sensor_msgs/msg/CameraInfo",
            self.header(stamp, frame),
            height,
            width,
            "plumb_bob",
            np.zeros(5),
            np.asarray(matrix, np.float64).ravel(),
            np.eye(3).ravel(),
            projection,
            0,
            0,
            roi,
        )

    def fix(
        self, stamp: int, frame: str, latitude: float, longitude: float, variance: float
    ) -> Any:
        """sensor_msgs/NavSatFix with ``variance`` (m²) per horizontal axis, four times it up."""
        status = self.make("sensor_msgs/msg/NavSatStatus", 0, 1)
        covariance = np.diag([variance, variance, 4 * variance]).ravel()
        return self.make(
            "sensor_msgs/msg/NavSatFix",
            self.header(stamp, frame),
            status,
            float(latitude),
            float(longitude),
            0.0,
            covariance,
            DIAGONAL_KNOWN,
        )

    def odometry(
        self,
        stamp: int,
        frames: tuple[str, str],
        pose: ArrayLike,
        twist: ArrayLike,
        variances: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.0), (0.0, 0.0)),
    ) -> Any:
        """nav_msgs/Odometry of a vehicle on the ground.

        Args:
            frames: parent and child.
            pose: x, y, yaw. twist: forward speed and yaw rate.
            variances: (position, yaw) of the pose, (speed, yaw rate) of the twist.
        """
        x, y, yaw = np.asarray(pose, np.float64).tolist()
        speed, rate = np.asarray(twist, np.float64).tolist()
        point = self.make("geometry_msgs/msg/Point", x, y, 0.0)
        turned = self._quaternion(Rotation.from_euler("z", yaw))
        here = self.make("geometry_msgs/msg/Pose", point, turned)
        motion = self.make(
            "geometry_msgs/msg/Twist", self._vector((speed, 0, 0)), self._vector((0, 0, rate))
        )
        blocks = []
        for linear, angular in variances:
            blocks.append(np.diag([linear, linear, 0.0, 0.0, 0.0, angular]).ravel())
        return self.make(
            "nav_msgs/msg/Odometry",
            self.header(stamp, frames[0]),
            frames[1],
            self.make("geometry_msgs/msg/PoseWithCovariance", here, blocks[0]),
            self.make("geometry_msgs/msg/TwistWithCovariance", motion, blocks[1]),
        )

    def imu(
        self, stamp: int, frame: str, yaw: float, rate: float, variances: tuple[float, float]
    ) -> Any:
        """sensor_msgs/Imu with an ENU heading and a yaw rate; no accelerations."""
        level = 0.01**2
        unknown = np.array([-1.0, *[0.0] * 8])
        return self.make(
            "sensor_msgs/msg/Imu",
            self.header(stamp, frame),
            self._quaternion(Rotation.from_euler("z", yaw)),
            np.diag([level, level, variances[0]]).ravel(),
            self._vector((0, 0, rate)),
            np.diag([level, level, variances[1]]).ravel(),
            self._vector((0, 0, 0)),
            unknown,
        )

    def transforms(
        self, stamp: int, edges: Mapping[tuple[str, str], tuple[ArrayLike, ArrayLike]]
    ) -> Any:
        """tf2_msgs/TFMessage.

        Args:
            edges: (parent, child) -> (translation (3,), rotation matrix (3, 3) child to parent).
        """
        message = [
            self.make(
                "geometry_msgs/msg/TransformStamped",
                self.header(stamp, parent),
                child,
                self.make(
                    "geometry_msgs/msg/Transform",
                    self._vector(translation),
                    self._quaternion(Rotation.from_matrix(rotation)),
                ),
            )
            for (parent, child), (translation, rotation) in edges.items()
        ]
        return self.make("tf2_msgs/msg/TFMessage", message)


@dataclass(frozen=True)
class Row:
    """One message of a bag: when it arrives (ns), where, and what."""

    arrival: int
    topic: str
    message: Any


def write_rows(
    writer: Writer,
    messages: Messages,
    streams: Iterable[Iterable[Row]],
    latched: Iterable[str] = (),
) -> Counter[str]:
    """Write streams, each in order of arrival, as one; return the number of messages by topic.

    Args:
        latched: topics that are offered transient local.
    """
    connections: dict[str, Connection] = {}
    counts: Counter[str] = Counter()
    keep = frozenset(latched)
    for row in heapq.merge(*streams, key=lambda row: row.arrival):
        kind = row.message.__msgtype__
        if row.topic not in connections:
            stays = row.topic in keep
            connections[row.topic] = writer.add_connection(
                row.topic,
                kind,
                typestore=messages.store,
                offered_qos_profiles=[recorded_qos(depth=1 if stays else 10, latched=stays)],
            )
        data = bytes(messages.store.serialize_cdr(row.message, kind))
        writer.write(connections[row.topic], row.arrival, data)
        counts[row.topic] += 1
    return counts
