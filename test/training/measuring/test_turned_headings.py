"""Which of several headings a model believes: the one whose activation peaks highest."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from blob_pairs import NORTH, BlobModel, BlobReader, blob_model

from cross_view_localizer.grid import Grid
from cross_view_localizer.models.contract import CrossViewModel
from training.datasets.pair import RGB, Label
from training.measuring.headings import Remembering, Turned, Turns, classify
from training.measuring.rows import Rows, asked


def turned(reader: BlobReader, heading_up: bool = False, **options: Any) -> list[Turned]:
    model = blob_model(heading_up)
    return list(classify(Turns(Rows(reader, model), **options), 2))


@pytest.mark.parametrize(("left", "error"), [(0, 0), (90, -90), (-45, 45), (180, -180)])
def test_the_brightest_panorama_wins(left: float, error: float) -> None:
    """The model looks for brightness to the north; the mark lies ``left`` degrees beside it."""
    reader = BlobReader([(0.0, 0.0)] * 3, mark=NORTH + math.radians(left))
    for one in turned(reader, classes=8):
        assert one.error == pytest.approx(error) and one.right == (error == 0)
        assert one.margin > 0 and one.name.startswith("row")


def test_headings_may_start_from_north() -> None:
    turns = Turns(Rows(BlobReader(yaw=math.radians(100)), blob_model()), 8, "north")
    label = turns.rows.reader.label(0)
    assert sorted(round(math.degrees(t)) for t in turns.turns(label)) == [
        -145, -100, -55, -10, 35, 80, 125, 170,
    ]  # fmt: skip
    # Facing 100 degrees with a mark to the north: told 90, the mark is right in the middle.
    reader = BlobReader([(0.0, 0.0)], yaw=math.radians(101.25), mark=math.radians(101.25))
    one = turned(reader, classes=8, start="north")[0]
    assert one.error == pytest.approx(-11.25) and one.right == 1


def test_of_heading_up_models_the_aerial_picture_turns() -> None:
    row = Turns(Rows(BlobReader([(8.0, 0.0)]), blob_model(True)), 4)[0]
    assert [round(math.degrees(one.told)) for one in row] == [0, 90, -180, -90]
    questions = [asked(one) for one in row]
    peaks = [divmod(int(q.searched.patch.image[..., 0].argmax()), 32) for q in questions]
    assert len(set(peaks)) == 4
    assert all((q.ground.image == questions[0].ground.image).all() for q in questions)


def test_the_turned_aerial_picture_decides_for_heading_up_models() -> None:
    class Lit(BlobReader):
        """Bright only where the picture's up is turned by a quarter to the left."""

        def aerial(self, label: Label, grid: Grid) -> RGB:
            picture = super().aerial(label, grid) * (math.cos(grid.up - label.yaw - NORTH) > 0.9)
            return picture.astype(np.uint8)

    one = turned(Lit([(0.0, 0.0)]), heading_up=True, classes=8)[0]
    assert one.error == pytest.approx(90) and one.right == 0


def test_the_peak_is_of_raw_activations_where_the_model_shows_them() -> None:
    model = BlobModel()
    aerial, ground = torch.rand(2, 1, 32, 32), torch.tensor([1.0, 2.0])
    peak = model.peak(aerial, ground)
    assert model.peak_kind == "logit"
    assert torch.allclose(peak, (aerial * ground[:, None, None, None]).flatten(1).amax(1))

    class Closed(BlobModel):
        peak = CrossViewModel.peak
        peak_kind = CrossViewModel.peak_kind

    closed = Closed()
    assert closed.peak_kind == "log mass" and (closed.peak(aerial, ground) < 0).all()


def test_pictures_are_opened_once_per_row() -> None:
    opened = []

    class Watched(BlobReader):
        def ground(self, label: Any) -> Any:
            opened.append(label.name)
            return super().ground(label)

    reader = Watched([(0.0, 0.0)] * 3)
    turned(reader, classes=8)
    assert opened == ["row 0", "row 1", "row 2"]
    kept = Remembering(reader)
    label = kept.label(1)
    assert kept.aerial(label, label.grid) is kept.aerial(label, label.grid)
    with pytest.raises(ValueError, match="1 classes from 'truth': expected two or more"):
        Turns(Rows(reader, blob_model()), 1)
