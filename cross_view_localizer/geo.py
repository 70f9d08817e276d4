"""Where things are: the datum, the ``map`` frame around it, angles and rigid transforms.

Only this module turns degrees into metres (DESIGN 2). The ``map`` frame is the transverse Mercator
projection with scale 1 centred on the datum: within 7 km it is the tangent plane to 2 mm and
true-north aligned (REP-103/105), while raw UTM axes are turned by the grid convergence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyproj
from numpy.typing import ArrayLike, NDArray

# Off by x³/6R², the plane is no longer the ground this far out (33 m): rather, the datum is wrong.
MAX_DISTANCE = 200_000.0


@dataclass(frozen=True)
class Datum:
    """The point that ``map`` is centred on: WGS84 degrees.

    Raises:
        ValueError: outside ±90, ±180 or not finite.
    """

    latitude: float
    longitude: float

    def __post_init__(self) -> None:
        # NumPy's floats would not print as PROJ reads them.
        object.__setattr__(self, "latitude", float(self.latitude))
        object.__setattr__(self, "longitude", float(self.longitude))
        # Comparisons written so that NaN fails them.
        if not (-90.0 <= self.latitude <= 90.0 and -180.0 <= self.longitude <= 180.0):
            raise ValueError(
                f"datum ({self.latitude}, {self.longitude}): expected latitude within ±90 and "
                "longitude within ±180 degrees, in this order"
            )


class MapFrame:
    """The ``map`` frame: local ENU metres (x east, y north) around a datum.

    Attributes:
        datum: its origin.
        crs: the projection, for other libraries.
    """

    def __init__(self, datum: Datum) -> None:
        self.datum = datum
        self.crs = pyproj.CRS.from_proj4(
            f"+proj=tmerc +lat_0={datum.latitude:.12f} +lon_0={datum.longitude:.12f} "
            "+k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs +type=crs"
        )
        self._project = pyproj.Transformer.from_crs("EPSG:4326", self.crs, always_xy=True)

    def to_map(self, latitude: ArrayLike, longitude: ArrayLike) -> NDArray[np.float64]:
        """Return (x, y) in metres, shape (..., 2), of WGS84 degrees of shape (...).

        Raises:
            ValueError: not finite, out of range, or more than 200 km from the datum.
        """
        lat, lon = np.broadcast_arrays(
            np.asarray(latitude, dtype=np.float64), np.asarray(longitude, dtype=np.float64)
        )
        bad = ~((np.abs(lat) <= 90.0) & (np.abs(lon) <= 180.0))
        if bad.any():
            raise ValueError(
                f"position ({lat[bad][0]}, {lon[bad][0]}): expected latitude within ±90 and "
                "longitude within ±180 degrees, in this order"
            )
        xy = np.stack(self._project.transform(lon, lat), axis=-1)
        far = ~(np.hypot(xy[..., 0], xy[..., 1]) <= MAX_DISTANCE)
        if far.any():
            raise ValueError(
                f"position ({lat[far][0]}, {lon[far][0]}) is more than "
                f"{MAX_DISTANCE / 1000:.0f} km from the datum ({self.datum.latitude}, "
                f"{self.datum.longitude}): check the datum"
            )
        return xy

    def to_wgs84(self, xy: ArrayLike) -> NDArray[np.float64]:
        """Return (latitude, longitude) in degrees, shape (..., 2), of metres of the same shape.

        Raises:
            ValueError: not finite, or more than 200 km from the datum.
        """
        points = np.asarray(xy, dtype=np.float64)
        far = ~(np.hypot(points[..., 0], points[..., 1]) <= MAX_DISTANCE)
        if far.any():
            raise ValueError(
                f"map position {tuple(points[far][0].tolist())}: expected finite metres within "
                f"{MAX_DISTANCE / 1000:.0f} km of the datum"
            )
        lon, lat = self._project.transform(points[..., 0], points[..., 1], direction="INVERSE")
        return np.stack([lat, lon], axis=-1)


def to_earth(datum: Datum, xy: ArrayLike) -> NDArray[np.float64]:
    """Return (..., 3) metres from the Earth's centre of places (..., 2) in a datum's ``map``.

    On the plane that touches WGS84's ellipsoid at the datum: distances within a datum stay as they
    are, and those between places of different datums are right to the curvature. For telling what
    is near, cheaply; not for surveying.
    """
    latitude, longitude = math.radians(datum.latitude), math.radians(datum.longitude)
    sine, cosine = math.sin(latitude), math.cos(latitude)
    east = np.array([-math.sin(longitude), math.cos(longitude), 0.0])
    outward = np.array([math.cos(longitude), math.sin(longitude), 0.0])
    north = -sine * outward + np.array([0.0, 0.0, cosine])
    flattened = 1 - 0.00669437999014  # 1 − e² of WGS84
    radius = 6378137.0 / math.sqrt(cosine**2 + flattened * sine**2)
    origin = radius * (cosine * outward + np.array([0.0, 0.0, flattened * sine]))
    points = np.asarray(xy, dtype=np.float64)
    return origin + points[..., :1] * east + points[..., 1:] * north


def wrap_angle(angle: ArrayLike) -> NDArray[np.float64]:
    """Return radians brought into [-π, π), same shape (a 0-d array acts as a float)."""
    return np.asarray((np.asarray(angle, dtype=np.float64) + np.pi) % (2.0 * np.pi) - np.pi)


def yaw_from_quaternion(x: float, y: float, z: float, w: float) -> float:
    """Return the yaw, radians, 0 = x axis, counter-clockwise, of a quaternion of any length.

    Raises:
        ValueError: all zero or not finite.
    """
    rotation = rotation_from_quaternion(x, y, z, w)
    return math.atan2(rotation[1, 0], rotation[0, 0])


def quaternion_from_yaw(yaw: float) -> tuple[float, float, float, float]:
    """Return (x, y, z, w) of a rotation by ``yaw`` radians about z."""
    return 0.0, 0.0, math.sin(yaw / 2.0), math.cos(yaw / 2.0)


def rotation_from_quaternion(x: float, y: float, z: float, w: float) -> NDArray[np.float64]:
    """Return the (3, 3) rotation matrix of a quaternion of any length.

    Raises:
        ValueError: all zero (an unfilled message) or not finite.
    """
    norm = math.sqrt(x * x + y * y + z * z + w * w)
    if not (math.isfinite(norm) and norm > 1e-6):
        raise ValueError(f"quaternion ({x}, {y}, {z}, {w}): expected finite values of length 1")
    x, y, z, w = x / norm, y / norm, z / norm, w / norm
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def rotation_from_euler(roll: float, pitch: float, yaw: float) -> NDArray[np.float64]:
    """Return the (3, 3) matrix Rz(yaw) Ry(pitch) Rx(roll), radians: REP-103's fixed-axis order."""
    (sr, sp, sy), (cr, cp, cy) = np.sin([roll, pitch, yaw]), np.cos([roll, pitch, yaw])
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


@dataclass(frozen=True, eq=False)
class RigidTransform:
    """A child frame's pose in its parent: ``p_parent = rotation @ p_child + translation``.

    Attributes:
        rotation: (3, 3), orthonormal, right-handed.
        translation: (3,) metres: the child's origin in the parent.

    Raises:
        ValueError: of another shape, not finite, or not a rotation.
    """

    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]

    def __post_init__(self) -> None:
        rotation = np.array(self.rotation, dtype=np.float64)
        translation = np.array(self.translation, dtype=np.float64)
        if rotation.shape != (3, 3) or translation.shape != (3,):
            raise ValueError(
                f"rotation {rotation.shape}, translation {translation.shape}: "
                "expected (3, 3) and (3,)"
            )
        if not np.isfinite(translation).all():
            raise ValueError(f"translation {translation.tolist()}: expected finite metres")
        proper = np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
        if not (proper and np.linalg.det(rotation) > 0):
            raise ValueError(
                f"rotation {rotation.tolist()}: expected an orthonormal right-handed matrix"
            )
        rotation.flags.writeable = translation.flags.writeable = False
        object.__setattr__(self, "rotation", rotation)
        object.__setattr__(self, "translation", translation)

    def _key(self) -> tuple[bytes, bytes]:
        return self.rotation.tobytes(), self.translation.tobytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RigidTransform) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    @classmethod
    def identity(cls) -> RigidTransform:
        """Child and parent coincide."""
        return cls(np.eye(3), np.zeros(3))

    @classmethod
    def from_quaternion(cls, xyz: ArrayLike, xyzw: ArrayLike) -> RigidTransform:
        """From metres and a quaternion (x, y, z, w) of any length, as a TransformStamped has."""
        x, y, z, w = (float(value) for value in np.asarray(xyzw, dtype=np.float64))
        return cls(rotation_from_quaternion(x, y, z, w), np.asarray(xyz, dtype=np.float64))

    @classmethod
    def from_euler(cls, xyz: ArrayLike, rpy: ArrayLike) -> RigidTransform:
        """From metres and (roll, pitch, yaw), radians about the parent's fixed axes (URDF)."""
        roll, pitch, yaw = (float(value) for value in np.asarray(rpy, dtype=np.float64))
        return cls(rotation_from_euler(roll, pitch, yaw), np.asarray(xyz, dtype=np.float64))

    def inverse(self) -> RigidTransform:
        """The parent's pose in the child."""
        return RigidTransform(self.rotation.T, -self.rotation.T @ self.translation)

    def __matmul__(self, other: RigidTransform) -> RigidTransform:
        """Chain: (a in b) @ (c in a) is (c in b)."""
        return RigidTransform(
            self.rotation @ other.rotation, self.rotation @ other.translation + self.translation
        )

    def apply(self, points: ArrayLike) -> NDArray[np.float64]:
        """Take points (..., 3) of the child frame to the parent frame."""
        return np.asarray(points, dtype=np.float64) @ self.rotation.T + self.translation
