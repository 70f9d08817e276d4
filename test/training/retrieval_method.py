"""A small retrieval, as a method of one's own: soft-margin triplets, batches of neighbours.

The aerial picture is a gallery of overlapping tiles; the tile whose descriptor is most like the
camera picture's says where it was taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
from cross_view_localizer.models.parts.drawing import Neighbours
from cross_view_localizer.views import View

TILE, STRIDE = 24, 8


@dataclass(frozen=True)
class RetrievalObjective:
    """Options of the triplet loss.

    Attributes:
        margin: factor in the softplus.
        sigma: metres over which another place becomes a negative.
    """

    margin: float = 10.0
    sigma: float = 4.0


class Retrieval(CrossViewModel):
    """See the module's head."""

    objective: RetrievalObjective = RetrievalObjective()

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.view = View("pinhole", 64, 48, 72, 0.5, (72 - TILE) // STRIDE + 1, STRIDE * 0.5)
        self.ground_net, self.tile_net = (describer(width) for _ in range(2))

    def encode_aerial(self, image: Tensor) -> Tensor:
        tiles = functional.unfold(image, TILE, stride=STRIDE)  # (B, 3 · 24², 7²)
        batch, _, count = tiles.shape
        flat = tiles.transpose(1, 2).reshape(batch * count, 3, TILE, TILE)
        return functional.normalize(self.tile_net(flat / 64 - 2), dim=1).view(batch, count, -1)

    def encode_ground(self, ground: GroundInput) -> Tensor:
        return functional.normalize(self.ground_net(ground.image / 64 - 2), dim=1)

    def match(self, aerial: Tensor, ground: Tensor) -> Scores:
        likeness = torch.einsum("bnc,bc->bn", aerial, ground)
        side = self.view.output_size
        return Scores(log_softmax_map(20 * likeness.view(-1, 1, side, side)), likeness.new_zeros(1))

    def drawing(self) -> Neighbours:
        return Neighbours(radius=30.0, most=3)

    def loss(self, batch: Batch, progress: float) -> Terms:
        tiles, queries = self.encode_aerial(batch.aerial), self.encode_ground(batch.ground)
        with losses.float32(batch):
            rows, side = torch.arange(len(tiles)), self.view.output_size
            cell = (losses.in_cells(batch) + (side - 1) / 2).round().long().clamp(0, side - 1)
            right = tiles.float()[rows, cell[:, 1] * side + cell[:, 0]]
            among = self._triplets(queries.float() @ right.T, self._apart(batch))
            own = torch.einsum("bnc,bc->bn", tiles.float(), queries.float())
            away = functional.one_hot(cell[:, 1] * side + cell[:, 0], side**2) == 0
            within = functional.softplus(
                self.objective.margin * (own - (queries * right).sum(1, keepdim=True))
            )
            terms = {"among": among, "within": within[away].mean()}
            return terms | {"loss": terms["among"] + terms["within"]}

    def _apart(self, batch: Batch) -> Tensor:
        """(B, B) how much a negative each other place is: 0 at the same one, 1 far away."""
        assert batch.place is not None
        distance = (batch.place[:, None] - batch.place[None]).norm(dim=2).float()
        return 1 - torch.exp(-0.5 * (distance / self.objective.sigma) ** 2)

    def _triplets(self, likeness: Tensor, apart: Tensor) -> Tensor:
        """The mean over both directions of pictures and tiles."""
        total: Any = 0.0
        for one in (likeness, likeness.T):
            worse = functional.softplus(self.objective.margin * (one - one.diagonal()[:, None]))
            total = total + (apart * worse).sum() / apart.sum().clamp(min=1e-6)
        return total / 2


def describer(width: int) -> nn.Sequential:
    """A picture's descriptor, of ``4 · width`` numbers, blind to its size."""
    layers: list[nn.Module] = []
    for channels, out in ((3, width), (width, 2 * width), (2 * width, 2 * width)):
        layers += [nn.Conv2d(channels, out, 3, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(18 * width, 4 * width)
    )
