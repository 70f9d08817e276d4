"""What is published against the prior: headings that were not searched, answers that contradict."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from localizer_world import FlatWorld, mounting, prior_at
from torch import Tensor

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.estimate import Estimate, Frame, Reason
from cross_view_localizer.localizer import Localizer, LocalizerConfig
from cross_view_localizer.models.contract import (
    CrossViewModel,
    GroundInput,
    Scores,
    log_softmax_map,
)
from cross_view_localizer.models.weights import LoadedModel
from cross_view_localizer.views import View

MOUNT = mounting(1.0, 0.0, 1.5)
VIEW = View("pinhole", 32, 24, 48, 1.0, 48, 1.0, estimates_heading=True)
OFFSETS = (-3.4, 0.0, 3.4)


class Told(CrossViewModel):
    """Finds the place ``ahead`` m before and ``left`` m beside the given one, and a heading.

    Its headings are as likely as a measurement with σ 1.5° of ``turn``, degrees from the given one.
    """

    def __init__(self, view: View = VIEW, offsets: tuple[float, ...] = OFFSETS) -> None:
        super().__init__()
        self.view = view
        self.offsets = torch.deg2rad(torch.tensor(offsets))
        self.ahead = self.left = self.turn = 0.0

    def encode_aerial(self, image: Tensor) -> Any:
        return image

    def encode_ground(self, ground: GroundInput) -> Any:
        return ground

    def match(self, aerial: Any, ground: Any) -> Scores:
        size = self.view.output_size
        middle = torch.arange(size) - (size - 1) / 2
        rows, columns = torch.meshgrid(middle, middle, indexing="ij")
        place = -((rows + self.ahead) ** 2 + (columns + self.left) ** 2) / 2
        yaw = -(((torch.rad2deg(self.offsets) - self.turn) / 1.5) ** 2) / 2
        return Scores(log_softmax_map((place + yaw[:, None, None])[None]), self.offsets)


def localizer(
    world: FlatWorld, model: Told, metadata: dict[str, Any] | None = None, **config: Any
) -> Localizer:
    calibration = Calibration(floor_std=0.0, yaw_std=0.0)
    loaded = LoadedModel(model, "told", {}, calibration, metadata or {}, "told-1")
    return Localizer(loaded, world.satellite_map, LocalizerConfig(warm_up=False, **config))


def heading(degrees: float, std: float = 5.0) -> Any:
    return prior_at(0, 0, 0.3, std=std, yaw_std=math.radians(degrees))


def test_a_heading_wider_than_the_searched_ones_is_refused(world: FlatWorld, frame: Frame) -> None:
    front = localizer(world, Told())
    assert front.localize(frame, heading(3.0)).ok
    estimate = front.localize(frame, heading(10.0))
    assert estimate.reason is Reason.HEADING_TOO_WIDE and estimate.pose is None
    assert "10.0°" in estimate.detail and "±5.1°" in estimate.detail
    assert "\n" not in estimate.detail
    assert estimate.raw_pose == pytest.approx((0, 0, 0.3), abs=1e-3)
    assert localizer(world, Told(), heading_sigmas=0.0).localize(frame, heading(10.0)).ok


def test_no_heading_is_too_wide_where_all_are_searched(world: FlatWorld, frame: Frame) -> None:
    round_about = tuple(float(a) for a in range(-180, 180, 10))
    assert localizer(world, Told(offsets=round_about)).localize(frame, heading(80.0)).ok
    # A front camera over a north-up patch: the given heading counts for nothing.
    north_up = Told(replace(VIEW, heading_up=False), (85.0, 90.0, 95.0))
    unknown = prior_at(0, 0, None)
    assert localizer(world, north_up).localize(frame, unknown).ok
    for nothing in (-1.0, math.nan):  # whatever stands where an unknown heading has no variance
        covariance = np.diag([*np.diag(unknown.covariance)[:2], nothing])
        assert (
            localizer(world, north_up).localize(frame, replace(unknown, covariance=covariance)).ok
        )


def test_weights_may_say_which_given_headings_they_bear(world: FlatWorld, frame: Frame) -> None:
    given = Told(replace(VIEW, estimates_heading=False), (0.0,))
    assert localizer(world, given).localize(frame, heading(10.0)).ok
    front = localizer(world, given, {"searchable_yaw": math.radians(8.0)})
    assert front.localize(frame, heading(10.0)).reason is Reason.HEADING_TOO_WIDE
    assert front.localize(frame, heading(7.0)).yaw_from_prior


def yaw_nees(
    world: FlatWorld, frame: Frame, model: Told, prior_std: float, **config: Any
) -> tuple[float, float]:
    """Mean squared normalised heading error, and the median σ in degrees, over 100 drawn truths."""
    random = np.random.default_rng(0)
    front = localizer(world, model, **config)
    squares, sigmas = [], []
    for turn in random.normal(0, prior_std, 100):
        model.turn = turn + random.normal(0, 1.5)
        estimate = front.localize(frame, heading(prior_std))
        assert estimate.raw_pose is not None and estimate.raw_covariance is not None
        error = math.degrees(estimate.raw_pose[2] - 0.3) - turn
        sigma = math.degrees(math.sqrt(estimate.raw_covariance[2, 2]))
        squares.append((error / sigma) ** 2)
        sigmas.append(sigma)
    return float(np.mean(squares)), float(np.median(sigmas))


@pytest.mark.parametrize(
    ("prior_std", "fused"), [(2.0, False), (4.0, False), (4.0, True), (10.0, False), (10.0, True)]
)
def test_the_heading_never_claims_more_than_was_searched(
    world: FlatWorld, frame: Frame, prior_std: float, fused: bool
) -> None:
    nees, sigma = yaw_nees(world, frame, Told(), prior_std, fuse_prior=fused)
    assert 0.15 < nees < 1.6
    assert sigma < max(prior_std, 2.0)


def test_headings_beyond_the_searched_are_no_matter_where_the_image_rules_them_out(
    world: FlatWorld, frame: Frame
) -> None:
    model = Told()
    front = localizer(world, model)

    def sigma(turn: float, prior_std: float) -> float:
        model.turn = turn
        estimate = front.localize(frame, heading(prior_std))
        assert estimate.raw_covariance is not None
        return math.degrees(math.sqrt(estimate.raw_covariance[2, 2]))

    assert sigma(0.0, 4.0) < 1.4 * sigma(0.0, 0.5)
    assert sigma(3.4, 4.0) > 1.6 * sigma(3.4, 0.5)


def refused_by_the_prior(estimate: Estimate) -> bool:
    assert estimate.raw_pose is not None
    return estimate.reason is Reason.PRIOR_DISAGREES


def test_an_answer_that_contradicts_the_prior_is_refused(world: FlatWorld, frame: Frame) -> None:
    model = Told()
    model.ahead = 15.0
    front = localizer(world, model)
    estimate = front.localize(frame, heading(2.0, std=1.0))
    assert refused_by_the_prior(estimate) and estimate.pose is None
    assert "15.0 m" in estimate.detail and "1.0 m" in estimate.detail
    assert "\n" not in estimate.detail
    # 15 m off with a stated 6 m: receivers do that between houses.
    assert front.localize(frame, heading(2.0, std=6.0)).ok
    model.ahead = 2.0
    assert front.localize(frame, heading(2.0, std=1.0)).ok


def test_the_gate_against_the_prior_can_be_set_and_switched_off(
    world: FlatWorld, frame: Frame
) -> None:
    model = Told()
    model.left = 15.0
    assert localizer(world, model, max_prior_distance=0.0).localize(frame, heading(2.0, 1.0)).ok
    off = localizer(world, model, max_prior_distance=math.inf)
    assert off.localize(frame, heading(2.0, 1.0)).ok
    strict = localizer(world, model, max_prior_distance=2.0)
    assert refused_by_the_prior(strict.localize(frame, heading(2.0, std=6.0)))


def test_a_fused_prior_does_not_hide_that_the_image_contradicts_it(
    world: FlatWorld, frame: Frame
) -> None:
    model = Told()
    model.ahead = 15.0
    front = localizer(world, model, fuse_prior=True)
    assert refused_by_the_prior(front.localize(frame, heading(2.0, std=1.0)))
    assert front.localize(frame, heading(2.0, std=6.0)).ok


def test_floor_and_factor_of_the_published_covariance(world: FlatWorld, frame: Frame) -> None:
    model = Told()
    plain = localizer(world, model).localize(frame, heading(2.0)).covariance
    wide = localizer(world, model, covariance_scale=4.0).localize(frame, heading(2.0)).covariance
    floored = localizer(world, model, min_std=3.0).localize(frame, heading(2.0)).covariance
    assert plain is not None and wide is not None and floored is not None
    assert np.allclose(wide, 4 * plain)
    assert np.allclose(np.sqrt(np.diag(floored)[:2]), 3.0, rtol=1e-3)
    assert floored[2, 2] == pytest.approx(plain[2, 2])
    # Gates judge the answer, not what is made of it for a filter.
    front = localizer(world, model, covariance_scale=400.0)
    assert front.localize(frame, heading(2.0)).ok
