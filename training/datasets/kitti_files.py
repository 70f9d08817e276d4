"""KITTI's raw files: list rows, OXTS records and rectified cameras."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cross_view_localizer.camera.camera import Camera
from training.datasets.pair import DatasetError, Problem

FRAME = re.compile(r"(\d{4}_\d\d_\d\d)/(\1_drive_\d+_\w+)/(\d+)\.png")
# Drives that hold more than this share of the rows stay in training.
LONGEST, VALIDATION = 0.02, 0.05


class Fault(Exception):
    """What is wrong with a row: its kind as in `Problem`, and a message."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Frame:
    """A frame of the raw data: ``2011_09_26``, ``2011_09_26_drive_0002_sync``, ``0000000038``."""

    day: str
    drive: str
    number: str

    @classmethod
    def of(cls, path: str) -> Frame:
        """Parse a list's path.

        Raises:
            Fault: where it is not ``<day>/<drive>/<number>.png``.
        """
        found = FRAME.fullmatch(path)
        if found is None:
            raise Fault("row", f"{path!r}: expected 'YYYY_MM_DD/YYYY_MM_DD_drive_XXXX_sync/N.png'")
        return cls(found[1], found[2], found[3])

    def before(self, steps: int) -> Frame:
        """Return the frame so many steps earlier in the drive."""
        number = f"{int(self.number) - steps:0{len(self.number)}d}"
        return Frame(self.day, self.drive, number)

    @property
    def tile(self) -> str:
        """Path of its own tile in a folder of tiles."""
        return f"{self.day}/{self.drive}/{self.number}.png"


@dataclass(frozen=True)
class Oxts:
    """Latitude, longitude in degrees; yaw in radians, 0 = east, counter-clockwise."""

    latitude: float
    longitude: float
    yaw: float


class RawData:
    """The folder ``raw_data``.

    Raises:
        DatasetError: where it is missing.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "raw_data"
        if not self.folder.is_dir():
            raise DatasetError(
                f"{self.folder}: no such folder: expected KITTI's raw data in it, as "
                "raw_data/2011_09_26/2011_09_26_drive_0002_sync"
            )
        self._cameras: dict[str, tuple[Camera | None, str]] = {}

    def picture(self, frame: Frame) -> Path:
        """Return the file of the left colour camera's picture."""
        return self._drive(frame) / "image_02" / "data" / f"{frame.number}.png"

    def _drive(self, frame: Frame) -> Path:
        return self.folder / frame.day / frame.drive

    def oxts(self, frame: Frame) -> Oxts:
        """Read where a frame was taken.

        Raises:
            Fault: missing, too short, or numbers that can't be.
        """
        file = self._drive(frame) / "oxts" / "data" / f"{frame.number}.txt"
        try:
            words = file.read_text(encoding="ascii", errors="replace").split()[:6]
        except FileNotFoundError:
            raise Fault("missing", f"{file}: no such file: expected the frame's OXTS") from None
        except OSError as error:
            raise Fault("unreadable", f"{file}: can't be read: {error.strerror}") from None
        if len(words) < 6:
            raise Fault("row", f"{file}: {len(words)} numbers: expected 6 or more, yaw the sixth")
        try:
            latitude, longitude, yaw = (float(words[i]) for i in (0, 1, 5))
        except ValueError:
            raise Fault("row", f"{file}: {' '.join(words)!r}: expected numbers") from None
        inside = abs(latitude) < 90 and abs(longitude) <= 180  # false for NaN
        if not (inside and math.isfinite(yaw)):
            raise Fault(
                "row",
                f"{file}: latitude {latitude}, longitude {longitude}, yaw {yaw}: expected degrees "
                "and radians",
            )
        return Oxts(latitude, longitude, yaw)

    def camera(self, day: str) -> Camera:
        """Return the rectified left colour camera of a day.

        Its size is the calibration's ``S_rect_02``, else 1242 x 375.

        Raises:
            Fault: no calibration, or one without a good ``P_rect_02``.
        """
        if day not in self._cameras:
            try:
                self._cameras[day] = _camera(self.folder / day / "calib_cam_to_cam.txt"), ""
            except Fault as fault:
                self._cameras[day] = None, f"{fault.kind}\t{fault}"
        camera, fault_of_day = self._cameras[day]
        if camera is None:
            raise Fault(*fault_of_day.split("\t", 1))
        return camera


def _camera(file: Path) -> Camera:
    try:
        lines = file.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        raise Fault("missing", f"{file}: no such file: expected the day's calibration") from None
    entries = {name.strip(): value.split() for name, _, value in (x.partition(":") for x in lines)}
    if "P_rect_02" not in entries:
        raise Fault("row", f"{file}: no P_rect_02: expected KITTI's calib_cam_to_cam.txt")
    try:
        projection = np.array([float(word) for word in entries["P_rect_02"]]).reshape(3, 4)
        width, height = (float(word) for word in entries.get("S_rect_02", ["1242", "375"]))
        return Camera("pinhole", int(width), int(height), projection[:, :3])
    except (ValueError, OverflowError) as error:
        given = " ".join(entries["P_rect_02"])
        raise Fault("row", f"{file}: P_rect_02 {given!r}: {error}") from None


def validation_drives(drives: Sequence[str]) -> set[str]:
    """Choose whole drives of a training list for validation, from the drive of each row.

    In the order of their names' SHA-256, every drive that holds at most 2 % of the rows and still
    fits into 5 % of them. Of the published 19 655 rows that takes 973, those of the drives 0002,
    0009, 0019, 0056 and 0079 of 2011_09_26 and 0002 and 0038 of 2011_09_28. Of a list too short
    for that, the shortest drive.
    """
    counts = Counter(drives)
    if len(counts) < 2:
        return set()
    chosen: set[str] = set()
    taken = 0
    for drive in sorted(counts, key=lambda name: hashlib.sha256(name.encode()).hexdigest()):
        share = counts[drive] / len(drives)
        if share <= LONGEST and taken + counts[drive] <= VALIDATION * len(drives):
            chosen.add(drive)
            taken += counts[drive]
    return chosen or {min(counts, key=lambda name: (counts[name], name))}


def list_rows(file: Path, columns: int, problems: list[Problem]) -> list[tuple[int, list[str]]]:
    """Return (line, columns) of a list's rows; those of another width go to ``problems``.

    Raises:
        DatasetError: where the list is missing.
    """
    if not file.is_file():
        raise DatasetError(
            f"{file}: no such list: put the published lists there, or say where they are with "
            "'lists'"
        )
    rows = []
    for line, text in enumerate(file.read_text("utf-8", errors="replace").splitlines(), 1):
        words = text.split()
        if len(words) == columns:
            rows.append((line, words))
        elif words:
            what = f"{len(words)} columns: expected {columns}"
            problems.append(Problem("row", f"{file}:{line}", what))
    return rows


def numbers(words: Sequence[str], what: str, limit: float = math.inf) -> list[float]:
    """Return finite numbers within ± ``limit``.

    Raises:
        Fault: others.
    """
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = [math.nan]
    if not all(math.isfinite(value) and abs(value) <= limit for value in values):
        within = f" within ±{limit:g}" if limit < math.inf else ""
        raise Fault("row", f"{what} {' '.join(words)}: expected finite numbers{within}")
    return values
