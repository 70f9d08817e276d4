"""Cameras: pixels to rays and back, for pinhole, fisheye and equirectangular pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cross_view_localizer.camera.lens import BrownLens, FisheyeLens, Lens, NoLens

# How many distortion coefficients each kind takes (none: an ideal lens).
_COEFFICIENTS = {"pinhole": (0, 4, 5, 8), "fisheye": (0, 4), "equirectangular": (0,)}

# From the optical frame (x right, y down, z forward) to a body's (x forward, y left, z up).
OPTICAL_TO_BODY = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
OPTICAL_TO_BODY.flags.writeable = False


@dataclass(frozen=True, eq=False)
class Camera:
    """How a camera's pixels look into its optical frame (x right, y down, z forward).

    Attributes:
        kind: "pinhole" (CameraInfo's plumb_bob or rational_polynomial), "fisheye" (equidistant) or
            "equirectangular" (columns over 360 degrees with forward in the middle, rows from
            straight up to straight down).
        width, height: of its pictures, pixels.
        matrix: (3, 3) K with pixel centres at integers; None for equirectangular.
        distortion: D as in CameraInfo and OpenCV: 0, 4, 5 or 8 numbers for a pinhole, 0 or 4 for a
            fisheye.

    Raises:
        ValueError: an unknown kind, sizes or K not positive (an uncalibrated camera publishes
            K = 0), or another number of coefficients.
    """

    kind: Literal["pinhole", "fisheye", "equirectangular"]
    width: int
    height: int
    matrix: NDArray[np.float64] | None = None
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in _COEFFICIENTS:
            raise ValueError(
                f"camera kind {self.kind!r}: expected one of {', '.join(_COEFFICIENTS)}"
            )
        if self.width < 1 or self.height < 1:
            raise ValueError(f"camera of {self.width} x {self.height} px: expected positive sizes")
        distortion = tuple(float(value) for value in self.distortion)
        if not np.isfinite(distortion).all():
            raise ValueError(f"distortion {distortion}: expected finite numbers")
        if not any(distortion):
            distortion = ()
        if len(distortion) not in _COEFFICIENTS[self.kind]:
            raise ValueError(
                f"{len(distortion)} distortion coefficients for a {self.kind} camera: expected "
                f"{' or '.join(map(str, _COEFFICIENTS[self.kind]))}; check camera_model"
            )
        object.__setattr__(self, "distortion", distortion)
        object.__setattr__(self, "matrix", self._checked_matrix())

    def _checked_matrix(self) -> NDArray[np.float64] | None:
        if self.kind == "equirectangular":
            return None
        matrix = None if self.matrix is None else np.array(self.matrix, dtype=np.float64)
        if matrix is None or matrix.size != 9 or not np.isfinite(matrix).all():
            given = None if matrix is None else matrix.tolist()
            raise ValueError(f"K of a {self.kind} camera is {given}: expected 3 x 3 finite numbers")
        matrix = matrix.reshape(3, 3)
        if not (matrix[0, 0] > 0 and matrix[1, 1] > 0):
            raise ValueError(
                f"K of a {self.kind} camera has fx = {matrix[0, 0]:g}, fy = {matrix[1, 1]:g}: the "
                "camera is not calibrated; publish a calibrated camera_info or give the intrinsics "
                "as parameters"
            )
        if not np.allclose(matrix[[1, 2, 2, 2], [0, 0, 1, 2]], [0, 0, 0, 1]):
            raise ValueError(
                f"K of a {self.kind} camera is {matrix.tolist()}: expected its last row 0 0 1"
            )
        matrix.flags.writeable = False
        return matrix

    def _key(self) -> tuple[object, ...]:
        matrix = None if self.matrix is None else self.matrix.tobytes()
        return self.kind, self.width, self.height, matrix, self.distortion

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Camera) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    @cached_property
    def _lens(self) -> Lens:
        if not self.distortion and self.kind == "pinhole":
            return NoLens()
        return (
            BrownLens(self.distortion) if self.kind == "pinhole" else FisheyeLens(self.distortion)
        )

    def ray(self, uv: ArrayLike) -> NDArray[np.float64]:
        """Return unit rays (..., 3) of the optical frame for pixels (..., 2), (column, row).

        NaN where the lens model has no ray.
        """
        pixels = np.asarray(uv, dtype=np.float64)
        if self.matrix is None:
            right = ((pixels[..., 0] + 0.5) / self.width - 0.5) * (2 * np.pi)
            up = (0.5 - (pixels[..., 1] + 0.5) / self.height) * np.pi
            level = np.cos(up)
            return np.stack([level * np.sin(right), -np.sin(up), level * np.cos(right)], axis=-1)
        k = self.matrix
        y = (pixels[..., 1] - k[1, 2]) / k[1, 1]
        x = (pixels[..., 0] - k[0, 2] - k[0, 1] * y) / k[0, 0]
        rays = self._lens.undistort(np.stack([x, y], axis=-1))
        return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True))

    def project(self, points: ArrayLike) -> NDArray[np.float64]:
        """Return pixels (..., 2) for points (..., 3) of the optical frame; NaN where not seen."""
        xyz = np.asarray(points, dtype=np.float64)
        if self.matrix is None:
            right = np.arctan2(xyz[..., 0], xyz[..., 2])
            up = np.arctan2(-xyz[..., 1], np.hypot(xyz[..., 0], xyz[..., 2]))
            u = (right / (2 * np.pi) + 0.5) * self.width - 0.5
            # The seam has two names; the one in the picture is taken.
            u = np.where(u >= self.width - 0.5, u - self.width, u)
            v = np.minimum((0.5 - up / np.pi) * self.height - 0.5, self.height - 0.5 - 1e-9)
            return np.stack([u, v], axis=-1)
        plane = self._lens.distort(xyz)
        k = self.matrix
        with np.errstate(invalid="ignore"):
            u = k[0, 0] * plane[..., 0] + k[0, 1] * plane[..., 1] + k[0, 2]
            uv = np.stack([u, k[1, 1] * plane[..., 1] + k[1, 2]], axis=-1)
            inside = (uv >= -0.5) & (uv < np.array([self.width, self.height]) - 0.5)
        seen: NDArray[np.bool_] = np.all(inside, axis=-1, keepdims=True)
        return np.where(seen, uv, np.nan)

    def resized(self, width: int, height: int) -> Camera:
        """The camera of the same pictures resized: u' = (u + 0.5) s − 0.5."""
        if self.matrix is None:
            return replace(self, width=width, height=height)
        return replace(
            self,
            width=width,
            height=height,
            matrix=_scaled(self.matrix, width / self.width, height / self.height),
        )

    def cropped(self, left: int, top: int, width: int, height: int) -> Camera:
        """The camera of pictures[top : top + height, left : left + width].

        Raises:
            ValueError: equirectangular.
        """
        if self.matrix is None:
            raise ValueError("an equirectangular picture cropped is no equirectangular picture")
        matrix = self.matrix.copy()
        matrix[:2, 2] -= (left, top)
        return replace(self, width=width, height=height, matrix=matrix)


def _scaled(matrix: NDArray[np.float64], sx: float, sy: float) -> NDArray[np.float64]:
    scaled = np.diag([sx, sy, 1.0]) @ matrix
    scaled[:2, 2] += (0.5 * sx - 0.5, 0.5 * sy - 0.5)
    return np.asarray(scaled, dtype=np.float64)
