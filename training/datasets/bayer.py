"""Raw Bayer pictures and the RobotCar SDK's camera models, read by ourselves.

The SDK ships, for each lens, a text file whose first line is ``fx fy cx cy``, and a look-up table
of float64: for every pixel of the undistorted picture the column, then for every pixel the row, in
the raw picture.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.datasets.pair import RGB, DatasetError, read_rgb


def read_bayer(path: Path) -> NDArray[np.uint8]:
    """Read a raw picture as (H, W) uint8.

    Raises:
        DatasetError: missing, truncated, no picture, or a colour picture.
    """
    picture = read_rgb(path)
    if (picture[..., 0] != picture[..., 2]).any() or (picture[..., 0] != picture[..., 1]).any():
        raise DatasetError(f"{path}: a colour picture: expected a raw Bayer one, of one channel")
    return picture[..., 0]


def demosaic(raw: NDArray[np.uint8]) -> RGB:
    """Return (H, W, 3) RGB of a raw picture (H, W) with rows of green, blue and of red, green.

    Bilinear, as the SDK's.
    """
    return np.asarray(cv2.cvtColor(raw, cv2.COLOR_BayerGBRG2RGB), dtype=np.uint8)


class LookUpTable:
    """Where each pixel of an undistorted picture is in the raw one.

    Attributes:
        at: (H, W, 2) float32 (column, row), pixel centres at integers.
    """

    def __init__(self, at: NDArray[np.float32]) -> None:
        self.at = at

    @classmethod
    def read(cls, path: Path, width: int, height: int) -> LookUpTable:
        """Read the SDK's ``*_distortion_lut.bin``.

        Raises:
            DatasetError: missing, or of another size than the camera's picture.
        """
        if not path.is_file():
            raise DatasetError(f"{path}: no such file: expected the SDK's look-up table")
        numbers = np.fromfile(path, dtype="<f8")
        if path.stat().st_size != 16 * width * height or not np.isfinite(numbers).all():
            raise DatasetError(
                f"{path}: {path.stat().st_size} bytes: expected {16 * width * height}, two finite "
                f"float64 for each of {width} x {height} pixels; is it this camera's?"
            )
        columns, rows = numbers.astype(np.float32).reshape(2, height, width)
        return cls(np.stack([columns, rows], axis=-1))

    def cropped(self, left: int, top: int, width: int, height: int) -> LookUpTable:
        """Return the table of the undistorted picture's [top : top + height, left : …]."""
        return LookUpTable(self.at[top : top + height, left : left + width].copy())

    def undistorted(self, picture: RGB) -> RGB:
        """Return the undistorted picture of a raw camera's one; black where it saw nothing."""
        return np.asarray(
            cv2.remap(picture, self.at, np.empty(0), cv2.INTER_LINEAR), dtype=np.uint8
        )


def read_intrinsics(path: Path) -> NDArray[np.float64]:
    """Return K (3, 3) from the first line of the SDK's text file of a camera.

    Raises:
        DatasetError: missing, or it has no four positive numbers.
    """
    if not path.is_file():
        raise DatasetError(f"{path}: no such file: expected the SDK's camera model")
    words = path.read_text().split("\n", 1)[0].split()
    try:
        fx, fy, cx, cy = (float(word) for word in words)
    except ValueError as error:
        raise DatasetError(f"{path}:1: {' '.join(words)!r}: expected fx fy cx cy") from error
    if not (min(fx, fy, cx, cy) > 0 and np.isfinite([fx, fy, cx, cy]).all()):
        raise DatasetError(f"{path}:1: {' '.join(words)!r}: expected four positive numbers")
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
