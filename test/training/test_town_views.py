"""What the two views share and what they must not."""

from __future__ import annotations

import cv2
import numpy as np
from towns import town

from training.town import kinds as k
from training.town.aerial import Flight
from training.town.canvas import fill, soup_pixels
from training.town.palette import car_colors, object_colors, roof_colors
from training.town.scenery import draw_sun
from training.town.seeds import stream
from training.town.shapes import AERIAL, BOTH, CAMERA
from training.town.world import make_world


def test_a_fifth_to_two_fifths_of_trees_and_marks_are_in_one_view() -> None:
    trees, marks = [], []
    for seed in range(6):
        world = make_world(seed, 160.0)
        trees.append((world.furniture.tree_seen != BOTH).mean())
        painted = np.isin(world.soup.kinds, (k.MARK, k.YELLOW))
        marks.append((np.array(world.soup.seen)[painted] != BOTH).mean())
    assert 0.2 <= np.mean(trees) <= 0.4 and min(trees) > 0.13
    assert 0.2 <= np.mean(marks) <= 0.4 and min(marks) > 0.13


def test_no_car_is_in_both_views() -> None:
    cars = town().world.furniture.cars
    seen = town().world.furniture.car_seen
    assert set(seen.tolist()) == {CAMERA, AERIAL}
    a, b = cars[seen == CAMERA][:, :2], cars[seen == AERIAL][:, :2]
    # two lists of places: none of them in common
    assert np.hypot(*(a[:, None] - b).transpose(2, 0, 1)).min() > 0.3


def test_colours_of_objects_hardly_correlate_between_the_views() -> None:
    """Over towns, classes whose material dictates no colour (grass and paint are left out)."""
    ground = [k.ASPHALT, k.PAVEMENT, k.YARD, k.LOT, k.COVER]
    pairs: list[tuple[float, float]] = []
    for seed in range(300):
        camera = object_colors(stream(seed, "camera"), ground).mean(axis=1)
        aerial = object_colors(stream(seed, "aerial"), ground).mean(axis=1)
        pairs += zip(camera - camera.mean(), aerial - aerial.mean(), strict=True)
        styles = np.arange(6.0)
        walls = roof_colors(stream(seed, "camera"), styles)[:, 0]
        roofs = roof_colors(stream(seed, "aerial"), styles)[:, 0]
        pairs += zip(walls - walls.mean(), roofs - roofs.mean(), strict=True)
    assert abs(np.corrcoef(np.array(pairs).T)[0, 1]) <= 0.3
    by_class = np.array(
        [
            [object_colors(stream(s, v), ground).mean(axis=1) for v in ("camera", "aerial")]
            for s in range(300)
        ]
    )
    for c in range(len(ground)):
        assert abs(np.corrcoef(by_class[:, 0, c], by_class[:, 1, c])[0, 1]) <= 0.3


def test_cars_of_the_two_views_have_colours_of_their_own() -> None:
    a, b = car_colors(stream(1, "camera"), 400), car_colors(stream(1, "aerial"), 400)
    assert abs(np.corrcoef(a[:, 0], b[:, 0])[0, 1]) < 0.2


def test_the_aerial_sun_follows_neither_north_nor_the_cameras_sun() -> None:
    aerial, camera = [], []
    for seed in range(400):
        rng = stream(seed, "camera")
        camera.append(draw_sun(rng)[0])
        aerial.append(Flight.draw(stream(seed, "aerial")).sun)
    north = np.exp(1j * np.array(aerial))
    apart = np.exp(1j * (np.array(aerial) - np.array(camera)))
    assert abs(north.mean()) < 0.15 and abs(apart.mean()) < 0.15


def _marks(soup_seen: int) -> np.ndarray:
    """White marks drawn straight from the vectors on the aerial picture's grid."""
    soup = town().world.soup
    mask = np.zeros((1600, 1600), np.uint8)
    for uv, kind, seen in zip(
        soup_pixels(soup, town().grid.map_to_pixel), soup.kinds, soup.seen, strict=True
    ):
        if kind == k.MARK and seen in (BOTH, soup_seen):
            fill(mask, uv, (255,))
    return mask


def test_the_aerial_picture_shows_marks_where_the_map_has_them_but_for_the_misregistration() -> (
    None
):
    """Where the picture says that marks lie, block by block, against what the town knows of it."""
    gray = cv2.cvtColor(town().aerial, cv2.COLOR_RGB2GRAY).astype(np.float32)
    gray -= cv2.GaussianBlur(gray, (0, 0), 6)
    mask = cv2.GaussianBlur(_marks(AERIAL), (0, 0), 1.2).astype(np.float32)
    shift, known = [], []
    for v in range(200, 1400, 200):
        for u in range(200, 1400, 200):
            part = mask[v : v + 200, u : u + 200]
            if part.sum() < 4e4:
                continue
            found = cv2.matchTemplate(
                gray[v - 12 : v + 212, u - 12 : u + 212], part - part.mean(), cv2.TM_CCOEFF_NORMED
            )
            if found.max() < 0.35:
                continue
            i, j = np.unravel_index(int(np.argmax(found)), found.shape)
            shift.append((j - 12, i - 12))
            told = town().misregistration[v // 16 : v // 16 + 13, u // 16 : u // 16 + 13]
            known.append(np.median(told.reshape(-1, 2), axis=0))
    assert len(shift) >= 8
    moved = town().grid.pixel_to_map(np.array(shift)) - town().grid.pixel_to_map((0, 0))
    rest = np.hypot(*(moved - np.array(known)).T)
    assert np.median(rest) < 0.3  # metres; a pixel is 0.2
    assert np.median(rest) < 0.7 * np.median(np.hypot(*moved.T))


def test_misregistration_has_half_a_metre_of_deviation() -> None:
    from training.town.aerial_effects import photograph

    grid = town().grid
    blank = np.zeros((1600, 1600, 3), np.uint8)
    told = np.stack([photograph(blank, grid, stream(s, "photograph"))[1] for s in range(6)])
    assert 0.35 < told.std() < 0.65
    steps = np.diff(told[:, ::8, ::8], axis=1)  # over 26 m it changes little
    assert np.median(np.abs(steps)) < 0.3
