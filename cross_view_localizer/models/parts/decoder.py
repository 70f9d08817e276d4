"""CVML's U-Net decoder, arranged so that what depends on the aerial picture alone is done once.

A convolution over concatenated inputs is the sum of convolutions over each of them. Keeping these
summands apart saves the copy of the concatenation, and lets an aerial encoding carry its own ready.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from cross_view_localizer.models.parts.kernel import Kernel, conv_kernel
from cross_view_localizer.models.parts.upconv import UpConv
from cross_view_localizer.models.parts.vgg import normalization


class Window(NamedTuple):
    """A part of the aerial picture, pixels; multiples of four (of one where it is the whole)."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, feature: Tensor, stride: int) -> Tensor:
        """Return this part of (B, C, H, W) features that have one cell per `stride` pixels."""
        top, left, height, width = (value // stride for value in self)
        if feature.shape[-2:] == (height, width):
            return feature
        return feature[..., top : top + height, left : left + width]


class FirstUp(nn.Module):
    """The first transposed convolution, over the fused inputs: matching map M, aerial S, ground G.

    Any of the three may be absent (paper, Table 1).
    """

    def __init__(self, fusion: str, descriptor: int, width: int) -> None:
        super().__init__()
        self.matching = UpConv(1, width) if "M" in fusion else None
        self.aerial = UpConv(descriptor, width, bias="M" not in fusion) if "S" in fusion else None
        only_ground = not ("M" in fusion or "S" in fusion)
        self.ground = UpConv(descriptor, width, bias=only_ground) if "G" in fusion else None

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are kept in; the inputs are float32."""
        return next(self.parameters()).dtype

    def kernel(self) -> Kernel:
        """Return the weights as one kernel over M, S and G."""
        inputs = [part for part in (self.matching, self.aerial, self.ground) if part is not None]
        return conv_kernel(*(part.conv for part in inputs))

    def forward(self, matching: Tensor, aerial: Tensor | None, ground: Tensor) -> Tensor:
        """Add up the summands and apply the ReLU.

        Args:
            matching: (B, N, N) cosine similarities.
            aerial: (B, width, 2 N, 2 N) from `self.aerial`, None where S takes no part.
            ground: (B, descriptor), spread over all cells.
        """
        total = aerial
        if self.matching is not None:
            part = self.matching(matching.unsqueeze(1).to(self.dtype))
            total = part if total is None else total + part
        if self.ground is not None:
            batch, side, _ = matching.shape
            spread = ground[:, :, None, None].expand(-1, -1, side, side)
            part = self.ground(spread.to(self.dtype))
            total = part if total is None else total + part
        assert total is not None
        return torch.relu(total)


class Stage(nn.Module):
    """What follows a stage's transposed convolution: two 3 × 3 ones, the first with the skip."""

    def __init__(
        self, channels: int, skip: int, width: int, out: int, last: bool, norm: str
    ) -> None:
        super().__init__()
        self.last = last
        self.norm1 = normalization(norm, width)
        self.norm2 = normalization("none" if last else norm, out)
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1)
        self.skip = nn.Conv2d(skip, width, 3, padding=1, bias=False) if skip else None
        self.conv2 = nn.Conv2d(width, out, 3, padding=1)

    def kernels(self) -> tuple[Kernel, Kernel]:
        """Return the weights of both convolutions, the first with the skip's."""
        parts = [self.conv1] if self.skip is None else [self.conv1, self.skip]
        return conv_kernel(*parts), conv_kernel(self.conv2)

    def summand(self, skip: Tensor) -> Tensor:
        """Return the skip connection's (B, width, H, W) part of the first convolution."""
        assert self.skip is not None
        return self.skip(skip)

    def forward(self, feature: Tensor, skip: Tensor | None) -> Tensor:
        """Return (B, out, H, W) for (B, channels, H, W) and the skip's summand (B, width, H, W)."""
        hidden = self.conv1(feature)
        hidden = torch.relu(self.norm1(hidden if skip is None else hidden + skip))
        out = self.norm2(self.conv2(hidden))
        return out if self.last else torch.relu(out)


class Decoder(nn.Module):
    """From N × N cells to one logit per output cell; each stage doubles the side.

    Args:
        fusion: which of M, S, G enter.
        descriptor: channels of S and of G.
        plain: number of stages without a skip connection, before the others.
        bottleneck: their channels after the transposed and after the plain convolutions.
        skips: channels of the skip connections, coarsest first; 0 where there is none.
        widths: channels of their stages.
        window: the part of the aerial picture that the two finest stages work on.
        norm: normalisation before the ReLUs of the plain convolutions.
    """

    def __init__(
        self,
        fusion: str,
        descriptor: int,
        plain: int,
        bottleneck: tuple[int, int],
        skips: tuple[int, ...],
        widths: tuple[int, ...],
        window: Window,
        norm: str = "none",
    ) -> None:
        super().__init__()
        self.window = window
        # Per stage: channels after the transposed convolution, of the skip, and after both others.
        layout = [(bottleneck[0], 0, bottleneck[1])] * plain
        layout += [(width, skip, width) for width, skip in zip(widths, skips, strict=True)]
        self.first = FirstUp(fusion, descriptor, layout[0][0])
        ups: list[UpConv] = []
        stages: list[Stage] = []
        for number, (up, skip, width) in enumerate(layout):
            last = number == len(layout) - 1
            if number:
                ups.append(UpConv(layout[number - 1][2], up))
            stages.append(Stage(up, skip, width, 1 if last else width, last, norm))
        self.ups = nn.ModuleList(ups)
        self.stages = nn.ModuleList(stages)

    def kernels(self) -> list[tuple[Kernel, Kernel, Kernel]]:
        """Return each stage's transposed convolution and its two plain ones."""
        ups = [self.first.kernel()] + [up.kernel() for up in self._ups()]
        return [(up, *stage.kernels()) for up, stage in zip(ups, self._stages(), strict=True)]

    def _ups(self) -> list[UpConv]:
        return cast("list[UpConv]", list(self.ups))

    def _stages(self) -> list[Stage]:
        return cast("list[Stage]", list(self.stages))

    def prepare(
        self, descriptors: Tensor, skips: list[Tensor]
    ) -> tuple[Tensor | None, list[Tensor]]:
        """Return what match needs of the aerial picture: the first stage's and each skip's summand.

        Args:
            descriptors: (B, N, N, descriptor).
            skips: trunk features, coarsest first; empty without skip connections.
        """
        first = None
        if self.first.aerial is not None:
            first = self.first.aerial(descriptors.permute(0, 3, 1, 2).to(self.first.dtype))
        if not skips:
            return first, []
        stages = self._stages()[len(self.stages) - len(skips) :]
        parts = skips[:-2] + [self.window.cut(skips[-2], 2), self.window.cut(skips[-1], 1)]
        return first, [stage.summand(part) for stage, part in zip(stages, parts, strict=True)]

    def forward(
        self, matching: Tensor, first: Tensor | None, skips: list[Tensor], ground: Tensor
    ) -> Tensor:
        """Return the window's (B, 1, height, width) logits; `prepare` made `first` and `skips`."""
        feature = self.first(matching, first, ground)
        summands = [None] * (len(self.stages) - len(skips)) + skips
        for number, (stage, skip) in enumerate(zip(self._stages(), summands, strict=True)):
            if number == len(self.stages) - 2:
                feature = self.window.cut(feature, 4)
            if number:
                feature = torch.relu(self.ups[number - 1](feature))
            feature = stage(feature, skip)
        return feature
