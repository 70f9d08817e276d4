"""CVR: cross-view regression, the baseline of "Visual Cross-View Metric Localization with Dense
Uncertainty Estimates" (ECCV 2022, section 3.1), after VIGOR (Zhu et al., CVPR 2021).

Each picture becomes one global descriptor (VGG trunk, pool, SAFA); both, not normalised, enter a
small network that regresses where in the tile the camera stands. Trained for that alone, without
retrieval. Sizes that the paper leaves open are those of CVML, so that only the head differs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cross_view_localizer.models.contract import (
    Batch,
    CrossViewModel,
    Fitted,
    GroundInput,
    Scores,
    Terms,
    log_softmax_map,
)
from cross_view_localizer.models.cvml import make_view
from cross_view_localizer.models.parts import losses
from cross_view_localizer.models.parts.kernel import conv_kernel
from cross_view_localizer.models.parts.safa import Safa
from cross_view_localizer.models.parts.vgg import (
    BACKBONES,
    BackboneSpec,
    Preprocess,
    VggTrunk,
    pool_same,
)
from cross_view_localizer.views import View


@dataclass(frozen=True)
class CvrObjective:
    """The plain L2 loss has no options."""


class CVR(CrossViewModel):
    """The regressor; its answer becomes a round Gaussian over the heatmap (section 4.2).

    Args:
        view, backbone, width, heads, norm, blind: as for CVML.
        hidden: width of the head's hidden layer.
        layer_norm: normalise the joined descriptors. The paper feeds them as they are, which is
            sensitive to their scale; from random weights, train with it.

    Attributes:
        sigma: () metres, of the Gaussian along each axis; saved with the weights. Before
            :meth:`set_sigma` an eighth of the heatmap's side: 9.1 m for VIGOR's tiles.

    Raises:
        ValueError: for an unknown view, backbone or normalisation.
    """

    sigma: Tensor
    objective: CvrObjective = CvrObjective()

    def __init__(
        self,
        view: str | Mapping[str, Any] | View = "vigor",
        backbone: str = "vgg16",
        width: float = 1.0,
        heads: int = 8,
        hidden: int = 512,
        norm: str = "none",
        layer_norm: bool = False,
        blind: bool = False,
    ) -> None:
        super().__init__()
        self.view = make_view(view)
        self.blind = blind
        if backbone not in BACKBONES:
            raise ValueError(f"backbone {backbone!r}: expected one of {', '.join(BACKBONES)}")
        spec = BACKBONES[backbone] if width == 1 else BACKBONES[backbone].scaled(width)
        self.preprocess = Preprocess(spec.input_scale)
        self.ground_trunk = VggTrunk(spec, norm)
        self.aerial_trunk = VggTrunk(spec, norm)
        for trunk in (self.ground_trunk, self.aerial_trunk):
            for conv in trunk.convolutions():
                conv_kernel(conv).initialise(xavier=backbone == "vgg16")
        rows, columns, side = self.view.ground_height, self.view.ground_width, self.view.aerial_size
        self.ground_safa = Safa(pooled_positions(rows, columns, spec), heads)
        self.aerial_safa = Safa(pooled_positions(side, side, spec), heads)
        joined = 2 * heads * spec.widths[-1]
        self.norm = nn.LayerNorm(joined) if layer_norm else nn.Identity()
        layers = [nn.Linear(joined, hidden), nn.Linear(hidden, 2)]
        for layer in layers:  # as VIGOR's
            nn.init.trunc_normal_(layer.weight, std=0.005, a=-0.01, b=0.01)
            nn.init.constant_(layer.bias, 0.1)
        self.head = nn.Sequential(layers[0], nn.ReLU(), layers[1])
        metres = self.view.output_size * self.view.output_gsd / 8
        self.register_buffer("sigma", torch.tensor(metres))

    @property
    def half_side(self) -> float:
        """Heatmap cells that one unit of :meth:`regress` stands for: half of the map's side."""
        return self.view.output_size / 2

    def set_sigma(self, metres: float) -> None:
        """Set the Gaussian's σ, fitted on validation samples: σ² = mean |error|² / 2.

        In metres at the view's resolution: where tiles of another are resized to the view, errors
        are to be scaled alike (cells × the view's metres per cell).
        """
        if not 0 < metres < float("inf"):
            raise ValueError(f"sigma of {metres} m: expected a positive number")
        self.sigma.fill_(metres)

    def fit_errors(self, errors: NDArray[Any], cells: NDArray[Any]) -> Fitted:
        """See CrossViewModel: the Gaussian gets the errors' spread, in the view's metres."""
        scale = cells / self.view.output_gsd
        sigma = max(float(np.sqrt(np.mean((errors / scale[:, None]) ** 2))), 1e-3)
        self.set_sigma(sigma)
        return Fitted(sigma, float(np.mean(np.log(2 * math.pi * (sigma * scale) ** 2))) + 1.0)

    def loss(self, batch: Batch, progress: float) -> Terms:
        """See CrossViewModel: the squared distance, in half sides of the map."""
        aerial, ground = self.encode_aerial(batch.aerial), self.encode_ground(batch.ground)
        found = self.regress(aerial, ground)
        with losses.float32(batch):
            truth = losses.in_cells(batch) / self.half_side
            loss = (found.float() - truth).square().sum(dim=1).mean()
            return {"offset": loss, "loss": loss}

    def encode_aerial(self, image: Tensor) -> Tensor:
        """Return (B, D · C) float32 for (B, 3, aerial_size, aerial_size) float RGB 0 … 255."""
        return self._describe(self.aerial_trunk, self.aerial_safa, image)

    def encode_ground(self, ground: GroundInput) -> Tensor:
        """Return (B, D · C) float32; only ``ground.image`` is used."""
        image = torch.full_like(ground.image, 118.0) if self.blind else ground.image
        return self._describe(self.ground_trunk, self.ground_safa, image)

    def _describe(self, trunk: VggTrunk, safa: Safa, image: Tensor) -> Tensor:
        weight = next(trunk.convolutions()).weight
        feature = pool_same(trunk(self.preprocess(image).to(weight.dtype))[-1])
        return safa(feature.flatten(2).transpose(1, 2))

    def regress(self, aerial: Tensor, ground: Tensor) -> Tensor:
        """Return (B, 2) float32 (right, down) from the heatmap's middle to the camera.

        Args:
            aerial, ground: (B, D · C) encodings.

        The unit is half of the heatmap's side (`half_side` cells): the map's borders are at ±1. The
        loss is the mean over the batch of the squared distance in this unit.
        """
        with torch.autocast(aerial.device.type, enabled=False):
            return self.head(self.norm(torch.cat([aerial, ground], dim=1).float()))

    def match(self, aerial: Tensor, ground: Tensor) -> Scores:
        """Return the Gaussian about the regressed point as log mass of the heatmap's cells."""
        cells = self.regress(aerial, ground) * self.half_side
        spread = self.sigma / self.view.output_gsd
        log_mass = gaussian_log_mass(cells, self.view.output_size, spread)[:, None]
        return Scores(log_mass, log_mass.new_zeros(1))

    def prepare_inference(self, dtype: torch.dtype = torch.bfloat16) -> CVR:
        """Keep the convolutions' weights channels-last and in `dtype`; returns self."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                module.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self


def pooled_positions(rows: int, columns: int, spec: BackboneSpec) -> int:
    """Return the positions left of a picture after the trunk's pools and the one after it."""
    for _ in spec.widths:
        rows, columns = -(-rows // 2), -(-columns // 2)
    return rows * columns


def gaussian_log_mass(offset: Tensor, size: int, sigma: Tensor | float) -> Tensor:
    """Return (B, size, size) float32 log mass of a round Gaussian in each cell of a map.

    Args:
        offset: (B, 2) (right, down) from the map's middle to the Gaussian's, cells; also outside.
        size: side of the map, cells.
        sigma: cells, along each axis.

    Integrated over each cell, and normalised: all of the mass lies on the map.
    """
    edges = torch.arange(size + 1, device=offset.device, dtype=torch.float64) - size / 2
    bounds = (edges - offset.double()[..., None]) / sigma  # (B, 2, size + 1)
    axes = torch.log_softmax(_log_between(bounds[..., :-1], bounds[..., 1:]), dim=-1)
    return log_softmax_map(axes[:, 1, :, None] + axes[:, 0, None, :])


def _log_between(low: Tensor, high: Tensor) -> Tensor:
    """Return log(Φ(high) − Φ(low)), also far out in both tails, where Φ itself is 0 or 1."""
    mirrored = low + high > 0  # by symmetry, compute in the lower tail, where Φ keeps its digits
    low, high = torch.where(mirrored, -high, low), torch.where(mirrored, -low, high)
    upper = torch.special.log_ndtr(high)
    return upper + torch.log(-torch.expm1(torch.special.log_ndtr(low) - upper))
