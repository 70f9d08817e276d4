"""The town's camera: frames cast by columns, then taken by an imperfect camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from training.town.canvas import tile
from training.town.columns import (
    DEPTH,
    PROFILE,
    cast_boxes,
    cast_trees,
    cast_walls,
    ground_profile,
    height_at,
    profile_distances,
)
from training.town.looks.light import draw_air
from training.town.looks.optics import take
from training.town.looks.weather import Stand, through_weather
from training.town.poses import CameraPose
from training.town.rigs import CameraRig, pitched, rolled
from training.town.scenery import Scenery
from training.town.shading import Lens, Look, Met, Place, shade
from training.town.shapes import Array, Picture
from training.town.traffic import traffic, traffic_boxes
from training.town.world import HEIGHT_STEP

ANGLE_NOISE = math.radians(1.0)


@dataclass(frozen=True)
class GroundFrame:
    """One camera picture with what is and what is not known of its camera.

    Attributes:
        image: (h, w, 3) uint8 RGB.
        intrinsics: (3, 3) pinhole matrix, pixel centres at integers; the identity for a panorama.
        rotation: (3, 3) nominal: optical frame -> levelled frame (x along the azimuth, y left,
            z up).
        true_rotation: (3, 3) actual: optical frame -> the frame levelled by gravity, with this
            frame's pitch and roll noise and the slope of the road that the vehicle stands on.
        height: optical centre above the road, metres.
        fov: horizontal field of view, radians.
        true_intrinsics, true_height: what intrinsics and height should have been.
        moved: where the stated extrinsics put the camera, seen from where it is: metres forward and
            left, and yaw, radians counter-clockwise.
    """

    image: Picture
    intrinsics: Array
    rotation: Array
    true_rotation: Array
    height: float
    fov: float
    true_intrinsics: Array
    true_height: float
    moved: tuple[float, float, float]


def _tilt(scenery: Scenery, pose: CameraPose) -> Array:
    """Frame standing on the slope at the pose -> frame levelled by gravity, same azimuth."""
    c, s = math.cos(pose.yaw), math.sin(pose.yaw)

    def z(forward: float, left: float) -> float:
        x, y = pose.x + forward * c - left * s, pose.y + forward * s + left * c
        return float(height_at(scenery.height, scenery.half, HEIGHT_STEP, x, y))

    ahead, left = (z(2, 0) - z(-2, 0)) / 4, (z(0, 2) - z(0, -2)) / 4
    x = np.array([1, 0, ahead]) / math.hypot(1, ahead)
    up = np.array([-ahead, -left, 1.0]) / math.sqrt(1 + ahead**2 + left**2)
    return np.stack([x, np.cross(up, x), up], axis=1)


def _day(rng: np.random.Generator, elevation: float, foot: float) -> Array:
    """The frame's light: see ``shading``."""
    sunny = rng.uniform(0, 1) ** 0.7 if rng.random() < 0.6 else 0.0
    gray = rng.uniform(140, 225)
    zenith = np.array([0.55, 0.72, 1.0]) * rng.uniform(150, 230)
    horizon = np.array([0.95, 0.98, 1.0]) * gray + rng.normal(0, 5, 3)
    far = np.array([0.8, 0.9, 0.85]) * rng.uniform(60, 140) * 0.6 + horizon * 0.4
    return np.array(
        [
            *zenith,
            *horizon,
            *far,
            rng.uniform(-0.5, 0.9),
            rng.uniform(170, 245),
            rng.uniform(0.0008, 0.006),
            rng.uniform(0.01, 0.1),
            rng.uniform(0, 500),
            sunny,
            foot,
            math.sin(elevation),
        ]
    )


class _Cast:
    """The columns of one frame."""

    def __init__(
        self,
        scenery: Scenery,
        pose: CameraPose,
        height: float,
        view: tuple[int, int, float],
        traffic: Array,
    ) -> None:
        full, columns, az0 = view
        self.full, self.az0 = full, az0
        azimuth = az0 - (np.arange(columns) + 0.5) * (2 * math.pi / full)
        self.cosine, self.sine = np.cos(azimuth), np.sin(azimuth)
        self.count: NDArray[np.int64] = np.zeros(columns, np.int64)
        self.hits: NDArray[np.float32] = np.empty((columns, DEPTH, 6), np.float32)
        self.kinds: NDArray[np.int32] = np.empty((columns, DEPTH, 2), np.int32)
        self.distances = profile_distances()
        self.tangents = np.empty((columns, PROFILE))
        self.foot = height_at(scenery.height, scenery.half, HEIGHT_STEP, pose.x, pose.y)
        self.z = self.foot + height
        place = (pose.x, pose.y, az0, full, self.cosine, self.sine)
        into = (self.count, self.hits, self.kinds)
        sun = scenery.sun[0]
        cast_walls(scenery.walls, scenery.wall_kind, *place, sun, *into)
        cast_boxes(scenery.boxes, scenery.box_kind, *place, sun, *into)
        if len(traffic):
            rows, kinds = traffic_boxes(traffic, scenery, self.foot)
            cast_boxes(rows, kinds, *place, sun, *into)
        cast_trees(scenery.trees, scenery.tree_style, *place, *into)
        ground_profile(
            scenery.height,
            scenery.half,
            HEIGHT_STEP,
            pose.x,
            pose.y,
            self.z,
            self.cosine,
            self.sine,
            self.tangents,
            self.distances,
        )


def _window(
    lens: Lens, rig: CameraRig, yaw: float, size: tuple[int, int]
) -> tuple[int, int, float]:
    """Columns of the full circle, columns cast, azimuth where they begin."""
    width, height = size
    if lens.panorama:
        full = int(width * 1.5)
        return full, full, yaw + math.pi
    full = int(2 * math.pi * lens.focal * 1.4)
    if rig.aspect is None:
        left = right = rig.fov / 2 + math.radians(9)
    else:
        left, right = _reach(lens, width, height)
    return full, min(full, math.ceil((left + right) / (2 * math.pi) * full)), yaw + left


def _reach(lens: Lens, width: int, height: int) -> tuple[float, float]:
    """How far to the left and to the right a tilted picture sees, radians, and a degree more."""
    corners = [(u, v) for u in (-0.5, width - 0.5) for v in (-0.5, height - 0.5)]
    rays = np.array(
        [((u - lens.cu) / lens.focal, (v - lens.cv) / lens.focal, 1) for u, v in corners]
    )
    level = rays @ lens.rotation.T
    azimuths = np.arctan2(level[:, 1], level[:, 0])
    margin = math.radians(1)
    return float(azimuths.max()) + margin, float(-azimuths.min()) + margin


def render_frame(
    scenery: Scenery,
    pose: CameraPose,
    view: Literal["pinhole", "panorama"],
    size: tuple[int, int],
    rig: CameraRig,
    rng: np.random.Generator,
    truth: NDArray[np.float32] | None = None,
    light: np.random.Generator | None = None,
) -> GroundFrame:
    """Render ``size`` = (width, height) at ``pose``.

    ``truth`` (h, w, 4) float32, where given, receives each pixel's point (x, y, z) and kind.
    ``light``, where given, draws sky, exposure and bonnet in place of ``rng``, and no vehicle moves
    around: a drive's frames then belong together.

    Raises:
        ValueError: for an unknown view.
    """
    if view not in ("pinhole", "panorama"):
        raise ValueError(f"view {view!r}: expected 'pinhole' or 'panorama'")
    width, height = size
    panorama = view == "panorama"
    noise = rng.normal(0, ANGLE_NOISE, 2)
    turns = noise if rig.wrong is None else rig.wrong.turns(noise)
    nominal = rig.rotation
    actual = _tilt(scenery, pose) @ pitched(turns[0]) @ rolled(turns[1]) @ nominal
    true = rig.true_intrinsics(width, height)
    lens = Lens(panorama, float(true[0, 0]), float(true[0, 2]), float(true[1, 2]), actual)
    window = _window(lens, rig, pose.yaw, size)
    moving = traffic(rng, pose, scenery.hand)
    cast = _Cast(scenery, pose, rig.true_height, window, moving if light is None else moving[:0])
    steady = rng if light is None else light
    look = scenery.look
    air = None if look is None else draw_air(look, steady, scenery.sun[1], cast.foot)
    day = _day(steady, scenery.sun[1], cast.foot) if air is None else air.day
    image = np.empty((height, width, 3), np.float32)
    if truth is None:
        truth = np.empty((0, 0, 4) if air is None else (height, width, 4), np.float32)
    shade(  # type: ignore[call-arg]
        lens,
        Place(pose.yaw, pose.x, pose.y, cast.z),
        Met(cast.az0, cast.full, cast.count, cast.hits, cast.kinds, cast.tangents, cast.distances),
        Look(
            scenery.trees,
            scenery.tree_style,
            scenery.styles,
            scenery.ground,
            scenery.shadow,
            scenery.half,
            tile(),
            day,
            scenery.laid,
        ),
        image,
        truth,
    )
    if air is not None:
        place = np.array([pose.x, pose.y, cast.z])
        stand = Stand(*lens, pose.yaw, place)
        through_weather(image, truth, stand, air, scenery.sun, scenery.lamps, steady)
    if rig.bonnet > 0:
        _bonnet(image, rig, steady, truth)
    if look is None:
        picture = _expose(image, steady, rng, panorama)
    else:
        picture = take(image, look, steady, rng, panorama)
    stated = rig.intrinsics(width, height)
    fov = rig.fov
    if panorama:  # it has no matrix
        stated, true, fov = np.eye(3), np.eye(3), 2 * math.pi
    moved = (0.0, 0.0, 0.0) if rig.wrong is None else rig.wrong.moved
    known = (stated, nominal, actual, rig.height, fov)
    return GroundFrame(picture, *known, true, rig.true_height, moved)


def _bonnet(
    image: Picture, rig: CameraRig, rng: np.random.Generator, truth: NDArray[np.float32]
) -> None:
    """Paint the vehicle's own bonnet over the bottom of the picture."""
    h, w = image.shape[:2]
    across = (np.arange(w) - w / 2 + rng.uniform(-0.04, 0.04) * w) / (w / 2)
    line = h * (1 - rig.bonnet * (1 - 0.75 * np.abs(across) ** 2.6))
    first = max(0, int(line.min()))
    rows = np.arange(first, h)[:, None]
    cover = np.clip(rows - line, 0, 1)[..., None]
    color = rng.uniform(15, 150) + rng.normal(0, 8, 3)
    depth = (rows - line) / (rig.bonnet * h + 1)
    paint = color * (1.25 - 0.6 * np.clip(depth, 0, 1))[..., None]
    image[first:] += (cover * (paint - image[first:])).astype(np.float32)
    if truth.shape[0]:
        truth[first:, :, 3][cover[..., 0] > 0.5] = -3


def _expose(
    image: Picture, rng: np.random.Generator, grain: np.random.Generator, panorama: bool
) -> Picture:
    """Vignetting, motion blur, white balance, exposure, gamma; and noise, from ``grain``."""
    h, w = image.shape[:2]
    if rng.random() < 0.5:
        n = int(rng.integers(2, 4))
        image = cv2.blur(image, (n, 1) if rng.random() < 0.6 else (1, n))
    else:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.35, 0.8))
    gain = rng.uniform(0.7, 1.3) * rng.uniform(0.92, 1.08, 3)
    gamma = rng.uniform(0.8, 1.25)
    if not panorama:
        u = (np.arange(w, dtype=np.float32) - w / 2) / (w / 2)
        v = (np.arange(h, dtype=np.float32) - h / 2) / (w / 2)
        image *= (1 - rng.uniform(0, 0.3) * 0.7 * (u[None] ** 2 + v[:, None] ** 2))[..., None]
    noise = np.empty((h, w, 3), np.float32)
    cv2.setRNGSeed(int(grain.integers(1 << 31)))
    cv2.randn(noise, 0, float(rng.uniform(0.5, 5)))  # type: ignore[call-overload]
    # exposure and gamma by one table over 0 ... 511, so that bright parts clip late
    table = np.clip(255 * ((np.arange(512) / 255.0)[:, None] * gain) ** gamma, 0, 255).astype(
        np.float32
    )
    index = np.clip(image, 0, 511).astype(np.uint16)
    exposed = np.stack([table[:, m][index[..., m]] for m in range(3)], axis=-1)
    return np.clip(exposed + noise, 0, 255).astype(np.uint8)
