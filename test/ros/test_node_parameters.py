"""`ros2 param set` on a running node: takes effect at the next frame, or says when it would."""

from __future__ import annotations

import threading
from itertools import count
from typing import Any

import node_world as world
import pytest
from harness import NODE, Peer
from sensor_messages import SECOND

from cross_view_localizer.ros.parameters import Parameters, table

HERE = (10.0, 15.0, 0.7)
_MINUTES = count(1)


@pytest.fixture(scope="module")
def node(shared_peer: Peer) -> Peer:
    return shared_peer.begin()


@pytest.fixture
def stamp() -> int:
    return (1_690_000_000 + 60 * next(_MINUTES)) * SECOND


def answer(peer: Peer, stamp: int) -> Any:
    peer.send_scene(stamp, HERE)
    return peer.with_stamp(f"{NODE}/estimate", stamp)


def test_a_gate_closes_and_opens_at_once(node: Peer, stamp: int) -> None:
    assert answer(node, stamp).reason == ""
    assert node.set(max_std=0.1) == []
    assert answer(node, stamp + SECOND).reason == "too_uncertain"
    assert node.set(max_std=10.0) == []
    assert answer(node, stamp + 2 * SECOND).reason == ""


def test_the_imagerys_offset_moves_the_pose_at_once(node: Peer, stamp: int) -> None:
    before = answer(node, stamp).pose.pose.position
    assert node.set(map_offset=[3.0, -2.0]) == []
    moved = answer(node, stamp + SECOND).pose.pose.position
    assert node.set(map_offset=[0.0, 0.0]) == []
    after = answer(node, stamp + 2 * SECOND).pose.pose.position
    assert moved.x - before.x == pytest.approx(3.0, abs=0.5)
    assert moved.y - before.y == pytest.approx(-2.0, abs=0.5)
    assert after.x == pytest.approx(before.x, abs=0.05)


def test_what_is_published_changes_at_once(node: Peer, stamp: int) -> None:
    assert node.set(unobserved_variance=4.0) == []
    node.send_scene(stamp, HERE)
    assert node.with_stamp(f"{NODE}/pose", stamp).pose.covariance[14] == 4.0
    assert node.set(unobserved_variance=0.0) == []


def test_a_priors_age_is_judged_by_the_new_limit(node: Peer, stamp: int) -> None:
    def three_seconds_after_a_fix(at: int) -> Any:
        node.send_fix(at, HERE)
        node.send_imu(at + 3 * SECOND, HERE[2])
        node.arrived(at, "fix")
        node.arrived(at + 3 * SECOND, "imu")
        node.send_image(at + 3 * SECOND, world.render(HERE))
        return node.with_stamp(f"{NODE}/estimate", at + 3 * SECOND)

    assert three_seconds_after_a_fix(stamp).reason != "stale_prior"
    assert node.set(max_prior_age=1.0) == []
    assert "limit 1 s" in three_seconds_after_a_fix(stamp + 10 * SECOND).detail
    assert node.set(max_prior_age=5.0) == []
    assert three_seconds_after_a_fix(stamp + 20 * SECOND).reason != "stale_prior"


def test_frames_beyond_the_rate_are_skipped_not_dropped(node: Peer, stamp: int) -> None:
    def counted(name: str) -> int:
        status = node.diagnostic("localization", lambda s: True)
        return int({pair.key: pair.value for pair in status.values}[name])

    skipped, dropped = counted("skipped"), counted("dropped")
    assert node.set(max_rate=5.0) == []
    tenth = SECOND // 10
    for k in range(10):
        node.send_scene(stamp + k * tenth, HERE)
        if k % 2 == 0:
            assert node.with_stamp(f"{NODE}/estimate", stamp + k * tenth).reason == ""
    status = node.diagnostic(
        "localization",
        lambda s: int({p.key: p.value for p in s.values}["skipped"]) == skipped + 5,
    )
    assert {p.key: p.value for p in status.values}["dropped"] == str(dropped)
    assert node.set(max_rate=0.0) == []
    for k in range(10, 13):
        assert answer(node, stamp + k * tenth).reason == ""


def test_diagnostics_follow_their_period(node: Peer) -> None:
    assert node.set(diagnostics_period=60.0) == []
    before = len(node.heard["/diagnostics"])
    threading.Event().wait(1.0)  # ten of the old periods; one may have been on its way
    assert len(node.heard["/diagnostics"]) <= before + 1
    assert node.set(diagnostics_period=0.1) == []
    node.diagnostic("node", lambda s: True, deadline=10.0)


def test_what_needs_a_new_session_is_refused_and_kept(node: Peer, stamp: int) -> None:
    for name, value in {"weights": "front", "heading_source": "course", "fuse_prior": True}.items():
        (reason,) = node.set(**{name: value})
        assert reason.startswith(f"parameter {name} takes effect at the next configure")
    # Loading a whole file again is no change.
    assert node.set(weights="none", model="correlation", heading_source="imu_enu") == []
    assert answer(node, stamp).reason == ""


def test_mistakes_change_nothing(node: Peer, stamp: int) -> None:
    (reason,) = node.set(max_std=0.0)
    assert "max_std" in reason and "0.1" in reason and "\n" not in reason
    (reason,) = node.set(map_offset=[1.0])
    assert reason == "parameter map_offset has 1 numbers: expected 2"
    assert answer(node, stamp).reason == ""


def test_gates_rates_and_offsets_are_live() -> None:
    live = {row.name for row in table() if row.metadata["live"]}
    assert {"max_std", "max_no_match", "max_second_mode", "min_coverage", "searchable_half"} <= live
    assert {"max_rate", "heatmap_rate", "diagnostics_period", "map_offset"} <= live
    assert not {"weights", "map", "device", "heading_source", "camera_model", "datum"} & live
    assert Parameters().max_rate == 0.0
