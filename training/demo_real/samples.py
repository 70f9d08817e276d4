"""Reads the real samples: pictures, calibrations and truths as their README states them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.geo import Datum

RGB = NDArray[np.uint8]
KITTI_NAME = "2011_09_26_drive_0002_sync_{:010d}.png"
KITTI_FRAMES = (0, 38, 75)
KITTI_HZ = 10.0
KITTI_PIXELS = np.array([[821.0, 597.0], [640.0, 640.0], [433.0, 724.0]])
KITTI_HEADINGS = np.radians([188.1, 200.2, 202.3])
# P_rect_02 of that day
KITTI_MATRIX = np.array([[721.5377, 0, 609.5593], [0, 721.5377, 172.854], [0, 0, 1.0]])
KITTI_CAMERA = (1.08, 0.0, 1.65)  # m ahead of the GNSS/INS point, left, above the road
# Only the latitude is stated; the longitude is that of Karlsruhe and moves everything alike.
KITTI_DATUM = Datum(49.01, 8.43)
KITTI_GSD = 0.1959
CVACT_GSD = 0.20  # cars measure 4.2 to 4.5 m at it; 0.185 to 0.23 is possible


class SampleError(ValueError):
    """Samples that are not there or not as described; its text is one line for the user."""


def read_rgb(path: Path) -> RGB:
    """Read a picture, (H, W, 3) RGB.

    Raises:
        SampleError: where it is missing or can't be decoded.
    """
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise SampleError(f"no picture {path}: give the folder of the samples with SAMPLES=DIR")
    return np.ascontiguousarray(picture[..., ::-1])


@dataclass(frozen=True)
class KittiDrive:
    """Three frames of a drive and its aerial picture.

    Attributes:
        images: RGB, by time in seconds since the first.
        aerial: (1280, 1280, 3) RGB, north up.
        arc: (N,) metres along the track; pixels: (N, 2) columns and rows of the GNSS/INS point in
            ``aerial``; yaw: (N,) radians.
    """

    images: dict[float, RGB]
    aerial: RGB
    arc: NDArray[np.float64]
    pixels: NDArray[np.float64]
    yaw: NDArray[np.float64]

    def at(self, time: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return pixels (n, 2) and yaws (n,) at ``time`` (n,) seconds since the first frame."""
        known = np.array(list(self.images))
        nearest = [int(np.argmin(np.hypot(*(self.pixels - p).T))) for p in KITTI_PIXELS]
        arcs = self.arc[nearest]
        speed = (arcs[-1] - arcs[0]) / (known[-1] - known[0])
        arc = np.interp(time, known, arcs)
        arc += speed * (np.minimum(time - known[0], 0) + np.maximum(time - known[-1], 0))
        arc = np.clip(arc, self.arc[0], self.arc[-1])
        uv = np.stack([np.interp(arc, self.arc, self.pixels[:, i]) for i in range(2)], axis=1)
        # the stated truth of a frame, not the track's nearest metre
        for t, pixel in zip(known, KITTI_PIXELS, strict=True):
            uv[np.abs(time - t) < 1e-6] = pixel
        yaw = np.interp(time, known, KITTI_HEADINGS)
        return uv, yaw


def read_kitti(samples: Path) -> KittiDrive:
    """Read the three-frame drive.

    Raises:
        SampleError: where a file is missing.
    """
    folder = samples / "kitti_drive_0002"
    track = folder / "trajectory_px.csv"
    if not track.is_file():
        raise SampleError(f"no {track}: give the folder of the samples with SAMPLES=DIR")
    rows = np.loadtxt(track, delimiter=",", skiprows=1)
    images = {n / KITTI_HZ: read_rgb(folder / KITTI_NAME.format(n)) for n in KITTI_FRAMES}
    aerial = read_rgb(folder / "aerial.png")
    return KittiDrive(images, aerial, rows[:, 0], rows[:, 1:3], np.radians(rows[:, 3]))


@dataclass(frozen=True)
class Panorama:
    """A 360 degree picture whose middle column looks north, and its aerial picture, north up.

    Attributes:
        name: of the set and the pair.
        image, aerial: RGB. gsd: metres per pixel of ``aerial``.
        truth: (column, row) of the camera in ``aerial``.
        latitude: degrees, where known.
    """

    name: str
    image: RGB
    aerial: RGB
    gsd: float
    truth: tuple[float, float]
    latitude: float


def read_panoramas(samples: Path) -> Iterator[Panorama]:
    """Read VIGOR's pair and CVACT's six.

    Raises:
        SampleError: where a file is missing.
    """
    folder = samples / "vigor_seattle"
    pano, aerial = (read_rgb(folder / f"pair1_{kind}.png") for kind in ("pano", "sat"))
    yield Panorama("VIGOR Seattle", pano, aerial, 0.1008, (425.0, 445.0), 47.5766)
    folder = samples / "cvact"
    grounds = sorted(folder.glob("*_grd.png"))
    if not grounds:
        raise SampleError(f"no panoramas in {folder}: give the folder of the samples")
    for ground in grounds:
        aerial = read_rgb(ground.with_name(ground.name.replace("_grd", "_sat")))
        # "the tile's centre", its label's precision is 1 to 3 m
        middle = ((aerial.shape[1] - 1) / 2, (aerial.shape[0] - 1) / 2)
        name = f"CVACT {ground.name[:6]}"
        yield Panorama(name, read_rgb(ground), aerial, CVACT_GSD, middle, -35.3)


NORTH = math.pi / 2
