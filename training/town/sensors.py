"""What the drive's sensors say of the true motion: errors as models state them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.town.motion import Trajectory
from training.town.shapes import Array


@dataclass(frozen=True)
class SensorNoise:
    """Sizes of the errors.

    Attributes:
        gnss_std, gnss_tau: slow error per axis, metres, and its correlation time, s (Gauss-Markov).
        gnss_white: white error per axis on top, metres.
        odom_scale: standard deviation of the wheels' scale error.
        odom_drift: standard deviation of the odometry's yaw rate error, rad/s.
        odom_speed, odom_yaw_rate: white errors of its twist, m/s and rad/s.
        imu_bias: standard deviation of the constant error of the compass heading, rad.
        imu_white: its white error, rad; gyro_bias, gyro_white: of the yaw rate, rad/s.
    """

    gnss_std: float = 6.0
    gnss_tau: float = 60.0
    gnss_white: float = 0.5
    odom_scale: float = 0.01
    odom_drift: float = 0.0005
    odom_speed: float = 0.03
    odom_yaw_rate: float = 0.002
    imu_bias: float = 0.02
    imu_white: float = 0.01
    gyro_bias: float = 0.001
    gyro_white: float = 0.003

    @property
    def fix_variance(self) -> float:
        """Variance of a fix per axis, m²."""
        return self.gnss_std**2 + self.gnss_white**2


def gauss_markov(time: Array, std: float, tau: float, rng: np.random.Generator) -> Array:
    """Return a first-order Gauss-Markov error per axis at ``time`` (n,) s: (n, 2), stationary."""
    keep = np.exp(-np.diff(time, prepend=time[0]) / tau)
    draws = rng.standard_normal((len(time), 2))
    out = np.empty_like(draws)
    out[0] = draws[0]
    for i in range(1, len(time)):
        out[i] = keep[i] * out[i - 1] + np.sqrt(1 - keep[i] ** 2) * draws[i]
    return std * out


def fixes(
    motion: Trajectory, time: Array, antenna: Array, noise: SensorNoise, rng: np.random.Generator
) -> Array:
    """Return where a receiver says that its antenna is: (n, 2) metres in ``map``.

    Args:
        antenna: (2,) metres, forward and left of ``base_link``.
    """
    xy, yaw = motion.at(time)
    c, s = np.cos(yaw), np.sin(yaw)
    lever = np.stack([c * antenna[0] - s * antenna[1], s * antenna[0] + c * antenna[1]], axis=1)
    slow = gauss_markov(time, noise.gnss_std, noise.gnss_tau, rng)
    return xy + lever + slow + rng.normal(0, noise.gnss_white, xy.shape)


@dataclass(frozen=True)
class OdometryTrack:
    """Wheel odometry: pose in its own frame (zero at the start) and twist.

    Attributes:
        xy: (n, 2) metres; yaw, speed, yaw_rate: (n,).
    """

    xy: Array
    yaw: Array
    speed: Array
    yaw_rate: Array


def odometry(
    motion: Trajectory, time: Array, noise: SensorNoise, rng: np.random.Generator
) -> OdometryTrack:
    """Integrate what wheels and a cheap gyro measure, from (0, 0, 0) at ``time[0]`` on."""
    true_xy, true_yaw = motion.at(time)
    step = np.diff(time, prepend=time[0])
    scale = 1.0 + rng.normal(0, noise.odom_scale)
    drift = rng.normal(0, noise.odom_drift)
    distance = np.hypot(*np.diff(true_xy, axis=0, prepend=true_xy[:1]).T) * scale
    distance += rng.normal(0, noise.odom_speed, len(time)) * step
    turn = np.diff(true_yaw, prepend=true_yaw[0]) + drift * step
    turn += rng.normal(0, noise.odom_yaw_rate, len(time)) * step
    yaw = np.cumsum(turn)
    middle = yaw - turn / 2
    xy = np.cumsum(distance[:, None] * np.stack([np.cos(middle), np.sin(middle)], axis=1), axis=0)
    speed, yaw_rate = motion.rates(time)
    return OdometryTrack(
        xy,
        yaw,
        speed * scale + rng.normal(0, noise.odom_speed, len(time)),
        yaw_rate + drift + rng.normal(0, noise.odom_yaw_rate, len(time)),
    )


def imu(
    motion: Trajectory, time: Array, noise: SensorNoise, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return the ENU heading (n,) rad and yaw rate (n,) rad/s that an IMU with a compass gives."""
    _, yaw = motion.at(time)
    _, rate = motion.rates(time)
    heading = yaw + rng.normal(0, noise.imu_bias) + rng.normal(0, noise.imu_white, len(time))
    gyro = rate + rng.normal(0, noise.gyro_bias) + rng.normal(0, noise.gyro_white, len(time))
    return heading, gyro
