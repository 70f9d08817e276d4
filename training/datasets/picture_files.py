"""Writes pictures to files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def save(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write (H, W, 3) or (H, W) uint8 RGB or grey, in the format that the name asks for.

    Raises:
        OSError: where it could not be written.
    """
    order = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if picture.ndim == 3 else picture
    png = path.suffix == ".png"
    how = [cv2.IMWRITE_PNG_COMPRESSION, 1] if png else [cv2.IMWRITE_JPEG_QUALITY, 90]
    if not cv2.imwrite(str(path), order, how):
        raise OSError(f"{path}: could not be written; is the disk full?")
