"""Small feature pyramids, sized for a CPU: ours from scratch, and one that begins at ImageNet."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

GROUP = 8
# What a 360 degree picture is widened by on either side, columns; a multiple of every stride.
MARGIN = 32


def normed(channels: int) -> nn.Module:
    """Return a normalisation layer that takes its statistics from the picture itself.

    Batch normalisation learns those of the training's pictures and applies them to others, which
    costs dearly where these look different.
    """
    return nn.GroupNorm(max(1, channels // GROUP), channels)


def conv_norm_relu(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, normalisation, ReLU; a stride of 2 wants a kernel of 4.

    A 4 × 4 kernel with stride 2 and padding 1 is centred between pixels 2i and 2i + 1, where our
    resize convention puts the pixel i of a half-size picture; a 3 × 3 kernel would sit at 2i.
    """
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=False),
        normed(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two 3 × 3 convolutions around an identity (He et al., CVPR 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv_norm_relu(channels, channels)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False), normed(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return an array of x's shape."""
        return F.relu(x + self.second(self.first(x)))


class Merging(nn.Module):
    """A trunk's features at falling resolutions, merged top-down (Lin et al., CVPR 2017).

    Args:
        widths: channels of the trunk's features, finest first.
        output: channels of the merged map.
        wrap: pad the columns circularly, for 360 degree pictures; their width must be a multiple
            of 16.

    Attributes:
        coarse_channels: of the features at stride 8 that are returned beside the merged map.
    """

    def __init__(self, widths: Sequence[int], output: int, wrap: bool) -> None:
        super().__init__()
        self.wrap = wrap
        self.coarse_channels = widths[2]
        self.lateral = nn.ModuleList(nn.Conv2d(width, output, 1) for width in widths)
        self.smooth = nn.ModuleList(conv_norm_relu(output, output) for _ in widths[:-1])

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the trunk's features at strides 2, 4, 8 and 16."""
        raise NotImplementedError

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the merged map at stride 2, (B, output, H/2, W/2), and the trunk's at stride 8.

        ``image`` is (B, channels, H, W), normalised; H and W are multiples of 16 (with ``wrap``,
        some columns of the other side are added before and cut off after).
        """
        margin = MARGIN if self.wrap else 0
        x = F.pad(image, (margin, margin, 0, 0), mode="circular") if margin else image
        features = self.features(x)
        merged = self.lateral[-1](features[-1])
        for level in range(len(features) - 2, -1, -1):
            up = F.interpolate(merged, size=features[level].shape[-2:], mode="nearest")
            merged = self.smooth[level](self.lateral[level](features[level]) + up)
        coarse = features[2]
        if not margin:
            return merged, coarse
        inner, few = slice(margin // 2, -(margin // 2)), slice(margin // 8, -(margin // 8))
        return merged[..., inner], coarse[..., few]


class Pyramid(Merging):
    """Residual stages at strides 2, 4, 8 and 16, learned from scratch; arguments as of `Merging`.

    Args:
        inputs: channels of the picture.
    """

    def __init__(
        self,
        widths: Sequence[int],
        output: int,
        wrap: bool = False,
        inputs: int = 3,
    ) -> None:
        super().__init__(widths, output, wrap)
        stages: list[nn.Module] = []
        previous = inputs
        for index, width in enumerate(widths):
            blocks: list[nn.Module] = [conv_norm_relu(previous, width, 4, 2)]
            blocks += [Residual(width) for _ in range(2 if index >= 2 else 1)]
            stages.append(nn.Sequential(*blocks))
            previous = width
        self.stages = nn.ModuleList(stages)

    def features(self, image: Tensor) -> list[Tensor]:
        """See `Merging`."""
        found = []
        for stage in self.stages:
            image = stage(image)
            found.append(image)
        return found
