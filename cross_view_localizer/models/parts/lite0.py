"""EfficientNet-Lite0's trunk (Tan and Le, ICML 2019; "lite": no squeeze, ReLU6) to stride 16.

Its normalisation is frozen, so it is folded into the convolutions: a convolution with a bias, then
ReLU6. ``training.weights.lite0`` brings the weights learned on ImageNet into this form.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cross_view_localizer.models.parts.backbone import Merging

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
"""What the weights expect of red, green and blue (0 … 255): less the mean, over the deviation."""
STEM = 32


class BlockSpec(NamedTuple):
    """One inverted bottleneck: channels in and out, kernel, stride, factor of expansion."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    expand: int


BLOCKS = (
    BlockSpec(32, 16, 3, 1, 1),
    BlockSpec(16, 24, 3, 2, 6),
    BlockSpec(24, 24, 3, 1, 6),
    BlockSpec(24, 40, 5, 2, 6),
    BlockSpec(40, 40, 5, 1, 6),
    BlockSpec(40, 80, 3, 2, 6),
    BlockSpec(80, 80, 3, 1, 6),
    BlockSpec(80, 80, 3, 1, 6),
)
# The last block at each stride from 2 to 16.
TAPS = (0, 2, 4, 7)


class Convolution(nn.Module):
    """A convolution with bias, padded evenly, and ReLU6 or none.

    TensorFlow pads strided convolutions on one side only: its features lie half a cell further to
    the right and down, which learning evens out either way.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, groups: int, bounded: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups)
        self.bounded = bounded

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride)."""
        if self.conv.groups > 1 and x.device.type == "cpu":
            # Filtering each channel in bfloat16 takes a CPU up to five times as long.
            with torch.autocast("cpu", enabled=False):
                x = self.conv(x.float())
        else:
            x = self.conv(x)
        return F.relu6(x) if self.bounded else x


class Block(nn.Module):
    """An inverted bottleneck: widen, filter each channel, narrow; around an identity if it can."""

    def __init__(self, spec: BlockSpec) -> None:
        super().__init__()
        wide = spec.inputs * spec.expand
        parts = [] if spec.expand == 1 else [Convolution(spec.inputs, wide, 1, 1, 1, True)]
        parts.append(Convolution(wide, wide, spec.kernel, spec.stride, wide, True))
        parts.append(Convolution(wide, spec.outputs, 1, 1, 1, False))
        self.parts = nn.Sequential(*parts)
        self.identity = spec.stride == 1 and spec.inputs == spec.outputs

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride)."""
        return x + self.parts(x) if self.identity else self.parts(x)


class Lite0(Merging):
    """The trunk with a pyramid on top; arguments as of `Merging`.

    Args:
        inputs: channels of the picture; ImageNet's weights look at the first three.
    """

    def __init__(self, output: int, wrap: bool = False, inputs: int = 3) -> None:
        super().__init__([BLOCKS[tap].outputs for tap in TAPS], output, wrap)
        self.stem = Convolution(inputs, STEM, 3, 2, 1, True)
        self.blocks = nn.ModuleList(Block(spec) for spec in BLOCKS)

    def features(self, image: Tensor) -> list[Tensor]:
        """See `Merging`."""
        x = self.stem(image)
        found = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in TAPS:
                found.append(x)
        return found
