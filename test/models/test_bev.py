import math

import numpy as np
import pytest
import torch

from cross_view_localizer.models.bev import PANORAMA_ROWS, BevModel
from cross_view_localizer.models.contract import GroundInput
from cross_view_localizer.models.parts.horizon import level_panorama, level_pinhole
from cross_view_localizer.models.parts.lift import (
    project_panorama,
    project_pinhole,
    sample_features,
    small_rotation,
    to_optical,
)

LEVEL = torch.tensor(
    [[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]
)  # optical -> x fwd, y left


def ground_input(model: BevModel, batch: int = 2) -> GroundInput:
    height, width = model.view.ground_height, model.view.ground_width
    focal = 130.0
    intrinsics = torch.tensor(
        [[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]]
    )
    image = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1)) * 255
    return GroundInput(
        image,
        intrinsics.expand(batch, 3, 3),
        LEVEL.expand(batch, 3, 3),
        torch.full((batch,), 1.5),
    )


def test_a_point_ahead_on_the_road_lies_below_the_horizon() -> None:
    points = torch.tensor([[10.0, 0.0, 0.0], [10.0, 2.0, 0.0], [-5.0, 0.0, 0.0]])
    optical = to_optical(points, LEVEL[None], torch.tensor([1.5]))
    intrinsics = torch.tensor([[[100.0, 0, 120], [0, 100.0, 80], [0, 0, 1]]])
    uv, seen = project_pinhole(optical, intrinsics, (160, 240))
    np.testing.assert_allclose(uv[0, 0], [120, 95], atol=1e-4)
    np.testing.assert_allclose(uv[0, 1], [100, 95], atol=1e-4)  # left of the middle
    assert seen.tolist() == [[True, True, False]]


def test_panorama_columns_run_from_behind_over_left_ahead_and_right() -> None:
    points = torch.tensor([[10.0, 0, 0], [0, 10.0, 0], [0, -10.0, 0]])
    optical = to_optical(points, LEVEL[None], torch.tensor([0.0]))
    uv, _ = project_panorama(optical, (200, 400))
    np.testing.assert_allclose(uv[0, :, 0], [199.5, 99.5, 299.5], atol=1e-3)
    np.testing.assert_allclose(uv[0, :, 1], 99.5, atol=1e-3)


def test_pitch_correction_moves_the_horizon() -> None:
    """A camera pitched up by p sees the horizon lower, by f tan p."""
    pitch = torch.tensor([0.02])
    optical = to_optical(
        torch.tensor([[1e6, 0.0, 1.5]]),
        LEVEL[None] @ small_rotation(pitch, 0 * pitch),
        torch.tensor([1.5]),
    )
    intrinsics = torch.tensor([[[100.0, 0, 120], [0, 100.0, 80], [0, 0, 1]]])
    uv, _ = project_pinhole(optical, intrinsics, (160, 240))
    assert float(uv[0, 0, 1]) - 80 == pytest.approx(100 * math.tan(0.02), abs=1e-3)


def test_features_are_read_where_the_picture_has_them() -> None:
    """A half-size picture's pixel i lies between pixels 2i and 2i + 1."""
    ramp = torch.arange(16.0).repeat(8, 1)[None, None] * 2 + 0.5
    got = sample_features(ramp, torch.tensor([[[7.0, 4.0], [20.25, 9.0]]]), 2, wrap=False)
    np.testing.assert_allclose(got[0, 0], [7.0, 20.25], atol=1e-4)


def test_panorama_features_go_on_across_the_seam() -> None:
    row = torch.tensor([4.0, 1.0, 2.0, 6.0])[None, None, None].expand(1, 1, 4, 4)
    got = sample_features(row, torch.tensor([[[-0.5, 3.0], [7.5, 3.0]]]), 2, wrap=True)
    np.testing.assert_allclose(got[0, 0], [5.0, 5.0], atol=1e-4)


@pytest.mark.parametrize("kind", ["pinhole", "panorama"])
@pytest.mark.parametrize(("row", "column", "turned"), [(3, 40, 0), (24, 24, 1), (46, 5, 2)])
def test_correlation_finds_where_the_template_was_cut(
    kind: str, row: int, column: int, turned: int
) -> None:
    """Cells cut from the aerial descriptors about a place, as a camera turned by an offset sees
    them.
    """
    model = BevModel(ground=kind).eval()
    rng = torch.Generator().manual_seed(3)
    coarse = torch.randn(1, 24, 32, 32, generator=rng)
    descriptors = torch.nn.functional.interpolate(coarse, size=(96, 96), mode="bicubic")
    descriptors = torch.nn.functional.normalize(descriptors, dim=1)
    top, left = model._corner()
    forward, lefts = model.points[: 41 * 41 * 2, 0], model.points[: 41 * 41 * 2, 1]
    rows, columns = model.cells.lengths
    forward, lefts = forward[: rows * columns], lefts[: rows * columns]
    angle = float(model.yaw_offsets[turned])
    c, s = math.cos(angle), math.sin(angle)
    ahead, leftward = forward * c - lefts * s, forward * s + lefts * c
    cell = torch.stack([left + column - leftward, top + row - ahead], dim=-1)[None]
    template = sample_features(descriptors, cell, 1, wrap=False).view(1, 24, rows, columns)
    weighted = torch.cat([template, torch.ones(1, 1, rows, columns)], dim=1)
    found = model.cells.turned(weighted, model.yaw_offsets)
    seen = found[:, :, :-1] / found[:, :, -1:].sum(dim=(3, 4), keepdim=True)
    score = model._correlate(torch.fft.rfft2(descriptors), seen)
    best = int(score.flatten().argmax())
    assert np.unravel_index(best, score.shape[1:]) == (turned, row, column)
    assert float(score.max()) > 0.85


@pytest.mark.parametrize("kind", ["pinhole", "panorama"])
def test_scores_are_a_distribution_of_the_promised_shape(kind: str) -> None:
    model = BevModel(ground=kind).eval()
    with torch.inference_mode():
        scores = model(torch.rand(2, 3, 192, 192) * 255, ground_input(model))
    assert scores.log_mass.shape == (2, 3, 96, 96)
    np.testing.assert_allclose(scores.log_mass.exp().sum(dim=(1, 2, 3)), 1, atol=1e-4)


def test_the_blind_control_does_not_see_the_camera() -> None:
    model = BevModel(blind=True).eval()
    aerial, ground = torch.rand(2, 3, 192, 192) * 255, ground_input(model)
    with torch.inference_mode():
        one = model(aerial, ground).log_mass
        other = model(aerial, ground._replace(image=255 - ground.image)).log_mass
    assert torch.equal(one, other)


def test_an_unknown_ground_view_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of pinhole, panorama"):
        BevModel(ground="fisheye")


@pytest.mark.parametrize(
    ("kind", "across"),
    [("pinhole", 130.0), ("panorama", 130.0), ("pinhole", 290.0), ("pinhole", 60.0)],
)
def test_an_exact_horizon_gives_back_the_tilt_that_the_calibration_misses(
    kind: str, across: float
) -> None:
    """Far points all around, projected by the true camera, are the horizon that should be found."""
    model = BevModel(ground=kind)
    view = model.view
    size = (view.ground_height, view.ground_width)
    intrinsics = torch.tensor([[[across, 0, 122.5], [0, 130.0, 77.5], [0, 0, 1]]])
    nominal = LEVEL[None] @ small_rotation(torch.tensor([0.03]), torch.tensor([0.01]))
    true = nominal @ small_rotation(torch.tensor([0.015]), torch.tensor([-0.02]))
    azimuth = torch.linspace(-math.pi, math.pi, 20001)
    far = torch.stack([azimuth.cos(), azimuth.sin(), 0 * azimuth], dim=-1) @ true[0] * 10
    if kind == "pinhole":
        uv, seen = project_pinhole(far[None], intrinsics, size)
    else:
        uv, seen = project_panorama(far[None], size, PANORAMA_ROWS[0])
    uv = uv[0][seen[0]]
    columns = view.ground_width // 8
    nearest = [(uv[:, 0] - (8 * c + 3.5)).abs().argmin() for c in range(columns)]
    rows = uv[nearest, 1][None]
    middles = torch.arange(columns) * 8 + 3.5
    if kind == "pinhole":
        level, basis = level_pinhole(middles, nominal, intrinsics)
    else:
        level, basis = level_panorama(middles, nominal, size, PANORAMA_ROWS[0])
    ground = GroundInput(torch.empty(0), intrinsics, nominal, torch.tensor([1.5]))
    model.horizon.rows = lambda features: (rows, torch.full_like(rows, 10.0))  # type: ignore
    pixels = model.horizon(torch.zeros(1, 64, 5, columns), level, basis)[0] / model._focal(ground)
    np.testing.assert_allclose(pixels, (0.015, -0.02), atol=2e-4)


def test_the_level_horizon_of_a_rolled_camera_follows_both_focal_lengths() -> None:
    """KITTI's picture squeezed to 240 x 160: fx 139, fy 308, rolled by 3 degrees."""
    intrinsics = torch.tensor([[[139.0, 0, 119.5], [0, 308.0, 79.5], [0, 0, 1]]])
    rotation = LEVEL[None] @ small_rotation(torch.zeros(1), torch.tensor([math.radians(3)]))
    level, _ = level_pinhole(torch.arange(30) * 8 + 3.5, rotation, intrinsics)
    # A level far point in each column's direction, projected by the camera itself.
    u = torch.arange(30) * 8 + 3.5
    slope = -math.tan(math.radians(3)) * (u - 119.5) / 139.0
    np.testing.assert_allclose(level[0], 79.5 + 308.0 * slope, atol=1e-3)


def test_a_template_beyond_the_picture_counts_by_what_lies_inside() -> None:
    """On a picture no larger than the heatmap: the sum over the cells inside, by their weight."""
    torch.manual_seed(0)
    model = BevModel("panorama", channels=3, aerial_size=96).eval()
    assert (model.margin, BevModel("panorama").margin, BevModel("pinhole").margin) == (20, 0, 0)
    side, reach = 48, 20
    descriptors, template = torch.randn(1, 3, side, side), torch.randn(1, 1, 3, 41, 41)
    weight = torch.rand(1, 1, 1, 41, 41)
    weight = weight / weight.sum()
    inside = torch.ones(1, 1, side, side)
    padded = torch.nn.functional.pad(torch.cat([descriptors, inside], dim=1), (reach,) * 4)
    score = model._correlate(torch.fft.rfft2(padded), torch.cat([template, weight], dim=2))
    assert score.shape == (1, 1, side, side)
    for row, column in ((24, 24), (5, 40), (47, 30)):
        top, left = max(0, row - reach), max(0, column - reach)
        seen = descriptors[0, :, top : row + reach + 1, left : column + reach + 1]
        rows = slice(top - row + reach, top - row + reach + seen.shape[1])
        columns = slice(left - column + reach, left - column + reach + seen.shape[2])
        expected = (seen * template[0, 0, :, rows, columns]).sum()
        expected = expected / weight[0, 0, 0, rows, columns].sum()
        torch.testing.assert_close(score[0, 0, row, column], expected, rtol=1e-3, atol=1e-3)


def test_a_smaller_picture_runs_whole_with_the_same_weights() -> None:
    large, small = BevModel("panorama").eval(), BevModel("panorama", aerial_size=96).eval()
    small.load_state_dict(large.state_dict())
    with torch.no_grad():
        scores = small(torch.rand(2, 3, 96, 96) * 255, ground_input(small))
    assert scores.log_mass.shape == (2, 3, 96, 96)
    np.testing.assert_allclose(scores.log_mass.exp().sum(dim=(1, 2, 3)), 1, atol=1e-4)
    for ground, size in (("panorama", 80), ("panorama", 100), ("pinhole", 160)):
        with pytest.raises(ValueError, match=f"aerial_size {size}: expected"):
            BevModel(ground, aerial_size=size)
