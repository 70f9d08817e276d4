"""Sensor messages to what the core takes: metres, radians, covariances; or ConversionError."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.camera.camera import Camera
from cross_view_localizer.geo import RigidTransform, yaw_from_quaternion
from cross_view_localizer.ros.incoming.images import ConversionError

CameraKind = Literal["pinhole", "fisheye", "equirectangular"]

_MODELS = {
    "pinhole": ("plumb_bob", "rational_polynomial"),
    "fisheye": ("equidistant", "fisheye"),
}


class PlanarPose(NamedTuple):
    """x, y in metres, yaw in radians, covariance (3, 3) over them or None where none is stated."""

    x: float
    y: float
    yaw: float
    covariance: NDArray[np.float64] | None


def camera_from_info(
    info: Any, kind: CameraKind, width: int, height: int, rectified: bool = False
) -> Camera:
    """Return the camera of images of ``width`` x ``height`` pixels, from a sensor_msgs/CameraInfo.

    K and D describe the lens; rectified images have P's left part instead, whatever the lens was.
    Binning and region of interest are applied: the matrices are those of the full sensor.

    Raises:
        ConversionError: K = 0, a distortion model of another kind, sizes that don't belong
            together, or P = 0 with a lens that distorts.
    """
    lens: tuple[float, ...] = ()
    if rectified:
        kind, matrix = "pinhole", _rectified_matrix(info)
    else:
        _check_distortion_model(info, kind)
        matrix, lens = np.array(info.k, dtype=np.float64), tuple(info.d)
    try:
        camera = Camera(kind, int(info.width), int(info.height), matrix, lens)
        roi = info.roi
        if roi.width and roi.height:
            camera = camera.cropped(roi.x_offset, roi.y_offset, int(roi.width), int(roi.height))
        bins = max(1, info.binning_x), max(1, info.binning_y)
        camera = camera.resized(camera.width // bins[0], camera.height // bins[1])
    except ValueError as error:
        raise ConversionError(f"camera_info: {error}") from error
    if (camera.width, camera.height) == (width, height):
        return camera
    if abs(camera.width * height - camera.height * width) > max(camera.width, width):
        raise ConversionError(
            f"image of {width} x {height} px, camera_info for {camera.width} x {camera.height}: "
            "expected the same camera's"
        )
    return camera.resized(width, height)


def _rectified_matrix(info: Any) -> NDArray[np.float64]:
    """Return P's left part; K where P is not filled in but nothing had to be rectified."""
    matrix = np.array(info.p, dtype=np.float64).reshape(3, 4)[:, :3]
    if matrix.any():
        return matrix
    if any(info.d):
        raise ConversionError(
            "camera_info's P is zero, but the images are rectified, which P describes: publish a "
            "calibrated camera_info, or set image_kind to raw if they are not"
        )
    return np.array(info.k, dtype=np.float64)


def _check_distortion_model(info: Any, kind: CameraKind) -> None:
    model = info.distortion_model
    if model in ("", *_MODELS[kind]):
        return
    suited = next((other for other, models in _MODELS.items() if model in models), None)
    if suited is None:
        known = ", ".join(name for models in _MODELS.values() for name in models)
        raise ConversionError(
            f"camera_info has distortion model {model!r}: expected one of {known}; else feed "
            "rectified images and set image_kind to rectified"
        )
    raise ConversionError(
        f"camera_info has distortion model {model!r}, camera_model is {kind}: set camera_model to "
        f"{suited}, or, if the images are rectified already, image_kind to rectified"
    )


def second_camera_shift(info: Any) -> float:
    """Return how far P places a camera from the first of its stereo pair, metres; 0 if it is it.

    P's last column is K' times the shift, (-fx' B, 0, 0) for a right camera: P then speaks of the
    first camera's frame. Drivers disagree on its sign, and on whether frame_id is the first
    camera's frame, so nothing is moved by it.
    """
    p = np.array(info.p, dtype=np.float64).reshape(3, 4)
    if not (p[0, 0] > 0 and p[1, 1] > 0):
        return 0.0
    return math.hypot(p[0, 3] / p[0, 0], p[1, 3] / p[1, 1])


def info_key(info: Any) -> tuple[Any, ...]:
    """Return what tells one calibration from another."""
    roi = info.roi
    return (
        info.width,
        info.height,
        info.distortion_model,
        bytes(np.asarray(info.k, dtype=np.float64)),
        bytes(np.asarray(info.d, dtype=np.float64)),
        bytes(np.asarray(info.p, dtype=np.float64)),
        (info.binning_x, info.binning_y, roi.x_offset, roi.y_offset, roi.width, roi.height),
    )


def extrinsics(values: tuple[float, ...]) -> RigidTransform:
    """Return the transform of the parameter (x, y, z, roll, pitch, yaw)."""
    return RigidTransform.from_euler(values[:3], values[3:])


def fix_covariance(message: Any) -> NDArray[np.float64] | None:
    """Return the (3, 3) east-north-up covariance, m², of a NavSatFix; None where it is unknown."""
    if message.position_covariance_type == message.COVARIANCE_TYPE_UNKNOWN:
        return None
    return np.array(message.position_covariance, dtype=np.float64).reshape(3, 3)


def transform_from_pose(pose: Any) -> RigidTransform:
    """Return a geometry_msgs/Pose as a transform.

    Raises:
        ConversionError: a quaternion of zeros, or anything that is not finite.
    """
    p, q = pose.position, pose.orientation
    try:
        return RigidTransform.from_quaternion((p.x, p.y, p.z), (q.x, q.y, q.z, q.w))
    except ValueError as error:
        raise ConversionError(f"pose: {error}") from error


def yaw_of(rotation: NDArray[np.float64]) -> float:
    """Return the yaw of a (3, 3) rotation, radians."""
    return math.atan2(rotation[1, 0], rotation[0, 0])


def planar_pose(message: Any) -> PlanarPose:
    """Return a geometry_msgs/PoseWithCovariance in the plane.

    Raises:
        ConversionError: as in ``transform_from_pose``.
    """
    pose = transform_from_pose(message.pose)
    full = np.array(message.covariance, dtype=np.float64).reshape(6, 6)
    block = full[np.ix_((0, 1, 5), (0, 1, 5))]
    stated = bool(np.isfinite(block).all() and block.any())
    x, y = pose.translation[:2]
    return PlanarPose(float(x), float(y), yaw_of(pose.rotation), block if stated else None)


def imu_yaw(message: Any, base_in_imu: RigidTransform) -> tuple[float, float | None]:
    """Return (yaw of the base frame in ENU, variance or None) of a sensor_msgs/Imu.

    Raises:
        ConversionError: the IMU states no orientation, or one that is no rotation.
    """
    if message.orientation_covariance[0] == -1.0:
        raise ConversionError("imu states no orientation (orientation_covariance[0] is -1)")
    q = message.orientation
    try:
        yaw_from_quaternion(q.x, q.y, q.z, q.w)
        imu = RigidTransform.from_quaternion((0.0, 0.0, 0.0), (q.x, q.y, q.z, q.w))
    except ValueError as error:
        raise ConversionError(f"imu: {error}") from error
    variance = float(message.orientation_covariance[8])
    known = math.isfinite(variance) and variance > 0
    return yaw_of((imu @ base_in_imu).rotation), variance if known else None


def odometry_twist(message: Any) -> tuple[float, float, float] | None:
    """Return (forward, left, turn rate) of a nav_msgs/Odometry; None where it is not filled in.

    All zero counts as not filled in: some visual odometries never fill it, and a vehicle that
    really stands still loses nothing.
    """
    twist = message.twist.twist
    values = (float(twist.linear.x), float(twist.linear.y), float(twist.angular.z))
    return values if any(values) and all(map(math.isfinite, values)) else None
