"""A small method of two frames, as one's own: both laid flat by the motion between them.

It correlates a template of the road with the aerial picture, first from the newest frame alone (an
intermediate prediction, which the loss sees too), then from both; and it gives a continuous
heading in each cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from cross_view_localizer.models.contract import (
    Batch,
    CrossViewModel,
    GroundInput,
    Scores,
    Terms,
    log_softmax_map,
)
from cross_view_localizer.models.parts import losses
from cross_view_localizer.models.parts.lift import project_pinhole
from cross_view_localizer.views import View

AHEAD, ASIDE = (2, 16), 8  # metres, and cells: ahead of the camera, and to either side


@dataclass(frozen=True)
class TwoFrameObjective(losses.HeatmapTarget):
    """Weights of the terms beside the final heatmap's.

    Attributes:
        alone: of the newest frame's heatmap.
        heading: of the heading's density at the true cell.
    """

    alone: float = 0.5
    heading: float = 1.0


class Template(NamedTuple):
    """(B, C, h, w) of the newest frame and of both."""

    alone: Tensor
    both: Tensor


class TwoFrames(CrossViewModel):
    """See the module's head."""

    points: Tensor
    objective: TwoFrameObjective = TwoFrameObjective()

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.view = View("pinhole", 96, 72, 64, 1.0, 32, 1.0, estimates_heading=True, frames=2)
        self.aerial_net, self.road_net = (
            nn.Sequential(
                nn.Conv2d(3, channels, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(channels, channels, 3, padding=1),
            )
            for _ in range(2)
        )
        self.scale = nn.Parameter(torch.tensor(3.0))
        self.turn = nn.Sequential(nn.Linear(2 * channels * 4**2, 64), nn.ReLU(), nn.Linear(64, 2))
        ahead = torch.arange(AHEAD[1], AHEAD[0] - 1, -1.0)
        left = -torch.arange(-ASIDE, ASIDE + 1.0)
        grid = torch.meshgrid(ahead, left, indexing="ij")
        points = torch.stack([*grid, torch.zeros_like(grid[0])], dim=-1)
        self.register_buffer("points", points.reshape(-1, 3), persistent=False)

    def encode_aerial(self, image: Tensor) -> Tensor:
        return functional.normalize(self.aerial_net(image / 64 - 2), dim=1)

    def encode_ground(self, ground: GroundInput) -> Template:
        assert ground.earlier is not None and ground.motion is not None
        points = self.points.expand(len(ground.image), -1, -1)
        now, seen = self._road(ground.image, points, ground)
        x, y, yaw = (ground.motion[:, 0, i, None] for i in range(3))
        away = points[..., :2] - torch.stack([x, y], dim=-1)
        c, s = yaw.cos(), yaw.sin()
        then = torch.stack(
            [
                c * away[..., 0] + s * away[..., 1],
                c * away[..., 1] - s * away[..., 0],
                points[..., 2],
            ],
            dim=-1,
        )
        past, past_seen = self._road(ground.earlier[:, 0], then, ground)
        times = seen + past_seen
        both = self._described((now + past) / times.clamp(min=1)) * (times > 0)
        return Template(self._described(now) * seen, both)

    def _road(self, image: Tensor, points: Tensor, ground: GroundInput) -> tuple[Tensor, Tensor]:
        """The colours (B, 3, h, w) of road points in a camera's levelled frame; which are seen."""
        above = torch.zeros_like(points)
        above[..., 2] = ground.height[:, None]
        optical = (points - above) @ ground.rotation
        height, width = image.shape[-2:]
        uv, seen = project_pinhole(optical, ground.intrinsics, (height, width))
        place = (uv + 0.5) / uv.new_tensor([width, height]) * 2 - 1
        colours = functional.grid_sample(image / 64 - 2, place[:, None], align_corners=False)
        shape = (len(image), -1, AHEAD[1] - AHEAD[0] + 1, 2 * ASIDE + 1)
        mask = seen.view(shape).float()
        return colours.view(shape) * mask, mask

    def _described(self, road: Tensor) -> Tensor:
        return functional.normalize(self.road_net(road), dim=1)

    def match(self, aerial: Tensor, ground: Template) -> Scores:
        return self._matched(aerial, ground)[1]

    def _matched(self, aerial: Tensor, ground: Template) -> tuple[Scores, Scores]:
        """The newest frame's answer and that of both."""
        one, both = (
            log_softmax_map(self._likeness(aerial, template))
            for template in (ground.alone, ground.both)
        )
        views = torch.cat([functional.adaptive_avg_pool2d(x, 4) for x in (ground.both, aerial)], 1)
        found = self.turn(views.flatten(1).float())
        size = (-1, self.view.output_size, self.view.output_size)
        mean = (0.3 * torch.tanh(found[:, 0]))[:, None, None].expand(size)
        kappa = (50 * functional.softplus(found[:, 1]))[:, None, None].expand(size)
        still = one.new_zeros(1)
        return Scores(one, still), Scores(both, still, mean, kappa)

    def _likeness(self, aerial: Tensor, template: Tensor) -> Tensor:
        size, side = aerial.shape[-2:], self.view.output_size
        kernel = template / (template.square().sum(dim=(1, 2, 3), keepdim=True) + 1)
        spectrum = torch.fft.rfft2(aerial) * torch.fft.rfft2(kernel, s=size).conj()
        score = torch.fft.irfft2(spectrum.sum(dim=1, keepdim=True), s=size)
        # The template's first cell lies 16 m ahead and 8 m to the left of the camera.
        left = (self.view.aerial_size - side) // 2 - ASIDE
        return score[..., :side, left : left + side] * self.scale.exp()

    def loss(self, batch: Batch, progress: float) -> Terms:
        own = self.objective
        one, both = self._matched(
            self.encode_aerial(batch.aerial), self.encode_ground(batch.ground)
        )
        with losses.float32(batch):
            assert both.heading is not None and both.concentration is not None
            mean, kappa = both.heading[:, 0, 0], both.concentration[:, 0, 0]
            whole = torch.log(2 * torch.pi * torch.special.i0e(kappa)) + kappa
            terms = {
                "alone": own.place(one, batch, progress),
                "place": own.place(both, batch, progress),
                "heading": (whole - kappa * torch.cos(batch.yaw - mean)).mean(),
            }
            weighted = own.alone * terms["alone"] + own.heading * terms["heading"]
            return terms | {"loss": terms["place"] + weighted}
