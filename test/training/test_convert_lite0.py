"""ImageNet's EfficientNet-Lite0 in our encoders, against its layers written out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cross_view_localizer.models import weights
from cross_view_localizer.models.bev import BevModel
from cross_view_localizer.models.parts.lite0 import BLOCKS, TAPS, Lite0
from training.learning.start import warm_start
from training.weights import lite0


def normed(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    """What the published network's normalisation does in evaluation."""
    mean, variance, weight, bias = (
        state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return functional.batch_norm(x, mean, variance, weight, bias, eps=1e-3)


def written_out(state: dict[str, Tensor], image: Tensor) -> list[Tensor]:
    """Convolution, normalisation and ReLU6 as published, apart, with even padding."""

    def layer(
        x: Tensor, conv: str, norm: str, bounded: bool = True, stride: int = 1, groups: int = 1
    ) -> Tensor:
        kernel = state[conv]
        around = kernel.shape[-1] // 2
        x = functional.conv2d(x, kernel, None, stride, around, 1, groups)
        x = normed(x, state, norm)
        return functional.relu6(x) if bounded else x

    x = layer(image, "_conv_stem.weight", "_bn0", stride=2)
    found = []
    for number, spec in enumerate(BLOCKS):
        name, before = f"_blocks.{number}._", x
        if spec.expand > 1:
            x = layer(x, f"{name}expand_conv.weight", f"{name}bn0")
        wide = x.shape[1]
        depthwise, norm = f"{name}depthwise_conv.weight", f"{name}bn1"
        x = layer(x, depthwise, norm, stride=spec.stride, groups=wide)
        x = layer(x, f"{name}project_conv.weight", f"{name}bn2", False)
        if spec.stride == 1 and spec.inputs == spec.outputs:
            x = x + before
        if number in TAPS:
            found.append(x)
    return found


def test_the_trunk_is_the_published_one() -> None:
    state = dict(lite0.published())
    net = Lite0(32, inputs=4).eval()
    net.load_state_dict({**net.state_dict(), **lite0.trunk(state, 4)})
    image = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        ours = net.features(torch.cat([image, torch.ones(1, 1, 64, 96)], dim=1))
        theirs = written_out(state, image)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-4)


def test_start_fills_both_encoders_and_names_its_source(tmp_path: Path) -> None:
    out = tmp_path / "start.safetensors"
    lite0.start(out, {})
    loaded = weights.load(out)
    model = loaded.model
    assert isinstance(model, BevModel)
    assert isinstance(model.ground_net, Lite0) and isinstance(model.aerial_net, Lite0)
    stem = lite0.trunk(lite0.published())["stem.conv.weight"]
    torch.testing.assert_close(model.ground_net.stem.conv.weight[:, :3].cpu(), stem)
    torch.testing.assert_close(model.aerial_net.stem.conv.weight.cpu(), stem)
    assert "Apache-2.0" in loaded.metadata["derived_from"][0]
    # What goes on from it is derived from it too.
    about, _ = warm_start(model, out, {"seeds": [1]}, same=False)
    assert about["derived_from"] == loaded.metadata["derived_from"]
    assert about["started_from"] == "start.safetensors" and about["seeds"] == [1]


def test_a_state_of_another_network_is_refused() -> None:
    with pytest.raises(ValueError, match="'_conv_stem.weight' is missing"):
        lite0.trunk({"features.0.weight": torch.zeros(1)})


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite0, "PACKAGE", "no_such_package_anywhere")
    with pytest.raises(ValueError, match=r"requirements/training\.txt"):
        lite0.published()
