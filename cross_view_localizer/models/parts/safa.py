"""Spatial-aware feature aggregation (Shi et al., NeurIPS 2019) with linear heads, as in CVML."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def unit_length(descriptors: Tensor) -> Tensor:
    """Normalise the last axis like ``tf.nn.l2_normalize``: the sum of squares is at least 1e-12."""
    return functional.normalize(descriptors.float(), dim=-1, eps=1e-6)


class Safa(nn.Module):
    """D masks over P positions, each linear in the channel mean; sums of features weighted by them.

    Attributes:
        weights1 (P, Q, D), biases1 (1, Q, D), weights2 (Q, P, D), biases2 (1, P, D): the linear
            maps to Q = max(1, P // 2) hidden values and to the masks.
    """

    def __init__(self, positions: int, heads: int = 8) -> None:
        super().__init__()
        hidden = max(1, positions // 2)
        self.weights1 = nn.Parameter(torch.empty(positions, hidden, heads))
        self.biases1 = nn.Parameter(torch.empty(1, hidden, heads))
        self.weights2 = nn.Parameter(torch.empty(hidden, positions, heads))
        self.biases2 = nn.Parameter(torch.empty(1, positions, heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the authors do: truncated normal of σ 0.005, biases 0.1."""
        for weights in (self.weights1, self.weights2):
            nn.init.trunc_normal_(weights, std=0.005, a=-0.01, b=0.01)
        for biases in (self.biases1, self.biases2):
            nn.init.constant_(biases, 0.1)

    def forward(self, feature: Tensor) -> Tensor:
        """Return (B, D · C) float32 descriptors, not normalised, for (B, P, C) features."""
        # Small beside the trunks, and the descriptors decide everything: always float32.
        with torch.autocast(feature.device.type, enabled=False):
            feature = feature.float()
            mean = feature.mean(2)
            hidden = torch.einsum("bp,pqd->bqd", mean, self.weights1.float()) + self.biases1.float()
            masks = torch.einsum("bqd,qpd->bpd", hidden, self.weights2.float())
            masks = masks + self.biases2.float()
            return torch.bmm(masks.transpose(1, 2), feature).flatten(1)


def split_cells(feature: Tensor, cells: int) -> Tensor:
    """Cut (B, C, H, W) into cells × cells: (B · cells², positions of a cell, C), all row by row."""
    batch, channels, height, width = feature.shape
    h, w = height // cells, width // cells
    parts = feature.view(batch, channels, cells, h, cells, w).permute(0, 2, 4, 3, 5, 1)
    return parts.reshape(batch * cells * cells, h * w, channels)
