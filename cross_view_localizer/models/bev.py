"""A small geometric matcher: flat-ground bird's-eye template, correlated by FFT.

Ours, not a published method. The ideas are the field's: inverse perspective mapping of features
(HighlyAccurate, DenseFlow), exhaustive correlation over positions and a few headings
(OrienterNet), a decoder over score and aerial features (CVML).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cross_view_localizer.models.contract import (
    Batch,
    CrossViewModel,
    GroundInput,
    Scores,
    Terms,
    log_softmax_map,
)
from cross_view_localizer.models.parts import losses
from cross_view_localizer.models.parts.backbone import Pyramid, conv_bn_relu
from cross_view_localizer.models.parts.horizon import Horizon
from cross_view_localizer.models.parts.lift import (
    project_panorama,
    project_pinhole,
    sample_features,
    small_rotation,
    to_optical,
)
from cross_view_localizer.views import View

CELL = 1.0  # metres per template cell: two aerial pixels
VIEWS = {
    "pinhole": View(
        "pinhole", 240, 160, 192, 0.5, 96, 0.5, aerial_ahead=20.0, estimates_heading=True
    ),
    "panorama": View(
        "panorama", 400, 200, 192, 0.5, 96, 0.5, aerial_ahead=0.0, estimates_heading=True
    ),
}
# Template cells, metres ahead of and to the right of the camera (inclusive).
REACH = {"pinhole": ((2, 41), (-20, 20)), "panorama": ((-20, 20), (-20, 20))}
# Of the template's weight; where less lies inside the aerial picture, its score is drawn to zero.
LEAST_INSIDE = 0.2
# Kept rows of 200: 46.8 degrees above to 46.8 below the horizon, 104 = 13 · 8.
PANORAMA_ROWS = (48, 152)


@dataclass(frozen=True)
class BevObjective(losses.HeatmapTarget):
    """Weights of the loss's terms; the heatmap's cross-entropy has weight 1.

    Attributes:
        yaw: of the heading's cross-entropy at the true place.
        tilt: of the pitch and roll that the calibration misses, where they are known.
    """

    yaw: float = 0.2
    tilt: float = 0.3


class AerialCode(NamedTuple):
    """An encoded aerial picture.

    Attributes:
        spectrum: (B, C, 96, 49) complex64, of the normalised descriptors.
        context: (B, K, 48, 48) features over the heatmap at 1 m.
        detail: (B, D, 96, 96) features over the heatmap at 0.5 m.
    """

    spectrum: Tensor
    context: Tensor
    detail: Tensor


class GroundCode(NamedTuple):
    """An encoded ground picture.

    Attributes:
        template: (B, R, C, h, w) float32, weighted descriptors turned by each yaw offset.
        tilt: (B, 2) what the network believes of the camera's unmodelled pitch and roll: the first
            in pixels of the view (pitch × vertical focal length), the second in radians × 100.
    """

    template: Tensor
    tilt: Tensor


class BevModel(CrossViewModel):
    """See the module's head.

    Args:
        ground: "pinhole" or "panorama".
        channels: descriptor length C.
        widths: channels of the pyramids' four stages.
        merged: channels of the pyramids' merged maps.
        yaw_offsets_deg: the headings tried around the prior's.
        heights: heights above the road, metres, at which features are gathered for each cell.
        aerial_size: side of the aerial picture, pixels of 0.5 m, a multiple of 16; by default 192.
            Down to the heatmap's 96 where imagery ends early, as on VIGOR's tiles: the template
            then reaches beyond the picture, and counts by what of it lies inside.
        blind: the control without a camera: the ground picture is replaced by grey.
    """

    yaw_offsets: Tensor
    points: Tensor
    objective: BevObjective = BevObjective()

    def __init__(
        self,
        ground: str = "pinhole",
        channels: int = 24,
        widths: tuple[int, ...] = (16, 32, 64, 128),
        merged: int = 32,
        yaw_offsets_deg: tuple[float, ...] = (-3.4, 0.0, 3.4),
        heights: tuple[float, ...] = (0.0, 3.0),
        blind: bool = False,
        aerial_size: int | None = None,
    ) -> None:
        super().__init__()
        if ground not in VIEWS:
            raise ValueError(f"ground = {ground!r}: expected one of {', '.join(VIEWS)}")
        self.view = sized(VIEWS[ground], aerial_size)
        self.wrap = ground == "panorama"
        self.blind = blind
        self.heights = tuple(heights)
        self.ahead, self.right = REACH[ground]
        self.margin = self._margin()
        self.ground_net = Pyramid(widths, merged, wrap=self.wrap)
        self.aerial_net = Pyramid(widths, merged)
        self.horizon = Horizon(widths[2])
        self.lift_mix = conv_bn_relu(merged * len(self.heights), 48, 1)
        self.lift_net = nn.Sequential(conv_bn_relu(48, 48), conv_bn_relu(48, 48))
        self.ground_head = nn.Conv2d(48, channels + 1, 1)
        self.aerial_head = nn.Conv2d(merged, channels, 1)
        self.context_head = nn.Conv2d(merged, 24, 1)
        self.detail_net = conv_bn_relu(3, 8)
        count = len(yaw_offsets_deg)
        self.decoder = nn.Sequential(
            conv_bn_relu(24 + count + 1, 48), conv_bn_relu(48, 48), conv_bn_relu(48, 16, 1)
        )
        self.refine = nn.Sequential(conv_bn_relu(16 + 8 + 1, 24), nn.Conv2d(24, 1, 3, padding=1))
        self.log_scale = nn.Parameter(torch.tensor(math.log(20.0)))
        self.log_yaw_scale = nn.Parameter(torch.tensor(math.log(20.0)))
        self.cell_weight = nn.Parameter(torch.zeros(self._lengths()))
        self.register_buffer(
            "yaw_offsets", torch.deg2rad(torch.tensor(yaw_offsets_deg)), persistent=False
        )
        self.register_buffer("points", self._cell_points(), persistent=False)

    def _lengths(self) -> tuple[int, int]:
        return self.ahead[1] - self.ahead[0] + 1, self.right[1] - self.right[0] + 1

    def _cell_points(self) -> Tensor:
        """(heights · h · w, 3) points: x forward, y left, z up; row 0 is the farthest ahead."""
        forward = torch.arange(self.ahead[1], self.ahead[0] - 1, -1) * CELL
        left = -torch.arange(self.right[0], self.right[1] + 1) * CELL
        x, y = torch.meshgrid(forward, left, indexing="ij")
        layers = [torch.stack([x, y, torch.full_like(x, z)], dim=-1) for z in self.heights]
        return torch.stack(layers).reshape(-1, 3).float()

    @staticmethod
    def _normalise(image: Tensor) -> Tensor:
        return (image - 118.0) / 60.0

    def encode_aerial(self, image: Tensor) -> AerialCode:
        """See CrossViewModel; image-up is the camera's azimuth."""
        x = self._normalise(image)
        merged, _ = self.aerial_net(x)
        descriptors = F.normalize(self.aerial_head(merged).float(), dim=1)
        top, left = self._corner()
        half = self.view.output_size // 2
        context = self.context_head(merged)[..., top : top + half, left : left + half]
        detail = x[..., 2 * top : 2 * top + 2 * half, 2 * left : 2 * left + 2 * half]
        if self.margin:  # with what is picture as one more channel, for the template's weights
            inside = torch.ones_like(descriptors[:, :1])
            descriptors = F.pad(torch.cat([descriptors, inside], dim=1), (self.margin,) * 4)
        return AerialCode(torch.fft.rfft2(descriptors), context, self.detail_net(detail))

    def _corner(self) -> tuple[int, int]:
        """Row and column of the heatmap's first 1 m cell in the aerial descriptors."""
        spare = (self.view.aerial_size - self.view.output_size) // 4
        return spare + round(self.view.aerial_ahead / CELL), spare

    def _margin(self) -> int:
        """Cells by which the template reaches beyond the aerial picture, on the worst side."""
        top, left = self._corner()
        side, half = self.view.aerial_size // 2, self.view.output_size // 2
        beyond = (
            self.ahead[1] - top,
            -self.right[0] - left,
            top + half - self.ahead[0] - side,
            left + half + self.right[1] - side,
        )
        return max(0, *beyond)

    def encode_ground(self, ground: GroundInput) -> GroundCode:
        """See CrossViewModel."""
        image = torch.zeros_like(ground.image) if self.blind else self._normalise(ground.image)
        if self.wrap:
            image = image[:, :, PANORAMA_ROWS[0] : PANORAMA_ROWS[1]]
        focal = self._focal(ground)
        merged, coarse = self.ground_net(image)
        tilt = self._tilt(coarse, ground, focal)
        template = self._template(merged, ground, tilt, focal)
        return GroundCode(template, tilt)

    def loss(self, batch: Batch, progress: float) -> Terms:
        """See CrossViewModel: place, heading, and the unmodelled tilt where it is known."""
        ground = self.encode_ground(batch.ground)
        scores = self.match(self.encode_aerial(batch.aerial), ground)
        with losses.float32(batch):
            truth = batch.tilt * self.tilt_scale(batch.ground)
            terms = {
                "tilt": losses.where_known(ground.tilt, truth),
                "yaw": losses.yaw_cross_entropy(scores, losses.in_cells(batch), batch.yaw),
                "place": self.objective.place(scores, batch, progress),
            }
            weighted = self.objective.tilt * terms["tilt"] + self.objective.yaw * terms["yaw"]
            return terms | {"loss": terms["place"] + weighted}

    def _focal(self, ground: GroundInput) -> Tensor:
        """(B,) vertical pixels per radian at the picture's middle."""
        if self.wrap:
            return torch.full_like(ground.height, self.view.ground_width / (2 * math.pi))
        return ground.intrinsics[:, 1, 1]

    def tilt_scale(self, ground: GroundInput) -> Tensor:
        """(B, 2) factors from (pitch, roll) in radians to the units of GroundCode.tilt."""
        focal = self._focal(ground)
        return torch.stack([focal, torch.full_like(focal, 100.0)], dim=-1)

    def _tilt(self, coarse: Tensor, ground: GroundInput, focal: Tensor) -> Tensor:
        level, basis = self._level_horizon(coarse.shape[-1], ground, focal)
        pixels = self.horizon(coarse, level, basis)
        return torch.stack([pixels[:, 0], pixels[:, 1] / focal * 100.0], dim=-1)

    def _level_horizon(
        self, columns: int, ground: GroundInput, focal: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return what Horizon wants: rows (B, W) by the calibration, and the basis (B, W, 2)."""
        u = torch.arange(columns, device=focal.device) * 8 + 3.5
        up = ground.rotation[:, 2]  # the vertical in the optical frame: its horizon is up · d = 0
        if self.wrap:
            azimuth = (u - (self.view.ground_width - 1) / 2)[None] / focal[:, None]
            sine, cosine = azimuth.sin(), azimuth.cos()
            down = (up[:, :1] * sine + up[:, 2:] * cosine) / -up[:, 1:2]
            middle = (self.view.ground_height - 1) / 2 - PANORAMA_ROWS[0]
            return middle + focal[:, None] * down, torch.stack([cosine, -sine], dim=-1)
        x = (u[None] - ground.intrinsics[:, :1, 2]) / ground.intrinsics[:, :1, 0]
        down = (up[:, :1] * x + up[:, 2:]) / -up[:, 1:2]
        level = ground.intrinsics[:, 1:2, 2] + focal[:, None] * down
        return level, torch.stack([torch.ones_like(x), -x], dim=-1)

    def _template(
        self, features: Tensor, ground: GroundInput, tilt: Tensor, focal: Tensor
    ) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            correction = small_rotation(tilt[:, 0] / focal.float(), tilt[:, 1] / 100.0)
            rotation = ground.rotation.float() @ correction
            optical = to_optical(self.points, rotation, ground.height.float())
            uv, seen = self._project(optical, ground)
            sampled = sample_features(features.float(), uv, 2, self.wrap) * seen[:, None]
        rows, columns = self._lengths()
        layers = sampled.view(len(uv), -1, len(self.heights), rows, columns).flatten(1, 2)
        head = self.ground_head(self.lift_net(self.lift_mix(layers))).float()
        on_road = seen.view(len(uv), len(self.heights), rows, columns)[:, 0]
        weight = F.softplus(head[:, -1] + self.cell_weight) * on_road
        return self._turn(F.normalize(head[:, :-1], dim=1) * weight[:, None], weight)

    def _project(self, optical: Tensor, ground: GroundInput) -> tuple[Tensor, Tensor]:
        size = (self.view.ground_height, self.view.ground_width)
        if self.wrap:
            return project_panorama(optical, size, PANORAMA_ROWS[0])
        return project_pinhole(optical, ground.intrinsics.float(), size)

    def _turn(self, template: Tensor, weight: Tensor) -> Tensor:
        """Turn (B, C, h, w) about the camera by each offset, at unit weight: (B, R, C, h, w)."""
        batch, channels, rows, columns = template.shape
        count = len(self.yaw_offsets)
        stacked = torch.cat([template, weight[:, None]], dim=1)
        grid = self._turn_grid().to(template.dtype)
        turned = F.grid_sample(
            stacked[:, None]
            .expand(-1, count, -1, -1, -1)
            .reshape(batch * count, channels + 1, rows, columns),
            grid[None].expand(batch, -1, -1, -1, -1).reshape(batch * count, rows, columns, 2),
            align_corners=True,
        )
        total = turned[:, -1:].sum(dim=(2, 3), keepdim=True).clamp(min=1e-3)
        kept = turned if self.margin else turned[:, :-1]
        return (kept / total).view(batch, count, -1, rows, columns)

    def _turn_grid(self) -> Tensor:
        """(R, h, w, 2) normalised places of the turned template's cells in the unturned one.

        The picture's up is the prior azimuth; a camera turned counter-clockwise by a sees, at the
        cell with (forward, left) = p of that picture, what its own template holds at p turned by
        −a.
        """
        p = self.points[: self.points.shape[0] // len(self.heights), :2].view(*self._lengths(), 2)
        c, s = self.yaw_offsets.cos()[:, None, None], self.yaw_offsets.sin()[:, None, None]
        forward = p[..., 0] * c + p[..., 1] * s
        left = -p[..., 0] * s + p[..., 1] * c
        rows, columns = self._lengths()
        v = (self.ahead[1] * CELL - forward) / CELL
        u = (-left - self.right[0] * CELL) / CELL
        return torch.stack([u / (columns - 1) * 2 - 1, v / (rows - 1) * 2 - 1], dim=-1)

    def match(self, aerial: AerialCode, ground: GroundCode) -> Scores:
        """Correlate over positions and headings, then decode: p(x, y) p(yaw | x, y)."""
        score = self._correlate(aerial.spectrum, ground.template)
        logits = score * self.log_scale.exp()
        pooled = torch.logsumexp(logits, dim=1, keepdim=True)
        mixed = self.decoder(torch.cat([aerial.context, logits, pooled], dim=1))
        size = (self.view.output_size,) * 2
        fine = F.interpolate(
            torch.cat([mixed, pooled.to(mixed.dtype)], dim=1), size=size, mode="bilinear"
        )
        place = self.refine(torch.cat([fine, aerial.detail], dim=1)).float() + fine[:, -1:].float()
        yaw = F.interpolate(score * self.log_yaw_scale.exp(), size=size, mode="bilinear")
        joint = log_softmax_map(place) + torch.log_softmax(yaw, dim=1)
        return Scores(joint, self.yaw_offsets)

    def _correlate(self, spectrum: Tensor, template: Tensor) -> Tensor:
        """Cosine scores (B, R, 48, 48) of the templates (B, R, C, h, w) at the 1 m cells."""
        side = self.view.aerial_size // 2 + 2 * self.margin
        with torch.autocast(template.device.type, enabled=False):
            kernel = torch.fft.rfft2(template.float(), s=(side, side)).conj()
            product = kernel * spectrum[:, None]
            if self.margin:
                inside = torch.fft.irfft2(product[:, :, -1], s=(side, side))
                product = product[:, :, :-1]
            score = torch.fft.irfft2(product.sum(dim=2), s=(side, side))
            if self.margin:
                score = score / inside.clamp(min=LEAST_INSIDE)
        top, left = self._corner()
        top, left = top - self.ahead[1] + self.margin, left + self.right[0] + self.margin
        half = self.view.output_size // 2
        return score[..., top : top + half, left : left + half]


def sized(view: View, aerial_size: int | None) -> View:
    """Return a view with another size of aerial picture.

    Raises:
        ValueError: a size that its heatmap, or the network's strides, do not fit.
    """
    size = view.aerial_size if aerial_size is None else aerial_size
    if size % 16 or size < view.output_size + 2 * view.aerial_ahead / view.aerial_gsd:
        raise ValueError(
            f"aerial_size {size}: expected a multiple of 16 that holds the heatmap of "
            f"{view.output_size} cells"
        )
    return replace(view, aerial_size=size)
