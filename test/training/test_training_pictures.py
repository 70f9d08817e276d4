"""Pictures for TensorBoard: the truth, the answer and the heatmap are where they are said to be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_runs import run

from cross_view_localizer.models.bev import VIEWS
from training.learning.pictures import FOUND, SIDE, TRUTH, overlaid, panel


def middle_of(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """Return the (column, row) of a cross: its longest row and column."""
    found = np.all(picture == color, axis=-1)
    assert found.any()
    return np.array([found.sum(axis=0).argmax(), found.sum(axis=1).argmax()])


def test_the_crosses_stand_at_truth_and_answer() -> None:
    view = VIEWS["pinhole"]  # its heatmap is half of the picture, 20 m behind the middle
    aerial = np.zeros((view.aerial_size, view.aerial_size, 3), np.uint8)
    ground = np.zeros((view.ground_height, view.ground_width, 3), np.uint8)
    mass = np.zeros((view.output_size, view.output_size), np.float32)
    mass[10, 80] = 1.0
    truth = np.array([-12.0, 20.0], np.float32)
    drawn = panel(view, aerial, ground, mass, truth)
    camera = round(SIDE * view.ground_width / view.ground_height)
    assert drawn.shape == (SIDE, SIDE + camera + SIDE, 3)
    scale = SIDE / view.aerial_size
    ahead = view.aerial_ahead / view.aerial_gsd
    expected = (truth + [0, ahead] + view.aerial_size / 2) * scale - 0.5
    for picture in (drawn[:, :SIDE], drawn[:, -SIDE:]):
        assert np.abs(middle_of(picture, TRUTH) - expected).max() <= 1
    answer = np.array([80, 10]) - (view.output_size - 1) / 2 + [0, ahead]
    expected = (answer + view.aerial_size / 2) * scale - 0.5
    assert np.abs(middle_of(drawn[:, -SIDE:], FOUND) - expected).max() <= 1


def test_the_heatmap_is_red_where_its_mass_is() -> None:
    view = VIEWS["pinhole"]
    mass = np.zeros((view.output_size, view.output_size), np.float32)
    mass[40:44, 60:64] = 1 / 16
    shown = overlaid(np.zeros((SIDE, SIDE, 3), np.uint8), view, mass).astype(int)
    rows, columns = np.nonzero(shown[..., 0] - shown[..., 1] > 60)
    scale = SIDE / view.aerial_size
    middle = np.array([61.5, 41.5]) - (view.output_size - 1) / 2
    middle = middle + [0, view.aerial_ahead / view.aerial_gsd]
    expected = (middle + view.aerial_size / 2) * scale - 0.5
    assert np.abs([columns.mean(), rows.mean()] - expected).max() < 1


def test_tensorboard_gets_scalars_and_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, monkeypatch, samples=8, validate_every=4)
    events = EventAccumulator(str(tmp_path / "runs" / "tiny" / "version_0")).Reload()
    assert [event.step for event in events.Images("validation")] == [1, 2]
    assert events.Images("validation")[0].height == 4 * SIDE
    assert [event.step for event in events.Scalars("validation/nll")] == [1, 2]
