"""VGG trunks (Simonyan and Zisserman 2015) as CVML uses them: no pool after the last block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

MEAN_BGR = (103.939, 116.779, 123.6)
"""What the authors subtract, as blue, green, red on a scale of 0 … 255."""


@dataclass(frozen=True)
class BackboneSpec:
    """Sizes of one backbone and of the decoder that goes with it.

    Attributes:
        widths, depths: channels and number of 3 × 3 convolutions per block; pools between blocks.
        decoder: channels of the decoder's stages that have a skip connection, one per block,
            coarsest first.
        bottleneck: channels after the transposed and after the plain convolutions of the stages
            that are coarser than the trunk's last block (they have no skip connection).
        dropout_blocks: dropout follows each convolution of this many last blocks, in training.
        dropout: its probability.
        input_scale: factor on the mean-free picture (1 for weights made for 0 … 255).
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    decoder: tuple[int, ...]
    bottleneck: tuple[int, int]
    dropout_blocks: int = 0
    dropout: float = 0.0
    input_scale: float = 1.0

    def scaled(self, factor: float) -> BackboneSpec:
        """Return the spec with all channel counts multiplied, at least 8 and multiples of 8."""

        def scale(widths: Sequence[int]) -> tuple[int, ...]:
            return tuple(max(8, round(width * factor / 8) * 8) for width in widths)

        first, second = scale(self.bottleneck)
        return replace(
            self,
            widths=scale(self.widths),
            decoder=scale(self.decoder),
            bottleneck=(first, second),
        )


BACKBONES = {
    # The authors' (kept probability 0.8 after conv4_* and conv5_*).
    "vgg16": BackboneSpec(
        widths=(64, 128, 256, 512, 512),
        depths=(2, 2, 3, 3, 3),
        decoder=(256, 128, 64, 32, 16),
        bottleneck=(1024, 512),
        dropout_blocks=2,
        dropout=0.2,
    ),
    # Ours, for training from scratch without a GPU: one block and thus one pool fewer.
    "vgg16-compact": BackboneSpec(
        widths=(16, 32, 64, 128),
        depths=(1, 2, 2, 2),
        decoder=(64, 48, 32, 16),
        bottleneck=(128, 96),
        input_scale=1 / 64,
    ),
}


def normalization(kind: str, channels: int) -> nn.Module:
    """Return what lies between convolution and ReLU: "none" (the authors'), "batch", "group"."""
    if kind == "none":
        return nn.Identity()
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "group":
        return nn.GroupNorm(8, channels)
    raise ValueError(f"normalization {kind!r}: expected none, batch or group")


def pool_same(feature: Tensor) -> Tensor:
    """2 × 2 max pool of stride 2 over (B, C, H, W), padded like TensorFlow's SAME.

    An odd side is padded at its end, so the output has ceil(side / 2) cells.
    """
    odd = feature.shape[2] % 2 or feature.shape[3] % 2
    if odd or torch.is_grad_enabled():
        return functional.max_pool2d(feature, 2, 2, ceil_mode=True)
    # On a CPU max_pool2d also writes eight bytes of index per value, which nobody asked for.
    rows = torch.maximum(feature[:, :, ::2], feature[:, :, 1::2])
    return torch.maximum(rows[..., ::2], rows[..., 1::2])


class Preprocess(nn.Module):
    """RGB 0 … 255 to the trunk's input: BGR, mean subtracted, scaled."""

    mean: Tensor

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("mean", torch.tensor(MEAN_BGR).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, 3, H, W) float32 for (B, 3, H, W) RGB."""
        centred = image.float().flip(1) - self.mean
        return centred if self.scale == 1 else centred * self.scale


class VggTrunk(nn.Module):
    """conv1_1 … conv5_3 with a ReLU after each; SAME padding everywhere."""

    def __init__(self, spec: BackboneSpec, norm: str = "none") -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        channels = 3
        for index, (width, depth) in enumerate(zip(spec.widths, spec.depths, strict=True)):
            drop = spec.dropout if index >= len(spec.widths) - spec.dropout_blocks else 0.0
            block = nn.Sequential()
            for number in range(1, depth + 1):
                conv = nn.Conv2d(channels, width, 3, padding=1, bias=norm != "batch")
                block.add_module(f"conv{number}", conv)
                if norm != "none":
                    block.add_module(f"norm{number}", normalization(norm, width))
                block.add_module(f"relu{number}", nn.ReLU(inplace=True))
                if drop:
                    block.add_module(f"dropout{number}", nn.Dropout(drop))
                channels = width
            self.blocks.append(block)

    def convolutions(self) -> Iterator[nn.Conv2d]:
        """Go through the convolutions in their order."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                yield module

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return each block's output, finest first: (B, widths[i], ⌈H / 2^i⌉, ⌈W / 2^i⌉)."""
        features: list[Tensor] = []
        for block in self.blocks:
            image = block(pool_same(image) if features else image)
            features.append(image)
        return features
