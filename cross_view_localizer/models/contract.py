"""What every method offers and asks for, so that localizer, training and evaluation treat all
alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cross_view_localizer.views import View


class GroundInput(NamedTuple):
    """A batch of ground pictures with what is known of their cameras.

    Attributes:
        image: (B, 3, ground_height, ground_width) float, RGB, 0 … 255.
        intrinsics: (B, 3, 3) pinhole matrix at this size (pixel centres at integers); for
            panoramas unused.
        rotation: (B, 3, 3) takes a vector of the optical frame (x right, y down, z forward) to the
            camera's levelled frame (x along the camera's azimuth, y left, z up): the mounting's
            pitch and roll.
        height: (B,) optical centre above the road, metres.
    """

    image: Tensor
    intrinsics: Tensor
    rotation: Tensor
    height: Tensor


class Scores(NamedTuple):
    """What match() returns.

    Attributes:
        log_mass: (B, R, output_size, output_size) float32; each sample's exponentials sum to one
            over
            the last three axes. Rows run down (image-down), columns right.
        yaw_offsets: (R,) float32 radians, counter-clockwise: camera azimuth minus the aerial
            picture's up
            (heading-up views). A single 0 where the method takes the heading as given.
    """

    log_mass: Tensor
    yaw_offsets: Tensor


def log_softmax_map(logits: Tensor) -> Tensor:
    """Normalise (B, R, H, W) logits to log mass over (R, H, W), in float32 whatever autocast
    says.
    """
    flat = torch.log_softmax(logits.float().flatten(1), dim=1)
    return flat.view(logits.shape)


class CrossViewModel(nn.Module, ABC):
    """A published method, or ours: two encoders and a matcher.

    Encoding is apart from matching so that an aerial encoding can be kept while the vehicle stays
    inside the patch.
    """

    view: View

    @abstractmethod
    def encode_aerial(self, image: Tensor) -> Any:
        """Encode (B, 3, aerial_size, aerial_size) float RGB 0 … 255."""

    @abstractmethod
    def encode_ground(self, ground: GroundInput) -> Any:
        """Encode a batch of ground pictures."""

    @abstractmethod
    def match(self, aerial: Any, ground: Any) -> Scores:
        """Compare two encodings of the same batch size."""

    def forward(self, aerial: Tensor, ground: GroundInput) -> Scores:
        """Encode both and match."""
        return self.match(self.encode_aerial(aerial), self.encode_ground(ground))
