"""Lens models on the unit plane: CameraInfo's plumb_bob, rational_polynomial and equidistant.

Each lens maps a ray (x right, y down, z forward) to distorted coordinates on the plane z = 1 and
back; outside the range in which it maps one to one, both are NaN.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SAMPLES = 4096


class Lens(Protocol):
    """Rays (..., 3) to distorted plane coordinates (..., 2) and back (directions of any length)."""

    def distort(self, rays: Array) -> Array:
        """Return distorted coordinates, NaN where the lens doesn't see."""

    def undistort(self, plane: Array) -> Array:
        """Return rays, NaN where no ray arrives."""


class BrownLens:
    """Pinhole with radial (rational) and tangential distortion: k1 k2 p1 p2 [k3 [k4 k5 k6]]."""

    def __init__(self, coefficients: tuple[float, ...]) -> None:
        k1, k2, p1, p2, k3, k4, k5, k6 = (*coefficients, *(0.0,) * (8 - len(coefficients)))
        self._above = np.array([k3, k2, k1, 1.0])
        self._below = np.array([k6, k5, k4, 1.0])
        self._p1, self._p2 = p1, p2
        self._radius, self._distorted = self._range()

    def _range(self) -> tuple[Array, Array]:
        """Radii up to where the radial part stops growing, undistorted and distorted.

        Further out it folds back onto the picture.
        """
        radius = np.tan(np.linspace(0.0, np.radians(89.0), _SAMPLES))
        gain = self._gain(radius**2)[0]
        distorted = radius * gain
        grows = (np.diff(distorted) > 0) & (gain[1:] > 0)
        end = _SAMPLES if grows.all() else int(np.argmin(grows)) + 1
        return radius[:end], distorted[:end]

    def _gain(self, r2: Array) -> tuple[Array, Array]:
        """The radial factor and its derivative by r²."""
        above, below = np.polyval(self._above, r2), np.polyval(self._below, r2)
        slope = np.polyval(np.polyder(self._above), r2) * below - above * np.polyval(
            np.polyder(self._below), r2
        )
        return above / below, slope / below**2

    def distort(self, rays: Array) -> Array:
        """Return distorted coordinates; NaN behind the camera and where the lens folds back."""
        front = rays[..., 2] > 0
        with np.errstate(all="ignore"):
            plane = rays[..., :2] / np.where(front, rays[..., 2], np.nan)[..., None]
            seen = np.hypot(plane[..., 0], plane[..., 1]) <= self._radius[-1]
            return np.where(seen[..., None], self._bend(plane)[0], np.nan)

    def _bend(self, plane: Array) -> tuple[Array, Array]:
        """Distorted coordinates (..., 2) and their Jacobian (..., 2, 2)."""
        x, y = plane[..., 0], plane[..., 1]
        p1, p2 = self._p1, self._p2
        r2 = x * x + y * y
        gain, slope = self._gain(r2)
        bent = np.stack(
            [
                x * gain + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                y * gain + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
            ],
            axis=-1,
        )
        cross = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
        jacobian = np.stack(
            [
                np.stack([gain + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x, cross], axis=-1),
                np.stack([cross, gain + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x], axis=-1),
            ],
            axis=-2,
        )
        return bent, jacobian

    def undistort(self, plane: Array) -> Array:
        """Return rays with z = 1: from the radial inverse, by Newton for both parts together."""
        distance = np.hypot(plane[..., 0], plane[..., 1])
        start = np.interp(distance, self._distorted, self._radius)
        with np.errstate(all="ignore"):
            point = plane * np.where(distance > 0, start / distance, 1.0)[..., None]
            for _ in range(12):
                bent, jacobian = self._bend(point)
                (a, b), (c, d) = np.moveaxis(jacobian, (-2, -1), (0, 1))
                rest = bent - plane
                step = np.stack(
                    [d * rest[..., 0] - b * rest[..., 1], a * rest[..., 1] - c * rest[..., 0]],
                    axis=-1,
                )
                step /= (a * d - b * c)[..., None]
                point = point - step
                if not (np.abs(step) > 1e-12).any():
                    break
            found = np.abs(self._bend(point)[0] - plane).max(axis=-1) < 1e-9
            found &= np.hypot(point[..., 0], point[..., 1]) <= self._radius[-1]
        point = np.where(found[..., None], point, np.nan)
        return np.concatenate([point, np.ones_like(point[..., :1])], axis=-1)


class FisheyeLens:
    """OpenCV's fisheye, CameraInfo's equidistant: θ (1 + k1 θ² + k2 θ⁴ + k3 θ⁶ + k4 θ⁸)."""

    def __init__(self, coefficients: tuple[float, ...]) -> None:
        k1, k2, k3, k4 = (*coefficients, *(0.0,) * (4 - len(coefficients)))
        self._polynomial = np.array([k4, 0, k3, 0, k2, 0, k1, 0, 1, 0])
        self._slope = np.polyder(self._polynomial)
        theta = np.linspace(0.0, np.pi, _SAMPLES)
        distorted = np.polyval(self._polynomial, theta)
        grows = np.diff(distorted) > 0
        end = _SAMPLES if grows.all() else int(np.argmin(grows)) + 1
        self._theta, self._distorted = theta[:end], distorted[:end]

    def distort(self, rays: Array) -> Array:
        """Return distorted coordinates; NaN where θ's polynomial folds back."""
        across = np.hypot(rays[..., 0], rays[..., 1])
        theta = np.arctan2(across, rays[..., 2])
        seen = (theta <= self._theta[-1]) & np.isfinite(theta)
        radius = np.where(seen, np.polyval(self._polynomial, theta), np.nan)
        with np.errstate(all="ignore"):
            # On the axis the direction is undefined behind the camera, and irrelevant before it.
            scale = np.where(across > 0, radius / across, np.where(theta == 0, 1.0, np.nan))
            return np.asarray(rays[..., :2] * scale[..., None])

    def undistort(self, plane: Array) -> Array:
        """Return unit rays."""
        radius = np.hypot(plane[..., 0], plane[..., 1])
        theta = np.interp(radius, self._distorted, self._theta)
        with np.errstate(all="ignore"):
            for _ in range(6):
                step = (np.polyval(self._polynomial, theta) - radius) / np.polyval(
                    self._slope, theta
                )
                theta = np.clip(theta - step, 0.0, self._theta[-1])
            found = np.abs(np.polyval(self._polynomial, theta) - radius) < 1e-9
            theta = np.where(found, theta, np.nan)
            scale = np.where(radius > 0, np.sin(theta) / radius, 1.0)
        return np.concatenate([plane * scale[..., None], np.cos(theta)[..., None]], axis=-1)


class NoLens:
    """A pinhole without distortion."""

    def distort(self, rays: Array) -> Array:
        """Return x / z and y / z; NaN behind the camera."""
        front = rays[..., 2:] > 0
        with np.errstate(all="ignore"):
            return np.where(front, rays[..., :2] / rays[..., 2:], np.nan)

    def undistort(self, plane: Array) -> Array:
        """Return rays with z = 1."""
        return np.concatenate([plane, np.ones_like(plane[..., :1])], axis=-1)
