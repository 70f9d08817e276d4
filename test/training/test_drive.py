"""A drive's bag and map agree with each other and with the motion that they were made of."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from plain_scene import PlainScene

from cross_view_localizer.geo import MapFrame, yaw_from_quaternion
from cross_view_localizer.map.satellite_map import SatelliteMap
from training.bags.messages import Messages
from training.bags.store import BagError, open_bag
from training.town.drive import Drive, make_drive
from training.town.drive_bag import (
    ANTENNA,
    FIX,
    IMAGE,
    IMU,
    INFO,
    ODOM,
    START,
    STATIC,
    TRUTH,
    DriveSettings,
)
from training.town.motion import ACROSS, ALONG, CRUISE
from training.town.route import route
from training.town.seeds import stream
from training.town.sensors import SensorNoise, fixes, gauss_markov, imu, odometry

TAU = {"gnss_tau": 60.0}
SETTINGS = DriveSettings(seed=400_003, duration=40.0, width=96, height=64, image_rate=2.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    out, scene = tmp_path_factory.mktemp("drive"), PlainScene(SETTINGS.seed)
    shares: list[float] = []
    drive = make_drive(out, SETTINGS, scene, shares.append)
    store = Messages().store
    rows: dict[str, list] = {}
    with open_bag(drive.bag) as bag:
        for connection, arrival, data in bag.messages(bag.connections):
            message = store.deserialize_cdr(data, connection.msgtype)
            rows.setdefault(connection.topic, []).append((arrival, message))
    return SimpleNamespace(drive=drive, scene=scene, rows=rows, shares=shares)


def stamp(message: object) -> int:
    time = message.header.stamp  # type: ignore[attr-defined]
    return int(time.sec) * 10**9 + int(time.nanosec)


def pose(message: object) -> tuple[float, float, float]:
    p = message.pose.pose  # type: ignore[attr-defined]
    o = p.orientation
    return p.position.x, p.position.y, yaw_from_quaternion(o.x, o.y, o.z, o.w)


def seconds(rows: list) -> NDArray[np.float64]:
    return (np.array([stamp(m) for _, m in rows]) - START) / 1e9


def test_every_topic_comes_at_its_rate_and_after_its_stamp(made: SimpleNamespace) -> None:
    duration = made.drive.motion.duration
    rates = {FIX: 5, ODOM: 50, IMU: 100, TRUTH: 50, IMAGE: 2, INFO: 2}
    assert set(made.rows) == {*rates, STATIC}
    for topic, rate in rates.items():
        times = seconds(made.rows[topic])
        assert np.allclose(np.diff(times), 1 / rate, atol=1e-6)
        assert abs(len(times) - duration * rate) <= 2
        assert all(arrival >= stamp(m) for arrival, m in made.rows[topic])
    assert made.shares[-1] == 1.0 and len(made.shares) == made.drive.images


def test_truth_in_the_bag_is_the_motion(made: SimpleNamespace) -> None:
    poses = np.array([pose(m) for _, m in made.rows[TRUTH]])
    xy, yaw = made.drive.motion.at(seconds(made.rows[TRUTH]))
    assert np.abs(poses[:, :2] - xy).max() < 1e-6
    assert np.abs(np.exp(1j * poses[:, 2]) - np.exp(1j * yaw)).max() < 1e-6


def test_the_motion_is_a_car_s(made: SimpleNamespace) -> None:
    motion = made.drive.motion
    step = np.diff(motion.xy, axis=0)
    moving = motion.speed[1:] > 1.0
    sideways = np.angle(np.exp(1j * (np.arctan2(step[:, 1], step[:, 0]) - motion.yaw[1:])))
    assert np.abs(sideways[moving]).max() < 0.05
    assert motion.speed.max() <= CRUISE + 1e-9
    assert np.abs(np.diff(motion.speed) / np.diff(motion.time)).max() < 1.3 * ALONG
    assert np.abs(motion.yaw_rate * motion.speed).max() < 1.5 * ACROSS


def test_the_route_keeps_to_its_lane_and_turns() -> None:
    turned = []
    for seed in range(400_000, 400_010):
        scene = PlainScene(seed)
        way = route(scene.streets, 500.0, stream(seed, "r"), 105.0, scene.hand)
        assert np.hypot(*np.diff(way, axis=0).T).sum() >= 500.0
        heading = np.unwrap(np.arctan2(*np.diff(way, axis=0).T[::-1]))
        turned.append(np.abs(np.diff(heading)).sum())
        beside = []
        for i in range(0, len(way) - 1, 40):
            side = math.inf
            for street in scene.streets:
                d = street.line.points - way[i]
                j = int(np.argmin(np.hypot(*d.T)))
                t = street.line.tangents[j] * np.sign(
                    street.line.tangents[j] @ (way[i + 1] - way[i])
                )
                offset = float(t[0] * -d[j, 1] + t[1] * d[j, 0])  # left of it is positive
                if abs(offset) < abs(side) and np.hypot(*d[j]) < 6:
                    side = offset
            beside.append(side)
        assert np.mean([0.8 < -b * scene.hand < 4.0 for b in beside]) > 0.8
    assert np.median(turned) > 4 * math.pi / 2


def test_fixes_lie_around_the_antenna_as_their_covariance_says(made: SimpleNamespace) -> None:
    frame = MapFrame(made.scene.datum)
    messages = [m for _, m in made.rows[FIX]]
    xy, yaw = made.drive.motion.at(seconds(made.rows[FIX]))
    lever = ANTENNA[0] + 1j * ANTENNA[1]
    antenna = xy[:, 0] + 1j * xy[:, 1] + lever * np.exp(1j * yaw)
    said = frame.to_map([m.latitude for m in messages], [m.longitude for m in messages])
    error = said - np.stack([antenna.real, antenna.imag], axis=1)
    stated = math.sqrt(messages[0].position_covariance[0])
    assert stated == pytest.approx(math.hypot(6.0, 0.5))
    assert np.abs(error).max() < 4 * stated
    white = np.diff(error, axis=0).std() / math.sqrt(2)  # the slow part hardly moves in 0.2 s
    assert 0.4 < white < 0.75


def test_without_errors_the_sensors_tell_the_truth(made: SimpleNamespace) -> None:
    nothing = SensorNoise(**{name: 0.0 for name in SensorNoise.__dataclass_fields__} | TAU)
    motion, rng = made.drive.motion, np.random.default_rng(0)
    time = np.arange(0.0, motion.duration, 0.02)
    xy, yaw = motion.at(time)
    along, left = np.cos(yaw), np.sin(yaw)
    antenna = xy + np.stack([along * 2.0 - left * 0.5, left * 2.0 + along * 0.5], axis=1)
    assert np.allclose(fixes(motion, time, np.array([2.0, 0.5]), nothing, rng), antenna)
    track = odometry(motion, time, nothing, rng)
    c, s = np.cos(yaw[0]), np.sin(yaw[0])
    start = (xy - xy[0]) @ np.array([[c, -s], [s, c]])
    assert np.abs(track.xy - start).max() < 0.05 and np.allclose(track.yaw, yaw - yaw[0])
    heading, rate = imu(motion, time, nothing, rng)
    assert np.allclose(heading, yaw)
    assert np.abs(np.cumsum(rate) * 0.02 - (yaw - yaw[0])).max() < 0.05
    assert (
        np.abs(np.cumsum(track.speed) * 0.02 - np.cumsum(motion.rates(time)[0]) * 0.02).max() < 1e-6
    )


def test_slow_errors_have_the_stated_size_and_memory() -> None:
    time = np.arange(0, 40_000, 1.0)
    error = gauss_markov(time, 6.0, 60.0, np.random.default_rng(1))
    assert error.std() == pytest.approx(6.0, rel=0.1)
    later = (error[60:] * error[:-60]).mean() / error.var()
    assert later == pytest.approx(math.exp(-1), abs=0.08)


def test_odometry_starts_at_zero_and_drifts_a_little(made: SimpleNamespace) -> None:
    rows = made.rows[ODOM]
    assert pose(rows[0][1]) == (0.0, 0.0, 0.0)
    assert rows[0][1].header.frame_id == "odom" and rows[0][1].child_frame_id == "base_link"
    xy, yaw = made.drive.motion.at(seconds(rows))
    said = np.array([pose(m) for _, m in rows])
    length = (
        np.hypot(*np.diff(said[:, :2], axis=0).T).sum() / np.hypot(*np.diff(xy, axis=0).T).sum()
    )
    assert 0.95 < length < 1.05 and length != pytest.approx(1.0, abs=1e-4)
    turned = np.angle(np.exp(1j * (said[-1, 2] - (yaw[-1] - yaw[0]))))
    assert abs(turned) < 0.1
    c, s = math.cos(yaw[0]), math.sin(yaw[0])
    back = (xy - xy[0]) @ np.array([[c, -s], [s, c]])
    assert np.hypot(*(said[:, :2] - back).T).max() < 0.1 * np.hypot(*np.diff(xy, axis=0).T).sum()


def test_the_compass_points_where_the_car_does(made: SimpleNamespace) -> None:
    rows = made.rows[IMU]
    said = [yaw_from_quaternion(*(getattr(m.orientation, k) for k in "xyzw")) for _, m in rows]
    error = np.angle(np.exp(1j * (said - made.drive.motion.at(seconds(rows))[1])))
    stated = math.sqrt(rows[0][1].orientation_covariance[8])
    assert error.std() < stated and np.abs(error).max() < 5 * stated


def test_camera_info_and_transforms_describe_the_camera_that_took_the_images(
    made: SimpleNamespace,
) -> None:
    info, image = made.rows[INFO][0][1], made.rows[IMAGE][3][1]
    assert (info.width, info.height) == (image.width, image.height) == (96, 64)
    assert image.encoding == "rgb8" and image.step == 3 * 96
    assert (
        np.asarray(image.data)[: 3 * 96 * 32] == 3
    ).all()  # the upper half of the fourth picture
    k = info.k.reshape(3, 3)
    assert np.degrees(2 * math.atan(info.width / 2 / k[0, 0])) == pytest.approx(SETTINGS.fov)
    assert (k[0, 2], k[1, 2]) == (47.5, 31.5)
    assert [stamp(m) for _, m in made.rows[INFO]] == [stamp(m) for _, m in made.rows[IMAGE]]
    edges = {t.child_frame_id: t for _, m in made.rows[STATIC] for t in m.transforms}
    assert edges["camera_link"].header.frame_id == "base_link"
    assert set(edges) == {"camera_link", image.header.frame_id, "gps_link", "imu_link"}
    where = edges["camera_link"].transform.translation
    xy, yaw = made.drive.motion.at(seconds(made.rows[IMAGE]))
    base = xy[:, 0] + 1j * xy[:, 1] + (where.x + 1j * where.y) * np.exp(1j * yaw)
    poses = np.array(made.scene.poses)
    assert np.abs(base - (poses[:, 0] + 1j * poses[:, 1])).max() < 1e-6
    assert np.abs(poses[:, 2] - yaw).max() < 1e-6


def test_the_map_lies_where_the_town_says_to_a_tenth_of_a_pixel(made: SimpleNamespace) -> None:
    import rasterio
    from pyproj import Transformer

    xy, _ = made.drive.motion.at(np.linspace(0, made.drive.motion.duration, 50))
    lat, lon = MapFrame(made.scene.datum).to_wgs84(xy).T
    with rasterio.open(made.drive.map) as file:
        assert file.overviews(1) and file.profile["tiled"]
        east, north = Transformer.from_crs("EPSG:4326", file.crs, always_xy=True).transform(
            lon, lat
        )
        uv = np.stack(~file.transform @ (np.array(east), np.array(north)), axis=1) - 0.5
    assert np.abs(uv - made.scene.grid.map_to_pixel(xy)).max() < 0.1
    with_side = SatelliteMap.open(made.drive.map)
    assert with_side.datum == made.scene.datum
    patch = with_side.patch(made.scene.grid)
    assert patch.coverage > 0.99
    inner = (slice(20, -20), slice(20, -20))
    same = np.abs(patch.image[inner].astype(int) - made.scene.aerial[inner]) < 30
    assert same.mean() > 0.95
    with_side.close()


def test_a_drive_is_not_overwritten_and_its_seed_must_be_a_demo_s(made: SimpleNamespace) -> None:
    with pytest.raises(BagError, match="exists already"):
        make_drive(made.drive.bag.parent, SETTINGS, made.scene)
    with pytest.raises(ValueError, match="use 400000 or more"):
        DriveSettings(seed=7)
    with pytest.raises(ValueError, match="expected 2 to 600 s"):
        DriveSettings(duration=0.0)


def test_the_same_seed_gives_the_same_bytes(made: SimpleNamespace, tmp_path: Path) -> None:
    again: Drive = make_drive(tmp_path, SETTINGS, PlainScene(SETTINGS.seed))
    for topic in (FIX, ODOM):
        with open_bag(made.drive.bag) as a, open_bag(again.bag) as b:
            first, second = (
                [
                    bytes(d)
                    for *_, d in bag.messages([c for c in bag.connections if c.topic == topic])
                ]
                for bag in (a, b)
            )
            assert first == second
