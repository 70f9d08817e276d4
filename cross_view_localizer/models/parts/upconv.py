"""Stride-2 transposed convolution as one matrix product or one convolution.

torch's own is several times slower on CPUs, in bfloat16 above all.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from cross_view_localizer.models.parts.kernel import Kernel, conv_kernel


class UpConv(nn.Module):
    """Transposed 3 × 3 convolution of stride 2, as TensorFlow's ``conv2d_transpose`` with SAME.

    Its output has exactly twice the side: input cell i reaches output cells 2i, 2i + 1, 2i + 2, and
    what falls beyond the end is cut. So an even output cell 2i sees input i through tap 0 and input
    i - 1 through tap 2; an odd one, 2i + 1, sees input i through tap 1.
    """

    def __init__(self, channels: int, width: int, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(channels, width, 3, stride=2, bias=bias)

    def kernel(self) -> Kernel:
        """Return the weights."""
        return conv_kernel(self.conv)

    def forward(self, feature: Tensor) -> Tensor:
        """Return (B, width, 2 H, 2 W), channels last, for (B, channels, H, W)."""
        _, channels, height, width = feature.shape
        # A product of nine taps wastes nothing where the kernel is the larger operand; elsewhere
        # moving its results about costs more than a convolution with some taps of zero.
        few = height * width <= channels
        out = _by_product(feature, self.conv) if few else _by_phases(feature, self.conv)
        return out.permute(0, 3, 1, 2)


def _by_phases(feature: Tensor, conv: nn.ConvTranspose2d) -> Tensor:
    """One 2 × 2 convolution with the four phases as channels: (B, 2 H, 2 W, width)."""
    batch, _, height, width = feature.shape
    outputs = conv.weight.shape[1]
    # Per output parity the taps at inputs i - 1 and i; index 3 is a tap of zero.
    taps = torch.tensor([[2, 0], [3, 1]], device=feature.device)
    padded = functional.pad(conv.weight, (0, 1, 0, 1))
    phases = padded[:, :, taps][
        ..., taps
    ]  # in, out, row parity, row tap, column parity, column tap
    kernel = phases.permute(2, 4, 1, 0, 3, 5).flatten(0, 2)
    bias = None if conv.bias is None else conv.bias.repeat(4)
    out = functional.conv2d(feature, kernel, bias, padding=1)[:, :, :-1, :-1]
    out = out.permute(0, 2, 3, 1).unflatten(3, (2, 2, outputs))
    return out.permute(0, 1, 3, 2, 4, 5).reshape(batch, 2 * height, 2 * width, outputs)


def _by_product(feature: Tensor, conv: nn.ConvTranspose2d) -> Tensor:
    """All nine taps by one matrix product, then added where they fall: (B, 2 H, 2 W, width)."""
    batch, channels, height, width = feature.shape
    outputs = conv.weight.shape[1]
    # Without a copy where the weights are laid out channels-last.
    kernel = conv.weight.permute(0, 2, 3, 1).reshape(channels, 9 * outputs)
    taps = feature.permute(0, 2, 3, 1).reshape(-1, channels) @ kernel
    taps = taps.view(batch, height, width, 3, 3, outputs)
    rows = torch.stack([taps[:, :, :, 0] + _previous(taps[:, :, :, 2], 1), taps[:, :, :, 1]], 2)
    both = torch.stack([rows[..., 0, :] + _previous(rows[..., 2, :], 3), rows[..., 1, :]], 4)
    out = both.view(batch, 2 * height, 2 * width, outputs)
    return out if conv.bias is None else out + conv.bias.to(out.dtype)


def _previous(values: Tensor, dim: int) -> Tensor:
    """Shift along an axis: each cell gets the cell before it, the first one zero."""
    zero = torch.zeros_like(values.narrow(dim, 0, 1))
    return torch.cat([zero, values.narrow(dim, 0, values.shape[dim] - 1)], dim)
