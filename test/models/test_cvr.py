"""CVR: sizes, its offset's sign, its Gaussian by hand, its weights file, and that it learns."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from localizer_world import PANORAMA, flat_world, mounting, prior_at

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.localizer import Localizer, LocalizerConfig
from cross_view_localizer.models import registry, weights
from cross_view_localizer.models.contract import GroundInput
from cross_view_localizer.models.cvr import CVR, gaussian_log_mass

SMALL: dict[str, Any] = {
    "view": {
        "base": "compact-panorama",
        "ground_width": 64,
        "ground_height": 40,
        "aerial_size": 64,
        "output_size": 32,
    },
    "backbone": "vgg16-compact",
    "width": 0.5,
    "hidden": 32,
}
UNUSED = torch.zeros(1)


def pair(model: CVR, batch: int = 1) -> tuple[torch.Tensor, GroundInput]:
    random = torch.Generator().manual_seed(1)
    view = model.view
    aerial = 255 * torch.rand(batch, 3, view.aerial_size, view.aerial_size, generator=random)
    ground = 255 * torch.rand(batch, 3, view.ground_height, view.ground_width, generator=random)
    return aerial, GroundInput(ground, UNUSED, UNUSED, UNUSED)


def constant(model: CVR, right: float, down: float) -> CVR:
    """Make the head answer the same for all pictures."""
    last = model.head[2]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([right, down]))
    return model.eval()


@pytest.mark.parametrize(
    ("view", "backbone", "positions", "millions"),
    [
        ("vigor", "vgg16", (200, 256), 34.47),
        ("robotcar", "vgg16", (40, 256), 34.17),
        ("compact-panorama", "vgg16-compact", (200, 144), 2.12),
        ("compact-front", "vgg16-compact", (150, 144), 1.98),
        ({"base": "vigor", "aerial_size": 320, "output_size": 320}, "vgg16", (200, 100), 34.03),
    ],
)
def test_sizes(view: Any, backbone: str, positions: tuple[int, int], millions: float) -> None:
    """Parameters as counted in an independent replica (specification, section 0b)."""
    model = CVR(view, backbone=backbone)
    assert (model.ground_safa.weights1.shape[0], model.aerial_safa.weights1.shape[0]) == positions
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.005)
    if backbone == "vgg16":
        assert model.head[0].weight.shape == (512, 8192)


@pytest.mark.parametrize("view", ["robotcar", "compact-front", "compact-panorama"])
def test_forward(view: str) -> None:
    model = CVR(view, backbone="vgg16-compact", width=0.5, heads=2, hidden=8).eval()
    aerial, ground = pair(model, 2)
    with torch.inference_mode():
        scores = model(aerial, ground)
        offset = model.regress(model.encode_aerial(aerial), model.encode_ground(ground))
    size = model.view.output_size
    assert offset.shape == (2, 2) and offset.dtype == torch.float32
    assert scores.log_mass.shape == (2, 1, size, size) and scores.log_mass.dtype == torch.float32
    assert scores.yaw_offsets.tolist() == [0]
    torch.testing.assert_close(scores.log_mass.exp().sum((1, 2, 3)), torch.ones(2))


def test_offset_is_right_and_down_in_half_sides() -> None:
    """32 cells of 0.5 m: a half side is 16 cells; (0.25, -0.5) is 4 right and 8 up."""
    model = constant(CVR(**SMALL), 0.25, -0.5)
    model.set_sigma(0.5)
    mass = model(*pair(model)).log_mass.detach().exp()[0, 0]
    cells = torch.arange(32.0) - 15.5
    assert (mass.sum(0) @ cells).item() == pytest.approx(4, abs=1e-4)  # columns
    assert (mass.sum(1) @ cells).item() == pytest.approx(-8, abs=1e-4)  # rows run down
    variance = (mass.sum(0) @ (cells - 4) ** 2).item()
    assert variance == pytest.approx(1 + 1 / 12, rel=1e-3)  # sigma is a cell; plus a cell's own


@pytest.mark.parametrize(
    ("heading_up", "yaw", "moved"),
    [
        (False, 0.7, (4.0, 8.0)),  # north-up: right is east, up is north, wherever the car heads
        (True, math.pi / 2, (4.0, 8.0)),
        (True, 0.0, (8.0, -4.0)),  # heading east: up is east, right is south
        (True, -math.pi / 2, (-4.0, -8.0)),  # heading south
    ],
)
def test_through_the_front_door(
    heading_up: bool, yaw: float, moved: tuple[float, float], tmp_path: Path
) -> None:
    """32 cells of 1 m; (0.25, -0.5) half sides are 4 m to the right and 8 m up of the prior."""
    view = {**SMALL["view"], "aerial_gsd": 0.5, "output_gsd": 1.0, "heading_up": heading_up}
    model = constant(CVR(**{**SMALL, "view": view}), 0.25, -0.5)
    model.set_sigma(1.5)
    world = flat_world(tmp_path)
    loaded = weights.LoadedModel(model, "cvr", {}, Calibration(), {}, "cvr-test")
    localizer = Localizer(loaded, world.satellite_map, LocalizerConfig(warm_up=False))
    frame = world.frame((5.0, -7.0, yaw), PANORAMA, mounting(0.0, 0.0, 1.6))
    estimate = localizer.localize(frame, prior_at(5.0, -7.0, yaw, std=5.0))
    assert estimate.ok and estimate.pose is not None and estimate.covariance is not None
    assert estimate.pose == pytest.approx((5.0 + moved[0], -7.0 + moved[1], yaw), abs=0.05)
    assert estimate.covariance[0, 0] == pytest.approx(1.5**2, rel=0.15)


def test_aerial_comes_first_into_the_head() -> None:
    model = CVR(**SMALL).eval()
    model.head = torch.nn.Sequential()  # leaves its input as it is
    assert model.regress(torch.ones(1, 3), torch.zeros(1, 3)).tolist() == [[1, 1, 1, 0, 0, 0]]


def test_gaussian_by_hand() -> None:
    """Two cells, the centre on the right one's middle, sigma one cell: Φ between its borders."""

    def phi(x: float) -> float:
        return 0.5 * (1 + math.erf(x / math.sqrt(2)))

    mass = gaussian_log_mass(torch.tensor([[0.5, 0.0]]), 2, 1.0).exp()[0]
    right, left = phi(0.5) - phi(-0.5), phi(-0.5) - phi(-1.5)
    share = right / (right + left)
    assert mass[0].tolist() == pytest.approx([(1 - share) / 2, share / 2], rel=1e-5)
    assert mass[1].tolist() == pytest.approx(mass[0].tolist(), rel=1e-6)


def test_gaussian_has_the_papers_density() -> None:
    """Cell area / (2πσ²) · exp(−e² / 2σ²), where the map is wide and the cells are fine."""
    sigma, size = 12.0, 256
    log_mass = gaussian_log_mass(torch.tensor([[3.5, -2.5]]), size, sigma)[0]
    for right, down in ((0, 0), (20, 0), (-7, 30)):
        expected = -math.log(2 * math.pi * sigma**2) - (right**2 + down**2) / (2 * sigma**2)
        at = log_mass[127 - 2 + down, 127 + 4 + right].item()
        assert at == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("sigma", [1e-3, 0.3, 50.0, 1e4])
@pytest.mark.parametrize("offset", [(0.0, 0.0), (400.0, 3.0), (-1e4, -1e4)])
def test_gaussian_stays_finite_and_whole(offset: tuple[float, float], sigma: float) -> None:
    place = torch.tensor([offset], requires_grad=True)
    log_mass = gaussian_log_mass(place, 16, sigma)
    (gradient,) = torch.autograd.grad(log_mass[0, 4, 9], place)
    assert torch.isfinite(log_mass).all() and torch.isfinite(gradient).all()
    assert log_mass.exp().sum().item() == pytest.approx(1, abs=1e-5)
    mirrored = gaussian_log_mass(-place.detach(), 16, sigma).flip(1, 2)
    torch.testing.assert_close(mirrored, log_mass.detach())


def test_sigma_is_in_metres_and_kept_in_the_file(tmp_path: Path) -> None:
    assert CVR(**SMALL).sigma.item() == pytest.approx(32 * 0.5 / 8)
    model = CVR(**SMALL).eval()
    model.set_sigma(2.5)
    path = tmp_path / "cvr.safetensors"
    weights.save(path, "cvr", SMALL, model.state_dict())
    loaded = weights.load(path, "cvr").model
    assert isinstance(loaded, CVR) and loaded.sigma.item() == 2.5
    aerial, ground = pair(model)
    with torch.inference_mode():
        assert torch.equal(loaded(aerial, ground).log_mass, model(aerial, ground).log_mass)


@pytest.mark.parametrize("metres", [0.0, -1.0, math.nan, math.inf])
def test_senseless_sigmas_are_refused(metres: float) -> None:
    with pytest.raises(ValueError, match="expected a positive number"):
        CVR(**SMALL).set_sigma(metres)


def test_configurations_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match="backbone 'resnet': expected one of vgg16"):
        CVR(**{**SMALL, "backbone": "resnet"})
    with pytest.raises(ValueError, match="does not take this configuration"):
        registry.build("cvr", {"cells": 8})


def test_a_blind_network_sees_no_camera() -> None:
    blind = CVR(**SMALL, blind=True).eval()
    aerial, ground = pair(blind)
    other = ground._replace(image=ground.image.flip(3))
    with torch.inference_mode():
        assert torch.equal(blind(aerial, ground).log_mass, blind(aerial, other).log_mass)


def test_half_precision_stays_near() -> None:
    exact = CVR(**{**SMALL, "width": 1.0}).eval()
    half = copy.deepcopy(exact).prepare_inference(torch.bfloat16)
    aerial, ground = pair(exact)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = half.regress(half.encode_aerial(aerial), half.encode_ground(ground))
    with torch.inference_mode():
        expected = exact.regress(exact.encode_aerial(aerial), exact.encode_ground(ground))
    assert found.dtype == torch.float32
    assert 0 < (found - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_eight_samples_are_learned_to_a_cell(norm: str) -> None:
    """Half a side is 16 cells, so that a cell is 1/16."""
    torch.manual_seed(0)
    model = CVR(**SMALL, norm=norm, layer_norm=True)
    aerial, ground = pair(model, 8)
    truth = torch.rand(8, 2, generator=torch.Generator().manual_seed(2)) * 1.6 - 0.8
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(80):
        offset = model.regress(model.encode_aerial(aerial), model.encode_ground(ground))
        loss = (offset - truth).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    idle = [name for name, value in model.named_parameters() if value.grad is None]
    assert idle == [] and (offset - truth).norm(dim=1).max().item() * 16 < 1
