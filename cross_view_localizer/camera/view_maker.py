"""From a camera's picture to the view that a model wants, with the view's exact geometry."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.camera.camera import OPTICAL_TO_BODY, Camera
from cross_view_localizer.camera.padding import (
    Padding,
    check_field_of_view,
    check_share,
    kept_of,
)
from cross_view_localizer.camera.resample import Warp, halved, halvings, resized, rolled
from cross_view_localizer.geo import RigidTransform, rotation_from_euler
from cross_view_localizer.views import View

# A panorama mounted within this of level, radians, is taken as level: no remapping.
LEVEL = math.radians(0.1)


class ViewMaker:
    """Makes a model's ground view from a camera's pictures; one per camera, mounting and view.

    A pinhole camera gives a pinhole view: undistorted, cropped centrally to the view's aspect ratio
    (or whole, where the view is stretched or padded) and resized. A fisheye or equirectangular
    camera gives a pinhole view that looks level along the camera's azimuth. An equirectangular
    camera gives a panorama, levelled, its middle column along the camera's azimuth.

    Args:
        camera: of the pictures.
        camera_in_base: the optical frame in ``base_link``.
        view: what the model wants.
        base_height: ``base_link`` above the road, metres.
        field_of_view: horizontal, radians, of a pinhole view from a fisheye or equirectangular
            camera.

    Attributes:
        intrinsics: (3, 3) pinhole matrix of the view, pixel centres at integers; identity for a
            panorama.
        rotation: (3, 3) from the view's optical frame to the camera's levelled frame (x along its
            azimuth, y left, z up).
        height: of the camera above the road, metres.
        azimuth: yaw of the camera's forward axis in ``base_link``, radians.
        mask: (ground_height, ground_width) uint8, of padded views: 1 where there is picture, 0
            where the view is black because the camera shows nothing; None: picture everywhere.

    Raises:
        ValueError: a view that the camera can't give, a camera that looks straight up or down,
            or one that isn't above the road.
    """

    def __init__(
        self,
        camera: Camera,
        camera_in_base: RigidTransform,
        view: View,
        *,
        base_height: float = 0.0,
        field_of_view: float = math.pi / 2,
    ) -> None:
        self.camera, self.view = camera, view
        self._size = (view.ground_width, view.ground_height)
        # What of a pinhole camera's picture is kept has this aspect ratio.
        self._shape = (camera.width, camera.height) if view.stretch else self._size
        self.height = float(camera_in_base.translation[2]) + base_height
        if not self.height > 0:
            raise ValueError(
                f"camera {self.height:g} m above the road: expected above 0; give the camera's "
                "extrinsics, or base_height if base_link is not on the road"
            )
        forward = camera_in_base.rotation[:, 2]
        if abs(forward[2]) > math.sin(math.radians(80)):
            raise ValueError(
                f"camera looks along {forward.round(3).tolist()} in base_link: expected an optical "
                "frame (z forward) that looks along the road; check its frame name or extrinsics"
            )
        self.azimuth = math.atan2(forward[1], forward[0])
        # The camera's own optical frame in its levelled frame.
        self._mounting = rotation_from_euler(0, 0, -self.azimuth) @ camera_in_base.rotation
        self.rotation: NDArray[np.float64] = self._mounting
        self.intrinsics: NDArray[np.float64] = np.eye(3)
        self.mask: NDArray[np.uint8] | None = None
        self._warp: Warp | None = None
        self._crop = (slice(None), slice(None))
        self._padding = Padding(self._size, self._size)
        if view.ground == "panorama":
            self._prepare_panorama()
        elif camera.kind == "pinhole" and view.pad:
            self._prepare_whole_pinhole()
        elif camera.kind == "pinhole":
            self._prepare_pinhole()
        else:
            self._prepare_level_pinhole(field_of_view)
        check_share(self.mask)

    def __call__(self, image: NDArray[np.uint8], turn: float = 0.0) -> NDArray[np.uint8]:
        """Return the view of a picture, both (H, W, 3) uint8 RGB.

        Args:
            image: of the camera's size.
            turn: for a panorama, yaw (counter-clockwise, radians) from the camera's azimuth to
                where the middle column is to look; else 0.

        Raises:
            ValueError: a picture of another size or type; a turned pinhole view.
        """
        if image.shape != (self.camera.height, self.camera.width, 3) or image.dtype != np.uint8:
            raise ValueError(
                f"image {image.shape} {image.dtype}: expected "
                f"{(self.camera.height, self.camera.width, 3)} uint8, the calibration's size"
            )
        if turn and self.view.ground != "panorama":
            raise ValueError(f"turn of {turn} rad: a pinhole view can't look elsewhere, expected 0")
        picture = image[self._crop] if self._warp is None else self._warp.fine(image)
        if turn:
            # Where it is still finer than the view, but no finer than worth it.
            width, height = self._size
            times = halvings(picture.shape[1], picture.shape[0], (2 * width, 2 * height))
            picture = rolled(halved(picture, times), turn)
        made = resized(picture, self._padding.inner)
        if self.mask is not None and self._warp is not None:
            made = made * self.mask[self._padding.inside][..., None]
        return self._padding.picture(made)

    def facing(
        self, image: NDArray[np.uint8], turn: float
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Return the view of a picture, and its rotation, for an aerial picture of a given up.

        A panorama is rolled until its middle column looks that way. A pinhole view stays, and its
        rotation then leads to a levelled frame whose x axis looks that way; but where the view is
        north-up it says nothing of the camera's azimuth, which the method is to find.

        Args:
            image: as for a call.
            turn: yaw (counter-clockwise, radians) from the camera's azimuth to the picture's up.

        Raises:
            ValueError: as a call does.
        """
        if self.view.ground == "panorama":
            return self(image, turn), self.rotation
        if not self.view.heading_up:
            return self(image), self.rotation
        return self(image), rotation_from_euler(0.0, 0.0, -turn) @ self.rotation

    def _prepare_pinhole(self) -> None:
        camera = self.camera
        if camera.distortion:
            crop = self._undistorted_crop()
            target = crop.resized(*self._size)
            scale = max(crop.width / self._size[0], crop.height / self._size[1])
            self._warp = Warp(camera, target, np.eye(3), scale)
        else:
            width, height = _fit(camera.width, camera.height, *self._shape)
            if not self.view.stretch:
                width, height = _halvable(width, height, width / self._size[0])
            left, top = (camera.width - width) // 2, (camera.height - height) // 2
            self._crop = (slice(top, top + height), slice(left, left + width))
            target = camera.cropped(left, top, width, height).resized(*self._size)
        assert target.matrix is not None
        self.intrinsics = target.matrix

    def _prepare_whole_pinhole(self) -> None:
        camera = self.camera
        assert camera.matrix is not None
        edges = kept_of(camera)
        if camera.distortion:
            width, height = (max(1, round(length)) for length in edges[1] - edges[0])
            matrix = camera.matrix.copy()
            matrix[:2, 2] -= edges.mean(axis=0) - (np.array([width, height]) - 1) / 2
            whole = Camera("pinhole", width, height, matrix)
        else:
            # Whole pixels; the margin is for what rounding did to an edge.
            left, top = (math.ceil(edge + 0.5 - 1e-6) for edge in edges[0])
            right, bottom = (math.floor(edge + 0.5 + 1e-6) for edge in edges[1])
            shrinks = max((right - left) / self._size[0], (bottom - top) / self._size[1])
            width, height = _halvable(right - left, bottom - top, shrinks)
            left, top = (left + right - width) // 2, (top + bottom - height) // 2
            self._crop = (slice(top, top + height), slice(left, left + width))
            whole = camera.cropped(left, top, width, height)
        self._padding = Padding.of((whole.width, whole.height), self._size)
        target = whole.resized(*self._padding.inner)
        assert target.matrix is not None
        self.intrinsics = self._padding.intrinsics(target.matrix)
        self.mask = self._padding.mask
        if camera.distortion:
            scale = max(whole.width / target.width, whole.height / target.height)
            self._warp = Warp(camera, target, np.eye(3), scale)
            self.mask = _unless_full(self._padding.picture(self._warp.seen))

    def _undistorted_crop(self) -> Camera:
        """The largest central undistorted picture within the distorted size without empty rim."""
        camera = self.camera
        assert camera.matrix is not None
        width, height = _fit(camera.width, camera.height, *self._shape)
        middle = np.array([camera.width - 1, camera.height - 1]) / 2

        def is_full(scale: float) -> bool:
            edge = _border(width * scale, height * scale) + middle
            return bool(np.isfinite(self._distorted(edge)).all())

        low, high = (1.0, 1.0) if is_full(1.0) else (0.0, 1.0)
        while high - low > 1e-3:
            scale = (low + high) / 2
            low, high = (scale, high) if is_full(scale) else (low, scale)
        if low < 0.1:
            raise ValueError(
                f"distortion {camera.distortion} leaves no undistorted picture: expected "
                "coefficients that fit K and camera_model"
            )
        width, height = _fit(int(width * low), int(height * low), *self._shape)
        corner = middle - (np.array([width, height]) - 1) / 2
        matrix = camera.matrix.copy()
        matrix[:2, 2] -= corner
        return Camera("pinhole", width, height, matrix)

    def _distorted(self, uv: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixels of the distorted picture for those of an undistorted one with the same K."""
        ideal = Camera("pinhole", self.camera.width, self.camera.height, self.camera.matrix)
        return self.camera.project(ideal.ray(uv))

    def _prepare_level_pinhole(self, field_of_view: float) -> None:
        if self.view.pad:
            check_field_of_view(field_of_view)
        if not 0 < field_of_view <= math.radians(150):
            raise ValueError(
                f"field of view of {math.degrees(field_of_view):g} degrees: expected up to 150"
            )
        width, height = self._size
        focal = width / 2 / math.tan(field_of_view / 2)
        matrix = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
        self.intrinsics, self.rotation = matrix, OPTICAL_TO_BODY
        turn = self._mounting.T @ OPTICAL_TO_BODY
        # Source pixels per pixel in the middle of the view.
        here = self.camera.project(np.stack([turn @ (1 / focal, 0, 1), turn @ (0, 0, 1)]))
        if not np.isfinite(here).all():
            raise ValueError(
                "the fisheye camera does not see level along its own azimuth: check its K"
            )
        scale = float(np.linalg.norm(here[0] - here[1]))
        self._warp = Warp(self.camera, Camera("pinhole", width, height, matrix), turn, scale)
        if self.view.pad:
            self.mask = _unless_full(self._warp.seen)

    def _prepare_panorama(self) -> None:
        if self.camera.kind != "equirectangular":
            raise ValueError(
                f"a panorama from a {self.camera.kind} camera: expected an equirectangular one; "
                "choose weights for a front camera, or set camera_model: equirectangular"
            )
        tilt = math.acos(min(1.0, (np.trace(self._mounting.T @ OPTICAL_TO_BODY) - 1) / 2))
        if tilt <= LEVEL:
            return
        self.rotation = OPTICAL_TO_BODY
        target = Camera("equirectangular", *self._size)
        scale = self.camera.width / self._size[0]
        self._warp = Warp(self.camera, target, self._mounting.T @ OPTICAL_TO_BODY, scale)


def _fit(width: int, height: int, wanted_width: int, wanted_height: int) -> tuple[int, int]:
    """The largest size of the wanted aspect ratio (to whole pixels) that fits."""
    scale = min(width / wanted_width, height / wanted_height)
    return max(1, round(wanted_width * scale)), max(1, round(wanted_height * scale))


def _halvable(width: int, height: int, shrinks: float) -> tuple[int, int]:
    """The size less a rim, thinner than a pixel shrunk by ``shrinks``, that halves fast.

    Fast halvings need even sizes; the intrinsics account for what goes.
    """
    step = 1 << max(0, int(shrinks).bit_length() - 1)
    return max(1, width // step * step), max(1, height // step * step)


def _unless_full(mask: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    return None if mask.all() else mask


def _border(width: float, height: float) -> NDArray[np.float64]:
    """Points all along the outline of a rectangle of pixels around the origin, (N, 2)."""
    t = np.linspace(-0.5, 0.5, 65)
    half = np.full_like(t, 0.5)
    sides = [(t, half), (t, -half), (half, t), (-half, t)]
    return np.concatenate([np.stack(side, axis=-1) for side in sides]) * (width - 1, height - 1)
