"""Views against a scene of known colours in every direction: exact intrinsics and rotation."""

from __future__ import annotations

import functools
import math
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from cross_view_localizer.camera.camera import OPTICAL_TO_BODY, Camera
from cross_view_localizer.camera.view_maker import ViewMaker
from cross_view_localizer.geo import RigidTransform, rotation_from_euler
from cross_view_localizer.views import View

FRONT = np.array([[320.0, 0, 315.0], [0, 322.0, 244.0], [0, 0, 1]])
CAMERAS = {
    "pinhole": Camera("pinhole", 640, 480, FRONT),
    "barrel": Camera("pinhole", 640, 480, FRONT, (-0.25, 0.07, 0.0008, -0.0005, -0.008)),
    "pincushion": Camera("pinhole", 640, 480, FRONT, (0.12, 0.03, -0.001, 0.0004)),
    "odd": Camera("pinhole", 621, 187, np.array([[350.0, 0, 301], [0, 350, 91], [0, 0, 1]])),
    "small": Camera("pinhole", 120, 90, np.array([[60.0, 0, 59], [0, 60, 45], [0, 0, 1]])),
    "fisheye": Camera(
        "fisheye",
        *(640, 480),
        np.array([[180.0, 0, 318], [0, 180, 235], [0, 0, 1]]),
        (0.02, -0.004, 0.001, -0.0002),
    ),
    "equirectangular": Camera("equirectangular", 800, 400),
}


def mounting(roll: float = 0.0, pitch: float = 0.0, yaw: float = 0.0) -> RigidTransform:
    """A camera 1.6 m above base_link, mounted by degrees."""
    body = RigidTransform.from_euler((1.2, 0.1, 1.6), np.radians([roll, pitch, yaw]))
    return body @ RigidTransform(OPTICAL_TO_BODY, np.zeros(3))


def view(
    ground: Literal["pinhole", "panorama"] = "pinhole", size: tuple[int, int] = (120, 80)
) -> View:
    return View(ground, *size, 192, 0.5, 96, 0.5)


def colours(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scene: (..., 3) colours of unit directions (..., 3) in base_link."""
    waves = np.array([[4.0, 15.0, 2.0], [3.0, 4.0, 14.0], [12.0, -10.0, 6.0]])
    return 127.5 + 100 * np.sin(directions @ waves.T)


@functools.cache
def picture(camera: Camera, mounted: RigidTransform) -> NDArray[np.uint8]:
    uv = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), axis=-1)
    seen = colours(camera.ray(uv) @ mounted.rotation.T)
    return np.rint(np.nan_to_num(seen)).astype(np.uint8)


def rays_of(maker: ViewMaker, turn: float = 0.0) -> NDArray[np.float64]:
    """Directions in base_link of a view's pixels, by what the maker says of itself."""
    width, height = maker.view.ground_width, maker.view.ground_height
    uv = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    if maker.view.ground == "panorama":
        optical = Camera("equirectangular", width, height).ray(uv)
    else:
        optical = Camera("pinhole", width, height, maker.intrinsics).ray(uv)
    levelled = optical @ maker.rotation.T
    return levelled @ rotation_from_euler(0, 0, maker.azimuth + turn).T


def assert_shows_the_scene(maker: ViewMaker, mounted: RigidTransform, turn: float = 0.0) -> None:
    image = picture(maker.camera, mounted)
    made = maker(image, turn)
    assert made.shape == (maker.view.ground_height, maker.view.ground_width, 3)
    assert made.dtype == np.uint8 and made.flags.c_contiguous
    off = np.abs(made - colours(rays_of(maker, turn)))
    # The scene changes by up to 25 levels a pixel: a tenth of a pixel is 2.5.
    assert np.median(off) < 1.5 and np.percentile(off, 99) < 6


@pytest.mark.parametrize("name", ["pinhole", "barrel", "pincushion", "odd", "small"])
@pytest.mark.parametrize("size", [(120, 80), (115, 77)])
def test_pinhole_views_of_pinhole_cameras(name: str, size: tuple[int, int]) -> None:
    mounted = mounting(roll=2, pitch=5, yaw=-30)
    maker = ViewMaker(CAMERAS[name], mounted, view(size=size))
    assert_shows_the_scene(maker, mounted)
    assert maker.azimuth == pytest.approx(math.radians(-30), abs=1e-9)
    assert maker.height == pytest.approx(1.6)
    # As much is seen as the picture holds: the crop's focal length is the picture's, scaled.
    camera = CAMERAS[name]
    assert camera.matrix is not None
    scale = min(camera.width / size[0], camera.height / size[1])
    assert maker.intrinsics[0, 0] * scale == pytest.approx(camera.matrix[0, 0], rel=0.2)


@pytest.mark.parametrize("name", ["fisheye", "equirectangular"])
@pytest.mark.parametrize("fov", [60.0, 90.0])
def test_level_pinhole_views_of_wide_cameras(name: str, fov: float) -> None:
    mounted = mounting(roll=3, pitch=-8, yaw=170)
    maker = ViewMaker(CAMERAS[name], mounted, view(), field_of_view=math.radians(fov))
    assert_shows_the_scene(maker, mounted)
    np.testing.assert_allclose(maker.rotation, OPTICAL_TO_BODY)
    assert 2 * math.atan(60 / maker.intrinsics[0, 0]) == pytest.approx(math.radians(fov))


@pytest.mark.parametrize("angles", [(0, 0, 0), (0.03, -0.05, 40), (4, 9, -100), (0, -20, 180)])
@pytest.mark.parametrize("size", [(200, 100), (160, 80), (256, 128)])
def test_panoramas_are_levelled(angles: tuple[float, float, float], size: tuple[int, int]) -> None:
    mounted = mounting(*angles)
    maker = ViewMaker(CAMERAS["equirectangular"], mounted, view("panorama", size))
    assert_shows_the_scene(maker, mounted)


@pytest.mark.parametrize("angles", [(0, 0, 20), (2, 5, 20)])
@pytest.mark.parametrize("turn", [math.pi / 2, -1.0, 3.0, 7.0])
def test_panoramas_turn(angles: tuple[float, float, float], turn: float) -> None:
    mounted = mounting(*angles)
    maker = ViewMaker(CAMERAS["equirectangular"], mounted, view("panorama", (200, 100)))
    assert_shows_the_scene(maker, mounted, turn)


def test_a_panorama_turned_north_shows_north_in_its_middle() -> None:
    """A red pole to the north of a vehicle that looks west is right of its middle."""
    image = np.zeros((100, 200, 3), dtype=np.uint8)
    image[:, 148:152] = (255, 0, 0)
    maker = ViewMaker(Camera("equirectangular", 200, 100), mounting(), view("panorama", (200, 100)))
    yaw_west = math.pi
    turned = maker(image, math.pi / 2 - (yaw_west + maker.azimuth))
    assert turned[50, 98:102, 0].min() == 255 and turned[..., 0].astype(bool).mean() == 0.02


@pytest.mark.parametrize("name", ["pinhole", "barrel"])
@pytest.mark.parametrize("stripe", [1, 2])
def test_averaging_leaves_no_moire(name: str, stripe: int) -> None:
    """Stripes finer than the view's pixels come out grey, not as broad bands."""
    image = np.zeros((480, 640, 3), dtype=np.uint8)
    image[:, np.arange(640) // stripe % 2 == 0] = 255
    # Picked instead of averaged they would have a spread of 70 and more.
    assert ViewMaker(CAMERAS[name], mounting(), view(size=(115, 77)))(image).std() < 40


def test_a_view_of_the_pictures_own_size_is_the_picture() -> None:
    camera = CAMERAS["pinhole"]
    image = picture(camera, mounting())
    maker = ViewMaker(camera, mounting(), view(size=(640, 480)))
    np.testing.assert_array_equal(maker(image), image)
    np.testing.assert_allclose(maker.intrinsics, FRONT)


def test_height_counts_from_the_road() -> None:
    maker = ViewMaker(CAMERAS["pinhole"], mounting(), view(), base_height=0.33)
    assert maker.height == pytest.approx(1.93)


def looking(direction: NDArray[np.float64]) -> RigidTransform:
    z = direction / np.linalg.norm(direction)
    x = np.cross([0.3, 1.0, 0.2], z)
    x /= np.linalg.norm(x)
    return RigidTransform(np.stack([x, np.cross(z, x), z], axis=1), np.array([0, 0, 1.6]))


@pytest.mark.parametrize(
    ("camera", "mounted", "ground", "options", "words"),
    [
        ("pinhole", mounting(), "panorama", {}, "expected an equirectangular one"),
        ("fisheye", mounting(), "panorama", {}, "expected an equirectangular one"),
        ("pinhole", RigidTransform(OPTICAL_TO_BODY, np.zeros(3)), "pinhole", {}, "base_height"),
        ("pinhole", mounting(), "pinhole", {"base_height": math.nan}, "above the road"),
        ("pinhole", looking(np.array([0.01, 0, -1])), "pinhole", {}, "optical frame"),
        # camera_link given for camera_optical_frame: z is up.
        ("pinhole", RigidTransform(np.eye(3), np.ones(3)), "pinhole", {}, "optical frame"),
        ("fisheye", mounting(), "pinhole", {"field_of_view": 3.1}, "expected up to 150"),
        ("fisheye", mounting(), "pinhole", {"field_of_view": 0.0}, "field of view"),
    ],
)
def test_views_that_cannot_be_made_are_refused(
    camera: str,
    mounted: RigidTransform,
    ground: Literal["pinhole", "panorama"],
    options: dict[str, Any],
    words: str,
) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        ViewMaker(CAMERAS[camera], mounted, view(ground), **options)
    assert "\n" not in str(caught.value)


def test_coefficients_of_another_lens_are_refused() -> None:
    # Equidistant coefficients under a pinhole's name fold the picture onto itself.
    broken = Camera("pinhole", 640, 480, FRONT, (-40.0, 3.0, 0.2, 0.1))
    with pytest.raises(ValueError, match="leaves no undistorted picture"):
        ViewMaker(broken, mounting(), view())


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((240, 320, 3), dtype=np.uint8),
        np.zeros((480, 640), dtype=np.uint8),
        np.zeros((480, 640, 4), dtype=np.uint8),
        np.zeros((480, 640, 3), dtype=np.float32),
    ],
)
def test_pictures_of_another_kind_are_refused(image: NDArray[Any]) -> None:
    maker = ViewMaker(CAMERAS["pinhole"], mounting(), view())
    with pytest.raises(ValueError, match="the calibration's size"):
        maker(image)


def test_a_pinhole_view_cannot_turn() -> None:
    maker = ViewMaker(CAMERAS["pinhole"], mounting(), view())
    with pytest.raises(ValueError, match="can't look elsewhere"):
        maker(np.zeros((480, 640, 3), dtype=np.uint8), turn=0.1)
