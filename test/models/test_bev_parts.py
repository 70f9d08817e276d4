"""The parts of the bird's-eye matcher: encoders, correlation, heads, and what its loss learns."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cross_view_localizer.models.bev import BevModel
from cross_view_localizer.models.contract import Batch, GroundInput, Scores
from cross_view_localizer.models.parts import losses
from cross_view_localizer.models.parts.correlate import correlate
from cross_view_localizer.models.parts.encoders import made
from cross_view_localizer.models.parts.heads import (
    MOST_HEIGHT_ERROR,
    HeightError,
    NoMatch,
    masked_mean,
)
from cross_view_localizer.models.parts.lite0 import Lite0

LEVEL = torch.tensor([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
SMALL: dict[str, Any] = {"encoder": "pyramid", "widths": (8, 8, 16, 16), "merged": 16}


def ground_of(model: BevModel, count: int = 2, seed: int = 0) -> GroundInput:
    random = torch.Generator().manual_seed(seed)
    view = model.view
    height, width = view.ground_height, view.ground_width
    matrix = torch.tensor([[150.0, 0, (width - 1) / 2], [0, 150.0, (height - 1) / 2], [0, 0, 1]])
    return GroundInput(
        torch.rand(count, 3, height, width, generator=random) * 255,
        matrix.expand(count, 3, 3),
        LEVEL.expand(count, 3, 3),
        torch.full((count,), 1.6),
    )


def batch_of(model: BevModel, count: int = 2, seed: int = 0) -> Batch:
    random = torch.Generator().manual_seed(seed + 1)
    aerial = torch.rand(count, 3, 192, 192, generator=random) * 255
    zero = torch.zeros(count)
    cell = torch.full((count,), 0.5)
    error = torch.full((count,), 0.1)
    offset = torch.zeros(count, 2)
    return Batch(
        aerial,
        ground_of(model, count, seed),
        torch.zeros(count, 2),
        offset,
        zero,
        cell,
        height_error=error,
        same_place=torch.ones(count),
    )


@pytest.mark.parametrize("side", [12, 13])
def test_the_correlation_has_the_gradients_of_what_it_computes(side: int) -> None:
    random = torch.Generator().manual_seed(0)
    picture = torch.randn(2, 3, side, side, generator=random, dtype=torch.float64)
    template = torch.randn(2, 4, 3, 5, 6, generator=random, dtype=torch.float64)

    def scores(picture: Tensor, template: Tensor) -> Tensor:
        return correlate(torch.fft.rfft2(picture), template)

    at = (7, 3)
    window = torch.roll(picture, (-at[0], -at[1]), (2, 3))[:, None, :, :5, :6]
    plain = (window * template).sum(dim=(2, 3, 4))
    torch.testing.assert_close(scores(picture, template)[:, :, at[0], at[1]], plain)
    picture.requires_grad_()
    template.requires_grad_()
    assert torch.autograd.gradcheck(scores, (picture, template))


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("kind", ["pyramid", "lite0"])
def test_encoders_give_features_at_strides_2_and_8(kind: Any, wrap: bool) -> None:
    net = made(kind, (8, 8, 16, 16), 16, wrap, 4).eval()
    merged, coarse = net(torch.rand(1, 4, 32, 96))
    assert merged.shape == (1, 16, 16, 48)
    assert coarse.shape == (1, net.coarse_channels, 4, 12)


def test_an_unknown_encoder_is_refused() -> None:
    with pytest.raises(ValueError, match="encoder 'vgg': expected pyramid or lite0"):
        BevModel(encoder="vgg")  # type: ignore[arg-type]


def test_nothing_is_learned_from_the_statistics_of_a_domain() -> None:
    """With group or frozen normalisation a picture's answer hangs on no other picture."""
    for model in (BevModel(encoder="lite0"), BevModel(**SMALL)):
        assert not [part for part in model.modules() if isinstance(part, torch.nn.BatchNorm2d)]


def test_lite0s_trunk_at_the_finest_stride_follows_a_shift_by_two_pixels() -> None:
    net = Lite0(16).eval()
    picture = torch.rand(1, 3, 32, 64)
    with torch.inference_mode():
        here = net.features(picture)[0]
        there = net.features(torch.roll(picture, 2, 3))[0]
    torch.testing.assert_close(here[..., 4:-5], there[..., 5:-4], atol=1e-5, rtol=1e-5)


def test_a_mean_counts_what_is_picture_only() -> None:
    features = torch.ones(1, 2, 4, 8)
    features[..., 4:] = 7.0
    mask = torch.ones(1, 1, 16, 32)
    mask[..., 16:] = 0
    torch.testing.assert_close(masked_mean(features, mask), torch.ones(1, 2))
    torch.testing.assert_close(masked_mean(features, None), torch.full((1, 2), 4.0))


def test_the_height_is_never_moved_beyond_reason() -> None:
    head = HeightError(8)
    for part in head.parameters():
        torch.nn.init.constant_(part, 3.0)
    found = head(torch.rand(2, 8, 20, 36), None, torch.full((2,), 1.6), torch.full((2,), 100.0))
    assert found.abs().max() <= MOST_HEIGHT_ERROR + 1e-6


def test_the_height_is_read_off_the_road_and_not_off_what_is_padded_below_it() -> None:
    head = HeightError(8)
    coarse = torch.rand(1, 8, 20, 36, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(1, 1, 160, 288)
    mask[:, :, 112:] = 0
    other = coarse.clone()
    other[:, :, 16:] += 5.0  # further below the picture than a convolution reaches
    told = (mask, torch.full((1,), 1.6), torch.full((1,), 100.0))
    torch.testing.assert_close(head(coarse, *told), head(other, *told))
    assert float((head(coarse, None, *told[1:]) - head(other, None, *told[1:])).abs()) > 1e-3


def test_what_lies_under_the_mask_changes_nothing() -> None:
    model = BevModel(**SMALL).eval()
    ground = ground_of(model)
    mask = torch.ones(2, 1, 160, 288)
    mask[:, :, :40] = 0
    mask[:, :, 120:] = 0
    aerial = torch.rand(2, 3, 192, 192) * 255
    other = ground.image.clone()
    other[:, :, :40] = 200.0
    with torch.inference_mode():
        one = model(aerial, ground._replace(mask=mask))
        two = model(aerial, ground._replace(mask=mask, image=other))
        whole = model(aerial, ground)
        full = model(aerial, ground._replace(mask=torch.ones_like(mask)))
    torch.testing.assert_close(one.log_mass, two.log_mass)
    torch.testing.assert_close(whole.log_mass, full.log_mass)
    assert one.no_match is not None and two.no_match is not None
    torch.testing.assert_close(one.no_match, two.no_match)
    assert not torch.allclose(one.log_mass, whole.log_mass)


def test_pairs_of_two_places_teach_nothing_about_the_place() -> None:
    model = BevModel(**SMALL).train()
    batch = batch_of(model, 4)
    strange = batch._replace(same_place=torch.tensor([1.0, 1.0, 1.0, 0.0]))
    moved = torch.cat([batch.offset[:3], torch.tensor([[20.0, -7.0]])])
    one = model.loss(strange, 0.5)
    two = model.loss(strange._replace(offset=moved), 0.5)
    torch.testing.assert_close(one["place"], two["place"])
    assert {"no_match", "height", "tilt", "yaw"} <= set(one)


def test_telling_strangers_counts_both_kinds_by_half() -> None:
    """Logits of 0 cost log 2 each; one right pair among strangers weighs as much as all these."""
    batch = batch_of(BevModel(**SMALL), 2)._replace(same_place=torch.tensor([1.0, 0.0]))
    even = losses.no_match(torch.zeros(2), torch.zeros(2), batch)
    torch.testing.assert_close(even, torch.tensor(math.log(2)))
    sure = losses.no_match(torch.tensor([-30.0, 30.0]), torch.full((2,), 30.0), batch)
    assert float(sure) < 1e-6
    missed = losses.no_match(torch.tensor([4.0, 30.0]), torch.full((2,), 30.0), batch)
    torch.testing.assert_close(missed, torch.tensor(math.log1p(math.exp(4.0)) / 2))


def test_neighbours_are_no_strangers() -> None:
    batch = batch_of(BevModel(**SMALL), 3)
    east = torch.tensor([0.0, 30.0, 500.0], dtype=torch.float64)
    batch = batch._replace(place=torch.stack([east, 0 * east, 0 * east], dim=1))
    assert losses.apart(batch).tolist() == [0.0, 1.0, 1.0]
    unknown = batch._replace(place=torch.full((3, 3), math.nan))
    assert losses.apart(unknown).tolist() == [1.0, 1.0, 1.0]
    logits = torch.tensor([-30.0, -30.0, -30.0])
    assert float(losses.no_match(logits, torch.tensor([-9.0, 30.0]), batch)) < 1e-6


@pytest.mark.parametrize(("count", "strangers"), [(1, 0.5), (2, 0.0)])
def test_a_sample_is_no_stranger_to_itself(count: int, strangers: float) -> None:
    model = BevModel(**SMALL)
    model.objective = replace(model.objective, strangers=strangers)
    terms = model.loss(batch_of(model, count), 0.5)
    assert torch.isfinite(terms["loss"]) and terms["no_match"] < math.log(3)
    with torch.no_grad():
        found = model._strangers(
            model.encode_aerial(batch_of(model, count).aerial),
            model.encode_ground(ground_of(model, count)),
        )
    assert len(found) == 0


def test_a_batch_of_strangers_alone_still_has_a_loss() -> None:
    batch = batch_of(BevModel(**SMALL), 2)._replace(same_place=torch.zeros(2))
    scores = Scores(torch.zeros(2, 1, 4, 4), torch.zeros(1))
    kept, here = losses.of_one_place(scores, batch)
    assert len(kept.log_mass) == len(here.yaw) == 2


def test_the_stated_height_is_mended_where_the_network_says_so() -> None:
    """A known error moves the template just as stating the true height does."""
    model = BevModel(**SMALL).eval()
    ground = ground_of(model, 1)
    aerial = torch.rand(1, 3, 192, 192) * 255

    def told(error: float) -> Any:
        def found(coarse: Tensor, mask: Any, height: Tensor, focal: Tensor) -> Tensor:
            return torch.full_like(height, error)

        return found

    with torch.inference_mode():
        model.height_error.forward = told(0.0)  # type: ignore[method-assign]
        right = model(aerial, ground._replace(height=torch.tensor([1.6])))
        wrong = model(aerial, ground._replace(height=torch.tensor([1.6 / math.exp(0.1)])))
        model.height_error.forward = told(0.1)  # type: ignore[method-assign]
        mended = model(aerial, ground._replace(height=torch.tensor([1.6 / math.exp(0.1)])))
    torch.testing.assert_close(mended.log_mass, right.log_mass, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(wrong.log_mass, right.log_mass, atol=1e-3)


def test_clear_peaks_are_told_from_scores_without_one() -> None:
    torch.manual_seed(0)
    head = NoMatch(4, 3, 8)
    optimizer = torch.optim.AdamW(head.parameters(), 1e-2)

    def logits(clear: bool) -> Tensor:
        score = torch.randn(16, 3, 12, 12) * 0.05
        if clear:
            score[:, 1, 7, 4] += 0.5
        place = torch.log_softmax(score.sum(dim=1).flatten(1) * 10, dim=1).view(16, 12, 12)
        return head(score, place, torch.rand(16, 4, 12, 12), torch.rand(16, 8), torch.rand(16, 8))

    for _ in range(60):
        loss = functional.softplus(logits(True)).mean() + functional.softplus(-logits(False)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float((logits(True) < 0).float().mean()) > 0.9
    assert float((logits(False) > 0).float().mean()) > 0.9
