"""Where the points of the ground plane appear in a camera's picture: flat-ground lifting."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def small_rotation(pitch: Tensor, roll: Tensor) -> Tensor:
    """Return (B, 3, 3) rotations of the optical frame (x right, y down, z forward).

    By ``pitch`` about x and ``roll`` about z, both (B,), radians.
    """
    zero, one = torch.zeros_like(pitch), torch.ones_like(pitch)
    cp, sp, cr, sr = pitch.cos(), pitch.sin(), roll.cos(), roll.sin()
    about_x = torch.stack([one, zero, zero, zero, cp, -sp, zero, sp, cp], dim=-1).view(-1, 3, 3)
    about_z = torch.stack([cr, -sr, zero, sr, cr, zero, zero, zero, one], dim=-1).view(-1, 3, 3)
    return about_x @ about_z


def to_optical(points: Tensor, rotation: Tensor, camera_height: Tensor) -> Tensor:
    """Take road-frame points to the optical frame.

    Args:
        points: (N, 3) below and ahead of the camera: x forward, y left, z above the road, metres.
        rotation: (B, 3, 3) optical to levelled frame.
        camera_height: (B,) above the road, metres.

    Returns:
        (B, N, 3) in the optical frame.
    """
    lift = torch.zeros_like(rotation[:, 0])
    lift[:, 2] = camera_height
    relative = points[None] - lift[:, None]
    return relative @ rotation  # rows times R is the inverse rotation of columns


def project_pinhole(
    points: Tensor, intrinsics: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Project (B, N, 3) optical points into a pinhole picture.

    Args:
        intrinsics: (B, 3, 3) with pixel centres at integers.
        size: (height, width).

    Returns:
        (B, N, 2) pixels, and whether they are in the picture, (B, N).
    """
    depth = points[..., 2]
    safe = depth.clamp(min=1e-3)
    focal = torch.stack([intrinsics[:, 0, 0], intrinsics[:, 1, 1]], dim=-1)
    uv = points[..., :2] / safe[..., None] * focal[:, None] + intrinsics[:, None, :2, 2]
    height, width = size
    inside = (depth > 0.1) & (uv[..., 0] > -0.5) & (uv[..., 0] < width - 0.5)
    return uv, inside & (uv[..., 1] > -0.5) & (uv[..., 1] < height - 0.5)


def project_panorama(points: Tensor, size: tuple[int, int], top: int = 0) -> tuple[Tensor, Tensor]:
    """Project (B, N, 3) optical points into an equirectangular picture; its middle looks forward.

    ``size`` is (height, width) of the whole sphere's picture; ``top`` rows have been cut off above.
    Returns pixels (B, N, 2) and an all-true mask (B, N).
    """
    height, width = size
    x, y, z = points.unbind(-1)
    azimuth = torch.atan2(x, z)
    elevation = torch.atan2(-y, torch.hypot(x, z))
    u = (width - 1) / 2 + azimuth * (width / (2 * math.pi))
    v = (height - 1) / 2 - elevation * (height / math.pi) - top
    return torch.stack([u, v], dim=-1), torch.ones_like(u, dtype=torch.bool)


def sample_features(features: Tensor, uv: Tensor, stride: int, wrap: bool) -> Tensor:
    """Return (B, C, N): features (B, C, h, w) of a stride, bilinearly at pixels (B, N, 2).

    Outside is zero, but the columns of a panorama (``wrap``) go on at the other side.
    """
    cell = (uv + 0.5) / stride - 0.5
    if wrap:
        features = F.pad(features, (1, 1, 0, 0), mode="circular")
        width = features.shape[-1] - 2
        cell = torch.stack([cell[..., 0] % width + 1, cell[..., 1]], dim=-1)
    size = torch.tensor([features.shape[-1], features.shape[-2]], device=uv.device, dtype=uv.dtype)
    normalised = (cell + 0.5) / size * 2 - 1
    return F.grid_sample(features, normalised[:, None], align_corners=False)[:, :, 0]
