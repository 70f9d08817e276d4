"""The benchmark of town-v2: cameras of any shape, calibrations that are a little off."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_same_picture import Recorder

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.models.weights import LoadedModel
from cross_view_localizer.views import View
from training.datasets.aerial_source import AerialSource
from training.datasets.pair import DatasetError
from training.datasets.pairs import sample_of
from training.datasets.sample import collate
from training.datasets.town import TownReader, benchmark
from training.datasets.town_stream import PriorError, make_sample
from training.learning.data import Loading, StreamSamples, Towns
from training.measuring.rows import Rows
from training.town import manifest
from training.town.town import GroundFrame, Town

SEED, FRAMES = 100_000, 6
PADDED = View("pinhole", 96, 54, 64, 0.5, 48, 1.0, pad=True)
CUT = View("pinhole", 60, 40, 64, 0.5, 48, 1.0)
PANORAMA = View("panorama", 60, 30, 64, 0.5, 48, 1.0)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A manifest of one town, and where it is rendered."""
    folder = tmp_path_factory.mktemp("town-v2")
    entry = manifest.describe(SEED, "town-v2")
    text = json.dumps({"version": "town-v2", "towns": [entry]})
    (folder / "town_v2.json").write_text(text)
    shutil.copy(manifest.path_of("town-v1"), folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "FOLDER", folder)
        yield folder


@pytest.fixture(scope="module")
def town() -> Town:
    return Town(SEED, "town-v2")


def reader_of(view: View, cache: Path) -> TownReader:
    return benchmark(view, "validation", 1, FRAMES, cache, 1, "town-v2")


def rendered(town: Town, view: View, index: int) -> GroundFrame:
    """The frame as its camera gives it, straight from the town."""
    pose = manifest.load("validation", "town-v2")[index].pose
    rig = town.rig(view.ground, "validation", index)
    size = rig.picture(view.ground_width, view.ground_height, view.pad)
    return town.render(pose, view.ground, *size, "validation", index)


@pytest.mark.parametrize("view", [PADDED, CUT, PANORAMA], ids=["padded", "cut", "panorama"])
def test_stream_reader_and_vehicle_give_the_model_the_same(
    view: View, town: Town, cache: Path
) -> None:
    reader = reader_of(view, cache)
    model = LoadedModel(Recorder(view), "recorder", {}, Calibration(), {}, "recorder")
    rows = Rows(reader, model, "metric", config=LocalizerConfig(device="cpu", min_coverage=0.0))
    padded = 0
    for index, one in enumerate(manifest.load("validation", "town-v2")[:FRAMES]):
        frame = rendered(town, view, index)
        read = sample_of(reader, reader.label(index), view, "metric")
        source = AerialSource(town.aerial, town.grid, view.aerial_gsd)
        streamed = make_sample(source, view, one.pose, frame, PriorError(0, 0, 0), SEED)
        asked = rows[index].question.ground  # type: ignore[union-attr]
        for a, b in ((read, streamed), (read, asked)):
            np.testing.assert_array_equal(a.ground, b.ground if b is streamed else asked.image)
            np.testing.assert_array_equal(a.mask, b.mask)
            np.testing.assert_allclose(a.intrinsics, b.intrinsics, atol=1e-9)
            assert a.height == pytest.approx(b.height, abs=1e-12)
        padded += read.mask is not None
        np.testing.assert_allclose(read.tilt, streamed.tilt, atol=1e-9)
        assert read.height_error == pytest.approx(streamed.height_error, abs=1e-12)
        assert read.height_error == pytest.approx(math.log(frame.true_height / frame.height))
    assert (padded > 0) == view.pad
    assert (collate([read, streamed]).ground.mask is not None) == (read.mask is not None)
    assert torch.isfinite(collate([read]).height_error).all()  # type: ignore[arg-type]


def test_labels_are_where_the_stated_extrinsics_put_the_camera(town: Town, cache: Path) -> None:
    reader, moves = reader_of(PADDED, cache), []
    for index, one in enumerate(manifest.load("validation", "town-v2")[:FRAMES]):
        frame, label, pose = rendered(town, PADDED, index), reader.label(index), one.pose
        east, north = label.position[0] - pose.x, label.position[1] - pose.y
        c, s = math.cos(pose.yaw), math.sin(pose.yaw)
        forward, left = east * c + north * s, north * c - east * s
        assert (forward, left, label.yaw - pose.yaw) == pytest.approx(frame.moved, abs=1e-9)
        assert label.heading - label.yaw == pytest.approx(one.heading_error)
        np.testing.assert_allclose(label.grid.center, one.prior, atol=1e-9)
        moves.append(frame.moved)
    assert (np.abs(moves).max(axis=0) > (0.1, 0.1, math.radians(0.3))).all()


def test_town_v1_is_exactly_calibrated_and_its_labels_are_the_cameras(tmp_path: Path) -> None:
    reader = TownReader("train", towns=1, frames=2, width=24, height=16, cache=tmp_path)
    label = reader.label(1)
    pose = Town(0).poses(2)[1]
    assert label.position == (pose.x, pose.y) and label.yaw == pose.yaw
    seen = reader.ground(label)
    assert seen.true_height == seen.height
    assert np.load(label.ground_file.with_name("cameras.npy")).shape == (2, 28)


def test_editions_are_told_apart_and_the_kept_one_trains_nobody(cache: Path) -> None:
    assert reader_of(PADDED, cache).tags["dataset"] == "town-v2"
    with pytest.raises(DatasetError, match="'town-v2-other' is kept from training"):
        TownReader("train", edition="town-v2-other", cache=cache)
    with pytest.raises(DatasetError, match="'town-v9': expected one of town-v1"):
        TownReader("cross", edition="town-v9", cache=cache)  # type: ignore[arg-type]
    with pytest.raises(manifest.ManifestError, match=r"--edition town-v2-other --write"):
        benchmark(PADDED, "validation", 1, 1, cache, edition="town-v2-other")


def test_training_is_judged_on_the_editions_asked_for(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(cache)  # where the towns are rendered into
    view, loading = replace(CUT, ground_width=24, ground_height=16), Loading(2, 0, 0)
    towns = Towns({"town-v2": 3.0, "town-v1": 1.0}, 0.1, None, 1, 2)
    model = Recorder(view)
    model.tells_no_match = True
    samples = StreamSamples(model, loading, towns)
    judged = [samples.held_out[k] for k in range(len(samples.held_out))]
    assert [sample.height_error != 0 for sample in judged] == [True, True, False, False]
    assert samples.about["towns"] == {"town-v2": 0.75, "town-v1": 0.25}
    one = StreamSamples(model, loading, replace(towns, held_out=["town-v1"]))
    assert len(one.held_out) == 2 and one.about["validated_on"] == ["town-v1"]
    with pytest.raises(ValueError, match="'town-v2-other' is kept from training"):
        StreamSamples(Recorder(view), loading, Towns({"town-v2-other": 1.0}))


def test_a_manifest_of_another_edition_is_refused(cache: Path) -> None:
    with pytest.raises(manifest.ManifestError, match="'town-v2', expected 'town-v1'"):
        manifest.load("test", "town-v1", cache / "town_v2.json")
    entry = json.loads((cache / "town_v2.json").read_text())["towns"][0]
    with pytest.raises(manifest.ManifestError, match="differs from town-v1"):
        manifest.check(entry, "town-v1")
