"""Losses against values worked out by hand, and their gradients."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from cross_view_localizer.models.parts import losses
from cross_view_localizer.views import View

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def test_target_is_centred_between_cells() -> None:
    target = losses.gaussian_target(torch.tensor([[0.25, -1.5]]), size=16, sigma_cells=1.0)
    assert target.dtype == torch.float32 and target.shape == (1, 16, 16)
    cells = torch.arange(16.0)
    assert target.sum().item() == pytest.approx(1, abs=1e-6)
    assert (target.sum(1) @ cells).item() == pytest.approx(7.5 + 0.25, abs=1e-4)  # columns
    assert (target.sum(2) @ cells).item() == pytest.approx(7.5 - 1.5, abs=1e-4)  # rows


def test_unnormalised_target_by_hand() -> None:
    # 3 x 3, camera one cell right of the middle: distance² 1 at the middle, 0 right of it.
    target = losses.gaussian_target(torch.tensor([[1.0, 0.0]]), 3, 2.0, normalized=False)[0]
    assert target[1, 2] == 1
    assert target[1, 1].item() == pytest.approx(math.exp(-1 / 8))
    assert target[0, 1].item() == pytest.approx(math.exp(-2 / 8))


def test_sigma_may_differ_per_sample() -> None:
    both = losses.gaussian_target(torch.zeros(2, 2), 9, torch.tensor([1.0, 2.0]))
    for sample, sigma in zip(both, (1.0, 2.0), strict=True):
        assert torch.equal(sample, losses.gaussian_target(torch.zeros(1, 2), 9, sigma)[0])


def test_camera_far_outside_the_map_keeps_a_finite_target() -> None:
    target = losses.gaussian_target(torch.tensor([[500.0, 0.0]]), 8, 0.5)
    assert torch.isfinite(target).all() and target.sum().item() == pytest.approx(1)
    assert target[0, :, 7].sum().item() == pytest.approx(1)


def test_published_target_has_the_published_bias() -> None:
    # Patch centre 3 right and 5 up of the camera, i.e. the camera at column 253, row 261 of 512.
    target = losses.published_target(torch.tensor([[-3.0, 5.0]]))[0]
    cells = torch.arange(512.0)
    assert (target.sum(0) @ cells).item() == pytest.approx(253 * 511 / 512, abs=1e-3)
    assert (target.sum(1) @ cells).item() == pytest.approx(261 * 511 / 512, abs=1e-3)
    middle = losses.gaussian_target(torch.tensor([[-3.0, 5.0]]), 512, 4.0)[0]
    assert (middle.sum(0) @ cells).item() == pytest.approx(255.5 - 3, abs=1e-3)


def test_wrong_offset_shape_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"\(2,\): expected \(B, 2\)"):
        losses.gaussian_target(torch.zeros(2), 8, 1.0)


def test_cross_entropy_by_hand() -> None:
    log_mass = torch.log(torch.tensor([[0.5, 0.25], [0.125, 0.125]]))[None, None]
    target = torch.tensor([[[0.5, 0.0], [0.0, 0.5]]])
    loss = losses.soft_cross_entropy(log_mass, target)
    assert loss.item() == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(8))


def test_cross_entropy_ignores_masked_cells_and_reads_half_precision() -> None:
    log_mass = torch.tensor([[[[0.0, -math.inf]]]]).bfloat16().requires_grad_()
    loss = losses.soft_cross_entropy(log_mass, torch.tensor([[[1.0, 0.0]]]))
    assert loss.dtype == torch.float32 and loss.item() == 0
    (gradient,) = torch.autograd.grad(loss, log_mass)
    assert torch.isfinite(gradient).all()


def test_cross_entropy_is_least_at_the_target() -> None:
    target = losses.gaussian_target(torch.tensor([[0.3, 0.6]]), 8, 1.0)
    logits = target[:, None].log().requires_grad_()
    log_mass = torch.log_softmax(logits.flatten(1), 1).view(logits.shape)
    (gradient,) = torch.autograd.grad(losses.soft_cross_entropy(log_mass, target), logits)
    assert gradient.abs().max() < 1e-6


def test_cross_entropy_over_headings_and_wrong_shape() -> None:
    log_mass = torch.full((1, 2, 2, 2), math.log(1 / 8))
    target = torch.zeros(1, 2, 2, 2)
    target[0, 1, 0, 0] = 1
    assert losses.soft_cross_entropy(log_mass, target).item() == pytest.approx(math.log(8))
    with pytest.raises(ValueError, match="expected"):
        losses.soft_cross_entropy(log_mass, target[:, 0])


def test_labels_are_the_maximum_in_each_cell() -> None:
    target = torch.arange(16.0).view(1, 4, 4)
    assert losses.bottleneck_labels(target, 2).tolist() == [[[5, 7], [13, 15]]]
    with pytest.raises(ValueError, match="divisor"):
        losses.bottleneck_labels(target, 3)


def test_labels_of_a_view_whose_aerial_picture_lies_ahead() -> None:
    # 32 px of 0.5 m, the heatmap's middle 4 m = 8 px below the picture's: pixel (15.5, 23.5).
    view = View("pinhole", 8, 8, 32, 0.5, 16, 0.5, aerial_ahead=4.0)
    labels = losses.view_bottleneck_labels(view, torch.tensor([[-7.5, -3.5]]), 4, 1.0)
    assert labels.argmax().item() == 2 * 4 + 1  # pixel (8, 20): second row of cells from below
    assert labels.max().item() == pytest.approx(1)


MATCHING = torch.tensor([[[0.1, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.2]]])
LABELS = torch.tensor([[[1.0, 1.0], [0.005, 0.0]], [[0.0, 0.0], [0.0, 0.5]]])


def hand_terms() -> tuple[float, float, float]:
    """-log softmax at τ = 0.1 of: sample 0 at its 0.1, sample 0 at a 0, sample 1 at its 0.2."""
    first = math.log(math.e + 3)
    return first - 1, first, math.log(math.e**2 + 3) - 2


def test_info_nce_per_sample_by_hand() -> None:
    a, b, c = hand_terms()  # the 0.005 is below the threshold and no positive
    loss = losses.info_nce_per_sample(MATCHING, LABELS)
    assert loss.item() == pytest.approx(((a + b) / 2 + c) / 2, rel=1e-5)


def test_info_nce_batch_wide_by_hand() -> None:
    a, b, c = hand_terms()
    loss = losses.info_nce_batch_wide(MATCHING, LABELS)
    assert loss.item() == pytest.approx((a + b + 0.5 * c) / 2.5, rel=1e-5)


@pytest.mark.parametrize("loss", [losses.info_nce_per_sample, losses.info_nce_batch_wide])
def test_info_nce_without_positives_is_zero_and_differentiable(loss: Loss) -> None:
    matching = MATCHING.clone().requires_grad_()
    value = loss(matching, torch.zeros_like(LABELS))
    (gradient,) = torch.autograd.grad(value, matching)
    assert value.item() == 0 and not gradient.any()


@pytest.mark.parametrize("loss", [losses.info_nce_per_sample, losses.info_nce_batch_wide])
def test_info_nce_gradient_raises_positives(loss: Loss) -> None:
    """The gradient agrees with central differences, and pulls at positives against all others."""
    matching = MATCHING.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(matching, LABELS), matching)
    assert gradient[1, 1, 1] < 0 < gradient[1, 0, 0]
    for index in ((0, 0, 0), (0, 1, 1), (1, 1, 1)):
        step = torch.zeros_like(MATCHING)
        step[index] = 1e-2
        numeric = (loss(MATCHING + step, LABELS) - loss(MATCHING - step, LABELS)) / 2e-2
        assert gradient[index].item() == pytest.approx(numeric.item(), rel=2e-2, abs=1e-3)
