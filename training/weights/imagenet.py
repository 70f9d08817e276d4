"""ImageNet's VGG16 as the start of CVML's or CVR's trunks, as the papers train them:
``python -m training.weights.imagenet --vgg16 vgg16_features-amdegroot-88682ab5.pth --view vigor
--out start.safetensors``.

The file is torchvision's; nothing is downloaded here, and torchvision is not needed.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jsonargparse
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cross_view_localizer.models import registry, weights
from cross_view_localizer.models.parts.vgg import MEAN_BGR, VggTrunk


class Source(NamedTuple):
    """What a set of weights expects of a picture: (rgb / 255 - mean) / std.

    Attributes:
        mean, std: red, green, blue, as torchvision documents its transform.
        digest: how the SHA-256 of the published file begins.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    digest: str


SOURCES = {
    # VGG's own weights, made with Caffe; the papers' start. Only the convolutions are of use.
    "IMAGENET1K_FEATURES": Source(
        (0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255), "88682ab5"
    ),
    # Trained anew by torchvision.
    "IMAGENET1K_V1": Source((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "397923af"),
}
# Numbers of the convolutions among torchvision's "features".
CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


def start(
    vgg16: Path,
    out: Path,
    view: str = "vigor",
    model: Literal["cvml", "cvr"] = "cvml",
    settings: dict[str, Any] | None = None,
    weights_name: Literal["IMAGENET1K_FEATURES", "IMAGENET1K_V1"] | None = None,
    seed: int = 0,
) -> None:
    """Write weights whose trunks are ImageNet's and whose other parts are random.

    Args:
        vgg16: torchvision's state dictionary, .pth or .safetensors.
        out: the .safetensors file to write, for training's ``--start``.
        view: of the model.
        model: the method.
        settings: the model's other configuration.
        weights_name: which of torchvision's VGG16_Weights the file is; needed only where the file
            is not byte for byte a published one.
        seed: of the other parts.
    """
    name = weights_name or recognise(vgg16)
    torch.manual_seed(seed)
    config = {"view": view, **(settings or {})}
    network = registry.build(model, config)
    try:
        fill_trunks(network, read_state(vgg16), SOURCES[name])
    except ValueError as error:
        raise ValueError(f"{vgg16}: {error}") from error
    about = {"source": f"trunks: VGG16 {name}; the rest random, seed {seed}", "seeds": [seed]}
    weights.save(out, model, config, network.state_dict(), about)
    print(f"{out}: {model} ({view}), both trunks of {name}, the rest random")


def recognise(path: Path) -> str:
    """Return which published file this is, by its digest.

    Raises:
        ValueError: missing, or none of them.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file: expected torchvision's VGG16 state dictionary")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for name, source in SOURCES.items():
        if digest.startswith(source.digest):
            return name
    raise ValueError(
        f"{path}: SHA-256 {digest[:8]}… is no published file's "
        f"({', '.join(f'{n} {s.digest}' for n, s in SOURCES.items())}): truncated? else say which "
        "it is with --weights_name"
    )


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dictionary without running what a pickle may carry.

    Raises:
        ValueError: missing, truncated, or anything but tensors by name.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(str(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        reason = str(error).splitlines()[0][:150] if str(error) else type(error).__name__
        raise ValueError(f"not a state dictionary of tensors ({reason})") from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError("not a state dictionary of tensors by name: expected torchvision's VGG16")
    return state


def fill_trunks(network: nn.Module, state: Mapping[str, Tensor], source: Source) -> None:
    """Put VGG16's convolutions into every trunk of a model.

    Raises:
        ValueError: where the state or the trunks are not VGG16's; nothing changes then.
    """
    layers: list[tuple[Tensor, Tensor]] = []
    for number in CONVOLUTIONS:
        names = (f"features.{number}.weight", f"features.{number}.bias")
        if lacking := [name for name in names if name not in state]:
            raise ValueError(
                f"'{lacking[0]}' is missing: expected torchvision's VGG16 (no vgg16_bn)"
            )
        layers.append((state[names[0]].float(), state[names[1]].float()))
    layers[0] = fold(*layers[0], source)
    trunks = [part for part in network.modules() if isinstance(part, VggTrunk)]
    for trunk in trunks:
        _check(list(trunk.convolutions()), layers)
    with torch.no_grad():
        for trunk in trunks:
            for conv, (weight, bias) in zip(trunk.convolutions(), layers, strict=True):
                assert conv.bias is not None
                conv.weight.copy_(weight)
                conv.bias.copy_(bias)


def _check(convs: list[nn.Conv2d], layers: list[tuple[Tensor, Tensor]]) -> None:
    if len(convs) != len(layers) or any(conv.bias is None for conv in convs):
        raise ValueError(
            f"trunk of {len(convs)} convolutions: expected VGG16's {len(layers)} with biases "
            "(backbone vgg16, norm none or group)"
        )
    for number, conv, (weight, bias) in zip(CONVOLUTIONS, convs, layers, strict=True):
        shapes = (tuple(weight.shape), tuple(bias.shape))
        if shapes != (tuple(conv.weight.shape), (conv.out_channels,)):
            raise ValueError(
                f"features.{number} of shape {shapes[0]}: expected {tuple(conv.weight.shape)}"
            )
        if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
            raise ValueError(f"features.{number} holds values that are not finite")


def fold(weight: Tensor, bias: Tensor, source: Source) -> tuple[Tensor, Tensor]:
    """Return the first convolution for our trunks' input: BGR, 0 … 255, less `MEAN_BGR`.

    With x our input and its order turned to RGB, torchvision's is (x + MEAN - 255 mean) / (255
    std). The scale goes into the weights and the shift into the bias. What can't be carried over is
    what zero padding stands for: our mean colour instead of theirs, half a grey level off.
    """
    ours = torch.tensor(MEAN_BGR, dtype=torch.float64).flip(0)
    mean = 255 * torch.tensor(source.mean, dtype=torch.float64)
    std = 255 * torch.tensor(source.std, dtype=torch.float64)
    kernel = weight.double() / std.view(1, 3, 1, 1)
    shift = (kernel.sum((2, 3)) * (ours - mean)).sum(1)
    return kernel.flip(1).float(), (bias.double() + shift).float()


def main() -> None:
    """Command line."""
    try:
        jsonargparse.CLI(start, as_positional=False)
    except ValueError as error:  # also WeightsError
        raise SystemExit(f"imagenet: {error}") from None


if __name__ == "__main__":
    main()
