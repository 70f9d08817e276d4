"""Pairs that show two places, or one of them hardly."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from test_town_samples import made_up_sample, ramp

from cross_view_localizer.grid import Grid
from cross_view_localizer.views import View
from training.datasets.aerial_source import AerialSource
from training.datasets.no_match import covered, half_covered, unmatched
from training.datasets.sample import Sample
from training.datasets.town_stream import TownStream
from training.town.poses import CameraPose

VIEW = View("pinhole", 240, 160, 64, 0.5, 48, 1.0)


def padded() -> Sample:
    sample = made_up_sample()
    mask = np.zeros(sample.ground.shape[:2], np.uint8)
    mask[20:-20] = 1
    return replace(sample, ground=sample.ground * mask[..., None], mask=mask, height_error=0.1)


def test_one_of_two_pictures_is_no_longer_the_places() -> None:
    sample, other = padded(), np.full((192, 192, 3), 7, np.uint8)
    fates = {"elsewhere": 0, "camera": 0, "map": 0}
    for seed in range(200):
        made = unmatched(sample, other, np.random.default_rng(seed))
        assert not made.same_place and math.isnan(made.height_error)
        assert made.ground.dtype == made.aerial.dtype == np.uint8
        assert made.ground.shape == sample.ground.shape
        assert (made.ground[:20] == 0).all() and (made.ground[-20:] == 0).all()
        seen = made.ground is sample.ground
        assert seen != (made.aerial is sample.aerial)  # exactly one of them
        assert np.isnan(made.tilt).all() != seen  # a spoilt picture tells no tilt
        fates["elsewhere" if made.aerial is other else "map" if seen else "camera"] += 1
    assert fates == {
        "elsewhere": pytest.approx(90, abs=25),
        "camera": pytest.approx(80, abs=25),
        "map": pytest.approx(30, abs=18),
    }


def test_without_another_place_the_camera_is_spoilt() -> None:
    sample = padded()
    for seed in range(50):
        made = unmatched(sample, None, np.random.default_rng(seed))
        assert not np.array_equal(made.ground, sample.ground) or made.aerial is not sample.aerial


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7, 0.95])
def test_a_lens_is_covered_by_the_share_asked_for(share: float) -> None:
    image = np.random.default_rng(0).integers(0, 256, (120, 240, 3), dtype=np.uint8)
    hidden = []
    for seed in range(20):
        made = covered(image, share, np.random.default_rng(seed)).astype(float)
        # What is covered no longer varies with what is behind it.
        kept = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in _blocks(image, made)]
        hidden.append(np.mean(np.array(kept) < 0.5))
    assert np.mean(hidden) == pytest.approx(share, abs=0.15)


def test_covering_a_lens_raises_no_floating_point_alarm() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for seed in range(300):
            covered(image, 0.1, np.random.default_rng(seed))


def _blocks(*pictures: NDArray[Any]) -> Any:
    cut = [p.astype(float).reshape(10, 12, 20, 12, 3).swapaxes(1, 2) for p in pictures]
    noise = np.random.default_rng(1).normal(0, 1e-3, cut[0].shape)
    return zip(*((c + noise * k).reshape(200, -1) for k, c in enumerate(cut)), strict=True)


def test_a_lens_covered_in_part_is_still_at_its_place() -> None:
    sample = padded()
    made = half_covered(sample, np.random.default_rng(0))
    assert not np.array_equal(made, sample.ground)
    assert (made[:20] == 0).all()


def test_another_place_is_none_that_the_heatmap_reaches() -> None:
    side = Grid(600, 600, 0.2, (0.0, 0.0), math.pi / 2)
    poses = [CameraPose(x, y, 0.3, "street") for x in (-50, 0, 50) for y in (-50, 0, 50)]
    opened: Any = SimpleNamespace(
        town=SimpleNamespace(seed=1), source=AerialSource(ramp(side), side, 0.2), poses=poses
    )
    sample = replace(made_up_sample(), group=1, position=np.zeros(2))
    stream = TownStream(VIEW, 0, no_match_share=0.1)
    for seed in range(40):
        shown = stream._elsewhere(sample, [opened], np.random.default_rng(seed))
        assert shown is not None
        x, y = shown[30:34, 30:34, :2].mean(axis=(0, 1)) / 250 * 120 - 60
        assert math.hypot(x, y) > 24 * math.sqrt(2) + 9
    alone: Any = SimpleNamespace(town=opened.town, source=opened.source, poses=poses[4:5])
    assert stream._elsewhere(sample, [alone], np.random.default_rng(0)) is None


def test_a_map_of_elsewhere_has_no_street_in_its_very_middle() -> None:
    """Its camera would stand as far from the middle as the right one's: nothing else tells them."""
    side = Grid(600, 600, 0.2, (0.0, 0.0), math.pi / 2)
    pose = [CameraPose(0.0, 0.0, 0.3, "street")]
    source = AerialSource(ramp(side), side, 0.2)
    other: Any = SimpleNamespace(town=SimpleNamespace(seed=2), source=source, poses=pose)
    sample = replace(made_up_sample(), group=1, position=np.zeros(2))
    stream = TownStream(VIEW, 0, no_match_share=0.1)
    middles = []
    for seed in range(60):
        shown = stream._elsewhere(sample, [other], np.random.default_rng(seed))
        assert shown is not None
        middles.append(shown[30:34, 30:34, :2].mean(axis=(0, 1)) / 250 * 120 - 60)
    assert np.std(middles, axis=0).min() > 8.0  # evenly within 24 m is 13.9


def test_a_map_of_elsewhere_is_painted_like_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter(["town-v1", "town-v2", "town-v2"] * 20)

    def opened(self: TownStream, rng: np.random.Generator) -> Any:
        return SimpleNamespace(town=SimpleNamespace(edition=next(looks)), order=[0])

    def varied(self: TownStream, sample: str, pool: list[Any], rng: np.random.Generator) -> Any:
        return sample, {one.town.edition for one in pool}

    monkeypatch.setattr(TownStream, "_open", opened)
    monkeypatch.setattr(TownStream, "_draw", lambda self, one, rng: one.town.edition)
    monkeypatch.setattr(TownStream, "_varied", varied)
    stream: Any = iter(TownStream(VIEW, 0, no_match_share=0.1))
    asked = [next(stream) for _ in range(30)]
    assert {look for look, _ in asked} == {"town-v1", "town-v2"}
    assert all(pool == {look} for look, pool in asked)


def test_another_town_is_always_elsewhere() -> None:
    side = Grid(600, 600, 0.2, (0.0, 0.0), math.pi / 2)
    pose = [CameraPose(0.0, 0.0, 0.3, "street")]
    alone = SimpleNamespace(source=AerialSource(ramp(side), side, 0.2), poses=pose)
    sample = replace(made_up_sample(), group=1, position=np.zeros(2))
    stream = TownStream(VIEW, 0, no_match_share=0.1)
    far: Any = SimpleNamespace(town=SimpleNamespace(seed=2), source=alone.source, poses=alone.poses)
    assert stream._elsewhere(sample, [far], np.random.default_rng(0)) is not None
