"""The ground around a camera in square cells: a template's layout, and how it is turned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 1.0  # metres per cell


@dataclass(frozen=True)
class Cells:
    """Which cells there are; row 0 is the farthest ahead, column 0 the farthest to the left.

    Attributes:
        ahead, right: metres ahead of and to the right of the camera, (least, most), inclusive.
    """

    ahead: tuple[int, int]
    right: tuple[int, int]

    @property
    def lengths(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.ahead[1] - self.ahead[0] + 1, self.right[1] - self.right[0] + 1

    def points(self, heights: Sequence[float] = (0.0,)) -> Tensor:
        """(heights · rows · columns, 3) points: x forward, y left, z up, metres."""
        forward = torch.arange(self.ahead[1], self.ahead[0] - 1, -1) * SIDE
        left = -torch.arange(self.right[0], self.right[1] + 1) * SIDE
        x, y = torch.meshgrid(forward, left, indexing="ij")
        layers = [torch.stack([x, y, torch.full_like(x, z)], dim=-1) for z in heights]
        return torch.stack(layers).reshape(-1, 3).float()

    def turned(self, values: Tensor, angles: Tensor) -> Tensor:
        """Turn (B, C, rows, columns) about the camera by each of (R,) angles: (B, R, C, …).

        What is seen ahead in a picture whose up is the prior azimuth: a camera turned
        counter-clockwise by a sees, at the cell with (forward, left) = p of that picture, what its
        own cells hold at p turned by −a.
        """
        batch, channels, rows, columns = values.shape
        count = len(angles)
        grid = self._grid(angles).to(values.dtype)
        found = F.grid_sample(
            values[:, None]
            .expand(-1, count, -1, -1, -1)
            .reshape(batch * count, channels, rows, columns),
            grid[None].expand(batch, -1, -1, -1, -1).reshape(batch * count, rows, columns, 2),
            align_corners=True,
        )
        return found.view(batch, count, channels, rows, columns)

    def _grid(self, angles: Tensor) -> Tensor:
        """(R, rows, columns, 2) normalised places of the turned cells in the unturned ones."""
        rows, columns = self.lengths
        p = self.points().to(angles.device)[:, :2].view(rows, columns, 2)
        c, s = angles.cos()[:, None, None], angles.sin()[:, None, None]
        forward = p[..., 0] * c + p[..., 1] * s
        left = -p[..., 0] * s + p[..., 1] * c
        v = (self.ahead[1] * SIDE - forward) / SIDE
        u = (-left - self.right[0] * SIDE) / SIDE
        return torch.stack([u / (columns - 1) * 2 - 1, v / (rows - 1) * 2 - 1], dim=-1)
