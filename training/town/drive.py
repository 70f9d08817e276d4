"""A drive through a demo town: an aerial map (GeoTIFF) and a rosbag2 of the car's sensors.

Example: python -m training.town.drive --out drive --seed 400000
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.geo import Datum, MapFrame
from cross_view_localizer.grid import Grid
from training.bags.messages import write_rows
from training.bags.store import BagError, check_vacant, new_bag
from training.maps.geotiff import affine_of, write_geotiff
from training.terminal.progress import Bar
from training.town.drive_bag import STATIC, DriveSettings, DriveStreams
from training.town.drive_scene import TownScene
from training.town.motion import CRUISE, Trajectory, along
from training.town.route import RouteError, route
from training.town.seeds import stream
from training.town.streets import Street

MARGIN = 55.0  # m that stay between the drive and the map's edge

Progress = Callable[[float], None]


class Pictured(Protocol):
    """A town from above.

    Attributes:
        grid: where the aerial picture lies in ``map``.
        datum: origin of ``map``; epsg: the UTM zone that the picture is aligned with.
    """

    grid: Grid
    datum: Datum
    epsg: int

    @property
    def aerial(self) -> NDArray[np.uint8]:
        """(H, W, 3) RGB uint8."""


class Scene(Pictured, Protocol):
    """A town as one camera sees it.

    Attributes:
        streets: the network; hand: +1 where traffic keeps right, -1 left.
        mounting: rotation (3, 3) of the camera's optical frame in ``base_link``.
    """

    streets: list[Street]
    hand: float
    mounting: NDArray[np.float64]

    def view(self, pose: NDArray[np.float64], index: int) -> NDArray[np.uint8]:
        """Return image ``index``, taken by a camera at (x, y, yaw) in ``map``."""


@dataclass(frozen=True)
class Drive:
    """What was made.

    Attributes:
        bag, map: paths of the rosbag2 and the GeoTIFF.
        motion: the true motion of ``base_link``; its time counts from ``drive_bag.START``.
        images: number of camera images.
    """

    bag: Path
    map: Path
    motion: Trajectory
    images: int


def make_drive(
    out: Path, settings: DriveSettings, scene: Scene, progress: Progress | None = None
) -> Drive:
    """Make ``out/map.tif`` with its side file, and the bag ``out/drive``.

    Args:
        progress: called with the share that is done.

    Raises:
        BagError: where the bag exists already.
        RouteError: where the town has no long enough way.
    """
    bag = check_vacant(out / "drive")
    half = min(scene.grid.extent) / 2 - MARGIN
    length, rng = settings.duration * CRUISE, stream(settings.seed, "drive", "route")
    motion = along(route(scene.streets, length, rng, half, scene.hand), settings.duration)
    out.mkdir(parents=True, exist_ok=True)
    write_map(out / "map.tif", scene)

    def filmed(pose: NDArray[np.float64], index: int) -> NDArray[np.uint8]:
        image = scene.view(pose, index)
        if progress is not None:
            progress((index + 1) / count)
        return image

    streams = DriveStreams(settings, MapFrame(scene.datum), motion, scene.mounting, filmed)
    count = len(streams.image_times())
    with new_bag(bag) as writer:
        write_rows(writer, streams.messages, streams.all(), latched=[STATIC])
    return Drive(bag, out / "map.tif", motion, count)


def write_map(path: Path, scene: Pictured) -> None:
    """Write the aerial picture as a GeoTIFF in UTM, its datum beside it."""
    crs = f"EPSG:{scene.epsg}"
    side: dict[str, object] = {
        "datum": {"latitude": scene.datum.latitude, "longitude": scene.datum.longitude},
        "licence": "made by training.town, nowhere on Earth",
    }
    transform = affine_of(scene.grid, MapFrame(scene.datum), crs)
    write_geotiff(path, scene.aerial, transform, crs, side)


def main(argv: Sequence[str] | None = None) -> int:
    """Make a drive from the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.town.drive", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=Path, required=True, help="folder for map.tif and drive/")
    parser.add_argument("--seed", type=int, default=DriveSettings.seed, help="400000 or more")
    parser.add_argument("--duration", type=float, default=DriveSettings.duration, help="seconds")
    parser.add_argument("--rate", type=float, default=DriveSettings.image_rate, help="images per s")
    arguments = parser.parse_args(argv)
    try:
        settings = DriveSettings(
            seed=arguments.seed, duration=arguments.duration, image_rate=arguments.rate
        )
        check_vacant(arguments.out / "drive")
        with Bar() as bar:
            bar("building the town", None)
            scene = TownScene(settings)
            drive = make_drive(arguments.out, settings, scene, lambda s: bar("filming", s))
    except (BagError, RouteError, ValueError) as error:
        print(f"drive: {error}", file=sys.stderr)
        return 1
    print(f"{drive.images} images in {drive.bag}, map {drive.map}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
