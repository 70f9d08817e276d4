"""The real samples' geometry: where maps, bags and truths say that things are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_frames import frames_of

pytest.importorskip("rclpy")

from cross_view_localizer.camera.camera import Camera
from cross_view_localizer.geo import MapFrame, RigidTransform, yaw_from_quaternion
from cross_view_localizer.grid import Grid
from cross_view_localizer.map.satellite_map import SatelliteMap
from cross_view_localizer.models.weights import without_weights
from cross_view_localizer.views import View
from training.bags.store import open_bag
from training.demo.results import interpolated, read_messages, stamp_of
from training.demo_real import kitti, panoramas
from training.demo_real.__main__ import main
from training.demo_real.panoramas import truth_of
from training.demo_real.results import node_line, page, results_of
from training.demo_real.samples import (
    KITTI_DATUM,
    KITTI_MATRIX,
    KITTI_PIXELS,
    NORTH,
    Panorama,
    read_kitti,
    read_panoramas,
)
from training.demo_real.trials import STD, YAW_STD, Scene, cut, drawn, trials
from training.town.drive_bag import FIX, IMAGE, IMU, INFO, STATIC, TRUTH

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "real_samples"
needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="no real samples beside the repository"
)


@needs_samples
def test_the_kitti_bag_and_map_agree_with_the_stated_truth(tmp_path: Path) -> None:
    drive = read_kitti(SAMPLES)
    shifts = np.array([[3.0, -7.0], [-10.0, 4.0]])
    kitti.write_map(tmp_path / "map.tif", drive)
    kitti.write_bag(tmp_path / "bag", drive, shifts, 6.9)
    with open_bag(tmp_path / "bag") as bag:
        counts = {c.topic: c.msgcount for c in bag.connections}
    assert set(counts) == {FIX, IMU, IMAGE, INFO, STATIC, TRUTH}
    assert (counts[IMAGE], counts[STATIC]) == (6, 1)
    images = read_messages(tmp_path / "bag", IMAGE)
    stamps = np.array([stamp_of(m) for m in images], np.int64)
    truth = interpolated(read_messages(tmp_path / "bag", TRUTH), stamps)
    world = SatelliteMap.open(tmp_path / "map.tif")
    assert world.datum == KITTI_DATUM
    assert world.gsd == pytest.approx(0.1959, rel=0.005)
    # frame 38 is the picture's middle, and the map's; the others lie where their pixels are
    assert np.hypot(*truth[1, :2]) < 0.2
    offset = (KITTI_PIXELS - KITTI_PIXELS[1]) * [0.1959, -0.1959]
    assert np.abs(truth[:3, :2] - truth[1, :2] - offset).max() < 0.3
    assert np.allclose(truth[:3], truth[3:], atol=1e-6)
    assert np.degrees(truth[:3, 2]) % 360 == pytest.approx([188.1, 200.2, 202.3], abs=0.01)
    # the drive runs where it looks to
    way = np.degrees(np.arctan2(*(truth[2, :2] - truth[1, :2])[::-1])) % 360
    assert way == pytest.approx(201, abs=3)
    # the map shows at the truth what the picture shows at its pixel
    for pixel, place in zip(KITTI_PIXELS.astype(int), truth[:3, :2], strict=True):
        patch = world.patch(Grid(41, 41, 0.1959, (float(place[0]), float(place[1]))))
        column, row = pixel
        there = drive.aerial[row - 20 : row + 21, column - 20 : column + 21].astype(float)
        assert np.corrcoef(patch.image.astype(float).ravel(), there.ravel())[0, 1] > 0.85
    world.close()


@needs_samples
def test_the_kitti_fixes_are_off_by_the_shift_and_headings_are_enu(tmp_path: Path) -> None:
    drive, shift = read_kitti(SAMPLES), np.array([[3.0, -7.0]])
    kitti.write_bag(tmp_path / "bag", drive, shift, 6.9)
    messages = read_messages(tmp_path / "bag", FIX)
    truth = interpolated(
        read_messages(tmp_path / "bag", TRUTH), np.array([stamp_of(m) for m in messages])
    )
    said = MapFrame(KITTI_DATUM).to_map(
        [m.latitude for m in messages], [m.longitude for m in messages]
    )
    assert np.abs(said - truth[:, :2] - shift).max() < 0.25
    assert messages[0].position_covariance[0] == pytest.approx(6.9**2)
    first = read_messages(tmp_path / "bag", IMU)[0].orientation
    yaw = yaw_from_quaternion(first.x, first.y, first.z, first.w)
    assert np.degrees(yaw) % 360 == pytest.approx(188.1, abs=0.1)


@needs_samples
def test_panoramas_lie_in_their_tiles_and_go_through_the_localizer(tmp_path: Path) -> None:
    read = list(read_panoramas(SAMPLES))
    assert [p.name.split()[0] for p in read] == ["VIGOR"] + ["CVACT"] * 6
    # corrected label of VIGOR: 125 rows down and 105 columns right of the middle
    assert truth_of(read[0]) == pytest.approx([105.5 * 0.1008, -125.5 * 0.1008], abs=0.06)
    assert truth_of(read[1]) == pytest.approx([0.0, 0.0])
    scenes = panoramas.scenes(read[:2], tmp_path)
    assert [scene.group for scene in scenes] == ["VIGOR Seattle", "CVACT"]
    assert scenes[0].truth == (*truth_of(read[0]), NORTH)
    for scene, gsd in zip(scenes, (0.1008, 0.20), strict=True):
        world = SatelliteMap.open(scene.map)
        assert world.gsd == pytest.approx(gsd, rel=1e-6)
        world.close()
    model = without_weights("correlation", {"ground": "panorama"})
    (one,) = trials(scenes[1:], model, drawn(np.random.default_rng(0), 1, 2), lambda share: None)
    assert len(one.records) == 2 and all(np.isfinite(r.var_xx) for r in one.records)
    assert one.first.model_id.startswith("correlation")


@needs_samples
def test_the_kitti_images_are_where_their_truth_is(tmp_path: Path) -> None:
    drive = read_kitti(SAMPLES)
    kitti.write_map(tmp_path / "map.tif", drive)
    scenes = kitti.scenes(drive, tmp_path / "map.tif")
    assert np.hypot(*scenes[1].truth[:2]) < 0.2  # the map's middle
    assert [np.degrees(scene.truth[2]) % 360 for scene in scenes] == pytest.approx(
        [188.1, 200.2, 202.3]
    )
    assert scenes[0].camera.width == 1242 and scenes[0].mount.translation[2] == 1.65


def test_priors_are_off_by_as_much_as_they_state() -> None:
    errors = drawn(np.random.default_rng(1), 40, 40)
    assert errors.shape == (40, 40, 3) and np.abs(errors[..., :2]).max() <= 12.0
    assert np.degrees(np.abs(errors[..., 2]).max()) <= 5.0
    assert errors[..., :2].std() == pytest.approx(STD, rel=0.03)
    assert errors[..., 2].std() == pytest.approx(YAW_STD, rel=0.03)


def flat_scene(folder: Path, name: str, group: str, bright: int) -> Scene:
    """A made-up panorama of one brightness over a map with a bright square at the truth."""
    aerial = np.full((400, 400, 3), 60, np.uint8)
    aerial[190:210, 190:210] = 250
    image = np.full((128, 256, 3), bright, np.uint8)
    image[64:, ::16] = 255 - bright
    made = Panorama(f"{group} {name}", image, aerial, 0.2, (199.5, 199.5), 49.0)
    return replace(panoramas.scenes([made], folder)[0], group=group)


def test_the_control_shows_other_pictures_at_the_same_priors(tmp_path: Path) -> None:
    scenes = [flat_scene(tmp_path, str(i), "Set", bright) for i, bright in enumerate((30, 200))]
    model = without_weights("correlation", {"ground": "panorama"})
    errors = drawn(np.random.default_rng(2), 2, 3)
    own = trials(scenes, model, errors, lambda share: None)
    other = trials(scenes, model, errors, lambda share: None, scenes[::-1])
    for a, b in zip(own, other, strict=True):
        assert a.scene is b.scene
        for one, two in zip(a.records, b.records, strict=True):
            assert one.centre_error == two.centre_error and one.told == two.told
            assert one.group == a.scene.name
    assert own[0].records[0].centre_error == pytest.approx(np.hypot(*errors[0, 0, :2]))
    assert np.radians(own[0].records[0].told) == pytest.approx(errors[0, 0, 2])
    results = results_of({"ours": own, "shuffled": other})
    assert list(results["looks"]["Set"]["rows"]) == ["ours", "shuffled"]
    assert results["looks"]["Set"]["rows"]["ours"]["groups"] == 2
    assert results["looks"]["Set"]["rows"]["ours"]["mode_error_median"]["low"] is not None
    assert list(results["pictures"]) == ["Set 0", "Set 1"]
    said = page(results | {"models": "Models: a; b", "node": "node"}, 3)
    assert "with 3 priors, off by ±12 m and ±5°" in said and "| Set 1 | 3 |" in said
    assert "NEES along | NEES across" in said and "| shuffled |" in said


def test_a_picture_is_cut_about_its_middle_and_its_camera_with_it() -> None:
    image = np.random.default_rng(0).integers(0, 255, (375, 1242, 3), dtype=np.uint8)
    mount = RigidTransform(np.eye(3), np.zeros(3))
    camera = Camera("pinhole", 1242, 375, KITTI_MATRIX)
    whole = Scene("a", "b", image, camera, mount, Path(), (0.0, 0.0, 0.0))
    one = cut(whole, View("pinhole", 288, 160, 160, 0.5, 96, 0.5, pad=True))
    assert (one.camera.width, one.camera.height) == (675, 375) == one.image.shape[1::-1]
    assert one.camera.matrix is not None
    # The same ray meets the same pixel.
    ray = np.array([0.1, -0.05, 1.0])
    u, v, _ = np.rint(KITTI_MATRIX @ ray).astype(int)
    s, t, _ = np.rint(one.camera.matrix @ ray).astype(int)
    np.testing.assert_array_equal(one.image[t, s], image[v, u])
    tall = cut(whole, View("pinhole", 400, 100, 160, 0.5, 96, 0.5))
    assert (tall.camera.width, tall.camera.height) == (1242, 310)


def test_the_drive_through_the_node_is_told_in_a_line() -> None:
    said = node_line(frames_of([1.0, 2.0, 6.0]))
    assert "3 images answered" in said and "median 2.00 m" in said


def test_missing_samples_end_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["--samples", str(tmp_path / "none"), "--out", str(out)]) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith("demo_real: no ") and "SAMPLES=DIR" in said and "\n" not in said
    assert not out.exists() and list(tmp_path.iterdir()) == []
