"""Real panoramas through the Localizer, each around many wrong centres."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine

from cross_view_localizer.camera.camera import OPTICAL_TO_BODY, Camera
from cross_view_localizer.estimate import Estimate, Frame
from cross_view_localizer.geo import Datum, MapFrame, RigidTransform
from cross_view_localizer.localizer import Localizer, LocalizerConfig
from cross_view_localizer.map.satellite_map import SatelliteMap
from cross_view_localizer.models.weights import LoadedModel
from cross_view_localizer.prior.prior import Prior
from training.demo_real.samples import NORTH, Panorama
from training.maps.geotiff import write_geotiff

CAMERA_HEIGHT = 2.5  # m above the road: stated by neither set, usual for such cars
MIN_COVERAGE = 0.15  # CVACT's 73 m do not fill a patch; what is missing counts as unknown


@dataclass(frozen=True)
class Answers:
    """Answers for one panorama around n wrong centres.

    Attributes:
        name: of the panorama. shifts: (n, 2) metres, prior minus truth.
        error: (n, 2) metres, answer minus truth; NaN where the network did not run.
        estimates: as they came. truth: (x, y) in ``map``.
    """

    name: str
    shifts: NDArray[np.float64]
    error: NDArray[np.float64]
    estimates: list[Estimate]
    truth: NDArray[np.float64]


def write_map(path: Path, panorama: Panorama) -> None:
    """Write the aerial picture as a GeoTIFF in metres around its middle."""
    datum = Datum(panorama.latitude, 0.0)
    height, width = panorama.aerial.shape[:2]
    gsd = panorama.gsd
    transform = Affine(gsd, 0, -gsd * width / 2, 0, -gsd, gsd * height / 2)
    crs = MapFrame(datum).crs.to_wkt()
    side: dict[str, object] = {"datum": {"latitude": datum.latitude, "longitude": 0.0}}
    write_geotiff(path, panorama.aerial, transform, crs, side)


def truth_of(panorama: Panorama) -> NDArray[np.float64]:
    """Return the camera's (x, y) in ``map``, metres."""
    height, width = panorama.aerial.shape[:2]
    column, row = panorama.truth
    return np.array([column - (width - 1) / 2, (height - 1) / 2 - row]) * panorama.gsd


def localize_all(
    panoramas: Sequence[Panorama],
    model: LoadedModel,
    shifts: NDArray[np.float64],
    std: float,
    folder: Path,
    progress: Callable[[float], None],
) -> list[Answers]:
    """Ask the Localizer about every panorama and shift.

    Args:
        shifts: (panoramas, n, 2) metres that the priors are off; std: what they state, per axis.
        folder: for the maps.
    """
    mount = RigidTransform(OPTICAL_TO_BODY, np.array([0.0, 0.0, CAMERA_HEIGHT]))
    covariance = np.diag([std**2, std**2, math.radians(2.0) ** 2])
    answers = []
    for i, panorama in enumerate(panoramas):
        path = folder / f"{panorama.name.replace(' ', '_')}.tif"
        write_map(path, panorama)
        world = SatelliteMap.open(path)
        config = LocalizerConfig(min_coverage=MIN_COVERAGE, reuse_aerial=False)
        localizer = Localizer(model, world, config)
        height, width = panorama.image.shape[:2]
        camera = Camera("equirectangular", width, height)
        truth, estimates = truth_of(panorama), []
        for j, shift in enumerate(shifts[i]):
            x, y = truth + shift
            prior = Prior(j, float(x), float(y), NORTH, covariance, 0.0, "sample", "sample")
            frame = Frame(panorama.image, j, camera, mount)
            estimates.append(localizer.localize(frame, prior))
            progress((i + (j + 1) / len(shifts[i])) / len(panoramas))
        world.close()
        found = np.array([e.raw_pose[:2] if e.raw_pose else (np.nan, np.nan) for e in estimates])
        answers.append(Answers(panorama.name, shifts[i], found - truth, estimates, truth))
    return answers
