"""What a layout's writer knows of a frame before any dataset's conventions touch it."""

from __future__ import annotations

from dataclasses import dataclass

from cross_view_localizer.geo import MapFrame
from training.town.town import CameraPose, Town


@dataclass(frozen=True)
class Truth:
    """One written frame, straight from the town.

    Attributes:
        key: the ground picture's file name, or the end of its path where names repeat.
        latitude, longitude: of the reference point, WGS84 degrees.
        yaw: azimuth of the camera (a panorama's middle column), radians, 0 = east,
            counter-clockwise.
        group: city, drive or traversal.
    """

    key: str
    latitude: float
    longitude: float
    yaw: float
    group: str


def truth_at(town: Town, key: str, pose: CameraPose, group: str) -> Truth:
    """Return the truth of a reference point that stands at a pose of a town."""
    latitude, longitude = MapFrame(town.datum).to_wgs84((pose.x, pose.y)).tolist()
    return Truth(key, latitude, longitude, pose.yaw, group)
