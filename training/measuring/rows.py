"""A reader's rows through the front door: each becomes a frame with a prior, and a record.

Rows are read and prepared in other processes and answered in batches, one batch after the other, so
that memory does not grow with the dataset. They get the answer that `Localizer.localize` gives.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from cross_view_localizer.estimate import Estimate, Frame, Motion
from cross_view_localizer.gates import Refused
from cross_view_localizer.geo import RigidTransform, rotation_from_euler
from cross_view_localizer.grid import Grid
from cross_view_localizer.localizer import Localizer
from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.map.satellite_map import Patch
from cross_view_localizer.models.weights import LoadedModel
from cross_view_localizer.preparation import Preparation, Question, without_answer
from cross_view_localizer.prior.prior import Prior
from training.datasets.pair import GroundPicture, Label, Reader
from training.datasets.pairs import Fit, heatmap_grid, picture_up
from training.measuring.records import Record, record

Shuffled = Literal["", "set", "group"]
# The headings that a protocol tells without saying how wrong they may be.
YAW_STD = math.radians(5.0) / math.sqrt(3)


class Asked(NamedTuple):
    """A row made ready: its label, the error of the told heading (radians), and the question."""

    label: Label
    told: float
    question: Question | Estimate


@dataclass(frozen=True)
class HeadingNoise:
    """Errors uniform in ± ``degrees``; row i gets the same share of any range.

    Attributes:
        degrees: half of the range.
        seed: of the draw.
    """

    degrees: float = 0.0
    seed: int = 0

    def __call__(self, index: int) -> float:
        """Return the error of the row at ``index``, radians, counter-clockwise."""
        if self.degrees == 0:
            return 0.0
        share = np.random.default_rng([self.seed, index]).uniform(-1, 1)
        return math.radians(self.degrees * float(share))


class ReaderMap:
    """What a reader shows from above around one of its rows, as the Localizer asks a map.

    Args:
        reader: it draws black where it has nothing.
        whole: all of a patch counts as imagery, as in the papers; otherwise not what is black and
            has nothing but black around it.

    Attributes:
        label: of the row; set before each question.
        elsewhere: of the row around which the imagery is taken instead; None: of its own.
    """

    def __init__(self, reader: Reader, whole: bool) -> None:
        self.reader, self.whole = reader, whole
        self.label: Label | None = None
        self.elsewhere: Label | None = None

    def contains(self, xy: NDArray[np.float64]) -> bool:
        """Return True: a row's prior lies on its imagery."""
        return True

    def patch(self, grid: Grid) -> Patch:
        """Return the row's imagery under a grid."""
        assert self.label is not None
        shown, place = self.elsewhere or self.label, grid
        if self.elsewhere is not None:
            away = np.subtract(self.elsewhere.grid.center, self.label.grid.center)
            x, y = (float(value) for value in np.add(grid.center, away))
            place = replace(grid, center=(x, y))
        image = np.ascontiguousarray(self.reader.aerial(shown, place))
        if self.whole:
            return Patch(image, np.ones(image.shape[:2], dtype=bool), grid)
        around = np.asarray(cv2.dilate(image.max(axis=2), np.ones((9, 9), np.uint8)))
        return Patch(image, around > 0, grid)


class Rows(Dataset[Asked]):
    """A reader's fixed rows as questions for a model.

    Args:
        reader: a split of a dataset.
        model: that will be asked.
        fit: "metric" searches around the prior as on a vehicle; "tile" the protocol's own patch,
            whatever its metres per pixel, as the papers do.
        noise: of the heading that the method is told.
        shuffled: the control: each row gets the camera's picture of the row half the "set", or
            half its "group", away; the next row's, where a group has only one.
        limit: at most so many rows, drawn once and for all; None takes all.
        config: of the Localizer.

    Raises:
        ValueError: for a shuffled set of fewer than two rows, or an empty one.
    """

    def __init__(
        self,
        reader: Reader,
        model: LoadedModel,
        fit: Fit = "tile",
        noise: HeadingNoise | None = None,
        shuffled: Shuffled = "",
        limit: int | None = None,
        config: LocalizerConfig | None = None,
    ) -> None:
        if len(reader) < (2 if shuffled else 1):
            raise ValueError(
                f"{len(reader)} usable rows in {dict(reader.tags)}: expected at least "
                f"{'two to shuffle' if shuffled else 'one'}"
            )
        self.reader, self.view, self.fit = reader, model.model.view, fit
        self.noise, self.rows = noise or HeadingNoise(), drawn(len(reader), limit)
        self.others = _others(reader, shuffled)
        # Labels of another point than the camera's are of the point that the weights find.
        known = dict(model.metadata)
        if reader.label(0).reference_point != "camera":
            known = {k: v for k, v in known.items() if not k.startswith("reference_")}
        self.model = replace(model, metadata=known)
        self.config = open_gates(config)
        self.map = ReaderMap(reader, fit == "tile")
        self.preparation = Preparation(self.model, self.map, self.config)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the network out of what other processes get."""
        return self.__dict__ | {"model": None}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> Asked:
        index = int(self.rows[position])
        other = None if self.others is None else self.reader.label(int(self.others[index]))
        return self.asked(self.reader.label(index), self.noise(index), other)

    def asked(self, label: Label, told: float = 0.0, other: Label | None = None) -> Asked:
        """Return a row made ready; arguments as of `call`."""
        frame, prior, grid = self.call(label, told, other)
        try:
            question = self.preparation.question(frame, prior, grid)
        except Refused as refused:
            answer = without_answer(frame, prior, refused.reason, str(refused))
            return Asked(label, told, answer)
        # The camera's own pictures need not travel between processes.
        bare = replace(frame, image=frame.image[:0], earlier=())
        return Asked(label, told, replace(question, frame=bare))

    def call(
        self, label: Label, told: float = 0.0, other: Label | None = None
    ) -> tuple[Frame, Prior, Grid | None]:
        """Return what `Localizer.localize` takes for a row.

        Args:
            told: added to the heading, radians.
            other: whose picture is taken instead.
        """
        self.map.label = label
        ground = self.reader.ground(other or label)
        # In a north-up view another row's panorama keeps its own north.
        turn = other.heading - label.heading if other and not self.view.heading_up else 0.0
        frame = frame_of(ground, label.stamp or 0, turn)
        frame = replace(frame, earlier=self._earlier(other or label, frame))
        grid = None
        if self.fit == "tile":
            up = picture_up(label, self.view, "tile", told)
            grid = heatmap_grid(label.grid, self.view, "tile", up)
        return frame, self.prior(label, told, grid), grid

    def _earlier(self, label: Label, frame: Frame) -> tuple[tuple[Frame, Motion], ...]:
        """Return the frames before a row's, where the model takes several."""
        count = self.view.frames - 1
        found = self.reader.earlier(label, count) if count else ()
        return tuple((replace(frame, image=image), motion) for image, motion in found)

    def prior(self, label: Label, told: float, grid: Grid | None) -> Prior:
        """Return the protocol's prior: uniform, in the whole of what is searched unless it says."""
        searched = self.preparation.searchable_half if grid is None else min(grid.extent) / 2
        half, turn = label.prior_half or (searched, YAW_STD * math.sqrt(3))
        x, y = label.grid.center
        return Prior(
            stamp=label.stamp or 0,
            x=x,
            y=y,
            yaw=label.heading + told,
            covariance=np.diag([half**2 / 3, half**2 / 3, turn**2 / 3]),
            age=0.0,
            source="benchmark",
        )

    def run(self, batch_size: int = 8, workers: int = 0) -> Iterator[Record]:
        """Ask the model and yield each row's record, in the reader's order."""
        localizer = self.asker()
        for items in loaded(self, batch_size, workers):
            for item, estimate in zip(items, answered(localizer, items), strict=True):
                yield record(item.label, estimate, item.told)

    def asker(self) -> Localizer:
        """Return the Localizer that answers what was prepared."""
        return Localizer(self.model, self.map, self.config)


def loaded(dataset: Dataset[Any], batch_size: int, workers: int) -> Iterator[list[Any]]:
    """Yield lists of a dataset's items."""
    options: dict[str, Any] = {}
    if workers:
        # A forked worker inherits OpenCV's thread pool without its threads, and hangs.
        options = {"multiprocessing_context": "spawn", "prefetch_factor": 4}
    yield from DataLoader(dataset, batch_size, num_workers=workers, collate_fn=list, **options)


def asked(item: Asked) -> Question:
    """Return a row's question.

    Raises:
        ValueError: where the row was refused; one line.
    """
    if isinstance(item.question, Question):
        return item.question
    raise ValueError(f"{item.label.name}: refused, {item.question.detail}")


def answered(localizer: Localizer, items: Sequence[Asked]) -> list[Estimate]:
    """Return the estimates of prepared rows: one batch through the network."""
    questions = [item.question for item in items if isinstance(item.question, Question)]
    answers = iter(localizer.answers(questions) if questions else ())
    return [next(answers) if isinstance(i.question, Question) else i.question for i in items]


def open_gates(config: LocalizerConfig | None = None) -> LocalizerConfig:
    """Return a configuration for measuring: a protocol's wide uniform prior is let through."""
    return replace(config or LocalizerConfig(), prior_sigmas=1.5, reuse_aerial=False)


def frame_of(ground: GroundPicture, stamp: int, turn: float = 0.0) -> Frame:
    """Return a reader's picture as a camera's; base_link is the camera's levelled frame."""
    rotation = ground.rotation
    if turn:
        rotation = rotation_from_euler(0.0, 0.0, turn) @ rotation
    mount = RigidTransform(rotation, np.array([0.0, 0.0, ground.height]))
    return Frame(np.ascontiguousarray(ground.image), stamp, ground.camera, mount)


def drawn(count: int, limit: int | None) -> NDArray[np.intp]:
    """Return at most ``limit`` of ``count`` indices, ascending; the same ones every time.

    Drawn, not every n-th: lists have periods, such as four tiles for each panorama.
    """
    if limit is None or limit >= count:
        return np.arange(count)
    chosen = np.random.default_rng([count, limit]).choice(count, limit, replace=False)
    return np.sort(chosen)


def _others(reader: Reader, shuffled: Shuffled) -> NDArray[np.intp] | None:
    """Return for every row the one whose picture it gets; None where it keeps its own."""
    count = len(reader)
    if not shuffled:
        return None
    if shuffled == "set":
        return (np.arange(count) + count // 2) % count
    others = np.empty(count, dtype=np.intp)
    groups = np.array([reader.label(index).group for index in range(count)])
    for name in np.unique(groups):
        rows = np.flatnonzero(groups == name)
        alone = len(rows) == 1  # else it would get its own picture
        others[rows] = (rows + 1) % count if alone else np.roll(rows, -(len(rows) // 2))
    return others
