"""The plainest matcher: the ground picture laid flat, correlated with the aerial one. Unlearned.

Inverse perspective mapping (flat road at the camera's height), then masked normalised
cross-correlation of brightness and of its gradient by FFT, for a few headings. It is weak: what
stands upright smears, colours and shadows differ, and road marks repeat. It serves to run the whole
chain without weights and as the floor that a trained model has to beat.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cross_view_localizer.models.contract import (
    CrossViewModel,
    GroundInput,
    Scores,
    log_softmax_map,
)
from cross_view_localizer.models.parts.lift import project_panorama, project_pinhole, to_optical
from cross_view_localizer.views import View


class GroundCode(NamedTuple):
    """Bird's-eye templates, one per heading.

    Attributes:
        features: (B, R, 2, T, T) brightness and gradient, zero where unseen.
        mask: (B, R, T, T) 1 where the camera sees the road.
    """

    features: Tensor
    mask: Tensor


class Correlation(CrossViewModel):
    """See the module's head.

    Args:
        ground: "pinhole" or "panorama".
        ground_width, ground_height: ground picture, pixels.
        aerial_size, gsd: aerial picture, pixels and metres per pixel (also per heatmap cell).
        output_size: heatmap, cells.
        reach: metres of road used around the camera.
        yaw_offsets_deg: headings tried around the given one, degrees.
        temperature: correlation (−1 … 1) is divided by it.
    """

    points: Tensor
    yaw_offsets: Tensor

    def __init__(
        self,
        ground: str = "pinhole",
        ground_width: int = 320,
        ground_height: int = 240,
        aerial_size: int = 192,
        gsd: float = 0.5,
        output_size: int = 96,
        reach: float = 20.0,
        yaw_offsets_deg: tuple[float, ...] = (0.0,),
        temperature: float = 0.05,
    ) -> None:
        super().__init__()
        if ground not in ("pinhole", "panorama"):
            raise ValueError(f"ground '{ground}': expected pinhole or panorama")
        if (aerial_size - output_size) % 2 or output_size > aerial_size:
            raise ValueError(
                f"output_size {output_size}: expected at most aerial_size {aerial_size}, "
                "both even or both odd"
            )
        self.view = View(
            ground=ground,  # type: ignore[arg-type]
            ground_width=ground_width,
            ground_height=ground_height,
            aerial_size=aerial_size,
            aerial_gsd=gsd,
            output_size=output_size,
            output_gsd=gsd,
            estimates_heading=len(yaw_offsets_deg) > 1,
        )
        self.temperature = temperature
        side = 2 * round(reach / gsd) + 1
        self.register_buffer(
            "yaw_offsets", torch.deg2rad(torch.tensor(yaw_offsets_deg)), persistent=False
        )
        self.register_buffer("points", self._points(side, gsd), persistent=False)

    def _points(self, side: int, gsd: float) -> Tensor:
        """(R · side², 3) road points of the template's cells, x forward, y left, for each heading.

        The template lies in aerial axes (rows against image-up); a camera turned
        counter-clockwise by a sees the cell at p where its own frame has p turned by −a.
        """
        steps = (torch.arange(side) - (side - 1) / 2) * gsd
        up, left = torch.meshgrid(-steps, -steps, indexing="ij")
        c, s = self.yaw_offsets.cos()[:, None, None], self.yaw_offsets.sin()[:, None, None]
        turned = torch.stack(
            [up * c + left * s, left * c - up * s, torch.zeros_like(up * c)], dim=-1
        )
        self.side = side
        return turned.reshape(-1, 3).float()

    def encode_aerial(self, image: Tensor) -> Tensor:
        """See CrossViewModel: (B, 2, S, S) brightness and gradient."""
        return _features(image.float())

    def encode_ground(self, ground: GroundInput) -> GroundCode:
        """See CrossViewModel."""
        size = (self.view.ground_height, self.view.ground_width)
        optical = to_optical(self.points, ground.rotation.float(), ground.height.float())
        if self.view.ground == "panorama":
            uv, seen = project_panorama(optical, size)
        else:
            uv, seen = project_pinhole(optical, ground.intrinsics.float(), size)
        extent = torch.tensor([size[1], size[0]], device=uv.device)
        picture = F.grid_sample(
            ground.image.float(), ((uv + 0.5) / extent * 2 - 1)[:, None], align_corners=False
        )
        shape = (len(uv), len(self.yaw_offsets), self.side, self.side)
        mask = seen.view(shape).float()
        flat = picture[:, :, 0].view(len(uv), 3, *shape[1:]).transpose(1, 2).flatten(0, 1)
        features = _features(flat).view(*shape[:2], 2, self.side, self.side)
        # The gradient at the mask's border is that of the mask.
        inner = -F.max_pool2d(-mask, 3, stride=1, padding=1)
        return GroundCode(features * inner[:, :, None], inner)

    def match(self, aerial: Tensor, ground: GroundCode) -> Scores:
        """See CrossViewModel."""
        with torch.autocast(aerial.device.type, enabled=False):
            score = self._correlate(aerial.float(), ground.features.float(), ground.mask.float())
        skip = (self.view.aerial_size - self.view.output_size) // 2
        inside = slice(skip, skip + self.view.output_size)
        return Scores(
            log_softmax_map(score[..., inside, inside] / self.temperature), self.yaw_offsets
        )

    def _correlate(self, aerial: Tensor, template: Tensor, mask: Tensor) -> Tensor:
        """Masked normalised correlation, mean of both features: (B, R, S, S), camera at each."""
        size = aerial.shape[-1]
        side = 2 ** math.ceil(math.log2(size + self.side))

        def spectrum(x: Tensor) -> Tensor:
            return torch.fft.rfft2(x, s=(side, side))

        def correlation(picture: Tensor, kernel: Tensor) -> Tensor:
            full = torch.fft.irfft2(picture * kernel.conj(), s=(side, side))
            middle = self.side // 2
            return full.roll((middle, middle), dims=(-2, -1))[..., :size, :size]

        weight = spectrum(mask)[:, :, None]
        ones = spectrum(torch.ones_like(aerial[:, :1]))[:, None]
        count = correlation(ones, weight).clamp(min=1.0)
        total = mask.sum(dim=(2, 3))[:, :, None, None, None].clamp(min=1.0)
        mean_t = template.sum(dim=(3, 4), keepdim=True) / total
        centred = (template - mean_t) * mask[:, :, None]
        product = correlation(spectrum(aerial)[:, None], spectrum(centred))
        mean_a = correlation(spectrum(aerial)[:, None], weight) / count
        square = correlation(spectrum(aerial**2)[:, None], weight)
        spread = (square - count * mean_a**2).clamp(min=1e-2 * count)
        energy = (centred**2).sum(dim=(3, 4), keepdim=True).clamp(min=1e-6)
        score = (product / (spread * energy).sqrt()).mean(dim=2)
        return torch.where(count[:, :, 0] >= 0.3 * total[:, :, 0], score, -torch.ones_like(score))


def _features(image: Tensor) -> Tensor:
    """Brightness and the size of its gradient, (B, 2, H, W), of (B, 3, H, W) RGB 0 … 255."""
    grey = image.mean(dim=1, keepdim=True) / 64.0
    padded = F.pad(grey, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    along = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    return torch.cat([grey, torch.hypot(across, along)], dim=1)
