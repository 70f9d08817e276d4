"""Writes VIGOR's layout from towns: panoramas, zoom-20 tiles, original and corrected labels.

``write(root)`` gives, for each of the four cities, ``<City>/panorama/<id>,<lat>,<lon>,.jpg``,
``<City>/satellite/satellite_<lat>_<lon>.png`` and both folders of lists.

Tiles stand on VIGOR's lattice of degrees, half overlapping for New York's latitude, which is why
some semi-positive tiles do not reach their camera in Seattle. Each camera is put where its offset
from its positive tile's centre is a whole number of true pixels, so that the corrected labels,
integers, say where it is without rounding. Truths come from the town, not from the labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cross_view_localizer.geo import Datum, MapFrame
from training.datasets.picture_files import save
from training.town.layouts.mercator import anchored, tile, to_degrees, to_pixel
from training.town.layouts.truth import Truth, truth_at
from training.town.town import CameraPose, Town

ZOOM = 20
SIZE = 640
# Where the usual formula gives the metres per pixel that are published for each city.
CITIES = {
    "NewYork": Datum(40.6611, -73.9800),
    "Seattle": Datum(47.5243, -122.3300),
    "SanFrancisco": Datum(37.6859, -122.4200),
    "Chicago": Datum(41.8204, -87.6500),
}
# Degrees of latitude and longitude that the original labels take for 320 pixels, anywhere.
STEP = (0.00032807245, 0.00043301140)


@dataclass(frozen=True)
class Frame:
    """A panorama: its name, its camera's pose and place, and the four tiles around it.

    ``place`` is (latitude, longitude); ``tiles`` are those of centres, the positive one first.
    """

    name: str
    pose: CameraPose
    place: tuple[float, float]
    tiles: list[tuple[float, float]]


def write(
    root: str | Path,
    per_city: int = 6,
    seeds: Sequence[int] = (11,),
    cities: Sequence[str] = tuple(CITIES),
    rendered: tuple[int, int] = (512, 256),
    size: tuple[int, int] = (2048, 1024),
    reach: float | None = None,
) -> list[Truth]:
    """Write a small VIGOR and return the truth of every panorama.

    Args:
        per_city: panoramas of each city; the first half of them are the same-area training list.
        seeds: of the towns, taken in turn by the cities.
        cities: which ones.
        rendered: (width, height) at which panoramas are drawn, before they are enlarged to
            ``size``.
        reach: keep cameras within so many pixels of their positive tile's centre, east and north;
            None: anywhere nearer to it than to another tile. Within 25 it makes less than 0.1 px
            whether pixels are turned into metres by the sphere's formula or exactly.
    """
    truths = []
    towns = [Town(seed) for seed in seeds[: len(cities)]]
    for one in towns:  # painted and drawn here once, not anew in every city
        _ = one.aerial, one.scenery
    for index, city in enumerate(cities):
        town = anchored(towns[index % len(towns)], CITIES[city])
        frames = _frames(town, city, per_city, reach)
        for kind in ("panorama", "satellite"):
            (Path(root) / city / kind).mkdir(parents=True, exist_ok=True)
        for number, frame in enumerate(frames):
            truths.append(truth_at(town, frame.name, frame.pose, city))
            picture = town.render(frame.pose, "panorama", *rendered, "layout", number).image
            picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR))
            save(Path(root) / city / "panorama" / frame.name, picture)
        _write_tiles(Path(root) / city / "satellite", town, frames)
        _write_lists(Path(root), city, frames)
    return truths


def town_of(city: str, seed: int) -> Town:
    """Return the town that stands for a city, put down there."""
    return anchored(Town(seed), CITIES[city])


def _frames(town: Town, city: str, count: int, reach: float | None) -> list[Frame]:
    frames: list[Frame] = []
    for pose in _places(town, city):
        frame = _frame(town, city, pose, len(frames), reach)
        if frame is not None:
            frames.append(frame)
        if len(frames) == count:
            return frames
    raise ValueError(
        f"{len(frames)} of {count} panoramas within {reach} px of a tile's centre in {city}: "
        "ask for fewer or a larger reach"
    )


def _places(town: Town, city: str) -> Iterator[CameraPose]:
    for batch in range(60):
        yield from town.poses(100, stream=f"vigor-{city}-{batch}")


def _frame(
    town: Town, city: str, pose: CameraPose, number: int, reach: float | None
) -> Frame | None:
    """Move a camera to a whole pixel of its nearest tile; None where it is out of reach."""
    frame = MapFrame(town.datum)
    latitude, longitude = frame.to_wgs84((pose.x, pose.y)).tolist()
    tiles = _around(town.datum, latitude, longitude)
    center = to_pixel(*tiles[0], ZOOM)
    offset = np.round(to_pixel(latitude, longitude, ZOOM) - center)
    if reach is not None and np.abs(offset).max() > reach:
        return None
    latitude, longitude = to_degrees(center + offset, ZOOM).tolist()
    x, y = frame.to_map(latitude, longitude).tolist()
    # The file's own place is rounded as Street View's is, to up to half a pixel.
    name = f"{city[:7]}{number:015d},{latitude:.6f},{longitude:.6f},.jpg"
    north = CameraPose(x, y, math.pi / 2, pose.kind)
    return Frame(name, north, (latitude, longitude), tiles)


def _around(datum: Datum, latitude: float, longitude: float) -> list[tuple[float, float]]:
    """Centres of the four tiles around a place, the nearest first."""
    at = ((latitude - datum.latitude) / STEP[0], (longitude - datum.longitude) / STEP[1])
    near = [round(value) for value in at]
    other = [n + (1 if value > n else -1) for n, value in zip(near, at, strict=True)]
    corners = [(i, j) for i in (near[0], other[0]) for j in (near[1], other[1])]
    return [(datum.latitude + i * STEP[0], datum.longitude + j * STEP[1]) for i, j in corners]


def _tile_name(center: tuple[float, float]) -> str:
    return f"satellite_{center[0]}_{center[1]}.png"


def _write_tiles(folder: Path, town: Town, frames: Sequence[Frame]) -> None:
    for center in {center for frame in frames for center in frame.tiles}:
        save(folder / _tile_name(center), tile(town, *center, ZOOM, SIZE))


def _write_lists(root: Path, city: str, frames: Sequence[Frame]) -> None:
    tiles = sorted({_tile_name(center) for frame in frames for center in frame.tiles})
    half = len(frames) // 2
    lists = {
        "same_area_balanced_train": frames[:half],
        "same_area_balanced_test": frames[half:],
        "pano_label_balanced": frames,
    }
    for labels, suffix in (("splits", ""), ("splits__corrected", "__corrected")):
        folder = root / labels / city
        folder.mkdir(parents=True, exist_ok=True)
        # One of the official lists lacks the newline at its end.
        end = "" if city == "Seattle" else "\n"
        (folder / "satellite_list.txt").write_text("\n".join(tiles) + end)
        for name, rows in lists.items():
            text = "".join(_row(frame, bool(suffix)) + "\n" for frame in rows)
            (folder / f"{name}{suffix}.txt").write_text(text)


def _row(frame: Frame, corrected: bool) -> str:
    """Panorama, then each tile with its centre's offset from the camera: (north, east) pixels.

    The corrected labels count true pixels; the original ones count degrees, 320 pixels a STEP.
    """
    latitude, longitude = (float(text) for text in frame.name.split(",")[1:3])
    words = [frame.name]
    for center in frame.tiles:
        if corrected:
            east, south = (to_pixel(*center, ZOOM) - to_pixel(*frame.place, ZOOM)).tolist()
            words += [_tile_name(center), f"{-round(south)}", f"{round(east)}"]
        else:
            north = (center[0] - latitude) / STEP[0] * 320
            east = (center[1] - longitude) / STEP[1] * 320
            words += [_tile_name(center), f"{north}", f"{east}"]
    return " ".join(words)
