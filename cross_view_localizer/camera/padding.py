"""Fitting a whole picture into a view of another shape: what remains is black, and masked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.camera.camera import Camera

# How far apart a padded view's outermost columns look, radians. Beyond, a pinhole picture is
# mostly stretched rim, which is cut; a narrower camera is refused: it sees no ground nearby.
WIDEST, NARROWEST = math.radians(120), math.radians(35)

# A view with a smaller share of picture is refused.
LEAST_PICTURE = 0.15


@dataclass(frozen=True)
class Padding:
    """Where a picture lies in a larger one, centred to whole pixels.

    Attributes:
        size: (width, height) of the larger one.
        inner: (width, height) of the picture in it.
    """

    size: tuple[int, int]
    inner: tuple[int, int]

    @classmethod
    def of(cls, picture: tuple[float, float], size: tuple[int, int]) -> Padding:
        """The largest that a picture (width, height) can be in ``size`` at its aspect ratio.

        One that fits exactly along one side and is no larger along the other stays as it is.
        """
        scale = min(size[0] / picture[0], size[1] / picture[1])
        width, height = (max(1, round(side * scale)) for side in picture)
        return cls(size, (width, height))

    @property
    def corner(self) -> tuple[int, int]:
        """(left, top) of the picture."""
        return (self.size[0] - self.inner[0]) // 2, (self.size[1] - self.inner[1]) // 2

    @property
    def inside(self) -> tuple[slice, slice]:
        """Rows and columns of the picture."""
        (left, top), (width, height) = self.corner, self.inner
        return slice(top, top + height), slice(left, left + width)

    @cached_property
    def mask(self) -> NDArray[np.uint8] | None:
        """(height, width): 1 where there is picture; None where that is everywhere."""
        if self.inner == self.size:
            return None
        mask = np.zeros(self.size[::-1], np.uint8)
        mask[self.inside] = 1
        return mask

    def picture(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a picture of the inner size, (h, w, …), amid zeros."""
        if self.inner == self.size:
            return picture
        padded = np.zeros((*self.size[::-1], *picture.shape[2:]), np.uint8)
        padded[self.inside] = picture
        return padded

    def intrinsics(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the (3, 3) matrix of the padded picture for that of the inner one."""
        moved = np.array(matrix, dtype=np.float64)
        moved[:2, 2] += self.corner
        return moved


def kept_of(camera: Camera) -> NDArray[np.float64]:
    """Return what a padded view keeps of a pinhole camera's picture.

    That is all that it sees along the row and the column through its principal point, within half
    of `WIDEST` to either side: what a lens bends out past their ends shows in no corner.

    Returns:
        ((left, top), (right, bottom)): edges, in pixels of an undistorted picture with the same K.

    Raises:
        ValueError: a lens that leaves nothing, or a camera narrower than `NARROWEST`; one line.
    """
    (left, right), (top, bottom) = _seen_along(camera, 0), _seen_along(camera, 1)
    width = math.atan(right) - math.atan(left)
    if not width >= NARROWEST - 1e-9:
        raise ValueError(
            f"horizontal field of view of {math.degrees(width):.1f} degrees: expected at least "
            f"{math.degrees(NARROWEST):g}; check K, or use a wider camera"
        )
    side = math.tan(WIDEST / 2)
    k = camera.matrix
    assert k is not None
    edges = np.array([[max(left, -side), top], [min(right, side), bottom]])
    return np.asarray(edges * (k[0, 0], k[1, 1]) + k[:2, 2])


def _seen_along(camera: Camera, axis: int) -> tuple[float, float]:
    """The outermost rays along a row (0) or column (1), on the plane at distance 1."""
    k = camera.matrix
    assert k is not None
    length = (camera.width, camera.height)[axis]
    places = np.linspace(-0.5, length - 0.5, 2 * length + 1)
    uv = np.repeat(k[None, :2, 2].clip(0, (camera.width - 1, camera.height - 1)), len(places), 0)
    uv[:, axis] = places
    rays = camera.ray(uv)
    with np.errstate(invalid="ignore"):
        plane = rays[:, axis] / rays[:, 2]
    found = plane[np.isfinite(plane)]
    if len(found) < 2 or np.ptp(found) < 0.1 * length / k[axis, axis]:
        raise ValueError(
            f"distortion {camera.distortion} leaves no undistorted picture: expected "
            "coefficients that fit K and camera_model"
        )
    return float(found.min()), float(found.max())


def check_field_of_view(angle: float) -> None:
    """Refuse a padded view, of a camera that sees all around, that no model is trained for.

    Raises:
        ValueError: one line.
    """
    if not NARROWEST - 1e-9 <= angle <= WIDEST + 1e-9:
        raise ValueError(
            f"field of view of {math.degrees(angle):g} degrees: expected "
            f"{math.degrees(NARROWEST):g} to {math.degrees(WIDEST):g}"
        )


def check_share(mask: NDArray[np.uint8] | None) -> None:
    """Refuse a view that is mostly mask.

    Raises:
        ValueError: one line.
    """
    share = 1.0 if mask is None else float(mask.mean())
    if share < LEAST_PICTURE:
        raise ValueError(
            f"{share:.0%} of the view would be picture: expected at least {LEAST_PICTURE:.0%}; "
            "check the camera's size and K"
        )
