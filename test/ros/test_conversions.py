from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("sensor_msgs.msg")

from geometry_msgs.msg import PoseWithCovariance  # noqa: E402
from nav_msgs.msg import Odometry  # noqa: E402
from sensor_msgs.msg import CameraInfo, Imu, NavSatFix  # noqa: E402

from cross_view_localizer.geo import RigidTransform, quaternion_from_yaw  # noqa: E402
from cross_view_localizer.ros.incoming import conversions  # noqa: E402
from cross_view_localizer.ros.incoming.cameras import is_rectified  # noqa: E402
from cross_view_localizer.ros.incoming.images import ConversionError  # noqa: E402

K = np.array([[400.0, 0, 319.5], [0, 400, 239.5], [0, 0, 1]])


def info(model: str = "plumb_bob", **changes: object) -> CameraInfo:
    values = {"width": 640, "height": 480, "k": K.ravel(), "d": [0.1, 0.0, 0.0, 0.0, 0.0]}
    return CameraInfo(distortion_model=model, **{**values, **changes})


def test_camera_of_the_image() -> None:
    camera = conversions.camera_from_info(info(), "pinhole", 640, 480)
    assert camera.matrix is not None and camera.distortion[0] == 0.1
    np.testing.assert_allclose(camera.matrix, K)
    half = conversions.camera_from_info(info(), "pinhole", 320, 240)
    assert half.matrix is not None
    np.testing.assert_allclose(half.matrix[:2, 2], [159.5, 119.5])


def test_region_and_binning_are_applied() -> None:
    changed = info(binning_x=2, binning_y=2)
    changed.roi.x_offset, changed.roi.y_offset = 100, 40
    changed.roi.width, changed.roi.height = 400, 300
    camera = conversions.camera_from_info(changed, "pinhole", 200, 150)
    assert camera.matrix is not None
    np.testing.assert_allclose(camera.matrix[0], [200, 0, (219.5 + 0.5) / 2 - 0.5])
    np.testing.assert_allclose(camera.matrix[1], [0, 200, (199.5 + 0.5) / 2 - 0.5])
    assert conversions.info_key(changed) != conversions.info_key(info())


@pytest.mark.parametrize(
    ("message", "kind", "words"),
    [
        (info(k=np.zeros(9)), "pinhole", "not calibrated"),
        (
            info("equidistant", d=[0.0] * 4),
            "pinhole",
            "set camera_model to fisheye, or, if .* rectified already, image_kind to rectified",
        ),
        (info("double_sphere"), "pinhole", "'double_sphere': expected one of plumb_bob, "),
        (info(), "fisheye", "set camera_model to pinhole"),
        (info(width=640, height=300), "pinhole", "expected the same camera's"),
        (info(d=[0.1, 0.2, 0.3]), "pinhole", "3 distortion coefficients"),
    ],
)
def test_unusable_camera_info_is_refused(message: CameraInfo, kind: str, words: str) -> None:
    with pytest.raises(ConversionError, match=words):
        conversions.camera_from_info(message, kind, 640, 480)  # type: ignore[arg-type]


P = np.array([[300.0, 0, 310.0, 0], [0, 300, 230.0, 0], [0, 0, 1, 0]])


@pytest.mark.parametrize("model", ["plumb_bob", "equidistant", "double_sphere"])
@pytest.mark.parametrize("kind", ["pinhole", "fisheye"])
def test_rectified_images_are_what_p_says_whatever_the_lens(
    model: str, kind: conversions.CameraKind
) -> None:
    message = info(model, d=[0.1, 0.0, 0.0, 0.0], p=P.ravel())
    camera = conversions.camera_from_info(message, kind, 320, 240, rectified=True)
    assert camera.kind == "pinhole" and camera.distortion == () and camera.matrix is not None
    np.testing.assert_allclose(camera.matrix[0], [150, 0, (310.0 + 0.5) / 2 - 0.5])
    np.testing.assert_allclose(camera.matrix[1], [0, 150, (230.0 + 0.5) / 2 - 0.5])
    assert conversions.info_key(message) != conversions.info_key(info(model, d=message.d))


def test_rectified_images_without_p() -> None:
    with pytest.raises(ConversionError, match=r"P is zero, .* set image_kind to raw"):
        conversions.camera_from_info(info(), "pinhole", 640, 480, rectified=True)
    # Of a lens that does not distort K says the same.
    ideal = conversions.camera_from_info(info(d=[]), "pinhole", 640, 480, rectified=True)
    assert ideal.matrix is not None
    np.testing.assert_allclose(ideal.matrix, K)


def test_second_camera_of_a_pair_is_known_by_p() -> None:
    assert conversions.second_camera_shift(info()) == 0.0
    assert conversions.second_camera_shift(info(p=P.ravel())) == 0.0
    right = P.copy()
    right[0, 3] = -300.0 * 0.24
    assert conversions.second_camera_shift(info(p=right.ravel())) == pytest.approx(0.24)


@pytest.mark.parametrize(
    ("topic", "frame", "rectified"),
    [
        ("/image", "camera", False),
        ("/camera/image_raw", "camera", False),
        ("/camera/image_raw/compressed", "camera", False),
        ("/camera/image_rect", "camera", True),
        ("/camera/image_rect_color/compressed", "camera", True),
        ("/camera/infra1/image_rect_raw", "camera", True),
        ("/zed/left/color/rect/image", "camera", True),
        ("/zed/left/color/rect/image/compressed", "camera", True),
        ("/rect/front/camera/image", "camera", False),
        ("/camera/direct/image", "camera", False),
        ("/camera/image_unrectified", "camera", False),
        ("/camera/image", "left_rectified", True),
        ("/camera/image", "camera_rect_optical_frame", True),
        ("/camera/image_raw", "camera_rect_optical_frame", False),
    ],
)
def test_names_tell_rectified_images(topic: str, frame: str, rectified: bool) -> None:
    assert is_rectified(topic, frame) is rectified


def test_imu_yaw_is_that_of_the_vehicle() -> None:
    message = Imu()
    q = message.orientation
    q.x, q.y, q.z, q.w = quaternion_from_yaw(1.0)
    message.orientation_covariance[8] = 0.04
    turned = RigidTransform.from_euler((0, 0, 0), (0, 0, 0.3))  # the IMU sits turned by 0.3
    yaw, variance = conversions.imu_yaw(message, turned.inverse())
    assert yaw == pytest.approx(0.7) and variance == 0.04
    message.orientation_covariance[0] = -1.0
    with pytest.raises(ConversionError, match="no orientation"):
        conversions.imu_yaw(message, turned)
    with pytest.raises(ConversionError, match="quaternion"):
        empty = Imu()
        empty.orientation.w = 0.0
        conversions.imu_yaw(empty, turned)


def test_planar_pose() -> None:
    message = PoseWithCovariance()
    message.pose.position.x = 4.0
    _, _, message.pose.orientation.z, message.pose.orientation.w = quaternion_from_yaw(-2.0)
    assert conversions.planar_pose(message).covariance is None
    message.covariance = np.arange(36.0)
    pose = conversions.planar_pose(message)
    assert (pose.x, pose.y, pose.yaw) == (4.0, 0.0, pytest.approx(-2.0))
    assert pose.covariance is not None
    assert pose.covariance.tolist() == [[0, 1, 5], [6, 7, 11], [30, 31, 35]]


def test_twist_of_zeros_is_no_twist() -> None:
    message = Odometry()
    assert conversions.odometry_twist(message) is None
    message.twist.twist.linear.x = 3.0
    assert conversions.odometry_twist(message) == (3.0, 0.0, 0.0)
    message.twist.twist.angular.z = math.nan
    assert conversions.odometry_twist(message) is None


def test_fix_covariance() -> None:
    message = NavSatFix(position_covariance=np.arange(9.0))
    assert conversions.fix_covariance(message) is None
    message.position_covariance_type = NavSatFix.COVARIANCE_TYPE_KNOWN
    known = conversions.fix_covariance(message)
    assert known is not None and known[0].tolist() == [0, 1, 2]
