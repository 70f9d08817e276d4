"""A convolution over concatenated inputs whose weights are kept in parts, one per input."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Kernel(NamedTuple):
    """Weights that act as one kernel.

    Attributes:
        parts: in the order of the concatenated input channels.
        bias: of the sum.
        transposed: (in, out, 3, 3) as torch keeps transposed convolutions, else (out, in, 3, 3).
    """

    parts: tuple[Tensor, ...]
    bias: Tensor | None
    transposed: bool = False

    @property
    def input_axis(self) -> int:
        """The axis of the parts that holds input channels."""
        return 0 if self.transposed else 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole kernel."""
        sizes = list(self.parts[0].shape)
        sizes[self.input_axis] = sum(part.shape[self.input_axis] for part in self.parts)
        return tuple(sizes)

    def joined(self) -> Tensor:
        """Return the whole kernel in float32, input channels concatenated."""
        return torch.cat([part.detach().float() for part in self.parts], self.input_axis)

    def assign(self, value: Tensor) -> None:
        """Take over a whole kernel."""
        sizes = [part.shape[self.input_axis] for part in self.parts]
        with torch.no_grad():
            for part, piece in zip(self.parts, value.split(sizes, self.input_axis), strict=True):
                part.copy_(piece)

    def initialise(self, xavier: bool) -> None:
        """Set random weights as for the whole kernel, Xavier uniform or He normal; biases zero."""
        whole = self.joined()
        # Of a stride-2 transposed convolution's nine taps, 9/4 reach an output cell.
        if xavier:
            nn.init.xavier_uniform_(whole)
        else:
            taps = whole[0, 0].numel() / (4 if self.transposed else 1)
            nn.init.normal_(whole, std=math.sqrt(2 / (whole.shape[self.input_axis] * taps)))
        self.assign(whole)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


Conv = nn.Conv2d | nn.ConvTranspose2d


def conv_kernel(*convs: Conv) -> Kernel:
    """Return the kernel of one convolution, or of several that act on concatenated inputs."""
    biases = [conv.bias for conv in convs if conv.bias is not None]
    return Kernel(
        tuple(conv.weight for conv in convs),
        biases[0] if biases else None,
        isinstance(convs[0], nn.ConvTranspose2d),
    )
