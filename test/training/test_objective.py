"""What models are trained on: each method's own loss with its own options, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from training_runs import SETTINGS

from cross_view_localizer.models import registry
from cross_view_localizer.models.contract import Batch, CrossViewModel, GroundInput, Scores
from cross_view_localizer.models.cvml import CVML, CvmlObjective
from cross_view_localizer.models.parts import losses
from cross_view_localizer.models.parts.losses import HeatmapTarget
from training.learning.objective import set_options

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
    exact = model.loss(batch, 0.0)
    with torch.autocast("cpu", torch.bfloat16):
        half = model.loss(batch, 0.0)
    assert {str(term.dtype) for term in half.values()} == {"torch.float32"}
    assert half["loss"].item() == pytest.approx(exact["loss"].item(), rel=0.05)


class Stub(CVML):
    """Answers the same half-precision map whatever it is shown."""

    def __init__(self, log_mass: torch.Tensor) -> None:
        torch.nn.Module.__init__(self)
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
        found = model.loss(batch, 0.0)["place"]
    target = losses.gaussian_target(batch.offset, SIZE, 1.5).double()
    expected = -(target * low[:, 0].double()).sum((1, 2)).mean()
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_fixed_smoothing_is_in_cells_and_an_annealed_one_in_metres() -> None:
    cell = torch.tensor([0.5, 2.0])
    assert HeatmapTarget(sigma_cells=4.0).sigma(cell, 0.3).tolist() == [4.0, 4.0]
    annealed = HeatmapTarget(sigma_start=2.0, sigma_end=1.0)
    assert annealed.sigma(cell, 0.0).tolist() == [4.0, 1.0]
    assert annealed.sigma(cell, 0.35).tolist() == [3.0, 0.75]
    assert annealed.sigma(cell, 1.0).tolist() == [2.0, 0.5]


def test_the_forms_are_chosen_by_name() -> None:
    torch.manual_seed(0)
    model = registry.build("cvml", SETTINGS).eval()
    batch = batch_of(model)
    common: dict[str, Any] = {"sigma_cells": 2.0, "nce": 10.0}

    def terms_of(**changes: Any) -> dict[str, torch.Tensor]:
        set_options(model, common | changes)
        return model.loss(batch, 0.0)

    plain = terms_of()
    wide = terms_of(nce_form="batch_wide")
    published = terms_of(target="published")
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
    model.objective = CvmlObjective(target="published")
    with pytest.raises(ValueError, match="whole aerial picture"):
        model.loss(batch_of(model, cell=0.5), 0.0)


def test_the_regression_is_in_half_sides_right_and_down() -> None:
    model: Any = registry.build("cvr", MODELS["cvr"]).eval()
    model.head[2].weight.data.zero_()
    model.head[2].bias.data.copy_(torch.tensor([0.1, -0.2]))  # whatever it is shown
    batch = batch_of(model, cell=2.0)
    loss = model.loss(batch, 0.0)["loss"]
    truth = batch.offset.numpy() / 2.0 / (SIZE / 2)
    expected = np.mean(np.sum(([0.1, -0.2] - truth) ** 2, axis=1))
    assert loss.item() == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "terms", "said"),
    [
        ("correlation", {}, "Correlation can't be trained"),
        ("cvml", {"tilt": 1.0}, "the loss of CVML has no 'tilt': expected some of sigma_start"),
        ("bev", {"nce": 1.0}, "the loss of BevModel has no 'nce'"),
        ("cvr", {"sigma_end": 1.0}, "the loss of CVR has no 'sigma_end': expected none"),
        ("cvml", {"nce_form": "per_batch"}, "nce_form"),
        ("bev", {"yaw": "much"}, "yaw"),
    ],
)
def test_options_of_another_loss_are_refused_in_one_line(
    name: str, terms: dict[str, Any], said: str
) -> None:
    model = registry.build(name, MODELS.get(name, {}))
    with pytest.raises(ValueError, match=said) as error:
        set_options(model, terms)
    assert "\n" not in str(error.value)


def test_a_method_has_its_own_options_and_keeps_the_defaults_of_the_rest() -> None:
    one, other = (registry.build("bev", MODELS["bev"]) for _ in range(2))
    set_options(one, {"tilt": 0.0})
    assert (one.objective.tilt, one.objective.yaw) == (0.0, 0.2)
    assert other.objective.tilt == 0.3  # the other model's is its own
    set_options(one)
    assert one.objective == other.objective


def test_an_unknown_tilt_teaches_nothing() -> None:
    """Labels of zero pulled the tilt of real cameras to the calibration's."""
    torch.manual_seed(0)
    model = registry.build("bev", MODELS["bev"]).eval()
    batch = batch_of(model, count=3)
    known = batch._replace(tilt=torch.tensor([[0.01, 0.0], [0.02, -0.01], [0.0, 0.03]]))
    unknown = known._replace(tilt=known.tilt.clone())
    unknown.tilt[1:] = float("nan")
    alone = model.loss(known.each(lambda part: part[:1]), 0.0)["tilt"]
    masked = model.loss(unknown, 0.0)
    assert masked["tilt"].item() == pytest.approx(alone.item(), rel=1e-5)
    masked["loss"].backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())
    none = model.loss(batch._replace(tilt=torch.full((3, 2), float("nan"))), 0.0)
    assert none["tilt"].item() == 0.0 and torch.isfinite(none["loss"])
