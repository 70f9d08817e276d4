"""Rows that are wrong on purpose: a covered lens, another place's map, a calibration or a heading
that is not what it says. What is published then, and with what σ, is what counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from cross_view_localizer.estimate import Frame
from cross_view_localizer.grid import Grid
from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.models.weights import LoadedModel
from cross_view_localizer.prior.prior import Prior
from training.datasets.pair import RGB, Label, Reader
from training.measuring.rows import Asked, Rows

SEED = 8
EDGE = 0.05  # of the picture's side: whatever covers a lens is out of focus


@dataclass(frozen=True)
class Disturbance:
    """What is wrong.

    Attributes:
        name: of the row.
        covered: share of the camera's picture that is black, from a side drawn for each frame.
        elsewhere: the map around another group's row is searched.
        height: factor on the camera's stated height.
        heading: standard deviation of the told heading about the true one, degrees; the prior
            states it. None: as the protocol tells it.
    """

    name: str
    covered: float = 0.0
    elsewhere: bool = False
    height: float = 1.0
    heading: float | None = None


DISTURBANCES = (
    Disturbance("blank camera", covered=1.0),
    Disturbance("half covered camera", covered=0.5),
    Disturbance("another town's map", elsewhere=True),
    *(Disturbance(f"height {100 * h - 100:+.0f} %", height=h) for h in (0.8, 0.9, 1.1, 1.2)),
    *(Disturbance(f"heading σ {degrees}°", heading=degrees) for degrees in (2, 6, 10, 14)),
)


class DisturbedRows(Rows):
    """A reader's fixed rows, disturbed; each row always in the same way.

    Raises:
        ValueError: for a map of elsewhere where all rows are of one group; as of `Rows`.
    """

    def __init__(
        self,
        reader: Reader,
        model: LoadedModel,
        disturbance: Disturbance,
        limit: int | None = None,
        config: LocalizerConfig | None = None,
    ) -> None:
        super().__init__(reader, model, "metric", None, "", limit, config)
        self.disturbance = disturbance
        self._random = np.random.default_rng(SEED)

    def __getitem__(self, position: int) -> Asked:
        index, wrong = int(self.rows[position]), self.disturbance
        self._random = np.random.default_rng([SEED, index])
        label = self.reader.label(index)
        if wrong.elsewhere:
            self.map.elsewhere = self._far_from(index)
        told = 0.0
        if wrong.heading is not None:
            told = label.yaw - label.heading
            told += math.radians(float(self._random.normal(0, wrong.heading)))
        return self.asked(label, told)

    def call(
        self, label: Label, told: float = 0.0, other: Label | None = None
    ) -> tuple[Frame, Prior, Grid | None]:
        """Return what `Localizer.localize` takes for a row, disturbed."""
        frame, prior, grid = super().call(label, told, other)
        if self.disturbance.covered:
            frame = replace(frame, image=covered(frame.image, self.disturbance.covered, self._side))
        mount = frame.camera_in_base
        lifted = mount.translation * (1.0, 1.0, self.disturbance.height)
        return replace(frame, camera_in_base=replace(mount, translation=lifted)), prior, grid

    def prior(self, label: Label, told: float, grid: Grid | None) -> Prior:
        """Return the protocol's prior, with the σ of the heading that is told."""
        prior = super().prior(label, told, grid)
        if self.disturbance.heading is None:
            return prior
        bounds = np.array(prior.covariance)
        bounds[2, 2] = math.radians(self.disturbance.heading) ** 2
        return replace(prior, covariance=bounds)

    @property
    def _side(self) -> int:
        return int(self._random.integers(4))

    def _far_from(self, index: int) -> Label:
        """Return a row of another group, half the set away or the next one that is."""
        count, own = len(self.reader), self.reader.label(index).group
        for step in range(count):
            label = self.reader.label((index + count // 2 + step) % count)
            if label.group != own:
                return label
        raise ValueError(f"all {count} rows are of group '{own}': expected a second one's map")


def covered(image: RGB, share: float, side: int) -> RGB:
    """Return (H, W, 3) with a share of it black from a side: 0 left, 1 top, 2 right, 3 bottom."""
    turned = np.rot90(image, side)
    place = (np.arange(turned.shape[1]) + 0.5) / turned.shape[1]
    kept = np.clip((place - share) / EDGE, 0, 1)
    dimmed = (turned * kept[None, :, None]).astype(np.uint8)
    return np.ascontiguousarray(np.rot90(dimmed, -side))
