"""A small residual feature pyramid, sized for a CPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


def conv_bn_relu(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU; a stride of 2 wants a kernel of 4.

    A 4 × 4 kernel with stride 2 and padding 1 is centred between pixels 2i and 2i + 1, where our
    resize convention puts the pixel i of a half-size picture; a 3 × 3 kernel would sit at 2i.
    """
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two 3 × 3 convolutions around an identity (He et al., CVPR 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv_bn_relu(channels, channels)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return an array of x's shape."""
        return F.relu(x + self.second(self.first(x)))


class Pyramid(nn.Module):
    """Stages at strides 2, 4, 8 and 16, merged top-down to stride 2 (Lin et al., CVPR 2017).

    Args:
        widths: channels of the four stages.
        output: channels of the merged map.
        wrap: pad the columns circularly, for 360 degree pictures; their width must be a multiple
            of 16.
    """

    def __init__(self, widths: Sequence[int], output: int, wrap: bool = False) -> None:
        super().__init__()
        self.wrap = wrap
        stages: list[nn.Module] = []
        previous = 3
        for index, width in enumerate(widths):
            blocks: list[nn.Module] = [conv_bn_relu(previous, width, 4, 2), Residual(width)]
            if index >= 2:
                blocks.append(Residual(width))
            stages.append(nn.Sequential(*blocks))
            previous = width
        self.stages = nn.ModuleList(stages)
        self.lateral = nn.ModuleList(nn.Conv2d(width, output, 1) for width in widths)
        self.smooth = nn.ModuleList(conv_bn_relu(output, output) for _ in widths[:-1])

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the merged map at stride 2, (B, output, H/2, W/2), and the raw stage at stride 8.

        ``image`` is (B, 3, H, W), normalised; H and W are multiples of 16 (with ``wrap``, 32
        columns of the other side are added before and cut off after).
        """
        margin = 32 if self.wrap else 0
        x = F.pad(image, (margin, margin, 0, 0), mode="circular") if margin else image
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        merged = self.lateral[-1](features[-1])
        for level in range(len(features) - 2, -1, -1):
            up = F.interpolate(merged, size=features[level].shape[-2:], mode="nearest")
            merged = self.smooth[level](self.lateral[level](features[level]) + up)
        if margin:
            return merged[..., margin // 2 : -(margin // 2)], features[2][
                ..., margin // 8 : -(margin // 8)
            ]
        return merged, features[2]
