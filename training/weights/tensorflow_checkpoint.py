"""TensorFlow 1 checkpoints as arrays by variable name.

TensorFlow itself is imported here and only when a checkpoint is read: ``pip install -r
requirements/convert.txt`` (some 600 MB, of no other use to us).
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
# The last part of a name that the optimiser made: Adam's two moments and its powers of beta.
_SLOT = re.compile(r"(Adam|Momentum|RMSProp|beta[12]_power)(_\d+)?$")
_STEP = re.compile(r"(global_step)(_\d+)?$")
# Of "model.ckpt.data-00000-of-00001" and its like, what TensorFlow wants is "model.ckpt".
_PART = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")


class CheckpointError(ValueError):
    """A checkpoint that can't be used; one line that says why and what to do."""


def is_optimiser(name: str) -> bool:
    """Whether a variable belongs to the optimiser (or counts its steps), not to the network."""
    last = name.removesuffix(":0").rsplit("/", 1)[-1]
    return bool(_SLOT.match(last) or _STEP.match(last))


def find_prefix(path: Path) -> Path:
    """Return the prefix that TensorFlow names a checkpoint by.

    Args:
        path: the prefix itself, one of its files (.index, .data-00000-of-00001, .meta), or a folder
            that holds one checkpoint.

    Raises:
        CheckpointError: where there is none, or a folder holds several.
    """
    if path.is_dir():
        found = sorted(file.with_suffix("") for file in path.glob("*.index"))
        if len(found) == 1:
            return found[0]
        if found:
            some = ", ".join(prefix.name for prefix in found[:3])
            raise CheckpointError(f"{path}: holds {len(found)} checkpoints ({some}): name one")
        inner = sorted(file.parent for file in path.glob("*/*.index"))
        hint = f"; there is one in {inner[0]}" if inner else "; is the archive unpacked?"
        raise CheckpointError(f"{path}: no .index file of a checkpoint in this folder{hint}")
    prefix = path.with_name(_PART.sub("", path.name))
    parts = sorted(prefix.parent.glob(f"{prefix.name}.*"))
    index = prefix.with_name(prefix.name + ".index")
    data = [part for part in parts if ".data-" in part.name]
    if index.is_file() and data:
        return prefix
    if prefix.is_file():  # the first format: one file
        return prefix
    lacking = ".data-00000-of-00001" if index.is_file() else ".index"
    raise CheckpointError(
        f"{prefix}: no {prefix.name}{lacking}: expected a checkpoint's .index and .data files "
        "beside each other"
    )


class Checkpoint(Mapping[str, Array]):
    """A checkpoint on disk; each variable is read when it is asked for.

    Args:
        path: see :func:`find_prefix`.

    Raises:
        CheckpointError: missing, damaged, not a checkpoint, or TensorFlow is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.prefix = find_prefix(path)
        tensorflow = _tensorflow()
        try:
            self._reader = tensorflow.train.load_checkpoint(str(self.prefix))
            self.shapes: dict[str, list[int]] = self._reader.get_variable_to_shape_map()
        except Exception as error:  # TensorFlow's readers raise of many kinds
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> CheckpointError:
        reason = " ".join(str(error).split())[:200]
        return CheckpointError(
            f"{self.prefix}: not a checkpoint that TensorFlow reads ({reason}): download it again"
        )

    def __getitem__(self, name: str) -> Array:
        if name not in self.shapes:
            raise KeyError(name)
        try:
            return np.asarray(self._reader.get_tensor(name))
        except Exception as error:
            raise self._damaged(error) from error

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.shapes))

    def __len__(self) -> int:
        return len(self.shapes)


def of_the_network(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the names that belong to the network, and those that are the optimiser's."""
    kept: list[str] = []
    dropped: list[str] = []
    for name in names:
        (dropped if is_optimiser(name) else kept).append(name)
    return kept, dropped


def _tensorflow() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        return importlib.import_module("tensorflow")
    except ImportError as error:
        raise CheckpointError(
            "TensorFlow is needed to read its checkpoints, here only: "
            f"pip install -r requirements/convert.txt ({error})"
        ) from error
