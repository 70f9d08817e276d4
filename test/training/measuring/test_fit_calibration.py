"""Any reader's held-out rows calibrate weights; rows that they were trained on do not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))  # where readers and models for tests are
from plain_reader import PlainReader
from training_runs import SETTINGS

from cross_view_localizer.models import registry as models
from cross_view_localizer.models import weights as weights_file
from training import fit_calibration
from training.datasets import registry


class Splits(PlainReader):
    """The reader without files, as real datasets are: training, validation and a test."""

    def __init__(
        self, root: str, split: Literal["train", "validation", "test"] = "train", count: int = 30
    ) -> None:
        super().__init__(root, split, count)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(registry._READERS, "plain", (__name__, "Splits"))
    path = tmp_path / "tiny.safetensors"
    save(path, {})
    return path


def save(path: Path, metadata: dict[str, Any]) -> None:
    torch.manual_seed(0)
    state = models.build("cvml", SETTINGS).state_dict()
    weights_file.save(path, "cvml", SETTINGS, state, metadata)


def run(monkeypatch: pytest.MonkeyPatch, weights: Path, *words: str) -> None:
    command = ["fit_calibration", "--weights", str(weights), "--threads", "1"]
    root = str(weights.parent)
    monkeypatch.setattr("sys.argv", [*command, "--data.reader", "plain", "--root", root, *words])
    fit_calibration.main()


def test_any_readers_held_out_split_calibrates(
    weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = weights_file.load(weights)
    run(monkeypatch, weights, "--split", "validation")
    after = weights_file.load(weights)
    assert after.calibration.temperature != before.calibration.temperature
    tags = {"dataset": "plain", "split": "validation"}
    assert after.metadata["calibrated_on"] == {"plain": tags}
    assert after.calibration.floor_std >= 0.3
    assert after.metadata["calibration_frames"] == 30
    for name, tensor in before.model.state_dict().items():
        np.testing.assert_array_equal(tensor, after.model.state_dict()[name])
    said = capsys.readouterr().out  # one half fits, the other measures
    assert "| plain, before | 20 |" in said and "| plain, fitted on the other half | 20 |" in said


@pytest.mark.parametrize(
    ("metadata", "editions"),
    [
        ({"towns": {"town-v2": 0.8, "town-v1": 0.2}}, ["town-v2", "town-v1"]),
        ({"towns": "town-v1"}, ["town-v1"]),
        ({"data": {"dataset": "plain"}}, None),
    ],
)
def test_without_being_told_it_fits_on_the_towns_of_training(
    weights: Path, monkeypatch: pytest.MonkeyPatch, metadata: dict[str, Any], editions: Any
) -> None:
    asked: list[Any] = []

    def looks_of(view: Any, split: str, editions: Any, *_: Any, **__: Any) -> None:
        asked.append(editions)
        raise ValueError("seen")

    monkeypatch.setattr(fit_calibration, "looks_of", looks_of)
    save(weights, metadata)
    with pytest.raises(ValueError, match="seen"):
        fit_calibration.fit_calibration(weights)
    assert asked == [editions]


@pytest.mark.parametrize(
    ("trained", "words", "said"),
    [
        ("", (), "no split 'calibration' to fit on: expected one of validation"),
        ("", ("--split", "test"), "no split 'test' to fit on: expected one of validation"),
        ("", ("--split", "train"), "no split 'train' to fit on: expected one of validation"),
        ("", ("--editions", "[town-v1]"), "editions town-v1 with data: expected one of the two"),
        ("validation", ("--split", "validation"), "were trained on plain, split 'validation'"),
    ],
)
def test_rows_that_are_not_for_fitting_are_refused_in_one_line(
    trained: str,
    words: tuple[str, ...],
    said: str,
    weights: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if trained:
        save(weights, {"data": {"dataset": "plain", "split": trained}})
    before = weights.read_bytes()
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, weights, *words)
    assert said in str(end.value) and "\n" not in str(end.value)
    assert weights.read_bytes() == before
