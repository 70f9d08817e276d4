"""CVML's parts against TensorFlow's semantics written out in NumPy, and its configurations."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cross_view_localizer.models import registry, weights
from cross_view_localizer.models.contract import GroundInput, Scores
from cross_view_localizer.models.cvml import CVML, VIEWS
from cross_view_localizer.models.parts.safa import Safa, split_cells, unit_length
from cross_view_localizer.models.parts.upconv import UpConv
from cross_view_localizer.models.parts.vgg import Preprocess, pool_same
from cross_view_localizer.views import View

Array = NDArray[np.float64]
SMALL: dict[str, Any] = {
    "view": {"base": "robotcar", "aerial_size": 64, "output_size": 64, "ground_width": 37},
    "cells": 2,
    "width": 1 / 16,
}
UNUSED = torch.zeros(1)


def numpy_same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's rule: ceil(size / stride) outputs; the odd pixel of padding goes to the end."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def numpy_conv(x: Array, kernel: Array, stride: int) -> Array:
    """``tf.nn.conv2d`` with SAME over one (H, W, C) picture, kernel HWIO."""
    side = kernel.shape[0]
    rows, columns = (numpy_same_padding(n, side, stride) for n in x.shape[:2])
    x = np.pad(x, (rows, columns, (0, 0)))
    out = np.zeros(
        ((x.shape[0] - side) // stride + 1, (x.shape[1] - side) // stride + 1, kernel.shape[3])
    )
    for i, j in np.ndindex(*out.shape[:2]):
        patch = x[i * stride : i * stride + side, j * stride : j * stride + side]
        out[i, j] = np.einsum("hwc,hwco->o", patch, kernel)
    return out


def picture(*shape: int) -> Array:
    return np.random.default_rng(0).normal(size=shape)


def to_torch(x: Array) -> torch.Tensor:
    return torch.from_numpy(x).permute(2, 0, 1)[None].float()


def to_numpy(x: torch.Tensor) -> NDArray[Any]:
    return x.detach()[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [(6, 8), (5, 7), (7, 4), (1, 3)])
def test_pool_is_same_padded(size: tuple[int, int], training: bool) -> None:
    x = picture(*size, 2)
    rows, columns = (numpy_same_padding(n, 2, 2) for n in size)
    padded = np.pad(x, (rows, columns, (0, 0)), constant_values=-np.inf)
    shape = (padded.shape[0] // 2, 2, padded.shape[1] // 2, 2, 2)
    with torch.set_grad_enabled(training):
        result = to_numpy(pool_same(to_torch(x)))
    np.testing.assert_allclose(result, padded.reshape(shape).max((1, 3)), 1e-6)


def test_pool_sizes_of_robotcar() -> None:
    x = torch.zeros(1, 1, 154, 231)
    for size in ((77, 116), (39, 58), (20, 29), (10, 15), (5, 8)):
        x = pool_same(x)
        assert x.shape[2:] == size


@pytest.mark.parametrize("channels", [2, 32])  # by one convolution, and by one product
@pytest.mark.parametrize("size", [(4, 4), (5, 3), (1, 2)])
def test_transposed_convolution_is_the_adjoint_of_a_same_convolution(
    size: tuple[int, int], channels: int
) -> None:
    """TensorFlow defines conv2d_transpose as the gradient of conv2d; here by its whole matrix."""
    layer = UpConv(channels, 3, bias=False)
    kernel = layer.conv.weight.detach().permute(2, 3, 1, 0).double().numpy()  # HWOI
    x = picture(*size, channels)
    big = (2 * size[0], 2 * size[1], 3)
    expected = np.zeros(big)
    for index in np.ndindex(*big):  # <transpose(x), e> = <x, conv(e)> for every unit picture e
        unit = np.zeros(big)
        unit[index] = 1
        expected[index] = (numpy_conv(unit, kernel, 2) * x).sum()
    np.testing.assert_allclose(to_numpy(layer(to_torch(x))), expected, 1e-5, 1e-5)


@pytest.mark.parametrize("channels", [2, 32])
def test_transposed_convolution_equals_torchs_with_the_end_cut(channels: int) -> None:
    """Values, bias and gradients, in a batch."""
    layer = UpConv(channels, 4)
    x = torch.randn(2, channels, 5, 3, requires_grad=True)
    results = [layer(x), layer.conv(x)[:, :, :-1, :-1]]
    torch.testing.assert_close(*results)
    slope = torch.randn_like(results[0])
    inputs = [x, *layer.parameters()]
    gradients = [torch.autograd.grad((out * slope).sum(), inputs) for out in results]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(4, 6), (5, 3)])
def test_trunk_convolution_is_same_padded(size: tuple[int, int]) -> None:
    conv = next(CVML(**SMALL).ground_trunk.convolutions())
    kernel = conv.weight.detach().permute(2, 3, 1, 0).double().numpy()  # HWIO
    x = picture(*size, 3)
    np.testing.assert_allclose(to_numpy(conv(to_torch(x))), numpy_conv(x, kernel, 1), 1e-5, 1e-5)


def test_safa_written_out() -> None:
    safa, x = Safa(6, heads=2), picture(6, 4)
    w1, b1, w2, b2 = (p.detach().double().numpy() for p in safa.parameters())
    expected = np.zeros((2, 4))
    for d in range(2):
        mask = (x.mean(1) @ w1[:, :, d] + b1[0, :, d]) @ w2[:, :, d] + b2[0, :, d]
        expected[d] = mask @ x
    result = safa(torch.from_numpy(x)[None].float()).detach().numpy()
    np.testing.assert_allclose(result[0], expected.ravel(), atol=1e-6)


def test_unit_length_keeps_tiny_vectors_like_tensorflow() -> None:
    vectors = torch.tensor([[3.0, 4.0], [3e-7, 4e-7], [0.0, 0.0]])
    expected = [[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]  # x / sqrt(max(Σ x², 1e-12))
    np.testing.assert_allclose(unit_length(vectors).numpy(), expected, rtol=1e-5)


def test_cells_are_cut_row_by_row() -> None:
    x = torch.arange(24.0).view(1, 1, 4, 6)
    cells = split_cells(x, 2)[:, :, 0]
    assert cells[1].tolist() == [3, 4, 5, 9, 10, 11]
    assert cells[2].tolist() == [12, 13, 14, 18, 19, 20]


def test_pictures_become_bgr_without_mean() -> None:
    image = torch.tensor([123.6, 116.779, 103.939]).view(1, 3, 1, 1) + torch.tensor(
        [1.0, 2.0, 3.0]
    ).view(3, 1, 1)
    assert Preprocess()(image).flatten().tolist() == pytest.approx([3, 2, 1], abs=1e-4)


def pair(model: CVML, batch: int = 1) -> tuple[torch.Tensor, GroundInput]:
    random = torch.Generator().manual_seed(1)
    view = model.view
    aerial = 255 * torch.rand(batch, 3, view.aerial_size, view.aerial_size, generator=random)
    ground = 255 * torch.rand(batch, 3, view.ground_height, view.ground_width, generator=random)
    return aerial, GroundInput(ground, UNUSED, UNUSED, UNUSED)


def both(model: CVML, aerial: torch.Tensor, ground: GroundInput) -> tuple[Scores, torch.Tensor]:
    return model.match_with_bottleneck(model.encode_aerial(aerial), model.encode_ground(ground))


@pytest.mark.parametrize(("cells", "stages"), [(1, 9), (2, 8), (4, 7), (8, 6), (16, 5)])
def test_each_number_of_cells_gives_a_map_over_all_pixels(cells: int, stages: int) -> None:
    model = CVML("robotcar", cells=cells, width=1 / 16).eval()
    assert len(model.decoder.stages) == stages
    with torch.inference_mode():
        scores, matching = both(model, *pair(model))
    assert matching.shape == (1, cells, cells)
    assert scores.log_mass.shape == (1, 1, 512, 512) and scores.yaw_offsets.tolist() == [0]
    assert scores.log_mass.exp().sum().item() == pytest.approx(1, abs=1e-4)


def test_cells_as_fine_as_the_last_feature_map() -> None:
    model = CVML(**{**SMALL, "cells": 4})
    assert len(model.decoder.stages) == 4
    assert model(*pair(model)).log_mass.shape == (1, 1, 64, 64)


@pytest.mark.parametrize("fusion", ["M", "SM", "SG", "SMG", "S+M+G", "G"])
def test_fusion_inputs_reach_the_decoder_and_others_do_not(fusion: str) -> None:
    model = CVML(**SMALL, fusion=fusion).eval()
    aerial, ground = pair(model)
    with torch.inference_mode():
        encoding, query = model.encode_aerial(aerial), model.encode_ground(ground)
        matching = model.matching_map(encoding, query)
        logits = model.logits(encoding, query, matching)
        turned = encoding
        if model.decoder.first.aerial is not None:
            cells = -encoding.descriptors.permute(0, 3, 1, 2)
            turned = encoding._replace(first=model.decoder.first.aerial(cells))
        other = {
            "M": model.logits(encoding, query, matching + 1),
            "G": model.logits(encoding, -query, matching),
            "S": model.logits(turned, query, matching),
        }
    for letter, changed in other.items():
        assert torch.equal(changed, logits) == (letter not in fusion)


def test_a_blind_network_sees_no_camera() -> None:
    blind = CVML(**SMALL, blind=True).eval()
    aerial, ground = pair(blind)
    other = ground._replace(image=ground.image.flip(3))
    with torch.inference_mode():
        assert torch.equal(blind(aerial, ground).log_mass, blind(aerial, other).log_mass)


def test_all_parameters_are_trained() -> None:
    model = CVML(**SMALL, fusion="SMG")
    model(*pair(model, 2)).log_mass[:, 0, 3, 5].sum().backward()
    idle = [name for name, value in model.named_parameters() if not value.grad.any()]  # type: ignore[union-attr]
    assert idle == []


def test_an_aerial_encoding_serves_many_ground_pictures() -> None:
    model = CVML(**SMALL).eval()
    aerial, ground = pair(model, 3)
    with torch.inference_mode():
        together = model(aerial, ground).log_mass
        kept = model.encode_aerial(aerial[1:2])
        for _ in range(2):  # matching changes nothing in what is kept
            query = model.encode_ground(ground._replace(image=ground.image[1:2]))
            single = model.match(kept, query).log_mass
            torch.testing.assert_close(single, together[1:2], atol=1e-4, rtol=0)


@pytest.mark.parametrize("autocast", [True, False])
def test_half_precision_stays_near_and_gives_float32(autocast: bool) -> None:
    exact = CVML(**{**SMALL, "width": 1 / 4}).eval()
    half = copy.deepcopy(exact).prepare_inference(torch.bfloat16)
    aerial, ground = pair(exact)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        scores, matching = both(half, aerial, ground)
    with torch.inference_mode():
        expected, expected_matching = both(exact, aerial, ground)
    assert scores.log_mass.dtype == matching.dtype == torch.float32
    assert (matching - expected_matching).abs().max() < 0.01
    difference = (scores.log_mass - expected.log_mass).std() / expected.log_mass.std()
    assert 0 < difference < 0.05


def test_heatmap_of_a_part_of_the_picture() -> None:
    """Cropping before the last stages changes no logit; the map may lie behind the middle."""
    view = {"base": "compact-front", "aerial_size": 128, "output_size": 64, "aerial_ahead": 6.5}
    whole = {"base": "compact-front", "aerial_size": 128, "output_size": 128, "aerial_ahead": 0.0}
    options: dict[str, Any] = {"backbone": "vgg16-compact", "cells": 8, "width": 0.5}
    part, full = CVML(view, **options).eval(), CVML(whole, **options).eval()
    full.load_state_dict(part.state_dict())
    with torch.inference_mode():
        expected = full(*pair(full)).log_mass[..., 32 + 13 : 96 + 13, 32:96]
        result = part(*pair(part)).log_mass
    shift = (result - expected).mean()  # only the normalisation differs
    torch.testing.assert_close(result - shift, expected, atol=1e-4, rtol=0)


def test_named_views() -> None:
    assert VIEWS["robotcar"].aerial_gsd * 512 == pytest.approx(800 * 0.0924)
    assert VIEWS["vigor"].aerial_gsd * 512 == pytest.approx(72.96)
    assert not VIEWS["vigor"].heading_up and VIEWS["robotcar"].heading_up
    assert CVML({"base": "vigor", "heading_up": True}, width=1 / 16).view.heading_up
    assert isinstance(registry.build("cvml", {"view": "robotcar", "width": 1 / 16}).view, View)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"view": "paris"}, "view 'paris': expected one of vigor, robotcar"),
        ({"cells": 3}, "3 cells over 512 px"),
        ({"cells": 0}, "0 cells over 512 px"),
        ({"view": {"base": "vigor", "aerial_size": 500, "output_size": 500}}, "cells over 500 px"),
        ({"view": {"base": "vigor", "output_size": 600}}, "heatmap of 600 cells"),
        ({"view": {"base": "vigor", "output_size": 256, "aerial_ahead": 0.1}}, "whole pixels"),
        ({"view": {"base": "vigor", "output_gsd": 0.2}}, "heatmap of 512 cells of 0.2 m"),
        ({"fusion": "SX"}, "fusion 'SX': expected some of S, M and G"),
        ({"fusion": ""}, "fusion ''"),
        ({"backbone": "resnet"}, "backbone 'resnet': expected one of vgg16"),
        ({"norm": "layer"}, "normalization 'layer'"),
    ],
)
def test_wrong_configurations_are_one_line(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        CVML(**{"width": 1 / 16, **config})
    assert "\n" not in str(caught.value)


def test_weights_are_saved_and_loaded(tmp_path: Path) -> None:
    model = CVML(**SMALL).eval()
    file = tmp_path / "cvml.safetensors"
    weights.save(file, "cvml", SMALL, model.state_dict(), {"seed": 1})
    loaded = weights.load(file, expected="cvml").model
    inputs = pair(model)
    with torch.inference_mode():
        assert torch.equal(loaded(*inputs).log_mass, model(*inputs).log_mass)


def test_without_skip_connections_fusion_m_sees_the_matching_map_only() -> None:
    """Two aerial pictures whose matching maps are made equal: only the skips tell them apart."""
    torch.manual_seed(0)
    aerial = 255 * torch.rand(2, 3, 64, 64)
    matching = torch.rand(1, 2, 2).repeat(2, 1, 1)
    for kept in (True, False):
        model = CVML(**SMALL, fusion="M", skip_connections=kept).eval()
        encoding = model.encode_aerial(aerial)
        logits = model.logits(encoding, torch.zeros(2, encoding.descriptors.shape[-1]), matching)
        assert torch.equal(logits[0], logits[1]) == (not kept)
