"""The RobotCar layout's raw pictures and models, against the town's own camera."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.town.layouts import robotcar
from training.town.town import CameraRig


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("robotcar")
    robotcar.write(path, frames=1)
    return path


def test_a_raw_picture_undistorted_by_the_table_is_what_an_ideal_camera_sees(root: Path) -> None:
    raw_name, _ = (root / "Oxford_split/lookup_validation.txt").read_text().split()
    raw = cv2.imread(str(root / raw_name), cv2.IMREAD_UNCHANGED)
    assert raw is not None and raw.shape == (960, 1280)
    lut = np.fromfile(root / "models/stereo_narrow_left_distortion_lut.bin", "<f8")
    u, v = lut.reshape(2, 960, 1280).astype(np.float32)
    colors = cv2.cvtColor(raw, cv2.COLOR_BayerGBRG2RGB)
    got = cv2.remap(colors, u, v, cv2.INTER_LINEAR)[100:860, 100:1180]
    town = robotcar.oxford_town()
    frame = _only_frame(town)
    rig = CameraRig(2 * math.atan(720 / robotcar.FOCAL), 1.65, 0.0, 0.0)
    date = robotcar.SPLITS["validation"][0]
    seen = town.render(frame, "pinhole", 1440, 1090, f"robotcar {date}", 0, rig, light=0).image
    columns = (np.arange(100, 1180) - robotcar.CX + 719.5).astype(np.float32)
    rows = (np.arange(100, 860) - robotcar.CY + 544.5).astype(np.float32)
    ideal = cv2.remap(seen, *np.meshgrid(columns, rows), cv2.INTER_LINEAR)
    a, b = (cv2.GaussianBlur(p, (0, 0), 2).astype(np.float32) for p in (got, ideal))
    assert np.abs(a - b).mean() < 2.0
    window = cv2.createHanningWindow((1080, 760), cv2.CV_32F)
    shift, _ = cv2.phaseCorrelate(a[..., 1].copy(), b[..., 1].copy(), window)
    assert math.hypot(*shift) < 0.05


def _only_frame(town: robotcar.Town) -> robotcar.CameraPose:
    frame = robotcar.MapFrame(town.datum)
    return robotcar._traversal(town, frame, robotcar.SPLITS["validation"][0], 1)[0].pose


def test_every_row_has_its_pictures_and_a_yaw(root: Path) -> None:
    split = root / "Oxford_split"
    for lookup, yaws, lists in (
        ("lookup_training", "train_yaw", ["training"]),
        ("lookup_validation", "val_yaw", ["validation"]),
        ("lookup_test", "test_yaw", ["test1_j", "test2_j", "test3_j"]),
    ):
        pairs = [line.split() for line in (split / f"{lookup}.txt").read_text().splitlines()]
        rows = [r.split() for n in lists for r in (split / f"{n}.txt").read_text().splitlines()]
        assert [ground for _, ground in pairs] == [row[0] for row in rows]
        assert len(np.load(split / f"{yaws}.npy")) == len(rows)
        for raw, ground in pairs:
            assert (root / raw).is_file() and (root / ground).is_file()
