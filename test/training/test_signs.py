"""Ten cases by hand for the signs between a label and the losses, metrics and places in the map.

The picture is 64 m of 64 cells, its middle at cell 31.5; the bottleneck has 8 × 8 cells.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from plain_reader import PlainReader

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.grid import Grid
from cross_view_localizer.models.contract import CrossViewModel, Scores
from cross_view_localizer.models.cvml import CVML
from cross_view_localizer.models.cvr import CVR
from cross_view_localizer.models.parts import losses
from cross_view_localizer.models.weights import LoadedModel
from cross_view_localizer.views import View
from training.datasets.pair import Label
from training.datasets.pairs import sample_of
from training.datasets.sample import Sample, collate
from training.measuring.records import Record
from training.measuring.rows import Rows

VIEW = View("pinhole", 64, 48, 64, 1.0, 64, 1.0)
MIDDLE = (120.0, -45.0)
R2 = math.sqrt(2)


class Case(NamedTuple):
    """Where the camera is, and what follows from it.

    Attributes:
        up: yaw of image-up, degrees.
        place: metres east and north of the picture's middle.
        offset: metres to the right and down of it.
        cell: (column, row) of the heatmap.
        bottleneck: (row, column) there.
    """

    up: float
    place: tuple[float, float]
    offset: tuple[float, float]
    cell: tuple[int, int]
    bottleneck: tuple[int, int]


TEN = [
    Case(90, (4.5, 10.5), (4.5, -10.5), (36, 21), (2, 4)),  # north-up: right is east
    Case(90, (-20.5, -7.5), (-20.5, 7.5), (11, 39), (4, 1)),
    Case(90, (0.5, -0.5), (0.5, 0.5), (32, 32), (4, 4)),
    Case(0, (4.5, 10.5), (-10.5, -4.5), (21, 27), (3, 2)),  # east-up: right is south
    Case(0, (30.5, -30.5), (30.5, -30.5), (62, 1), (0, 7)),
    Case(180, (4.5, 10.5), (10.5, 4.5), (42, 36), (4, 5)),  # west-up: right is north
    Case(540, (4.5, 10.5), (10.5, 4.5), (42, 36), (4, 5)),
    Case(-90, (4.5, 10.5), (-4.5, 10.5), (27, 42), (5, 3)),  # south-up: right is west
    Case(-90, (-20.5, -7.5), (20.5, -7.5), (52, 24), (3, 6)),
    # North-east-up: 12.5 ahead and 0.5 to the right is (13, 12) / √2.
    Case(45, (13 / R2, 12 / R2), (0.5, -12.5), (32, 19), (2, 4)),
]


class OneRow(PlainReader):
    """One row as a case says; the camera looks along image-up unless told otherwise."""

    def __init__(self, case: Case, yaw: float = 0.0, told: float = 0.0) -> None:
        super().__init__(Path(__file__).parent, count=1)
        up = math.radians(case.up)
        self.row = replace(
            super().label(0),
            grid=Grid(64, 64, 1.0, MIDDLE, up),
            position=(MIDDLE[0] + case.place[0], MIDDLE[1] + case.place[1]),
            yaw=up + yaw,
            heading=up + told,
        )

    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        return self.row

    def sample(self) -> Sample:
        return sample_of(self, self.row, VIEW)


@pytest.mark.parametrize("case", TEN)
def test_a_place_in_the_map_becomes_an_offset_and_a_target(case: Case) -> None:
    sample = OneRow(case).sample()
    np.testing.assert_allclose(sample.offset, case.offset, atol=1e-9)
    cells = collate([sample]).offset / sample.cell
    target = losses.gaussian_target(cells, 64, 1.0)[0]
    column, row = case.cell
    assert divmod(int(target.argmax()), 64) == (row, column)
    # The peak is on the cell's middle: both neighbours along each axis weigh the same.
    for first, second in (((-1, 0), (1, 0)), ((0, -1), (0, 1))):
        pair = [target[row + r, column + c].item() for r, c in (first, second)]
        assert pair[0] == pytest.approx(pair[1], rel=1e-3)
    labels = losses.view_bottleneck_labels(VIEW, cells, 8, 1.0)[0]
    assert divmod(int(labels.argmax()), 8) == case.bottleneck
    assert labels.max().item() == pytest.approx(1, abs=1e-5)


def measured(reader: OneRow, log_mass: NDArray[np.float32]) -> Record:
    """Return the record of a row whose model answers with a given heatmap."""

    class Says(CrossViewModel):
        view = VIEW

        def encode_aerial(self, image: torch.Tensor) -> Any:
            return None

        def encode_ground(self, ground: Any) -> Any:
            return None

        def match(self, aerial: Any, ground: Any) -> Scores:
            return Scores(torch.from_numpy(log_mass)[None], torch.zeros(1))

    model = LoadedModel(Says(), "says", {}, Calibration(), {}, "says-0")
    return next(Rows(reader, model).run())


@pytest.mark.parametrize("case", TEN)
def test_a_heatmap_becomes_a_place_and_signed_errors(case: Case) -> None:
    reader = OneRow(case)
    column, row = case.cell
    log_mass = np.full((1, 64, 64), -30.0, np.float32)
    log_mass[0, row, column] = 0.0
    right = measured(reader, log_mass)
    assert right.argmax_error == pytest.approx(0, abs=1e-6)
    # A cell further up is a metre ahead of the camera, a cell to the left one to its left.
    for (rows, columns), (along, across) in (((-1, 0), (1, 0)), ((0, -1), (0, 1))):
        moved = np.roll(log_mass, (rows, columns), (1, 2))
        found = measured(reader, moved)
        assert found.longitudinal == pytest.approx(along, abs=1e-4)
        assert found.lateral == pytest.approx(across, abs=1e-4)


@pytest.mark.parametrize("case", TEN)
def test_errors_go_by_the_camera_and_places_by_the_picture(case: Case) -> None:
    """The camera looks 90° to the left of image-up: what is further up lies to its right."""
    reader = OneRow(case, yaw=math.pi / 2)
    column, row = case.cell
    log_mass = np.full((1, 64, 64), -30.0, np.float32)
    log_mass[0, row - 1, column] = 0.0
    found = measured(reader, log_mass)
    assert found.longitudinal == pytest.approx(0, abs=1e-4)
    assert found.lateral == pytest.approx(-1, abs=1e-4)


@pytest.mark.parametrize("case", TEN)
def test_a_regressor_learns_the_same_offset(case: Case) -> None:
    """Half a side is 32 cells; an answer that is 3 cells off costs (3 / 32)²."""

    class Knows(CVR):
        half_side = 32.0  # type: ignore[assignment]

        def __init__(self) -> None:
            torch.nn.Module.__init__(self)

        def encode_aerial(self, image: torch.Tensor) -> torch.Tensor:
            return image

        def encode_ground(self, ground: Any) -> Any:
            return ground

        def regress(self, aerial: torch.Tensor, ground: Any) -> torch.Tensor:
            return torch.tensor([[case.offset[0] + 3, case.offset[1]]]) / 32

    batch = collate([OneRow(case).sample()])
    terms = Knows().loss(batch, 0.0)
    assert terms["loss"].item() == pytest.approx((3 / 32) ** 2, rel=1e-3)


@pytest.mark.parametrize(
    ("up", "yaw", "told", "offset"),
    [
        (90, 0.1, 0.0, 0.1),  # looks to the left of image-up: positive
        (0, -0.1, 0.0, -0.1),
        (180, 0.3, 0.0, 0.3),  # across the jump of ±180°
        (-180, -0.3, 0.0, -0.3),
        (90, 6.2, 0.0, 6.2 - 2 * math.pi),
    ],
)
def test_headings_are_counted_from_image_up(
    up: float, yaw: float, told: float, offset: float
) -> None:
    case = TEN[0]._replace(up=up)
    sample = OneRow(case, yaw, told).sample()
    assert sample.yaw == pytest.approx(offset, abs=1e-9)
    assert sample.heading == pytest.approx(math.radians(up) + yaw)


def test_the_heading_loss_shares_the_truth_between_two_offsets() -> None:
    """Offsets -0.06, 0, 0.06; a truth of 0.045 is a quarter of the middle one's."""
    mass = torch.tensor([0.2, 0.3, 0.5]).log().view(1, 3, 1, 1).expand(1, 3, 64, 64)
    scores = Scores(mass, torch.tensor([-0.06, 0.0, 0.06]))
    cells = torch.tensor([TEN[0].offset])
    loss = losses.yaw_cross_entropy(scores, cells, torch.tensor([0.045]))
    assert loss.item() == pytest.approx(-0.25 * math.log(0.3) - 0.75 * math.log(0.5), rel=1e-4)
    other = losses.yaw_cross_entropy(scores, cells, torch.tensor([-0.045]))
    assert other.item() == pytest.approx(-0.25 * math.log(0.3) - 0.75 * math.log(0.2), rel=1e-4)


def test_the_heading_loss_reads_the_true_cell() -> None:
    column, row = TEN[0].cell
    logits = torch.zeros(1, 3, 64, 64)
    logits[0, 2, row, column] = 50.0
    scores = Scores(logits, torch.tensor([-0.06, 0.0, 0.06]))
    loss = losses.yaw_cross_entropy(scores, torch.tensor([TEN[0].offset]), torch.tensor([0.06]))
    assert loss.item() == pytest.approx(0, abs=1e-6)
    mirrored = torch.tensor([[-TEN[0].offset[0], TEN[0].offset[1]]])
    assert losses.yaw_cross_entropy(scores, mirrored, torch.tensor([0.06])).item() > 1


def test_the_objective_of_a_stub_model_is_least_at_the_truth() -> None:
    """Through CVML's own loss: mass on the true cell costs less than on any mirrored one."""
    case = TEN[0]
    batch = collate([OneRow(case).sample()])

    class Answers(CVML):
        view = VIEW

        def __init__(self, column: int, row: int) -> None:
            torch.nn.Module.__init__(self)
            logits = torch.zeros(1, 64, 64)
            logits[0, row, column] = 8.0
            self.log_mass = torch.log_softmax(logits.flatten(), 0).view(1, 1, 64, 64)
            self.matching = torch.zeros(1, 8, 8)
            self.matching[0, row // 8, column // 8] = 1.0

        def encode_aerial(self, image: torch.Tensor) -> Any:
            return None

        def encode_ground(self, ground: Any) -> Any:
            return None

        def match_with_bottleneck(self, aerial: Any, ground: Any) -> tuple[Scores, torch.Tensor]:
            return Scores(self.log_mass, torch.zeros(1)), self.matching

    def terms(column: int, row: int) -> dict[str, torch.Tensor]:
        return Answers(column, row).loss(batch, 1.0)

    column, row = case.cell
    truth = terms(column, row)
    for other in ((63 - column, row), (column, 63 - row), (row, column), (63 - row, 63 - column)):
        wrong = terms(*other)
        assert truth["place"] < wrong["place"] - 1 and truth["nce"] < wrong["nce"] - 1
