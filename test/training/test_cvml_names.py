"""Importing by TensorFlow's names."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cross_view_localizer.models.cvml import CVML
from training.weights import tensorflow_names

VIEW = {"base": "robotcar", "aerial_size": 512, "ground_width": 64, "ground_height": 64}


def small(cells: int = 8, fusion: str = "SM", norm: str = "none") -> CVML:
    return CVML(VIEW, cells=cells, fusion=fusion, norm=norm, width=1 / 16)


def test_what_is_exported_can_be_loaded() -> None:
    source, target = small(), small()
    arrays = tensorflow_names.export_arrays(source)
    tensorflow_names.load_arrays(target, {f"{name}:0": value for name, value in arrays.items()})
    assert {name: value.shape for name, value in arrays.items()} == tensorflow_names.shapes(source)
    for name, value in target.state_dict().items():
        assert torch.equal(value, source.state_dict()[name]), name


def test_every_parameter_has_a_name() -> None:
    model = small()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(torch.nan)
    shapes = tensorflow_names.shapes(model)
    tensorflow_names.load_arrays(
        model, {name: np.zeros(s, np.float32) for name, s in shapes.items()}
    )
    assert not any(parameter.isnan().any() for parameter in model.parameters())


@pytest.mark.parametrize(("fusion", "channels"), [("SM", 257), ("M", 1), ("SG", 512), ("SMG", 513)])
def test_first_kernel_spans_the_fused_inputs(fusion: str, channels: int) -> None:
    """Descriptors have 8 heads of 512 / 16 channels."""
    shape = tensorflow_names.shapes(small(fusion=fusion))["decode/deconv1/weights"]
    assert shape == (3, 3, 64, channels)


def test_sixteen_cells_drop_the_first_stage() -> None:
    names = tensorflow_names.shapes(small(cells=16))
    assert "decode/deconv1/weights" not in names and "decode/deconv2/weights" in names


def test_networks_without_names_are_refused() -> None:
    with pytest.raises(ValueError, match="7 decoder stages"):
        tensorflow_names.shapes(small(cells=4))
    with pytest.raises(ValueError, match="normalisation"):
        tensorflow_names.shapes(small(norm="batch"))


def test_misfits_are_named_and_change_nothing() -> None:
    model = small()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    arrays = {name: value + 1 for name, value in tensorflow_names.export_arrays(model).items()}
    missing = {name: value for name, value in arrays.items() if name != "VGG_sat/conv3_2/biases"}
    with pytest.raises(ValueError, match="1 variables missing .VGG_sat/conv3_2/biases"):
        tensorflow_names.load_arrays(model, missing)
    with pytest.raises(ValueError, match="1 unknown .beta1_power"):
        tensorflow_names.load_arrays(model, {**arrays, "beta1_power": np.zeros(1, np.float32)})
    wrong = {**arrays, "decode/conv6_2/biases": np.zeros(2, np.float32)}
    with pytest.raises(ValueError, match=r"decode/conv6_2/biases of shape \(2,\): expected \(1,\)"):
        tensorflow_names.load_arrays(model, wrong)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
