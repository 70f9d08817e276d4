"""A user's mistake on the command line ends in one line that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from training_runs import READER

from training import evaluate, fit_calibration, train
from training.datasets import registry
from training.learning.module import schedule

COMPACT = "--model cvml --out OUT --settings.backbone vgg16-compact --settings.width 0.25 "
PLAIN = COMPACT + "--settings.view compact-front --settings.cells 12 --data.reader plain "
CELLS = "--settings.view compact-panorama --settings.cells 12 "
VIGOR = COMPACT + CELLS + "--epochs 1 --data.reader vigor "
PANORAMA = COMPACT + CELLS + "--data.reader plain "


@pytest.mark.parametrize(
    ("main", "arguments", "said"),
    [
        (train.main, "--model bevv --out OUT", "expected one of bev"),
        (train.main, "--model bev --out OUT --start gone.safetensors", "no such weights file"),
        (train.main, "--model correlation --out OUT", "can't be trained"),
        (train.main, "--model bev --out OUT --samples 0", "samples 0: expected a positive"),
        (train.main, "--model bev --out OUT --epochs 0", "epochs 0: expected a positive"),
        (train.main, "--model bev --out OUT --batch 0", "batch 0: expected a positive"),
        (train.main, "--model bev --out OUT --sampels 3", "--sampels"),
        (train.main, "--model bev --out OUT --seed many", "many"),
        (train.main, "--model bev --out OUT --config gone.yaml", "gone.yaml"),
        (train.main, "--model bev --out OUT --resume true", "nothing to resume"),
        (train.main, "--out OUT", "model"),
        (train.main, "--config MISSPELT", "sampels"),
        (train.main, "--config BROKEN", "BROKEN.yaml"),
        (
            train.main,
            "--model cvml --out OUT --settings.view compact-front "
            "--settings.backbone vgg16-compact --settings.cells 12 --no_match_share 0.1",
            "CVML, as set, does not learn to tell",
        ),
        (
            train.main,
            PLAIN + "--root . --epochs 1 --no_match_share 0.1",
            "none of them beside data",
        ),
        (train.main, "--model bev --out OUT --data.reader vigour --root .", "one of cvact"),
        (train.main, "--model bev --out OUT --data.root .", "no reader given"),
        (train.main, VIGOR + "--root gone", "gone"),
        (train.main, VIGOR + "--root . --data.areas same", "no option 'areas'"),
        (train.main, PLAIN + "--root gone --samples 8", "gone: no such folder"),
        (train.main, PLAIN + "--root .", "expected one of the two"),
        (train.main, PLAIN + "--root . --samples 8 --epochs 1", "expected one of the two"),
        (train.main, PLAIN + "--root . --epochs 1 --batch 13", "batch 13 of 12 rows"),
        (train.main, PLAIN + "--root . --epochs 1 --validation.split train", "rows of training"),
        (train.main, PLAIN + "--root . --epochs 1 --validation.splits x", "no option 'splits'"),
        (train.main, PANORAMA + "--root . --epochs 1", "a panorama from a pinhole camera"),
        (evaluate.main, "--weights gone.safetensors", "no such weights file"),
        (evaluate.main, "--weights front --towns 0", "0 towns of 40 frames: expected at least one"),
        (evaluate.main, "--weights front --editions [town-v3]", "town-v3"),
        (fit_calibration.main, "--weights gone.safetensors", "no such weights file"),
        (
            fit_calibration.main,
            "--weights front --editions [town-v2,town-v2-other]",
            "edition 'town-v2-other' is kept from training and fitting: expected one of town-v1, ",
        ),
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
    (tmp_path / "MISSPELT.yaml").write_text("model: bev\nout: a.safetensors\nsampels: 3\n")
    (tmp_path / "BROKEN.yaml").write_text("model: [bev\n")
    monkeypatch.setitem(registry._READERS, "plain", READER)
    words = [
        {"OUT": str(out), "MISSPELT": "MISSPELT.yaml", "BROKEN": "BROKEN.yaml"}.get(word, word)
        for word in arguments.split()
    ]
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
