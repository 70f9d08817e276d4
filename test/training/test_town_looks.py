"""How the later editions look: light, materials and what a camera or a survey makes of them."""

from __future__ import annotations

import dataclasses
import math
from functools import lru_cache

import cv2
import numpy as np
import pytest
from towns import town

from training.town import kinds as k
from training.town.columns import height_at
from training.town.editions import Edition
from training.town.looks import palette as looks
from training.town.looks.appearance import Appearance, Paint
from training.town.looks.canopy import surface
from training.town.looks.light import Air
from training.town.looks.optics import take
from training.town.looks.palette import APPEARANCES, Wardrobe
from training.town.looks.survey import publish
from training.town.looks.weather import GROUND, SKY, Stand, through_weather
from training.town.patterns import stones
from training.town.seeds import stream
from training.town.sheet import figures, report, sheet
from training.town.town import Town
from training.town.world import HEIGHT_STEP

V2, OTHER = APPEARANCES["town-v2"], APPEARANCES["town-v2-other"]


@lru_cache(maxsize=2)
def later(edition: Edition = "town-v2") -> Town:
    return Town(3, edition)


def with_only(monkeypatch: pytest.MonkeyPatch, **change: object) -> None:
    """Let town-v2 look like itself but for ``change``."""
    changed = dataclasses.replace(V2, **change)  # type: ignore[arg-type]
    monkeypatch.setitem(looks.APPEARANCES, "town-v2", changed)


@pytest.mark.parametrize("look", [V2, OTHER])
def test_what_each_view_draws_says_nothing_about_the_other(look: Appearance) -> None:
    classes = [k.ASPHALT, k.PAVEMENT, k.YARD, k.LOT, k.COVER, k.CYCLE, k.GRAVEL, k.GRASS]
    seen = np.zeros((2, 300, len(classes)))
    seasons = np.zeros((2, 300))
    for v, view in enumerate(("camera", "aerial")):
        for seed in range(300):
            rng = stream(seed, "town-v2", view)
            drawn = Wardrobe(look, rng)
            seasons[v, seed] = look.seasons.index(drawn.season)
            seen[v, seed] = drawn.ground(rng, classes).mean(axis=1)
    for c in range(len(classes)):
        assert abs(np.asarray(np.corrcoef(seen[:, :, c]))[0, 1]) <= 0.3
    assert abs(np.asarray(np.corrcoef(seasons))[0, 1]) <= 0.2


def test_a_town_draws_its_two_views_from_streams_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn_from: dict[str, set[int]] = {"aerial": set(), "scenery": set()}
    for module, streams in drawn_from.items():

        def recorded(
            look: Appearance, rng: np.random.Generator, streams: set[int] = streams
        ) -> Wardrobe:
            # What a PCG64 adds at each step tells its stream, however far it is drawn.
            streams.add(rng.bit_generator.state["state"]["inc"])
            return Wardrobe(look, rng)

        monkeypatch.setattr(f"training.town.{module}.Wardrobe", recorded)
    fresh = Town(5, "town-v2")
    assert fresh.aerial.any()
    fresh.render(fresh.poses(1)[0], "pinhole", 48, 32, "train", 0)
    assert all(drawn_from.values()) and drawn_from["aerial"].isdisjoint(drawn_from["scenery"])


def _materials(look: Appearance) -> list[tuple[str, tuple[Paint, ...]]]:
    asphalt, pavement = look.ground[k.ASPHALT], look.ground[k.PAVEMENT]
    walls = tuple(f.paint for f in look.walls)
    return [("road", asphalt), ("pavement", pavement), ("wall", walls), ("roof", look.roofs)]


def test_the_other_looks_materials_are_not_those_of_training() -> None:
    """Their colours lie a dozen levels of RGB from training's on average; other stones too."""
    for (name, known), (_, kept) in zip(_materials(V2), _materials(OTHER), strict=True):
        share = np.linspace(0, 1, 21)[:, None]
        ends = [(np.array(p.low), np.array(p.high)) for p in known]
        seen = np.concatenate([a + share * (b - a) for a, b in ends])
        for p in kept:
            mine = np.array(p.low) + share * (np.array(p.high) - np.array(p.low))
            apart = np.linalg.norm(mine[:, None] - seen[None], axis=-1).min(axis=1)
            assert apart.mean() > 12, (name, p)
    laid = {p.laid for paints in V2.ground.values() for p in paints if p.laid}
    assert laid.isdisjoint(p.laid for paints in OTHER.ground.values() for p in paints)
    assert {f.cladding for f in V2.walls}.isdisjoint(f.cladding for f in OTHER.walls)


def test_the_other_looks_light_and_cameras_are_not_those_of_training() -> None:
    survey, kept = V2.survey, OTHER.survey
    assert kept.haze[0] > 0 and kept.jpeg[1] <= survey.jpeg[0] + 5
    for optics in V2.optics:
        for other in OTHER.optics:
            assert other.saturation[1] <= optics.saturation[0] + 0.2
            assert other.sharpening[0] >= optics.sharpening[1]
            assert other.blotches[0] > optics.blotches[1]
    clear = [s for s in V2.skies if s.sun[0] > 0.3]
    hazy = [s for s in OTHER.skies if s.sun[0] > 0.3]
    assert min(s.haze[0] for s in hazy) > max(s.haze[1] for s in clear)


def test_in_winter_the_road_shows_through_the_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    def crowns(season: int) -> float:
        with_only(monkeypatch, seasons=(V2.seasons[season],))
        rng = stream(1, "camera")
        drawn = Wardrobe(looks.APPEARANCES["town-v2"], rng)
        return float(np.median(drawn.leafiness(rng, 200)))

    assert crowns(0) > 0.5 and crowns(3) < -0.5


def test_snow_lies_on_lawns_more_than_on_roads(monkeypatch: pytest.MonkeyPatch) -> None:
    with_only(monkeypatch, seasons=(V2.seasons[4],))
    brightness = []
    for seed in range(40):
        rng = stream(seed, "camera")
        drawn = Wardrobe(looks.APPEARANCES["town-v2"], rng)
        brightness.append(drawn.ground(rng, [k.GRASS, k.ASPHALT]).mean(axis=1))
    lawn, road = np.median(brightness, axis=0)
    assert lawn > 150 and lawn > road + 40


def test_every_class_has_a_roughness_of_its_own() -> None:
    for seed in range(40):
        rough = Wardrobe(V2, stream(seed, "camera")).rough
        assert len(set(rough.tolist())) == k.GROUND_CLASSES


def test_a_stand_finds_the_pixel_of_what_it_sees() -> None:
    """Points that the renderer says a pixel shows, projected back to that pixel."""
    t = later()
    pose = t.poses(1)[0]
    for view, size in (("pinhole", (96, 64)), ("panorama", (96, 48))):
        truth = np.empty((size[1], size[0], 4), np.float32)
        frame = t.render(pose, view, *size, truth=truth)  # type: ignore[arg-type]
        where = t.scenery
        foot = height_at(where.height, where.half, HEIGHT_STEP, pose.x, pose.y)
        place = np.array([pose.x, pose.y, foot + frame.true_height])
        m = frame.true_intrinsics
        cu, cv = m[:2, 2] if view == "pinhole" else ((size[0] - 1) / 2, (size[1] - 1) / 2)
        turn, panorama = frame.true_rotation, view == "panorama"
        stand = Stand(panorama, float(m[0, 0]), float(cu), float(cv), turn, pose.yaw, place)
        solid = truth[..., 3] == GROUND
        uv, ahead = stand.project((truth[..., :3] - place).reshape(-1, 3).astype(float), size)
        v, u = np.mgrid[0 : size[1], 0 : size[0]]
        off = np.hypot(uv[:, 0] - u.ravel(), uv[:, 1] - v.ravel())[solid.ravel() & ahead]
        assert solid.sum() > 200 and np.median(off) < 0.1 and np.quantile(off, 0.95) < 1.0
        line = stand.horizon(size)
        below = v > line[None] + 1
        assert (truth[..., 3] == SKY)[below].mean() < 0.02


def _scene() -> tuple[np.ndarray, np.ndarray, Stand]:
    """A bright wall 20 m ahead above an even grey ground, seen from 1.5 m."""
    height, width, focal = 80, 120, 100.0
    optical = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    stand = Stand(False, focal, 59.5, 39.5, optical, 0.0, np.array([0.0, 0.0, 1.5]))
    v, u = np.mgrid[0:height, 0:width].astype(float)
    down = (v - 39.5) / focal
    distance = np.where(down > 1.5 / 20, 1.5 / np.maximum(down, 1e-6), 20.0)
    truth = np.stack(
        [distance, -(u - 59.5) / focal * distance, 1.5 - down * distance, np.zeros_like(u)], -1
    ).astype(np.float32)
    truth[..., 3] = np.where(distance < 20, GROUND, k.WALL)
    image = np.where((distance < 20)[..., None], 90.0, [220.0, 60.0, 40.0]).astype(np.float32)
    image[:20] = 30.0
    return image, truth, stand


def _air(wet: float = 0.0, night: float = 0.0) -> Air:
    return Air(np.zeros(17), wet, night, 0.0)


def test_a_wet_road_mirrors_what_stands_behind_it_and_is_dark_near_by() -> None:
    image, truth, stand = _scene()
    dry = image.copy()
    through_weather(image, truth, stand, _air(wet=1.0), (0, 1), np.zeros((0, 4)), stream(1))
    assert (image[:45] == dry[:45]).all()
    far, near = image[50].mean(axis=0), image[78].mean(axis=0)
    assert far[0] - far[2] > 10  # red as the wall
    assert near.mean() < 70


def test_at_night_a_lamp_lights_the_ground_below_it() -> None:
    image, truth, stand = _scene()
    lamps = np.array([[8.0, 2.0, 0.1, 6.0]])
    dark = image.copy()
    through_weather(image, truth, stand, _air(night=0.95), (0, 1), lamps, stream(1))
    through_weather(dark, truth, stand, _air(night=0.95), (0, 1), lamps[:0], stream(1))
    at = np.hypot(truth[..., 0] - 8, truth[..., 1] - 2)
    gain = (image - dark).mean(axis=-1)
    ground = truth[..., 3] == GROUND
    below, away = gain[ground & (at < 2)].min(), np.median(gain[ground & (at > 7)])
    assert below > 1.5 * away > 0
    assert dark[ground].mean() < 60


@pytest.mark.parametrize("panorama", [False, True])
def test_brighter_stays_brighter_through_a_camera(panorama: bool) -> None:
    ramp = np.repeat(np.linspace(0, 400, 160, dtype=np.float32)[None], 60, 0)
    image = np.repeat(ramp[..., None], 3, -1)
    for seed in range(12):
        picture = take(image.copy(), V2, stream(seed, "a"), stream(seed, "b"), panorama)
        columns = cv2.blur(picture.mean(axis=(0, 2))[None], (9, 1))[0]
        assert picture.dtype == np.uint8 and picture.shape == image.shape
        assert columns[150] > columns[80] > columns[10]


def test_bright_skies_clip_and_foregrounds_are_dark_at_times() -> None:
    pictures = []
    t = later()
    for index, pose in enumerate(t.poses(24)):
        pictures.append(figures(t.render(pose, "pinhole", 120, 80, index=index).image))
    clipped, dark = np.array(pictures)[:, 3], np.array(pictures)[:, 4]
    assert 0.01 < clipped.mean() < 0.2 and (clipped > 0.08).any()
    assert dark.mean() < 0.25 and (dark < 0.02).any()


def test_the_aerial_picture_is_as_sharp_as_real_ones() -> None:
    """Eight real pictures have a detail of 10.6 ... 14.9 at 0.5 m per pixel, town-v1 about 6."""
    detail = []
    for edition in ("town-v1", "town-v2"):
        t = town() if edition == "town-v1" else later()
        small = cv2.resize(t.aerial, (640, 640), interpolation=cv2.INTER_AREA)
        detail.append(figures(np.asarray(small, np.uint8))[6])
    assert detail[0] < 7.5 and 7 < detail[1] < 19


def test_the_published_picture_lies_where_it_says() -> None:
    grid = town().grid
    blank = np.zeros((1600, 1600, 3), np.uint8)
    survey = dataclasses.replace(V2.survey, missing_share=1.0)
    picture, moved = publish(blank + 120, grid, survey, stream(4, "photograph"))
    assert moved.shape == (100, 100, 2) and 0.2 < moved.std() < 0.9
    gap = (picture.reshape(-1, 3) == picture[[0, 0, -1, -1], [0, -1, 0, -1]][:, None]).all(-1)
    assert 0.005 < gap.mean(axis=1).max() < 0.4
    assert (picture[780:820, 780:820] != 0).all()  # never in the middle


def test_rough_surfaces_are_uneven_and_smooth_ones_are_not() -> None:
    image = np.full((512, 512, 4), 128, np.uint8)
    image[:, :256, 3], image[:, 256:, 3] = 0, 200
    spread = surface(image, 1.0, stream(1)).astype(float)[..., 0]
    assert spread[:, 256:].std() > 3 * spread[:, :256].std()


def test_stones_repeat_at_their_size_and_fade_with_distance() -> None:
    paint = np.full((100, 100, 4), 7, np.uint8)
    laid = np.zeros((256, 8), np.float32)
    laid[7, :7] = (0.5, 0.5, 0.0, 0.04, 0.4, 1.0, 0.0)
    x = np.arange(0.0, 3.0, 0.01)
    gain = np.array([stones(v, 0.25, 0.005, paint, 5.0, laid) for v in x])
    joints = x[gain < 0.75]
    assert len(joints) and np.allclose((joints + 0.25) % 0.5, 0.25, atol=0.05)
    assert stones(0.0, 0.25, 0.4, paint, 5.0, laid) == 1.0
    paint[..., 3] = 8
    assert stones(0.0, 0.25, 0.005, paint, 5.0, laid) == 1.0


def test_the_sheet_shows_every_picture_and_its_figures() -> None:
    flat = np.full((20, 30, 3), 255, np.uint8)
    low = np.zeros((10, 30, 3), np.uint8)
    page = sheet([flat, low, flat], 2)
    assert page.shape == (48, 68, 3) and page[24, 0, 0] == 255
    assert figures(flat)[3:] == pytest.approx([1, 0, 0, 0], abs=1e-4)
    assert "clipped 50.0 %" in report("x", [flat, low]) and math.isclose(figures(low)[4], 1.0)


def test_a_frame_is_the_same_each_time_and_a_day_is_shared_by_a_drive() -> None:
    t = later()
    a, b = t.poses(2)

    def picture(index: int, light: int | None = None) -> np.ndarray:
        return t.render((a, b)[index], "pinhole", 96, 64, index=index, light=light).image

    assert (picture(0) == picture(0)).all()
    cv2.setRNGSeed(5)
    assert (picture(1, light=2) == picture(1, light=2)).all()
    # of one day: as bright as each other more than two frames of two days
    levels = [[float(picture(i, light=day).mean()) for i in (0, 1)] for day in range(6)]
    assert np.std(np.mean(levels, axis=1)) > 0.5 * np.mean(np.std(levels, axis=1))
