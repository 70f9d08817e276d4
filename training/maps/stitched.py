"""Turns Oxford RobotCar's stitched PNG into a tiled GeoTIFF with georeference and overviews, once.

``python -m training.maps.stitched satellite_map.png satellite_map.tif`` streams: rows are decoded
from the top and written as they come, so that memory does not grow with the map. A map that was
stitched anew lies a little differently: ``--anchors anchors.csv`` gives rows of easting, northing,
column, row (corner-based pixels) that replace the authors' five.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader, DatasetWriter
from rasterio.windows import Window
from tqdm import tqdm

from training.datasets.pair import DatasetError
from training.datasets.robotcar_map import PUBLISHED, UTM, StitchedAffine

# A strip of whole tiles; GDAL's cache holds the strips' blocks and is capped, so that memory is.
STRIP = 512
CACHE_MB = 64


def convert(
    source: str | Path,
    target: str | Path,
    affine: StitchedAffine = PUBLISHED,
    crs: str = UTM,
    progress: bool = False,
) -> None:
    """Write ``target`` (GeoTIFF) from ``source`` (any picture that GDAL reads).

    The target appears when it is whole.

    Args:
        affine: where the source's pixels lie in ``crs``; progress: show a bar.

    Raises:
        DatasetError: source missing, truncated or without three bands of bytes.
    """
    source, target = Path(source), Path(target)
    if not source.is_file():
        raise DatasetError(f"{source}: no such file: expected the stitched map's picture")
    _check_end(source)
    part = target.with_name(f".{target.name}.part-{os.getpid()}.tif")
    try:
        with rasterio.Env(GDAL_CACHEMAX=CACHE_MB), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(source) as picture:
                if picture.count < 3 or picture.dtypes[0] != "uint8":
                    raise DatasetError(
                        f"{source}: {picture.count} bands of {picture.dtypes[0]}: expected RGB "
                        "bytes"
                    )
                _copy(picture, part, affine, crs, progress)
            os.replace(part, target)
    except RasterioError as error:
        said = " ".join(str(error).split())
        raise DatasetError(f"{source}: {said}: is the picture whole, the disk full?") from error
    finally:
        part.unlink(missing_ok=True)


def _check_end(source: Path) -> None:
    """Refuse a PNG without its end, which GDAL would fill up with black without a word."""
    with source.open("rb") as file:
        start = file.read(4)
        file.seek(max(0, source.stat().st_size - 64))
        if start == b"\x89PNG" and b"IEND" not in file.read():
            size = source.stat().st_size
            raise DatasetError(f"{source}: truncated ({size} bytes): download it again")


def _copy(
    picture: DatasetReader, part: Path, affine: StitchedAffine, crs: str, progress: bool
) -> None:
    with rasterio.open(
        part,
        "w",
        driver="GTiff",
        width=picture.width,
        height=picture.height,
        count=3,
        dtype="uint8",
        crs=crs,
        transform=affine.transform,
        tiled=True,
        blockxsize=256,
        blockysize=256,
        compress="deflate",
        predictor=2,
        zlevel=1,
        photometric="RGB",
        bigtiff="IF_SAFER",
    ) as raster:
        _copy_rows(picture, raster, progress)
        sides = [2**i for i in range(1, 8) if min(picture.width, picture.height) >> i >= 64]
        if sides:
            raster.build_overviews(sides, Resampling.average)


def _copy_rows(picture: DatasetReader, raster: DatasetWriter, progress: bool) -> None:
    tops = range(0, picture.height, STRIP)
    for top in tqdm(tops, desc="strips", disable=not progress):
        rows = Window(0, top, picture.width, min(STRIP, picture.height - top))
        raster.write(picture.read((1, 2, 3), window=rows), window=rows)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m training.maps.stitched")
    parser.add_argument("source", help="the stitched picture (PNG)")
    parser.add_argument("target", help="the GeoTIFF to write")
    parser.add_argument("--anchors", help="CSV of easting, northing, column, row; no header")
    parser.add_argument("--crs", default=UTM, help="what eastings and northings are in")
    asked = parser.parse_args(arguments)
    try:
        affine = PUBLISHED
        if asked.anchors:
            affine = StitchedAffine.fitted(np.loadtxt(asked.anchors, delimiter=",", ndmin=2))
        convert(asked.source, asked.target, affine, asked.crs, progress=sys.stderr.isatty())
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
