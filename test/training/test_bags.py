"""Bags over real DDS: what one process plays, another records byte for byte."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from rosbags.interfaces import Connection, Qos, QosDurability, QosReliability
from rosbags.rosbag2 import StoragePlugin

from training.bags.pace import POLL, Pace
from training.bags.play import Player, PlayOptions
from training.bags.record import main as record_main
from training.bags.record import spinning
from training.bags.session import ros_node
from training.bags.store import BagError, message_store, new_bag, open_bag, recorded_qos

ROOT = Path(__file__).resolve().parents[2]
START = 1_700_000_000_000_000_000
Entry = tuple[str, int, bytes]
IMAGE, FIX, LATCHED = "/camera/image_raw", "/gps/fix", "/static_map"


@pytest.fixture(autouse=True)
def own_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep apart from whatever else speaks DDS on this machine."""
    monkeypatch.setenv("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


def write_bag(path: Path, storage: StoragePlugin = StoragePlugin.MCAP) -> list[Entry]:
    """Write ten images, ten fixes and one latched grid over half a second; return what is in it."""
    store = message_store()
    kinds = store.types
    header, time_type = kinds["std_msgs/msg/Header"], kinds["builtin_interfaces/msg/Time"]
    written = []
    with new_bag(path, storage=storage) as writer:

        def connect(topic: str, name: str, **qos: bool) -> Connection:
            offered = [recorded_qos(depth=7, **qos)]
            return writer.add_connection(topic, name, typestore=store, offered_qos_profiles=offered)

        grid = connect(LATCHED, "std_msgs/msg/UInt8MultiArray", latched=True)
        image = connect(IMAGE, "sensor_msgs/msg/Image", reliable=False)
        fix = connect(FIX, "sensor_msgs/msg/NavSatFix")

        def write(connection: Connection, stamp: int, message: object) -> None:
            name, topic = connection.msgtype, connection.topic
            data = bytes(store.serialize_cdr(message, name))
            writer.write(connection, stamp, data)
            written.append((topic, stamp, data))

        layout = kinds["std_msgs/msg/MultiArrayLayout"](dim=[], data_offset=0)
        numbers = kinds["std_msgs/msg/UInt8MultiArray"](layout, np.arange(9, dtype=np.uint8))
        write(grid, START, numbers)
        for i in range(10):
            stamp = START + i * 50_000_000
            head = header(time_type(stamp // 10**9, stamp % 10**9), "camera")
            pixels = np.full(40 * 30 * 3, i, np.uint8)
            picture = kinds["sensor_msgs/msg/Image"](head, 30, 40, "rgb8", 0, 120, pixels)
            write(image, stamp, picture)
            status = kinds["sensor_msgs/msg/NavSatStatus"](0, 1)
            here = kinds["sensor_msgs/msg/NavSatFix"](
                head, status, 50.0 + i, 8.0, 0.0, np.eye(3).ravel(), 2
            )
            write(fix, stamp + 1, here)
    return written


def start(module: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a tool of this room as a process."""
    command = [sys.executable, "-m", f"training.bags.{module}", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_until(condition: object, seconds: float = 20.0) -> None:
    """Poll a condition until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.02)


def padded(data: bytes) -> bytes:
    """Return a payload as DDS delivers it: filled up to whole words of four bytes."""
    return data + bytes(-len(data) % 4)


def contents(path: Path) -> tuple[list[Entry], dict[str, Qos]]:
    """Return a bag's messages and the QoS offered by topic."""
    with open_bag(path) as bag:
        offered = {c.topic: getattr(c.ext, "offered_qos_profiles", [])[0] for c in bag.connections}
        return [(c.topic, t, bytes(d)) for c, t, d in bag.messages(bag.connections)], offered


@pytest.mark.parametrize("storage", list(StoragePlugin))
def test_a_bag_reads_back_as_written(tmp_path: Path, storage: StoragePlugin) -> None:
    written = write_bag(tmp_path / "a", storage)
    read, offered = contents(tmp_path / "a")
    assert sorted(read) == sorted(written)
    assert offered[LATCHED].durability is QosDurability.TRANSIENT_LOCAL
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_played_in_one_process_and_recorded_in_another_nothing_changes(tmp_path: Path) -> None:
    written = write_bag(tmp_path / "in")
    recorder = start("record", tmp_path / "out", "--topics", IMAGE, FIX, LATCHED, "--use-sim-time")
    player = start("play", tmp_path / "in", "--wait-for", IMAGE, FIX, LATCHED, "--linger", 0.3)
    said, problem = player.communicate(timeout=30)
    assert player.returncode == 0, problem
    assert f"{IMAGE} 10" in said
    recorder.send_signal(signal.SIGINT)
    said, problem = recorder.communicate(timeout=20)
    assert recorder.returncode == 0, problem
    read, offered = contents(tmp_path / "out")
    for topic in (IMAGE, FIX, LATCHED):  # header stamps are in the bytes
        sent = [padded(d) for t, _, d in written if t == topic]
        assert [d for t, _, d in read if t == topic] == sent
    # /clock carries the bag's time: receive times lie within the recording, not in today
    times = [stamp for topic, stamp, _ in read if topic == FIX]
    due = [stamp for topic, stamp, _ in written if topic == FIX]
    assert np.abs(np.subtract(times, due)).max() < 2e8
    assert offered[IMAGE].reliability is QosReliability.BEST_EFFORT
    assert offered[FIX].reliability is QosReliability.RELIABLE
    assert offered[LATCHED].durability is QosDurability.TRANSIENT_LOCAL


def test_a_late_subscriber_gets_what_is_latched_and_loop_starts_again(tmp_path: Path) -> None:
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from sensor_msgs.msg import NavSatFix
    from std_msgs.msg import UInt8MultiArray

    written = write_bag(tmp_path / "in")
    player = start("play", tmp_path / "in", "--loop", "--rate", 2, "--remap", f"{FIX}:=/other/fix")
    try:
        with ros_node("late") as node:
            latitudes: list[float] = []
            grids: list[bytes] = []
            node.create_subscription(
                NavSatFix, "/other/fix", lambda m: latitudes.append(m.latitude), 10
            )
            with spinning(node) as spin_once:
                wait_until(lambda: spin_once() or len(latitudes) > 3)  # the grid went out long ago
                qos = QoSProfile(depth=5, durability=DurabilityPolicy.TRANSIENT_LOCAL)
                node.create_subscription(UInt8MultiArray, LATCHED, grids.append, qos, raw=True)
                wait_until(lambda: spin_once() or grids)
                wait_until(lambda: spin_once() or (np.diff(latitudes) < 0).sum() >= 2)
        assert grids[0] == next(padded(d) for t, _, d in written if t == LATCHED)
    finally:
        player.send_signal(signal.SIGINT)
        said, problem = player.communicate(timeout=20)
    assert player.returncode == 0, problem
    assert "played" in said


def test_time_stands_still_while_held_and_runs_at_the_rate(tmp_path: Path) -> None:
    write_bag(tmp_path / "in")
    looks = iter([True] * 5 + [False] * 100)
    with open_bag(tmp_path / "in") as bag, ros_node("player") as node:
        player = Player(node, bag, PlayOptions(rate=5.0, topics=(IMAGE,)))
        began = time.monotonic()
        report = player.run(hold=lambda topic: topic == IMAGE and next(looks))
        took = time.monotonic() - began
    assert report.sent == {IMAGE: 10}
    assert report.held >= 5 * POLL
    assert took >= report.held + 0.45 / 5.0 - 0.01


def test_the_clock_tells_the_bag_s_time_at_the_rate() -> None:
    told: list[int] = []
    pace = Pace(START, 4.0, threading.Event(), told.append, period=0.01)
    began = time.monotonic()
    assert pace.until(START + 800_000_000)
    assert time.monotonic() - began > 0.19
    assert told == sorted(told) and len(told) >= 2
    # at four times the speed the last look, up to 10 ms before the end, is 40 ms of the bag before
    assert 0.5 < (told[-1] - START) / 0.8e9 <= 1.0
    assert 0 <= pace.lag(START + 800_000_000) < 5
    stopped = threading.Event()
    stopped.set()
    assert not Pace(START, 1.0, stopped).until(START + 10**12)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"topics": ("/nope",)}, "no topic /nope in the bag"),
        ({"remap": {"/nope": "/x"}}, "no topic /nope in the bag"),
        ({"rate": 0.0}, "rate 0.0: expected a positive number"),
        ({"wait_for": (IMAGE,), "wait_timeout": 0.1}, f"no subscriber on {IMAGE} after 0.1 s"),
        ({"wait_for": ("/else",)}, "can't wait for /else"),
    ],
)
def test_what_cannot_be_played_is_refused(tmp_path: Path, options: dict, said: str) -> None:
    write_bag(tmp_path / "in")
    with open_bag(tmp_path / "in") as bag, ros_node("player") as node:
        with pytest.raises(BagError, match=said):
            Player(node, bag, PlayOptions(**options)).run()


def test_an_unknown_type_is_named_in_one_line(tmp_path: Path) -> None:
    with new_bag(tmp_path / "in") as writer:
        odd = writer.add_connection(
            "/odd", "alien_msgs/msg/Ufo", msgdef="uint8 a\n", rihs01="RIHS01_0"
        )
        writer.write(odd, START, b"\0\1\0\0\1")
    with open_bag(tmp_path / "in") as bag, ros_node("player") as node:
        with pytest.raises(BagError, match="alien_msgs/msg/Ufo is not installed") as caught:
            Player(node, bag)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["missing", "no_metadata", "truncated", "not_yaml"])
def test_a_damaged_bag_ends_the_player_with_one_line(tmp_path: Path, damage: str) -> None:
    bag = tmp_path / "bag"
    if damage != "missing":
        write_bag(bag)
    if damage == "no_metadata":
        (bag / "metadata.yaml").unlink()
    if damage == "not_yaml":
        (bag / "metadata.yaml").write_text("- [\n")
    if damage == "truncated":
        file = next(bag.glob("*.mcap"))
        file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(BagError) as caught, open_bag(bag):
        pass
    assert "\n" not in str(caught.value) and str(bag) in str(caught.value)


def test_a_bag_is_never_overwritten_nor_left_half_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bag(tmp_path / "in")
    assert record_main([str(tmp_path / "in"), "--duration", "0.1"]) == 1
    assert "exists already" in capsys.readouterr().err
    with pytest.raises(RuntimeError), new_bag(tmp_path / "broken"):
        raise RuntimeError
    assert record_main([str(tmp_path / "empty"), "--duration", "0.2"]) == 1
    assert "nothing came" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["in"]
