"""Headings that have to be worked out: the odometry's zero, and the course over ground."""

from __future__ import annotations

import cmath
import math
from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.prior.config import PriorConfig
from cross_view_localizer.prior.stamp_gate import SECOND

_MAX_POINTS = 48
_OUTLIER = 2.0
_ROUNDS = 6
_SCALES = (0.8, 1.25)


class Heading(NamedTuple):
    """A yaw (radians, 0 = east, counter-clockwise), its variance (rad²) and where it comes from."""

    yaw: float
    variance: float
    source: str


class Fix(NamedTuple):
    """An antenna position in ``map``: stamp (ns), x + iy (m), covariance as (xx, xy, yy) in m²."""

    stamp: int
    position: complex
    covariance: tuple[float, float, float]

    @property
    def std(self) -> float:
        """Per-axis standard deviation, metres."""
        return math.sqrt((self.covariance[0] + self.covariance[2]) / 2)


class Slope(NamedTuple):
    """``value`` (complex) with its variance per axis, and the spread of the regressor."""

    value: complex
    variance: float


def regress(
    regressor: NDArray[np.complex128], fixes: list[Fix], correlation_time: float, white_std: float
) -> Slope | None:
    """Fit position = offset + slope · regressor to fixes whose errors are correlated in time.

    Generalised least squares with the error model of the fixes (Gauss-Markov of the reported size
    plus a white part) on whitened innovations, where a multipath step is a few outliers: Cauchy
    weights tame them. The variance is scaled up, never down, by all residuals, outliers included.

    Args:
        regressor: (N,) complex: the odometry's track, or time. N ≥ 3 gives a residual test.
        fixes: N fixes, in the order of time.

    Returns:
        the slope, or None where the regressor doesn't determine it.
    """
    count = len(fixes)
    if count < 2:
        return None
    seconds = np.array([(fix.stamp - fixes[0].stamp) / SECOND for fix in fixes])
    std = np.array([fix.std for fix in fixes])
    lags = np.abs(seconds[:, None] - seconds[None, :])
    noise = np.outer(std, std) * np.exp(-lags / correlation_time)
    noise.flat[:: count + 1] += white_std**2 + 1e-6
    rows = np.empty((count, 3), dtype=np.complex128)
    rows[:, 0] = 1.0
    rows[:, 1] = regressor
    rows[:, 2] = [fix.position - fixes[0].position for fix in fixes]
    white = np.asarray(np.linalg.solve(np.linalg.cholesky(noise), rows), dtype=np.complex128)
    weights, last = np.ones(count), 0j
    for _ in range(_ROUNDS):
        solution = _weighted_line(white, weights)
        if solution is None:
            return None
        value, variance, residuals = solution
        if count < 4 or abs(value - last) ** 2 < 1e-3 * variance:
            break
        last = value
        weights = 1.0 / (1.0 + np.abs(residuals / _OUTLIER) ** 2)
    excess = 1.0
    if count > 2:
        excess = float(np.sum(np.abs(residuals) ** 2)) / (2 * (count - 2))
    return Slope(value, variance * max(1.0, excess))


def _weighted_line(
    rows: NDArray[np.complex128], weights: NDArray[np.float64]
) -> tuple[complex, float, NDArray[np.complex128]] | None:
    """Return slope, variance and residuals of the line by whitened (one, regressor, target)."""
    gram = ((rows.conj().T * weights) @ rows).tolist()
    normal, pull, mean = gram[0][0].real, gram[0][1] / gram[0][0], gram[0][2] / gram[0][0]
    information = gram[1][1].real - normal * abs(pull) ** 2
    if information < 1e-9 * max(1.0, gram[1][1].real):
        return None
    value = (gram[1][2] - normal * pull.conjugate() * mean) / information
    residuals = rows @ np.array([value * pull - mean, -value, 1.0])
    return value, 1.0 / information, residuals


class OdometryAligner:
    """Finds the yaw of the odometry's frame in ``map`` from fixes along the last stretch of road.

    A fix takes part once per ``align_spacing`` metres travelled at ``min_speed`` or more, over the
    last ``align_window`` metres.

    Attributes:
        config: may be changed at any time.
    """

    def __init__(self, config: PriorConfig) -> None:
        self.config = config
        self._points: deque[tuple[Fix, complex, float]] = deque(maxlen=_MAX_POINTS)
        self._last: tuple[int, float] | None = None
        self._fit: tuple[float, float, int] | None = None

    def clear(self) -> None:
        """Forget everything."""
        self._points.clear()
        self._last = self._fit = None

    def add(self, fix: Fix, antenna: complex, travelled: float) -> None:
        """Add a fix, the antenna in the odometry's frame and the distance travelled, metres."""
        last, self._last = self._last, (fix.stamp, travelled)
        if last is not None:
            seconds = (fix.stamp - last[0]) / SECOND
            if seconds <= 0 or travelled - last[1] < self.config.min_speed * seconds:
                return
        elif self._points:
            return
        if self._points and travelled - self._points[-1][2] < self.config.align_spacing:
            return
        self._points.append((fix, antenna, travelled))
        while travelled - self._points[0][2] > self.config.align_window:
            self._points.popleft()
        self._refit()

    def zero(self, stamp: int) -> tuple[float, float] | None:
        """Return (map yaw minus odometry yaw, variance) at ``stamp``, once it is good enough."""
        if self._fit is None:
            return None
        angle, variance, fitted = self._fit
        variance += self.config.odometry_yaw_drift**2 * abs(stamp - fitted) / SECOND
        if variance > self.config.align_max_std**2:
            return None
        return angle, variance

    def _refit(self) -> None:
        track = np.array([point[1] for point in self._points])
        if np.max(np.abs(track - track[-1])) < self.config.align_min_distance or len(track) < 3:
            return
        fixes = [point[0] for point in self._points]
        config = self.config
        slope = regress(track, fixes, config.fix_correlation_time, config.fix_white_std)
        if slope is None or not _SCALES[0] < abs(slope.value) < _SCALES[1]:
            self._fit = None
            return
        # The fit is the window's mean; the odometry has drifted since.
        drift = config.odometry_yaw_drift**2 * (fixes[-1].stamp - fixes[0].stamp) / SECOND / 3
        variance = slope.variance / abs(slope.value) ** 2 + drift
        self._fit = (cmath.phase(slope.value), variance, fixes[-1].stamp)


def velocity(fixes: list[Fix], config: PriorConfig) -> Slope | None:
    """Return the fixes' mean velocity (complex m/s in ``map``) with its variance per axis."""
    if len(fixes) < 2:
        return None
    times = np.array([(fix.stamp - fixes[0].stamp) / SECOND for fix in fixes], dtype=np.complex128)
    return regress(times, fixes, config.fix_correlation_time, config.fix_white_std)


def course(fixes: list[Fix], config: PriorConfig) -> tuple[Heading, int] | None:
    """Return the course over ground and the stamp that it holds for (the middle of the fixes)."""
    slope = velocity(fixes, config)
    if slope is None or abs(slope.value) < config.min_speed:
        return None
    heading = Heading(cmath.phase(slope.value), slope.variance / abs(slope.value) ** 2, "course")
    return heading, (fixes[0].stamp + fixes[-1].stamp) // 2
