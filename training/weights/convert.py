"""The authors' CVML checkpoints as our weights: ``python -m training.weights.convert --checkpoint
model.ckpt --view vigor --out cvml_vigor_same.safetensors``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jsonargparse
import numpy as np

from cross_view_localizer.models import weights
from cross_view_localizer.models.cvml import CVML
from training.weights import tensorflow_names
from training.weights.tensorflow_checkpoint import (
    Array,
    Checkpoint,
    CheckpointError,
    find_prefix,
    of_the_network,
)

PROTOCOLS: dict[str, dict[str, Any]] = {
    "vigor": {
        "reference_point": "camera",
        # 0.114 m/px for every city, as the authors measure; the tiles' own differ by up to 12 %.
        "metres_per_cell": 0.114 * 640 / 512,
        "labels": "original",
    },
    "robotcar": {
        # Trained on the positions of the INS; forward and left of the camera by the dataset's
        # calibration (its SDK writes x forward, y right: -1.7132, 0.1181).
        "reference_point": "ins",
        "reference_in_camera": [-1.7132, -0.1181],
        "metres_per_cell": 0.0924 * 800 / 512,
        # Training draws the camera within 200 * sqrt(2) px of 0.0924 m of the patch's middle.
        "searchable_half": 26.1,
    },
}


class Converted(NamedTuple):
    """A network with the authors' weights, and the names of what was left out."""

    model: CVML
    optimiser: list[str]


def convert_arrays(arrays: Mapping[str, Array], view: str) -> Converted:
    """Fill CVML from variables by TensorFlow's names.

    Args:
        arrays: whatever a checkpoint holds; only the network's own are read.
        view: "vigor" or "robotcar".

    Raises:
        ValueError: variables missing or left over, of another shape or type.
    """
    kept, dropped = of_the_network(arrays)
    network: dict[str, Array] = {}
    for name in kept:
        value = np.asarray(arrays[name])
        if value.ndim == 0 and np.issubdtype(value.dtype, np.integer):
            dropped.append(name)  # a step counter that nobody named
            continue
        network[name] = value
    model = CVML(view)
    expected = tensorflow_names.shapes(model)
    for name, value in network.items():
        if value.dtype != np.float32 and name.removesuffix(":0") in expected:
            raise ValueError(f"{name} of type {value.dtype}: expected float32")
    tensorflow_names.load_arrays(model, network)
    return Converted(model.eval(), dropped)


def convert(checkpoint: Path, view: Literal["vigor", "robotcar"], out: Path) -> None:
    """Write a CVML checkpoint of TensorFlow 1 as our weights.

    Args:
        checkpoint: its prefix, one of its files, or the folder that holds one checkpoint.
        view: what it was trained on; sizes of pictures follow from it.
        out: the .safetensors file to write.
    """
    prefix = find_prefix(checkpoint.resolve())
    try:
        model, dropped = convert_arrays(Checkpoint(prefix), view)
    except CheckpointError:
        raise
    except ValueError as error:
        other = "robotcar" if view == "vigor" else "vigor"
        raise CheckpointError(
            f"{prefix}: {error} (CVML for {view}; trained on {other}? say --view {other})"
        ) from error
    source = {
        "source": f"TensorFlow checkpoint '{prefix.parent.name}/{prefix.name}' of the authors of "
        "CVML (ECCV 2022)",
        "view": view,
    }
    weights.save(out, "cvml", {"view": view}, model.state_dict(), source | PROTOCOLS[view])
    count = len(tensorflow_names.shapes(model))
    print(
        f"{out}: {count} variables of CVML ({view}); "
        f"left out {len(dropped)} of the optimiser's ({', '.join(dropped[:3]) or 'none'})"
    )


def main() -> None:
    """Command line."""
    try:
        jsonargparse.CLI(convert, as_positional=False)
    except ValueError as error:
        raise SystemExit(f"convert: {error}") from None


if __name__ == "__main__":
    main()
