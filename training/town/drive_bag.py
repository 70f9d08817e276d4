"""What the sensors of a drive send, as streams of stamped messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cross_view_localizer.geo import MapFrame
from training.bags.messages import Messages, Row
from training.town.motion import Trajectory
from training.town.seeds import RANGES, split_of, stream
from training.town.sensors import SensorNoise, fixes, imu, odometry

IMAGE, INFO, FIX, ODOM = "/camera/image_raw", "/camera/camera_info", "/gps/fix", "/odom"
IMU, STATIC, TRUTH = "/imu/data", "/tf_static", "/ground_truth/odom"
START = 1_760_000_000 * 10**9  # stamp of a drive's beginning, ns
OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # optical -> camera_link
ANTENNA = np.array([-0.4, 0.3, 1.55])  # m, forward, left and up of base_link
CAMERA_FRAME = "camera_optical_frame"
# s between a measurement and its message's arrival
LATENCY = {IMAGE: 0.04, INFO: 0.04, FIX: 0.08, ODOM: 0.005, IMU: 0.002, TRUTH: 0.0, STATIC: 0.0}


@dataclass(frozen=True)
class DriveSettings:
    """What to drive and how to watch it.

    Attributes:
        seed: of the town and of every error; a demo seed.
        duration: seconds.
        image_rate, fix_rate, odom_rate, imu_rate, truth_rate: Hz.
        width, height: of the images, pixels; fov: their horizontal field of view, degrees.
        camera: (x, y, z) of the camera in ``base_link``, metres; z is its height above the road.
        pitch: how far the camera looks down, degrees.

    Raises:
        ValueError: for a seed of another split or a drive too short or long.
    """

    seed: int = 400_000
    duration: float = 70.0
    image_rate: float = 3.0
    fix_rate: float = 5.0
    odom_rate: float = 50.0
    imu_rate: float = 100.0
    truth_rate: float = 50.0
    width: int = 480
    height: int = 320
    fov: float = 82.0
    camera: tuple[float, float, float] = (1.5, 0.1, 1.65)
    pitch: float = 2.0
    noise: SensorNoise = field(default_factory=SensorNoise)

    def __post_init__(self) -> None:
        if split_of(self.seed) != "demo":
            raise ValueError(f"drive seed {self.seed}: use {RANGES['demo'].start} or more")
        if not 2.0 <= self.duration <= 600.0:
            raise ValueError(f"a drive of {self.duration:g} s: expected 2 to 600 s")

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Pinhole matrix (3, 3) of the images, pixel centres at integers."""
        focal = self.width / 2 / np.tan(np.radians(self.fov) / 2)
        middle = ((self.width - 1) / 2, (self.height - 1) / 2)
        return np.array([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1.0]])


def stamps(times: NDArray[np.float64]) -> list[int]:
    """Return the stamps, ns, of seconds since the drive's beginning."""
    return [START + int(t) for t in np.round(times * 1e9)]


class DriveStreams:
    """The streams of one drive; each yields its messages in order.

    Args:
        view: called with (camera's (x, y, yaw) in ``map``, index) returns its image (H, W, 3) RGB.
        mounting: rotation (3, 3) of the optical frame in ``base_link``.
    """

    def __init__(
        self,
        settings: DriveSettings,
        frame: MapFrame,
        motion: Trajectory,
        mounting: NDArray[np.float64],
        view: Callable[[NDArray[np.float64], int], NDArray[np.uint8]],
    ) -> None:
        self._settings, self._frame, self._motion = settings, frame, motion
        self._mounting, self._view = mounting, view
        self.messages = Messages()

    def all(self) -> list[Iterator[Row]]:
        """Return every stream."""
        return [self.static(), self.fix(), self.odom(), self.imu(), self.truth(), self.camera()]

    def _times(self, rate: float, phase: float = 0.0) -> NDArray[np.float64]:
        return np.arange(phase, self._motion.duration, 1.0 / rate)

    def _stream(self, *names: str) -> np.random.Generator:
        return stream(self._settings.seed, "drive", *names)

    def image_times(self) -> NDArray[np.float64]:
        """Return when images are taken, seconds since the beginning."""
        return self._times(self._settings.image_rate, 0.137)

    def static(self) -> Iterator[Row]:
        """Where the sensors sit."""
        edges: dict[tuple[str, str], tuple[ArrayLike, ArrayLike]] = {
            ("base_link", "camera_link"): (self._settings.camera, self._mounting @ OPTICAL.T),
            ("camera_link", CAMERA_FRAME): (np.zeros(3), OPTICAL),
            ("base_link", "gps_link"): (ANTENNA, np.eye(3)),
            ("base_link", "imu_link"): (np.array([0.0, 0.0, 0.5]), np.eye(3)),
        }
        yield _row(STATIC, START, self.messages.transforms(START, edges))

    def fix(self) -> Iterator[Row]:
        """GNSS fixes with the covariance that their errors have."""
        noise, times = self._settings.noise, self._times(self._settings.fix_rate, 0.03)
        where = fixes(self._motion, times, ANTENNA[:2], noise, self._stream("gnss"))
        for t, (lat, lon) in zip(stamps(times), self._frame.to_wgs84(where), strict=True):
            yield _row(FIX, t, self.messages.fix(t, "gps_link", lat, lon, noise.fix_variance))

    def odom(self) -> Iterator[Row]:
        """Wheel odometry from zero on."""
        noise, times = self._settings.noise, self._times(self._settings.odom_rate)
        track = odometry(self._motion, times, noise, self._stream("odom"))
        rates = noise.odom_speed**2, noise.odom_yaw_rate**2 + noise.odom_drift**2
        for i, t in enumerate(stamps(times)):
            pose, twist = (*track.xy[i], track.yaw[i]), (track.speed[i], track.yaw_rate[i])
            frames = ("odom", "base_link")
            yield _row(
                ODOM, t, self.messages.odometry(t, frames, pose, twist, ((0.1, 0.01), rates))
            )

    def imu(self) -> Iterator[Row]:
        """Compass heading (east is zero) and yaw rate."""
        noise, times = self._settings.noise, self._times(self._settings.imu_rate)
        heading, rate = imu(self._motion, times, noise, self._stream("imu"))
        stated = noise.imu_bias**2 + noise.imu_white**2, noise.gyro_bias**2 + noise.gyro_white**2
        for t, yaw, turning in zip(stamps(times), heading, rate, strict=True):
            yield _row(IMU, t, self.messages.imu(t, "imu_link", yaw, turning, stated))

    def truth(self) -> Iterator[Row]:
        """Where the vehicle really is."""
        times = self._times(self._settings.truth_rate)
        (xy, yaws), (speed, turns) = self._motion.at(times), self._motion.rates(times)
        for i, t in enumerate(stamps(times)):
            pose, twist = (*xy[i], yaws[i]), (speed[i], turns[i])
            yield _row(TRUTH, t, self.messages.odometry(t, ("map", "base_link"), pose, twist))

    def camera(self) -> Iterator[Row]:
        """Images, each with its camera_info."""
        s, times = self._settings, self.image_times()
        xy, yaws = self._motion.at(times)
        ahead, left, _ = s.camera
        for i, t in enumerate(stamps(times)):
            c, n = np.cos(yaws[i]), np.sin(yaws[i])
            pose = np.array([*(xy[i] + (c * ahead - n * left, n * ahead + c * left)), yaws[i]])
            info = self.messages.camera_info(t, CAMERA_FRAME, s.matrix, s.width, s.height)
            yield _row(INFO, t, info)
            yield _row(IMAGE, t, self.messages.image(t, CAMERA_FRAME, self._view(pose, i)))


def _row(topic: str, stamp: int, message: Any) -> Row:
    return Row(stamp + round(LATENCY[topic] * 1e9), topic, message)
