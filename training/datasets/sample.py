"""The one sample type that every dataset's reader gives, and how samples become a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cross_view_localizer.models.contract import Batch, GroundInput


@dataclass(frozen=True)
class Sample:
    """A pair of pictures with its truth.

    Attributes:
        aerial: (S, S, 3) uint8 RGB.
        ground: (h, w, 3) uint8 RGB.
        intrinsics: (3, 3) pinhole matrix of the ground picture; the identity for panoramas.
        rotation: (3, 3) optical frame to a level one whose x axis looks along the azimuth that is
            told (or along the aerial picture's up, where that is another), as a calibration says.
        tilt: (2,) what the calibration misses: pitch and roll of the optical frame, radians; NaN
            where nobody knows it, which is no label.
        height: optical centre above the road, metres.
        offset: (2,) truth minus the heatmap's middle, in metres to the (right, down) of the
            picture.
        yaw: camera azimuth minus the one that is told (north-up pinhole views: minus the aerial
            picture's up), radians, counter-clockwise.
        position: (2,) truth in the map frame, metres; heading: the camera's azimuth there.
        group: what bootstraps and splits go by: a town, a drive, a city.
        cell: metres per heatmap cell; differs from the view's where a dataset's tiles of several
            resolutions are all resized to one size, as CVML does.
        name: of the row it was made from.
        reference_point: which point of the vehicle ``offset`` is the truth of.
        earlier: (T, h, w, 3) uint8 RGB, the camera's pictures before ``ground``, latest first.
        motion: (T, 3) where the camera was then (see `GroundInput`).
        place: (3,) where on Earth the truth is, metres from its centre; None where nobody knows.
        mask: (h, w) uint8, 1 where ``ground`` is picture, 0 where it is padding; None: all is.
        height_error: logarithm of the camera's true height over ``height``; NaN where nobody knows.
        same_place: the pictures show the same place; otherwise offset and yaw mean nothing.
    """

    aerial: NDArray[np.uint8]
    ground: NDArray[np.uint8]
    intrinsics: NDArray[np.float64]
    rotation: NDArray[np.float64]
    tilt: NDArray[np.float64]
    height: float
    offset: NDArray[np.float64]
    yaw: float
    position: NDArray[np.float64]
    heading: float
    group: int | str
    cell: float
    name: str = ""
    reference_point: str = "camera"
    earlier: NDArray[np.uint8] | None = None
    motion: NDArray[np.float64] | None = None
    place: NDArray[np.float64] | None = None
    mask: NDArray[np.uint8] | None = None
    height_error: float = math.nan
    same_place: bool = True


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples of one view into a batch of float32 tensors, channels last in memory."""
    return floats(stacked(samples))


def stacked(samples: Sequence[Sample]) -> Batch:
    """Stack samples of one view, the pictures as uint8: a quarter of the bytes to send."""

    def pictures(images: list[NDArray[np.uint8]]) -> Tensor:
        return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)

    def numbers(values: list[NDArray[np.float64]] | list[float]) -> Tensor:
        return torch.from_numpy(np.stack(values).astype(np.float32))

    ground = GroundInput(
        pictures([s.ground for s in samples]),
        numbers([s.intrinsics for s in samples]),
        numbers([s.rotation for s in samples]),
        numbers([s.height for s in samples]),
        *_earlier(samples),
        _masks(samples),
    )
    return Batch(
        pictures([s.aerial for s in samples]),
        ground,
        numbers([s.tilt for s in samples]),
        numbers([s.offset for s in samples]),
        numbers([s.yaw for s in samples]),
        numbers([s.cell for s in samples]),
        torch.from_numpy(np.stack([_UNKNOWN if s.place is None else s.place for s in samples])),
        numbers([s.height_error for s in samples]),
        numbers([float(s.same_place) for s in samples]),
    )


_UNKNOWN = np.full(3, np.nan)


def _earlier(samples: Sequence[Sample]) -> tuple[Tensor | None, Tensor | None]:
    """Stack as many earlier pictures, and the motions, as all samples have."""
    count = min(0 if s.earlier is None else len(s.earlier) for s in samples)
    if count == 0:
        return None, None
    pictures = np.stack([s.earlier[:count] for s in samples])  # type: ignore[index]
    motions = np.stack([s.motion[:count] for s in samples])  # type: ignore[index]
    moved = torch.from_numpy(pictures).permute(0, 1, 4, 2, 3)
    return moved, torch.from_numpy(motions.astype(np.float32))


def _masks(samples: Sequence[Sample]) -> Tensor | None:
    """Stack the masks, (B, 1, h, w) uint8, where any picture is padded."""
    if all(s.mask is None for s in samples):
        return None
    full = np.ones(samples[0].ground.shape[:2], np.uint8)
    masks = np.stack([full if s.mask is None else s.mask for s in samples])
    return torch.from_numpy(masks)[:, None]


def floats(batch: Batch) -> Batch:
    """Return a batch with float32 pictures, made where the batch is: on the GPU, if it is there."""
    return batch.each(lambda part: part.float() if part.dtype == torch.uint8 else part)


def tilt_between(rotation: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (pitch, roll), radians, by which ``true`` differs from ``rotation``.

    Of the optical frame. Both (3, 3), optical to levelled frame; to first order, as the angles are
    a degree or two.
    """
    error = rotation.T @ true
    return np.array([(error[2, 1] - error[1, 2]) / 2, (error[1, 0] - error[0, 1]) / 2])
