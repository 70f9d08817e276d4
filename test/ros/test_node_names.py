"""Topics, transports, namespaces and quality of service as users of ROS give them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import node_world as world
import numpy as np
import pytest
from harness import (
    ACTIVATE,
    CLEANUP,
    CONFIGURE,
    DEACTIVATE,
    DOMAIN,
    NODE,
    NodeProcess,
    Peer,
    level_of,
    running,
    wait_for,
)
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_messages import SECOND, header, image_message, info_message
from sensor_msgs.msg import CameraInfo, CompressedImage

START = 1_680_000_000 * SECOND
HERE = (5.0, 8.0, 1.0)
TOPIC = "/camera/image_rect"
DEPTH = "qos_overrides./odom.subscription.depth"


@pytest.fixture(scope="module")
def node(map_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """A node that is started as ``ros2 run`` would, its image remapped to a rectified one."""
    arguments = ["-r", f"image:={TOPIC}", "-p", f"map:={map_file}", "-p", "max_std:=10"]
    arguments += ["-p", f"{DEPTH}:=20"]
    folder = tmp_path_factory.mktemp("names")
    with running(folder, DOMAIN + 1, arguments, heading_source="imu_enu") as (_, peer):
        peer.listen_to_results()
        peer.send_vehicle()
        peer.diagnostic("node", lambda status: status.message == "active")
        peer.connect()
        yield peer


def rectified_info(stamp: int, **changes: object) -> CameraInfo:
    """A lens that bends much, and a P that is the camera the world is rendered with."""
    message = info_message(stamp, 320, 240)
    message.p = np.hstack([world.intrinsics(320, 240), np.zeros((3, 1))]).ravel()
    message.k = (np.diag([1.3, 1.3, 1.0]) @ world.intrinsics(320, 240)).ravel()
    message.d = [-0.3, 0.1, 0.0, 0.0, 0.0]
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def send(peer: Peer, info: CameraInfo, stamp: int) -> None:
    """Everything but the image, taken by the node."""
    peer.send_fix(stamp, (HERE[0] + 2.0, HERE[1] - 1.5, HERE[2]))
    peer.send_imu(stamp, HERE[2])
    peer.publish("/camera_info", info)
    peer.arrived(stamp, "fix", "imu", "camera_info")


@pytest.mark.parametrize(
    ("second", "lens"),
    [(0, {}), (1, {"distortion_model": "equidistant", "d": [-0.1, 0.02, 0.0, 0.0]})],
    ids=["plumb_bob", "equidistant"],
)
def test_rectified_topic_is_not_undistorted_again(
    node: Peer, second: int, lens: dict[str, object]
) -> None:
    stamp = START + second * SECOND
    send(node, rectified_info(stamp, **lens), stamp)
    node.publish(TOPIC, image_message(stamp, world.render(HERE)))
    estimate = node.with_stamp(f"{NODE}/estimate", stamp)
    assert estimate.reason == "", estimate.detail
    position = estimate.pose.pose.position
    assert np.hypot(position.x - HERE[0], position.y - HERE[1]) < 0.7


def test_rectified_images_without_p_are_refused(node: Peer) -> None:
    stamp = START + 2 * SECOND
    send(node, rectified_info(stamp, p=np.zeros(12)), stamp)
    node.publish(TOPIC, image_message(stamp, world.render(HERE)))
    estimate = node.with_stamp(f"{NODE}/estimate", stamp)
    assert estimate.reason == "bad_camera_info"
    assert "P is zero" in estimate.detail and "image_kind to raw" in estimate.detail


def test_second_camera_of_a_pair_is_spoken_of_until_its_frame_is_given(node: Peer) -> None:
    stamp = START + 3 * SECOND
    right = rectified_info(stamp)
    right.p[3] = -right.p[0] * 0.54
    send(node, right, stamp)
    node.publish(TOPIC, image_message(stamp, world.render(HERE)))
    assert node.with_stamp(f"{NODE}/estimate", stamp).reason == ""
    status = node.diagnostic("image", lambda s: "0.540 m beside the first" in s.message)
    assert level_of(status) == 1 and "'camera'" in status.message
    node.reconfigure(camera_frame="camera")
    stamp += SECOND
    right.header.stamp.sec += 1
    send(node, right, stamp)
    node.publish(TOPIC, image_message(stamp, world.render(HERE)))
    assert node.with_stamp(f"{NODE}/estimate", stamp).reason == ""
    node.diagnostic("image", lambda s: "beside the first" not in s.message)


def test_compressed_topic_follows_the_images_remapping(node: Peer) -> None:
    node.drop_publisher(TOPIC)
    node.reconfigure(image_transport="compressed", camera_frame="")
    stamp = START + 10 * SECOND
    send(node, rectified_info(stamp), stamp)
    picture = np.ascontiguousarray(world.render(HERE)[..., ::-1])
    data = list(cv2.imencode(".jpg", picture)[1].tobytes())
    message = CompressedImage(header=header(stamp, "camera"), format="jpeg", data=data)
    node.publish(f"{TOPIC}/compressed", message)
    estimate = node.with_stamp(f"{NODE}/estimate", stamp)
    assert estimate.reason == "", estimate.detail


def test_an_override_takes_effect_at_the_next_configure_if_it_fits(node: Peer) -> None:
    assert "takes effect at the next configure" in node.set(**{DEPTH: 0})[0]
    assert node.change(DEACTIVATE) and node.change(CLEANUP)
    assert node.set(**{DEPTH: 0}) == []
    assert not node.change(CONFIGURE)
    node.diagnostic("node", lambda s: f"{DEPTH} is 0: expected a whole number" in s.message)
    assert node.set(**{DEPTH: 30}) == []
    assert node.change(CONFIGURE) and node.change(ACTIVATE)


def log_line(process: NodeProcess, text: str) -> str:
    """Wait for a line of the log with this text."""

    def found() -> str | None:
        return next((line for line in process.log.splitlines() if text in line), None)

    return wait_for(f"{text!r} in the log", found)


def test_namespace_and_quality_of_service(map_file: Path, tmp_path: Path) -> None:
    overrides = {
        "/car/fix.subscription.reliability": "reliable",
        "/cam/image_raw.subscription.reliability": "best_effort",
        "/car/cross_view_localizer/pose.publisher.durability": "transient_local",
        "/car/fixx.subscription.depth": 7,
    }
    arguments = ["-r", "__ns:=/car", "-r", "image:=/cam/image_raw", "-p", f"map:={map_file}"]
    for name, value in overrides.items():
        arguments += ["-p", f"qos_overrides.{name}:={value}"]
    with running(tmp_path, DOMAIN + 1, arguments) as (process, peer):
        line = log_line(process, "has no effect")
        assert "/car/fixx.subscription.depth" in line and "e.g. /cam/image_raw, " in line

        def profile(topic: str, published: bool = False) -> QoSProfile:
            of = f"{'publishers' if published else 'subscriptions'}_info_by_topic"

            def of_node() -> Any:
                ends = getattr(peer.node, f"get_{of}")(topic)
                return next((end for end in ends if end.node_namespace == "/car"), None)

            return wait_for(topic, of_node).qos_profile  # type: ignore[no-any-return]

        assert profile("/car/fix").reliability == ReliabilityPolicy.RELIABLE
        assert profile("/car/odom").reliability == ReliabilityPolicy.BEST_EFFORT
        assert profile("/cam/image_raw").reliability == ReliabilityPolicy.BEST_EFFORT
        pose, estimate = (f"/car/cross_view_localizer/{name}" for name in ("pose", "estimate"))
        assert profile(pose, True).durability == DurabilityPolicy.TRANSIENT_LOCAL
        assert profile(estimate, True).durability == DurabilityPolicy.VOLATILE
        assert process.log.count("has no effect") == 1 and "[ERROR]" not in process.log
