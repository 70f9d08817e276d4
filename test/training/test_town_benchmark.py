"""town-v1 is fixed, solvable, fast enough, and gives nothing away to naive matching."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from cross_view_localizer.grid import Grid
from training.town import leaks
from training.town.audit import Audit, audit
from training.town.editions import EDITIONS, Edition
from training.town.manifest import SPLITS, ManifestError, check, load, path_of
from training.town.town import Town


@lru_cache(maxsize=1)
def _audit() -> Audit:
    """Three towns of the test split, ten frames each."""
    return audit(f for f in load("test") if f.seed % 20 == 3 and f.index < 10)


def test_leak_colour_histograms_do_not_localize() -> None:
    assert _audit().ratio(_audit().histogram) >= 0.7
    assert _audit().ratio(_audit().balanced) >= 0.7


def test_leak_edges_of_the_flat_projection_do_not_localize() -> None:
    assert _audit().ratio(_audit().edges) >= 0.7


@pytest.mark.parametrize("naive", [leaks.histogram_error, leaks.edge_error])
def test_the_leak_correlators_do_find_a_leak(
    naive: Callable[..., float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a ground picture that is a piece of the aerial one, both localize: they do work."""
    frames = [f for f in load("test") if f.seed == 200003][:5]
    town = Town(200003)
    errors = []
    for f in frames:
        n = int(leaks.AHEAD / leaks.GSD)
        c, s = np.cos(f.pose.yaw), np.sin(f.pose.yaw)
        ahead = (n - 1) / 2 * leaks.GSD
        middle = (f.pose.x + ahead * c, f.pose.y + ahead * s)
        grid = Grid(n, n, leaks.GSD, middle, f.pose.yaw)
        uv = grid.pixel_to_map(np.stack(np.meshgrid(np.arange(n), np.arange(n)), axis=-1))
        uv = town.grid.map_to_pixel(uv).astype(np.float32)
        cut = cv2.remap(town.aerial, uv[..., 0], uv[..., 1], cv2.INTER_LINEAR)
        leak = (np.ascontiguousarray(cut), np.ones((n, n), bool))
        monkeypatch.setattr(leaks, "flat_projection", lambda frame, leak=leak: leak)
        errors.append(naive(town, f.pose, f.prior, None))
    assert np.median(errors) < 1.0


def test_solvable_an_oracle_localizes() -> None:
    result = _audit()
    assert np.median(result.oracle) <= 0.5
    assert (result.oracle < 3).mean() >= 0.9
    assert "second mode" in result.table()


def test_the_oracle_depends_on_the_frame() -> None:
    """Fed another frame's truth it is lost: it does not know the answer beforehand."""
    from training.town.oracle import Oracle

    frames = [f for f in load("test") if f.seed == 200003][:8]
    town = Town(200003)
    oracle = Oracle(town)
    errors = []
    for mine, other in zip(frames, frames[1:] + frames[:1], strict=True):
        truth = np.empty((160, 240, 4), np.float32)
        town.render(other.pose, "pinhole", 240, 160, "test", other.index, truth=truth)
        seen = oracle.observe(other.pose, truth)
        best, _ = oracle.search(*seen, mine.prior)
        errors.append(np.hypot(*(best - (mine.pose.x, mine.pose.y))))
    assert np.median(errors) > 3


@pytest.mark.parametrize("edition", EDITIONS)
def test_manifest_has_fifty_towns_of_forty_frames_for_each_split(edition: Edition) -> None:
    for split in SPLITS:
        frames = load(split, edition)
        assert len(frames) == 2000 and len({f.seed for f in frames}) == 50
        offset = np.array([(f.prior[0] - f.pose.x, f.prior[1] - f.pose.y) for f in frames])
        assert np.abs(offset).max() <= 18 + 1e-3
        assert offset.std(axis=0) == pytest.approx(18 / np.sqrt(3), rel=0.05)
        turn = np.degrees([f.heading_error for f in frames])
        assert np.abs(turn).max() <= 5 + 1e-3 and turn.std() == pytest.approx(2.89, rel=0.06)
        assert np.mean([f.pose.kind != "street" for f in frames]) == pytest.approx(0.25)
    centre = np.hypot(*offset.T)
    assert centre.mean() == pytest.approx(13.8, abs=0.4)


@pytest.mark.parametrize("edition", EDITIONS)
def test_manifest_is_what_this_machine_makes(edition: Edition) -> None:
    entries = json.loads(path_of(edition).read_text())["towns"]
    for entry in (entries[0], entries[77]):
        check(
            entry, edition
        )  # geometry to 1 mm; the pictures' bytes may differ between library versions


def test_a_changed_town_is_noticed() -> None:
    entry = json.loads(path_of("town-v1").read_text())["towns"][5]
    entry["frames"][7][0] += 0.002
    with pytest.raises(ManifestError, match="frames differs from town-v1 by more than 1 mm"):
        check(entry)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "missing"),
        ("{", "not JSON"),
        ('{"version": "town-v9"}', "'town-v9', expected 'town-v1'"),
    ],
)
def test_a_bad_manifest_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "town.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ManifestError, match=message):
        load("test", path=path)


@pytest.mark.slow
def test_manifest_of_all_towns() -> None:
    for entry in json.loads(path_of("town-v1").read_text())["towns"]:
        check(entry)


@pytest.mark.slow
def test_leaks_and_solvability_on_every_test_town() -> None:
    result = audit(f for f in load("test") if f.index < 6)
    print(result.table())
    for naive in (result.histogram, result.balanced, result.edges):
        assert result.ratio(naive) >= 0.7
    assert np.median(result.oracle) <= 0.5 and (result.oracle < 3).mean() >= 0.9


@pytest.mark.slow
def test_a_core_renders_a_hundred_training_pairs_a_second() -> None:
    Town(1).render(Town(1).poses(1)[0], "pinhole", 240, 160)  # compiles
    start = time.process_time()
    town = Town(2)
    assert town.aerial.shape == (1600, 1600, 3)
    for index, pose in enumerate(town.poses(300)):
        town.render(pose, "pinhole", 240, 160, "train", index)
    assert 300 / (time.process_time() - start) >= 100
