"""Writes "your own data" from a town: a CSV with compass headings, pictures, a GeoTIFF in UTM."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np
from rasterio.transform import Affine

from training.datasets.picture_files import save
from training.maps.geotiff import write_geotiff
from training.town.layouts.truth import Truth, truth_at
from training.town.motion import along
from training.town.place import UTM_GSD
from training.town.route import route
from training.town.seeds import stream
from training.town.town import CameraPose, CameraRig, Town

LIST, RASTER = "frames.csv", "aerial.tif"
HEADER = "image,latitude,longitude,heading,group,stamp,height"
REACH = 90.0  # metres that poses may lie from the town's middle
SPACING = 3.0
START = 1_700_000_000


def write(
    root: str | Path,
    drives: int = 2,
    frames: int = 10,
    seed: int = 11,
    camera: Literal["panorama", "pinhole"] = "panorama",
    size: tuple[int, int] = (512, 256),
    fov: float = 90.0,
) -> list[Truth]:
    """Write ``frames.csv``, its pictures and ``aerial.tif``; return the truths in its order.

    Args:
        drives: through the town, each a group; frames: of each, 3 m apart.
        camera: "panorama" or "pinhole"; size: (width, height) of its pictures; fov: of a pinhole,
            degrees.
    """
    root, town = Path(root), Town(seed)
    root.mkdir(parents=True, exist_ok=True)
    corner = Affine.translation(*town.corner) @ Affine.scale(UTM_GSD, -UTM_GSD)
    write_geotiff(root / RASTER, town.aerial, corner, f"EPSG:{town.epsg}")
    truths, lines = [], [HEADER]
    for drive in range(drives):
        group = f"drive{drive}"
        (root / group).mkdir(exist_ok=True)
        for index, (pose, seconds) in enumerate(_poses(town, group, frames)):
            name = f"{group}/{index:04d}.jpg"
            truth = truth_at(town, name, pose, group)
            truths.append(truth)
            rig = CameraRig(math.radians(fov), 1.5 + 0.1 * drive, 0.0, 0.0)
            save(root / name, town.render(pose, camera, *size, group, index, rig).image)
            compass = (90.0 - math.degrees(pose.yaw)) % 360.0
            lines.append(
                f"{name},{truth.latitude:.9f},{truth.longitude:.9f},{compass:.6f},{group},"
                f"{START + drive * 1000 + seconds:.6f},{rig.height:.2f}"
            )
    (root / LIST).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return truths


def _poses(town: Town, group: str, count: int) -> list[tuple[CameraPose, float]]:
    """Drive once through the town; (pose, seconds) every few metres."""
    rng = stream(town.seed, "own", group)
    drive = along(route(town.streets, count * SPACING + 10.0, rng, REACH, town.world.hand))
    gone = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(drive.xy, axis=0).T))])
    time = np.interp(5.0 + SPACING * np.arange(count), gone, drive.time)
    positions, yaws = drive.at(time)
    return [
        (CameraPose(float(x), float(y), math.remainder(float(yaw), math.tau), "street"), float(t))
        for (x, y), yaw, t in zip(positions, yaws, time, strict=True)
    ]
