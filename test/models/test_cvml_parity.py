"""The network against TensorFlow: the authors' outputs, and the same graph at RobotCar's sizes."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import formula
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from cross_view_localizer.models.contract import GroundInput
from cross_view_localizer.models.cvml import CVML
from training.weights import tensorflow_names

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT.parent / "shared" / "reference"


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def outputs(model: CVML, ground: Tensor, aerial: Tensor) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return matching map (N, N) and logits (512, 512) of one pair of (1, 3, H, W) RGB pictures."""
    unused = torch.zeros(1)
    descriptor = model.encode_ground(GroundInput(ground, unused, unused, unused))
    encoding = model.encode_aerial(aerial)
    matching = model.matching_map(encoding, descriptor)
    return matching[0].numpy(), model.logits(encoding, descriptor, matching)[0, 0].numpy()


def to_rgb(bgr_without_mean: NDArray[np.float32]) -> Tensor:
    """Undo what the reference has already done to its pictures, which the model does itself."""
    rgb = (bgr_without_mean + np.array([103.939, 116.779, 123.6], np.float32))[..., ::-1]
    return torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None]


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="../shared/reference is not here")
def test_vigor_equals_the_authors_graph() -> None:
    spec = importlib.util.spec_from_file_location("reference", REFERENCE / "cvml_reference.py")
    assert spec and spec.loader
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    model = CVML("vigor").eval()
    listed = json.loads((REFERENCE / "cvml_vigor_variables.json").read_text())
    assert {k: list(v) for k, v in tensorflow_names.shapes(model).items()} == listed
    tensorflow_names.load_arrays(model, reference.make_weights("vigor"))
    grounds, aerials = reference.make_images("vigor")
    with np.load(REFERENCE / "cvml_vigor_reference.npz") as expected:
        for index in range(2):
            matching, logits = outputs(model, to_rgb(grounds[index]), to_rgb(aerials[index]))
            std = float(expected["logits_std"][index])
            np.testing.assert_allclose(
                matching, expected["matching_score"][index], atol=1e-6, rtol=0
            )
            error = np.abs(logits[::8, ::8] - expected["logits_sampled"][index]).max() / std
            assert error < 1e-4
            assert logits.mean() == pytest.approx(
                float(expected["logits_mean"][index]), abs=1e-4 * std
            )
            assert logits.std() == pytest.approx(std, rel=1e-4)
            peak = np.unravel_index(logits.argmax(), logits.shape)
            assert peak == tuple(expected["argmax_row_col"][index])
            # float64: over a quarter of a million cells float32 sums lose digits of their own
            shifted = np.exp(logits.astype(np.float64) - logits.max())
            assert 1 / shifted.sum() == pytest.approx(
                float(expected["max_probability"][index]), rel=1e-2
            )


def test_robotcar_equals_tensorflow() -> None:
    """The file's numbers are TensorFlow's in float64: see make_cvml_robotcar_reference.py."""
    model = CVML("robotcar").eval()
    tensorflow_names.load_arrays(model, formula.weights(tensorflow_names.shapes(model)))
    assert tensorflow_names.shapes(model)["spatial_grd/weights1"] == (40, 20, 8)
    with np.load(ROOT / "test" / "data" / "cvml_robotcar_tensorflow.npz") as expected:
        for index in range(2):
            pictures = [
                torch.from_numpy(formula.picture(name, *size)).permute(2, 0, 1)[None].float()
                for name, size in (
                    (f"robotcar ground {index}", (154, 231)),
                    (f"robotcar aerial {index}", (512, 512)),
                )
            ]
            matching, logits = outputs(model, pictures[0], pictures[1])
            mean, std = (float(value) for value in expected["mean_std"][index])
            np.testing.assert_allclose(matching, expected["matching"][index], atol=1e-6, rtol=0)
            assert np.abs(logits[8::32, 8::32] - expected["logits"][index]).max() / std < 1e-4
            assert logits.mean() == pytest.approx(mean, abs=1e-4 * std)
            assert logits.std() == pytest.approx(std, rel=1e-4)
            peak = np.unravel_index(logits.argmax(), logits.shape)
            assert peak == tuple(expected["argmax"][index])
