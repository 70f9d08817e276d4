"""What models are trained on: float32 in any precision, each kind of model by its own function."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from training_runs import SETTINGS

from cross_view_localizer.models import registry
from cross_view_localizer.models.contract import CrossViewModel, GroundInput, Scores
from cross_view_localizer.models.parts import losses
from training.datasets.sample import Batch
from training.learning.objective import KINDS, Weights, bottleneck, kind_of, objective

SIZE = 32


def batch_of(model: CrossViewModel, count: int = 2, cell: float = 1.0) -> Batch:
    view, random = model.view, torch.Generator().manual_seed(3)
    aerial = 255 * torch.rand(count, 3, view.aerial_size, view.aerial_size, generator=random)
    image = 255 * torch.rand(count, 3, view.ground_height, view.ground_width, generator=random)
    matrix = torch.tensor(
        [[30.0, 0, view.ground_width / 2], [0, 30, view.ground_height / 2], [0, 0, 1]]
    )
    levelled = torch.tensor([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    ground = GroundInput(
        image, matrix.expand(count, 3, 3), levelled.expand(count, 3, 3), torch.full((count,), 1.6)
    )
    offset = 4 * cell * torch.rand(count, 2, generator=random)
    zero = torch.zeros(count)
    return Batch(aerial, ground, torch.zeros(count, 2), offset, zero, torch.full((count,), cell))


MODELS: dict[str, dict[str, Any]] = {
    "bev": {"widths": (8, 8, 8, 16), "merged": 8, "channels": 8},
    "cvml": SETTINGS,
    "cvr": {k: v for k, v in SETTINGS.items() if k not in ("cells",)},
}


@pytest.mark.parametrize("name", MODELS)
def test_losses_are_float32_under_autocast(name: str) -> None:
    torch.manual_seed(0)
    model = registry.build(name, MODELS[name]).eval()
    batch = batch_of(model)
    exact = objective(model, batch, Weights(), 0.0)
    with torch.autocast("cpu", torch.bfloat16):
        half = objective(model, batch, Weights(), 0.0)
    assert {str(term.dtype) for term in half.values()} == {"torch.float32"}
    assert half["loss"].item() == pytest.approx(exact["loss"].item(), rel=0.05)


class Stub(CrossViewModel):
    """Answers the same half-precision map whatever it is shown."""

    def __init__(self, log_mass: torch.Tensor) -> None:
        super().__init__()
        self.view = registry.build("cvml", SETTINGS).view
        self.log_mass = log_mass

    def encode_aerial(self, image: torch.Tensor) -> Any:
        return None

    def encode_ground(self, ground: GroundInput) -> Any:
        return None

    def match(self, aerial: Any, ground: Any) -> Scores:
        return Scores(self.log_mass, torch.zeros(1))

    def match_with_bottleneck(self, aerial: Any, ground: Any) -> tuple[Scores, torch.Tensor]:
        return self.match(aerial, ground), torch.zeros(len(self.log_mass), 2, 2)


def test_the_losses_of_bfloat16_answers_are_summed_in_float32() -> None:
    # In bfloat16 1024 terms of about 7 would be summed with three digits.
    logits = torch.linspace(-9, 9, 2 * SIZE * SIZE).view(2, 1, SIZE, SIZE)
    low = torch.log_softmax(logits.flatten(1), 1).view_as(logits).bfloat16()
    model = Stub(low)
    batch = batch_of(model)
    with torch.autocast("cpu", torch.bfloat16):
        found = objective(model, batch, Weights(), 0.0)["place"]
    target = losses.gaussian_target(batch.offset, SIZE, 1.5).double()
    expected = -(target * low[:, 0].double()).sum((1, 2)).mean()
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_fixed_smoothing_is_in_cells_and_an_annealed_one_in_metres() -> None:
    cell = torch.tensor([0.5, 2.0])
    assert Weights(sigma_cells=4.0).sigma(cell, 0.3).tolist() == [4.0, 4.0]
    annealed = Weights(sigma_start=2.0, sigma_end=1.0)
    assert annealed.sigma(cell, 0.0).tolist() == [4.0, 1.0]
    assert annealed.sigma(cell, 0.35).tolist() == [3.0, 0.75]
    assert annealed.sigma(cell, 1.0).tolist() == [2.0, 0.5]


def test_the_forms_are_chosen_by_name() -> None:
    torch.manual_seed(0)
    model = registry.build("cvml", SETTINGS).eval()
    batch = batch_of(model)
    common: dict[str, Any] = {"sigma_cells": 2.0, "nce": 10.0}
    plain = objective(model, batch, Weights(**common), 0.0)
    wide = objective(model, batch, Weights(nce_form="batch_wide", **common), 0.0)
    published = objective(model, batch, Weights(target="published", **common), 0.0)
    assert plain["place"].item() == wide["place"].item() != published["place"].item()
    assert plain["nce"].item() != published["nce"].item()
    for terms in (plain, wide, published):
        assert terms["loss"].item() == pytest.approx(
            terms["place"].item() + 10 * terms["nce"].item(), rel=1e-6
        )


def test_a_published_target_is_refused_where_the_heatmap_is_a_part_of_the_picture() -> None:
    model = registry.build(
        "cvml", {"view": "compact-front", "backbone": "vgg16-compact", "cells": 12}
    )
    with pytest.raises(ValueError, match="whole aerial picture"):
        bottleneck(model, batch_of(model, cell=0.5), Weights(target="published"), torch.ones(2))


def test_the_regression_is_in_half_sides_right_and_down() -> None:
    model: Any = registry.build("cvr", MODELS["cvr"]).eval()
    model.head[2].weight.data.zero_()
    model.head[2].bias.data.copy_(torch.tensor([0.1, -0.2]))  # whatever it is shown
    batch = batch_of(model, cell=2.0)
    loss = objective(model, batch, Weights(), 0.0)["loss"]
    truth = batch.offset.numpy() / 2.0 / (SIZE / 2)
    expected = np.mean(np.sum(([0.1, -0.2] - truth) ** 2, axis=1))
    assert loss.item() == pytest.approx(float(expected), rel=1e-5)


def test_every_model_that_learns_is_of_one_kind() -> None:
    for name, settings in MODELS.items():
        model = registry.build(name, settings)
        assert sum(hasattr(model, offered) for offered in KINDS) == 1, name
    with pytest.raises(ValueError, match="can't be trained"):
        kind_of(registry.build("correlation", {}))
