"""What every dataset's reader gives: labelled pairs of pictures.

Truth is in metres east and north, and ENU yaw. A reader converts its format's signs, units and
frames, once; nothing after it knows them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.camera.camera import Camera
from cross_view_localizer.estimate import Motion
from cross_view_localizer.geo import Datum, to_earth
from cross_view_localizer.grid import Grid

RGB = NDArray[np.uint8]


class DatasetError(ValueError):
    """A dataset that can't be used as asked: in one line where, what is wrong, and the fix."""


@dataclass(frozen=True)
class Problem:
    """One fault of a dataset; reading goes on without the row, and says so at the end.

    Attributes:
        kind: "missing" (a file), "unreadable" (a picture), "row" (columns, numbers) or "outside"
            (the truth lies outside the aerial patch).
        where: file, and ":line" (1-based) where there is one.
        message: what is wrong, and what was expected.
    """

    kind: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass(frozen=True)
class Label:
    """One frame of a dataset: files, aerial patch and truth; no picture is opened for it.

    Attributes:
        name: split file and line ("test1_files.txt:12") or what else finds the row again.
        ground_file: of the camera's picture; aerial_file: of the tile or the map.
        grid: the aerial patch as the dataset's protocol cuts it, placed in the frame of ``datum``:
            x east, y north, metres, true north. Its centre is the protocol's prior position.
        position: (x, y) truth of ``reference_point`` there.
        yaw: azimuth of the camera (a panorama's middle column), radians, 0 = east,
            counter-clockwise.
        heading: the azimuth that the protocol tells the method; differs from ``yaw`` by its noise.
        group: what splits and bootstraps go by: a city, a drive, a traversal.
        reference_point: which point of the vehicle ``position`` is: "camera", "ins", "body" …
        datum: origin of the frame, where the dataset says.
        stamp: integer nanoseconds, where the dataset says.
        prior_half: half the sides of the uniform prior, metres, and half its headings, radians,
            where the protocol says.
    """

    name: str
    ground_file: Path
    aerial_file: Path
    grid: Grid
    position: tuple[float, float]
    yaw: float
    heading: float
    group: str
    reference_point: str = "camera"
    datum: Datum | None = None
    stamp: int | None = None
    prior_half: tuple[float, float] | None = None

    @property
    def place(self) -> NDArray[np.float64] | None:
        """(3,) metres from the Earth's centre, for distances between rows; None without datum."""
        return None if self.datum is None else to_earth(self.datum, self.position)


@dataclass(frozen=True)
class GroundPicture:
    """A camera's picture with what is known of the camera.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        camera: its model at this size; undistorted pinhole or equirectangular.
        rotation: (3, 3) optical frame to the camera's levelled frame (see ``GroundInput``).
        height: optical centre above the road, metres.
        true_rotation: what ``rotation`` should have been in this frame, where the reader knows it.
        true_height: what ``height`` should have been, where the reader knows it.
    """

    image: RGB
    camera: Camera
    rotation: NDArray[np.float64]
    height: float
    true_rotation: NDArray[np.float64] | None = None
    true_height: float | None = None


class Reader(ABC):
    """A split of a dataset. Building it reads lists and labels; pictures are read when asked for.

    Attributes:
        tags: the protocol, for every result: dataset, split, labels, tiles …; all strings.
        problems: rows that were left out when the lists were read, and why.
    """

    tags: Mapping[str, str]
    problems: list[Problem]

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of usable rows."""

    @abstractmethod
    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        """Return a row, the fixed one of validation and test unless ``rng`` is given.

        ``rng`` draws what the protocol draws anew for each training sample: tile, shift, turn.
        """

    def files(self, index: int) -> tuple[Path, ...]:
        """Return every file that a row may open, whatever is drawn for it."""
        label = self.label(index)
        return label.ground_file, label.aerial_file

    @abstractmethod
    def aerial(self, label: Label, grid: Grid) -> RGB:
        """Return the aerial picture (grid.height, grid.width, 3) on ``grid``, else black."""

    @abstractmethod
    def ground(self, label: Label) -> GroundPicture:
        """Return the camera's picture."""

    def earlier(self, label: Label, count: int) -> Sequence[tuple[RGB, Motion]]:
        """Return up to ``count`` pictures that the same camera took before, the latest first.

        Each as large as the label's, with where the camera was: (x, y, yaw) of its levelled frame
        in the newest one. None where the dataset has single pictures.
        """
        return ()


def read_rgb(path: Path) -> RGB:
    """Read a picture as (H, W, 3) uint8 RGB.

    Raises:
        DatasetError: where it is missing, or truncated or not a picture.
    """
    if not path.is_file():
        raise DatasetError(f"{path}: no such file: expected a picture; is the root right?")
    content = np.fromfile(path, dtype=np.uint8)
    if len(content) == 0 or _truncated(content):
        raise DatasetError(f"{path}: truncated ({len(content)} bytes): download it again")
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR)
    if picture is None:
        raise DatasetError(f"{path}: not a picture that can be decoded: download it again")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))


def read_tile(path: Path) -> RGB:
    """Read a square aerial tile, (S, S, 3) uint8 RGB.

    Raises:
        DatasetError: where it is missing, broken or not square.
    """
    image = read_rgb(path)
    height, width = image.shape[:2]
    if height != width:
        raise DatasetError(f"{path}: {width} x {height} px: expected a square tile")
    return image


def _truncated(content: NDArray[np.uint8]) -> bool:
    """Whether a PNG or JPEG lacks its end, which OpenCV would fill with grey without a word."""
    start, end = bytes(content[:4]), bytes(content[-64:])
    if start == b"\x89PNG":
        return b"IEND" not in end
    if start[:2] == b"\xff\xd8":
        return b"\xff\xd9" not in end
    return False
