"""Looped bags and simulated time: buffers are cleared, and no pose of another time comes out."""

from __future__ import annotations

from typing import Any

import node_world as world
import pytest
from harness import LATCHED, NODE, Peer, wait_for
from rosgraph_msgs.msg import Clock
from sensor_messages import SECOND, stamp_message, stamp_of
from visualization_msgs.msg import MarkerArray

FIRST = 1_660_000_000 * SECOND
THERE, BACK = (-30.0, 40.0, 0.2), (25.0, -10.0, 1.9)


@pytest.fixture(scope="module")
def node(shared_peer: Peer) -> Peer:
    return shared_peer.begin()


def jumps(peer: Peer, at_least: int) -> None:
    def enough(status: object) -> bool:
        values = {pair.key: pair.value for pair in status.values}  # type: ignore[attr-defined]
        return int(values.get("time_jumps", "0")) >= at_least

    peer.diagnostic("localization", enough)


def drive(peer: Peer, first: int, pose: world.Pose, frames: int) -> list[int]:
    stamps = [first + k * SECOND // 2 for k in range(frames)]
    for stamp in stamps:
        peer.send_scene(stamp, pose)
    return stamps


def assert_answered_at(peer: Peer, stamp: int, pose: world.Pose) -> None:
    estimate = peer.with_stamp(f"{NODE}/estimate", stamp)
    assert estimate.status == 0, f"{estimate.reason}: {estimate.detail}"
    position = peer.with_stamp(f"{NODE}/pose", stamp).pose.pose.position
    assert abs(position.x - pose[0]) < 1.0 and abs(position.y - pose[1]) < 1.0


def test_a_looped_bag_starts_anew(node: Peer) -> None:
    stamps = drive(node, FIRST, THERE, 3)
    assert_answered_at(node, stamps[-1], THERE)
    before = len(node.heard[f"{NODE}/pose"])
    looped = drive(node, FIRST - 500 * SECOND, BACK, 8)
    jumps(node, 1)
    assert_answered_at(node, looped[-1], BACK)
    poses = node.heard[f"{NODE}/pose"][before:]
    assert [stamp_of(m) for m in poses] == sorted(stamp_of(m) for m in poses)
    for message in poses:  # none of the old time, none at the old place
        assert stamp_of(message) < FIRST
        assert abs(message.pose.pose.position.x - BACK[0]) < 1.0


def test_aerial_picture_comes_again_after_a_jump_back(node: Peer) -> None:
    """RViz clears everything when time jumps back, also where the vehicle has not moved."""
    early, late = FIRST - 2000 * SECOND, FIRST - 400 * SECOND
    pictures = node.listen(f"{NODE}/aerial", MarkerArray, LATCHED)
    assert_answered_at(node, drive(node, late, BACK, 3)[-1], BACK)
    wait_for("the aerial picture", lambda: pictures)
    before = len(pictures)
    assert_answered_at(node, drive(node, early, BACK, 8)[-1], BACK)
    wait_for("the aerial picture again", lambda: len(pictures) > before)
    node.forget(f"{NODE}/aerial")


def test_sim_time_and_its_jump_back(node: Peer) -> None:
    now = FIRST + 1000 * SECOND
    assert node.set(use_sim_time=True) == []
    node.diagnostic("node", lambda s: "nothing comes on /clock" in s.message)
    clock = node.publisher("/clock", Clock)
    expected = f"{now // SECOND}."

    def ticking(status: object) -> bool:
        clock.publish(Clock(clock=stamp_message(now)))
        return "nothing comes on /clock" not in status.message  # type: ignore[attr-defined]

    node.diagnostic("node", ticking)
    assert expected
    node.send_scene(now, THERE)
    assert_answered_at(node, now, THERE)
    node.send_image(now + 30 * SECOND, world.render(THERE))
    late = node.with_stamp(f"{NODE}/estimate", now + 30 * SECOND)
    assert late.reason == "future_stamp"

    earlier = now - 700 * SECOND
    clock.publish(Clock(clock=stamp_message(earlier)))
    wait_for(
        "the clock to jump",
        lambda: node.heard["/diagnostics"][-1].header.stamp == stamp_message(earlier),
    )
    node.send_scene(earlier, BACK)  # at once: the clock told, nobody has to guess
    assert_answered_at(node, earlier, BACK)
    assert node.set(use_sim_time=False) == []


def test_a_frame_waits_for_the_sample_after_it(node: Peer) -> None:
    node.reconfigure(max_prior_wait=10.0)
    stamp = FIRST + 5000 * SECOND
    tenth = SECOND // 10
    for k in range(5):
        at = stamp - (5 - k) * tenth
        node.send_fix(at, THERE)
        node.send_imu(at, THERE[2])
        node.send_odometry(at, (0.0, 0.0, 0.0))
    node.send_imu(stamp, THERE[2])
    node.arrived(stamp, "imu")
    node.send_image(stamp, world.render(THERE))

    def arrived(status: Any) -> bool:
        values = {pair.key: pair.value for pair in status.values}
        return values.get("image stamp", "").startswith(f"{stamp // SECOND}.")

    node.diagnostic("image", arrived)
    assert all(stamp_of(m) != stamp for m in list(node.heard[f"{NODE}/estimate"]))  # it waits
    node.send_odometry(stamp + tenth, (0.0, 0.0, 0.0))
    estimate = node.with_stamp(f"{NODE}/estimate", stamp)
    assert estimate.status == 0, estimate.detail
    stages = dict(zip(estimate.stage_names, estimate.stage_ms, strict=True))
    assert 0.0 < stages["prior_wait"] < 9_900.0

    node.reconfigure(max_prior_wait=0.05)
    later = stamp + 100 * SECOND
    node.send_fix(later - tenth, THERE)
    node.send_odometry(later - tenth, (0.0, 0.0, 0.0))
    node.send_imu(later, THERE[2])
    node.arrived(later - tenth, "fix", "odom")
    node.arrived(later, "imu")
    node.send_image(later, world.render(THERE))
    estimate = node.with_stamp(f"{NODE}/estimate", later)  # carried forward, not waited for longer
    assert estimate.status == 0, estimate.detail
    stages = dict(zip(estimate.stage_names, estimate.stage_ms, strict=True))
    assert 45.0 < stages["prior_wait"] < 1000.0
