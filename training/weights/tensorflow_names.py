"""CVML's parameters by the names and in the layouts of the authors' TensorFlow graph.

Kernels are stored HWIO, those of transposed convolutions HWOI; a decoder convolution over
concatenated inputs is one TensorFlow variable and two or more of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cross_view_localizer.models.cvml import CVML
from cross_view_localizer.models.parts.kernel import Kernel, conv_kernel
from cross_view_localizer.models.parts.safa import Safa
from cross_view_localizer.models.parts.vgg import VggTrunk


class Variable(NamedTuple):
    """One TensorFlow variable: its name without ":0", and our kernel or plain tensor."""

    name: str
    value: Kernel | Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape in TensorFlow's layout."""
        if isinstance(self.value, Kernel):
            first, second, height, width = self.value.shape
            return height, width, second, first
        return tuple(self.value.shape)

    def to_tensorflow(self) -> NDArray[np.float32]:
        """Return our value in TensorFlow's layout."""
        if isinstance(
            self.value, Kernel
        ):  # conv OIHW, transposed IOHW: the permutation is the same
            return self.value.joined().permute(2, 3, 1, 0).contiguous().numpy()
        return self.value.detach().float().numpy().copy()

    def assign(self, array: NDArray[np.float32]) -> None:
        """Take over a value in TensorFlow's layout."""
        tensor = torch.from_numpy(np.array(array, dtype=np.float32))
        if isinstance(self.value, Kernel):
            self.value.assign(tensor.permute(3, 2, 0, 1))
        else:
            with torch.no_grad():
                self.value.copy_(tensor)


def _layer(name: str, kernel: Kernel) -> Iterator[Variable]:
    assert kernel.bias is not None
    yield Variable(f"{name}/weights", kernel)
    yield Variable(f"{name}/biases", kernel.bias)


def _trunk(scope: str, trunk: VggTrunk) -> Iterator[Variable]:
    for number, block in enumerate(trunk.blocks, 1):
        convs = [module for module in block.children() if isinstance(module, nn.Conv2d)]
        for index, conv in enumerate(convs, 1):
            yield from _layer(f"{scope}/conv{number}_{index}", conv_kernel(conv))


def _safa(scope: str, safa: Safa) -> Iterator[Variable]:
    for name in ("weights1", "biases1", "weights2", "biases2"):
        yield Variable(f"{scope}/{name}", getattr(safa, name))


def variables(model: CVML) -> Iterator[Variable]:
    """Go through all of the network's variables.

    Raises:
        ValueError: for a network that the authors' graph has no names for (normalisation layers, or
            more decoder stages than their six).
    """
    stages = model.decoder.kernels()
    if len(stages) > 6:
        raise ValueError(
            f"CVML with {len(stages)} decoder stages: expected at most the authors' 6 (cells >= 8)"
        )
    if any(isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)) for module in model.modules()):
        raise ValueError("CVML with normalisation: expected norm 'none' as in the authors' graph")
    yield from _trunk("VGG_grd", model.ground_trunk)
    yield from _safa("spatial_grd", model.ground_safa)
    yield from _trunk("VGG_sat", model.aerial_trunk)
    yield from _safa("spatial_sat", model.aerial_safa)
    # The last stage is the authors' sixth; with N = 16 the first falls away.
    for number, (up, conv1, conv2) in enumerate(stages, 7 - len(stages)):
        yield from _layer(f"decode/deconv{number}", up)
        yield from _layer(f"decode/conv{number}_1", conv1)
        yield from _layer(f"decode/conv{number}_2", conv2)


def export_arrays(model: CVML) -> dict[str, NDArray[np.float32]]:
    """Return the weights under TensorFlow's names and in its layouts."""
    return {variable.name: variable.to_tensorflow() for variable in variables(model)}


def shapes(model: CVML) -> dict[str, tuple[int, ...]]:
    """Return each variable's shape in TensorFlow's layout."""
    return {variable.name: variable.shape for variable in variables(model)}


def load_arrays(model: CVML, arrays: Mapping[str, NDArray[np.float32]]) -> None:
    """Take over weights given under TensorFlow's names (a ":0" at the end is allowed).

    Raises:
        ValueError: where a variable is missing, left over or of another shape; nothing changes then
    """
    given = {name.removesuffix(":0"): value for name, value in arrays.items()}
    expected = shapes(model)
    missing = [name for name in expected if name not in given]
    surplus = [name for name in given if name not in expected]
    if missing or surplus:
        raise ValueError(
            f"{len(missing)} variables missing ({', '.join(missing[:3])}), {len(surplus)} unknown "
            f"({', '.join(surplus[:3])}): expected this network's {len(expected)}"
        )
    for name, shape in expected.items():
        if tuple(given[name].shape) != shape:
            raise ValueError(f"{name} of shape {tuple(given[name].shape)}: expected {shape}")
    for variable in variables(model):
        variable.assign(given[variable.name])
