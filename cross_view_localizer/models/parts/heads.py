"""Small heads: how wrong the stated camera height is, and whether two pictures belong together."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Largest error of the stated height that is looked for, as a logarithm.
MOST_HEIGHT_ERROR = 0.25


def masked_mean(features: Tensor, mask: Tensor | None) -> Tensor:
    """Return (B, C), the mean of (B, C, H, W) where the picture's (B, 1, h, w) mask is 1."""
    if mask is None:
        return features.mean(dim=(2, 3))
    share = F.adaptive_avg_pool2d(mask, _size(features))
    return (features * share).sum(dim=(2, 3)) / share.sum(dim=(2, 3)).clamp(min=1.0)


def _size(features: Tensor) -> tuple[int, int]:
    return features.shape[-2], features.shape[-1]


class HeightError(nn.Module):
    """The logarithm of a camera's true height over the stated one, from what the road looks like.

    Args:
        channels: of the coarse features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(nn.Conv2d(channels, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 48, 1))
        self.read = nn.Sequential(nn.Linear(48 * 2 + 2, 48), nn.ReLU(), nn.Linear(48, 1))

    def forward(self, coarse: Tensor, mask: Tensor | None, height: Tensor, focal: Tensor) -> Tensor:
        """Return (B,), within ± `MOST_HEIGHT_ERROR`.

        Args:
            coarse: (B, C, H, W); mask: of the picture, see `masked_mean`.
            height: (B,) as stated, metres; focal: (B,) vertical, pixels.
        """
        mixed = F.relu(self.mix(coarse))
        near = mixed[:, :, mixed.shape[2] // 2 :]  # the road in front
        below = None if mask is None else mask[:, :, mask.shape[2] // 2 :]
        told = torch.stack([height.log(), (focal / 100.0).log()], dim=1).to(mixed.dtype)
        means = [masked_mean(mixed, mask), masked_mean(near, below), told]
        found = self.read(torch.cat(means, dim=1))
        return MOST_HEIGHT_ERROR * torch.tanh(found[:, 0].float())


class NoMatch(nn.Module):
    """The logit of "these two pictures do not show the same place".

    It looks at how clearly the best place stands out, at the features there, and at both pictures
    as a whole (a covered lens shows by itself).

    Args:
        features: channels of the decoder's features; headings: of the scores.
        summary: numbers that sum up each of the two pictures.
    """

    def __init__(self, features: int, headings: int, summary: int) -> None:
        super().__init__()
        inputs = 3 * features + 3 * headings + 2 + 2 * summary
        self.read = nn.Sequential(
            nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1)
        )

    def forward(
        self, score: Tensor, place: Tensor, mixed: Tensor, aerial: Tensor, ground: Tensor
    ) -> Tensor:
        """Return (B,) float32.

        Args:
            score: (B, R, h, w) cosine scores.
            place: (B, H, W) log mass.
            mixed: (B, features, h, w) of the decoder.
            aerial, ground: (B, summary) of the pictures.
        """
        flat = score.float().flatten(2)
        spread = flat.std(dim=2)
        best = flat.amax(dim=2)
        clear = (best - flat.mean(dim=2)) / spread.clamp(min=1e-4)
        log_mass = place.float().flatten(1)
        mass = log_mass.exp()
        entropy = -(mass * log_mass).sum(dim=1, keepdim=True)
        peak = log_mass.amax(dim=1, keepdim=True)
        # Where the answer is: the mass pooled to the decoder's cells.
        share = F.adaptive_avg_pool2d(place.float().exp()[:, None], _size(mixed))
        share = share / share.sum(dim=(2, 3), keepdim=True).clamp(min=1e-12)
        here = (mixed.float() * share).sum(dim=(2, 3))
        seen = [here, mixed.float().mean(dim=(2, 3)), mixed.float().amax(dim=(2, 3))]
        told = torch.cat(
            [*seen, best * 10, spread * 10, clear, entropy, peak, aerial.float(), ground.float()],
            dim=1,
        )
        with torch.autocast(told.device.type, enabled=False):
            return self.read(told)[:, 0]
