"""Time and memory of patches from maps of two sizes, and of views from cameras of three kinds.

    python -m training.benchmarks.patch [--width 20000 --height 17000]

Each map is driven in a process of its own, so that resident memory compares. Prints milliseconds of
processor time (which other programs on the machine don't lengthen much) and, for the warm patch, of
wall time, and ratios large / small; ends with 1 where a warm patch of the large map or the memory
misses its budget.
"""

from __future__ import annotations

import argparse
import functools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine
from rasterio.windows import Window

from cross_view_localizer.camera.camera import OPTICAL_TO_BODY, Camera
from cross_view_localizer.camera.view_maker import ViewMaker
from cross_view_localizer.geo import RigidTransform
from cross_view_localizer.grid import Grid
from cross_view_localizer.map.satellite_map import SatelliteMap
from cross_view_localizer.views import View

BUDGET_MS = 5.0
# What caches may hold when full: GDAL's blocks, source windows, one patch in the making.
BUDGET_MIB = 256.0
# RobotCar's stitched map: 0.0924 m/px; patches of 512 px at 0.144 m, heading-up.
MAP_GSD = 0.0924
PATCH_SIZE, PATCH_GSD = 512, 0.144


def make_map(path: Path, width: int, height: int) -> None:
    """Write a tiled GeoTIFF of texture, a block of which is repeated all over."""
    texture = np.random.default_rng(0).integers(0, 256, (3, 1024, 1024), dtype=np.uint8)
    texture = np.stack([cv2.GaussianBlur(band, (0, 0), 1.5) for band in texture])
    profile = {
        "driver": "GTiff",
        "width": width,
        "height": height,
        "count": 3,
        "dtype": "uint8",
        "crs": "EPSG:32630",
        "transform": Affine(MAP_GSD, 0, 619400, 0, -MAP_GSD, 5736195),
        "compress": "JPEG",
        "photometric": "YCbCr",
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
    }
    with rasterio.open(path, "w", **profile) as dataset:
        for row in range(0, height, 1024):
            for column in range(0, width, 1024):
                window = Window(column, row, min(1024, width - column), min(1024, height - row))
                dataset.write(texture[:, : window.height, : window.width], window=window)


def resident_mib(key: str) -> float:
    """Resident memory of this process now (VmRSS) or at its highest (VmHWM)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(key):
            return float(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {key}: this benchmark needs Linux")


def milliseconds(
    work: Callable[[], object], clock: Callable[[], float] = time.process_time
) -> float:
    """Time one call."""
    start = clock()
    work()
    return (clock() - start) * 1000


def drive(path: Path) -> dict[str, float]:
    """Measure one map: places never seen, the same place again and again, and a drive in steps."""
    before = resident_mib("VmRSS")
    opened = SatelliteMap.open(path)
    with rasterio.open(path) as dataset:
        reach = np.array([dataset.width, dataset.height]) * MAP_GSD / 2 - 60
    rng = np.random.default_rng(1)

    def patch(x: float, y: float, up: float = 1.0) -> Callable[[], object]:
        grid = Grid(PATCH_SIZE, PATCH_SIZE, PATCH_GSD, (x, y), up)
        return lambda: opened.patch(grid)

    patch(0, 0)()
    far, near = rng.uniform(-reach, reach, (40, 2)), rng.uniform(-2, 2, (200, 2))
    cold = [milliseconds(patch(x, y)) for x, y in far.tolist()]
    patch(0, 0)()
    warm = [milliseconds(patch(x, y)) for x, y in near.tolist()]
    wall = [milliseconds(patch(x, y), time.perf_counter) for x, y in near.tolist()]
    # A street a metre at a time, across the map's middle.
    steps = [milliseconds(patch(x, 0.3 * x, 0.29)) for x in np.arange(-100.0, 100.0).tolist()]
    return {
        "cold": float(np.median(cold)),
        "warm": float(np.median(warm)),
        "warm wall": float(np.median(wall)),
        "drive": float(np.mean(steps)),
        "grown_mib": resident_mib("VmHWM") - before,
    }


def measured_apart(path: Path) -> dict[str, float]:
    """Measure a map in another process."""
    command = [sys.executable, "-m", "training.benchmarks.patch", "--drive", str(path)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    values: dict[str, float] = json.loads(result.stdout)
    return values


def view_times() -> dict[str, float]:
    """Median milliseconds of a view from 1280 × 960 pictures (2048 × 1024 panoramas)."""
    matrix = np.array([[900.0, 0, 640], [0, 900, 480], [0, 0, 1]])
    wide = np.array([[360.0, 0, 640], [0, 360, 480], [0, 0, 1]])
    mounted = RigidTransform.from_euler((1, 0, 1.6), (0, 0.05, 0)) @ RigidTransform(
        OPTICAL_TO_BODY, np.zeros(3)
    )
    front = View("pinhole", 240, 160, 192, 0.5, 96, 0.5)
    around = View("panorama", 400, 200, 192, 0.5, 96, 0.5)
    level = RigidTransform(OPTICAL_TO_BODY, np.array([0, 0, 1.6]))
    cases = {
        "pinhole": (Camera("pinhole", 1280, 960, matrix), mounted, front),
        "pinhole, undistorted": (
            Camera("pinhole", 1280, 960, matrix, (-0.3, 0.1, 0.001, 0.001)),
            mounted,
            front,
        ),
        "fisheye": (Camera("fisheye", 1280, 960, wide, (0.02, 0, 0, 0)), mounted, front),
        "panorama": (Camera("equirectangular", 2048, 1024), level, around),
        "panorama, levelled": (Camera("equirectangular", 2048, 1024), mounted, around),
    }
    times = {}
    for name, (camera, pose, view) in cases.items():
        maker = ViewMaker(camera, pose, view)
        image: NDArray[np.uint8] = np.random.default_rng(0).integers(
            0, 256, (camera.height, camera.width, 3), dtype=np.uint8
        )
        work = functools.partial(maker, image)
        times[name] = float(np.median([milliseconds(work) for _ in range(30)]))
    return times


def main() -> int:
    """Make the maps, measure, print; return the exit status."""
    cv2.setNumThreads(1)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=20_000)
    parser.add_argument("--height", type=int, default=17_000)
    parser.add_argument("--drive", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.drive is not None:
        print(json.dumps(drive(arguments.drive)))
        return 0
    # The small map is large enough to fill every cache.
    sizes = [(arguments.width // 3, arguments.height // 3), (arguments.width, arguments.height)]
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for width, height in sizes:
            path = Path(folder) / f"{width}.tif"
            make_map(path, width, height)
            results.append(measured_apart(path))
            print(f"map of {width} x {height} px ({path.stat().st_size >> 20} MiB)", flush=True)
            for name, value in results[-1].items():
                print(f"  {name:10s} {value:8.2f}", flush=True)
    small, large = results
    print("large / small  " + "  ".join(f"{k} {large[k] / small[k]:.2f}" for k in small))
    print(f"cold / warm    {large['cold'] / large['warm']:.1f}")
    print("views, ms      " + "  ".join(f"{k} {v:.2f}" for k, v in view_times().items()))
    fine = large["warm"] < BUDGET_MS and large["grown_mib"] < BUDGET_MIB
    verdict = "met" if fine else "MISSED"
    print(f"budget: warm < {BUDGET_MS:g} ms, memory < {BUDGET_MIB:g} MiB: {verdict}")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
