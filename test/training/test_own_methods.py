"""Two methods of one's own, added without touching another: by the training command's machinery,
through the evaluation, and through the Localizer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flat_reader import BEFORE, MOUNT, FlatReader, before
from localizer_world import PINHOLE, flat_world, mounting, prior_at
from plain_reader import PlainReader
from retrieval_method import Retrieval
from two_frame_method import TwoFrames

from cross_view_localizer.estimate import Estimate, Frame, Motion, Reason
from cross_view_localizer.localizer import Localizer, LocalizerConfig
from cross_view_localizer.models import registry as models
from cross_view_localizer.models import weights
from cross_view_localizer.models.contract import CrossViewModel, GroundInput
from cross_view_localizer.models.parts.drawing import Neighbours
from training import train
from training.datasets import registry as datasets
from training.datasets.augment import mirror
from training.datasets.pair import DatasetError
from training.datasets.pairs import sample_of
from training.datasets.sample import collate
from training.learning.data import Loading, PairSamples, StreamSamples, Towns
from training.learning.module import Steps
from training.learning.recipe import Recipe
from training.measuring.rows import Rows

METHODS = {
    "retrieval": ("retrieval_method", "Retrieval"),
    "two-frames": ("two_frame_method", "TwoFrames"),
}


@pytest.fixture(scope="module", autouse=True)
def added(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The methods in the registry, and the reader: all that there is to adding them."""
    FlatReader.WORLD = flat_world(tmp_path_factory.mktemp("world"))
    with pytest.MonkeyPatch.context() as patch:
        for name, place in METHODS.items():
            patch.setitem(models._CLASSES, name, place)
        patch.setitem(datasets._READERS, "flat", ("flat_reader", "FlatReader"))
        yield


def learned(name: str, folder: Path, samples: int, **changes: Any) -> weights.LoadedModel:
    """Train on the reader's rows, and be judged on the same."""
    out = folder / f"{name}.safetensors"
    options: dict[str, Any] = {
        "model": name,
        "out": out,
        "data": {"reader": "flat"},
        "validation": {"split": "validation"},
        "fit": "metric",
        "samples": samples,
        "batch": 8,
        "learning_rate": 4e-3,
        "steps": Steps(decay=0.0, average=0.0),
        "validate_every": samples,
        "choose_by": "mean",
        "workers": 0,
        "threads": 1,
        "runs": folder / "runs",
        "accelerator": "cpu",
        "precision": "32",
        "progress": False,
    }
    train.train(Recipe.of(**options | changes))
    return weights.load(out, name)


def asked(
    localizer: Localizer, reader: FlatReader, row: int, earlier: tuple[Any, ...] | None = None
) -> Estimate:
    """Localize a row's frame from the prior that its label tells."""
    label, base = reader.label(row), reader.bases[row]
    yaw = label.heading - 0.15
    c, s = math.cos(yaw), math.sin(yaw)
    right = MOUNT.translation
    x = label.grid.center[0] - c * right[0] + s * right[1]
    y = label.grid.center[1] - s * right[0] - c * right[1]
    given = with_frame_before(reader, row) if earlier is None else earlier
    picture = reader.ground(label).image
    localizer.clear()
    frame = Frame(picture, 7, PINHOLE, MOUNT, given)
    estimate = localizer.localize(frame, prior_at(x, y, yaw, std=4.0, yaw_std=0.1))
    assert estimate.raw_pose is None or math.dist(estimate.raw_pose[:2], base[:2]) < 40
    return estimate


def with_frame_before(reader: FlatReader, row: int, motion: Motion = BEFORE) -> tuple[Any, ...]:
    then = before(reader.bases[row])
    return ((reader.WORLD.frame(then, PINHOLE, MOUNT), motion),)


def localizer_of(model: weights.LoadedModel) -> Localizer:
    config = LocalizerConfig(warm_up=True, max_std=100, max_second_mode=1e9)
    return Localizer(model, FlatReader.WORLD.satellite_map, config)


def errors(localizer: Localizer, reader: FlatReader) -> np.ndarray:
    found = [asked(localizer, reader, row) for row in range(len(reader))]
    assert all(one.ok for one in found), [one.detail for one in found]
    poses = [one.raw_pose for one in found]
    return np.array([np.subtract(p, b) for p, b in zip(poses, reader.bases, strict=True) if p])


def test_a_retrieval_with_triplets_of_neighbours(tmp_path: Path) -> None:
    model = learned("retrieval", tmp_path, 8 * 60, terms={"sigma": 3.0})
    assert model.metadata["data"] == {"dataset": "flat", "split": "train"}
    reader = FlatReader("test")
    evaluated = Rows(reader, model, "metric").run()
    assert np.median([one.argmax_error for one in evaluated]) < 2.9  # half of a cell's diagonal
    away = errors(localizer_of(model), reader)
    assert np.median(np.hypot(away[:, 0], away[:, 1])) < 2.9
    # The prior's own error is twice that.
    assert np.median(np.hypot(*reader.shifts.T)) > 5


def test_two_frames_with_the_motion_between_them(tmp_path: Path) -> None:
    model = learned("two-frames", tmp_path, 8 * 60, terms={"alone": 0.3})
    reader, localizer = FlatReader("test"), localizer_of(model)
    evaluated = Rows(reader, model, "metric").run()
    assert np.median([one.argmax_error for one in evaluated]) < 0.8  # cells of 1 m
    away = errors(localizer, reader)
    assert np.median(np.hypot(away[:, 0], away[:, 1])) < 0.8
    turned = (away[:, 2] + math.pi) % (2 * math.pi) - math.pi
    assert np.abs(turned).mean() < np.abs(reader.noises).mean() / 2
    one = asked(localizer, reader, 0)
    assert not one.yaw_from_prior and one.raw_covariance is not None
    assert 0 < one.raw_covariance[2, 2] < 1
    # The motion is used: another one blurs the template.
    other = asked(localizer, reader, 0, with_frame_before(reader, 0, (-9.0, 4.0, 0.6)))
    assert one.heatmap is not None and other.heatmap is not None
    assert np.abs(one.heatmap.mass - other.heatmap.mass).sum() > 0.05


def test_the_model_gets_from_the_localizer_what_it_was_trained_with() -> None:
    """Odometry speaks of base_link; the camera is ahead of it, to the right, and turned."""
    model, reader = TwoFrames().eval(), FlatReader()
    taken: list[GroundInput] = []
    inner = model.encode_ground
    model.encode_ground = lambda ground: taken.append(ground) or inner(ground)  # type: ignore
    loaded = weights.LoadedModel(model, "two-frames", {}, weights.Calibration(), {}, "two-0")
    localizer = Localizer(loaded, reader.WORLD.satellite_map, LocalizerConfig(warm_up=False))
    asked(localizer, reader, 3)
    trained = collate([sample_of(reader, reader.label(3), model.view, "metric")]).ground
    for name, one, other in zip(GroundInput._fields, taken[0], trained, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4, msg=name)
    assert trained.earlier is not None and trained.earlier.shape == (1, 1, 3, 72, 96)


def test_a_kept_patch_turns_the_motion_with_it() -> None:
    """As seen from a patch that was cut for another heading, both frames stand turned alike."""
    model, reader = TwoFrames().eval(), FlatReader()
    taken: list[GroundInput] = []
    inner = model.encode_ground
    model.encode_ground = lambda ground: taken.append(ground) or inner(ground)  # type: ignore
    loaded = weights.LoadedModel(model, "two-frames", {}, weights.Calibration(), {}, "two-0")
    config = LocalizerConfig(warm_up=False, reuse_angle=0.1)
    localizer = Localizer(loaded, reader.WORLD.satellite_map, config)
    base, turn = reader.bases[0], 0.05
    frame = Frame(reader.WORLD.frame(base, PINHOLE, MOUNT).image, 7, PINHOLE, MOUNT)
    for yaw in (base[2], base[2] - turn):
        earlier = with_frame_before(reader, 0)
        given = Frame(frame.image, 7, PINHOLE, MOUNT, earlier)
        localizer.localize(given, prior_at(base[0], base[1], yaw, std=2.0))
    fresh, kept = (one.motion[0, 0].numpy() for one in taken if one.motion is not None)
    c, s = math.cos(turn), math.sin(turn)
    # The patch's up is `turn` to the left of the told azimuth: what is there lies to the right.
    expected = [c * fresh[0] + s * fresh[1], c * fresh[1] - s * fresh[0], fresh[2]]
    np.testing.assert_allclose(kept, expected, atol=1e-5)


def test_too_few_frames_are_refused_by_name() -> None:
    model, reader = TwoFrames(), FlatReader()
    loaded = weights.LoadedModel(model.eval(), "two-frames", {}, weights.Calibration(), {}, "two-0")
    localizer = localizer_of(loaded)
    one = asked(localizer, reader, 0, earlier=())
    assert one.reason is Reason.FEW_FRAMES and "needs 2 with the motion" in one.detail
    ((frame, _),) = with_frame_before(reader, 0)
    elsewhere = Frame(frame.image, 6, PINHOLE, mounting(0.0, 0.0, 1.0))
    for earlier in ((frame, (math.nan, 0.0, 0.0)), (elsewhere, BEFORE)):
        assert asked(localizer, reader, 0, earlier=(earlier,)).reason is Reason.BAD_IMAGE
    with pytest.raises(DatasetError, match="row 2: 1 frame: the model needs 2") as error:
        sample_of(FlatReader(frames=1), reader.label(2), model.view, "metric")
    assert "\n" not in str(error.value)


def test_a_model_of_one_frame_takes_no_notice_of_more() -> None:
    model, reader = Retrieval().eval(), FlatReader()
    loaded = weights.LoadedModel(model, "retrieval", {}, weights.Calibration(), {}, "r-0")
    localizer = localizer_of(loaded)
    one, other = (asked(localizer, reader, 1, given) for given in (None, ()))
    assert one.raw_pose == other.raw_pose and one.ok
    assert sample_of(reader, reader.label(0), model.view, "metric").earlier is None


def test_the_mirrored_world_mirrors_the_motion() -> None:
    reader = FlatReader()
    sample = sample_of(reader, reader.label(1), TwoFrames().view, "metric")
    assert sample.motion is not None and sample.earlier is not None
    seen = mirror(sample)
    assert seen.motion is not None and seen.earlier is not None
    np.testing.assert_allclose(seen.motion, sample.motion * (1, -1, -1))
    np.testing.assert_array_equal(seen.earlier[0], sample.earlier[0][:, ::-1])


@pytest.mark.parametrize("model", [Retrieval, TwoFrames])
def test_the_stream_of_random_towns_is_refused(model: type[CrossViewModel]) -> None:
    with pytest.raises(ValueError, match="give data"):
        StreamSamples(model(), Loading(8, 0, 0), Towns(towns=1, frames=1))


def test_rows_without_a_place_on_earth_cannot_be_drawn_by_place(tmp_path: Path) -> None:
    given, others = (PlainReader(tmp_path, split) for split in ("train", "validation"))
    with pytest.raises(DatasetError, match="Retrieval draws its batches by place"):
        PairSamples(Retrieval(), given, others, Loading(4, 0, 0), "metric")


def test_batches_are_drawn_as_the_method_says() -> None:
    train_rows, others = FlatReader("train", 12), FlatReader("validation", 12)
    samples = PairSamples(Retrieval(), train_rows, others, Loading(6, 1, 0), "metric")
    assert samples.arranged is not None
    rows = [samples.arranged(np.random.default_rng([1, epoch])) for epoch in (0, 0, 1)]
    assert rows[0].tolist() == rows[1].tolist() != rows[2].tolist()
    for order in rows:
        assert sorted(order) == list(range(12))
        assert len({row // 3 for row in order[:3]}) == 1  # a block of neighbours
    loader: Any = samples.train_dataloader()
    batch = next(iter(loader))
    first = batch.place[:3]
    assert (first - first[0]).norm(dim=1).max() < 30
    place = train_rows.label(int(rows[0][0])).place
    assert place is not None
    np.testing.assert_allclose(first[0], place)


def test_neighbours_fill_a_batch_from_elsewhere() -> None:
    places = np.zeros((10, 3))
    places[:4, 0] = [0.0, 1.0, 2.0, 3.0]
    places[4:, 1] = 1000.0 * np.arange(1, 7)
    order = Neighbours(radius=5.0).arranged(places, 5, np.random.default_rng(3))
    assert sorted(order) == list(range(10))
    batches = [set(order[:5].tolist()), set(order[5:].tolist())]
    assert any({0, 1, 2, 3} <= batch for batch in batches) or order[0] > 3
