"""Parts of a model that learn more slowly, or not at all."""

from __future__ import annotations

import pytest
import torch

from cross_view_localizer.models.bev import BevModel
from training.learning.module import Steps, Training

RATES = {"aerial_net": 0.3, "aerial_net.stem": 0.0, "aerial_net.blocks.7": 1.0}


def module(rates: dict[str, float]) -> Training:
    model = BevModel()
    return Training(model, 1e-3, 100, None, Steps(rates=rates))


def test_the_longest_beginning_of_a_name_counts() -> None:
    steps = Steps(rates=RATES)
    assert steps.factor("aerial_net.stem.conv.weight") == 0.0
    assert steps.factor("aerial_net.blocks.7.parts.0.conv.weight") == 1.0
    assert steps.factor("aerial_net.blocks.3.parts.0.conv.weight") == 0.3
    assert steps.factor("ground_net.stem.conv.weight") == 1.0


def test_a_frozen_part_learns_nothing_and_a_slow_one_less() -> None:
    trained = module(RATES)
    optimizer = trained.configure_optimizers()
    for group in optimizer.param_groups:
        group["lr"] = 1e-3 * group["factor"]
    before = {name: one.detach().clone() for name, one in trained.model.named_parameters()}
    for one in trained.model.parameters():
        if one.requires_grad:
            one.grad = torch.ones_like(one)
    optimizer.step()
    moved = {
        name: float((one - before[name]).abs().mean())
        for name, one in trained.model.named_parameters()
        if one.ndim == 1  # AdamW's decay leaves vectors alone
    }
    assert moved["aerial_net.stem.conv.bias"] == 0.0
    assert not trained.model.get_parameter("aerial_net.stem.conv.bias").requires_grad
    full = moved["ground_net.stem.conv.bias"]
    assert full == pytest.approx(1e-3, rel=0.05)
    assert moved["aerial_net.blocks.3.parts.0.conv.bias"] == pytest.approx(0.3 * full, rel=0.05)


def test_a_rate_for_a_part_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"steps.rates 'trunk': no parameter's name begins so"):
        module({"trunk": 0.1})
