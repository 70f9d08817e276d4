"""VIGOR's list files: rows, names and the places in them.

A row is ``panorama tile d0 d1 tile d0 d1 tile d0 d1 tile d0 d1``, the positive tile first. Names
carry WGS84 degrees: ``<id>,<latitude>,<longitude>,.jpg``, ``satellite_<latitude>_<longitude>.png``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.datasets.pair import DatasetError, Problem

COLUMNS = 13
TILE_NAME = re.compile(r"satellite_(-?[\d.]+)_(-?[\d.]+)\.\w+")
SEED = 42  # the authors'

Place = tuple[float, float]


@dataclass(frozen=True)
class Rows:
    """The good rows of a list.

    Attributes:
        file: the list; lines: (N,) where each row stands in it, 1-based.
        order: (N,) its number among all of the list's rows, good or not; total: of those.
        panoramas: (N,) names; tiles: (N, 4) names, the positive first.
        places: (N, 2) latitude and longitude of the panoramas; centers: (N, 4, 2) of the tiles.
        deltas: (N, 4, 2) d0 and d1, pixels.
    """

    file: Path
    lines: NDArray[np.int64]
    order: NDArray[np.int64]
    total: int
    panoramas: list[str]
    tiles: list[list[str]]
    places: NDArray[np.float64]
    centers: NDArray[np.float64]
    deltas: NDArray[np.float64]


def read_rows(file: Path, problems: list[Problem]) -> Rows:
    """Read a list; bad rows are appended to ``problems`` and left out.

    Raises:
        DatasetError: where the list is missing or has no good row.
    """
    good: list[tuple[int, int, list[str], Place, list[Place], list[float]]] = []
    total = 0
    for line, text in enumerate(_text(file).splitlines(), 1):
        words = text.split()
        if not words:
            continue
        try:
            good.append((line, total, words[0::3][:1] + words[1::3], *_numbers(words)))
        except ValueError as error:
            problems.append(Problem("row", f"{file}:{line}", str(error)))
        total += 1
    if not good:
        raise DatasetError(f"{file}: no usable row of {total}: expected rows of {COLUMNS} columns")
    lines, order, names, places, centers, deltas = zip(*good, strict=True)
    return Rows(
        file,
        np.array(lines),
        np.array(order),
        total,
        [name[0] for name in names],
        [name[1:] for name in names],
        np.array(places),
        np.array(centers),
        np.array(deltas).reshape(-1, 4, 2),
    )


def _numbers(words: list[str]) -> tuple[Place, list[Place], list[float]]:
    """Return the panorama's place, its tiles' and the eight deltas."""
    if len(words) != COLUMNS:
        raise ValueError(
            f"{len(words)} columns: expected {COLUMNS}: a panorama and four times tile, d0, d1"
        )
    deltas = [float(word) for i in (2, 5, 8, 11) for word in words[i : i + 2]]
    if not all(math.isfinite(delta) for delta in deltas):
        raise ValueError(f"deltas {deltas}: expected finite pixels")
    return panorama_place(words[0]), [tile_place(words[i]) for i in (1, 4, 7, 10)], deltas


def panorama_place(name: str) -> Place:
    """Return latitude and longitude from a panorama's name.

    Raises:
        ValueError: where the name is not as VIGOR's.
    """
    parts = name.split(",")
    if len(parts) != 4:
        raise ValueError(f"panorama {name!r}: expected '<id>,<latitude>,<longitude>,.jpg'")
    return _degrees(name, parts[1], parts[2])


def tile_place(name: str) -> Place:
    """Return latitude and longitude of a tile's centre from its name.

    Raises:
        ValueError: where the name is not as VIGOR's.
    """
    found = TILE_NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"tile {name!r}: expected 'satellite_<latitude>_<longitude>.png'")
    return _degrees(name, found[1], found[2])


def _degrees(name: str, latitude: str, longitude: str) -> Place:
    place = float(latitude), float(longitude)
    if not (abs(place[0]) < 90 and abs(place[1]) <= 180):  # so that NaN fails too
        raise ValueError(f"{name!r}: expected latitude, then longitude, in degrees")
    return place


def city_center(file: Path) -> Place:
    """Return the median place of a city's ``satellite_list.txt``: a fixed point of the city.

    Raises:
        DatasetError: where the list is missing, empty or has another kind of names.
    """
    names = _text(file).split()
    try:
        places = np.array([tile_place(name) for name in names])
    except ValueError as error:
        raise DatasetError(f"{file}: {error}") from None
    if not len(places):
        raise DatasetError(f"{file}: empty: expected a tile's name in each line")
    latitude, longitude = np.median(places, axis=0).tolist()
    return latitude, longitude


def _text(file: Path) -> str:
    if not file.is_file():
        raise DatasetError(
            f"{file}: no such list: expected VIGOR's root, which holds 'splits' (the original "
            "labels) or 'splits__corrected', and a folder for each city"
        )
    text = file.read_text(encoding="utf-8", errors="replace")
    if text.startswith("version https://git-lfs"):
        raise DatasetError(
            f"{file}: a pointer of Git LFS, not the list: fetch it with git lfs pull"
        )
    return text


def random_validation(total: int) -> NDArray[np.bool_]:
    """Return (total,) which rows scikit-learn's ``train_test_split(range(total), test_size=0.2,
    random_state=42)`` puts into its second part: the first fifth, rounded up, of NumPy's legacy
    permutation.
    """
    chosen = np.zeros(total, dtype=bool)
    chosen[np.random.RandomState(SEED).permutation(total)[: math.ceil(0.2 * total)]] = True
    return chosen
