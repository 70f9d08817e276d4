"""Where on Earth a town lies, and how its aerial picture sits in UTM."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pyproj

from cross_view_localizer.geo import Datum
from cross_view_localizer.grid import Grid
from training.town.seeds import stream

AERIAL_SIZE = 1600
UTM_GSD = 0.2
MIN_CONVERGENCE = math.radians(1.0)


@dataclass(frozen=True)
class Place:
    """A town's datum and its aerial picture's frame.

    Attributes:
        datum: origin of ``map``; the middle of the town.
        epsg: UTM zone of the aerial picture.
        corner: easting and northing of the outer corner of the top left pixel, metres.
        grid: the aerial picture in ``map``; its up is true north turned by the grid convergence.
    """

    datum: Datum
    epsg: int
    corner: tuple[float, float]
    grid: Grid


def place_town(seed: int) -> Place:
    """Draw a place whose UTM grid convergence is between 1 and 3 degrees."""
    rng = stream(seed, "place")
    latitude = float(rng.uniform(32, 62) * rng.choice([-1, 1], p=[0.2, 0.8]))
    least = math.degrees(math.asin(math.tan(MIN_CONVERGENCE * 1.1))) / math.sin(
        abs(math.radians(latitude))
    )
    zone = int(rng.integers(1, 61))
    off = float(rng.uniform(least, 2.95) * rng.choice([-1, 1]))
    longitude = zone * 6 - 183 + off
    epsg = (32600 if latitude > 0 else 32700) + zone
    utm = pyproj.Proj(f"EPSG:{epsg}")
    east, north = utm(longitude, latitude)
    factors = utm.get_factors(longitude, latitude)
    side = AERIAL_SIZE * UTM_GSD
    corner = (
        round((east - side / 2) / UTM_GSD) * UTM_GSD,
        round((north + side / 2) / UTM_GSD) * UTM_GSD,
    )
    scale = factors.meridional_scale
    convergence = math.radians(factors.meridian_convergence)
    # UTM axes differ from map by a turn and a scale; over 160 m what remains is below 1 mm.
    de, dn = (corner[0] + side / 2 - east) / scale, (corner[1] - side / 2 - north) / scale
    c, s = math.cos(convergence), math.sin(convergence)
    center = (de * c + dn * s, -de * s + dn * c)
    grid = Grid(AERIAL_SIZE, AERIAL_SIZE, UTM_GSD / scale, center, math.pi / 2 - convergence)
    return Place(Datum(latitude, longitude), epsg, corner, grid)
