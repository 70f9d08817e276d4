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
from cross_view_localizer.models.parts.backbone import conv_norm_relu
from cross_view_localizer.models.parts.cells import SIDE, Cells
from cross_view_localizer.models.parts.correlate import correlate
from cross_view_localizer.models.parts.encoders import Kind, made, normalised
from cross_view_localizer.models.parts.heads import HeightError, NoMatch, masked_mean
from cross_view_localizer.models.parts.horizon import Horizon, level_panorama, level_pinhole
from cross_view_localizer.models.parts.lift import (
    project_panorama,
    project_pinhole,
    sample_features,
    small_rotation,
    to_optical,
)
from cross_view_localizer.views import View

VIEWS = {
    # The whole picture of a front camera, of any shape, padded to this; 16:9 fits almost exactly.
    "pinhole": View(
        "pinhole", 288, 160, 192, 0.5, 96, 0.5, aerial_ahead=20.0, estimates_heading=True, pad=True
    ),
    "panorama": View(
        "panorama", 400, 200, 192, 0.5, 96, 0.5, aerial_ahead=0.0, estimates_heading=True
    ),
}
# The template's cells; one is two aerial pixels wide.
REACH = {"pinhole": Cells((2, 41), (-20, 20)), "panorama": Cells((-20, 20), (-20, 20))}
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
        height: of the error of the stated height, in hundredths, where it is known.
        no_match: of telling pictures of the same place from others, where the model tells.
        strangers: share of a batch that is also compared with the next sample's ground picture.
    """

    yaw: float = 0.2
    tilt: float = 0.3
    height: float = 0.02
    no_match: float = 0.5
    strangers: float = 0.5


class AerialCode(NamedTuple):
    """An encoded aerial picture.

    Attributes:
        spectrum: (B, C, 96, 49) complex64, of the normalised descriptors.
        context: (B, K, 48, 48) features over the heatmap at 1 m.
        detail: (B, D, 96, 96) features over the heatmap at 0.5 m.
        summary: (B, S) of the whole picture.
    """

    spectrum: Tensor
    context: Tensor
    detail: Tensor
    summary: Tensor


class GroundCode(NamedTuple):
    """An encoded ground picture.

    Attributes:
        template: (B, R, C, h, w) float32, weighted descriptors turned by each yaw offset.
        tilt: (B, 2) what the network believes of the camera's unmodelled pitch and roll: the first
            in pixels of the view (pitch × vertical focal length), the second in radians × 100.
        height_error: (B,) what it believes of the logarithm of the true height over the stated.
        summary: (B, S) of the whole picture.
    """

    template: Tensor
    tilt: Tensor
    height_error: Tensor
    summary: Tensor


class Matched(NamedTuple):
    """What a comparison gives: scores without `Scores.no_match`, and its logit (B,) instead."""

    scores: Scores
    no_match: Tensor


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
        encoder: "lite0", which starts from ImageNet's weights, or "pyramid", from scratch.
    """

    yaw_offsets: Tensor
    points: Tensor
    objective: BevObjective = BevObjective()
    tells_no_match = True

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
        encoder: Kind = "lite0",
    ) -> None:
        super().__init__()
        if ground not in VIEWS:
            raise ValueError(f"ground = {ground!r}: expected one of {', '.join(VIEWS)}")
        self.view = sized(VIEWS[ground], aerial_size)
        self.wrap = ground == "panorama"
        self.encoder = encoder
        self.blind = blind
        self.heights = tuple(heights)
        self.cells = REACH[ground]
        self.margin = self._margin()
        self.ground_net = made(encoder, widths, merged, self.wrap, 4 if self.view.pad else 3)
        self.aerial_net = made(encoder, widths, merged, False, 3)
        self.horizon = Horizon(self.ground_net.coarse_channels)
        self.height_error = HeightError(self.ground_net.coarse_channels)
        self.lift_mix = conv_norm_relu(merged * len(self.heights), 48, 1)
        self.lift_net = nn.Sequential(conv_norm_relu(48, 48), conv_norm_relu(48, 48))
        self.ground_head = nn.Conv2d(48, channels + 1, 1)
        self.aerial_head = nn.Conv2d(merged, channels, 1)
        self.context_head = nn.Conv2d(merged, 24, 1)
        self.detail_net = conv_norm_relu(3, 8)
        count = len(yaw_offsets_deg)
        self.decoder = nn.Sequential(
            conv_norm_relu(24 + count + 1, 48), conv_norm_relu(48, 48), conv_norm_relu(48, 16, 1)
        )
        self.refine = nn.Sequential(conv_norm_relu(16 + 8 + 1, 24), nn.Conv2d(24, 1, 3, padding=1))
        self.no_match = NoMatch(16, count, merged)
        self.log_scale = nn.Parameter(torch.tensor(math.log(20.0)))
        self.log_yaw_scale = nn.Parameter(torch.tensor(math.log(20.0)))
        self.cell_weight = nn.Parameter(torch.zeros(self.cells.lengths))
        self.register_buffer(
            "yaw_offsets", torch.deg2rad(torch.tensor(yaw_offsets_deg)), persistent=False
        )
        self.register_buffer("points", self.cells.points(self.heights), persistent=False)

    def encode_aerial(self, image: Tensor) -> AerialCode:
        """See CrossViewModel; image-up is the camera's azimuth."""
        x = normalised(self.encoder, image)
        merged, _ = self.aerial_net(x)
        descriptors = F.normalize(self.aerial_head(merged).float(), dim=1)
        top, left = self._corner()
        half = self.view.output_size // 2
        context = self.context_head(merged)[..., top : top + half, left : left + half]
        detail = x[..., 2 * top : 2 * top + 2 * half, 2 * left : 2 * left + 2 * half]
        if self.margin:  # with what is picture as one more channel, for the template's weights
            inside = torch.ones_like(descriptors[:, :1])
            descriptors = F.pad(torch.cat([descriptors, inside], dim=1), (self.margin,) * 4)
        code = (torch.fft.rfft2(descriptors), context, self.detail_net(detail))
        return AerialCode(*code, merged.mean(dim=(2, 3)))

    def _corner(self) -> tuple[int, int]:
        """Row and column of the heatmap's first 1 m cell in the aerial descriptors."""
        spare = (self.view.aerial_size - self.view.output_size) // 4
        return spare + round(self.view.aerial_ahead / SIDE), spare

    def _margin(self) -> int:
        """Cells by which the template reaches beyond the aerial picture, on the worst side."""
        top, left = self._corner()
        side, half = self.view.aerial_size // 2, self.view.output_size // 2
        beyond = (
            self.cells.ahead[1] - top,
            -self.cells.right[0] - left,
            top + half - self.cells.ahead[0] - side,
            left + half + self.cells.right[1] - side,
        )
        return max(0, *beyond)

    def encode_ground(self, ground: GroundInput) -> GroundCode:
        """See CrossViewModel."""
        image = normalised(self.encoder, ground.image)
        if self.blind:
            image = torch.zeros_like(image)
        if self.wrap:
            image = image[:, :, PANORAMA_ROWS[0] : PANORAMA_ROWS[1]]
        mask = None
        if self.view.pad:
            mask = torch.ones_like(image[:, :1]) if ground.mask is None else ground.mask
            image = torch.cat([image * mask, mask], dim=1)
        ground = ground._replace(mask=mask)
        focal = self._focal(ground)
        merged, coarse = self.ground_net(image)
        tilt = self._tilt(coarse, ground, focal)
        error = self.height_error(coarse, mask, ground.height, focal)
        ground = ground._replace(height=ground.height * error.exp())
        template = self._template(merged, ground, tilt, focal)
        return GroundCode(template, tilt, error, masked_mean(merged, mask))

    def loss(self, batch: Batch, progress: float) -> Terms:
        """See CrossViewModel: place, heading, and what of the camera is known to be misstated."""
        ground, aerial = self.encode_ground(batch.ground), self.encode_aerial(batch.aerial)
        scores, no_match = self._matched(aerial, ground)
        strange = self._strangers(aerial, ground)
        with losses.float32(batch):
            truth = batch.tilt * self.tilt_scale(batch.ground)
            kept, here = losses.of_one_place(scores, batch)
            terms = {
                "tilt": losses.where_known(ground.tilt, truth),
                "yaw": losses.yaw_cross_entropy(kept, losses.in_cells(here), here.yaw),
                "no_match": losses.no_match(no_match, strange, batch),
            }
            if batch.height_error is not None:
                wrong = (ground.height_error[:, None] * 100, batch.height_error[:, None] * 100)
                terms["height"] = losses.where_known(*wrong)
            weighted = sum(getattr(self.objective, name) * one for name, one in terms.items())
            terms["place"] = self.objective.place(kept, here, progress)
            return terms | {"loss": terms["place"] + weighted}

    def _strangers(self, aerial: AerialCode, ground: GroundCode) -> Tensor:
        """Return the no-match logits of some aerial pictures with the next sample's camera.

        None of a sample that is alone.
        """
        count = math.ceil(len(ground.tilt) * self.objective.strangers)
        if len(ground.tilt) < 2 or not count:
            return ground.tilt.new_zeros(0)
        others = GroundCode(*(part.roll(-1, 0)[:count] for part in ground))
        return self._matched(AerialCode(*(part[:count] for part in aerial)), others).no_match

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
        columns = torch.arange(coarse.shape[-1], device=focal.device) * 8 + 3.5
        if self.wrap:
            size = (self.view.ground_height, self.view.ground_width)
            level, basis = level_panorama(columns, ground.rotation, size, PANORAMA_ROWS[0])
        else:
            level, basis = level_pinhole(columns, ground.rotation, ground.intrinsics)
        pixels = self.horizon(coarse, level, basis, ground.mask)
        return torch.stack([pixels[:, 0], pixels[:, 1] / focal * 100.0], dim=-1)

    def _template(
        self, features: Tensor, ground: GroundInput, tilt: Tensor, focal: Tensor
    ) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            correction = small_rotation(tilt[:, 0] / focal.float(), tilt[:, 1] / 100.0)
            rotation = ground.rotation.float() @ correction
            optical = to_optical(self.points, rotation, ground.height.float())
            uv, seen = self._project(optical, ground)
            sampled = sample_features(features.float(), uv, 2, self.wrap) * seen[:, None]
        rows, columns = self.cells.lengths
        layers = sampled.view(len(uv), -1, len(self.heights), rows, columns).flatten(1, 2)
        head = self.ground_head(self.lift_net(self.lift_mix(layers))).float()
        on_road = seen.view(len(uv), len(self.heights), rows, columns)[:, 0]
        weight = F.softplus(head[:, -1] + self.cell_weight) * on_road
        template = F.normalize(head[:, :-1], dim=1) * weight[:, None]
        turned = self.cells.turned(torch.cat([template, weight[:, None]], dim=1), self.yaw_offsets)
        total = turned[:, :, -1:].sum(dim=(3, 4), keepdim=True).clamp(min=1e-3)
        return (turned if self.margin else turned[:, :, :-1]) / total

    def _project(self, optical: Tensor, ground: GroundInput) -> tuple[Tensor, Tensor]:
        size = (self.view.ground_height, self.view.ground_width)
        if self.wrap:
            return project_panorama(optical, size, PANORAMA_ROWS[0])
        uv, seen = project_pinhole(optical, ground.intrinsics.float(), size)
        if ground.mask is not None:
            seen = seen & (sample_features(ground.mask.float(), uv, 1, False)[:, 0] > 0.5)
        return uv, seen

    def match(self, aerial: AerialCode, ground: GroundCode) -> Scores:
        """Correlate over positions and headings, then decode: p(x, y) p(yaw | x, y)."""
        found = self._matched(aerial, ground)
        return found.scores._replace(no_match=torch.sigmoid(found.no_match))

    def _matched(self, aerial: AerialCode, ground: GroundCode) -> Matched:
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
        scores = Scores(joint, self.yaw_offsets)
        where = torch.logsumexp(joint, dim=1)
        told = self.no_match(score, where, mixed, aerial.summary, ground.summary)
        return Matched(scores, told)

    def _correlate(self, spectrum: Tensor, template: Tensor) -> Tensor:
        """Cosine scores (B, R, 48, 48) of the templates (B, R, C, h, w) at the 1 m cells."""
        with torch.autocast(template.device.type, enabled=False):
            template = template.float()
            if self.margin:  # the last channel counts what of the template lies inside
                inside = correlate(spectrum[:, -1:], template[:, :, -1:])
                score = correlate(spectrum[:, :-1], template[:, :, :-1])
                score = score / inside.clamp(min=LEAST_INSIDE)
            else:
                score = correlate(spectrum, template)
        top, left = (place + self.margin for place in self._corner())
        top, left = top - self.cells.ahead[1], left + self.cells.right[0]
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
