"""Correlation of templates with a picture's descriptors by FFT, with a backward pass to match.

What automatic differentiation makes of the transforms goes through complex FFTs of full size and
takes three times as long as the real ones that suffice.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Correlation(torch.autograd.Function):
    """Sum over channels of the circular correlations of templates with descriptors."""

    @staticmethod
    def forward(ctx: Any, spectrum: Tensor, template: Tensor) -> Tensor:
        """Return (B, R, S, S) float32: at each place what the template, its corner there, covers.

        Args:
            ctx: of autograd.
            spectrum: (B, C, S, S // 2 + 1) complex64, `torch.fft.rfft2` of the descriptors.
            template: (B, R, C, h, w) float32, h and w at most S.
        """
        side = spectrum.shape[-2]
        kernel = torch.fft.rfft2(template, s=(side, side))
        ctx.save_for_backward(spectrum, kernel)
        ctx.size = template.shape[-2:]
        product = torch.einsum("brcuv,bcuv->bruv", kernel.conj(), spectrum)
        return torch.fft.irfft2(product, s=(side, side))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Return the gradients of spectrum and template."""
        spectrum, kernel = ctx.saved_tensors
        side, (height, width) = spectrum.shape[-2], ctx.size
        change = torch.fft.rfft2(grads[0])
        of_spectrum = of_template = None
        if ctx.needs_input_grad[1]:
            product = change.conj()[:, :, None] * spectrum[:, None]
            whole = torch.fft.irfft2(product, s=(side, side))
            of_template = whole[..., :height, :width]
        if ctx.needs_input_grad[0]:
            # Half a spectrum stands for the whole: all columns but the outer ones count twice.
            twice = torch.full((side // 2 + 1,), 2.0, device=change.device)
            twice[0] = 1.0
            if side % 2 == 0:
                twice[-1] = 1.0
            of_spectrum = torch.einsum("bruv,brcuv->bcuv", change, kernel) * (twice / side**2)
        return of_spectrum, of_template


def correlate(spectrum: Tensor, template: Tensor) -> Tensor:
    """See `Correlation`."""
    found: Tensor = Correlation.apply(spectrum, template)
    return found
