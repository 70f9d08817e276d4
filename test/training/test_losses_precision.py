"""Losses stay float32 under mixed precision, and the properties they have for any input."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cross_view_localizer.models import registry
from cross_view_localizer.models.contract import CrossViewModel, GroundInput
from cross_view_localizer.models.parts import losses
from training.datasets.sample import Batch

Loss = Callable[[Tensor, Tensor], Tensor]
seeds = st.integers(0, 2**31 - 1)
offsets = st.tuples(st.floats(-9, 9), st.floats(-9, 9))
VIEW = {
    "base": "compact-front",
    "ground_width": 64,
    "ground_height": 48,
    "aerial_size": 64,
    "output_size": 48,
    "aerial_ahead": 2.0,
}


@pytest.fixture
def autocast() -> Iterator[None]:
    with torch.autocast("cpu", torch.bfloat16):
        yield


def matching_of(seed: int, batch: int = 3, cells: int = 4) -> tuple[Tensor, Tensor]:
    """Cosines in [-1, 1] and labels of cameras somewhere on the map, each with a positive cell."""
    random = torch.Generator().manual_seed(seed)
    cosines = 2 * torch.rand(batch, cells, cells, generator=random) - 1
    place = 16 * torch.rand(batch, 2, generator=random) - 8
    target = losses.gaussian_target(place, 16, 2.0, normalized=False)
    return cosines, losses.bottleneck_labels(target, cells)


@pytest.mark.usefixtures("autocast")
@pytest.mark.parametrize("loss", losses.INFO_NCE.values(), ids=losses.INFO_NCE)
def test_info_nce_ignores_autocast(loss: Loss) -> None:
    cosines, labels = matching_of(0)
    # bfloat16 tells 0.5 from 0.502 at best; divided by τ that would be 0.02 of a logit.
    cosines[0] = 0.5 + 1e-4 * torch.arange(16.0).view(4, 4)
    value = loss(cosines, labels)
    with torch.autocast("cpu", enabled=False):
        assert torch.equal(value, loss(cosines, labels))
    assert value.dtype == torch.float32
    assert loss(cosines.bfloat16(), labels).dtype == torch.float32


@pytest.mark.usefixtures("autocast")
def test_cross_entropy_and_targets_ignore_autocast() -> None:
    place = torch.tensor([[3.3, -2.7]])
    target = losses.gaussian_target(place, 32, 1.5)
    log_mass = torch.log_softmax(torch.randn(1, 1, 1024), 2).view(1, 1, 32, 32)
    value = losses.soft_cross_entropy(log_mass, target)
    with torch.autocast("cpu", enabled=False):
        assert torch.equal(target, losses.gaussian_target(place, 32, 1.5))
        assert torch.equal(value, losses.soft_cross_entropy(log_mass, target))
    assert target.dtype == value.dtype == torch.float32
    exact = -(target.double() * log_mass[:, 0].double()).sum().item()
    assert value.item() == pytest.approx(exact, rel=1e-6)  # bfloat16 would keep three digits
    assert losses.gaussian_target(place.half(), 32, 1.5).dtype == torch.float32


def model_and_batch(name: str) -> tuple[CrossViewModel, Batch]:
    torch.manual_seed(0)
    config = {
        "cvml": {"view": VIEW, "cells": 4, "backbone": "vgg16-compact", "norm": "batch"},
        "cvr": {"view": VIEW, "backbone": "vgg16-compact", "norm": "batch", "layer_norm": True},
        "bev": {"ground": "pinhole", "channels": 8, "widths": (8, 8, 16, 16), "merged": 8},
    }[name]
    model = registry.build(name, config).train()
    view = model.view
    aerial = 255 * torch.rand(4, 3, view.aerial_size, view.aerial_size)
    ground = GroundInput(
        255 * torch.rand(4, 3, view.ground_height, view.ground_width),
        torch.tensor([[120.0, 0, 31.5], [0, 120, 23.5], [0, 0, 1]]).expand(4, 3, 3),
        torch.tensor([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]).expand(4, 3, 3),
        torch.full((4,), 1.6),
    )
    cell = torch.full((4,), view.output_gsd)
    batch = Batch(aerial, ground, torch.zeros(4, 2), torch.rand(4, 2) * 8 - 4, torch.zeros(4), cell)
    return model, batch


@pytest.mark.usefixtures("autocast")
@pytest.mark.parametrize("name", ["cvml", "cvr", "bev"])
def test_every_objective_gives_float32_terms_and_finite_gradients(name: str) -> None:
    model, batch = model_and_batch(name)
    terms = model.loss(batch, 0.5)
    for key, value in terms.items():
        assert value.dtype == torch.float32 and torch.isfinite(value), key
    terms["loss"].backward()
    for key, parameter in model.named_parameters():
        if parameter.grad is not None:
            assert parameter.grad.dtype == torch.float32, key
            assert torch.isfinite(parameter.grad).all(), key


@settings(max_examples=30, deadline=None)
@given(seeds, st.floats(-1, 1))
def test_info_nce_depends_on_differences_of_cosines_only(seed: int, shift: float) -> None:
    cosines, labels = matching_of(seed)
    for loss in losses.INFO_NCE.values():
        value = loss(cosines, labels)
        assert value >= 0
        torch.testing.assert_close(loss(cosines + shift, labels), value, rtol=1e-4, atol=1e-4)
        known = cosines.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(known, labels), known)
        assert gradient.sum((1, 2)).abs().max() < 1e-4


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_both_forms_of_info_nce_agree_on_one_sample_and_on_no_order(seed: int) -> None:
    cosines, labels = matching_of(seed)
    forms = list(losses.INFO_NCE.values())
    first = [loss(cosines[:1], labels[:1]) for loss in forms]
    torch.testing.assert_close(first[0], first[1], rtol=1e-4, atol=1e-5)
    for loss in forms:
        flipped = loss(cosines.flip(0), labels.flip(0))
        torch.testing.assert_close(flipped, loss(cosines, labels), rtol=1e-4, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(seeds, offsets, st.floats(0.5, 3))
def test_cross_entropy_is_at_least_the_targets_entropy(
    seed: int, offset: tuple[float, float], sigma: float
) -> None:
    target = losses.gaussian_target(torch.tensor([offset]), 20, sigma)
    logits = torch.randn(1, 1, 400, generator=torch.Generator().manual_seed(seed))
    log_mass = torch.log_softmax(logits, 2).view(1, 1, 20, 20)
    entropy = losses.soft_cross_entropy(target.clamp(min=1e-38).log()[:, None], target)
    assert losses.soft_cross_entropy(log_mass, target) >= entropy - 1e-4


@settings(max_examples=30, deadline=None)
@given(offsets, st.floats(0.5, 3))
def test_a_target_mirrors_with_its_offset(offset: tuple[float, float], sigma: float) -> None:
    right, down = offset
    target = losses.gaussian_target(torch.tensor([[right, down]]), 20, sigma)
    mirrored = losses.gaussian_target(torch.tensor([[-right, down]]), 20, sigma)
    upside = losses.gaussian_target(torch.tensor([[right, -down]]), 20, sigma)
    turned = losses.gaussian_target(torch.tensor([[down, right]]), 20, sigma)
    for found, expected in ((mirrored, target.flip(2)), (upside, target.flip(1))):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(turned, target.transpose(1, 2), rtol=1e-3, atol=1e-6)
