"""All labels of a split as arrays, without any picture: what audits go through in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj
from numpy.typing import NDArray

from training.datasets.pair import Label, Reader

Array = NDArray[np.float64]
_EARTH = pyproj.Geod(ellps="WGS84")


@dataclass(frozen=True)
class LabelTable:
    """The fixed labels of a reader's rows.

    Attributes:
        offset: (N, 2) truth minus the patch's middle, metres east and north of the label's frame.
        position: (N, 2) truth there; place: (N, 2) latitude and longitude of it, NaN without datum.
        yaw: (N,) ENU radians in the label's frame; azimuth: (N,) radians clockwise from true north.
        told: (N,) the heading that the method is told minus the yaw, radians, not wrapped.
        group: (N,) numbers of ``groups``.
        order: (N,) place in time: the stamp, or the number that the ground file is named by; NaN
            where there is neither.
        seconds: whether ``order`` is of seconds.
        files: (N,) the ground files.
    """

    offset: Array
    position: Array
    place: Array
    yaw: Array
    azimuth: Array
    told: Array
    group: NDArray[np.int64]
    groups: list[str]
    order: Array
    seconds: bool
    files: list[Path]

    def __len__(self) -> int:
        return len(self.yaw)

    @classmethod
    def of(cls, reader: Reader) -> LabelTable:
        """Go through a reader's labels once."""
        numbers: dict[str, int] = {}
        rows, group, order, files = [], [], [], []
        stamped = True
        for index in range(len(reader)):
            label = reader.label(index)
            datum = label.datum
            anchor = (np.nan, np.nan) if datum is None else (datum.latitude, datum.longitude)
            rows.append((*label.position, *label.grid.center, label.yaw, label.heading, *anchor))
            group.append(numbers.setdefault(label.group, len(numbers)))
            order.append(_order(label))
            stamped &= label.stamp is not None
            files.append(label.ground_file)
        columns = np.array(rows, dtype=np.float64).reshape(-1, 8).T
        x, y, middle_x, middle_y, yaw, heading, latitude, longitude = columns
        place, convergence = _places(x, y, latitude, longitude)
        return cls(
            offset=np.stack([x - middle_x, y - middle_y], axis=-1),
            position=np.stack([x, y], axis=-1),
            place=place,
            yaw=yaw,
            azimuth=np.pi / 2 - yaw + np.nan_to_num(convergence),
            told=heading - yaw,
            group=np.array(group, dtype=np.int64),
            groups=list(numbers),
            order=np.array(order, dtype=np.float64),
            seconds=stamped,
            files=files,
        )

    def cartesian(self) -> Array:
        """Return the places as (N, 3) metres from the Earth's middle: distances across datums."""
        to_xyz = pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
        latitude, longitude = self.place.T
        return np.stack(to_xyz.transform(longitude, latitude, np.zeros(len(self))), axis=-1)


def between(start: Array, end: Array) -> Array:
    """Return (east, north) metres, (N, 2), of places (N, 2) from others (N, 2), degrees."""
    azimuth, _, distance = _EARTH.inv(start[:, 1], start[:, 0], end[:, 1], end[:, 0])
    turn = np.radians(azimuth)
    return np.stack([distance * np.sin(turn), distance * np.cos(turn)], axis=-1)


def _places(x: Array, y: Array, latitude: Array, longitude: Array) -> tuple[Array, Array]:
    """Return (latitude, longitude), (N, 2), and the angle (N,) from true north to the frame's.

    Along the geodesic instead of the projection: the same to a centimetre over 15 km, and quick
    where every row has a datum of its own.
    """
    east, north, _ = _EARTH.fwd(longitude, latitude, np.degrees(np.arctan2(x, y)), np.hypot(x, y))
    place = np.stack([north, east], axis=-1)
    return place, np.radians(east - longitude) * np.sin(np.radians(north))


def _order(label: Label) -> float:
    if label.stamp is not None:
        return label.stamp / 1e9
    stem = label.ground_file.stem
    return float(int(stem)) if stem.isdigit() else np.nan
