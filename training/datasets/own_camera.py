"""The camera of your own data, from plain options."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cross_view_localizer.camera.camera import OPTICAL_TO_BODY, Camera
from cross_view_localizer.geo import rotation_from_euler
from training.datasets.pair import RGB, DatasetError, GroundPicture


@dataclass(frozen=True)
class OwnCamera:
    """How the pictures of a CSV were taken: all by cameras of one kind and mounting.

    Attributes:
        kind: "panorama" (equirectangular, 360 x 180 degrees, the heading in the middle column) or
            "pinhole" (undistorted).
        fov: of a pinhole, degrees from its picture's left edge to its right edge.
        intrinsics: of a pinhole, instead: fx, fy, cx, cy in pixels of the pictures as they are on
            disk, the middle of the first pixel being 0.
        height: optical centre above the road, metres, where the CSV has no height.
        pitch: degrees that the camera looks up; roll: degrees that its right side hangs down.

    Raises:
        DatasetError: a pinhole without exactly one of fov and intrinsics, or numbers out of range.
    """

    kind: str = "panorama"
    fov: float | None = None
    intrinsics: Sequence[float] | None = None
    height: float = 1.6
    pitch: float = 0.0
    roll: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ("panorama", "pinhole"):
            raise DatasetError(f"camera {self.kind!r}: expected panorama or pinhole")
        given = (self.fov is not None) + (self.intrinsics is not None)
        if given != (self.kind == "pinhole"):
            raise DatasetError(
                f"a {self.kind} with fov {self.fov} and intrinsics {self.intrinsics}: expected one "
                "of both for a pinhole, none for a panorama"
            )
        if self.fov is not None and not 1.0 <= self.fov <= 170.0:
            raise DatasetError(f"fov {self.fov}: expected 1 to 170 degrees")
        if self.intrinsics is not None and len(self.intrinsics) != 4:
            raise DatasetError(f"intrinsics {list(self.intrinsics)}: expected fx, fy, cx, cy")
        if not (0 < self.height <= 100 and abs(self.pitch) < 90 and abs(self.roll) < 180):
            raise DatasetError(
                f"camera height {self.height} m, pitch {self.pitch}, roll {self.roll} degrees: "
                "expected a height above the road and angles of a mounting"
            )

    def picture(self, image: RGB, name: str, height: float | None) -> GroundPicture:
        """Return a picture with its camera.

        Raises:
            DatasetError: a panorama that does not show the whole sphere.
        """
        rows, columns = image.shape[:2]
        if self.kind == "panorama":
            if columns != 2 * rows:
                raise DatasetError(
                    f"{name}: panorama of {columns} x {rows} px: expected twice as wide as high "
                    "(360 x 180 degrees); pad it with black to the whole sphere"
                )
            camera = Camera("equirectangular", columns, rows)
        else:
            camera = self._pinhole(columns, rows)
        tilt = rotation_from_euler(math.radians(self.roll), -math.radians(self.pitch), 0.0)
        return GroundPicture(
            image, camera, tilt @ OPTICAL_TO_BODY, self.height if height is None else height
        )

    def _pinhole(self, columns: int, rows: int) -> Camera:
        if self.intrinsics is not None:
            fx, fy, cx, cy = self.intrinsics
        else:
            fx = fy = columns / 2 / math.tan(math.radians(self.fov or 0.0) / 2)
            cx, cy = (columns - 1) / 2, (rows - 1) / 2
        try:
            return Camera("pinhole", columns, rows, np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]))
        except ValueError as error:
            raise DatasetError(f"intrinsics {self.intrinsics}: {error}") from None
