"""Images on their way to the node: large ones, either reliability, compressed, missing, lost."""

from __future__ import annotations

import threading
import time
from typing import Any

import cv2
import node_world as world
import numpy as np
import pytest
from harness import NODE, Peer, level_of
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_messages import SECOND, header, image_message
from sensor_msgs.msg import CompressedImage, Image

START = 1_670_000_000 * SECOND
HERE = (0.0, 5.0, 0.3)
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
FRAMES, RATE = 50, 10.0


@pytest.fixture(scope="module")
def node(shared_peer: Peer) -> Peer:
    shared_peer.drop_publisher("/image")
    return shared_peer.begin(image_timeout=0.5)


def image_values(peer: Peer) -> dict[str, str]:
    status = peer.diagnostic("image", lambda s: True)
    return {pair.key: pair.value for pair in status.values}


def reliability(wanted: str) -> Any:
    return lambda s: {p.key: p.value for p in s.values}.get("reliability") == wanted


def test_silence_names_what_could_have_been_meant(node: Peer) -> None:
    other = node.node.create_publisher(Image, "/front/image_raw", 1)
    status = node.diagnostic("image", lambda s: "candidates: /front/image_raw" in s.message)
    assert level_of(status) == 2 and "s on /image; " in status.message
    node.node.destroy_publisher(other)
    silent = node.node.create_publisher(Image, "/image", 1)
    status = node.diagnostic("image", lambda s: "a publisher is there" in s.message)
    assert "fastdds.xml" in status.message
    node.node.destroy_publisher(silent)


def test_subscription_follows_the_publishers_reliability(node: Peer) -> None:
    node.publisher("/image", Image, BEST_EFFORT)
    node.diagnostic("image", reliability("best_effort"))
    node.send_scene(START, HERE)
    assert node.with_stamp(f"{NODE}/estimate", START).status == 0
    node.drop_publisher("/image")
    node.publisher("/image", Image, 5)
    node.diagnostic("image", reliability("reliable"))
    node.send_scene(START + SECOND, HERE)
    assert node.with_stamp(f"{NODE}/estimate", START + SECOND).status == 0
    node.drop_publisher("/image")


@pytest.mark.parametrize(
    "profile", [BEST_EFFORT, QoSProfile(depth=5)], ids=["best_effort", "reliable"]
)
def test_large_images_arrive(node: Peer, profile: QoSProfile) -> None:
    kind = profile.reliability == ReliabilityPolicy.BEST_EFFORT
    first = START + (100 if kind else 200) * SECOND
    picture = world.render(HERE, 1280, 960)
    assert picture.nbytes == 3_686_400
    node.publisher("/image", Image, profile)
    node.diagnostic("image", reliability("best_effort" if kind else "reliable"))
    before = int(image_values(node).get("image messages", "0"))
    begun, pause = time.monotonic(), threading.Event()
    for k in range(FRAMES):
        pause.wait(max(0.0, begun + k / RATE - time.monotonic()))
        node.publish("/image", image_message(first + k * SECOND // 10, picture))

    def enough(status: Any) -> bool:
        values = {pair.key: pair.value for pair in status.values}
        return int(values["image messages"]) - before >= 0.95 * FRAMES

    node.diagnostic("image", enough, deadline=5.0)
    node.drop_publisher("/image")


def compressed_message(stamp: int, data: bytes) -> CompressedImage:
    return CompressedImage(header=header(stamp, "camera"), format="jpeg", data=list(data))


def test_compressed_images(node: Peer) -> None:
    node.reconfigure(image_transport="compressed")
    jpeg = cv2.imencode(".jpg", np.ascontiguousarray(world.render(HERE)[..., ::-1]))[1].tobytes()
    stamp = START + 300 * SECOND
    for at, data, reason in ((stamp, jpeg, ""), (stamp + SECOND, jpeg[:2000], "bad_image")):
        node.send_fix(at, HERE)
        node.send_imu(at, HERE[2])
        node.arrived(at, "fix", "imu")
        node.publish("/image/compressed", compressed_message(at, data))
        estimate = node.with_stamp(f"{NODE}/estimate", at)
        assert estimate.reason == reason, estimate.detail
