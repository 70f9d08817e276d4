"""Training on a dataset's reader, from the options to the weights file."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_runs import run

from cross_view_localizer.models import weights


def test_a_few_steps_give_weights_logs_and_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = run(tmp_path, monkeypatch, epochs=2, samples=None, checkpoint_every=8)
    loaded = weights.load(out)
    assert loaded.metadata["data"] == {"dataset": "plain", "split": "train"}
    assert loaded.metadata["validated_on"] == {"dataset": "plain", "split": "validation"}
    assert loaded.metadata["validation"]["mean"] > 0
    folder = tmp_path / "runs" / "tiny"
    assert (folder / "last.ckpt").is_file()
    assert (folder / "version_0" / "metrics.csv").is_file()
    assert list((folder / "version_0").glob("events.*"))
