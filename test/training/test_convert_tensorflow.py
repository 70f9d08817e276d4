"""Real TensorFlow checkpoints: written here by TensorFlow's own savers, converted back.

TensorFlow is no part of the test environment (some 600 MB): what needs it is skipped there. The
slow test at the end makes an environment that has it, and runs the others in it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cross_view_localizer.models import weights
from cross_view_localizer.models.contract import GroundInput
from cross_view_localizer.models.cvml import CVML
from training.weights import convert, tensorflow_names
from training.weights.tensorflow_checkpoint import Array, Checkpoint, CheckpointError

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT.parent / "shared" / "reference"
HAVE = importlib.util.find_spec("tensorflow") is not None
needs_tensorflow = pytest.mark.skipif(not HAVE, reason="TensorFlow: requirements/convert.txt")
# Variables that the tests' optimiser trains; all of them would make the files three times as large.
TRAINED = ("spatial_grd/weights1", "decode/conv6_2/biases")


def reference() -> Any:
    """Return the module that makes the weights and pictures behind the authors' outputs."""
    path = REFERENCE / "cvml_reference.py"
    if not path.is_file():
        pytest.skip("the authors' reference outputs are not here")
    spec = importlib.util.spec_from_file_location("cvml_reference", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def random_weights(view: str) -> dict[str, Array]:
    random = np.random.default_rng(0)
    shapes = tensorflow_names.shapes(CVML(view))
    return {name: random.standard_normal(s, dtype=np.float32) for name, s in shapes.items()}


def write(prefix: Path, values: dict[str, Array], version: int = 2) -> list[str]:
    """Save a graph of these variables with Adam, as TensorFlow 1 programs do; return all names.

    Args:
        version: of the file format, 1 (one file) or 2 (.index and .data).
    """
    tensorflow: Any = importlib.import_module("tensorflow")
    tf = tensorflow.compat.v1
    with tensorflow.Graph().as_default(), tf.Session() as session:
        variables = {
            name: tf.get_variable(name, value.shape, use_resource=False)
            for name, value in values.items()
        }
        step = tf.Variable(0, trainable=False, name="global_step", use_resource=False)
        trained = [variables[name] for name in TRAINED if name in variables]
        loss = tensorflow.add_n([tensorflow.reduce_sum(v * v) for v in trained])
        train = tf.train.AdamOptimizer(1e-5).minimize(loss, step, var_list=trained)
        session.run(tf.global_variables_initializer())
        session.run(train)  # so that the slots are not zero
        for name, value in values.items():
            variables[name].load(value, session)
        saver = tf.train.Saver(write_version=version)
        saver.save(session, str(prefix))
        return [variable.op.name for variable in tf.global_variables()]


@needs_tensorflow
@pytest.mark.parametrize(("view", "version"), [("vigor", 2), ("robotcar", 1)])
def test_what_tensorflow_saves_comes_back_bit_for_bit(
    view: str, version: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = random_weights(view)
    folder = tmp_path / "30"
    folder.mkdir()
    names = write(folder / "model.ckpt", values, version)
    # Two variables' two slots, the two powers of beta and the counter.
    assert len(names) == len(values) + 7
    out = tmp_path / "cvml.safetensors"
    convert.convert(folder if version == 2 else folder / "model.ckpt", view, out)  # type: ignore[arg-type]
    assert "left out 7 of the optimiser's" in capsys.readouterr().out
    model = weights.load(out, "cvml").model
    assert isinstance(model, CVML)
    found = tensorflow_names.export_arrays(model)
    assert found.keys() == values.keys()
    for name, value in values.items():
        assert found[name].dtype == value.dtype and found[name].tobytes() == value.tobytes(), name


@needs_tensorflow
def test_a_converted_network_answers_as_the_authors_graph(tmp_path: Path) -> None:
    module = reference()
    values = module.make_weights("vigor")
    write(tmp_path / "model.ckpt", values)
    convert.convert(tmp_path, "vigor", tmp_path / "cvml.safetensors")
    model = weights.load(tmp_path / "cvml.safetensors", "cvml").model
    assert isinstance(model, CVML)
    grounds, aerials = module.make_images("vigor")
    mean = torch.tensor([123.6, 116.779, 103.939]).view(1, 3, 1, 1)
    unused = torch.zeros(1)
    with np.load(REFERENCE / "cvml_vigor_reference.npz") as expected, torch.inference_mode():
        for index in range(len(grounds)):
            ground, aerial = (
                torch.from_numpy(np.ascontiguousarray(p[index][None, ..., ::-1])).permute(
                    0, 3, 1, 2
                )
                + mean
                for p in (grounds, aerials)
            )
            encoding = model.encode_aerial(aerial)
            query = model.encode_ground(GroundInput(ground, unused, unused, unused))
            matching = model.matching_map(encoding, query)
            logits = model.logits(encoding, query, matching)[0, 0].numpy()
            drift = np.abs(matching[0].numpy() - expected["matching_score"][index]).max()
            error = np.abs(logits[::8, ::8] - expected["logits_sampled"][index]).max()
            error /= float(expected["logits_std"][index])
            print(f"pair {index}: cosine {drift:.1e}, logits {error:.1e} standard deviations")
            assert drift < 1e-6 and error < 1e-4
            peak = np.unravel_index(logits.argmax(), logits.shape)
            assert peak == tuple(expected["argmax_row_col"][index])


@needs_tensorflow
def test_damaged_files_are_one_line(tmp_path: Path) -> None:
    values: dict[str, Array] = {TRAINED[1]: np.zeros(50_000, np.float32)}
    prefix = tmp_path / "model.ckpt"
    write(prefix, values)
    data = tmp_path / "model.ckpt.data-00000-of-00001"
    whole = data.read_bytes()

    def refused() -> str:
        with pytest.raises(CheckpointError) as caught:
            dict(Checkpoint(prefix))
        assert "\n" not in str(caught.value) and str(prefix) in str(caught.value)
        return str(caught.value)

    assert len(dict(Checkpoint(prefix))) == 6
    data.write_bytes(whole[: len(whole) // 2])
    assert "download it again" in refused()
    data.write_bytes(bytes(len(whole)))
    assert "download it again" in refused()
    data.write_bytes(whole)
    (tmp_path / "model.ckpt.index").write_bytes(b"nothing of the kind")
    assert "not a checkpoint that TensorFlow reads" in refused()


@pytest.mark.slow
@pytest.mark.skipif(HAVE, reason="TensorFlow is here: the tests above ran")
def test_in_an_environment_of_its_own(tmp_path: Path) -> None:
    """TensorFlow into a fresh environment beside this one's packages, and the tests above there."""
    pinned = re.search(
        r"^tensorflow\S*$", (ROOT / "requirements" / "convert.txt").read_text(), re.M
    )
    assert pinned
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (own,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (own / "beside.pth").write_text("\n".join(ours) + "\n")
    install = [str(python), "-m", "pip", "install", "-q", pinned[0]]
    subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run(
        [str(python), "-m", "pytest", "-q", "-rs", "-m", "not slow", __file__],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    print(done.stdout[-3000:])
    assert done.returncode == 0 and " passed" in done.stdout
    assert "TensorFlow: requirements" not in done.stdout
