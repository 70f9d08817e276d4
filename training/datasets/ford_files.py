"""Ford Multi-AV's files: the published stretches of its logs, and the front left camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from numpy.typing import NDArray

from cross_view_localizer.camera.camera import Camera
from cross_view_localizer.geo import rotation_from_quaternion
from training.datasets.pair import DatasetError, Problem

Rows = Literal["published", "all"]
CALIBRATION = "Calibration-V2/V2"
WIDTH, HEIGHT = 1656, 860  # of the pictures that the intrinsics belong to
OCTOBER, AUGUST = "2017-10-26", "2017-08-04"
# Log -> its date in training, and there the stretches of rows, from 0 and without their ends.
TRAIN: dict[int, tuple[str, tuple[tuple[int, int], ...]]] = {
    1: (OCTOBER, ((4500, 8500),)),
    2: (OCTOBER, ((0, 3150), (6000, 9200), (11000, 15000))),
    3: (AUGUST, ((0, 1500),)),
    4: (OCTOBER, ((0, 7466),)),
    5: (AUGUST, ((0, 3200), (5300, 9900), (10500, 11130))),
    6: (AUGUST, ((1000, 3500), (4500, 5000), (7000, 7857))),
}
# The test files are already cut to their stretches.
TEST = {1: AUGUST, 2: AUGUST, 3: AUGUST, 4: AUGUST, 5: OCTOBER, 6: OCTOBER}
HELD, GAP = 0.05, 100


@dataclass(frozen=True)
class RowSource:
    """A list file of one log, with the stretches of its rows that a split takes.

    Attributes:
        name: "2017-10-26-V2-Log1"; folder: of the log; file: the list.
        stretches: (start, end) from 0, without the end; None: all rows.
    """

    name: str
    folder: Path
    file: Path
    stretches: tuple[tuple[int, int], ...] | None

    def picture(self, name: str) -> Path:
        """Return the front left camera's picture of a row, whose name may end in .txt."""
        return self.folder / f"{self.name}-FL" / f"{Path(name).stem}.png"

    def lines(self, columns: int, problems: list[Problem]) -> list[tuple[int, list[str]]]:
        """Return (line, columns) of the stretches; rows of another width go to ``problems``."""
        texts = _texts(self.file)
        stretches = ((0, len(texts)),) if self.stretches is None else self.stretches
        rows = []
        for line, text in ((n + 1, texts[n]) for a, b in stretches for n in range(a, b)):
            words = text.split()
            if len(words) == columns:
                rows.append((line, words))
            elif words or self.stretches is not None:
                what = f"{len(words)} columns: expected {columns}"
                problems.append(Problem("row", f"{self.file}:{line}", what))
        return rows


def row_sources(
    root: Path, split: str, log: int | Sequence[int] | None, rows: Rows
) -> list[RowSource]:
    """Return the list files of a split's logs.

    Raises:
        DatasetError: an unknown log, a missing list, or one that lacks published rows.
    """
    logs = list(TRAIN) if log is None else [log] if isinstance(log, int) else list(log)
    unknown = [number for number in logs if number not in TRAIN]
    if unknown or not logs:
        raise DatasetError(f"log {log}: expected some of 1 … 6")
    sources = []
    for number in logs:
        date = TEST[number] if split == "test" else TRAIN[number][0]
        folder = root / date / "V2" / f"Log{number}"
        end = "_test" if split == "test" else ""
        file = folder / f"grd_sat_quaternion_latlon{end}.txt"
        count = len(_texts(file))
        stretches: tuple[tuple[int, int], ...] | None = None
        if split != "test":
            published = TRAIN[number][1] if rows == "published" else ((0, count),)
            if count < published[-1][1]:
                raise DatasetError(
                    f"{file}: {count} rows: expected the published {published[-1][1]} or more; "
                    "for other lists say rows: all"
                )
            stretches = tuple(part for one in published for part in _part(one, split))
        sources.append(RowSource(f"{date}-V2-Log{number}", folder, file, stretches))
    return sources


def _part(stretch: tuple[int, int], split: str) -> list[tuple[int, int]]:
    """Return training's or validation's part of a stretch; no row for what is empty."""
    start, end = stretch
    held = max(1, round(HELD * (end - start)))
    first = end - held
    part = (first, end) if split == "validation" else (start, first - min(GAP, held))
    return [part] if part[0] < part[1] else []


def _texts(file: Path) -> list[str]:
    if not file.is_file():
        raise DatasetError(
            f"{file}: no such list: expected the root that holds 2017-08-04, 2017-10-26 and "
            "Calibration-V2, with the published lists in each log's folder; to take only the logs "
            "that are there, say log"
        )
    return file.read_text("utf-8", errors="replace").splitlines()


def read_extrinsics(file: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rotation (3, 3) from the camera's optical frame to the body's (x forward, y right,
    z down), and the camera's place (3,) there, metres.

    Raises:
        DatasetError: where the file is missing or says something else.
    """
    found = _yaml(file)
    try:
        transform = found["transform"]
        x, y, z, w = (float(transform["rotation"][key]) for key in "xyzw")
        place = np.array([float(transform["translation"][key]) for key in "xyz"])
        rotation = rotation_from_quaternion(x, y, z, w)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"{file}: {error}: expected transform: rotation: x y z w, translation: x y z"
        ) from None
    if not np.isfinite(place).all():
        raise DatasetError(f"{file}: translation {place.tolist()}: expected finite metres")
    return rotation, place


def read_intrinsics(file: Path) -> Camera:
    """Return the camera of 1656 x 860 px pictures.

    Raises:
        DatasetError: where the file is missing or has no good K.
    """
    found = _yaml(file)
    try:
        return Camera("pinhole", WIDTH, HEIGHT, np.array(found["K"], dtype=np.float64))
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{file}: {error}: expected K, nine numbers") from None


def _yaml(file: Path) -> Any:
    if not file.is_file():
        raise DatasetError(f"{file}: no such file: expected Ford's V2 calibration under the root")
    try:
        return yaml.safe_load(file.read_text("utf-8", errors="replace"))
    except yaml.YAMLError as error:
        text = " ".join(str(error).split())
        raise DatasetError(f"{file}: not YAML: {text}") from None
