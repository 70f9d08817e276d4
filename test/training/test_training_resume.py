"""A training killed in the middle of an epoch ends with the unbroken one's batches and weights."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from recorded_training import process, recorded, steps
from training_runs import SETTINGS, run

from cross_view_localizer.models import weights
from training.learning.module import Training

# Three batches an epoch: the kill comes in the second one, a step after a checkpoint.
LENGTH: dict[str, Any] = {"samples": 36, "checkpoint_every": 8, "vary": True}
# With dropout, which must be drawn again as it was.
DROPOUT = {"settings": SETTINGS | {"backbone": "vgg16", "width": 0.125}, "learning_rate": 1e-4}


def check(whole: Path, broken: Path) -> None:
    """The steps from the checkpoint on, and the weights, are those of the unbroken training."""
    expected, found = steps(whole), steps(broken)
    assert [s["step"] for s in expected] == list(range(9))
    assert found[:5] == expected[:5]
    assert found[5:] == expected[4:]
    assert len({str(s["places"]) for s in expected}) == 9
    first, second = (
        weights.load(folder / "tiny.safetensors").model.state_dict() for folder in (whole, broken)
    )
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, rtol=0, atol=0, msg=name)


def test_a_killed_training_goes_on_with_the_same_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    killed = process(broken, LENGTH | DROPOUT, fatal=5)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    inner = Training.training_step
    whole.mkdir()
    for folder, resume in ((whole, False), (broken, True)):
        monkeypatch.setattr(Training, "training_step", inner)
        monkeypatch.setattr(Training, "training_step", recorded(folder))
        run(folder, monkeypatch, resume=resume, **LENGTH, **DROPOUT)
    check(whole, broken)


@pytest.mark.slow
def test_so_it_does_with_loader_processes(tmp_path: Path) -> None:
    changes = LENGTH | {"workers": 2}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert process(whole, changes).returncode == 0
    assert process(broken, changes, fatal=5).returncode == -signal.SIGKILL
    assert process(broken, changes | {"resume": True}).returncode == 0
    check(whole, broken)
    alone = tmp_path / "alone"
    assert process(alone, LENGTH).returncode == 0
    assert [s["places"] for s in steps(alone)] == [s["places"] for s in steps(whole)]


def test_nothing_to_resume_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="nothing to resume"):
        run(tmp_path, monkeypatch, resume=True)


def test_another_batch_does_not_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, monkeypatch, samples=8, checkpoint_every=4)
    with pytest.raises(ValueError, match="batch 2: the checkpoint's is 4"):
        run(tmp_path, monkeypatch, samples=8, batch=2, resume=True)
