"""Weights files: what is kept, what is refused, and that nothing half-written looks whole."""

from __future__ import annotations

import json
import math
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.models import registry, weights
from cross_view_localizer.models.contract import CrossViewModel, GroundInput, Scores
from cross_view_localizer.models.weights import WeightsError, load, save
from cross_view_localizer.views import View


class Tiny(CrossViewModel):
    """The smallest model with something to learn."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.view = View("pinhole", 8, 6, 16, 1.0, 16, 1.0)
        self.layer = nn.Conv2d(3, width, 1)
        self.norm = nn.BatchNorm2d(width)

    def encode_aerial(self, image: Tensor) -> Any:
        return image

    def encode_ground(self, ground: GroundInput) -> Any:
        return ground

    def match(self, aerial: Any, ground: Any) -> Scores:
        return Scores(torch.zeros(1, 1, 16, 16), torch.zeros(1))


@pytest.fixture(autouse=True)
def tiny_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._CLASSES, "tiny", (__name__, "Tiny"))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "tiny.safetensors"
    calibration = Calibration(temperature=1.5)
    save(path, "tiny", {"width": 4}, Tiny(4).state_dict(), {"seed": 3}, calibration)
    return path


def one_line(path: Path, expected: str | None = None) -> str:
    with pytest.raises(WeightsError) as caught:
        load(path, expected)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def rewritten(path: Path, **changes: str) -> Path:
    with safe_open(str(path), framework="pt") as file:
        header, tensors = dict(file.metadata()), {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    save_file(tensors, str(path), metadata=header | changes)
    return path


def test_everything_comes_back(tmp_path: Path) -> None:
    model = Tiny(4)
    path = tmp_path / "tiny.safetensors"
    state = model.state_dict()
    save(path, "tiny", {"width": 4}, state, {"seed": 3, "hours": 1.5}, Calibration(1.5))
    loaded = load(path, "tiny")
    assert not loaded.model.training
    for name, tensor in loaded.model.state_dict().items():
        assert torch.equal(tensor, state[name])
    assert (loaded.name, loaded.config) == ("tiny", {"width": 4})
    assert loaded.metadata == {"seed": 3, "hours": 1.5}
    assert loaded.calibration == Calibration(1.5)
    assert loaded.identifier.startswith("tiny-") and loaded.identifier == load(path).identifier


def test_a_half_precision_file_fills_a_float_model(tmp_path: Path) -> None:
    state = {k: v.half() if v.is_floating_point() else v for k, v in Tiny().state_dict().items()}
    save(tmp_path / "half.safetensors", "tiny", {}, state)
    loaded = load(tmp_path / "half.safetensors").model.state_dict()
    assert all(t.dtype == torch.float32 for t in loaded.values() if t.is_floating_point())


def test_a_length_that_looks_like_a_pickle_is_none(tmp_path: Path) -> None:
    """A file begins with its header's length: 640 bytes are 80 02, as a pickle of protocol 2."""
    file, seen = tmp_path / "tiny.safetensors", set()
    for padding in range(0, 400, 4):
        save(file, "tiny", {}, Tiny().state_dict(), {"padding": "x" * padding})
        seen.add(file.read_bytes()[:2])
        assert load(file).metadata["padding"] == "x" * padding
    assert seen & {b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"}


def test_missing(tmp_path: Path) -> None:
    assert "no such weights file" in one_line(tmp_path / "none.safetensors")


def test_a_bare_name_is_a_shipped_file() -> None:
    assert weights.resolve("front") == weights.SHIPPED / "front.safetensors"
    assert weights.resolve("./front") == weights.SHIPPED / "front.safetensors"
    assert weights.resolve("a/front") == Path("a/front")


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_truncated(saved: Path, keep: int) -> None:
    saved.write_bytes(saved.read_bytes()[:keep])
    assert "truncated or not safetensors" in one_line(saved)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)

    def __init__(self, target: Path) -> None:
        self.target = target


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5, "torch"])
def test_what_could_carry_code_is_never_run(tmp_path: Path, protocol: int | str) -> None:
    path, target = tmp_path / "evil.safetensors", tmp_path / "ran"
    if protocol == "torch":
        torch.save(Bomb(target), path)
    else:
        path.write_bytes(pickle.dumps(Bomb(target), protocol=int(protocol)))
    message = one_line(path)
    assert "could carry code" in message or "not safetensors" in message
    assert not target.exists()


def test_for_another_model(saved: Path) -> None:
    assert "weights of model 'tiny', expected 'cvml'" in one_line(saved, "cvml")


def test_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(2)}, str(path))
    assert "another program" in one_line(path)


def test_a_missing_tensor_and_one_too_many(saved: Path) -> None:
    with safe_open(str(saved), framework="pt") as file:
        header, tensors = dict(file.metadata()), {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    taken = tensors.pop("layer.bias")
    save_file(tensors, str(saved), metadata=header)
    assert "'layer.bias' is missing" in one_line(saved)
    save_file({**tensors, "layer.bias": taken, "x": taken.clone()}, str(saved), metadata=header)
    assert "'x' belongs to no part" in one_line(saved)


def test_another_shape(saved: Path) -> None:
    message = one_line(rewritten(saved, config=json.dumps({"width": 5})))
    assert "has shape (4, 3, 1, 1), expected (5, 3, 1, 1)" in message


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"config": "{"}, "Expecting"),
        ({"config": json.dumps({"depth": 1})}, "does not take this configuration"),
        ({"model": "none"}, "expected one of"),
        ({"calibration": json.dumps({"temperature": 0})}, "temperature"),
        ({"view": json.dumps({"ground": "panorama"})}, "made for the view"),
    ],
)
def test_a_header_that_does_not_fit(saved: Path, changes: dict[str, str], says: str) -> None:
    assert says in one_line(rewritten(saved, **changes))


def test_values_that_are_not_finite_are_neither_saved_nor_loaded(saved: Path) -> None:
    state = Tiny(4).state_dict()
    state["layer.bias"][0] = math.nan
    before = saved.read_bytes()
    with pytest.raises(ValueError, match="not finite"):
        save(saved, "tiny", {"width": 4}, state)
    assert saved.read_bytes() == before
    with safe_open(str(saved), framework="pt") as file:
        header = dict(file.metadata())
    save_file(state, str(saved), metadata=header)
    assert "not finite" in one_line(saved)


def test_a_failed_write_leaves_the_old_file_and_no_rest(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def fails(tensors: object, path: str, metadata: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(weights, "save_file", fails)
    with pytest.raises(OSError, match="disk full"):
        save(saved, "tiny", {"width": 4}, Tiny(4).state_dict())
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_unknown_models_are_answered_with_the_known() -> None:
    with pytest.raises(ValueError, match="'orienternet' is unknown: expected one of bev") as caught:
        registry.build("orienternet", {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["bev", "correlation", "cvml"])
def test_every_name_has_its_class(name: str) -> None:
    import importlib

    module, attribute = registry._CLASSES[name]
    assert issubclass(getattr(importlib.import_module(module), attribute), CrossViewModel)
