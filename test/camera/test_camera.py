"""Pixels and rays: exact inverses, CameraInfo's conventions, OpenCV as a second opinion."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cross_view_localizer.camera.camera import OPTICAL_TO_BODY, Camera


def pinhole_matrix(focal: float = 600.0) -> NDArray[np.float64]:
    return np.array([[focal, 0, 633.0], [0, focal * 1.01, 471.5], [0, 0, 1]])


# Coefficients of lenses one can buy: barrel to mild pincushion, small tangential parts.
brown = st.one_of(
    st.just(()),
    st.tuples(
        st.floats(-0.4, 0.15),
        st.floats(-0.05, 0.2),
        st.floats(-0.003, 0.003),
        st.floats(-0.003, 0.003),
        st.floats(-0.03, 0.03),
    ),
    st.tuples(
        st.floats(0.5, 6.0),
        st.floats(0.0, 1.0),
        st.floats(-0.0005, 0.0005),
        st.floats(-0.0005, 0.0005),
        st.floats(0.0, 0.1),
        st.floats(1.0, 7.0),
        st.floats(0.0, 2.0),
        st.floats(0.0, 0.3),
    ),
)
pinholes = st.builds(
    lambda focal, d: Camera("pinhole", 1280, 960, pinhole_matrix(focal), d),
    st.floats(400, 2000),
    brown,
)
fisheyes = st.builds(
    lambda focal, d: Camera("fisheye", 1280, 960, pinhole_matrix(focal), d),
    st.floats(250, 900),
    st.one_of(st.just(()), st.tuples(*[st.floats(-0.05, 0.05)] * 4)),
)
panoramas = st.builds(
    lambda width, height: Camera("equirectangular", width, height),
    st.integers(2, 4096),
    st.integers(1, 2048),
)
cameras = st.one_of(pinholes, fisheyes, panoramas)
shares = st.floats(0.0, 1.0, exclude_max=True)


@settings(max_examples=300, deadline=None)
@given(cameras, shares, shares)
def test_a_pixels_ray_projects_onto_it(camera: Camera, across: float, down: float) -> None:
    uv = np.array([across * camera.width, down * camera.height]) - 0.5
    ray = camera.ray(uv)
    assume(np.isfinite(ray).all())
    assert np.linalg.norm(ray) == pytest.approx(1)
    if camera.kind == "equirectangular":
        assume(abs(ray[1]) < 1 - 1e-9)  # columns meet at the poles
    back = camera.project(3.7 * ray)
    if np.isnan(back).any():
        # Rounding at the very rim.
        assert min(across, down, 1 - across, 1 - down) < 1e-9
    else:
        np.testing.assert_allclose(back, uv, atol=1e-5)


@settings(max_examples=300, deadline=None)
@given(cameras, st.tuples(*[st.floats(-1, 1)] * 3))
def test_a_seen_point_lies_on_its_pixels_ray(
    camera: Camera, point: tuple[float, float, float]
) -> None:
    length = math.hypot(*point)
    assume(length > 0.01)
    uv = camera.project(point)
    assume(np.isfinite(uv).all())
    assert (uv >= -0.5).all() and (uv < (camera.width - 0.5 + 1e-9, camera.height - 0.5)).all()
    np.testing.assert_allclose(camera.ray(uv), np.array(point) / length, atol=1e-6)


@pytest.mark.parametrize(
    "distortion",
    [
        (-0.3, 0.1, 0.001, -0.0005),
        (-0.3, 0.1, 0.001, -0.0005, -0.02),
        (2.0, 0.3, 1e-4, -1e-4, 0.01, 2.4, 0.6, 0.05),
    ],
)
def test_distortion_is_opencvs(distortion: tuple[float, ...]) -> None:
    camera = Camera("pinhole", 1280, 960, pinhole_matrix(), distortion)
    points = np.random.default_rng(0).uniform((-2, -1.5, 2), (2, 1.5, 5), (200, 3))
    expected, _ = cv2.projectPoints(
        points, np.zeros(3), np.zeros(3), pinhole_matrix(), np.array(distortion)
    )
    np.testing.assert_allclose(camera.project(points), expected[:, 0], atol=1e-6)


def test_fisheye_is_opencvs() -> None:
    distortion = (0.05, -0.01, 0.003, -0.001)
    camera = Camera("fisheye", 1280, 960, pinhole_matrix(350.0), distortion)
    points = np.random.default_rng(0).uniform((-2, -1.5, 1), (2, 1.5, 5), (200, 1, 3))
    expected, _ = cv2.fisheye.projectPoints(
        points, np.zeros(3), np.zeros(3), pinhole_matrix(350.0), np.array(distortion)
    )
    np.testing.assert_allclose(camera.project(points[:, 0]), expected[:, 0], atol=1e-6)


def test_a_fisheye_sees_behind_itself() -> None:
    camera = Camera("fisheye", 2000, 2000, np.array([[500, 0, 999.5], [0, 500, 999.5], [0, 0, 1]]))
    uv = camera.project((1.0, 0.0, -0.1))
    assert uv[0] == pytest.approx(999.5 + 500 * (math.pi / 2 + math.atan(0.1)))
    assert np.isnan(Camera("pinhole", 2000, 2000, camera.matrix).project((1.0, 0.0, -0.1))).all()


def test_equirectangular_looks_forward_in_its_middle() -> None:
    camera = Camera("equirectangular", 400, 200)
    axes = np.eye(3)
    np.testing.assert_allclose(camera.project(axes[2]), (199.5, 99.5))  # forward
    np.testing.assert_allclose(camera.project(axes[0]), (299.5, 99.5))  # right
    np.testing.assert_allclose(camera.project(-axes[0]), (99.5, 99.5))  # left
    assert camera.project(-axes[1])[1] == pytest.approx(-0.5)  # up
    assert camera.project(axes[1])[1] == pytest.approx(199.5)  # down
    # Behind is the seam: either edge.
    assert abs(abs(camera.project(-axes[2])[0] - 199.5) - 200) < 1e-9


def test_points_beyond_the_lens_fold_are_not_seen() -> None:
    # k1 = -0.3: from 46.5 degrees on, points further out would come back into the picture.
    camera = Camera("pinhole", 1280, 960, pinhole_matrix(500.0), (-0.3, 0, 0, 0))
    far = np.array([math.tan(math.radians(60)), 0.0, 1.0])
    folded = 633 + 500 * far[0] * (1 - 0.3 * far[0] ** 2)
    assert 0 < folded < 1279 and np.isnan(camera.project(far)).all()
    # And pixels that no ray reaches have none.
    assert np.isnan(camera.ray((633.0 + 500 * 0.75, 471.5))).all()


def test_what_is_outside_the_picture_or_behind_is_not_seen() -> None:
    camera = Camera("pinhole", 1280, 960, pinhole_matrix())
    points = np.array([[0, 0, -1.0], [0, 0, 0.0], [5, 0, 1.0], [0, 0, 1.0], [np.nan, 0, 1]])
    seen = np.isfinite(camera.project(points)).all(axis=-1)
    np.testing.assert_array_equal(seen, [False, False, False, True, False])


@given(st.integers(50, 3000), st.integers(50, 3000), shares, shares)
def test_resizing_moves_pixels_by_the_formula(
    width: int, height: int, across: float, down: float
) -> None:
    camera = Camera("pinhole", 1280, 960, pinhole_matrix(), (-0.2, 0.05, 0.001, 0.0005, 0.0))
    resized = camera.resized(width, height)
    uv = np.array([across * 1280, down * 960]) - 0.5
    scale = np.array([width / 1280, height / 960])
    np.testing.assert_allclose(resized.ray((uv + 0.5) * scale - 0.5), camera.ray(uv), atol=1e-9)
    panorama = Camera("equirectangular", 1280, 960)
    np.testing.assert_allclose(
        panorama.resized(width, height).ray((uv + 0.5) * scale - 0.5), panorama.ray(uv), atol=1e-9
    )


def test_cropping_moves_pixels() -> None:
    camera = Camera("pinhole", 1280, 960, pinhole_matrix(), (-0.2, 0.05, 0.001, 0.0005, 0.0))
    cropped = camera.cropped(40, 7, 1200, 800)  # RobotCar's
    assert (cropped.width, cropped.height) == (1200, 800)
    np.testing.assert_allclose(cropped.ray((10, 20)), camera.ray((50, 27)))
    with pytest.raises(ValueError, match="equirectangular"):
        Camera("equirectangular", 100, 50).cropped(0, 0, 10, 10)


def test_shapes_follow_the_input() -> None:
    for camera in (
        Camera("pinhole", 1280, 960, pinhole_matrix(), (-0.2, 0.05, 0.001, 0.0005)),
        Camera("fisheye", 1280, 960, pinhole_matrix()),
        Camera("equirectangular", 400, 200),
    ):
        assert camera.ray((3, 4)).shape == (3,)
        assert camera.ray(np.zeros((2, 5, 2))).shape == (2, 5, 3)
        assert camera.project(np.ones((2, 5, 3))).shape == (2, 5, 2)
        assert camera.project((0.0, 0.0, 1.0)).shape == (2,)


def test_cameras_compare_by_value() -> None:
    one, two = (Camera("pinhole", 4, 3, np.eye(3), (0.1, 0, 0, 0)) for _ in range(2))
    assert one == two and hash(one) == hash(two)
    assert one != Camera("pinhole", 4, 3, np.eye(3)) and one != one.resized(8, 6)
    assert one.matrix is not None
    with pytest.raises(ValueError, match="read-only"):
        one.matrix[0, 0] = 2


def test_zero_coefficients_are_no_distortion() -> None:
    assert Camera("pinhole", 4, 3, np.eye(3), (0.0,) * 5).distortion == ()
    # As CameraInfo holds them: flat.
    flat = tuple(pinhole_matrix().ravel())
    assert Camera("pinhole", 1280, 960, np.array(flat)) == Camera(
        "pinhole", 1280, 960, pinhole_matrix()
    )


def test_the_optical_frame_of_a_level_camera() -> None:
    np.testing.assert_allclose(OPTICAL_TO_BODY @ (0, 0, 1), (1, 0, 0))
    np.testing.assert_allclose(OPTICAL_TO_BODY @ (1, 0, 0), (0, -1, 0))
    np.testing.assert_allclose(OPTICAL_TO_BODY @ (0, 1, 0), (0, 0, -1))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pinhole", 1280, 960, np.zeros((3, 3))), "fx = 0, fy = 0: the camera is not calibrated"),
        (("fisheye", 1280, 960, np.zeros(9)), "publish a calibrated camera_info"),
        (("pinhole", 1280, 960, None), "expected 3 x 3 finite numbers"),
        (("pinhole", 1280, 960, np.full((3, 3), np.nan)), "expected 3 x 3 finite numbers"),
        (("pinhole", 1280, 960, np.eye(2)), "expected 3 x 3"),
        (("pinhole", 1280, 960, np.diag([600.0, 600.0, 0.0])), "last row 0 0 1"),
        (("pinhole", 0, 960, pinhole_matrix()), "positive sizes"),
        (("plumb_bob", 1280, 960, pinhole_matrix()), "expected one of pinhole, fisheye"),
        (("pinhole", 1280, 960, pinhole_matrix(), (0.1, 0.2, 0.3)), "expected 0 or 4 or 5 or 8"),
        (("fisheye", 1280, 960, pinhole_matrix(), (0.1,) * 5), "check camera_model"),
        (("equirectangular", 1280, 640, None, (0.1,) * 4), "check camera_model"),
        (("pinhole", 1280, 960, pinhole_matrix(), (math.nan,) * 4), "expected finite"),
    ],
)
def test_what_is_no_camera_is_refused(arguments: tuple[Any, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        Camera(*arguments)
    assert "\n" not in str(caught.value)
