"""Maps of known content: a pattern over the ``map`` frame, drawn into rasters of any CRS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from cross_view_localizer.geo import Datum, MapFrame
from cross_view_localizer.grid import Grid
from cross_view_localizer.map.satellite_map import Patch

OXFORD = Datum(51.752, -1.258)


def pattern(xy: NDArray[np.float64], wavelength: float) -> NDArray[np.float64]:
    """Three waves over positions (..., 2): what a pixel there shows, (..., 3), 20 … 235."""
    directions = np.array([[1.0, 0.2], [-0.3, 1.0], [0.8, 0.7]])
    phase = xy @ directions.T * (2 * np.pi / wavelength)
    return 127.5 + 107.5 * np.sin(phase)


def pixel_positions(
    width: int, height: int, transform: Affine, crs: str, datum: Datum
) -> NDArray[np.float64]:
    """The places in ``map`` of a raster's pixel centres, (height, width, 2)."""
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    t = transform
    east, north = t.a * u + t.b * v + t.c, t.d * u + t.e * v + t.f
    to_wgs84 = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    longitude, latitude = to_wgs84.transform(east, north)
    return MapFrame(datum).to_map(latitude, longitude)


def transform_at(datum: Datum, crs: str, gsd: float, size: int, turn: float = 0.0) -> Affine:
    """An affine whose raster of size × size px has the datum in its middle, turned by degrees."""
    to_crs = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    east, north = to_crs.transform(datum.longitude, datum.latitude)
    if pyproj.CRS(crs).is_geographic:
        sx = gsd / (111_320 * np.cos(np.radians(datum.latitude)))
        sy = gsd / 111_250
    else:
        sx = sy = gsd
    scale = Affine.scale(sx, -sy)
    middle = Affine.translation(-size / 2, -size / 2)
    return Affine.translation(east, north) @ Affine.rotation(turn) @ scale @ middle


def write_raster(path: Path, bands: NDArray[Any], **options: Any) -> Path:
    """Write (B, H, W) bands with rasterio's options; mask (H, W) and colormap are written too."""
    mask, colormap = options.pop("mask", None), options.pop("colormap", None)
    profile = {
        "driver": "GTiff",
        "count": bands.shape[0],
        "height": bands.shape[1],
        "width": bands.shape[2],
        "dtype": bands.dtype,
        **options,
    }
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(bands)
        if mask is not None:
            dataset.write_mask(mask)
        if colormap is not None:
            dataset.write_colormap(1, colormap)
    return path


def write_pattern(
    path: Path,
    *,
    crs: str = "EPSG:32630",
    gsd: float = 0.2,
    size: int = 500,
    wavelength: float = 12.0,
    turn: float = 0.0,
    datum: Datum = OXFORD,
    **options: Any,
) -> Path:
    """A square GeoTIFF of the pattern with the datum in its middle."""
    transform = transform_at(datum, crs, gsd, size, turn)
    values = pattern(pixel_positions(size, size, transform, crs, datum), wavelength)
    bands = np.moveaxis(np.rint(values).astype(np.uint8), -1, 0)
    return write_raster(path, bands, crs=crs, transform=transform, **options)


def shift_of(patch: Patch, wavelength: float) -> tuple[float, float]:
    """By how many patch pixels (right, down) the patch's content is off the pattern.

    Least squares on the content's gradient; blur changes amplitudes and is divided out by a gain.
    """
    grid = patch.grid
    pixels = np.moveaxis(np.indices((grid.width, grid.height), dtype=np.float64), 0, -1)
    pixels = pixels.swapaxes(0, 1)

    def seen(uv: NDArray[np.float64]) -> NDArray[np.float64]:
        return pattern(grid.pixel_to_map(uv), wavelength) - 127.5

    expected, step = seen(pixels), 0.5
    across, along = np.array([step, 0.0]), np.array([0.0, step])
    right = (seen(pixels + across) - seen(pixels - across)) / (2 * step)
    down = (seen(pixels + along) - seen(pixels - along)) / (2 * step)
    at = patch.valid
    columns = np.stack([expected[at].ravel(), -right[at].ravel(), -down[at].ravel()], axis=1)
    gain, u, v = np.linalg.lstsq(columns, patch.image[at].ravel() - 127.5, rcond=None)[0]
    return float(u / gain), float(v / gain)


def north_up(size: int, gsd: float, center: tuple[float, float] = (0.0, 0.0)) -> Grid:
    """A square north-up grid."""
    return Grid(size, size, gsd, center)
