"""Ground pictures of Oxford RobotCar: as the authors prepared them, or from raw Bayer files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cross_view_localizer.camera.camera import OPTICAL_TO_BODY, Camera
from training.datasets.bayer import LookUpTable, demosaic, read_bayer, read_intrinsics
from training.datasets.pair import DatasetError, GroundPicture, read_rgb

RAW_SIZE = (1280, 960)
# (left, top, width, height) that the authors keep of the raw picture: no bonnet, no dark sides.
CROP = (40, 0, 1200, 800)
MODEL = "stereo_narrow_left"  # what the SDK calls the centre camera
# Of the centre camera's undistorted picture, before the crop.
INTRINSICS = np.array([[964.828979, 0.0, 643.788025], [0.0, 964.828979, 484.407990], [0, 0, 1]])
CAMERA_HEIGHT = 1.65  # m above the road, as the published projections take it


class Pictures:
    """Reads ground pictures, 1200 x 800, and knows their camera.

    The camera's matrix is that of the undistorted picture with the crop taken off its centre;
    prepared pictures are not undistorted, and neither are raw ones without the SDK's models.

    Args:
        raw: whether files are raw Bayer pictures; models: the SDK's folder of camera models, whose
            look-up table undistorts them.

    Raises:
        DatasetError: models for prepared pictures, or models that don't fit the camera.
    """

    def __init__(self, raw: bool, models: Path | None) -> None:
        if models is not None and not raw:
            raise DatasetError(
                f"sdk_models {models} with prepared pictures: these are cropped and stay as they "
                "are; undistort the raw ones: images=raw"
            )
        self.raw, matrix = raw, INTRINSICS
        self._table: LookUpTable | None = None
        if models is not None:
            matrix = read_intrinsics(models / f"{MODEL}.txt")
            table = LookUpTable.read(models / f"{MODEL}_distortion_lut.bin", *RAW_SIZE)
            self._table = table.cropped(*CROP)
        self.camera = Camera("pinhole", *RAW_SIZE, matrix).cropped(*CROP)

    def read(self, path: Path) -> GroundPicture:
        """Return a picture; its camera is taken as level.

        Raises:
            DatasetError: missing, truncated, or of another size.
        """
        image = demosaic(read_bayer(path)) if self.raw else read_rgb(path)
        size = RAW_SIZE if self.raw else CROP[2:]
        if image.shape[1::-1] != size:
            raise DatasetError(
                f"{path}: {image.shape[1]} x {image.shape[0]} px: expected {size[0]} x {size[1]}"
            )
        left, top, width, height = CROP
        if self._table is not None:
            image = self._table.undistorted(image)
        elif self.raw:
            image = np.ascontiguousarray(image[top : top + height, left : left + width])
        return GroundPicture(image, self.camera, OPTICAL_TO_BODY, CAMERA_HEIGHT)
