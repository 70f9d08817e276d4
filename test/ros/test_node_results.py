"""What an active node publishes: right, in its contract, and also for those who come late."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import flat_world as world
import numpy as np
import pytest
from harness import LATCHED, NODE, SECOND, Peer, running, stamp_of, wait_for
from nav_msgs.msg import OccupancyGrid
from visualization_msgs.msg import Marker

START = 1_700_000_000 * SECOND


@pytest.fixture(scope="module")
def peer(map_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    folder = tmp_path_factory.mktemp("results")
    with running(folder, map=str(map_file), heading_source="imu_enu") as (_, made):
        made.send_vehicle()
        made.listen_to_results()
        made.listen_to_pictures()
        made.diagnostic("image", lambda status: True)
        yield made


def test_pose_is_the_vehicles_at_the_images_stamp(peer: Peer) -> None:
    truth = (12.0, -20.0, math.radians(30))
    peer.send_scene(START, truth)
    estimate = peer.with_stamp(f"{NODE}/estimate", START)
    assert (estimate.status, estimate.reason) == (0, "")
    pose = peer.with_stamp(f"{NODE}/pose", START)
    assert pose.header.frame_id == "map"
    place = pose.pose.pose
    assert math.hypot(place.position.x - truth[0], place.position.y - truth[1]) < 0.6
    assert 2 * math.atan2(place.orientation.z, place.orientation.w) == pytest.approx(truth[2])
    assert place.position.z == 0.0
