"""Which coordinates a map's raster is in, and the best way there from the ``map`` frame."""

from __future__ import annotations

import math
import warnings

import pyproj
from pyproj.aoi import AreaOfInterest
from pyproj.exceptions import CRSError
from pyproj.transformer import TransformerGroup

from cross_view_localizer.geo import Datum, MapFrame
from cross_view_localizer.map.bands import Warn
from cross_view_localizer.map.raster import MapError, Raster


def raster_crs(raster: Raster, given: str | None) -> pyproj.CRS:
    """Return the CRS that the raster's transform is in: the given one, else the file's.

    Raises:
        MapError: there is no transform or no CRS, or none by that name.
    """
    dataset = raster.dataset
    transform = dataset.transform
    if transform.is_identity:
        gcps = ", only ground control points: warp it once with gdalwarp" if dataset.gcps[0] else ""
        raise MapError(
            f"map {raster.path} has no georeference{gcps}: expected a GeoTIFF, or a world file "
            "beside the picture (map.pgw, map.jgw, map.tfw) and crs: EPSG:..."
        )
    if transform.determinant == 0 or not all(map(math.isfinite, transform)):
        raise MapError(
            f"map {raster.path} has the transform {tuple(transform)[:6]}: expected an invertible "
            "one; write its georeference again"
        )
    if given is None and dataset.crs is None:
        raise MapError(
            f"map {raster.path} names no CRS: give the one its transform is in, crs: EPSG:..."
        )
    try:
        return pyproj.CRS.from_user_input(given if given is not None else dataset.crs.to_wkt())
    except CRSError as error:
        raise MapError(
            f"map {raster.path}: {given or dataset.crs} is no CRS: expected e.g. crs: EPSG:32630"
        ) from error


def middle_of(raster: Raster, crs: pyproj.CRS) -> Datum:
    """Return the WGS84 position of the raster's middle.

    Raises:
        MapError: it lies nowhere, so the CRS is not the transform's.
    """
    x, y = raster.middle
    to_wgs84 = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    longitude, latitude = to_wgs84.transform(x, y)
    try:
        return Datum(latitude, longitude)
    except ValueError as error:
        raise MapError(
            f"map {raster.path} has its middle at ({x:g}, {y:g}), which is nowhere in {crs.name}: "
            "give the CRS its transform is in, crs: EPSG:..."
        ) from error


def operation(frame: MapFrame, crs: pyproj.CRS, path: str, warn: Warn) -> pyproj.Transformer:
    """Return the most exact installed operation from ``map`` to a CRS at the datum.

    One operation for the whole map: PROJ would otherwise choose anew at every point, with steps
    between. National grids (British, German, Dutch, …) need a shift file for better than some
    metres; where it is not installed, ``warn`` is told.
    """
    lat, lon = frame.datum.latitude, frame.datum.longitude
    around = AreaOfInterest(
        max(lon - 0.1, -180), max(lat - 0.1, -90), min(lon + 0.1, 180), min(lat + 0.1, 90)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the missing shift file: said below, once, with its name
        group = TransformerGroup(
            frame.crs,
            crs,
            always_xy=True,
            area_of_interest=around,  # type: ignore[arg-type]
        )
    if not group.transformers:
        raise MapError(f"map {path}: no way from WGS84 to {crs.name}: expected a CRS on the Earth")
    chosen = group.transformers[0]
    missing = [
        (better.accuracy, grid.short_name)
        for better in group.unavailable_operations
        for grid in better.grids
        if not grid.available and 0 <= better.accuracy < chosen.accuracy
    ]
    if missing:
        accuracy, grid_name = min(missing)
        warn(
            f"map {path}: {crs.name} is reached to about {chosen.accuracy:g} m only; for "
            f"{accuracy:g} m install PROJ's grid: pyproj sync --file {grid_name} (or warp the map "
            "to UTM where it is)"
        )
    # The group's own transformers belong to the thread that made them; those from a pipeline don't.
    return pyproj.Transformer.from_pipeline(chosen.definition)
