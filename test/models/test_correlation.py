"""The correlation model: exact where the world is flat and alike from both sides."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from cross_view_localizer.models.contract import GroundInput
from cross_view_localizer.models.correlation import Correlation

FORWARD = torch.tensor([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
INTRINSICS = torch.tensor([[160.0, 0, 159.5], [0, 160, 119.5], [0, 0, 1]])
GSD, SIZE, HEIGHT = 0.5, 128, 1.6


def aerial(seed: int = 0) -> Tensor:
    noise = torch.rand(1, 3, SIZE // 2, SIZE // 2, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(noise, size=(SIZE, SIZE), mode="bicubic") * 255


def seen(picture: Tensor, column: float, row: float, azimuth: float, panorama: bool) -> GroundInput:
    """What a level camera at a pixel of the aerial picture sees; azimuth counts from image-up."""
    height, width = (200, 400) if panorama else (240, 320)
    v, u = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    if panorama:
        right = ((u + 0.5) / width - 0.5) * 2 * math.pi
        up = (0.5 - (v + 0.5) / height) * math.pi
        ray = torch.stack([up.cos() * right.sin(), -up.sin(), up.cos() * right.cos()], dim=-1)
    else:
        x, y = (u - INTRINSICS[0, 2]) / 160, (v - INTRINSICS[1, 2]) / 160
        ray = torch.stack([x, y, torch.ones_like(x)], dim=-1)
    depth = torch.where(ray[..., 1] > 0.02, HEIGHT / ray[..., 1].clamp(min=0.02), torch.nan)
    ahead, right = ray[..., 2] * depth, ray[..., 0] * depth
    c, s = math.cos(azimuth), math.sin(azimuth)
    at_row = row - (ahead * c + right * s) / GSD
    at_column = column + (right * c - ahead * s) / GSD
    place = torch.stack([at_column, at_row], dim=-1) * 2 / (SIZE - 1) - 1
    view = torch.nn.functional.grid_sample(picture, place.nan_to_num(9.0)[None], align_corners=True)
    return GroundInput(view, INTRINSICS[None], FORWARD[None], torch.tensor([HEIGHT]))


def model(ground: str, offsets: tuple[float, ...] = (0.0,)) -> Correlation:
    size = (400, 200) if ground == "panorama" else (320, 240)
    return Correlation(ground, *size, SIZE, GSD, 64, 15.0, offsets)


@pytest.mark.parametrize("ground", ["pinhole", "panorama"])
@pytest.mark.parametrize(("column", "row"), [(63, 64), (50, 72), (80, 60)])
def test_the_maximum_is_where_the_camera_stands(ground: str, column: int, row: int) -> None:
    picture = aerial()
    found = model(ground)(picture, seen(picture, column, row, 0.0, ground == "panorama"))
    assert found.log_mass.shape == (1, 1, 64, 64)
    assert found.log_mass.exp().sum().item() == pytest.approx(1, abs=1e-5)
    best = divmod(int(found.log_mass.argmax()), 64)
    assert np.abs(np.subtract(best, (row - 32, column - 32))).max() <= 1


@pytest.mark.parametrize("turn", [-6.0, 0.0, 6.0])
def test_the_heading_is_that_of_the_camera(turn: float) -> None:
    picture = aerial(1)
    ground = seen(picture, 64, 60, math.radians(turn), False)
    found = model("pinhole", (-6.0, 0.0, 6.0))(picture, ground)
    heading = int(found.log_mass[0].amax(dim=(1, 2)).argmax())
    assert math.degrees(found.yaw_offsets[heading]) == pytest.approx(turn, abs=1e-4)
    assert (
        np.abs(np.subtract(divmod(int(found.log_mass[0, heading].argmax()), 64), (28, 32))).max()
        <= 1
    )


def test_a_batch_gives_what_its_samples_give() -> None:
    pictures = [aerial(2), aerial(3)]
    grounds = [seen(picture, 64, 64, 0.0, False) for picture in pictures]
    both = GroundInput(*(torch.cat(parts) for parts in zip(*(g[:4] for g in grounds), strict=True)))
    together = model("pinhole")(torch.cat(pictures), both)
    for index, (picture, ground) in enumerate(zip(pictures, grounds, strict=True)):
        alone = model("pinhole")(picture, ground)
        assert torch.allclose(alone.log_mass[0], together.log_mass[index], atol=1e-3)


def test_black_pictures_say_nothing_and_stay_finite() -> None:
    ground = GroundInput(
        torch.zeros(1, 3, 240, 320), INTRINSICS[None], FORWARD[None], torch.tensor([HEIGHT])
    )
    found = model("pinhole")(torch.zeros(1, 3, SIZE, SIZE), ground)
    assert torch.isfinite(found.log_mass).all()
    assert found.log_mass.std() < 1e-3


@pytest.mark.parametrize("config", [{"ground": "side"}, {"output_size": 63}, {"output_size": 999}])
def test_configurations_that_make_no_sense(config: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Correlation(**config)  # type: ignore[arg-type]
