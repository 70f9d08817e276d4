"""Every reason for silence: input → reason, and what is still said beside it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from localizer_world import PANORAMA, FlatWorld, mounting, prior_at
from scripted_model import MOUNT, SURE, VIEW, Scripted, refused, scripted

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.camera.camera import Camera
from cross_view_localizer.estimate import Frame, Reason
from cross_view_localizer.gates import Judged, gate
from cross_view_localizer.grid import Grid
from cross_view_localizer.localizer import Localizer, LocalizerConfig
from cross_view_localizer.map.satellite_map import MapError, Patch
from cross_view_localizer.models.weights import LoadedModel, WeightsError
from cross_view_localizer.prior.prior import PriorRefusal


def test_a_good_frame_is_answered(world: FlatWorld, frame: Frame) -> None:
    estimate = scripted(world, Scripted(SURE)).localize(frame, prior_at(3, 4, 0.3))
    assert estimate.ok and estimate.pose == pytest.approx((3, 4, 0.3), abs=1e-6)


def test_the_patch_lies_ahead_where_the_view_says_so(world: FlatWorld, frame: Frame) -> None:
    ahead = Scripted(SURE, view=replace(VIEW, aerial_ahead=10.0))
    estimate = scripted(world, ahead).localize(frame, prior_at(3, 4, math.pi / 2))
    assert estimate.patch is not None and estimate.heatmap is not None
    # The camera is a metre ahead of base_link; the heatmap is about base_link.
    assert estimate.patch.grid.center == pytest.approx((3, 15))
    assert estimate.heatmap.grid.center == pytest.approx((3, 4))
    assert estimate.pose == pytest.approx((3, 4, math.pi / 2), abs=1e-6)


def test_no_image(world: FlatWorld, frame: Frame) -> None:
    front = scripted(world, Scripted(SURE))
    prior = prior_at(0, 0, 0.0)
    refused(front.localize(None, prior), Reason.NO_IMAGE)
    empty = replace(frame, image=np.zeros((0, 0, 3), np.uint8))
    estimate = front.localize(empty, prior)
    refused(estimate, Reason.NO_IMAGE)
    assert estimate.prior is prior and estimate.stamp == 7


@pytest.mark.parametrize(
    "image",
    [np.zeros((240, 321, 3), np.uint8), np.zeros((240, 320), np.uint8), np.zeros((240, 320, 3))],
)
def test_an_image_of_another_size_or_type(world: FlatWorld, frame: Frame, image: Any) -> None:
    front = scripted(world, Scripted(SURE))
    detail = refused(
        front.localize(replace(frame, image=image), prior_at(0, 0, 0.0)), Reason.BAD_IMAGE
    )
    assert "expected (240, 320, 3) uint8" in detail


def test_a_camera_that_cannot_give_the_view(world: FlatWorld, frame: Frame) -> None:
    front = scripted(world, Scripted(SURE, view=replace(VIEW, ground="panorama")))
    detail = refused(front.localize(frame, prior_at(0, 0, 0.0)), Reason.BAD_CAMERA_INFO)
    assert "panorama" in detail
    below = replace(frame, camera_in_base=mounting(1.0, 0.0, -0.1))
    front = scripted(world, Scripted(SURE))
    assert "above the road" in refused(
        front.localize(below, prior_at(0, 0, 0.0)), Reason.BAD_CAMERA_INFO
    )


def test_a_camera_higher_or_lower_than_the_weights_know(world: FlatWorld, frame: Frame) -> None:
    known = LoadedModel(
        Scripted(SURE), "scripted", {}, Calibration(), {"camera_heights": [1.0, 3.6]}, "scripted-1"
    )
    front = Localizer(known, world.satellite_map, LocalizerConfig(warm_up=False))
    prior = prior_at(0, 0, 0.0)
    for height in (10.0, 0.8):
        detail = refused(
            front.localize(replace(frame, camera_in_base=mounting(1.0, 0.0, height)), prior),
            Reason.BAD_CAMERA_INFO,
        )
        assert f"camera {height:g} m above the road" in detail and "1 to 3.6 m" in detail
        # Weights that say nothing take any height.
        silent = scripted(world, Scripted(SURE))
        assert silent.localize(replace(frame, camera_in_base=mounting(1.0, 0.0, height)), prior).ok
    assert front.localize(frame, prior).ok


@pytest.mark.parametrize("said", [[3.6, 1.0], [1.0], "high", [-1.0, 2.0]])
def test_heights_that_make_no_sense_are_refused_with_the_weights(
    world: FlatWorld, said: Any
) -> None:
    loaded = LoadedModel(
        Scripted(SURE), "scripted", {}, Calibration(), {"camera_heights": said}, "scripted-1"
    )
    with pytest.raises(WeightsError, match="camera_heights") as caught:
        Localizer(loaded, world.satellite_map, LocalizerConfig(warm_up=False))
    assert "\n" not in str(caught.value)


def test_cameras_that_a_padded_view_cannot_be_made_from(world: FlatWorld, frame: Frame) -> None:
    front = scripted(world, Scripted(SURE, view=replace(VIEW, pad=True)))
    prior = prior_at(0, 0, 0.0)
    assert front.localize(frame, prior).ok
    assert front.localize(with_field(frame, 120, (320, 200)), prior).ok
    narrow = with_field(frame, 30, (320, 240))
    detail = refused(front.localize(narrow, prior), Reason.BAD_CAMERA_INFO)
    assert "field of view of 30.0 degrees: expected at least 35" in detail
    strip = with_field(frame, 90, (600, 50))
    detail = refused(front.localize(strip, prior), Reason.BAD_CAMERA_INFO)
    assert "of the view would be picture: expected at least 15%" in detail


def with_field(frame: Frame, degrees: float, size: tuple[int, int]) -> Frame:
    """The frame of a camera of a horizontal field of view and a size, its picture noise."""
    focal = size[0] / 2 / math.tan(math.radians(degrees / 2))
    matrix = np.array([[focal, 0, (size[0] - 1) / 2], [0, focal, (size[1] - 1) / 2], [0, 0, 1]])
    noise = np.random.default_rng(1).integers(0, 256, (*size[::-1], 3), np.uint8)
    return replace(frame, image=noise, camera=Camera("pinhole", *size, matrix))


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_picture_that_shows_nothing(
    world: FlatWorld, frame: Frame, level: int, pad: bool
) -> None:
    front = scripted(world, Scripted(SURE, view=replace(VIEW, pad=pad, ground_width=48)))
    # As a covered lens gives it: a little noise, and a tint.
    noise = np.random.default_rng(1).normal(level, 2.0, frame.image.shape) + (0.0, 4.0, -3.0)
    for image in (np.full_like(frame.image, level), noise.clip(0, 255).astype(np.uint8)):
        estimate = front.localize(replace(frame, image=image), prior_at(0, 0, 0.0))
        assert "uniform picture" in refused(estimate, Reason.BAD_IMAGE)
    assert front.localize(frame, prior_at(0, 0, 0.0)).ok


@pytest.mark.parametrize("reason", ["no_fix", "stale_prior"])
def test_no_prior(world: FlatWorld, frame: Frame, reason: str) -> None:
    front = scripted(world, Scripted(SURE))
    said = refused(front.localize(frame, PriorRefusal(reason, "as told")), Reason(reason))
    assert said == "as told"
    refused(front.localize(frame, None), Reason.NO_FIX)
    refused(front.localize(frame, prior_at(math.nan, 0, 0.0)), Reason.NO_FIX)


def test_heading_unknown_only_where_it_is_needed(world: FlatWorld, frame: Frame) -> None:
    unknown = prior_at(0, 0, None)
    detail = refused(
        scripted(world, Scripted(SURE)).localize(frame, unknown), Reason.HEADING_UNKNOWN
    )
    assert "heading_source" in detail
    finder = Scripted(SURE, view=replace(VIEW, heading_up=False, estimates_heading=True))
    finder.offsets = torch.tensor([-0.1, 0.0, 0.1]) + 1.0
    estimate = scripted(world, finder).localize(frame, unknown)
    assert estimate.ok and estimate.pose is not None and not estimate.yaw_from_prior
    # Offsets count from image-up, here north; the camera is a metre ahead of base_link.
    yaw = math.pi / 2 + 1.0
    assert estimate.pose == pytest.approx((-math.cos(yaw), -math.sin(yaw), yaw), abs=1e-4)


def test_a_north_up_panorama_is_turned_north(world: FlatWorld) -> None:
    view = replace(VIEW, ground="panorama", ground_width=64, ground_height=32, heading_up=False)
    model = Scripted(SURE, view=view)
    frame = world.frame((0.0, 0.0, 0.0), PANORAMA, MOUNT)
    stripe = np.zeros_like(frame.image)
    # The camera looks east: north is a quarter of the picture to the left.
    stripe[:, 160 - 5 : 160 + 5] = 255
    estimate = scripted(world, model).localize(replace(frame, image=stripe), prior_at(0, 0, 0.0))
    assert estimate.ok and estimate.patch is not None
    assert estimate.patch.grid.up == pytest.approx(math.pi / 2)
    bright = model.seen.image[0, 0].mean(dim=0).argmax()
    assert abs(float(bright) - 31.5) <= 1


def test_a_prior_wider_than_the_patch(world: FlatWorld, frame: Frame) -> None:
    front = scripted(world, Scripted(SURE))
    assert front.localize(frame, prior_at(0, 0, 0.0, std=7.9)).ok
    detail = refused(front.localize(frame, prior_at(0, 0, 0.0, std=8.1)), Reason.PRIOR_TOO_WIDE)
    assert "8.1 m" in detail and "24.0 m" in detail
    narrow = scripted(world, Scripted(SURE), searchable_half=12.0)
    refused(narrow.localize(frame, prior_at(0, 0, 0.0, std=4.1)), Reason.PRIOR_TOO_WIDE)
    endless = scripted(world, Scripted(SURE), prior_sigmas=0.0)
    assert endless.localize(frame, prior_at(0, 0, 0.0, std=1000.0)).ok


def test_outside_the_map_and_at_its_edge(world: FlatWorld, frame: Frame) -> None:
    front = scripted(world, Scripted(SURE), min_coverage=0.7)
    refused(front.localize(frame, prior_at(400, 0, 0.0)), Reason.OUTSIDE_MAP)
    detail = refused(front.localize(frame, prior_at(147, 0, 0.0)), Reason.LITTLE_IMAGERY)
    assert "expected at least 70%" in detail
    near = front.localize(frame, prior_at(130, 0, 0.0))
    assert near.ok and near.heatmap is not None and near.patch is not None
    assert 0.7 < near.patch.coverage < 1
    # No mass where there is no imagery.
    uv = np.stack(np.meshgrid(np.arange(48), np.arange(48)), axis=-1)
    camera = near.heatmap.grid.pixel_to_map(uv) + (1.0, 0.0)
    beyond = ~world.satellite_map.contains(camera - (1.0, 0.0))
    assert beyond.any() and (near.heatmap.mass[beyond] == 0).all()


def test_a_map_that_is_damaged_here(
    world: FlatWorld, frame: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(grid: Grid) -> Patch:
        raise MapError("map.tif: a tile can't be read")

    front = scripted(world, Scripted(SURE))
    with monkeypatch.context() as patched:
        patched.setattr(world.satellite_map, "patch", damaged)
        estimate = front.localize(frame, prior_at(0, 0, 0.0))
    assert "can't be read" in refused(estimate, Reason.LITTLE_IMAGERY)
    assert front.localize(frame, prior_at(0, 0, 0.0)).ok


def test_half_precision_leaves_the_model_of_others_alone(world: FlatWorld, frame: Frame) -> None:
    class Prepared(Scripted):
        dtype = torch.float32

        def prepare_inference(self, dtype: torch.dtype) -> Prepared:
            self.dtype = dtype
            return self

    model = Prepared(SURE)
    half, full = (scripted(world, model, precision=p) for p in ("bfloat16", "float32"))
    assert (half._network.model.dtype, model.dtype) == (torch.bfloat16, torch.float32)
    assert full._network.model is model
    assert half.localize(frame, prior_at(0, 0, 0.0)).ok


def test_too_uncertain_keeps_the_raw_answer(world: FlatWorld, frame: Frame) -> None:
    front = scripted(world, Scripted((20.0, 23.5, 6.0, 0.0)), max_std=5.0)
    estimate = front.localize(frame, prior_at(0, 0, 0.0))
    assert "expected at most 5 m" in refused(estimate, Reason.TOO_UNCERTAIN)
    assert estimate.raw_pose == pytest.approx((3.5, 0, 0), abs=1e-3)
    assert estimate.raw_covariance is not None and estimate.raw_covariance[0, 0] > 25
    assert estimate.heatmap is not None and estimate.patch is not None and estimate.modes


def test_a_second_mode_too_strong(world: FlatWorld, frame: Frame) -> None:
    blobs = ((14.0, 23.5, 1.0, 0.0), (33.0, 23.5, 1.0, math.log(0.4)))
    strict = scripted(world, Scripted(*blobs), max_second_mode=0.3, max_std=100)
    estimate = strict.localize(frame, prior_at(0, 0, 0.0))
    assert "0.40 of" in refused(estimate, Reason.SECOND_MODE)
    assert len(estimate.modes) == 2
    assert (estimate.modes[1].x, estimate.modes[1].y) == pytest.approx((-9.5, 0), abs=0.01)
    lenient = scripted(world, Scripted(*blobs), max_second_mode=0.5, max_std=100)
    assert lenient.localize(frame, prior_at(0, 0, 0.0)).ok


@pytest.mark.parametrize("variance", [math.nan, -1.0, 0.0])
def test_a_covariance_that_is_none(world: FlatWorld, frame: Frame, variance: float) -> None:
    prior = replace(prior_at(0, 0, 0.0), covariance=np.diag([25.0, 25.0, variance]))
    estimate = scripted(world, Scripted(SURE)).localize(frame, prior)
    assert "prior with covariance" in refused(estimate, Reason.COVARIANCE_NOT_PD)
    assert estimate.raw_pose is None


@pytest.mark.parametrize("entry", [math.nan, math.inf, -1.0])
def test_the_answers_covariance_passes_the_same_gate(entry: float) -> None:
    covariance = np.diag([1.0, entry, 0.1])
    judged = Judged(prior_at(0, 0, 0.0), math.inf, covariance, [], np.zeros(2), np.eye(2))
    found = gate(LocalizerConfig(max_std=math.inf), judged)
    assert found is not None and found[0] is Reason.COVARIANCE_NOT_PD


def test_a_network_that_gives_nan(world: FlatWorld, frame: Frame) -> None:
    estimate = scripted(world, Scripted((math.nan, 0, 1, 0))).localize(frame, prior_at(0, 0, 0.0))
    assert "NaN" in refused(estimate, Reason.INTERNAL_ERROR)
    assert estimate.raw_pose is None


def test_out_of_gpu_memory_skips_the_frame(world: FlatWorld, frame: Frame) -> None:
    model = Scripted(SURE)
    front = scripted(world, model)
    model.fails = torch.cuda.OutOfMemoryError("CUDA out of memory.\nTried to allocate")
    detail = refused(front.localize(frame, prior_at(0, 0, 0.0)), Reason.OUT_OF_MEMORY)
    assert "Tried" not in detail
    model.fails = None
    again = front.localize(frame, prior_at(0, 0, 0.0))
    assert again.ok and "encode_aerial" in again.timing
