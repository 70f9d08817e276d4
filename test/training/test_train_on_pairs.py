"""Training on a dataset's reader, from the options to weights that answer."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from plain_reader import PlainReader
from safetensors.torch import save_file
from training_runs import SETTINGS, run

from cross_view_localizer.models import registry, weights
from training.datasets.pair import DatasetError
from training.datasets.pairs import PairDataset
from training.datasets.sample import collate
from training.datasets.vigor import VigorReader
from training.learning.data import Loading, PairSamples, readers
from training.learning.start import warm_start
from training.town.layouts import vigor

TAGS = {"dataset": "plain"}


@pytest.fixture(scope="module")
def vigor_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("vigor")
    vigor.write(root, rendered=(256, 128), size=(512, 256))
    return root


def test_a_few_steps_give_weights_logs_and_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = run(tmp_path, monkeypatch, epochs=2, samples=None, checkpoint_every=8, choose_by="mean")
    about = weights.load(out).metadata
    assert about["data"] == TAGS | {"split": "train"}
    assert about["validated_on"] == TAGS | {"split": "validation"}
    assert about["chosen_by"] == "mean" and about["reference_point"] == "camera"
    folder = tmp_path / "runs" / "tiny"
    assert (folder / "last.ckpt").is_file()
    assert list((folder / "version_0").glob("events.*"))
    with (folder / "version_0" / "metrics.csv").open() as file:
        means = [
            float(row["validation/mean"]) for row in csv.DictReader(file) if row["validation/mean"]
        ]
    assert len(means) == 2
    assert about["validation"]["mean"] == pytest.approx(min(means))


def test_vigor_in_small_from_its_files_to_an_answer(
    vigor_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = {"base": "vigor", "ground_width": 64, "ground_height": 32, "aerial_size": 64}
    view |= {"output_size": 64, "aerial_gsd": 1.14, "output_gsd": 1.14}
    settings = SETTINGS | {"view": view, "cells": 4}
    data = {"reader": "vigor", "validation": "random", "tiles": "all"}
    where = {"data": data, "root": str(vigor_root)}
    changes = {"settings": settings, "samples": 16, "validation": {"tiles": "positive"}, **where}
    changes["validation"] |= {"split": "validation"}
    loaded = weights.load(run(tmp_path, monkeypatch, **changes))
    assert loaded.metadata["data"]["dataset"] == "vigor"
    reader = VigorReader(vigor_root, split="test", tiles="positive")
    batch = collate([PairDataset(reader, loaded.model.view)[0]])
    with torch.no_grad():
        mass = loaded.model(batch.aerial, batch.ground).log_mass.exp()
    assert mass.shape == (1, 1, 64, 64)
    assert float(mass.sum()) == pytest.approx(1, abs=1e-4)


def test_a_regressor_gets_its_gaussian_from_the_validation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {k: v for k, v in SETTINGS.items() if k != "cells"} | {"layer_norm": True}
    data = {"reader": "plain", "root": str(tmp_path)}
    out = run(tmp_path, monkeypatch, model="cvr", settings=settings, choose_by="mean", data=data)
    loaded = weights.load(out)
    view = loaded.model.view
    held_out = PairDataset(PlainReader(tmp_path, "validation"), view)
    batch = collate([held_out[i] for i in range(len(held_out))])
    with torch.no_grad():
        place = loaded.model(batch.aerial, batch.ground).log_mass.flatten(1).argmax(1)
    found = torch.stack([place % view.output_size, place // view.output_size], 1)
    errors = found - batch.offset / batch.cell[:, None] - (view.output_size - 1) / 2
    sigma = float(loaded.model.state_dict()["sigma"])
    assert sigma == pytest.approx(float(errors.square().mean().sqrt()) * view.output_gsd, rel=1e-3)


def test_broken_files_stop_the_training_unless_they_are_skipped(
    vigor_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = registry.build("cvml", SETTINGS | {"view": "compact-panorama", "cells": 12})
    data = {"reader": "vigor", "validation": "random", "root": str(vigor_root)}
    train, held_out = readers(data)
    first = train.label(0).ground_file
    whole = first.read_bytes()
    first.write_bytes(whole[:1000])
    loading = Loading(batch=2, seed=0, workers=0)
    with pytest.raises(DatasetError, match="truncated") as error:
        PairSamples(model, train, held_out, loading)
    assert "\n" not in str(error.value) and first.name in str(error.value)
    samples = PairSamples(model, train, held_out, loading, skip_problems=True)
    assert len(samples.train) == len(train) - 1
    first.write_bytes(whole)
    assert "skipped: 1" in capsys.readouterr().out


def test_a_dry_run_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = {"reader": "plain", "root": str(tmp_path), "count": 40}
    run(tmp_path, monkeypatch, dry_run=True, samples=None, epochs=30, data=data)
    assert list(tmp_path.iterdir()) == []
    assert "dry run: 4 samples learned, 16 validated, nothing written" in capsys.readouterr().out


def test_a_trunk_alone_starts_a_model(tmp_path: Path) -> None:
    source, target = (registry.build("cvml", SETTINGS) for _ in range(2))
    trunk = {k: v + 1 for k, v in source.state_dict().items() if k.startswith("aerial_trunk")}
    save_file(trunk, tmp_path / "trunk.safetensors")
    before = {k: v.clone() for k, v in target.state_dict().items()}
    warm_start(target, tmp_path / "trunk.safetensors", {"seeds": [0]}, same=False)
    for name, tensor in target.state_dict().items():
        assert torch.equal(tensor, trunk.get(name, before[name])), name


def test_a_start_that_fits_nowhere_is_one_line(tmp_path: Path) -> None:
    save_file({"another": torch.zeros(3)}, tmp_path / "other.safetensors")
    model = registry.build("cvml", SETTINGS)
    with pytest.raises(weights.WeightsError, match="none of its 1 tensors") as error:
        warm_start(model, tmp_path / "other.safetensors", {"seeds": [0]}, same=False)
    assert "\n" not in str(error.value)


def test_pictures_travel_as_bytes_and_arrive_as_the_same_numbers(tmp_path: Path) -> None:
    train, held_out = (PlainReader(tmp_path, split) for split in ("train", "validation"))
    model = registry.build("cvml", SETTINGS)
    data = PairSamples(model, train, held_out, Loading(4, 0, 0), vary=True)
    loader: Any = data.train_dataloader()
    sent = next(iter(loader))
    expected = collate([data.train[drawn] for drawn in loader.batch_sampler.drawn(0)])
    arrived = data.on_after_batch_transfer(sent, 0)
    for name, there, here in (
        ("aerial", sent.aerial, arrived.aerial),
        ("ground", sent.ground.image, arrived.ground.image),
    ):
        assert there.dtype == torch.uint8 and here.dtype == torch.float32, name
        assert here.is_contiguous(memory_format=torch.channels_last), name
    for whole, made in zip(expected.parts, arrived.parts, strict=True):
        torch.testing.assert_close(made, whole, rtol=0, atol=0, equal_nan=True)
        assert made.stride() == whole.stride()
