"""How a vehicle moves along a route: smooth, slower in turns, starting and ending at rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from training.town.route import STEP
from training.town.shapes import Array

CRUISE = 8.0  # m/s
ACROSS = 2.0  # m/s², what a turn may take
ALONG = 1.5  # m/s², what pedals may take
SMOOTH = 1.5  # m, over which the steering acts
TICK = 0.005  # s between the states that are kept


@dataclass(frozen=True)
class Trajectory:
    """The true motion of ``base_link`` in ``map``.

    Attributes:
        time: (N,) seconds from 0, evenly spaced.
        xy: (N, 2) metres; yaw: (N,) radians, continuous (not wrapped).
        speed: (N,) m/s along the heading; yaw_rate: (N,) rad/s.
    """

    time: Array
    xy: Array
    yaw: Array
    speed: Array
    yaw_rate: Array

    @property
    def duration(self) -> float:
        """Seconds from start to end."""
        return float(self.time[-1])

    def at(self, time: Array) -> tuple[Array, Array]:
        """Return positions (n, 2) and yaws (n,) at ``time`` (n,) seconds."""
        x, y, yaw = (np.interp(time, self.time, v) for v in (*self.xy.T, self.yaw))
        return np.stack([x, y], axis=-1), yaw

    def rates(self, time: Array) -> tuple[Array, Array]:
        """Return speed and yaw rate at ``time`` (n,) seconds."""
        return np.interp(time, self.time, self.speed), np.interp(time, self.time, self.yaw_rate)


def along(points: Array, duration: float | None = None) -> Trajectory:
    """Drive along ``points`` (N, 2), ``STEP`` metres apart.

    Args:
        duration: end after so many seconds, wherever that is.
    """
    smooth = gaussian_filter1d(points, SMOOTH / STEP, axis=0, mode="nearest")
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(smooth, axis=0).T))])
    direction = np.gradient(smooth, axis=0)
    yaw = np.unwrap(np.arctan2(direction[:, 1], direction[:, 0]))
    bend = np.abs(np.gradient(yaw, np.maximum(arc, np.arange(len(arc)) * 1e-6)))
    speed = np.minimum(CRUISE, np.sqrt(ACROSS / np.maximum(bend, 1e-6)))
    speed[[0, -1]] = 0.3  # not 0: it would never leave
    for order in (range(1, len(arc)), range(len(arc) - 2, -1, -1)):
        for i in order:
            j = i - 1 if order.step > 0 else i + 1
            speed[i] = min(speed[i], np.sqrt(speed[j] ** 2 + 2 * ALONG * abs(arc[i] - arc[j])))
    ds = np.diff(arc)
    clock = np.concatenate([[0.0], np.cumsum(2 * ds / (speed[1:] + speed[:-1]))])
    time = np.arange(0.0, min(clock[-1], duration or clock[-1]), TICK)
    s = np.interp(time, clock, arc)
    xy = np.stack([np.interp(s, arc, smooth[:, i]) for i in range(2)], axis=1)
    heading = np.interp(s, arc, yaw)
    turning = gaussian_filter1d(np.gradient(heading, TICK), 0.05 / TICK, mode="nearest")
    return Trajectory(time, xy, heading, np.interp(time, clock, speed), turning)
