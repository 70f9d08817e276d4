"""Checkpoints as mappings of arrays, without TensorFlow: what is taken, left out and refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cross_view_localizer.models import registry, weights
from cross_view_localizer.models.cvml import CVML
from training.weights import convert, tensorflow_names
from training.weights.tensorflow_checkpoint import (
    Array,
    CheckpointError,
    find_prefix,
    is_optimiser,
)

SMALL = {"base": "robotcar", "aerial_size": 512, "ground_width": 64, "ground_height": 64}


class Small(CVML):
    """A sixteenth of the channels, so that a test takes no second; it stands for any view."""

    def __init__(self, view: str = "robotcar") -> None:
        super().__init__(SMALL, width=1 / 16)


@pytest.fixture
def arrays(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Array]]:
    """Yield a small network's variables, with what an optimiser adds; the converter expects it."""
    monkeypatch.setattr(convert, "CVML", Small)
    monkeypatch.setitem(registry._CLASSES, "cvml", (__name__, "Small"))
    found: dict[str, Array] = dict(tensorflow_names.export_arrays(Small()))
    for name in list(found):
        found[f"{name}/Adam"] = np.zeros_like(found[name])
        found[f"{name}/Adam_1"] = np.zeros_like(found[name])
    found["train/beta1_power"] = np.float32(0.9)
    found["beta2_power"] = np.float32(0.999)
    found["global_step"] = np.int64(7)
    found["Variable"] = np.int32(7)
    yield found


def test_the_networks_own_are_taken_and_the_optimisers_counted(arrays: dict[str, Array]) -> None:
    model, dropped = convert.convert_arrays(arrays, "robotcar")
    own = tensorflow_names.export_arrays(model)
    assert not model.training and len(own) * 3 + 4 == len(arrays)
    assert all(np.array_equal(own[name], arrays[name]) for name in own)
    assert set(dropped) == set(arrays) - set(own)


@pytest.mark.parametrize(
    ("name", "optimiser"),
    [
        ("VGG_grd/conv1_1/weights/Adam", True),
        ("train/VGG_grd/conv1_1/weights/Adam_1", True),
        ("beta1_power", True),
        ("train/beta2_power_1", True),
        ("global_step:0", True),
        ("VGG_grd/conv1_1/weights", False),
        ("Adam/conv1_1/weights", False),  # a scope of that name is the network's business
        ("decode/Adamant", False),
    ],
)
def test_names_of_the_optimiser(name: str, optimiser: bool) -> None:
    assert is_optimiser(name) == optimiser


def test_what_does_not_fit_is_refused_by_name(arrays: dict[str, Array]) -> None:
    def refused(changed: dict[str, Array]) -> str:
        with pytest.raises(ValueError) as caught:
            convert.convert_arrays(changed, "robotcar")
        assert "\n" not in str(caught.value)
        return str(caught.value)

    bias = "VGG_sat/conv3_2/biases"
    missing = {name: value for name, value in arrays.items() if name != bias}
    assert f"1 variables missing ({bias}), 0 unknown" in refused(missing)
    surplus = {**arrays, "decode/conv7_1/weights": np.zeros((3, 3, 1, 1), np.float32)}
    assert "1 unknown (decode/conv7_1/weights)" in refused(surplus)
    assert "of shape (33,): expected (16,)" in refused(arrays | {bias: np.zeros(33, np.float32)})
    assert "of type float64: expected float32" in refused(arrays | {bias: np.zeros(32)})
    renamed = {f"model/{name}": value for name, value in arrays.items()}
    message = refused(renamed)
    assert "variables missing (VGG_grd/conv1_1/weights, VGG_grd/conv1_1/biases, " in message
    assert "unknown (model/VGG_grd/conv1_1/weights, " in message


def test_a_file_of_the_other_view_says_so(arrays: dict[str, Array], tmp_path: Path) -> None:
    (tmp_path / "model.ckpt").touch()
    wrong = arrays | {"spatial_grd/weights1": np.zeros((40, 20, 8), np.float32)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convert, "Checkpoint", lambda path: wrong)
        with pytest.raises(CheckpointError, match=r"model.ckpt: .*trained on robotcar\? say"):
            convert.convert(tmp_path / "model.ckpt", "vigor", tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_a_network_goes_to_disk_with_its_protocol(
    arrays: dict[str, Array],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "70").mkdir()
    (tmp_path / "70" / "model.ckpt").touch()
    monkeypatch.setattr(convert, "Checkpoint", lambda path: arrays)
    out = tmp_path / "cvml.safetensors"
    convert.convert(tmp_path / "70" / "model.ckpt", "robotcar", out)
    assert f"left out {len(arrays) * 2 // 3 + 2} of the optimiser's" in capsys.readouterr().out
    loaded = weights.load(out, "cvml")
    assert loaded.metadata["source"].startswith("TensorFlow checkpoint '70/model.ckpt'")
    assert loaded.metadata["metres_per_cell"] == pytest.approx(0.144375)
    assert loaded.config == {"view": "robotcar"}
    # The truth was the INS: 1.7 m behind the camera and 0.1 m to its right.
    assert loaded.reference_point.tolist() == [-1.7132, -0.1181]
    assert isinstance(loaded.model, Small)
    found = tensorflow_names.export_arrays(loaded.model)
    assert all(np.array_equal(value, arrays[name]) for name, value in found.items())


def test_a_checkpoint_is_found_by_any_of_its_names(tmp_path: Path) -> None:
    parts = ("model.ckpt-3.index", "model.ckpt-3.data-00000-of-00001", "model.ckpt-3.meta")
    for name in (*parts, "checkpoint"):
        (tmp_path / name).touch()
    prefix = tmp_path / "model.ckpt-3"
    for given in (tmp_path, prefix, *(tmp_path / name for name in parts)):
        assert find_prefix(given) == prefix


def test_no_checkpoint_there_or_several_is_one_line(tmp_path: Path) -> None:
    def refused(path: Path) -> str:
        with pytest.raises(CheckpointError) as caught:
            find_prefix(path)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)
        return str(caught.value)

    assert "is the archive unpacked?" in refused(tmp_path)
    assert "no model.ckpt.index" in refused(tmp_path / "model.ckpt")
    (tmp_path / "model.ckpt.index").touch()
    assert "no model.ckpt.data-00000-of-00001" in refused(tmp_path / "model.ckpt")
    (tmp_path / "other.index").touch()
    assert "holds 2 checkpoints (model.ckpt, other): name one" in refused(tmp_path)
    (tmp_path / "deep" / "9").mkdir(parents=True)
    (tmp_path / "deep" / "9" / "a.index").touch()
    assert str(tmp_path / "deep" / "9") in refused(tmp_path / "deep")


def test_without_tensorflow_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("index", "data-00000-of-00001"):
        (tmp_path / f"model.ckpt.{part}").touch()
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # type: ignore[arg-type]
    options = {"checkpoint": tmp_path / "model.ckpt", "view": "vigor", "out": tmp_path / "o"}
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    monkeypatch.setattr(sys, "argv", ["convert", *words])
    with pytest.raises(SystemExit) as caught:
        convert.main()
    message = str(caught.value)
    assert message.startswith("convert: TensorFlow is needed") and "\n" not in message
    assert "pip install -r requirements/convert.txt" in message
