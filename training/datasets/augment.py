"""Changes that leave the truth as it is (light, colour, blur), or move it too (mirror)."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training.datasets.sample import Sample


def photometric(
    image: NDArray[np.uint8],
    rng: np.random.Generator,
    mask: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Vary (H, W, 3) uint8 as a camera does: padding, where an (H, W) mask is 0, is no picture."""
    if mask is None or not mask.any():
        return _varied(image, rng)
    # Only the picture, so that blurring brings no black into it.
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    inside = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    changed = np.zeros_like(image)
    changed[inside] = _varied(np.ascontiguousarray(image[inside]), rng)
    changed *= mask[..., None]
    return changed


def _varied(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Vary gain, offset, colours and gamma of (H, W, 3) uint8, by one table, and sharpness."""
    gain = np.exp(rng.normal(0.0, 0.15)) * np.exp(rng.normal(0.0, 0.05, 3))
    gamma = np.exp(rng.normal(0.0, 0.15))
    levels = np.linspace(0.0, 1.0, 256)[:, None] ** gamma
    table = np.clip(levels * gain * 255.0 + rng.normal(0.0, 8.0), 0, 255).astype(np.uint8)
    changed = cv2.LUT(image, table[None])
    if rng.random() < 0.15:
        grey = cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY)
        changed = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    if rng.random() < 0.3:
        changed = cv2.GaussianBlur(changed, (0, 0), rng.uniform(0.3, 1.0))
    return np.asarray(changed)


def mirror(sample: Sample) -> Sample:
    """Return the sample of the mirrored world: left and right of the vehicle exchanged."""
    intrinsics = sample.intrinsics.copy()
    if intrinsics[0, 2] > 0:  # a panorama has no principal point
        intrinsics[0, 2] = sample.ground.shape[1] - 1 - intrinsics[0, 2]
    optical, levelled = np.diag([-1.0, 1.0, 1.0]), np.diag([1.0, -1.0, 1.0])
    return replace(
        sample,
        aerial=np.ascontiguousarray(sample.aerial[:, ::-1]),
        ground=np.ascontiguousarray(sample.ground[:, ::-1]),
        mask=None if sample.mask is None else np.ascontiguousarray(sample.mask[:, ::-1]),
        intrinsics=intrinsics,
        rotation=levelled @ sample.rotation @ optical,
        tilt=sample.tilt * (1.0, -1.0),
        offset=sample.offset * (-1.0, 1.0),
        yaw=-sample.yaw,
        earlier=None if sample.earlier is None else sample.earlier[:, :, ::-1].copy(),
        motion=None if sample.motion is None else sample.motion * (1.0, -1.0, -1.0),
    )


def augment(sample: Sample, rng: np.random.Generator) -> Sample:
    """Mirror half of the samples and vary the light of both pictures independently."""
    if rng.random() < 0.5:
        sample = mirror(sample)
    aerial = photometric(sample.aerial, rng)
    sample = replace(sample, aerial=aerial, ground=photometric(sample.ground, rng, sample.mask))
    if sample.earlier is None:
        return sample
    earlier = [photometric(one, rng, sample.mask) for one in sample.earlier]
    return replace(sample, earlier=np.stack(earlier))
