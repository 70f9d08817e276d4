"""The real samples' geometry: where maps, bags and truths say that things are."""

from __future__ import annotations

from collections import Counter
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from made_frames import frames_of
from rich.console import Console

pytest.importorskip("rclpy")

from cross_view_localizer.geo import MapFrame, yaw_from_quaternion
from cross_view_localizer.grid import Grid
from cross_view_localizer.map.satellite_map import SatelliteMap
from cross_view_localizer.models.weights import without_weights
from training.bags.store import open_bag
from training.demo.results import interpolated, read_messages, stamp_of
from training.demo_real import kitti
from training.demo_real.__main__ import SHIFTS, drive_rows, figures, main, table_of
from training.demo_real.panoramas import localize_all, truth_of, write_map
from training.demo_real.samples import (
    KITTI_DATUM,
    KITTI_PIXELS,
    read_kitti,
    read_panoramas,
)
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
    panoramas = list(read_panoramas(SAMPLES))
    assert [p.name.split()[0] for p in panoramas] == ["VIGOR"] + ["CVACT"] * 6
    # corrected label of VIGOR: 125 rows down and 105 columns right of the middle
    assert truth_of(panoramas[0]) == pytest.approx([105.5 * 0.1008, -125.5 * 0.1008], abs=0.06)
    assert truth_of(panoramas[1]) == pytest.approx([0.0, 0.0])
    write_map(tmp_path / "tile.tif", panoramas[0])
    world = SatelliteMap.open(tmp_path / "tile.tif")
    assert world.gsd == pytest.approx(0.1008, rel=1e-6)
    world.close()
    model = without_weights("correlation", {"ground": "panorama"})
    shifts = np.array([[[4.0, -3.0], [-8.0, 0.0]]] * 1)
    (answer,) = localize_all(panoramas[1:2], model, shifts, 7.0, tmp_path, lambda share: None)
    assert len(answer.estimates) == 2 and np.isfinite(answer.error).all()
    assert all(e.model_id.startswith("correlation") for e in answer.estimates)


def test_figures_compare_answers_with_their_centres() -> None:
    errors = np.array([[1.0, 0.0], [0.0, 3.0], [np.nan, np.nan]])
    shifts = np.array([[4.0, 0.0], [0.0, 6.0], [9.0, 9.0]])
    row = figures("x", shifts, errors, Counter({"no_fix": 1}))
    assert (row["cases"], row["ran"], row["refused"]) == (3, 2, "1 no fix")
    assert (row["localizer, mean"], row["centre, mean"]) == (2.0, 5.0)
    nothing = figures("x", shifts, np.full((3, 2), np.nan), Counter())
    assert nothing["localizer, median"] is None


def test_every_image_of_the_drive_has_its_own_row() -> None:
    frames = frames_of([1.0, 2.0, 6.0] * SHIFTS)
    rows = drive_rows(frames)
    assert [row["what"] for row in rows] == [f"KITTI, image {i}" for i in (1, 2, 3)] + [
        "KITTI, all"
    ]
    assert [row["localizer, median"] for row in rows] == [1.0, 2.0, 6.0, 2.0]
    assert rows[-1]["cases"] == 3 * SHIFTS and rows[0]["centre, median"] == 5.0
    lost = drive_rows(frames_of([1.0, 2.0]))  # frames were dropped: only the whole is told
    assert [row["what"] for row in lost] == ["KITTI, all"]
    console = Console(width=80, record=True, file=StringIO())
    console.print(table_of(rows, "model"))
    assert "centre, median"[:7] in console.export_text()


def test_missing_samples_end_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["--samples", str(tmp_path / "none"), "--out", str(out)]) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith("demo_real: no ") and "SAMPLES=DIR" in said and "\n" not in said
    assert not out.exists() and list(tmp_path.iterdir()) == []
