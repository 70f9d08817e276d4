"""Writes an aerial picture as a GeoTIFF (tiled, with overviews) and the side file beside it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyproj
import rasterio
import yaml
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import Affine

from cross_view_localizer.geo import MapFrame
from cross_view_localizer.grid import Grid


def affine_of(grid: Grid, frame: MapFrame, crs: str) -> Affine:
    """Return the corner-based affine transform of a grid of the ``map`` frame in another CRS.

    Both are conformal, so over a town's width one affine transform fits far below a pixel.
    """
    to_crs = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    far = (grid.width - 0.5, grid.height - 0.5)
    corners = grid.pixel_to_map([(-0.5, -0.5), (far[0], -0.5), (-0.5, far[1])])
    lat, lon = frame.to_wgs84(corners).T
    origin, right, down = np.stack(to_crs.transform(lon, lat), axis=1)
    a, d = (right - origin) / grid.width
    b, e = (down - origin) / grid.height
    return Affine(a, b, origin[0], d, e, origin[1])


def write_geotiff(
    path: str | Path,
    image: NDArray[np.uint8],
    transform: Affine,
    crs: str,
    side: dict[str, object] | None = None,
) -> None:
    """Write ``image`` (H, W, 3) RGB with overviews, and ``<path>.yaml`` where ``side`` is given.

    Both appear when they are whole.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.part-{os.getpid()}.tif")
    height, width = image.shape[:2]
    try:
        with rasterio.open(
            part,
            "w",
            driver="GTiff",
            width=width,
            height=height,
            count=3,
            dtype="uint8",
            crs=crs,
            transform=transform,
            tiled=True,
            blockxsize=256,
            blockysize=256,
            compress="deflate",
            predictor=2,
            photometric="RGB",
        ) as file:
            file.write(np.moveaxis(image, -1, 0))
            levels = [2**i for i in range(1, 6) if min(width, height) >> i >= 64]
            if levels:
                file.build_overviews(levels, Resampling.average)
        if side is not None:
            beside = path.with_name(f"{path.name}.yaml")
            new = beside.with_name(f".{beside.name}.part-{os.getpid()}")
            new.write_text(yaml.safe_dump(side, sort_keys=False), encoding="utf-8")
            os.replace(new, beside)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
