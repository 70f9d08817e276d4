"""The aerial picture: painted from the vectors with lean, shadows and a sun of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from cross_view_localizer.grid import Grid
from training.town import kinds as k
from training.town.aerial_effects import photograph
from training.town.canvas import circles, fill, fill_convex, hulls, soup_pixels, subpixels, tile
from training.town.editions import rules_of
from training.town.looks.appearance import Appearance, Survey
from training.town.looks.canopy import crowns, surface
from training.town.looks.palette import APPEARANCES, Palette, Wardrobe
from training.town.looks.survey import publish
from training.town.palette import FirstAerial, car_colors
from training.town.seeds import stream
from training.town.shapes import AERIAL, CAMERA, Array, Picture, rectangles
from training.town.world import World


@dataclass(frozen=True)
class Flight:
    """How the aerial picture was taken: unrelated to north and to the camera's day.

    Attributes:
        sun: yaw towards the sun, radians.
        shadow: metres of shadow for each metre of height.
        dark: brightness within a shadow.
        lean: displacement (2,) on the ground for each metre of height.
        leafy: how much of a crown's shadow is one: below 1 its leaves are off.
    """

    sun: float
    shadow: float
    dark: float
    lean: Array
    leafy: float = 1.0

    @classmethod
    def draw(cls, rng: np.random.Generator, survey: Survey | None = None) -> Flight:
        """Draw the sun, its shadows and the lean, of town-v1 or as ``survey`` has them."""
        reach, shadow, dark = (0.02, 0.3), (0.35, 1.6), (0.4, 0.8)
        if survey is not None:
            reach, shadow, dark = survey.lean, survey.shadow, survey.dark
        away = rng.uniform(0, 2 * np.pi)
        lean = rng.uniform(*reach) * np.array([np.cos(away), np.sin(away)])
        return cls(rng.uniform(0, 2 * np.pi), rng.uniform(*shadow), rng.uniform(*dark), lean)

    @property
    def cast(self) -> Array:
        """Where the shadow of a point one metre up falls, (2,)."""
        return -self.shadow * np.array([np.cos(self.sun), np.sin(self.sun)])


def _ground(
    image: Picture, world: World, grid: Grid, palette: Palette, rng: np.random.Generator
) -> None:
    soup = world.soup
    colors = palette.ground(rng, soup.kinds)
    if image.shape[2] == 4:
        colors = np.column_stack([colors, palette.rough[np.asarray(soup.kinds)]])
    for uv, color, seen in zip(
        soup_pixels(soup, grid.map_to_pixel), colors, soup.seen, strict=True
    ):
        if seen != CAMERA:
            fill(image, uv, color)


def _texture(image: Picture, rng: np.random.Generator) -> Picture:
    """Multiply by two scales of noise: wear, dirt, uneven grass."""
    size = image.shape[0]
    fine = np.roll(tile(), tuple(rng.integers(0, 512, 2)), (0, 1))
    fine = np.tile(fine, (size // 512 + 1,) * 2)[:size, :size]
    coarse = cv2.resize(
        np.roll(tile(), tuple(rng.integers(0, 512, 2)), (0, 1))[:128, :128], (size, size)
    )
    gain = 1 + 0.045 * fine + rng.uniform(0.03, 0.08) * coarse
    return cv2.multiply(image, cv2.merge([gain] * 3), dtype=cv2.CV_8U)


def _shadows(image: Picture, world: World, grid: Grid, flight: Flight) -> Picture:
    mask: Picture = np.zeros(image.shape[:2], np.uint8)
    blocks = np.array(world.built.blocks).reshape(-1, 8)
    shapes = hulls(rectangles(blocks[:, :5]), flight.cast * blocks[:, 6:7])
    f = world.furniture
    trees = f.trees[f.tree_seen != CAMERA]
    ring = circles(trees[:, :2] + flight.cast * trees[:, 4:5], trees[:, 2] * 0.9)
    crowns = hulls(ring, flight.cast * (trees[:, 3:4] - trees[:, 4:5]) * 0.8)
    if flight.leafy < 1:
        for crown in crowns:
            uv = subpixels(grid.map_to_pixel(crown))
            fill_convex(mask, uv, (255 * flight.leafy,))
    else:
        shapes += crowns
    cars = f.cars[f.car_seen == AERIAL]
    shapes += hulls(rectangles(cars[:, :5]), flight.cast * cars[:, 5:6])
    rails = np.array(world.built.rails).reshape(-1, 7)[np.array(world.built.rail_seen) != CAMERA]
    shapes += hulls(rectangles(rails[:, :5]), flight.cast * rails[:, 5:6])
    for shape in shapes:
        fill_convex(mask, subpixels(grid.map_to_pixel(shape)), (255,))
    posts = f.posts[(f.post_seen != CAMERA) & (f.posts[:, 3] > 4)]
    ends = np.stack([posts[:, :2], posts[:, :2] + flight.cast * posts[:, 3:4]], axis=1)
    cv2.polylines(mask, list(subpixels(grid.map_to_pixel(ends))), False, (150,), 1, cv2.LINE_AA, 4)
    mask = cv2.GaussianBlur(mask, (0, 0), 1.2)
    channels = image.shape[2]
    tint = (np.array([0.94, 1.0, 1.1, 1 / flight.dark]) * flight.dark)[:channels]
    table = np.linspace(0, 1, 256)[:, None]
    gain = cv2.LUT(
        cv2.merge([mask] * channels),
        (1 + table * (tint - 1)).astype(np.float32).reshape(256, 1, channels),
    )
    return cv2.multiply(image, gain, dtype=cv2.CV_8U)


def _low(
    image: Picture, world: World, grid: Grid, palette: Palette, rng: np.random.Generator
) -> None:
    """Hedges, fences, cabinets and the cars that only the aerial picture sees."""
    f, built = world.furniture, world.built
    rails = np.array(built.rails).reshape(-1, 7)
    tone = {k.HEDGE: palette.hedges(rng, 1)[0], k.FENCE: (120, 100, 80), k.BOX: (140, 130, 120)}
    seen = np.array(built.rail_seen) != CAMERA
    shade = rng.uniform(0.6, 1.35, len(rails))
    boxes = subpixels(grid.map_to_pixel(rectangles(rails[:, :5])))
    for i in np.flatnonzero(seen):
        fill_convex(image, boxes[i], np.array(tone[int(rails[i, 6])]) * shade[i])
    cabinets = f.cabinets[f.cabinet_seen != CAMERA]
    for uv in subpixels(grid.map_to_pixel(rectangles(cabinets[:, :5]))):
        fill_convex(image, uv, np.full(3, rng.uniform(60, 200)))
    cars = f.cars[f.car_seen == AERIAL]
    colors = car_colors(rng, len(cars))
    cabin = cars[:, :5] * [1, 1, 1, 0.5, 0.82]
    cabin[:, :2] -= 0.25 * np.stack([np.cos(cars[:, 2]), np.sin(cars[:, 2])], 1)
    roof = cabin * [1, 1, 1, 0.68, 0.9]
    outlines = [subpixels(grid.map_to_pixel(rectangles(r))) for r in (cars[:, :5], cabin, roof)]
    for body, glass, top, color in zip(*outlines, colors, strict=True):
        fill_convex(image, body, color)
        fill_convex(image, glass, color * 0.35 + 10)
        fill_convex(image, top, np.minimum(color * 1.08, 255))


def _buildings(
    image: Picture,
    world: World,
    grid: Grid,
    flight: Flight,
    palette: Palette,
    rng: np.random.Generator,
    ribs: Array | None = None,
) -> None:
    """Paint walls that lean and roofs; ``ribs``, where given: metres between each roof's seams."""
    blocks = np.array(world.built.blocks).reshape(-1, 8)
    colors = palette.roofs(rng, blocks[:, 7])
    base = rectangles(blocks[:, :5])
    top = base + (flight.lean * blocks[:, 5:6])[:, None]
    lift = flight.lean * (blocks[:, 6:7])
    ridge = (
        np.stack([(base[:, 0] + base[:, 3]) / 2, (base[:, 1] + base[:, 2]) / 2], axis=1)
        + lift[:, None]
    )
    sunward = np.sin(
        flight.sun - blocks[:, 2]
    )  # the left half of the roof looks along yaw + 90 degrees
    walls = np.clip(colors * 0 + rng.uniform(60, 170, (len(blocks), 1)), 0, 255)
    for i in np.argsort(blocks[:, 5]):
        sweep = hulls(base[i : i + 1], top[i : i + 1, 0] - base[i : i + 1, 0])[0]
        fill_convex(image, subpixels(grid.map_to_pixel(sweep)), walls[i])
        if blocks[i, 6] == blocks[i, 5]:
            fill_convex(image, subpixels(grid.map_to_pixel(top[i])), colors[i])
            inner = top[i].mean(axis=0) + (top[i] - top[i].mean(axis=0)) * 0.93
            fill_convex(
                image, subpixels(grid.map_to_pixel(inner)), np.clip(colors[i] * 0.9, 0, 255)
            )
            _clutter(image, grid, rng, top[i], colors[i])
            continue
        light = 1 + 0.22 * sunward[i]
        right = np.stack([top[i, 0], top[i, 1], ridge[i, 1], ridge[i, 0]])
        left = np.stack([top[i, 3], top[i, 2], ridge[i, 1], ridge[i, 0]])
        fill_convex(
            image, subpixels(grid.map_to_pixel(right)), np.clip(colors[i] * (2 - light), 0, 255)
        )
        fill_convex(image, subpixels(grid.map_to_pixel(left)), np.clip(colors[i] * light, 0, 255))
        if ribs is not None and ribs[i] > 0:
            _seams(image, grid, np.stack([right, left]), ribs[i], colors[i])
        _clutter(image, grid, rng, top[i], colors[i])


def _seams(image: Picture, grid: Grid, halves: Array, spacing: float, color: Array) -> None:
    """Lines from eave to ridge on both ``halves`` (2, 4, 2) of a roof."""
    count = int(np.hypot(*(halves[0, 1] - halves[0, 0])) / spacing)
    share = (np.arange(count) + 0.5)[:, None] / max(1, count)
    for a, b, c, d in halves:
        lines = np.stack([a + share * (b - a), d + share * (c - d)], axis=1)
        uv = subpixels(grid.map_to_pixel(lines))
        cv2.polylines(image, list(uv), False, (color * 0.72).tolist(), 1, cv2.LINE_AA, 4)


def _clutter(
    image: Picture, grid: Grid, rng: np.random.Generator, top: Array, color: Array
) -> None:
    """Chimneys, skylights, plant on a roof."""
    for _ in range(int(rng.integers(0, 4))):
        a, b = rng.uniform(0.15, 0.85, 2)
        p = top[0] + a * (top[1] - top[0]) + b * (top[3] - top[0])
        yaw = np.arctan2(*(top[1] - top[0])[::-1])
        spot = np.array([[p[0], p[1], yaw, rng.uniform(0.5, 2.2), rng.uniform(0.5, 1.6)]])
        fill_convex(
            image,
            subpixels(grid.map_to_pixel(rectangles(spot)[0])),
            np.clip(color + rng.normal(0, 45), 10, 245),
        )


def _trees(
    image: Picture,
    world: World,
    grid: Grid,
    flight: Flight,
    palette: Palette,
    rng: np.random.Generator,
) -> None:
    f = world.furniture
    trees = f.trees[f.tree_seen != CAMERA]
    n, sides = len(trees), 13
    angle = np.arange(sides) * (2 * np.pi / sides)
    radius = trees[:, 2:3] * rng.uniform(0.72, 1.12, (n, sides))
    centre = trees[:, :2] + flight.lean * trees[:, 3:4] * 0.7
    outline = centre[:, None] + radius[..., None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    green = palette.leaves(rng, n)
    uv = subpixels(grid.map_to_pixel(outline))
    lit = np.array([np.cos(flight.sun), np.sin(flight.sun)])
    clumps = rng.normal(0, 0.38, (n, 7, 2)) * trees[:, None, 2:3]
    middle = subpixels(grid.map_to_pixel(centre[:, None] + clumps))
    gain = 1 + 0.3 * np.tanh((clumps @ lit) / trees[:, None, 2]) + rng.normal(0, 0.12, (n, 7))
    reach = np.round(trees[:, 2] * 0.32 / grid.gsd * 16).astype(int)
    for i in np.argsort(trees[:, 3]):
        fill(image, uv[i], green[i])
        for j in range(7):
            cv2.circle(
                image,
                middle[i, j].tolist(),
                int(reach[i]),
                tuple(np.clip(green[i] * gain[i, j], 0, 255)),
                -1,
                cv2.LINE_AA,
                4,
            )


def _paint_look(world: World, grid: Grid, look: Appearance, rng: np.random.Generator) -> Picture:
    """Paint the town (H, W, 3) from above in the materials and the season that ``look`` has."""
    survey, palette = look.survey, Wardrobe(look, rng)
    flight = replace(Flight.draw(rng, survey), leafy=palette.fullness)
    image = np.empty((grid.height, grid.width, 4), np.uint8)
    image[:] = np.array([*palette.lawn(rng), palette.rough[k.GRASS]], np.uint8)
    _ground(image, world, grid, palette, rng)
    image = _shadows(image, world, grid, flight)
    _low(image, world, grid, palette, rng)
    count = len(world.built.blocks)
    ribs = rng.uniform(0.5, 1.2, count) * (rng.random(count) < 0.5)
    _buildings(image, world, grid, flight, palette, rng, ribs)
    f = world.furniture
    trees = f.trees[f.tree_seen != CAMERA]
    sun = np.array([np.cos(flight.sun), np.sin(flight.sun)])
    crowns(image, trees, grid, flight.lean, sun, palette, rng)
    return surface(image, rng.uniform(*survey.texture), rng)


def paint_aerial(seed: int, world: World, grid: Grid) -> tuple[Picture, Array]:
    """Return the aerial picture (H, W, 3) and its misregistration.

    The misregistration is the displacement in metres, map axes, (n, n, 2) on a lattice over
    the grid: what the picture shows at a place lies there minus the displacement.
    """
    rules = rules_of(world.edition)
    rng = rules.stream(seed, "aerial")
    look = APPEARANCES.get(world.edition)
    if look is not None:
        image = _paint_look(world, grid, look, rng)
        return publish(image, grid, look.survey, rules.stream(seed, "photograph"))
    flight, palette = Flight.draw(rng), FirstAerial()
    image = np.empty((grid.height, grid.width, 3), np.uint8)
    image[:] = palette.lawn(rng).astype(np.uint8)
    _ground(image, world, grid, palette, rng)
    image = _texture(image, rng)
    image = _shadows(image, world, grid, flight)
    _low(image, world, grid, palette, rng)
    _buildings(image, world, grid, flight, palette, rng)
    _trees(image, world, grid, flight, palette, rng)
    return photograph(image, grid, stream(seed, "photograph"))
