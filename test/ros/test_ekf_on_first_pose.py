"""The map filter starts on the first pose, there, and with the yaw that the method allows."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from cross_view_localizer.msg import LocalizationEstimate
from harness import DOMAIN, EARLY, ROOT, Peer, wait_for
from launch_stand_in import load as load_launch_file
from launch_stand_in import of_kind, start
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from sensor_messages import SECOND

from cross_view_localizer.geo import quaternion_from_yaw
from cross_view_localizer.ros import ekf_on_first_pose as starter
from cross_view_localizer.ros.messages import header, pose_with_covariance

NORTH, SPEED = np.pi / 2, 10.0
LATENCY = SECOND // 2  # from an image to its pose
# Stands in for robot_localization's ekf_node: notes how it was started and what set_pose says.
EKF_NODE = """#!{python}
import json, pathlib, rclpy, sys
from geometry_msgs.msg import PoseWithCovarianceStamped
def note(name, content):
    file = pathlib.Path({folder!r}, name)
    file.with_suffix(".part").write_text(json.dumps(content))
    file.with_suffix(".part").rename(file)
def on_pose(message):
    pose, stamp = message.pose.pose, message.header.stamp
    covariance = [message.pose.covariance[i] for i in (0, 7, 35)]
    note("set_pose", [[pose.position.x, pose.position.y, pose.orientation.z, pose.orientation.w],
                      covariance, stamp.sec * 10**9 + stamp.nanosec, message.header.frame_id])
note("arguments", sys.argv[1:])
rclpy.init(args=sys.argv)
node = rclpy.create_node("ekf_map")
node.create_subscription(PoseWithCovarianceStamped, "set_pose", on_pose, 1)
try:
    rclpy.spin(node)
except KeyboardInterrupt:
    sys.exit(7)
"""


def north_of_start(stamp: int) -> float:
    """Return where the vehicle is, y in metres, at a steady speed."""
    return SPEED * (stamp - EARLY) / SECOND


def estimate(stamp: int, x: float, y: float, **changes: Any) -> LocalizationEstimate:
    """Return a good one that looks north; the method's own yaw."""
    covariance = np.diag([0.5, 0.5, 0.01]) ** 2
    made = LocalizationEstimate(header=header(stamp, "map"), has_pose=True, prior_has_yaw=True)
    made.pose = pose_with_covariance((x, y, NORTH), covariance, yaw_from_prior=False)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def odometry(stamp: int) -> Odometry:
    """Return one that drives straight on; its pose is not filled in."""
    made = Odometry(header=header(stamp, "odom"), child_frame_id="base_link")
    made.twist.twist.linear.x = SPEED
    return made


@pytest.fixture
def filters(tmp_path: Path) -> Path:
    """A prefix in which robot_localization is installed."""
    program = tmp_path / "lib" / "robot_localization" / "ekf_node"
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
    for folder in (program.parent, index):
        folder.mkdir(parents=True)
    (index / "robot_localization").touch()
    program.write_text(EKF_NODE.format(python=sys.executable, folder=str(tmp_path)))
    program.chmod(0o755)
    return tmp_path


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer(DOMAIN + 1)
    yield made
    made.close()


def started(prefix: Path | None) -> subprocess.Popen[str]:
    """Start the program as ekf.launch.py does, by its remappings, in the namespace ``car``."""
    _, node = of_kind(start(load_launch_file("ekf.launch.py")), "Node")
    rules = [("__node", node.kwargs["name"]), ("__ns", "/car"), *node.kwargs["remappings"]]
    words = [word for rule in rules for word in ("-r", f"{rule[0]}:={rule[1]}")]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(DOMAIN + 1)}
    environment["AMENT_PREFIX_PATH"] = str(prefix or "/nowhere")
    return subprocess.Popen(
        [sys.executable, "-m", f"cross_view_localizer.ros.{node.kwargs['executable']}"]
        + ["--ros-args", "-p", "use_sim_time:=true", *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_starts_where_the_first_good_estimate_and_odometry_say(filters: Path, peer: Peer) -> None:
    topics = {
        kind: peer.node.create_publisher(kind, topic, 50)
        for kind, topic in (
            (LocalizationEstimate, "/car/cross_view_localizer/estimate"),
            (Odometry, "/car/odom"),
            (Clock, "/clock"),
        )
    }
    process = started(filters)
    try:
        for publisher in topics.values():
            wait_for("the program", lambda p=publisher: p.get_subscription_count() > 0)
        told, ticks = filters / "set_pose", itertools.count(1)
        refused = LocalizationEstimate.STATUS_REFUSED

        def driven_until_told() -> bool:
            tick = next(ticks)
            now = EARLY + tick * SECOND // 50
            image = now - LATENCY
            messages = [Clock(clock=header(now, "").stamp), odometry(now)]
            if tick % 10 == 0:
                messages += [
                    estimate(image, 1.0, 1.0, status=refused, reason="too_uncertain"),
                    estimate(image - 90 * SECOND, 2.0, 2.0),  # by another clock
                ]
            if tick % 10 == 5 and tick > 100:
                messages.append(estimate(image, 150.0, north_of_start(image), yaw_from_prior=True))
            for message in messages:
                topics[type(message)].publish(message)
            return told.exists()

        wait_for("set_pose", driven_until_told)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 7, output  # ekf_node's own
    given = json.loads((filters / "arguments").read_text())
    assert "__node:=ekf_map" in given and "use_sim_time:=true" in given
    parameters = dict(word.split(":=") for word in given if word.endswith("]"))
    state = json.loads(parameters["initial_state"])
    assert state[0] == pytest.approx(150.0, abs=0.1) and len(state) == 15
    assert state[5] == pytest.approx(NORTH, abs=1e-3)
    assert json.loads(parameters["pose0_config"])[:6] == [True, True, *[False] * 4]
    assert "yaw is not fused: it starts with this pose's" in output
    (x, y, *rotation), variances, stamp, frame = json.loads(told.read_text())
    # Carried on to the filter's start by odometry, and images from before are dropped.
    np.testing.assert_allclose([x, y], [150.0, north_of_start(stamp)], atol=0.5)
    assert 0.0 <= y - state[1] < SPEED * 30.0 and frame == "map"
    np.testing.assert_allclose(rotation, quaternion_from_yaw(NORTH)[2:], atol=1e-3)
    assert all(100.0 < v < 1000.0 for v in variances[:2]) and 1e-4 <= variances[2] < 1e-2


def test_a_pose_from_before_odometry_began_is_not_carried_on() -> None:
    """As where the program is slow to find the odometry, on a busy machine."""
    rclpy.init(args=[], domain_id=DOMAIN + 1)
    try:
        starting = starter.Starter()
        now = starting._now()
        starting._on_estimate(estimate(now - 3 * SECOND, 150.0, 0.0))
        assert starting._pose() is not None  # a vehicle without odometry starts too
        for k in range(10):
            starting._on_odometry(odometry(now - 2 * SECOND + k * SECOND // 10))
        assert starting._pose() is None and "odometry began" in starting._why
        starting._on_estimate(estimate(now - 3 * SECOND // 2, 150.0, 12.0))
        found = starting._pose()
        # On to the newest odometry, which is a second late, as on a busy machine.
        assert found is not None and found.y == pytest.approx(12.0 + 0.4 * SPEED, abs=0.01)
        starting._node.destroy_node()
    finally:
        rclpy.try_shutdown()


def test_missing_robot_localization_is_named() -> None:
    process = started(None)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert output.count("\n") == 1 and "robot_localization" in output


STUBBORN = """#!{python}
import pathlib, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
pathlib.Path({folder!r}, "arguments").touch()
while True:
    time.sleep(1.0)
"""


def test_sigint_ends_a_filter_that_does_not_hear_it(filters: Path, peer: Peer) -> None:
    """Started with SIGINT ignored, as by nohup, and while the filter is still coming up."""
    program = filters / "lib" / "robot_localization" / "ekf_node"
    program.write_text(STUBBORN.format(python=sys.executable, folder=str(filters)))
    poses = peer.node.create_publisher(
        LocalizationEstimate, "/car/cross_view_localizer/estimate", 50
    )
    clock = peer.node.create_publisher(Clock, "/clock", 50)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = started(filters)
    finally:
        signal.signal(signal.SIGINT, before)

    def begun() -> bool:
        clock.publish(Clock(clock=header(EARLY, "").stamp))
        poses.publish(estimate(EARLY - LATENCY, 1.0, 1.0))
        return (filters / "arguments").exists()

    try:
        wait_for("ekf_node", begun)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)  # its output ends with the filter's
    finally:
        process.kill()
    assert process.returncode == 128 + signal.SIGTERM, output
    assert "Traceback" not in output


CONFIG = [place in (0, 1, 5) for place in range(15)]


@pytest.mark.parametrize(
    ("fuse_yaw", "from_prior", "used"),
    [
        ("auto", False, True),
        ("auto", True, False),
        ("true", True, True),
        ("false", False, False),
    ],
)
def test_yaw_is_fused_if_it_is_the_methods_own(fuse_yaw: str, from_prior: bool, used: bool) -> None:
    first = estimate(EARLY, 0.0, 0.0, yaw_from_prior=from_prior)
    assert starter.yaw_is_used(first, CONFIG, fuse_yaw) is used
    assert starter.what_of_yaw(first, used)[1]


def test_auto_adds_no_yaw_where_the_file_takes_none() -> None:
    config = [place in (0, 1) for place in range(15)]
    assert starter.yaw_is_used(estimate(EARLY, 0.0, 0.0), config, "auto") is False


def test_a_yaw_that_nobody_knows_is_said() -> None:
    first = estimate(EARLY, 0.0, 0.0, yaw_from_prior=True, prior_has_yaw=False)
    words, known = starter.what_of_yaw(first, used=False)
    assert not known and "yaw can't be measured" in words and "heading_source" in words
