"""Padded views: all that a camera sees, where the view's intrinsics say, and the exact mask."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cross_view_localizer.camera.camera import OPTICAL_TO_BODY, Camera
from cross_view_localizer.camera.padding import LEAST_PICTURE, NARROWEST, WIDEST, Padding
from cross_view_localizer.camera.view_maker import ViewMaker
from cross_view_localizer.geo import RigidTransform
from cross_view_localizer.views import View

SIZE = (144, 80)
MOUNTING = RigidTransform(OPTICAL_TO_BODY, np.array([1.2, 0.1, 1.6]))


def padded_view(size: tuple[int, int] = SIZE) -> View:
    return View("pinhole", *size, 192, 0.5, 96, 0.5, pad=True)


def pinhole(
    size: tuple[int, int],
    fov: float,
    distortion: tuple[float, ...] = (),
    middle: tuple[float, float] = (0.5, 0.5),
    aspect: float = 1.0,
) -> Camera:
    """A camera of a horizontal field of view, degrees, before distortion."""
    fx = size[0] / 2 / math.tan(math.radians(fov) / 2)
    cx, cy = size[0] * middle[0] - 0.5, size[1] * middle[1] - 0.5
    matrix = np.array([[fx, 0, cx], [0, fx * aspect, cy], [0, 0, 1]])
    return Camera("pinhole", *size, matrix, distortion)


def on_plane(camera: Camera) -> NDArray[np.float64]:
    """(H, W, 2) where a camera's pixels look, on the plane at distance 1."""
    uv = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), axis=-1)
    rays = camera.ray(uv)
    return rays[..., :2] / rays[..., 2:]


def outline(camera: Camera, maker: ViewMaker) -> NDArray[np.float64]:
    """(4,) left, top, right, bottom edge of an ideal camera's picture in the view."""
    assert camera.matrix is not None
    ends = np.array([[-0.5, -0.5, 1], [camera.width - 0.5, camera.height - 0.5, 1]])
    seen = ends @ np.linalg.inv(camera.matrix).T @ maker.intrinsics.T
    return seen[:, :2].ravel()


# Barrel, pincushion, rational and tangential lenses.
LENSES = [
    (),
    (-0.25, 0.07, 0.0008, -0.0005, -0.008),
    (0.12, 0.03, -0.001, 0.0004),
    (0.4, 0.1, 0.0, 0.0, 0.02, 0.65, 0.2, 0.03),
]


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(90, 420),
    ratio=st.floats(0.5, 3.6),
    fov=st.floats(40, 118),
    lens=st.sampled_from(LENSES),
    middle=st.tuples(st.floats(0.44, 0.56), st.floats(0.3, 0.7)),
    aspect=st.floats(0.9, 1.1),
    at=st.tuples(st.floats(0.1, 0.9), st.floats(0.1, 0.9)),
)
def test_a_point_lies_where_the_views_intrinsics_put_it(
    width: int,
    ratio: float,
    fov: float,
    lens: tuple[float, ...],
    middle: tuple[float, float],
    aspect: float,
    at: tuple[float, float],
) -> None:
    if lens:  # a lens is calibrated as far as its pictures go
        fov = min(fov, 75.0)
    height = round(width / ratio)
    camera = pinhole((width, height), fov, lens, middle, aspect)
    maker = ViewMaker(camera, MOUNTING, padded_view())
    # A point of the scene that the camera sees, and a dot around it of 1.5 of the view's pixels.
    ray = camera.ray(np.array(at) * (width, height))
    assume(np.isfinite(ray).all())
    place = ray[:2] / ray[2]
    expected = (maker.intrinsics @ [*place, 1.0])[:2]
    columns, rows = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    near = np.hypot(columns - expected[0], rows - expected[1]) < 6
    assume(near.sum() > 100 and (maker.mask is None or maker.mask[near].all()))
    focal = np.diag(maker.intrinsics)[:2]
    off = (on_plane(camera) - place) * focal
    dot = 250 * np.exp(-np.nan_to_num((off**2).sum(axis=-1), nan=1e9) / (2 * 1.5**2))
    made = maker(np.repeat(np.rint(dot)[..., None], 3, axis=2).astype(np.uint8))[..., 0] * near
    weight = made.astype(float)
    found = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
    np.testing.assert_allclose(found, expected, atol=0.1)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(60, 500),
    ratio=st.floats(0.5, 4.0),
    fov=st.floats(36, 119),
    lens=st.sampled_from(LENSES),
    size=st.sampled_from([SIZE, (288, 160), (117, 91)]),
)
def test_the_mask_is_where_the_picture_is(
    width: int, ratio: float, fov: float, lens: tuple[float, ...], size: tuple[int, int]
) -> None:
    if lens:
        fov = min(fov, 75.0)
    camera = pinhole((width, round(width / ratio)), fov, lens)
    maker = ViewMaker(camera, MOUNTING, padded_view(size))
    made = maker(np.full((camera.height, camera.width, 3), 255, np.uint8))
    mask = np.ones(size[::-1], np.uint8) if maker.mask is None else maker.mask
    assert mask.dtype == np.uint8 and mask.shape == size[::-1]
    np.testing.assert_array_equal(made, np.repeat(mask[..., None], 3, axis=2) * 255)
    # What is masked as picture is seen by the camera, edge to edge.
    rows, columns = np.nonzero(mask)
    rays = Camera("pinhole", *size, maker.intrinsics).ray(np.stack([columns, rows], axis=-1))
    assert np.isfinite(camera.project(rays)).all()
    # It is as large as it can be: it reaches two opposite edges of the view, in the middle.
    middle = mask[size[1] // 2], mask[:, size[0] // 2]
    assert middle[0].all() or middle[1].all()
    if lens:
        return
    left, top, right, bottom = outline(camera, maker)
    # All of the picture but a rim below a pixel of the view.
    assert columns.min() - 0.5 - left < 1.01 and right - columns.max() - 0.5 < 1.01
    assert rows.min() - 0.5 - top < 1.01 and bottom - rows.max() - 0.5 < 1.01
    # Square pixels stay square to the rounding of a size.
    fx, fy = np.diag(maker.intrinsics)[:2]
    assert abs(fx / fy - 1) < 1.1 * 0.5 / min(np.ptp(rows) + 1, np.ptp(columns) + 1)


@pytest.mark.parametrize("fov", [100.0, 121.0, 140.0])
@pytest.mark.parametrize("middle", [0.5, 0.45])
def test_what_lies_beyond_sixty_degrees_is_cut(fov: float, middle: float) -> None:
    camera = pinhole((800, 200), fov, middle=(middle, 0.5))
    maker = ViewMaker(camera, MOUNTING, padded_view((288, 160)))
    rows = np.full(2, 80)
    ends = Camera("pinhole", 288, 160, maker.intrinsics).ray(
        np.stack([(-0.5, 287.5), rows], axis=-1)
    )
    looks = np.degrees(np.arctan2(ends[:, 0], ends[:, 2]))
    edges = (np.array([-0.5, 799.5]) - camera.matrix[0, 2]) / camera.matrix[0, 0]  # type: ignore[index]
    wanted = np.degrees(np.arctan(edges)).clip(-60, 60)
    np.testing.assert_allclose(looks, wanted, atol=0.4)


@pytest.mark.parametrize("lens", LENSES[1:])
@pytest.mark.parametrize("fov", [60.0, 75.0, 100.0])
def test_the_whole_row_and_column_of_a_lens_are_kept(lens: tuple[float, ...], fov: float) -> None:
    camera = pinhole((800, 320), fov, lens)
    maker = ViewMaker(camera, MOUNTING, padded_view((288, 160)))
    assert maker.mask is not None and camera.matrix is not None
    cx, cy = camera.matrix[:2, 2]
    ends = camera.ray([[-0.5, cy], [799.5, cy], [cx, -0.5], [cx, 319.5]])
    assert np.isfinite(ends).all()
    looks = ends / ends[:, 2:]
    looks[:, 0] = looks[:, 0].clip(-math.tan(WIDEST / 2), math.tan(WIDEST / 2))
    edges = looks @ maker.intrinsics.T
    column, row = (round(at) for at in maker.intrinsics[:2, 2])
    across, down = np.nonzero(maker.mask[row])[0], np.nonzero(maker.mask[:, column])[0]
    np.testing.assert_allclose((across[0] - 0.5, across[-1] + 0.5), edges[:2, 0], atol=1.1)
    np.testing.assert_allclose((down[0] - 0.5, down[-1] + 0.5), edges[2:, 1], atol=1.1)


@pytest.mark.parametrize("size", [(288, 87), (213, 160), (288, 160), (288, 40)])
def test_a_picture_of_the_fitted_size_passes_unchanged(size: tuple[int, int]) -> None:
    camera = pinhole(size, 90.0)
    image = np.random.default_rng(1).integers(0, 256, (*size[::-1], 3), np.uint8)
    maker = ViewMaker(camera, MOUNTING, padded_view((288, 160)))
    padding = Padding.of(size, (288, 160))
    assert padding.inner == size
    made = maker(image)
    np.testing.assert_array_equal(made[padding.inside], image)
    np.testing.assert_array_equal(made, padding.picture(image))
    assert made.astype(int).sum() == image.astype(int).sum()
    assert camera.matrix is not None
    np.testing.assert_allclose(maker.intrinsics, padding.intrinsics(camera.matrix))
    if maker.mask is None:
        assert padding.mask is None and size == (288, 160)
    else:
        np.testing.assert_array_equal(maker.mask, padding.mask)


def test_kittis_picture_is_shown_whole() -> None:
    matrix = np.array([[721.5, 0, 609.6], [0, 721.5, 172.9], [0, 0, 1]])
    maker = ViewMaker(Camera("pinhole", 1242, 375, matrix), MOUNTING, padded_view((288, 160)))
    fx, middle = maker.intrinsics[0, 0], maker.intrinsics[0, 2]
    field = math.degrees(math.atan((middle + 0.5) / fx) + math.atan((287.5 - middle) / fx))
    assert field == pytest.approx(81.4, abs=0.3)
    assert maker.mask is not None and maker.mask.mean() == pytest.approx(87 / 160, abs=0.01)


@pytest.mark.parametrize("field", [60.0, 120.0])
def test_a_fisheye_is_masked_where_it_sees_nothing(field: float) -> None:
    matrix = np.array([[150.0, 0, 319.5], [0, 150, 99.5], [0, 0, 1]])
    camera = Camera("fisheye", 640, 200, matrix)  # 76 degrees high
    maker = ViewMaker(camera, MOUNTING, padded_view((144, 120)), field_of_view=math.radians(field))
    made = maker(np.full((200, 640, 3), 255, np.uint8))
    if field == 60.0:
        assert maker.mask is None and made.min() == 255
        return
    assert maker.mask is not None
    assert made[maker.mask == 0].max() == 0 and made[maker.mask == 1].min() > 120
    rows, columns = np.nonzero(maker.mask)
    rays = Camera("pinhole", 144, 120, maker.intrinsics).ray(np.stack([columns, rows], axis=-1))
    assert np.isfinite(camera.project(rays)).all()
    # Straight ahead it sees half its picture's height, 100 px of 150 a radian, up and down.
    high = math.tan(100 / 150) * maker.intrinsics[1, 1] * 2
    assert maker.mask[:, 72].sum() == pytest.approx(high, abs=2)


def test_a_padded_panorama_is_a_panorama() -> None:
    image = np.random.default_rng(1).integers(0, 256, (100, 200, 3), np.uint8)
    view = View("panorama", 200, 100, 192, 0.5, 96, 0.5, pad=True)
    maker = ViewMaker(Camera("equirectangular", 200, 100), MOUNTING, view)
    assert maker.mask is None
    np.testing.assert_array_equal(maker(image), image)


@pytest.mark.parametrize(
    ("camera", "field", "words"),
    [
        (pinhole((640, 480), 34.0), 90.0, "field of view of 34.0 degrees: expected at least 35"),
        (pinhole((1600, 100), 90.0), 90.0, "11% of the view would be picture: expected at least"),
        (pinhole((60, 900), 36.0), 90.0, "% of the view would be picture"),
        (
            Camera("fisheye", 640, 640, np.array([[30.0, 0, 320], [0, 30.0, 320], [0, 0, 1]])),
            130.0,
            "field of view of 130 degrees: expected 35 to 120",
        ),
        (pinhole((640, 480), 90.0, (-40.0, 3.0, 0.2, 0.1)), 90.0, "no undistorted picture"),
    ],
)
def test_cameras_that_see_too_little_are_refused_in_one_line(
    camera: Camera, field: float, words: str
) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        ViewMaker(camera, MOUNTING, padded_view(), field_of_view=math.radians(field))
    assert "\n" not in str(caught.value)


def test_the_limits_themselves_are_accepted() -> None:
    for limit in (NARROWEST, WIDEST):
        ViewMaker(pinhole((640, 480), math.degrees(limit)), MOUNTING, padded_view())
    assert 0 < LEAST_PICTURE < 0.5
