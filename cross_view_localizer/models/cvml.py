"""CVML: "Visual Cross-View Metric Localization with Dense Uncertainty Estimates" (ECCV 2022).

Two unshared VGG trunks; SAFA turns the ground picture into one descriptor and each of N × N aerial
cells into another; their cosine similarities and the aerial descriptors enter a U-Net decoder that
gives one logit per aerial pixel (section 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple

import torch
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
from cross_view_localizer.models.parts.decoder import Decoder, Window
from cross_view_localizer.models.parts.kernel import conv_kernel
from cross_view_localizer.models.parts.safa import Safa, split_cells, unit_length
from cross_view_localizer.models.parts.vgg import BACKBONES, Preprocess, VggTrunk, pool_same
from cross_view_localizer.views import View

VIEWS = {
    # Zoom-20 tiles of 640 px at the paper's 0.114 m/px, resized to 512; the panorama's middle looks
    # north.
    "vigor": View(
        "panorama", 640, 320, 512, 0.114 * 640 / 512, 512, 0.114 * 640 / 512, heading_up=False
    ),
    # 800 px at 0.0924 m/px, resized to 512, turned heading-up.
    "robotcar": View("pinhole", 231, 154, 512, 0.144375, 512, 0.144375),
    # Ours, for the compact network: 96 m of imagery, a heatmap of 48 m.
    "compact-front": View("pinhole", 240, 160, 192, 0.5, 96, 0.5, aerial_ahead=20.0),
    "compact-panorama": View("panorama", 320, 160, 192, 0.5, 96, 0.5),
}


@dataclass(frozen=True)
class CvmlObjective(losses.HeatmapTarget):
    """Weights and forms of the loss's terms; the heatmap's cross-entropy has weight 1.

    Attributes:
        nce: of infoNCE at the bottleneck: 1e4 as published, with pretrained VGG; about 1 from
            scratch.
        nce_form: "per_sample" as the paper writes it, "batch_wide" as the authors' code does.
        temperature: infoNCE's τ.
    """

    nce: float = 1.0
    nce_form: Literal["per_sample", "batch_wide"] = "per_sample"
    temperature: float = 0.1


class AerialEncoding(NamedTuple):
    """What match() needs of an aerial picture.

    Attributes:
        descriptors: (B, N, N, D · C) float32, unit length.
        first: (B, width, 2 N, 2 N) the aerial summand of the decoder's first layer, or None.
        skips: the summands of the skip connections, coarsest first.
    """

    descriptors: Tensor
    first: Tensor | None
    skips: list[Tensor]


class CVML(CrossViewModel):
    """The network, faithful by default; sizes, cells, fusion and backbone are configuration.

    Args:
        view: a name of `VIEWS`, or a View's fields, or those that differ beside "base": a name.
        cells: N; the trunk's last side must be cells · 2^k. With N = 8 on 512 px exactly the
            authors' decoder; 16 drops its first stage; below 8 the first stage's widths are
            repeated (the paper names no widths for other N).
        fusion: which of S, M, G enter the decoder, in any order ("SM" is the authors' choice; "M",
            "SG" and "SMG" are their ablations, Table 1).
        backbone: a name of `vgg.BACKBONES`.
        width: factor on all channel counts of backbone and decoder.
        heads: D, SAFA's masks.
        norm: "none" (the authors'), "batch" or "group": normalisation after plain convolutions.
        skip_connections: from the aerial trunk into the decoder; without them M alone is all that a
            decoder of fusion "M" sees.
        blind: the control without a camera: the ground picture is replaced by grey.

    Raises:
        ValueError: for sizes that do not go together.
    """

    objective: CvmlObjective = CvmlObjective()
    peak_kind: ClassVar[Literal["logit", "log mass"]] = "logit"

    def __init__(
        self,
        view: str | Mapping[str, Any] | View = "vigor",
        cells: int = 8,
        fusion: str = "SM",
        backbone: str = "vgg16",
        width: float = 1.0,
        heads: int = 8,
        norm: str = "none",
        blind: bool = False,
        skip_connections: bool = True,
    ) -> None:
        super().__init__()
        self.view = make_view(view)
        self.cells = cells
        self.blind = blind
        self.fusion = check_fusion(fusion)
        if backbone not in BACKBONES:
            raise ValueError(f"backbone {backbone!r}: expected one of {', '.join(BACKBONES)}")
        spec = BACKBONES[backbone] if width == 1 else BACKBONES[backbone].scaled(width)
        blocks, channels = len(spec.widths), spec.widths[-1]
        side = self.view.aerial_size >> (blocks - 1)
        plain = count_plain_stages(self.view.aerial_size, cells, blocks)
        self.output = output_window(self.view)

        self.preprocess = Preprocess(spec.input_scale)
        self.ground_trunk = VggTrunk(spec, norm)
        self.aerial_trunk = VggTrunk(spec, norm)
        rows, columns = self.view.ground_height, self.view.ground_width
        for _ in range(blocks):  # the trunk's pools and the one after it
            rows, columns = -(-rows // 2), -(-columns // 2)
        self.ground_safa = Safa(rows * columns, heads)
        self.aerial_safa = Safa((side // cells) ** 2, heads)
        skips = tuple(reversed(spec.widths))
        if plain < 0:  # the cells are as fine as the trunk's last block: that skip has no stage
            skips, spec = skips[1:], replace(spec, decoder=spec.decoder[1:])
        self.skips = len(skips) if skip_connections else 0
        skips = skips if skip_connections else (0,) * len(skips)
        self.decoder = Decoder(
            self.fusion,
            heads * channels,
            max(plain, 0),
            spec.bottleneck,
            skips,
            spec.decoder,
            widened(self.output, self.view.aerial_size),
            norm,
        )
        initialise(self, xavier=backbone == "vgg16")

    def encode_aerial(self, image: Tensor) -> AerialEncoding:
        """Encode (B, 3, aerial_size, aerial_size) float RGB 0 … 255."""
        features = self.aerial_trunk(self._input(image))
        descriptors = unit_length(self.aerial_safa(split_cells(features[-1], self.cells)))
        descriptors = descriptors.view(image.shape[0], self.cells, self.cells, -1)
        first, skips = self.decoder.prepare(descriptors, features[: self.skips][::-1])
        return AerialEncoding(descriptors, first, skips)

    def encode_ground(self, ground: GroundInput) -> Tensor:
        """Return (B, D · C) float32 descriptors of unit length; only ``ground.image`` is used."""
        image = torch.full_like(ground.image, 118.0) if self.blind else ground.image
        feature = pool_same(self.ground_trunk(self._input(image))[-1])
        return unit_length(self.ground_safa(feature.flatten(2).transpose(1, 2)))

    def prepare_inference(self, dtype: torch.dtype = torch.bfloat16) -> CVML:
        """Keep the convolutions' weights channels-last and in `dtype`; returns self.

        For inference in half precision, with or without autocast: nothing is left to convert in the
        call. Descriptors, cosine similarities and log mass stay float32. Not for training.
        """
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                module.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self

    def _input(self, image: Tensor) -> Tensor:
        weight = next(self.ground_trunk.convolutions()).weight
        return self.preprocess(image).to(weight.dtype)

    def matching_map(self, aerial: AerialEncoding, ground: Tensor) -> Tensor:
        """Return (B, N, N) float32 cosine similarities: M of the paper."""
        with torch.autocast(ground.device.type, enabled=False):
            return torch.einsum("bijc,bc->bij", aerial.descriptors.float(), ground.float())

    def logits(self, aerial: AerialEncoding, ground: Tensor, matching: Tensor) -> Tensor:
        """Return (B, 1, output_size, output_size), the decoder's output before the softmax."""
        logits = self.decoder(matching, aerial.first, aerial.skips, ground)
        around, inner = self.decoder.window, self.output
        inner = inner._replace(top=inner.top - around.top, left=inner.left - around.left)
        return inner.cut(logits, 1)

    def match(self, aerial: AerialEncoding, ground: Tensor) -> Scores:
        """Decode the matching map into log mass over the aerial picture's cells."""
        return self.match_with_bottleneck(aerial, ground)[0]

    def match_with_bottleneck(
        self, aerial: AerialEncoding, ground: Tensor
    ) -> tuple[Scores, Tensor]:
        """Return what match() does and the (B, N, N) matching map, which infoNCE trains."""
        matching = self.matching_map(aerial, ground)
        log_mass = log_softmax_map(self.logits(aerial, ground, matching))
        return Scores(log_mass, log_mass.new_zeros(1)), matching

    def peak(self, aerial: AerialEncoding, ground: Tensor) -> Tensor:
        """See CrossViewModel: the highest logit, by which the paper ranks headings (4.4)."""
        logits = self.logits(aerial, ground, self.matching_map(aerial, ground))
        return logits.float().flatten(1).amax(dim=1)

    def loss(self, batch: Batch, progress: float) -> Terms:
        """See CrossViewModel: place, and infoNCE at the bottleneck (section 3.2)."""
        own = self.objective
        aerial, ground = self.encode_aerial(batch.aerial), self.encode_ground(batch.ground)
        scores, matching = self.match_with_bottleneck(aerial, ground)
        with losses.float32(batch):
            labels = self._bottleneck_labels(batch, progress, matching.shape[-1])
            form = losses.INFO_NCE[own.nce_form]
            terms = {
                "nce": form(matching, labels, own.temperature),
                "place": own.place(scores, batch, progress),
            }
            return terms | {"loss": terms["place"] + own.nce * terms["nce"]}

    def _bottleneck_labels(self, batch: Batch, progress: float, count: int) -> Tensor:
        """Return the (B, count, count) labels of the matching map."""
        view, own = self.view, self.objective
        offset, sigma = losses.in_cells(batch), own.sigma(batch.cell, progress)
        if own.target == "published":
            if view.output_size != view.aerial_size or view.aerial_ahead:
                raise ValueError(
                    "target 'published': expected a view whose heatmap is the whole aerial picture"
                )
            whole = own.heatmap(offset, view.output_size, sigma, normalized=False)
            return losses.bottleneck_labels(whole, count)
        pixels = sigma * (view.output_gsd / view.aerial_gsd)
        return losses.view_bottleneck_labels(view, offset, count, pixels)


def make_view(view: str | Mapping[str, Any] | View) -> View:
    """Return the View that a name, its fields, or a named base with changes stand for."""
    if isinstance(view, View):
        return view
    if isinstance(view, str):
        view = {"base": view}
    fields = dict(view)
    base = fields.pop("base", None)
    if base is None:
        return View(**fields)
    if base not in VIEWS:
        raise ValueError(f"view {base!r}: expected one of {', '.join(VIEWS)}, or a view's fields")
    return replace(VIEWS[base], **fields)


def check_fusion(fusion: str) -> str:
    """Return the fusion's letters in the order M, S, G."""
    letters = fusion.replace("+", "").replace(",", "").upper()
    if not letters or set(letters) - set("SMG") or len(set(letters)) < len(letters):
        raise ValueError(f"fusion {fusion!r}: expected some of S, M and G, such as SM")
    return "".join(letter for letter in "MSG" if letter in letters)


def count_plain_stages(size: int, cells: int, blocks: int) -> int:
    """Return how many stages without a skip the decoder has; -1 where one with a skip falls away.

    Args:
        size: side of the aerial picture, pixels.
        cells: N.
        blocks: the trunk's blocks.
    """
    side = size >> (blocks - 1)
    ratio = side // cells if cells > 0 else 0
    whole = size == side << (blocks - 1) and ratio * cells == side
    if not whole or ratio & (ratio - 1) or ratio == 0:
        raise ValueError(
            f"{cells} cells over {size} px: expected cells * 2^k to be the "
            f"{size / 2 ** (blocks - 1):g} columns of the last feature map"
        )
    return ratio.bit_length() - 2


def output_window(view: View) -> Window:
    """Return the part of the aerial picture that the heatmap covers, cell for pixel."""
    left = (view.aerial_size - view.output_size) / 2
    top = left + view.aerial_ahead / view.aerial_gsd
    inside = 0 <= left and 0 <= top <= view.aerial_size - view.output_size
    if view.output_gsd != view.aerial_gsd or not inside or top % 1 or left % 1:
        raise ValueError(
            f"heatmap of {view.output_size} cells of {view.output_gsd} m, {view.aerial_ahead} m "
            f"behind the middle of {view.aerial_size} px of {view.aerial_gsd} m: expected whole "
            "pixels inside"
        )
    return Window(int(top), int(left), view.output_size, view.output_size)


def widened(window: Window, size: int) -> Window:
    """Return the window with a margin, in multiples of four pixels.

    Counting back through the two finest stages, a logit depends on up to 9 pixels beyond it.
    """
    if window.height == size:
        return window
    bounds = []
    for start, length in ((window.top, window.height), (window.left, window.width)):
        first = max(0, (start - 9) // 4 * 4)
        bounds.append((first, min(size, -(-(start + length + 9) // 4) * 4) - first))
    return Window(bounds[0][0], bounds[1][0], bounds[0][1], bounds[1][1])


def initialise(model: CVML, xavier: bool) -> None:
    """Random weights: Xavier as the authors' decoder, or He where the whole network starts afresh.

    The authors start the trunks from ImageNet's VGG16 instead.
    """
    for trunk in (model.ground_trunk, model.aerial_trunk):
        for conv in trunk.convolutions():
            conv_kernel(conv).initialise(xavier)
    for stage in model.decoder.kernels():
        for kernel in stage:
            kernel.initialise(xavier)
