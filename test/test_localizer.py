"""The front door, whole: a real GeoTIFF, rendered pictures, and the correlation model."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from localizer_world import PANORAMA, PINHOLE, FlatWorld, flat_world, mounting, prior_at
from rasterio.transform import from_origin

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.estimate import Estimate
from cross_view_localizer.grid import Grid
from cross_view_localizer.localizer import Localizer, LocalizerConfig
from cross_view_localizer.models.weights import LoadedModel, without_weights

MOUNT = mounting(1.5, 0.3, 1.6, pitch=0.05, yaw=0.1)
CELL = 0.5
SMALL = {"aerial_size": 128, "output_size": 72, "reach": 15.0}


def localizer(world: FlatWorld, model: dict[str, Any] | None = None, **config: Any) -> Localizer:
    loaded = without_weights("correlation", {**SMALL, **(model or {})})
    return Localizer(loaded, world.satellite_map, LocalizerConfig(warm_up=False, **config))


def off(estimate: Estimate, pose: tuple[float, float, float]) -> float:
    assert estimate.raw_pose is not None
    return math.hypot(estimate.raw_pose[0] - pose[0], estimate.raw_pose[1] - pose[1])


@pytest.mark.parametrize("heading", [0.0, 90.0, 200.0])
@pytest.mark.parametrize("ground", ["pinhole", "panorama"])
def test_base_link_is_found(world: FlatWorld, heading: float, ground: str) -> None:
    pose = (12.3, -20.7, math.radians(heading))
    camera = PINHOLE if ground == "pinhole" else PANORAMA
    front = localizer(world, {"ground": ground})
    estimate = front.localize(world.frame(pose, camera, MOUNT), prior_at(18.0, -26.0, pose[2]))
    assert estimate.ok and estimate.reason is None and estimate.stamp == 7
    assert off(estimate, pose) < 0.3
    assert estimate.pose is not None and estimate.covariance is not None
    turn = (estimate.pose[2] - pose[2] + math.pi) % (2 * math.pi) - math.pi
    assert abs(turn) < 1e-9 and estimate.yaw_from_prior
    assert estimate.covariance[2, 2] == pytest.approx(math.radians(2) ** 2)
    assert not estimate.covariance[:2, 2].any()
    assert np.linalg.eigvalsh(estimate.covariance)[0] > 0
    assert estimate.confidence > 0.5 and estimate.model_id == "correlation-unlearned"
    # What RViz shows: the axis-aligned map's maximum is the pose.
    assert estimate.heatmap is not None
    flat = Grid(110, 110, CELL, estimate.heatmap.grid.center)
    mass = estimate.heatmap.mass_on(flat)
    row, column = np.unravel_index(mass.argmax(), mass.shape)
    assert np.abs(flat.pixel_to_map((column, row)) - estimate.pose[:2]).max() <= CELL
    assert (estimate.modes[0].x, estimate.modes[0].y) == pytest.approx(estimate.pose[:2])


def test_headings_are_estimated_where_the_model_does(world: FlatWorld) -> None:
    pose = (3.0, 8.0, 1.2)
    front = localizer(world, {"yaw_offsets_deg": [-4.0, -2.0, 0.0, 2.0, 4.0]})
    for error in (-4.0, 0.0, 3.0):
        prior = prior_at(-2.0, 12.0, pose[2] + math.radians(error))
        estimate = front.localize(world.frame(pose, PINHOLE, MOUNT), prior)
        assert not estimate.yaw_from_prior
        assert off(estimate, pose) < 0.5
        assert estimate.raw_pose is not None and estimate.raw_covariance is not None
        assert math.degrees(estimate.raw_pose[2] - pose[2]) == pytest.approx(0, abs=2.0)
        assert math.degrees(math.sqrt(estimate.raw_covariance[2, 2])) < 5
        assert estimate.raw_covariance[:2, 2].any()


def test_the_peak_does_not_follow_the_patch(world: FlatWorld) -> None:
    """Standing test of evaluation.md: 5 m of the patch, under 0.5 m of the peak."""
    pose = (0.0, 0.0, 0.5)
    frame = world.frame(pose, PINHOLE, MOUNT)
    front = localizer(world, reuse_aerial=False)
    found = [
        front.localize(frame, prior_at(5 * math.cos(a), 5 * math.sin(a), pose[2])).raw_pose
        for a in (0.0, 1.5, 3.0, 4.5)
    ]
    spread = [math.dist(one[:2], found[0][:2]) for one in found if one and found[0]]
    assert np.median(spread) < 0.5


@pytest.mark.parametrize("ground", ["pinhole", "panorama"])
def test_a_kept_patch_gives_the_same_answer(world: FlatWorld, ground: str) -> None:
    camera = PINHOLE if ground == "pinhole" else PANORAMA
    keeping = localizer(world, {"ground": ground})
    fresh = localizer(world, {"ground": ground}, reuse_aerial=False)
    for step in range(4):
        pose = (1.0 * step, 0.4 * step, 0.3 + math.radians(0.6) * step)
        frame = world.frame(pose, camera, MOUNT)
        prior = prior_at(pose[0] + 0.5, pose[1] - 0.5, pose[2], std=3.0)
        kept, new = keeping.localize(frame, prior), fresh.localize(frame, prior)
        assert ("encode_aerial" in kept.timing) == (step == 0)
        assert "encode_aerial" in new.timing
        assert new.raw_pose is not None
        assert off(kept, new.raw_pose) < CELL
        assert off(kept, pose) < CELL


@pytest.mark.parametrize(
    ("moved", "turned", "std", "kept"),
    [
        (3.0, 0.0, 3.0, True),
        (4.5, 0.0, 3.0, False),  # more than a fifth of 18 m
        (0.0, 1.9, 3.0, True),
        (0.0, 2.1, 3.0, False),
        (3.0, 0.0, 5.5, False),  # three sigma would leave the searchable half
    ],
)
def test_when_a_patch_is_kept(
    world: FlatWorld, moved: float, turned: float, std: float, kept: bool
) -> None:
    front = localizer(world)
    frame = world.frame((0.0, 0.0, 0.0), PINHOLE, mounting(0, 0, 1.6))
    front.localize(frame, prior_at(0, 0, 0.0))
    again = front.localize(frame, prior_at(moved, 0, math.radians(turned), std=std))
    assert ("patch" not in again.timing) == kept
    front.clear()
    assert "patch" in front.localize(frame, prior_at(moved, 0, math.radians(turned))).timing


def test_the_prior_is_multiplied_once_and_said(world: FlatWorld) -> None:
    pose = (2.0, 3.0, 0.7)
    frame, prior = world.frame(pose, PINHOLE, MOUNT), prior_at(4.0, 3.0, pose[2], std=0.5)
    alone = localizer(world).localize(frame, prior)
    fused = localizer(world, fuse_prior=True).localize(frame, prior)
    assert (alone.prior_fused, fused.prior_fused) == (False, True)
    assert alone.raw_pose and fused.raw_pose
    assert alone.raw_pose[0] < fused.raw_pose[0] < prior.x
    assert alone.heatmap is not None and fused.heatmap is not None
    assert fused.heatmap.entropy() < alone.heatmap.entropy()


def test_weights_of_another_point_are_honoured_once(world: FlatWorld) -> None:
    """Scores of a model that finds the INS, 1.7 m behind the camera."""
    pose = (5.0, 6.0, 2.1)
    loaded = without_weights("correlation", SMALL)
    metadata = {"reference_point": "ins", "reference_in_camera": [-1.7, 0.2]}
    camera = Localizer(loaded, world.satellite_map, LocalizerConfig(warm_up=False))
    ins = Localizer(
        replace(loaded, metadata=metadata), world.satellite_map, LocalizerConfig(warm_up=False)
    )
    frame, prior = world.frame(pose, PINHOLE, mounting(1.0, 0.0, 1.6)), prior_at(7, 5, pose[2])
    straight, moved = camera.localize(frame, prior).raw_pose, ins.localize(frame, prior).raw_pose
    assert straight is not None and moved is not None
    shift = np.subtract(moved[:2], straight[:2])
    ahead = shift @ (math.cos(pose[2]), math.sin(pose[2]))
    left = shift @ (-math.sin(pose[2]), math.cos(pose[2]))
    assert (ahead, left) == pytest.approx((1.7, -0.2), abs=0.1)
    with pytest.raises(ValueError, match="expected \\(forward, left\\)"):
        Localizer(replace(loaded, metadata={"reference_point": "ins"}), world.satellite_map)


def test_the_calibration_of_the_weights_is_used(world: FlatWorld) -> None:
    pose = (5.0, 6.0, 2.1)
    frame, prior = world.frame(pose, PINHOLE, MOUNT), prior_at(5, 6, pose[2])
    plain = without_weights("correlation", SMALL)
    wide: LoadedModel = replace(plain, calibration=Calibration(temperature=3.0, floor_std=2.0))
    config = LocalizerConfig(warm_up=False, max_std=100)
    found = [
        Localizer(m, world.satellite_map, config).localize(frame, prior) for m in (plain, wide)
    ]
    first, second = (one.covariance for one in found)
    assert first is not None and second is not None
    assert (np.diag(second)[:2] > np.diag(first)[:2] + 3.9).all()
    assert found[1].confidence < found[0].confidence


def test_time_is_split_and_warm_up_leaves_no_trace(world: FlatWorld) -> None:
    front = Localizer(without_weights("correlation", SMALL), world.satellite_map)
    estimate = front.localize(world.frame((0, 0, 0), PINHOLE, MOUNT), prior_at(0, 0, 0.0))
    stages = ["patch", "view", "encode_aerial", "encode_ground", "match", "post", "total"]
    assert list(estimate.timing) == stages
    parts = sum(ms for stage, ms in estimate.timing.items() if stage != "total")
    assert 0 < parts <= estimate.timing["total"]
    assert front.device == torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    assert front.searchable_half == 18.0


def test_the_road_may_lie_below_base_link(world: FlatWorld) -> None:
    pose = (4.0, -3.0, 1.0)
    frame = world.frame(pose, PINHOLE, mounting(1.5, 0.0, 1.6))
    low = replace(frame, camera_in_base=mounting(1.5, 0.0, 1.1))
    estimate = localizer(world, base_height=0.5).localize(low, prior_at(6, -1, pose[2]))
    assert off(estimate, pose) < 0.3


def test_from_files(world: FlatWorld, tmp_path: Path) -> None:
    path = str(tmp_path / "map.tif")
    flat_world(tmp_path)
    front = Localizer.from_files(
        LocalizerConfig(model="correlation", model_config=SMALL, map=path, device="cpu")
    )
    assert front.satellite_map.contains((0.0, 0.0))
    for config, says in (
        (LocalizerConfig(map=path), "neither weights nor model"),
        (LocalizerConfig(model="correlation"), "no map given"),
        (LocalizerConfig(model="magic", map=path), "'magic' is unknown"),
        (LocalizerConfig(weights=str(tmp_path / "w.safetensors"), map=path), "no such weights"),
        (LocalizerConfig(model="correlation", map=str(tmp_path / "none.tif")), "none.tif"),
        (LocalizerConfig(model="correlation", map=path, device="cuda:77"), "'cuda:77' is not"),
        (LocalizerConfig(model="correlation", map=path, device="tpu"), "expected auto, cpu"),
    ):
        with pytest.raises(ValueError, match=says) as caught:
            Localizer.from_files(config)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("gsd", "warned"), [(0.6, 0), (1.0, 1), (2.0, None)])
def test_a_map_much_coarser_than_the_models_pictures_is_refused(
    tmp_path: Path, gsd: float, warned: int | None
) -> None:
    path = tmp_path / "coarse.tif"
    noise = np.random.default_rng(1).integers(0, 256, (3, 200, 200), np.uint8)
    profile = {"driver": "GTiff", "width": 200, "height": 200, "count": 3, "dtype": "uint8"}
    placed = {"crs": "EPSG:32630", "transform": from_origin(620000.0, 5735000.0, gsd, gsd)}
    with rasterio.open(path, "w", **profile, **placed) as file:
        file.write(noise)
    config = LocalizerConfig(model="correlation", model_config=SMALL, map=str(path), device="cpu")
    warnings: list[str] = []
    if warned is None:
        with pytest.raises(ValueError, match=r"2\.00 m per pixel, [^\n]*expected at most 1\.75"):
            Localizer.from_files(config, warnings.append)
    else:
        Localizer.from_files(config, warnings.append)
        assert len([text for text in warnings if "m per pixel" in text]) == warned


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_coverage", 1.5),
        ("max_std", -1.0),
        ("max_std", math.nan),
        ("reuse_angle", 1.0),
        ("precision", "double"),
        ("searchable_half", 0.0),
    ],
)
def test_settings_out_of_range_are_named(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        LocalizerConfig(**{name: value})
    assert "\n" not in str(caught.value)
