"""A user's mistake on the command line ends in one line that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from training import evaluate, fit_calibration, train
from training.module import schedule


@pytest.mark.parametrize(
    ("main", "arguments", "said"),
    [
        (train.main, "--model bevv --out OUT", "expected one of bev"),
        (train.main, "--model bev --out OUT --start gone.safetensors", "no such weights file"),
        (evaluate.main, "--weights gone.safetensors", "no such weights file"),
        (evaluate.main, "--weights front --towns 0", "expected at least one record"),
        (fit_calibration.main, "--weights gone.safetensors", "no such weights file"),
    ],
)
def test_a_mistake_ends_in_one_line(
    main: Callable[[], None],
    arguments: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "weights.safetensors"
    words = arguments.replace("OUT", str(out)).split()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["command", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert said in str(end.value)
    assert "\n" not in str(end.value)
    assert not out.exists()


def test_the_learning_rate_warms_up_and_falls_to_a_hundredth() -> None:
    assert schedule(0.0) == pytest.approx(0.02)
    assert schedule(0.03) == pytest.approx(1.0)
    assert schedule(0.515) == pytest.approx(0.505)
    assert schedule(1.0) == pytest.approx(0.01)
