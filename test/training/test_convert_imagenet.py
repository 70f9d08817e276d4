"""ImageNet's VGG16 in our trunks, against VGG16 written out with torchvision's transform.

The real files could not be had here; random weights of the same names and shapes stand for them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from cross_view_localizer.models import weights
from cross_view_localizer.models.cvml import CVML
from cross_view_localizer.models.cvr import CVR
from cross_view_localizer.models.parts.vgg import BACKBONES, MEAN_BGR, Preprocess, VggTrunk
from training.weights import imagenet
from training.weights.imagenet import CONVOLUTIONS, SOURCES, Source, fill_trunks

NARROW = 1 / 8  # of VGG16's channels, so that a test takes no second
WIDTHS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
POOL_AFTER = (2, 7, 14, 21)  # of torchvision's features; the fifth pool is no part of our trunks


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """A narrow VGG16's state dictionary, random, with a classifier as torchvision's files have."""
    random = torch.Generator().manual_seed(0)
    found: dict[str, Tensor] = {"classifier.0.bias": torch.full((4096,), torch.nan)}
    inputs = 3
    for number, full in zip(CONVOLUTIONS, WIDTHS, strict=True):
        width = int(full * NARROW)
        weight = torch.randn(width, inputs, 3, 3, generator=random) * (2 / (9 * inputs)) ** 0.5
        found[f"features.{number}.weight"] = weight
        found[f"features.{number}.bias"] = 0.1 * torch.randn(width, generator=random)
        inputs = width
    return found


def documented(image: Tensor, source: Source) -> Tensor:
    """Apply torchvision's transform to (B, 3, H, W) RGB 0 … 255."""
    mean, std = (torch.tensor(v).double().view(1, 3, 1, 1) for v in (source.mean, source.std))
    return (image.double() / 255 - mean) / std


def plain_vgg16(state: dict[str, Tensor], padded: Tensor) -> Tensor:
    """conv5_3 after its ReLU, in float64; the first convolution's padding is given."""
    x = padded
    for number in CONVOLUTIONS:
        if number - 1 in (4, 9, 16, 23):  # what comes before is a pool
            x = functional.max_pool2d(x, 2)
        weight, bias = (state[f"features.{number}.{part}"].double() for part in ("weight", "bias"))
        x = functional.conv2d(x, weight, bias, padding=0 if number == 0 else 1).relu()
    return x


def picture() -> Tensor:
    return 255 * torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(1))


def our_trunk(state: dict[str, Tensor], source: Source) -> Callable[[Tensor], Tensor]:
    trunk = VggTrunk(BACKBONES["vgg16"].scaled(NARROW)).eval()
    fill_trunks(trunk, state, source)
    preprocess = Preprocess(BACKBONES["vgg16"].input_scale)
    return lambda image: trunk(preprocess(image))[-1]


def test_the_full_trunk_is_vgg16() -> None:
    convs = list(VggTrunk(BACKBONES["vgg16"]).convolutions())
    assert tuple(conv.out_channels for conv in convs) == WIDTHS
    assert BACKBONES["vgg16"].input_scale == 1


@pytest.mark.parametrize("name", SOURCES)
def test_the_trunk_computes_what_torchvision_would(name: str, state: dict[str, Tensor]) -> None:
    source = SOURCES[name]
    with torch.inference_mode():
        found = our_trunk(state, source)(picture())
        # Around the picture: the colour that zero stands for in our trunks.
        colour = torch.tensor(MEAN_BGR).flip(0).view(1, 3, 1, 1)
        framed = functional.pad(picture() - colour, (1, 1, 1, 1)) + colour
        expected = plain_vgg16(state, documented(framed, source))
        scale = expected.abs().max()
        assert (found - expected).abs().max() < 1e-5 * scale
        # The colour that zero stands for in torchvision's pictures makes little difference.
        theirs = functional.pad(documented(picture(), source), (1, 1, 1, 1))
        assert (found - plain_vgg16(state, theirs)).abs().max() < 0.01 * scale


@pytest.mark.parametrize("mistake", ["order", "scale", "shift"])
def test_the_comparison_would_notice(mistake: str, state: dict[str, Tensor]) -> None:
    source = SOURCES["IMAGENET1K_V1"]
    wrong = dict(state)
    if mistake == "order":
        wrong["features.0.weight"] = state["features.0.weight"].flip(1)
    elif mistake == "scale":
        source = source._replace(std=SOURCES["IMAGENET1K_V1"].std[::-1])
    else:
        source = source._replace(mean=SOURCES["IMAGENET1K_FEATURES"].mean)
    with torch.inference_mode():
        found = our_trunk(wrong, source)(picture())
        framed = functional.pad(documented(picture(), SOURCES["IMAGENET1K_V1"]), (1, 1, 1, 1))
        expected = plain_vgg16(state, framed)
    inside = (found - expected)[..., 1:, 1:-1].abs().max() / expected.abs().max()
    assert inside > 1e-4


def test_both_trunks_of_a_start_are_filled(
    state: dict[str, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(state, tmp_path / "vgg16.pth")
    out = tmp_path / "start.safetensors"
    imagenet.start(
        tmp_path / "vgg16.pth",
        out,
        "robotcar",
        "cvr",
        {"layer_norm": True, "width": NARROW, "hidden": 8},
        weights_name="IMAGENET1K_FEATURES",
    )
    assert "both trunks of IMAGENET1K_FEATURES" in capsys.readouterr().out
    loaded = weights.load(out, "cvr")
    model = loaded.model
    assert isinstance(model, CVR) and isinstance(model.norm, torch.nn.LayerNorm)
    assert "the rest random, seed 0" in loaded.metadata["source"]
    for trunk in (model.ground_trunk, model.aerial_trunk):
        for number, conv in list(zip(CONVOLUTIONS, trunk.convolutions(), strict=True))[1:]:
            assert torch.equal(conv.weight, state[f"features.{number}.weight"])
    first = next(model.ground_trunk.convolutions()).weight
    torch.testing.assert_close(first, state["features.0.weight"].flip(1))


def test_files_that_can_not_be_used_are_one_line(state: dict[str, Tensor], tmp_path: Path) -> None:
    out, narrow = tmp_path / "o.safetensors", {"width": NARROW, "hidden": 8}

    def refused(path: Path, **options: str) -> str:
        with pytest.raises(ValueError) as caught:
            imagenet.start(path, out, "robotcar", "cvr", narrow, **options)  # type: ignore[arg-type]
        message = str(caught.value)
        assert "\n" not in message and str(path) in message
        return message

    named = {"weights_name": "IMAGENET1K_V1"}
    assert "no such file" in refused(tmp_path / "none.pth")
    file = tmp_path / "vgg16.safetensors"
    save_file({k: v for k, v in state.items() if "28" not in k}, str(file))
    assert "say which it is with --weights_name" in refused(file)
    assert "'features.28.weight' is missing" in refused(file, **named)
    save_file({**state, "features.5.bias": torch.full((16,), torch.nan)}, str(file))
    assert "features.5 holds values that are not finite" in refused(file, **named)
    save_file({**state, "features.5.weight": torch.zeros(16, 8, 1, 1)}, str(file))
    assert "features.5 of shape (16, 8, 1, 1)" in refused(file, **named)
    file.write_bytes(file.read_bytes()[:100])
    assert "not a state dictionary of tensors" in refused(file, **named)
    pickled = tmp_path / "whole_model.pth"
    torch.save(torch.nn.Linear(2, 2), pickled)
    assert "not a state dictionary of tensors" in refused(pickled, **named)
    assert not out.exists()


def test_published_files_are_known_by_their_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "vgg16.pth"
    file.write_bytes(b"abc")  # SHA-256 ba7816bf…
    monkeypatch.setitem(SOURCES, "IMAGENET1K_V1", SOURCES["IMAGENET1K_V1"]._replace(digest="ba78"))
    assert imagenet.recognise(file) == "IMAGENET1K_V1"


@pytest.mark.parametrize("config", [{"backbone": "vgg16-compact"}, {"norm": "batch"}])
def test_other_trunks_are_refused_unchanged(
    config: dict[str, str], state: dict[str, Tensor]
) -> None:
    view = {"base": "robotcar", "aerial_size": 64, "output_size": 64}
    network = CVML(view, cells=2, width=NARROW, **config)  # type: ignore[arg-type]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(ValueError, match="expected VGG16's 13 with biases"):
        fill_trunks(network, state, SOURCES["IMAGENET1K_V1"])
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
