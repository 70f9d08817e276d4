"""Weights to start from: an earlier stage's, another model's, or a trunk's alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from cross_view_localizer.models import weights as weights_file


def warm_start(
    network: nn.Module, start: Path, about: dict[str, Any], same: bool, choose_by: str = "nll"
) -> tuple[dict[str, Any], float]:
    """Fill ``network`` from ``start``; return what its file says of earlier stages, and its best
    validation figure.

    That figure counts only where the stage goes on with the ``same`` file.

    Raises:
        WeightsError: a file that can't be used, or nothing in it that fits; one line.
    """
    given, earlier = read_tensors(start)
    own = network.state_dict()
    fitting = {k: v for k, v in given.items() if k in own and own[k].shape == v.shape}
    if not fitting:
        example = next(iter(given), "none")
        raise weights_file.WeightsError(
            f"{start}: none of its {len(given)} tensors ('{example}' …) fits the model by name and "
            f"shape: expected such as '{next(iter(own))}'"
        )
    network.load_state_dict(fitting, strict=False)
    print(f"{start}: {len(fitting)} of {len(own)} tensors taken")
    if not same:
        # Whose work it is derived from outlasts every stage.
        kept = {key: earlier[key] for key in ("derived_from",) if key in earlier}
        return about | kept | {"started_from": start.name}, float("inf")
    seeds = [*earlier.get("seeds", []), *about["seeds"]]
    best = earlier.get("validation", {}).get(choose_by, float("inf"))
    return earlier | about | {"seeds": seeds}, float(best)


def read_tensors(start: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return a file's tensors by name, and its metadata where it is a weights file of ours."""
    file = weights_file.resolve(start)
    try:
        with safe_open(str(file), framework="pt", device="cpu") as content:
            header = content.metadata() or {}
            if header.get("format") != weights_file.FORMAT:
                return {key: content.get_tensor(key) for key in content.keys()}, {}  # noqa: SIM118
    except (SafetensorError, OSError):
        pass  # load() says what is wrong with it
    loaded = weights_file.load(start)
    return dict(loaded.model.state_dict()), loaded.metadata
