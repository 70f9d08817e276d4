"""The cameras of the later editions: which there are, and what is said wrong of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import towns

from cross_view_localizer.camera.camera import Camera
from cross_view_localizer.camera.padding import NARROWEST, WIDEST
from training.town.ground import GroundFrame
from training.town.rigs import CameraRig, Misstated
from training.town.seeds import stream
from training.town.shading import GROUND
from training.town.town import Town

SIZE = (240, 160)


@pytest.fixture(scope="module")
def town() -> Town:
    return towns.town(3, "town-v2")


def drawn(panorama: bool = False, count: int = 600) -> list[CameraRig]:
    return [CameraRig.draw_any(stream(seed, "rig"), panorama) for seed in range(count)]


def test_cameras_are_of_many_fields_of_view_heights_and_shapes() -> None:
    rigs = drawn()
    fields = np.degrees([rig.fov for rig in rigs])
    assert 36 <= fields.min() < 45 and 112 < fields.max() < 120
    assert 0.75 < np.mean((fields > 50) & (fields < 100)) < 0.95
    heights = np.array([rig.height for rig in rigs])
    assert 1.2 <= heights.min() < 1.25 and 3.15 < heights.max() <= 3.2
    assert {round(rig.aspect or 0, 2) for rig in rigs} == {1.33, 1.5, 1.78, 2.0, 3.3}
    off = np.array([rig.off for rig in rigs])
    assert 0.6 < np.mean(off[:, 0] == 0) < 0.8
    assert np.abs(off).max() <= 0.08 and off[:, 0].max() > 0.07


def test_no_camera_is_wider_or_narrower_than_a_vehicles_may_be() -> None:
    """By what is said, so that the node takes it, and in truth."""
    for rig in drawn():
        for matrix in (rig.intrinsics(*SIZE), rig.true_intrinsics(*SIZE)):
            edges = Camera("pinhole", *SIZE, matrix).ray([[-0.5, 80], [SIZE[0] - 0.5, 80]])
            left, right = np.arctan2(edges[:, 0], edges[:, 2])
            assert -WIDEST / 2 - 1e-9 <= left < 0 < right <= WIDEST / 2 + 1e-9
        left, right = np.arctan(
            (np.array([-0.5, 239.5]) - matrix[0, 2]) / rig.intrinsics(*SIZE)[0, 0]
        )
        assert right - left >= NARROWEST


def test_calibrations_are_wrong_within_what_is_said_of_them() -> None:
    for panorama in (False, True):
        wrong = [rig.wrong for rig in drawn(panorama) if rig.wrong]
        assert len(wrong) == 600
        for values, most in (
            ([one.height - 1 for one in wrong], 0.15),
            ([one.focal - 1 for one in wrong], 0.03),
            ([one.pitch for one in wrong], math.radians(2)),
            ([one.roll for one in wrong], math.radians(2)),
            ([one.moved[0] for one in wrong], 0.3),
            ([one.moved[1] for one in wrong], 0.3),
            ([one.moved[2] for one in wrong], math.radians(1)),
        ):
            assert 0.97 * most < max(np.abs(values)) <= most
            assert np.std(values) == pytest.approx(most / math.sqrt(3), rel=0.1)
            assert abs(np.mean(values)) < 0.1 * most


def test_pitch_and_roll_are_the_calibrations_and_the_moments_up_to_three_degrees(
    town: Town,
) -> None:
    pose = town.poses(1)[0]
    wrong = Misstated(1.0, 1.0, math.radians(2), math.radians(-2), (0.0, 0.0, 0.0))
    turns = {}
    for name, errors in (("right", None), ("wrong", wrong)):
        rig = CameraRig(1.5, 1.6, 0.0, 0.0, 1.5, wrong=errors)
        frames = [town.render(pose, "pinhole", 12, 8, "turn", k, rig) for k in range(60)]
        moved = np.array([f.true_rotation @ f.rotation.T for f in frames])
        turns[name] = np.degrees(np.stack([-moved[:, 2, 0], moved[:, 2, 1]], axis=1))
    assert (turns["wrong"] - turns["right"]).mean(axis=0) == pytest.approx((2, -2), abs=0.6)
    spread = np.ptp(turns["wrong"], axis=0)
    assert (spread < 6.1).all() and (spread > 1).all()


def depressed(frame: GroundFrame, u: int, v: int) -> float:
    """By how much the ray of a pixel sinks, per metre ahead."""
    ray = np.linalg.inv(frame.true_intrinsics) @ (u, v, 1)
    level = frame.true_rotation @ ray
    return float(-level[2] / np.hypot(level[0], level[1]))


@pytest.mark.parametrize("factor", [0.87, 1.14])
def test_the_true_height_is_the_one_that_a_point_on_the_road_is_seen_from(
    town: Town, factor: float
) -> None:
    rig = CameraRig(1.5, 1.6, 0.1, 0.0, 1.5, wrong=Misstated(factor, 1.0, 0, 0, (0.0, 0.0, 0.0)))
    found = []
    for index, pose in enumerate(town.poses(5)):
        truth = np.empty((160, 240, 4), np.float32)
        frame = town.render(pose, "pinhole", *SIZE, "height", index, rig, truth)
        assert frame.height == 1.6 and frame.true_height == pytest.approx(1.6 * factor)
        x, y, _, kind = truth[150, 120]
        if kind == GROUND:
            away = np.hypot(x - pose.x, y - pose.y)
            found.append(away * depressed(frame, 120, 150) / frame.height)
    # The label's sign: the camera is higher than is said where its logarithm is above zero.
    assert np.median(found) == pytest.approx(factor, rel=0.03)


def test_a_picture_just_fits_the_view() -> None:
    rig = CameraRig(1.5, 1.6, 0.0, 0.0, aspect=3.3)
    assert rig.picture(288, 160, True) == (288, 87)
    assert rig.picture(240, 160, False) == (528, 160)
    narrow = CameraRig(1.5, 1.6, 0.0, 0.0, aspect=4 / 3)
    assert narrow.picture(288, 160, True) == (213, 160)
    assert narrow.picture(240, 160, False) == (240, 180)
    assert CameraRig(1.5, 1.6, 0.0, 0.0).picture(240, 160, True) == (240, 160)
