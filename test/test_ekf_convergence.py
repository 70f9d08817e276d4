"""The shipped filter finds the vehicle from every heading, by robot_localization's equations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import launch_stand_in as stand_in
import numpy as np
import pytest
from ekf_equations import PlanarEkf, wrapped
from numpy.typing import NDArray

from training.town.motion import Trajectory, along
from training.town.route import STEP
from training.town.sensors import SensorNoise, gauss_markov, imu, odometry

Floats = NDArray[np.float64]

START = (150.0, -90.0)  # m from the map's origin
LEGS = ((50, 0), (12, 90), (60, 0), (9, -90), (60, 0))  # metres, degrees turned in them
FIRST, LATENCY, STARTING = 4.0, 0.4, 0.5  # s: first image; to its pose; until ekf_node is up
STD = np.array([0.7, 0.7, np.radians(1.2)])  # of a pose, as on the demo's drive
CLOSE, TURNED = 3.0, np.radians(10.0)  # m, rad: what counts as found


def turning_drive(heading: float) -> Trajectory:
    """Return 30 s through some streets, setting off from ``START`` towards ``heading``, rad."""
    turns = np.concatenate([np.full(round(m / STEP), np.radians(t) * STEP / m) for m, t in LEGS])
    steps = STEP * np.exp(1j * (heading + np.cumsum(turns)))
    track = np.concatenate([[0], np.cumsum(steps)]) + complex(*START)
    return along(np.stack([track.real, track.imag], axis=1), 30.0)


@dataclass(frozen=True)
class Fused:
    """What a filter said: (N,) seconds, metres from the truth, radians from the true yaw."""

    time: Floats
    error: Floats
    turned: Floats

    def lost(self, since: float) -> Floats:
        """Return when, from ``since`` on, the vehicle was not where the filter said."""
        lost = (self.error > CLOSE) | (self.turned > TURNED)
        return self.time[lost & (self.time >= since)]


class Drive:
    """A drive's measurements: odometry and gyro at 20 Hz, poses at 3 Hz with alike errors."""

    def __init__(self, heading: float) -> None:
        self.motion = turning_drive(heading)
        rng, noise = np.random.default_rng(round(np.degrees(heading))), SensorNoise()
        end = self.motion.duration
        often, seldom = np.arange(0.0, end, 0.05), np.arange(FIRST, end, 1 / 3)
        wheels = odometry(self.motion, often, noise, rng)
        _, gyro = imu(self.motion, often, noise, rng)
        self.errors = STD * np.hstack([gauss_markov(seldom, 1.0, 1.5, rng) for _ in "ab"])[:, :3]
        poses = np.column_stack(self.motion.at(seldom)) + self.errors
        zeros, rates, spins = np.zeros((len(often), 8)), np.ones(8), np.ones(8)
        driven, spun = zeros.copy(), zeros.copy()
        driven[:, 3], driven[:, 5], spun[:, 5] = wheels.speed, wheels.yaw_rate, gyro
        rates[3:6] = noise.odom_speed**2, noise.odom_speed**2, noise.odom_yaw_rate**2
        spins[5] = noise.gyro_white**2
        of_pose = np.concatenate([STD**2, np.ones(5)])
        self.rows = [(t, "odom0", v, rates) for t, v in zip(often, driven, strict=True)]
        self.rows += [(t, "imu0", v, spins) for t, v in zip(often, spun, strict=True)]
        self.rows += [
            (t, "pose0", np.concatenate([p, np.zeros(5)]), of_pose)
            for t, p in zip(seldom, poses, strict=True)
        ]
        self.rows.sort(key=lambda row: row[0])

    def fused(self, values: dict[str, Any], on_first_pose: bool) -> Fused:
        """Return what a filter with these parameters makes of the drive.

        Args:
            on_first_pose: it is started and set as ekf_on_first_pose does; else with the odometry.
        """
        ekf, said, begin = PlanarEkf(values), [], 0.0
        if on_first_pose:
            begin = FIRST + LATENCY + STARTING
            pose = np.concatenate([np.ravel(v) for v in self.motion.at(np.array([begin]))])
            ekf.set_pose(begin, pose + self.errors[0], np.diag(STD**2 + (400.0, 400.0, 0.0)))
        for time, source, value, variances in self.rows:
            if time > begin:
                ekf.measure(source, time, value, variances)
                said.append((time, *ekf.state[:3]))
        time, x, y, yaw = np.array(said).T
        true, true_yaw = self.motion.at(time)
        turned = np.abs([wrapped(angle) for angle in yaw - true_yaw])
        return Fused(time, np.hypot(x - true[:, 0], y - true[:, 1]), turned)


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    """Parameters of ekf_map as ekf.launch.py gives them by default."""
    module = stand_in.load("ekf.launch.py")
    _, world = stand_in.of_kind(stand_in.start(module), "Node")
    return dict(world.kwargs["parameters"][0])


@pytest.fixture(scope="module", params=range(0, 360, 45))
def drive(request: pytest.FixtureRequest) -> Drive:
    return Drive(np.radians(request.param))


def without_yaw(values: dict[str, Any]) -> dict[str, Any]:
    config = [used and place != 5 for place, used in enumerate(values["pose0_config"])]
    return {**values, "pose0_config": config}


def test_default_is_right_from_its_start_on(values: dict[str, Any], drive: Drive) -> None:
    fused = drive.fused(values, on_first_pose=True)
    assert not len(fused.lost(since=0.0))
    late = fused.time > fused.time[0] + 5.0
    assert fused.error[late].mean() < np.hypot(*drive.errors[:, :2].T).mean()


def test_a_yaw_from_the_prior_is_enough_to_start_with(values: dict[str, Any], drive: Drive) -> None:
    fused = drive.fused(without_yaw(values), on_first_pose=True)
    assert not len(fused.lost(since=0.0))


def test_yaw_is_found_where_the_filter_starts_unknowing(
    values: dict[str, Any], drive: Drive
) -> None:
    """After its service reset, or where ekf_node is started by other means."""
    fused = drive.fused(values, on_first_pose=False)
    assert not len(fused.lost(since=FIRST + 1.0))


def test_without_either_a_drive_westward_is_never_found(values: dict[str, Any]) -> None:
    """Why both: not started on the first pose and not told the yaw, it never turns round."""
    westward = Drive(np.pi)
    fused = westward.fused(without_yaw(values), on_first_pose=False)
    assert fused.error[-1] > 50.0 and np.degrees(fused.turned[-1]) > 90.0
