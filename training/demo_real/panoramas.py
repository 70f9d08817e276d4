"""Real panoramas with their maps, as scenes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine

from cross_view_localizer.camera.camera import OPTICAL_TO_BODY, Camera
from cross_view_localizer.geo import Datum, MapFrame, RigidTransform
from training.demo_real.samples import NORTH, Panorama
from training.demo_real.trials import Scene
from training.maps.geotiff import write_geotiff

CAMERA_HEIGHT = 2.5  # m above the road: stated by neither set; 2.5 to 2.7 fits CVACT's


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


def scenes(panoramas: Sequence[Panorama], folder: Path) -> list[Scene]:
    """Write the maps into a folder; return the panoramas with them."""
    mount = RigidTransform(OPTICAL_TO_BODY, np.array([0.0, 0.0, CAMERA_HEIGHT]))
    found = []
    for one in panoramas:
        path = folder / f"{one.name.replace(' ', '_')}.tif"
        write_map(path, one)
        height, width = one.image.shape[:2]
        camera = Camera("equirectangular", width, height)
        x, y = (float(value) for value in truth_of(one))
        group = "CVACT" if one.name.startswith("CVACT") else one.name
        found.append(Scene(one.name, group, one.image, camera, mount, path, (x, y, NORTH)))
    return found
