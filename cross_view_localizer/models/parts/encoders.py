"""The encoders that a method may choose from, and how each wants its picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from cross_view_localizer.models.parts import lite0
from cross_view_localizer.models.parts.backbone import Merging, Pyramid

Kind = Literal["pyramid", "lite0"]


def made(kind: Kind, widths: Sequence[int], merged: int, wrap: bool, inputs: int) -> Merging:
    """Return an encoder; see `Merging` and `Pyramid` (``widths`` are its own).

    Raises:
        ValueError: one that there is not.
    """
    if kind == "pyramid":
        return Pyramid(widths, merged, wrap, inputs)
    if kind == "lite0":
        return lite0.Lite0(merged, wrap, inputs)
    raise ValueError(f"encoder {kind!r}: expected pyramid or lite0")


def normalised(kind: Kind, image: Tensor) -> Tensor:
    """Return (B, 3, H, W) RGB 0 … 255 as an encoder wants it."""
    if kind == "pyramid":
        return (image - 118.0) / 60.0
    mean, std = (image.new_tensor(values).view(3, 1, 1) for values in (lite0.MEAN, lite0.STD))
    return (image - mean) / std
