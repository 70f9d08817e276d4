"""Writes KITTI-CVL's layout from a town: KITTI's drives with tiles on a lattice of 10 m.

Rows are ``path latitude longitude`` of the nearest tile's centre. Tiles of train and test1 (the
validation list: the same drives) are stored under the frame's own name, those of test2 under their
centre's.
"""

from __future__ import annotations

import math
from pathlib import Path

from cross_view_localizer.geo import MapFrame
from training.town.layouts import kitti
from training.town.layouts.truth import Truth
from training.town.town import Town

TRAIN = ("2011_09_26_drive_0001_sync", "2011_10_03_drive_0042_sync")
TEST2 = ("2011_09_30_drive_0016_sync",)
# 10 m in degrees, on a sphere of WGS84's equatorial radius
STEP = math.degrees(10 / 6378137.0)


def write(
    root: str | Path, seed: int = 31, frames: int = 13, point: kitti.Point = "camera"
) -> list[Truth]:
    """Write a small KITTI-CVL and return the truth of every frame.

    Args:
        frames: of each drive; the first nine only precede others, the next but the last are
            training's, the last is test1's; all from the tenth are test2's in its drive.
        point: whose truth to return.

    Raises:
        ValueError: where there are too few frames for that.
    """
    if frames < 11:
        raise ValueError(f"{frames} frames a drive: expected at least 11")
    root, town = Path(root), kitti.kitti_town(seed)
    drives = {d: kitti.drive(town, d, n, frames) for n, d in enumerate(TRAIN + TEST2)}
    kitti.write_calibrations(root)
    written = [frame for one in drives.values() for frame in one]
    for index, frame in enumerate(written):
        kitti.write_frame(root, town, frame, index)
    parts = {
        "train": [frame for d in TRAIN for frame in drives[d][9:-1]],
        "test1": [drives[d][-1] for d in TRAIN],
        "test2": [frame for d in TEST2 for frame in drives[d][9:]],
    }
    for part, chosen in parts.items():
        rows = [_row(root, town, frame, test=part == "test2") for frame in chosen]
        (root / f"{part}_files_with_sat_GPS.txt").write_text("\n".join(rows) + "\n")
    return [kitti.truth(town, frame, point) for frame in written]


def _row(root: Path, town: Town, frame: kitti.Frame, test: bool) -> str:
    """Write the frame's tile and return its row."""
    oxts, place = MapFrame(town.datum), town.datum
    latitude, longitude = oxts.to_wgs84((frame.oxts.x, frame.oxts.y)).tolist()
    across = STEP / math.cos(math.radians(place.latitude))
    latitude = place.latitude + round((latitude - place.latitude) / STEP) * STEP
    longitude = place.longitude + round((longitude - place.longitude) / across) * across
    x, y = oxts.to_map(latitude, longitude).tolist()
    tile = root / "satmap" / "train_10mgap" / frame.path
    if test:
        tile = root / "satmap" / "test" / frame.drive / f"{latitude}_{longitude}.png"
    if not tile.exists():
        kitti.write_tile(tile, town, (x, y))
    return f"{frame.path} {latitude} {longitude}"
