"""What the camera sees: its own painted ground, and the tables its columns are cast from."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.town import kinds as k
from training.town.canvas import circles, fill, fill_convex, hulls, soup_pixels, subpixels
from training.town.editions import rules_of
from training.town.looks.appearance import Appearance
from training.town.looks.palette import APPEARANCES, Palette, Wardrobe
from training.town.palette import FirstCamera, car_colors
from training.town.shapes import AERIAL, CAMERA, Array, Picture, rectangles
from training.town.world import HEIGHT_STEP, World

GROUND_GSD = 0.1
SHADOW_GSD = 0.2


@dataclass(frozen=True)
class Scenery:
    """Camera-side tables of one town.

    Attributes:
        ground: levels of the painted ground, uint8 (n, n, 4): R, G, B, roughness; rows along +y.
        shadow: uint8 (m, m), 255 in the camera's own sun's shadow.
        sun: (yaw, elevation) of the camera's sun.
        walls: float32 rows (x0, y0, x1, y1, foot, eave, ridge, 0); a tent between eave and ridge.
        wall_kind: int32 rows (kind, style row).
        boxes: float32 rows (x, y, cos, sin, half length, half width, foot, top).
        box_kind: int32 rows (kind, style row).
        trees: float32 rows (x, y, radius, foot, crown base, top, trunk radius, leafiness).
        tree_style: int32 style rows.
        styles: float32 (n, 8): R, G, B, then four numbers of the surface's own and a salt.
        height: the ground's height, float32 lattice.
        half: metres from the middle to the edge of ``ground``.
        hand: +1 where traffic keeps right, -1 where it keeps left.
        look: the edition's appearance; None for town-v1.
        laid: (256, 8) by roughness, stones that ground is laid from (see ``Wardrobe``), or (0, 8).
        lamps: rows (x, y, radius, height) of the lamp posts.
    """

    ground: tuple[Picture, ...]
    shadow: Picture
    sun: tuple[float, float]
    walls: NDArray[np.float32]
    wall_kind: NDArray[np.int32]
    boxes: NDArray[np.float32]
    box_kind: NDArray[np.int32]
    trees: NDArray[np.float32]
    tree_style: NDArray[np.int32]
    styles: NDArray[np.float32]
    height: NDArray[np.float32]
    half: float
    hand: float
    look: Appearance | None
    laid: NDArray[np.float32]
    lamps: Array


def elevation(world_height: Array, half: float, xy: Array) -> Array:
    """Return the ground's height (n,) at ``xy`` (n, 2), bilinear on the lattice."""
    uv = (np.asarray(xy) + half + HEIGHT_STEP) / HEIGHT_STEP
    limit = len(world_height) - 2
    base = np.clip(uv.astype(int), 0, limit)
    w = np.clip(uv - base, 0, 1)
    i, j = base[:, 1], base[:, 0]
    a = world_height[i, j] * (1 - w[:, 0]) + world_height[i, j + 1] * w[:, 0]
    b = world_height[i + 1, j] * (1 - w[:, 0]) + world_height[i + 1, j + 1] * w[:, 0]
    out: Array = a * (1 - w[:, 1]) + b * w[:, 1]
    return out


def _paint_ground(world: World, palette: Palette, rng: np.random.Generator) -> tuple[Picture, ...]:
    size = int(2 * world.half_side / GROUND_GSD)
    image = np.empty((size, size, 4), np.uint8)
    image[:] = np.array([*palette.lawn(rng), palette.rough[k.GRASS]], np.uint8)
    soup = world.soup
    rough = palette.rough[np.asarray(soup.kinds)]
    colors = np.column_stack([palette.ground(rng, soup.kinds), rough])
    outlines = soup_pixels(soup, lambda xy: (xy + world.half_side) / GROUND_GSD - 0.5)
    for uv, color, seen in zip(outlines, colors, soup.seen, strict=True):
        if seen != AERIAL:
            fill(image, uv, color)
    levels: list[Picture] = [image]
    for _ in range(2):
        last = levels[-1]
        levels.append(
            cv2.resize(last, (len(last) // 4, len(last) // 4), interpolation=cv2.INTER_AREA)
        )
    return tuple(levels)


def _paint_shadow(world: World, sun: tuple[float, float]) -> Picture:
    size = int(2 * world.half_side / SHADOW_GSD)
    mask = np.zeros((size, size), np.uint8)
    cast = -np.array([np.cos(sun[0]), np.sin(sun[0])]) / np.tan(sun[1])
    blocks = np.array(world.built.blocks).reshape(-1, 8)
    f = world.furniture
    trees = f.trees[f.tree_seen != AERIAL]
    cars = f.cars[f.car_seen == CAMERA]
    rails = np.array(world.built.rails).reshape(-1, 7)[np.array(world.built.rail_seen) != AERIAL]
    ring = circles(trees[:, :2] + cast * trees[:, 4:5], trees[:, 2] * 0.9)
    shapes = hulls(rectangles(blocks[:, :5]), cast * blocks[:, 6:7])
    shapes += hulls(ring, cast * (trees[:, 3:4] - trees[:, 4:5]) * 0.8)
    shapes += hulls(rectangles(cars[:, :5]), cast * cars[:, 5:6])
    shapes += hulls(rectangles(rails[:, :5]), cast * rails[:, 5:6])
    for shape in shapes:
        fill_convex(mask, subpixels((shape + world.half_side) / SHADOW_GSD - 0.5), (255,))
    return cv2.GaussianBlur(mask, (0, 0), 1.0)


class _Tables:
    """Collects walls and boxes and the styles they refer to."""

    def __init__(self, world: World, palette: Palette, rng: np.random.Generator) -> None:
        self.world, self.palette, self.rng = world, palette, rng
        self.walls: list[Array] = []
        self.wall_kind: list[Array] = []
        self.boxes: list[Array] = []
        self.box_kind: list[Array] = []
        self.styles: list[Array] = []
        self.count = 0

    def style(self, colors: Array, own: Array) -> NDArray[np.int64]:
        n = len(colors)
        self.styles.append(np.column_stack([colors, own, self.rng.uniform(0, 1000, n)]))
        self.count += n
        return np.arange(self.count - n, self.count)

    def foot(self, xy: Array) -> Array:
        return elevation(self.world.height, self.world.half_side, xy)

    def add_boxes(
        self,
        table: Array,
        bottom: Array | float,
        top: Array,
        kind: Array | int,
        style: NDArray[np.int64],
    ) -> None:
        """Add boxes (x, y, yaw, length, width) from ``bottom`` to ``top`` above the ground."""
        foot = self.foot(table[:, :2])
        self.boxes.append(
            np.column_stack(
                [
                    table[:, :2],
                    np.cos(table[:, 2]),
                    np.sin(table[:, 2]),
                    table[:, 3:5] / 2,
                    foot + bottom,
                    foot + top,
                ]
            )
        )
        self.box_kind.append(np.column_stack([np.broadcast_to(kind, len(table)), style]))


def _add_blocks(t: _Tables) -> None:
    blocks = np.array(t.world.built.blocks).reshape(-1, 8)
    foot = t.foot(blocks[:, :2])
    style = t.style(*t.palette.walls(t.rng, blocks[:, 7]))
    roofs = t.style(t.palette.roofs(t.rng, blocks[:, 7]), np.zeros((len(blocks), 4)))
    corners = rectangles(blocks[:, :5])
    for side in range(4):  # 0 right, 1 front end, 2 left, 3 rear end of the ridge
        a, b = corners[:, side], corners[:, (side + 1) % 4]
        top = foot + blocks[:, 5]
        peak = foot + blocks[:, 6] if side % 2 else top
        t.walls.append(np.column_stack([a, b, foot - 1.0, top, peak, foot]))
        t.wall_kind.append(np.column_stack([np.full(len(blocks), k.WALL), style]))
    pitched = blocks[:, 6] > blocks[:, 5]
    a = (corners[pitched, 0] + corners[pitched, 3]) / 2
    b = (corners[pitched, 1] + corners[pitched, 2]) / 2
    low, high = (foot + blocks[:, 5])[pitched], (foot + blocks[:, 6])[pitched]
    t.walls.append(np.column_stack([a, b, low - 0.3, high, high, low]))
    t.wall_kind.append(np.column_stack([np.full(len(a), k.ROOF), roofs[pitched]]))


def _add_boxes(t: _Tables) -> None:
    world, rng, f = t.world, t.rng, t.world.furniture
    rails = np.array(world.built.rails).reshape(-1, 7)[np.array(world.built.rail_seen) != AERIAL]
    n = len(rails)
    hedge = t.palette.hedges(rng, n)
    colors = np.where(
        rails[:, 6:7] == k.HEDGE, hedge, rng.uniform(50, 200, (n, 1)) + rng.normal(0, 15, (n, 3))
    )
    t.add_boxes(
        rails[:, :5],
        -0.2,
        rails[:, 5],
        rails[:, 6],
        t.style(np.clip(colors, 5, 250), np.zeros((n, 4))),
    )
    cabinets = f.cabinets[f.cabinet_seen != AERIAL]
    n = len(cabinets)
    style = t.style(
        np.clip(rng.uniform(30, 170, (n, 1)) + rng.normal(0, 15, (n, 3)), 5, 250), np.zeros((n, 4))
    )
    glass = np.where(cabinets[:, 5] > 2.2, k.GLASSHOUSE, k.BOX)
    t.add_boxes(cabinets[:, :5], -0.2, cabinets[:, 5], glass, style)
    cars = f.cars[f.car_seen == CAMERA]
    add_cars(t, cars, car_colors(rng, len(cars)))
    posts = f.posts[f.post_seen != AERIAL]
    n = len(posts)
    table = np.column_stack([posts[:, :2], np.zeros(n), posts[:, 2] * 2, posts[:, 2] * 2])
    style = t.style(np.repeat(rng.uniform(40, 150, (n, 1)), 3, 1), np.zeros((n, 4)))
    t.add_boxes(table, -0.2, posts[:, 3], k.POLE, style)
    _add_plates(t, posts)


def add_cars(t: _Tables, cars: Array, colors: Array) -> None:
    """Add cars, rows (x, y, yaw, length, width, height), as a body and a cabin."""
    n = len(cars)
    style = t.style(colors, np.zeros((n, 4)))
    waist = np.minimum(cars[:, 5] * 0.55, 0.95)
    t.add_boxes(cars[:, :5], 0.16, waist, k.CAR, style)
    cabin = cars[:, :5] * [1, 1, 1, 0.55, 0.86]
    van = cars[:, 5] > 1.85
    cabin[van, 3] = cars[van, 3] * 0.95
    shift = np.where(van, 0.1, 0.3)
    cabin[:, :2] -= shift[:, None] * np.stack([np.cos(cars[:, 2]), np.sin(cars[:, 2])], 1)
    t.add_boxes(cabin, waist, cars[:, 5], k.GLASSHOUSE, style)


def _add_plates(t: _Tables, posts: Array) -> None:
    """Heads of lamps and plates of signs on top of the posts."""
    rng = t.rng
    tall = posts[:, 3] > 4
    signs = posts[(posts[:, 3] > 2) & ~tall]
    n = len(signs)
    table = np.column_stack(
        [signs[:, :2], rng.uniform(0, np.pi, n), rng.uniform(0.4, 0.9, n), np.full(n, 0.06)]
    )
    hue = np.array([[200, 30, 30], [30, 70, 180], [235, 235, 235], [230, 190, 30], [40, 110, 60]])
    style = t.style(hue[rng.integers(0, 5, n)].astype(float), np.zeros((n, 4)))
    t.add_boxes(table, signs[:, 3] - rng.uniform(0.5, 0.9, n), signs[:, 3], k.BOX, style)
    lamps = posts[tall]
    n = len(lamps)
    table = np.column_stack(
        [lamps[:, :2], rng.uniform(0, np.pi, n), np.full(n, 1.1), np.full(n, 0.25)]
    )
    style = t.style(np.full((n, 3), 120.0), np.zeros((n, 4)))
    t.add_boxes(table, lamps[:, 3] - 0.15, lamps[:, 3], k.POLE, style)


def draw_sun(
    rng: np.random.Generator, elevation: tuple[float, float] = (0.35, 1.1)
) -> tuple[float, float]:
    """Draw the camera's sun: its yaw and its elevation, radians."""
    return float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(*elevation))


def make_scenery(seed: int, world: World) -> Scenery:
    """Draw the camera's side of the town: its colours, its sun, its facades."""
    rng = rules_of(world.edition).stream(seed, "camera")
    look = APPEARANCES.get(world.edition)
    sun = draw_sun(rng, (0.35, 1.1) if look is None else look.elevation)
    palette = FirstCamera() if look is None else Wardrobe(look, rng)
    t = _Tables(world, palette, rng)
    ground = _paint_ground(world, palette, rng)
    _add_blocks(t)
    _add_boxes(t)
    f = world.furniture
    trees = f.trees[f.tree_seen != AERIAL]
    n = len(trees)
    foot = t.foot(trees[:, :2])
    style = t.style(
        palette.leaves(rng, n), np.column_stack([rng.uniform(30, 95, n), np.zeros((n, 3))])
    )
    table = np.column_stack(
        [
            trees[:, :3],
            foot,
            foot + trees[:, 4],
            foot + trees[:, 3],
            trees[:, 5],
            palette.leafiness(rng, n),
        ]
    )
    return Scenery(
        ground,
        _paint_shadow(world, sun),
        sun,
        np.concatenate(t.walls).astype(np.float32),
        np.concatenate(t.wall_kind).astype(np.int32),
        np.concatenate(t.boxes).astype(np.float32),
        np.concatenate(t.box_kind).astype(np.int32),
        table.astype(np.float32),
        style.astype(np.int32),
        np.concatenate(t.styles).astype(np.float32),
        world.height.astype(np.float32),
        world.half_side,
        world.hand,
        look,
        palette.laid,
        f.posts[(f.post_seen != AERIAL) & (f.posts[:, 3] > 4)],
    )
