"""What an active node publishes: right, in its contract, and also for those who come late."""

from __future__ import annotations

import math
import os

import cv2
import node_world as world
import numpy as np
import pytest
from harness import LATCHED, NODE, Peer, level_of, wait_for
from nav_msgs.msg import OccupancyGrid
from sensor_messages import SECOND, stamp_of
from sensor_msgs.msg import NavSatFix
from stock_rviz import MarkerArrayDisplay
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

START = 1_700_000_000 * SECOND
HEADINGS = {START + k * SECOND: math.radians(d) for k, d in enumerate((0, 90, 200), start=1)}
# x, y, yaw among the 36 values.
BLOCK = (0, 1, 6, 7, 5, 11, 30, 31, 35)


@pytest.fixture(scope="module")
def peer(shared_peer: Peer) -> Peer:
    shared_peer.listen_to_pictures()
    shared_peer.begin(heatmap_rate=100.0, view_frame="where")
    # The picture of the module before was another activation's: RViz here begins with this one.
    shared_peer.heard[f"{NODE}/aerial"].clear()
    return shared_peer


def truth(yaw: float) -> world.Pose:
    return 12.0, -20.0, yaw


def yaw_of(pose: object) -> float:
    q = pose.pose.pose.orientation  # type: ignore[attr-defined]
    return 2 * math.atan2(q.z, q.w)


@pytest.fixture(scope="module")
def answered(peer: Peer) -> Peer:
    """One frame at each heading, all answered."""
    for stamp, yaw in HEADINGS.items():
        peer.send_scene(stamp, truth(yaw))
        for topic in ("pose", "estimate", "heatmap"):
            peer.with_stamp(f"{NODE}/{topic}", stamp)
    return peer


@pytest.mark.parametrize("stamp", HEADINGS)
def test_pose_is_the_vehicles_at_the_images_stamp(answered: Peer, stamp: int) -> None:
    pose = answered.with_stamp(f"{NODE}/pose", stamp)
    assert pose.header.frame_id == "map"
    x, y, yaw = truth(HEADINGS[stamp])
    place = pose.pose.pose.position
    assert math.hypot(place.x - x, place.y - y) < 0.6  # the fix is 2.5 m off
    assert math.remainder(yaw_of(pose) - yaw, math.tau) == pytest.approx(0.0, abs=1e-6)
    assert place.z == 0.0


def test_covariance_fits_an_ekf(answered: Peer) -> None:
    for stamp in HEADINGS:
        values = np.array(answered.with_stamp(f"{NODE}/pose", stamp).pose.covariance)
        assert np.isfinite(values).all()
        np.testing.assert_array_equal(values[[i for i in range(36) if i not in BLOCK]], 0.0)
        matrix = values.reshape(6, 6)
        np.testing.assert_array_equal(matrix, matrix.T)
        block = matrix[np.ix_((0, 1, 5), (0, 1, 5))]
        assert np.linalg.eigvalsh(block[:2, :2])[0] >= 0.05**2 * 0.999
        assert block[2, 2] >= math.radians(0.2) ** 2 * 0.999
        assert block.max() <= 1e3
        # The correlation model finds no heading: the yaw is the input's.
        assert answered.with_stamp(f"{NODE}/estimate", stamp).yaw_from_prior
        np.testing.assert_array_equal(block[2, :2], 0.0)


def test_estimate_tells_everything_about_a_frame(answered: Peer) -> None:
    stamp = next(iter(HEADINGS))
    estimate = answered.with_stamp(f"{NODE}/estimate", stamp)
    assert (estimate.status, estimate.reason, estimate.detail) == (0, "", "")
    assert estimate.has_pose and estimate.has_prior and estimate.has_patch
    assert estimate.prior_has_yaw and "fix" in estimate.prior_source
    # The fix, off by (2, -1.5), was moved from the antenna to base_link.
    assert estimate.prior.pose.position.x == pytest.approx(truth(0.0)[0] + 2.0, abs=0.05)
    assert estimate.prior.pose.position.y == pytest.approx(truth(0.0)[1] - 1.5, abs=0.05)
    assert estimate.patch_width == 192 and estimate.patch_gsd == 0.5
    assert estimate.patch_coverage == pytest.approx(1.0)
    assert len(estimate.support.points) == 4
    assert 0.5 < estimate.confidence <= 1.0 and estimate.modes[0].mass > 0.5
    stages = dict(zip(estimate.stage_names, estimate.stage_ms, strict=True))
    assert {"queue", "decode", "match", "total", "callback_to_pose"} <= set(stages)
    assert "correlation" in estimate.model_id


@pytest.mark.parametrize("stamp", HEADINGS)
def test_grids_maximum_is_the_pose(answered: Peer, stamp: int) -> None:
    grid = answered.with_stamp(f"{NODE}/heatmap", stamp)
    place = answered.with_stamp(f"{NODE}/pose", stamp).pose.pose.position
    cells = np.array(grid.data, np.int16).reshape(grid.info.height, grid.info.width)
    row, column = np.unravel_index(cells.argmax(), cells.shape)
    origin, size = grid.info.origin.position, grid.info.resolution
    found = np.array([origin.x + (column + 0.5) * size, origin.y + (row + 0.5) * size])
    assert np.abs(found - (place.x, place.y)).max() <= size


def test_grid_is_drawable(answered: Peer) -> None:
    grids = [answered.with_stamp(f"{NODE}/heatmap", stamp) for stamp in HEADINGS]
    shapes = {(g.info.width, g.info.height, g.info.resolution) for g in grids}
    assert len(shapes) == 1, "RViz rebuilds when sizes change"
    for grid in grids:
        cells = np.array(grid.data, np.int16)
        assert cells.size == grid.info.width * grid.info.height
        assert cells.min() == 0 and cells.max() == 98
        assert cells.reshape(grid.info.height, -1)[0, 0] == 0  # outside the turned support
        q = grid.info.origin.orientation
        assert (q.x, q.y, q.z, q.w) == (0.0, 0.0, 0.0, 1.0) and grid.header.frame_id == "map"


def aerial(arrays: list[MarkerArray]) -> Marker:
    """Return what RViz shows after these messages: one marker."""
    display = MarkerArrayDisplay()
    for array in arrays:
        display.take(array)
    (drawn,) = display.drawn.values()
    return drawn.message


def test_aerial_marker_lies_where_the_map_is(answered: Peer) -> None:
    marker = aerial(wait_for("the aerial picture", lambda: answered.heard[f"{NODE}/aerial"][-1:]))
    assert marker.type == Marker.TRIANGLE_LIST and marker.header.frame_id == "map"
    assert marker.texture_resource.startswith("embedded://")
    assert len(marker.points) == len(marker.uv_coordinates) == 6
    jpeg = np.array(marker.texture.data, np.uint8)
    picture = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR))[..., ::-1]
    height, width = picture.shape[:2]
    # Each corner's texture, moved a little inwards, is the map's at that place.
    points = np.array([(p.x, p.y) for p in marker.points])
    pixels = np.array([(c.u * width, c.v * height) for c in marker.uv_coordinates]) - 0.5
    for point, pixel in zip(points, pixels, strict=True):
        inside = point + 0.1 * (points.mean(axis=0) - point)
        column, row = np.rint(pixel + 0.1 * (pixels.mean(axis=0) - pixel)).astype(int)
        u, v = np.rint(world.map_to_pixel(inside)).astype(int)
        near = world.texture()[v - 2 : v + 3, u - 2 : u + 3].reshape(-1, 3).astype(float)
        difference = np.abs(near - picture[row, column]).max(axis=1)
        assert difference.min() < 20, (point, pixel)


def test_aerial_picture_survives_an_hour_in_rviz(answered: Peer) -> None:
    """Stock RViz multiplies a marker's texture by itself at every update, and keeps old ones."""
    arrays = answered.heard[f"{NODE}/aerial"]
    wait_for("several aerial pictures", lambda: len(arrays) >= len(HEADINGS))
    display = MarkerArrayDisplay()
    for array in arrays:
        display.take(array)
        assert [drawn.texture_units for drawn in display.drawn.values()] == [1]
        (shown,) = (drawn.serial for drawn in display.drawn.values())
        left = [size for serial, size in display.textures.items() if serial != shown]
        assert max(left, default=0) < 1000, "a deleted picture's texture stays loaded"
    assert display.errors == []


def test_heatmap_lies_over_the_aerial_picture(answered: Peer) -> None:
    """RViz's Map draws itself 16 steps of the depth buffer farther away than it is.

    A step of the top-down view, whose far plane is at 100 km, is 6 mm in a buffer of 24 bits.
    """
    heatmap = answered.with_stamp(f"{NODE}/heatmap", max(HEADINGS)).info.origin.position.z
    marker = aerial(answered.heard[f"{NODE}/aerial"])
    assert {point.z for point in marker.points} == {0.0}
    assert heatmap - marker.pose.position.z > 3 * 16 * 1e5 / 2**24
    # Opaque things are drawn first; translucent ones in the order of their distance, any order.
    assert marker.color.a == 1.0


def test_overlay_is_a_picture(answered: Peer) -> None:
    image = answered.with_stamp(f"{NODE}/overlay", max(HEADINGS))
    assert (image.encoding, image.step) == ("rgb8", 3 * image.width)
    picture = np.array(image.data, np.uint8).reshape(image.height, image.width, 3)
    assert picture.std() > 10
    if "SAVE_OVERLAY" in os.environ:
        cv2.imwrite(os.environ["SAVE_OVERLAY"], picture[..., ::-1])


def test_late_subscriber_sees_the_last_state(answered: Peer) -> None:
    answered.forget(f"{NODE}/heatmap")
    answered.forget(f"{NODE}/aerial")
    last = max(HEADINGS) + 5 * SECOND
    answered.send_scene(last, truth(0.3))  # nobody listens: nothing is computed
    answered.with_stamp(f"{NODE}/pose", last)
    grids = answered.listen(f"{NODE}/heatmap", OccupancyGrid, LATCHED)
    arrays = answered.listen(f"{NODE}/aerial", MarkerArray, LATCHED)
    wait_for("the newest heatmap", lambda: grids and stamp_of(grids[-1]) == last)
    estimate = answered.with_stamp(f"{NODE}/estimate", last)
    middle = np.array([estimate.patch_center_x, estimate.patch_center_y])

    def newest_shown() -> bool:
        if not arrays:
            return False
        corners = np.array([(p.x, p.y) for p in aerial(arrays).points])
        return bool(np.abs(corners.min(axis=0) + corners.max(axis=0) - 2 * middle).max() < 0.1)

    wait_for("the newest aerial picture", newest_shown)


def test_anchor_is_the_datum(answered: Peer) -> None:
    anchors = answered.listen(f"{NODE}/map_anchor", NavSatFix, LATCHED)
    fix = wait_for("the anchor", lambda: anchors)[0]
    assert (fix.latitude, fix.longitude) == (world.DATUM.latitude, world.DATUM.longitude)
    assert fix.header.frame_id == "map"


def test_poses_come_in_stamp_order(answered: Peer) -> None:
    first = max(HEADINGS) + 10 * SECOND
    for step in (0, 2, 1, 3):  # one frame was overtaken on its way
        stamp = first + step * SECOND // 10
        answered.send_scene(stamp, truth(0.0))
        if step != 1:
            answered.with_stamp(f"{NODE}/pose", stamp)
    stamps = [stamp_of(m) for m in answered.heard[f"{NODE}/pose"]]
    assert stamps == sorted(stamps) and first + SECOND // 10 not in stamps


def test_diagnostics_describe_the_run(answered: Peer) -> None:
    status = answered.diagnostic("localization", lambda s: True)
    values = {pair.key: pair.value for pair in status.values}
    assert int(values["poses"]) >= 3 and float(values["total ms"]) > 0
    node = answered.diagnostic("node", lambda s: s.message == "active")
    values = {pair.key: pair.value for pair in node.values}
    assert values["device"] == "cpu" and level_of(node) == 0
    # Stamps of 2023 against today's clock.
    image = answered.diagnostic("image", lambda s: "behind the clock" in s.message)
    assert level_of(image) == 1 and "use_sim_time" in image.message


def test_views_have_a_frame_to_follow_without_any_filter(answered: Peer) -> None:
    """It lies at the last pose, later at the prior; RViz finds `map` in it too."""
    sent = answered.listen("/tf", TFMessage)

    def at(x: float, y: float) -> bool:
        transform = sent[-1].transforms[0] if sent else None
        if transform is None:
            return False
        place = transform.transform.translation
        return math.hypot(place.x - x, place.y - y) < 0.6

    first = max(HEADINGS) + 60 * SECOND
    answered.send_scene(first, truth(0.0))
    answered.with_stamp(f"{NODE}/pose", first)
    wait_for("the view at the pose", lambda: at(*truth(0.0)[:2]))
    (transform,) = sent[-1].transforms
    assert (transform.header.frame_id, transform.child_frame_id) == ("map", "where")
    stamps = [stamp_of(message.transforms[0]) for message in sent]
    assert stamps == sorted(set(stamps)), "tf2 complains of repeated stamps"
    later = first + 10 * SECOND
    answered.send_fix(later, (700.0, 30.0, 0.0))
    answered.send_imu(later, 0.0)
    answered.arrived(later, "fix", "imu")
    answered.send_image(later, world.render(truth(0.0)))
    assert answered.with_stamp(f"{NODE}/estimate", later).reason == "outside_map"
    wait_for("the view at the prior", lambda: at(700.0, 30.0))


def drive(peer: Peer, first: int, turn: float) -> tuple[float, float, float]:
    """Drive 40 m at a heading of 0.4 rad with odometry whose frame is turned; return the pose."""
    heading, c, s = 0.4, math.cos(turn), math.sin(turn)
    for k in range(41):
        stamp, way = first + k * SECOND // 5, k * 1.0
        x, y = way * math.cos(heading), way * math.sin(heading)
        local = (c * way + 7.0, s * way - 3.0, turn)
        peer.send_odometry(stamp, local)
        if k % 5 == 0:
            peer.send_fix(stamp, (x - 10.0, y - 12.0, heading), std=1.0)
    peer.arrived(first + 8 * SECOND, "odom", "fix")
    final = (40 * math.cos(heading) - 10.0, 40 * math.sin(heading) - 12.0, heading)
    peer.send_image(first + 8 * SECOND, world.render(final))
    pose = peer.with_stamp(f"{NODE}/pose", first + 8 * SECOND)
    return pose.pose.pose.position.x, pose.pose.pose.position.y, yaw_of(pose)


def test_turning_the_odometry_frame_changes_no_pose(answered: Peer) -> None:
    later = max(HEADINGS) + 100 * SECOND
    answered.reconfigure(imu=False, heading_source="odom_aligned")
    plain = drive(answered, later, 0.4)
    assert plain[2] == pytest.approx(0.4, abs=0.05)
    answered.reconfigure(imu=False, heading_source="odom_aligned")
    turned = drive(answered, later + 100 * SECOND, 0.4 + math.pi / 2)
    np.testing.assert_allclose(turned, plain, atol=2e-3)
