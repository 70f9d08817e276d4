"""The demo's parts, and the whole chain over DDS once on a short drive without pictures."""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_frames import frames_of
from plain_scene import PlainScene

pytest.importorskip("rclpy")

from rich.console import Console

from cross_view_localizer.map.satellite_map import SatelliteMap
from training.demo.__main__ import REMAP, main
from training.demo.chain import ESTIMATE, TOPICS, Backlog, run_chain
from training.demo.folder import FolderError, result_folder
from training.demo.node_process import NodeError, NodeProcess
from training.demo.pictures import (
    count_frames,
    draw_frames,
    draw_track,
    telling_frames,
    write_video,
)
from training.demo.report import accuracy_table, frames_table, latency_table, make_report
from training.demo.results import read_frames
from training.demo.scenes import SceneMaker, read_heatmaps, read_images
from training.town.drive import make_drive
from training.town.drive_bag import IMAGE, ODOM, TRUTH, DriveSettings


def test_the_report_measures_at_the_camera_along_and_across() -> None:
    report = make_report(frames_of([1.0, -2.0, 3.0]), trained=True)
    assert report.answered is not None and report.prior is not None
    assert (report.answered.median, report.answered.mean) == (2.0, 2.0)
    assert (report.answered.along, report.answered.across) == (2.0, 0.0)
    assert (report.prior.along, report.prior.across) == (0.0, 5.0)
    assert report.answered.nees == pytest.approx((1 + 4 + 9) / 4 / 2 / 3)
    assert report.answered.coverage == 1.0 and report.prior.coverage == 0.0
    assert report.stages["total"][0] == 21.0
    assert report.verdict() == ""


def test_a_wrong_heading_moves_the_camera() -> None:
    frames = frames_of([0.0])
    frames.pose[0, 2] = np.pi / 2
    report = make_report(frames, trained=True)
    assert report.answered is not None
    assert report.answered.median == pytest.approx(1.5 * np.sqrt(2))
    assert report.answered.heading == pytest.approx(90.0)


def test_the_verdict_names_what_is_wrong_in_one_line() -> None:
    good = frames_of([1.0] * 10)
    worse = make_report(frames_of([6.0] * 10), trained=True)
    assert "median error 6.00 m is not below the prior's 5.00 m" in worse.verdict()
    assert make_report(frames_of([6.0] * 10), trained=False).verdict() == ""
    lost = make_report(replace(good, images=12), trained=False)
    assert lost.verdict().startswith("83% of 12 frames answered")
    refused = replace(good, ok=np.arange(10) > 1, reason=["no_fix"] * 2 + [""] * 8)
    report = make_report(refused, trained=True)
    assert report.refused == {"no_fix": 2} and report.verdict() == ""
    silent = make_report(replace(good, ok=np.arange(10) > 1), trained=True)
    assert silent.verdict().startswith("80% of 10")  # refused without a reason does not count


def test_the_tables_print_on_a_narrow_terminal() -> None:
    report = make_report(frames_of([1.0, 2.0]), trained=True)
    console = Console(width=80, record=True, file=open(os.devnull, "w"))
    for table in (accuracy_table(report), frames_table(report), latency_table(report)):
        console.print(table)
    text = console.export_text()
    for word in ("median, m", "NEES", "90 % ellipse", "camera images", "match"):
        assert word in text
    assert "…" not in text


def test_the_backlog_is_settled_by_the_newest_answer() -> None:
    backlog = Backlog()
    assert not backlog.busy()
    for stamp in (10, 20, 30):
        backlog.image(stamp)
    backlog.answer(20)  # the node dropped 10 for 20
    assert backlog.busy()
    answer = threading.Timer(0.05, backlog.answer, (30,))
    answer.start()
    backlog.drain()
    answer.join()
    assert (backlog.sent, backlog.answers, backlog.given_up) == (3, 2, 0)


def test_a_result_folder_is_whole_or_absent_and_takes_no_other_s_place(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), result_folder(tmp_path / "demo") as folder:
        (folder / "results.json").write_text("{}")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    for number in (1, 2):  # the second replaces the first
        with result_folder(tmp_path / "demo") as folder:
            (folder / "results.json").write_text(f"{number}")
    assert (tmp_path / "demo" / "results.json").read_text() == "2"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(FolderError, match="holds something else"):
        with result_folder(tmp_path / "mine"):
            pass
    assert sorted(p.name for p in tmp_path.iterdir()) == ["demo", "mine"]


def test_a_node_that_can_t_start_is_reported_with_its_own_line(tmp_path: Path) -> None:
    class Failing(NodeProcess):
        def __init__(self, program: str) -> None:
            super().__init__(tmp_path / "node.log")
            self.command = [sys.executable, "-c", program]

    with Failing(
        "print('[ERROR] x: configure failed: no map at /nowhere', flush=True); input()"
    ) as it:
        with pytest.raises(NodeError, match="the node's configure failed: no map at /nowhere"):
            wait_for(it)
    with Failing("raise SystemExit('out of luck')") as it:
        with pytest.raises(NodeError, match="ended with status 1: out of luck"):
            wait_for(it)


def wait_for(node: NodeProcess) -> None:
    """Look at a node until it is found wanting."""
    import time

    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        node.check()
        time.sleep(0.02)


def test_the_telling_frames_are_spread_over_the_error() -> None:
    order = np.random.default_rng(0).permutation(21)
    assert [int(order[i]) for i in telling_frames(frames_of(list(order.astype(float))))] == [
        2,
        10,
        18,
        20,
    ]
    nothing = replace(frames_of([1.0, 2.0]), has_pose=np.full(2, False))
    assert telling_frames(nothing) == [0]


def test_a_video_reads_back_frame_by_frame(tmp_path: Path) -> None:
    shares: list[float] = []
    picture = np.zeros((97, 121, 3), np.uint8)
    write_video(tmp_path / "a.mp4", 7, lambda i: picture + np.uint8(20 * i), shares.append)
    assert count_frames(tmp_path / "a.mp4") == 7 and shares[-1] == 1.0
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_the_whole_chain_on_a_short_drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(1 + (os.getpid() + 50) % 100))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # on a busy machine its threads wait for each other
    settings = DriveSettings(seed=400_003, duration=5.0, image_rate=2.0, width=240, height=160)
    drive = make_drive(tmp_path, settings, PlainScene(settings.seed, (240, 160)))
    node = NodeProcess(
        tmp_path / "node.log",
        parameters={
            "map": str(drive.map),
            "weights": "none",
            "model": "correlation",
            "heading_source": "imu_enu",
            "use_sim_time": True,
            "heatmap_rate": 10.0,
        },
        remap=REMAP,
    )
    said: list[str] = []
    report = run_chain(
        drive.bag, tmp_path / "answers", node, IMAGE, lambda *step: said.append(step[0]), (ODOM,)
    )
    assert report.sent == drive.images == report.answers
    assert said[0] == "starting the node"
    frames = read_frames(tmp_path / "answers", drive.bag, IMAGE, TRUTH, settings.camera[:2])
    assert frames.accounted == 1.0 and frames.model.startswith("correlation")
    assert frames.has_prior.all() and frames.has_pose.any()
    off = np.hypot(*(frames.prior - frames.truth)[:, :2].T)
    assert off.max() < 30 and np.abs(frames.prior[:, 2] - frames.truth[:, 2]).max() < 0.2
    read = make_report(frames, trained=False)
    assert read.verdict() == "" and "match" in read.stages
    json.dumps(read.as_json())
    world = SatelliteMap.open(drive.map)
    heatmaps = read_heatmaps(tmp_path / "answers")
    assert set(heatmaps) <= set(frames.stamp.tolist()) and heatmaps
    scenes = SceneMaker(frames, read_images(drive.bag, IMAGE), heatmaps, world)
    draw_track(tmp_path / "track.png", frames, world)
    draw_frames(tmp_path / "frames.png", frames, scenes)
    world.close()
    assert (tmp_path / "track.png").stat().st_size > 10_000
    assert ESTIMATE in TOPICS and (tmp_path / "frames.png").stat().st_size > 10_000


def test_wrong_arguments_end_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--seed", "5"])
    assert "drive seed 5: use 400000 or more" in capsys.readouterr().err


@pytest.mark.slow
def test_the_demo_ends_well(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path / "demo"), "--duration", "20"]) == 0
    names = {p.name for p in (tmp_path / "demo").iterdir()}
    assert {"track.png", "frames.png", "drive.mp4", "results.json", "table.txt", "answers"} <= names
