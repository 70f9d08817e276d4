"""Finds the horizon in a picture, and from it the pitch and roll that a calibration misses."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Horizon(nn.Module):
    """One row distribution and one weight per column, then a weighted least-squares fit.

    A camera whose optical frame is turned by a small pitch ωx (about x, right) and roll ωz (about
    z, forward) sees the horizon at azimuth α moved down by f (ωx cos α − ωz sin α) pixels in a
    panorama, and by f (ωx − x ωz) in a pinhole picture's column at x (the tangent of its azimuth),
    where f is the vertical focal length.

    Args:
        channels: of the features, which have stride ``stride``.
    """

    def __init__(self, channels: int, stride: int = 8) -> None:
        super().__init__()
        self.stride = stride
        self.mix = nn.Sequential(nn.Conv2d(channels, 32, 3, padding=1), nn.GELU())
        self.row = nn.Conv2d(32, 1, 1)
        self.weight = nn.Conv2d(32, 1, 1)
        self.offset = nn.Parameter(torch.zeros(1))

    def rows(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the horizon's row in pixels and its weight, both (B, columns) float32."""
        mixed = self.mix(features)
        share = torch.softmax(self.row(mixed)[:, 0].float() * 4, dim=1)
        rows = torch.arange(features.shape[-2], device=features.device) * self.stride
        center = rows + (self.stride - 1) / 2
        found = (share * center[None, :, None]).sum(dim=1) + self.offset * self.stride
        weight = F.softplus(self.weight(mixed)[:, 0].float().mean(dim=1))
        return found, weight + 1e-3

    def forward(
        self, features: Tensor, level: Tensor, basis: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Return (B, 2): ωx and ωz times the focal length, pixels.

        Args:
            features: (B, C, H, W).
            level: (B, W) rows where the horizon would be if the calibration were right, pixels.
            basis: (B, W, 2) how far the horizon moves per unit of the two.
            mask: (B, 1, h, w) of the picture: columns without picture count nothing.
        """
        found, weight = self.rows(features)
        if mask is not None:
            weight = weight * F.adaptive_avg_pool2d(mask.float(), (1, weight.shape[1]))[:, 0, 0]
        with torch.autocast(features.device.type, enabled=False):
            weighted = basis.float() * weight[..., None]
            normal = weighted.transpose(1, 2) @ basis.float()
            # A weak pull to zero keeps the fit sound where all weight is in one place.
            normal = normal + 0.1 * torch.eye(2, device=normal.device)
            right = (weighted * (found - level.float())[..., None]).sum(dim=1)
            return torch.linalg.solve(normal, right[..., None])[..., 0]


def level_pinhole(columns: Tensor, rotation: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the horizon is by the calibration, and how the two small angles move it.

    Args:
        columns: (W,) pixels.
        rotation: (B, 3, 3) optical to levelled frame; intrinsics: (B, 3, 3).

    Returns:
        What `Horizon` takes: rows (B, W) and basis (B, W, 2).
    """
    up = rotation[:, 2]  # the vertical in the optical frame: its horizon is up · d = 0
    x = (columns[None] - intrinsics[:, :1, 2]) / intrinsics[:, :1, 0]
    down = (up[:, :1] * x + up[:, 2:]) / -up[:, 1:2]
    level = intrinsics[:, 1:2, 2] + intrinsics[:, 1, 1][:, None] * down
    return level, torch.stack([torch.ones_like(x), -x], dim=-1)


def level_panorama(
    columns: Tensor, rotation: Tensor, size: tuple[int, int], top: int
) -> tuple[Tensor, Tensor]:
    """The same for a panorama of ``size`` (height, width), with ``top`` rows cut off above."""
    up = rotation[:, 2]
    focal = size[1] / (2 * math.pi)
    azimuth = ((columns - (size[1] - 1) / 2) / focal)[None].expand(len(up), -1)
    sine, cosine = azimuth.sin(), azimuth.cos()
    down = (up[:, :1] * sine + up[:, 2:] * cosine) / -up[:, 1:2]
    return (size[0] - 1) / 2 - top + focal * down, torch.stack([cosine, -sine], dim=-1)
