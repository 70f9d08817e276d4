"""Weights on disk: safetensors with all that rebuilds the model. Loading never runs code."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.models import registry
from cross_view_localizer.models.contract import CrossViewModel
from cross_view_localizer.views import View

FORMAT = "cross_view_localizer/1"
SHIPPED = Path(__file__).resolve().parent.parent / "weights"
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


class WeightsError(ValueError):
    """A weights file that can't be used; the message is one line that says why and what to do."""


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A model ready to run.

    Attributes:
        model: in evaluation mode, float32, on the CPU.
        name: its name in the registry.
        config: its keyword configuration.
        calibration: fitted on held-out frames, the default where the file holds none.
        metadata: whatever the training wrote (command, seeds, hours, validation metrics,
            "reference_point", "searchable_half" in metres, "searchable_yaw" in radians: how wrong
            the given heading may be, "camera_heights" [lowest, highest] in metres …).
        identifier: name and hash of the weights, for ``~/estimate``.
    """

    model: CrossViewModel
    name: str
    config: dict[str, Any]
    calibration: Calibration
    metadata: dict[str, Any]
    identifier: str

    @property
    def reference_point(self) -> NDArray[np.float64]:
        """(forward, left), metres, of the point that the weights find.

        In the camera's levelled frame; zero for the camera. Weights of another point ("ins") carry
        ``reference_in_camera``.

        Raises:
            WeightsError: another point without its lever arm.
        """
        name = self.metadata.get("reference_point", "camera")
        if name == "camera":
            return np.zeros(2)
        lever = np.asarray(self.metadata.get("reference_in_camera", ()), dtype=np.float64)
        if lever.shape != (2,) or not np.isfinite(lever).all():
            raise WeightsError(
                f"weights find the point '{name}' with reference_in_camera {lever.tolist()}: "
                "expected (forward, left) in metres"
            )
        return lever

    @property
    def camera_heights(self) -> tuple[float, float]:
        """How high above the road a camera may be, metres; any height where nothing is said.

        Raises:
            WeightsError: not two heights in order.
        """
        said = self.metadata.get("camera_heights", (0.0, math.inf))
        try:
            low, high = (float(height) for height in said)
        except (TypeError, ValueError):
            low = high = math.nan
        if not 0 <= low < high:
            raise WeightsError(
                f"weights with camera_heights {said!r}: expected [lowest, highest], metres"
            )
        return low, high


def resolve(path: str | Path) -> Path:
    """Return the path of a weights file; a bare name ("front", "panorama") is a shipped one."""
    given = Path(path)
    if given.suffix == "" and given.parent == Path() and not given.exists():
        return SHIPPED / f"{given}.safetensors"
    return given


def save(
    path: str | Path,
    model_name: str,
    config: dict[str, Any],
    state: dict[str, Tensor],
    metadata: dict[str, Any] | None = None,
    calibration: Calibration | None = None,
) -> None:
    """Write weights; the file appears whole or not at all.

    Args:
        path: where to; its folder is made.
        model_name, config: what :func:`registry.build` takes.
        state: the model's state dictionary.
        metadata: anything JSON can hold.
        calibration: as fitted on held-out frames.

    Raises:
        ValueError: where the state does not fit the model, or holds values that aren't finite.
    """
    target = Path(path)
    model = registry.build(model_name, config)
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    _fill(model, tensors, target)
    header = {
        "format": FORMAT,
        "model": model_name,
        "config": json.dumps(config),
        "view": json.dumps(dataclasses.asdict(model.view)),
        "calibration": json.dumps(calibration.to_dict() if calibration else None),
        "metadata": json.dumps(metadata or {}),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    try:
        save_file(tensors, temporary, metadata=header)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def load(path: str | Path, expected: str | None = None) -> LoadedModel:
    """Read weights and build their model.

    Args:
        path: a file, or the bare name of one that is shipped.
        expected: the name of the model the caller wants; None takes any.

    Raises:
        WeightsError: missing, truncated, not safetensors (a pickle could carry code), written for
            another model, or not fitting it. One line.
    """
    file = resolve(path)
    header, tensors = _read(file)
    name = header.get("model", "")
    if header.get("format") != FORMAT:
        raise WeightsError(
            f"{file}: format '{header.get('format')}', expected '{FORMAT}': another program's"
        )
    if expected and name != expected:
        raise WeightsError(
            f"{file}: weights of model '{name}', expected '{expected}': choose one of the two"
        )
    try:
        config, metadata = json.loads(header["config"]), json.loads(header["metadata"])
        values, view = json.loads(header["calibration"]), json.loads(header["view"])
        calibration = Calibration.from_dict(values) if values else Calibration()
        model = registry.build(name, config)
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{file}: {error}") from error
    if dataclasses.asdict(model.view) != View.completed(view):
        raise WeightsError(
            f"{file}: made for the view {view}, but model '{name}' now has {model.view}"
        )
    _fill(model, tensors, file)
    return LoadedModel(model.eval(), name, config, calibration, metadata, f"{name}-{_digest(file)}")


def without_weights(name: str, config: dict[str, Any] | None = None) -> LoadedModel:
    """Build a method as it is made, for those that learn nothing ("correlation") and for tests."""
    model = registry.build(name, config or {})
    return LoadedModel(model.eval(), name, config or {}, Calibration(), {}, f"{name}-unlearned")


def _read(file: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    if not file.is_file():
        raise WeightsError(
            f"{file}: no such weights file: give a .safetensors file, or 'front' or 'panorama'"
        )
    with file.open("rb") as stream:
        start = stream.read(9)
    # Of safetensors these are the header's length, any eight bytes, and the header's first brace.
    if start.startswith(_PICKLES) and start[8:] != b"{":
        raise WeightsError(
            f"{file}: a pickle, which could carry code, is never opened: expected safetensors"
        )
    try:
        with safe_open(str(file), framework="pt", device="cpu") as content:
            header = content.metadata() or {}
            return header, {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise WeightsError(
            f"{file}: truncated or not safetensors ({reason}): fetch the file again"
        ) from error


def _fill(model: CrossViewModel, tensors: dict[str, Tensor], file: Path) -> None:
    """Put the tensors into the model, or raise a WeightsError naming the first misfit."""
    own = model.state_dict()
    for name, tensor in own.items():
        if name not in tensors:
            raise WeightsError(
                f"{file}: tensor '{name}' is missing: weights of another configuration?"
            )
        if tensors[name].shape != tensor.shape:
            raise WeightsError(
                f"{file}: tensor '{name}' has shape {tuple(tensors[name].shape)}, "
                f"expected {tuple(tensor.shape)}"
            )
        if tensors[name].is_floating_point() and not torch.isfinite(tensors[name]).all():
            raise WeightsError(
                f"{file}: tensor '{name}' holds values that are not finite: train again"
            )
    extra = sorted(set(tensors) - set(own))
    if extra:
        raise WeightsError(f"{file}: tensor '{extra[0]}' belongs to no part of the model")
    model.load_state_dict(tensors)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]
