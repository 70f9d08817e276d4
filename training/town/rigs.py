"""How the town's cameras are mounted, and what their calibrations say wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from training.town.shapes import Array

OPTICAL: Array = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Optical frame (x right, y down, z forward) -> levelled frame (x forward, y left, z up)."""

# Width over height, and how often, of the cameras since town-v2; the last is KITTI's.
ASPECTS = ((4 / 3, 0.25), (3 / 2, 0.2), (16 / 9, 0.3), (2.0, 0.1), (3.3, 0.15))
# Of the cameras since town-v2: no pixel looks further than this from ahead, as stated and in truth.
WIDEST_HALF = math.radians(60.0)
FOCAL_ERROR, HEIGHT_ERROR = 0.03, 0.15
# Stated heights of these cameras, metres, and what a vehicle's may be: a hand's breadth more.
HEIGHTS, BELIEVED_HEIGHTS = (1.2, 3.2), (1.0, 3.6)
TURN_ERROR, TURN_LIMIT = math.radians(2.0), math.radians(3.0)
PLACE_ERROR, YAW_ERROR = 0.3, math.radians(1.0)


def pitched(angle: float) -> Array:
    """Rotation of a levelled frame whose x axis sinks by ``angle``."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def rolled(angle: float) -> Array:
    """Rotation of a levelled frame about its x axis."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


@dataclass(frozen=True)
class Misstated:
    """How a camera truly is, against what its calibration says.

    Attributes:
        height, focal: true height above the road and focal length over the stated ones.
        pitch, roll: true minus stated, radians.
        moved: where the stated extrinsics put the camera, seen from where it is: metres forward and
            left, and yaw, radians counter-clockwise.
    """

    height: float
    focal: float
    pitch: float
    roll: float
    moved: tuple[float, float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Misstated:
        """Draw errors, all of them uniform."""
        height, focal, pitch, roll, forward, left, yaw = rng.uniform(-1, 1, 7).tolist()
        return cls(
            1 + HEIGHT_ERROR * height,
            1 + FOCAL_ERROR * focal,
            TURN_ERROR * pitch,
            TURN_ERROR * roll,
            (PLACE_ERROR * forward, PLACE_ERROR * left, YAW_ERROR * yaw),
        )

    def turns(self, moment: Array) -> Array:
        """Return the (2,) pitch and roll that a calibration misses, with a moment's own (2,)."""
        return np.clip(moment + (self.pitch, self.roll), -TURN_LIMIT, TURN_LIMIT)


@dataclass(frozen=True)
class CameraRig:
    """How a camera is mounted: what a calibration knows.

    Attributes:
        fov: horizontal field of view, radians (pinhole), were the principal point in the middle.
        height: optical centre above the road, metres.
        pitch: nominal downward pitch, radians.
        bonnet: share of the picture's height that the bonnet hides, 0 for none (pinhole).
        aspect: width over height of its pictures; None: whatever is asked for.
        off: principal point minus the picture's middle, shares of (width, height), as
            the calibration knows.
        wrong: what the calibration says wrong; None: nothing but each moment's pitch and roll.
    """

    fov: float
    height: float
    pitch: float
    bonnet: float
    aspect: float | None = None
    off: tuple[float, float] = (0.0, 0.0)
    wrong: Misstated | None = None

    @classmethod
    def draw(cls, rng: np.random.Generator, panorama: bool) -> CameraRig:
        """Draw a mounting of town-v1."""
        fov = math.radians(float(rng.uniform(60, 110)))
        height = float(rng.uniform(1.2, 2.2))
        pitch = 0.0 if panorama else math.radians(float(np.clip(rng.normal(3, 3), -3, 10)))
        bonnet = float(rng.uniform(0.03, 0.16)) if rng.random() < 0.6 and not panorama else 0.0
        return cls(fov, height, pitch, bonnet)

    @classmethod
    def draw_any(cls, rng: np.random.Generator, panorama: bool) -> CameraRig:
        """Draw a mounting of the later editions: any camera of a road vehicle, misstated."""
        common = 0.75
        fov = math.radians(rng.uniform(50, 100) if rng.random() < common else rng.uniform(36, 120))
        height = float(rng.uniform(*HEIGHTS))
        pitch = math.radians(float(np.clip(rng.normal(3, 3), -3, 10)))
        bonnet = float(rng.uniform(0.03, 0.16)) if rng.random() < 0.5 else 0.0
        aspects, chances = zip(*ASPECTS, strict=True)
        aspect = float(rng.choice(aspects, p=chances))
        off = rng.uniform(-0.08, 0.08, 2) if rng.random() < 0.3 else np.zeros(2)
        wrong = Misstated.draw(rng)
        if panorama:
            return cls(fov, height, 0.0, 0.0, wrong=wrong)
        most = math.tan(WIDEST_HALF) * (1 - FOCAL_ERROR) / (1 + 2 * abs(float(off[0])))
        fov = min(fov, 2 * math.atan(most))
        return cls(fov, height, pitch, bonnet, aspect, (float(off[0]), float(off[1])), wrong)

    @property
    def rotation(self) -> Array:
        """Optical frame -> levelled frame, (3, 3)."""
        return pitched(self.pitch) @ OPTICAL

    def picture(self, width: int, height: int, whole: bool) -> tuple[int, int]:
        """Return the (width, height) of its picture that just fits a view of some size.

        Args:
            width, height: of the view, pixels.
            whole: all of the picture is to lie within the view; otherwise it fills it.
        """
        if self.aspect is None:
            return width, height
        scale = (min if whole else max)(width / self.aspect, height)
        return round(self.aspect * scale), round(scale)

    def intrinsics(self, width: int, height: int) -> Array:
        """Return the stated (3, 3) pinhole matrix of a picture, pixel centres at integers."""
        focal = width / 2 / math.tan(self.fov / 2)
        u = (width - 1) / 2 + self.off[0] * width
        v = (height - 1) / 2 + self.off[1] * height
        return np.array([[focal, 0, u], [0, focal, v], [0, 0, 1.0]])

    @property
    def true_height(self) -> float:
        """Where the optical centre is above the road, metres."""
        return self.height if self.wrong is None else self.height * self.wrong.height

    def true_intrinsics(self, width: int, height: int) -> Array:
        """Return what `intrinsics` should be."""
        focal = 1.0 if self.wrong is None else self.wrong.focal
        return self.intrinsics(width, height) * np.array([[focal, 1, 1], [1, focal, 1], [1, 1, 1]])
