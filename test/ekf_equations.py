"""robot_localization's EKF in the plane, written down from its documented equations.

The filter is https://docs.ros.org/en/jazzy/p/robot_localization (state and omnidirectional motion
model: "State Estimation Nodes"; correction with the gate: "Parameters"). With ``two_d_mode`` its
fifteen states are these eight: z, roll, pitch and their rates stay zero and couple to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Where x, y, yaw, vx, vy, vyaw, ax, ay stand among the fifteen states.
PLANAR = [0, 1, 5, 6, 7, 11, 12, 13]
X, Y, YAW, VX, VY, VYAW, AX, AY = range(8)
SMALLEST = 1e-9  # variance of a measurement


def wrapped(angle: float) -> float:
    """Return an angle in [-π, π)."""
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


class PlanarEkf:
    """One ekf_node, given its ``ros__parameters``; measurements come in the order of their stamps.

    Attributes:
        state: (8,) m, rad, m/s, rad/s, m/s².
        covariance: (8, 8).
        rejected: measurements that the gate refused.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        self._noise = np.diag(values["process_noise_covariance"])[np.ix_(PLANAR, PLANAR)]
        initial = np.diag(values["initial_estimate_covariance"])
        self.state = np.zeros(8)
        self.covariance = initial[np.ix_(PLANAR, PLANAR)]
        self.rejected = 0
        self._values = values
        self._time: float | None = None

    def set_pose(self, time: float, pose: ArrayLike, covariance: ArrayLike) -> None:
        """Take ``~/set_pose``: this pose (3,) with its covariance (3, 3), at rest."""
        self.state = np.concatenate([pose, np.zeros(5)])
        self.covariance = np.eye(8) * 1e-6
        self.covariance[:3, :3] = covariance
        if self._time is not None:
            self._time = time

    def measure(
        self, source: str, time: float, values: Sequence[float], variances: ArrayLike
    ) -> None:
        """Predict to ``time``, seconds, and correct by what ``<source>_config`` switches on.

        Args:
            values: of the eight states; those that are off are not looked at.
            variances: (8,) or (8, 8), theirs.
        """
        used = [i for i, at in enumerate(PLANAR) if self._values[f"{source}_config"][at]]
        noise = np.asarray(variances, dtype=float)
        noise = (np.diag(noise) if noise.ndim == 1 else noise)[np.ix_(used, used)]
        noise[np.diag_indices_from(noise)] = np.maximum(np.diag(noise), SMALLEST)
        value = np.asarray(values, dtype=float)[used]
        if self._time is None:  # the first one is taken as it is
            self.state[used] = value
            self.covariance[np.ix_(used, used)] = noise
        else:
            if time > self._time:
                self._predict(time - self._time)
            gate = self._values.get(f"{source}_rejection_threshold", np.inf)
            self._correct(used, value, noise, gate)
        self._time = max(time, self._time or time)

    def _predict(self, step: float) -> None:
        _, _, yaw, vx, vy, _, ax, ay = self.state
        c, s = np.cos(yaw), np.sin(yaw)
        half = step * step / 2
        model = np.eye(8)
        model[X, [VX, VY, AX, AY]] = c * step, -s * step, c * half, -s * half
        model[Y, [VX, VY, AX, AY]] = s * step, c * step, s * half, c * half
        model[[YAW, VX, VY], [VYAW, AX, AY]] = step
        jacobian = model.copy()
        along, across = vx * step + ax * half, vy * step + ay * half
        jacobian[X, YAW] = -s * along - c * across
        jacobian[Y, YAW] = c * along - s * across
        self.state = model @ self.state
        self.state[YAW] = wrapped(self.state[YAW])
        self.covariance = jacobian @ self.covariance @ jacobian.T + step * self._noise

    def _correct(
        self,
        used: list[int],
        value: NDArray[np.float64],
        noise: NDArray[np.float64],
        gate: float,
    ) -> None:
        picks = np.eye(8)[used]
        innovation = value - self.state[used]
        if YAW in used:
            innovation[used.index(YAW)] = wrapped(innovation[used.index(YAW)])
        inverse = np.linalg.inv(picks @ self.covariance @ picks.T + noise)
        if innovation @ inverse @ innovation >= gate**2:
            self.rejected += 1
            return
        gain = self.covariance @ picks.T @ inverse
        self.state = self.state + gain @ innovation
        self.state[YAW] = wrapped(self.state[YAW])
        keep = np.eye(8) - gain @ picks  # Joseph's form
        self.covariance = keep @ self.covariance @ keep.T + gain @ noise @ gain.T
