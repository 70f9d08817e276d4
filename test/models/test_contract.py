"""What all methods share: scores with headings in each of their forms, views with frames."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from cross_view_localizer.models.contract import GroundInput, Scores
from cross_view_localizer.models.parts import losses
from cross_view_localizer.views import View


def test_each_sample_may_have_headings_of_its_own() -> None:
    log_mass = torch.log_softmax(torch.arange(2 * 3 * 4.0).view(2, 12), 1).view(2, 3, 2, 2)
    own = torch.tensor([[-0.1, 0.0, 0.1], [0.9, 1.0, 1.1]])
    scores = Scores(log_mass, own)
    for index in (0, 1):
        answer = scores.answer(index)
        np.testing.assert_array_equal(answer.log_mass, log_mass[index])
        np.testing.assert_allclose(answer.yaw_offsets, own[index])
        assert answer.headings is None
    shared = Scores(log_mass, own[0])
    np.testing.assert_array_equal(shared.answer(1).yaw_offsets, shared.answer(0).yaw_offsets)
    # The loss of a batch is that of its samples.
    cells, yaw = torch.tensor([[0.5, -0.5], [-0.5, 0.5]]), torch.tensor([0.05, 0.95])
    alone = [
        losses.yaw_cross_entropy(
            Scores(log_mass[i : i + 1], own[i]), cells[i : i + 1], yaw[i : i + 1]
        )
        for i in (0, 1)
    ]
    together = losses.yaw_cross_entropy(scores, cells, yaw)
    assert together.item() == pytest.approx(float(sum(alone)) / 2, rel=1e-5)


def test_a_sample_gets_its_cells_headings() -> None:
    heading, kappa = torch.rand(2, 4, 4), 1 + torch.rand(2, 4, 4)
    scores = Scores(torch.zeros(2, 1, 4, 4), torch.zeros(1), heading, kappa)
    headings = scores.answer(1).headings
    assert headings is not None
    np.testing.assert_allclose(headings.mean, heading[1])
    np.testing.assert_allclose(headings.concentration, kappa[1])
    broken = scores._replace(heading=torch.full((2, 4, 4), math.nan))
    with pytest.raises(ValueError, match="expected finite"):
        _ = broken.answer(0).headings


@pytest.mark.parametrize("frames", [{"frames": 0}, {"frames": 2, "fewest_frames": 3}])
def test_a_view_of_no_frames_is_refused(frames: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="view of"):
        View("pinhole", 8, 8, 8, 1.0, 8, 1.0, **frames)


def test_a_view_says_how_few_frames_will_do() -> None:
    strict = View("pinhole", 8, 8, 8, 1.0, 8, 1.0, frames=4)
    easy = View("pinhole", 8, 8, 8, 1.0, 8, 1.0, frames=4, fewest_frames=2)
    assert strict.few_frames(3) and not strict.few_frames(4)
    assert easy.few_frames(1) and not easy.few_frames(2)


def test_parts_that_are_not_there_stay_away() -> None:
    one = GroundInput(torch.zeros(3, 1), torch.ones(3, 1), torch.ones(3, 2), torch.zeros(3))
    cut = one.each(lambda part: part[:2])
    assert len(cut.image) == len(cut.height) == 2 and cut.earlier is None
