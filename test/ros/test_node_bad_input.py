"""The bad-input table: each row is refused or repaired with a reason, and the node goes on."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count
from typing import Any

import node_world as world
import numpy as np
import pytest
from geometry_msgs.msg import PoseWithCovarianceStamped
from harness import NODE, Peer, level_of
from sensor_messages import SECOND, fix_message, header, image_message, info_message, stamp_message
from sensor_msgs.msg import NavSatFix

# Every test takes stamps of its own, an hour after the last one's.
_HOURS = count(1)
HERE = (10.0, 15.0, 0.7)


@pytest.fixture(scope="module")
def node(shared_peer: Peer) -> Peer:
    return shared_peer.begin(default_fix_std=4.0)


@pytest.fixture
def stamp() -> int:
    return (1_650_000_000 + 3600 * next(_HOURS)) * SECOND


def counted(peer: Peer, section: str, name: str) -> Any:
    """Wait until diagnostics show a counter above zero."""

    def positive(status: Any) -> bool:
        values = {pair.key: pair.value for pair in status.values}
        return int(values.get(name, "0")) > 0

    return peer.diagnostic(section, positive)


def estimate_of(peer: Peer, stamp: int) -> Any:
    return peer.with_stamp(f"{NODE}/estimate", stamp)


def send_prior(peer: Peer, stamp: int, fix: NavSatFix | None = None) -> None:
    """Send fix and heading of HERE and wait until both are in."""
    if fix is None:
        peer.send_fix(stamp, HERE)
    else:
        peer.publish("/fix", fix)
    peer.send_imu(stamp, HERE[2])
    peer.arrived(stamp, "fix", "imu")


def refused(peer: Peer, stamp: int, reason: str) -> str:
    estimate = estimate_of(peer, stamp)
    assert (estimate.status, estimate.reason) == (1, reason), estimate.detail
    assert all(m.header.stamp != stamp_message(stamp) for m in peer.heard[f"{NODE}/pose"])
    return str(estimate.detail)


def good_fix(stamp: int, std: float = 2.0) -> NavSatFix:
    return fix_message(stamp, *world.wgs84(HERE), std)


# -- fixes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["unknown", "zero"])
def test_fix_without_covariance_takes_the_default(node: Peer, stamp: int, kind: str) -> None:
    fix = good_fix(stamp, 0.0)
    if kind == "unknown":
        fix.position_covariance_type = NavSatFix.COVARIANCE_TYPE_UNKNOWN
    warned = node.next_diagnostic("prior", lambda s: "default_fix_std" in s.message)
    send_prior(node, stamp, fix)
    assert level_of(warned()) == 1
    node.send_image(stamp, world.render(HERE))
    estimate = estimate_of(node, stamp)
    assert estimate.status == 0, estimate.detail
    assert estimate.prior.covariance[0] == pytest.approx(16.0, rel=0.05)

    def cleared(status: Any) -> bool:
        node.publish("/fix", good_fix(stamp))
        return "no fix" not in status.message and "default_fix_std" not in status.message

    node.diagnostic("prior", cleared)


def test_unusable_fixes_are_dropped_and_counted(node: Peer, stamp: int) -> None:
    lost = good_fix(stamp)
    lost.status.status = lost.status.STATUS_NO_FIX
    nowhere = good_fix(stamp)
    nowhere.latitude = math.nan
    vague = good_fix(stamp)
    vague.position_covariance[0] = math.nan
    for fix in (lost, nowhere, vague):
        node.publish("/fix", fix)
    counted(node, "prior", "fix_no_fix")
    counted(node, "prior", "fix_not_finite")
    node.send_imu(stamp, HERE[2])
    node.send_image(stamp, world.render(HERE))
    refused(node, stamp, "stale_prior")  # the last good one was an hour ago


def test_places_without_a_map_are_refused(node: Peer, stamp: int) -> None:
    picture = world.render(HERE)

    def refused_at(step: int, x: float, y: float, std: float, reason: str) -> None:
        at = stamp + step * SECOND
        latitude, longitude = world.wgs84((x, y, HERE[2]))
        send_prior(node, at, fix_message(at, latitude, longitude, std))
        node.send_image(at, picture)
        assert refused(node, at, reason)

    refused_at(0, 700.0, 0.0, 1.0, "outside_map")
    refused_at(20, 150.0, 150.0, 1.0, "little_imagery")
    refused_at(40, 0.0, 0.0, 100.0, "prior_too_wide")
    far = stamp + 60 * SECOND
    send_prior(node, far, fix_message(far, 45.0, 7.0, 1.0))
    node.send_image(far, picture)
    assert "km from the datum" in refused(node, far, "outside_map")


def test_fix_older_than_the_buffer_is_dropped_and_counted(node: Peer, stamp: int) -> None:
    send_prior(node, stamp)
    node.publish("/fix", good_fix(stamp - 60 * SECOND))
    counted(node, "prior", "fix_too_old")
    node.send_image(stamp, world.render(HERE))
    assert estimate_of(node, stamp).detail == ""


def test_old_prior_is_refused(node: Peer, stamp: int) -> None:
    send_prior(node, stamp)
    later = stamp + 20 * SECOND
    node.send_imu(later, HERE[2])
    node.arrived(later, "imu")
    node.send_image(later, world.render(HERE))
    assert "limit 5 s" in refused(node, later, "stale_prior")
    # Counted for good; the message tells only of a period in which most frames were refused.
    node.diagnostic("localization", lambda s: "refused.stale_prior" in {v.key for v in s.values})


# -- images ---------------------------------------------------------------------------------------


def _unknown_encoding(image: Any) -> None:
    image.encoding = "mono16"


def _cut(image: Any) -> None:
    image.data = image.data[:1000]


def _wrong_size(image: Any) -> None:
    image.height *= 2


@pytest.mark.parametrize("spoil", [_unknown_encoding, _cut, _wrong_size])
def test_broken_image_is_skipped(node: Peer, stamp: int, spoil: Callable[[Any], None]) -> None:
    send_prior(node, stamp)
    image = image_message(stamp, world.render(HERE))
    spoil(image)
    node.publish("/image", image)
    assert refused(node, stamp, "bad_image")
    counted(node, "localization", "refused.bad_image")


def test_a_picture_that_stays_while_the_vehicle_drives_is_refused(node: Peer, stamp: int) -> None:
    picture, x = world.render(HERE), HERE[0]

    def answered(step: int, ahead: float, image: Any) -> Any:
        at = stamp + step * SECOND
        send_prior(node, at, fix_message(at, *world.wgs84((x + ahead, *HERE[1:])), 1.0))
        node.send_image(at, image)
        return estimate_of(node, at)

    assert answered(0, 0.0, picture).status == 0
    # Within three standard deviations of both fixes: the vehicle may be standing.
    assert answered(1, 4.0, picture).reason != "bad_image"
    answered(2, 9.0, picture)
    detail = refused(node, stamp + 2 * SECOND, "bad_image")
    assert "stayed the same for 2.0 s while the vehicle moved by" in detail
    again = world.render((x + 11.0, *HERE[1:]))
    assert answered(3, 11.0, again).status == 0


def test_image_of_another_size_than_its_camera_info(node: Peer, stamp: int) -> None:
    send_prior(node, stamp)
    node.publish("/camera_info", info_message(stamp, 320, 100))
    node.arrived(stamp, "camera_info")
    node.send_image(stamp, world.render(HERE), info=False)
    assert "320 x 240" in refused(node, stamp, "bad_camera_info")
    node.publish("/camera_info", info_message(stamp, 320, 240))


def test_uncalibrated_camera_is_refused(node: Peer, stamp: int) -> None:
    send_prior(node, stamp)
    info = info_message(stamp, 320, 240)
    info.k = np.zeros(9)
    node.publish("/camera_info", info)
    node.arrived(stamp, "camera_info")
    node.send_image(stamp, world.render(HERE), info=False)
    assert "not calibrated" in refused(node, stamp, "bad_camera_info")
    node.publish("/camera_info", info_message(stamp, 320, 240))


def test_missing_frames_are_named(node: Peer, stamp: int) -> None:
    send_prior(node, stamp)
    image = image_message(stamp, world.render(HERE))
    image.header.frame_id = "periscope"
    node.publish("/image", image)
    assert "'periscope'" in refused(node, stamp, "no_extrinsics")


def test_fixes_of_an_unknown_antenna_are_not_used(node: Peer, stamp: int) -> None:
    node.reconfigure()
    fix = good_fix(stamp)
    fix.header.frame_id = "mast"
    send_prior(node, stamp, fix)
    node.send_image(stamp, world.render(HERE))
    assert "GNSS antenna: frame 'mast'" in refused(node, stamp, "no_extrinsics")
    node.diagnostic("prior", lambda s: "'mast'" in s.message)
    send_prior(node, stamp + SECOND)  # an antenna that is known
    node.send_image(stamp + SECOND, world.render(HERE))
    assert estimate_of(node, stamp + SECOND).detail == ""


def test_image_from_the_future_is_refused(node: Peer, stamp: int) -> None:
    send_prior(node, stamp)
    ahead = node.node.get_clock().now().nanoseconds + 100 * SECOND
    node.publish("/image", image_message(ahead, world.render(HERE)))
    assert "ahead of the clock" in refused(node, ahead, "future_stamp")
    node.send_fix(ahead, HERE)
    counted(node, "prior", "fix_future")
    node.send_image(stamp, world.render(HERE))  # and the present still works
    assert estimate_of(node, stamp).detail == ""


# -- other ----------------------------------------------------------------------------------------


def initial_pose(stamp: int, frame: str) -> PoseWithCovarianceStamped:
    made = PoseWithCovarianceStamped(header=header(stamp, frame))
    made.pose.pose.position.x, made.pose.pose.position.y = HERE[0] + 1.0, HERE[1]
    made.pose.pose.orientation.z = math.sin(HERE[2] / 2)
    made.pose.pose.orientation.w = math.cos(HERE[2] / 2)
    made.pose.covariance = np.diag([1.0, 1.0, 0, 0, 0, 0.01]).ravel()
    return made


def test_initialpose_in_a_wrong_frame_is_refused(node: Peer, stamp: int) -> None:
    node.publish("/initialpose", initial_pose(stamp, "odom"))
    status = counted(node, "prior", "initialpose_unusable")
    words = {pair.key: pair.value for pair in status.values}["last word on initialpose"]
    assert "'odom'" in words and "'map'" in words
    now = node.node.get_clock().now().nanoseconds  # RViz stamps with its clock, not the bag's
    node.send_image(stamp, world.render(HERE))
    refused(node, stamp, "stale_prior")
    node.send_imu(stamp + SECOND, HERE[2])
    node.arrived(stamp + SECOND, "imu")
    node.publish("/initialpose", initial_pose(now, "map"))
    node.arrived(now, "initialpose")
    node.send_image(stamp + SECOND, world.render(HERE))
    estimate = estimate_of(node, stamp + SECOND)
    assert estimate.status == 0 and "initial" in estimate.prior_source


def test_unknown_heading_is_refused(node: Peer, stamp: int) -> None:
    node.reconfigure(heading_source="unknown", imu=False)
    node.send_fix(stamp, HERE)
    node.arrived(stamp, "fix")
    node.send_image(stamp, world.render(HERE))
    refused(node, stamp, "heading_unknown")
    node.reconfigure(heading_source="imu_enu")


def test_missing_camera_info_is_named(node: Peer, stamp: int) -> None:
    node.reconfigure(connect=False)
    node.send_image(stamp, world.render(HERE), info=False)
    assert "no camera_info on /camera_info" in refused(node, stamp, "no_camera_info")
    node.connect()
    send_prior(node, stamp + SECOND)
    node.send_image(stamp + SECOND, world.render(HERE))
    assert estimate_of(node, stamp + SECOND).status == 0
