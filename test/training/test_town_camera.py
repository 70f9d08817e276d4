"""The town's camera: geometry, mounting, light."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from towns import town

from training.town.editions import Edition
from training.town.ground import GroundFrame
from training.town.poses import CameraPose
from training.town.rigs import OPTICAL, CameraRig
from training.town.scenery import elevation
from training.town.seeds import stream
from training.town.shading import GROUND
from training.town.world import make_world

VIEWS = (("pinhole", 240, 160), ("panorama", 320, 160))


def _rays(frame: GroundFrame, view: str) -> NDArray[np.float64]:
    """Optical rays of every pixel, straight from the conventions."""
    h, w = frame.image.shape[:2]
    v, u = np.mgrid[0:h, 0:w].astype(float)
    if view == "pinhole":
        m = frame.true_intrinsics
        return np.stack([(u - m[0, 2]) / m[0, 0], (v - m[1, 2]) / m[1, 1], np.ones_like(u)], -1)
    azimuth = 2 * np.pi * (u - (w - 1) / 2) / w  # to the right
    elevation = np.pi / 2 - np.pi * (v + 0.5) / h
    c = np.cos(elevation)
    return np.stack([np.sin(azimuth) * c, -np.sin(elevation), np.cos(azimuth) * c], -1)


@pytest.mark.parametrize("edition", ["town-v1", "town-v2"])
@pytest.mark.parametrize(("view", "width", "height"), VIEWS)
def test_every_ground_pixel_lies_on_its_ray(
    view: str, width: int, height: int, edition: Edition
) -> None:
    for index, pose in enumerate(town(3, edition).poses(6)):
        truth = np.empty((height, width, 4), np.float32)
        frame = town(3, edition).render(pose, view, width, height, "train", index, truth=truth)  # type: ignore[arg-type]
        level = _rays(frame, view) @ frame.true_rotation.T
        relative = truth[..., :2].astype(float) - (pose.x, pose.y)
        distance = np.hypot(relative[..., 0], relative[..., 1])
        seen = (truth[..., 3] == GROUND) & (distance < 40) & (distance > 1)
        assert seen.sum() > 500
        azimuth = np.arctan2(level[..., 1], level[..., 0]) + pose.yaw
        expected = np.stack([np.cos(azimuth), np.sin(azimuth)], -1) * distance[..., None]
        assert np.abs(expected - relative)[seen].max() < 1e-3
        tangent = level[..., 2] / np.hypot(level[..., 0], level[..., 1])
        drop = truth[..., 2] - tangent * distance  # the camera's height above the map's zero
        assert np.ptp(drop[seen]) < 1e-2


def test_nominal_flat_ground_is_about_right_nearby_and_off_farther_away() -> None:
    """The mounting is known, the pitch of the moment is not: that is what makes it hard."""
    near, far = [], []
    for index, pose in enumerate(town().poses(12)):
        truth = np.empty((160, 240, 4), np.float32)
        frame = town().render(pose, "pinhole", 240, 160, "train", index, truth=truth)
        level = _rays(frame, "pinhole") @ frame.rotation.T
        with np.errstate(divide="ignore", invalid="ignore"):
            flat = level[..., :2] * (-frame.height / level[..., 2:])
        c, s = math.cos(pose.yaw), math.sin(pose.yaw)
        flat = flat @ np.array([[c, s], [-s, c]]) + (pose.x, pose.y)
        error = np.hypot(*(flat - truth[..., :2]).transpose(2, 0, 1))
        distance = np.hypot(truth[..., 0] - pose.x, truth[..., 1] - pose.y)
        ground = truth[..., 3] == GROUND
        near.append(np.median(error[ground & (distance < 8)]))
        far.append(np.median(error[ground & (distance > 18) & (distance < 22)]))
    assert np.nanmedian(near) < 0.5
    assert 0.5 < np.nanmedian(far) < 8


def test_a_panoramas_middle_column_looks_along_the_azimuth() -> None:
    pose = town().poses(1)[0]
    truth = np.empty((160, 320, 4), np.float32)
    town().render(pose, "panorama", 320, 160, truth=truth)
    column = truth[100:135, 159:161, :2].mean(axis=1) - (pose.x, pose.y)
    ahead = np.arctan2(column[:, 1], column[:, 0]) - pose.yaw
    assert np.abs(np.angle(np.exp(1j * ahead))).max() < math.radians(4)
    left = truth[110, 80, :2] - (pose.x, pose.y)  # a quarter to the left of the middle
    turn = np.angle(np.exp(1j * (math.atan2(left[1], left[0]) - pose.yaw)))
    assert turn == pytest.approx(math.pi / 2, abs=math.radians(6))


def test_mountings_and_their_noise_have_the_stated_spread() -> None:
    rigs = [CameraRig.draw(stream(i, "rig"), panorama=False) for i in range(400)]
    heights = np.array([r.height for r in rigs])
    fields = np.degrees([r.fov for r in rigs])
    assert 1.2 <= heights.min() < 1.25 and 2.15 < heights.max() <= 2.2
    assert 60 <= fields.min() < 62 and 108 < fields.max() <= 110
    assert 0.4 < np.mean([r.bonnet > 0 for r in rigs]) < 0.8


def test_pitch_and_roll_noise_are_about_one_degree() -> None:
    pose = town().poses(1)[0]
    rig = CameraRig(math.radians(90), 1.6, 0.05, 0.0)
    turns = []
    for index in range(250):
        frame = town().render(pose, "pinhole", 12, 8, "noise", index, rig)
        turns.append(frame.true_rotation @ frame.rotation.T)
    moved = np.array(turns)
    pitch, roll = np.degrees(-moved[:, 2, 0]), np.degrees(moved[:, 2, 1])
    assert pitch.std() == pytest.approx(1.0, abs=0.17)
    assert roll.std() == pytest.approx(1.0, abs=0.17)


def test_the_camera_tilts_with_the_road_it_stands_on() -> None:
    def climb(pose: CameraPose) -> float:
        step = 2 * np.array([math.cos(pose.yaw), math.sin(pose.yaw)])
        ends = np.array([(pose.x, pose.y) + step, (pose.x, pose.y) - step])
        world = town(11).world
        high, low = elevation(world.height, world.half_side, ends)
        return float(high - low) / 4

    rig = CameraRig(math.radians(90), 1.6, 0.0, 0.0)
    pose = max(town(11).poses(60), key=lambda p: abs(climb(p)))
    assert abs(climb(pose)) > 0.01
    frames = [town(11).render(pose, "pinhole", 12, 8, "slope", i, rig) for i in range(100)]
    rise = np.array([f.true_rotation[2, 2] for f in frames])  # of the optical axis
    # a hundred draws of 1 degree: their mean is good to 0.1 degrees
    assert rise.mean() == pytest.approx(climb(pose), abs=math.radians(0.35))


def test_slopes_stay_within_four_percent() -> None:
    from training.town.world import HEIGHT_STEP

    steepest = []
    for seed in range(5):
        gy, gx = np.gradient(make_world(seed, 160.0).height, HEIGHT_STEP)
        steepest.append(np.hypot(gx, gy).max())
    assert max(steepest) <= 0.04 and max(steepest) > 0.005


def test_a_drives_camera_keeps_its_calibration() -> None:
    rig = CameraRig(math.radians(80), 1.6, math.radians(2), 0.05)
    frames = [
        town().render(p, "pinhole", 120, 80, "demo", i, rig) for i, p in enumerate(town().poses(3))
    ]
    for frame in frames:
        assert (frame.rotation == frames[0].rotation).all()
        assert (frame.intrinsics == frames[0].intrinsics).all()
        assert frame.height == 1.6 and frame.fov == math.radians(80)
    assert (frames[0].true_rotation != frames[1].true_rotation).any()
    assert frames[0].intrinsics[0, 0] == pytest.approx(60 / math.tan(math.radians(40)))


def test_frames_of_one_day_share_their_light() -> None:
    rig = CameraRig(math.radians(80), 1.6, 0.0, 0.0)
    pose = town().poses(1)[0]

    def tones(light: int | None) -> NDArray[np.float64]:
        frames = [
            town().render(pose, "pinhole", 60, 40, "demo", i, rig, light=light) for i in range(6)
        ]
        return np.array([f.image[:10].mean() for f in frames])

    assert tones(1).std() < 0.25 * tones(None).std()
    assert abs(tones(1).mean() - tones(2).mean()) > 2


def test_a_level_mounting_looks_along_the_azimuth() -> None:
    rig = CameraRig(1.5, 1.6, 0.0, 0.0)
    assert rig.rotation == pytest.approx(OPTICAL)
    down = CameraRig(1.5, 1.6, 0.1, 0.0).rotation @ [0, 0, 1]
    assert down == pytest.approx([math.cos(0.1), 0, -math.sin(0.1)])


def test_an_unknown_view_is_refused() -> None:
    with pytest.raises(ValueError, match="'fisheye'.*'pinhole' or 'panorama'"):
        town().render(CameraPose(0, 0, 0, "street"), "fisheye", 8, 8)  # type: ignore[arg-type]
