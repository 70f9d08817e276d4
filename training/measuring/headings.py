"""Which of 16 headings is the true one, by a model that was never trained for it (ECCV 2022,
section 4.4): the heading whose activation map has the highest peak before the softmax.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from cross_view_localizer.grid import Grid
from cross_view_localizer.models.network import Network
from training.datasets.pair import RGB, GroundPicture, Label, Reader
from training.measuring.rows import Asked, Rows, asked, loaded

NORTH = math.pi / 2
Start = Literal["truth", "north"]


@dataclass(frozen=True)
class Turned:
    """What one sample gave.

    Attributes:
        name, group: of the label.
        error: chosen heading − true heading, degrees, in [−180, 180).
        right: 1 where the chosen class is the one next to the truth, else 0.
        margin: by how much the best peak exceeds the second.
    """

    name: str
    group: str
    error: float
    right: int
    margin: float


class Remembering(Reader):
    """A reader that opens a row's pictures once, however often it is turned."""

    def __init__(self, reader: Reader) -> None:
        self.reader, self.tags, self.problems = reader, reader.tags, reader.problems
        self._ground: tuple[str, GroundPicture] | None = None
        self._aerial: tuple[str, Grid, RGB] | None = None

    def __len__(self) -> int:
        return len(self.reader)

    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        """Return the reader's."""
        return self.reader.label(index, rng)

    def ground(self, label: Label) -> GroundPicture:
        """Return the reader's, once per row."""
        if self._ground is None or self._ground[0] != label.name:
            self._ground = (label.name, self.reader.ground(label))
        return self._ground[1]

    def aerial(self, label: Label, grid: Grid) -> RGB:
        """Return the reader's, once per row and grid."""
        if self._aerial is None or self._aerial[:2] != (label.name, grid):
            self._aerial = (label.name, grid, self.reader.aerial(label, grid))
        return self._aerial[2]


class Turns(Dataset[list[Asked]]):
    """Each of some rows, told one heading after the other.

    Args:
        rows: of a reader.
        classes: how many headings, evenly over the circle.
        start: the first: "truth", as the paper turns VIGOR's panoramas, or "north", as it turns
            RobotCar's patches.
    """

    def __init__(self, rows: Rows, classes: int = 16, start: Start = "truth") -> None:
        if classes < 2 or start not in ("truth", "north"):
            raise ValueError(
                f"{classes} classes from '{start}': expected two or more from truth or north"
            )
        self.rows, self.classes, self.start = rows, classes, start
        rows.reader = rows.map.reader = Remembering(rows.reader)

    def __len__(self) -> int:
        return len(self.rows)

    def turns(self, label: Label) -> list[float]:
        """Return the heading errors that a row is told, radians in [−π, π)."""
        first = 0.0 if self.start == "truth" else NORTH - label.heading
        steps = [first + k * 2 * math.pi / self.classes for k in range(self.classes)]
        return [(turn + math.pi) % (2 * math.pi) - math.pi for turn in steps]

    def __getitem__(self, position: int) -> list[Asked]:
        label = self.rows.reader.label(int(self.rows.rows[position]))
        return [self.rows.asked(label, turn) for turn in self.turns(label)]


def classify(turns: Turns, batch_size: int = 4, workers: int = 0) -> Iterator[Turned]:
    """Yield what each row gave; the picture that does not turn is encoded once.

    Raises:
        ValueError: for a row that is refused; one line.
    """
    network = turns.rows.asker().network
    for rows in loaded(turns, batch_size, workers):
        peaks = _peaks(network, rows).float().cpu().numpy()
        for row, peak in zip(rows, peaks, strict=True):
            yield _judged(row, peak)


def _peaks(network: Network, rows: list[list[Asked]]) -> Tensor:
    """Return (B, classes)."""
    up = network.view.heading_up  # then the aerial picture turns, else the panorama
    aerial: Any = None
    ground: Any = None
    peaks = []
    with network.running() as model:
        for turned in zip(*rows, strict=True):
            questions = [asked(one) for one in turned]
            if aerial is None or up:
                patches = [one.searched.patch.image for one in questions]
                aerial = model.encode_aerial(network.aerial_input(patches))
            if ground is None or not up:
                ground = model.encode_ground(
                    network.ground_input([one.ground for one in questions])
                )
            peaks.append(model.peak(aerial, ground))
    return torch.stack(peaks, dim=1)


def _judged(row: list[Asked], peaks: np.ndarray) -> Turned:
    order = np.argsort(-peaks, kind="stable")
    sizes = [abs(one.told) for one in row]
    best = row[int(order[0])]
    return Turned(
        name=best.label.name,
        group=str(best.label.group),
        error=math.degrees(best.told),
        right=int(int(order[0]) == int(np.argmin(sizes))),
        margin=float(peaks[order[0]] - peaks[order[1]]),
    )
