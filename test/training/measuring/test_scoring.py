"""What a model gives on a reader's rows: every figure against one computed by hand."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from blob_pairs import NORTH, SIDE, BlobReader, blob_model
from numpy.typing import NDArray

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.views import View
from training.datasets.pair import GroundPicture, Label
from training.measuring.scoring import (
    Frame,
    Frames,
    HeadingNoise,
    Scored,
    drawn,
    grid_of,
    measured,
    score,
)


def scored(reader: BlobReader, heading_up: bool = True, **options: object) -> list[Scored]:
    model = blob_model(heading_up)
    return list(score(model, Frames(reader, model.model.view, **options), 2))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "yaw", "along", "across"),
    [
        ((4.0, 0.0), NORTH, 0.0, -4.0),  # east of a camera that looks north: to its right
        ((0.0, 4.0), NORTH, 4.0, 0.0),
        ((4.0, 0.0), 0.0, 4.0, 0.0),
        ((0.0, 4.0), 0.0, 0.0, 4.0),
        ((-2.0, 4.0), math.pi, 2.0, -4.0),
    ],
)
def test_errors_have_the_right_size_and_sign(
    error: tuple[float, float], yaw: float, along: float, across: float
) -> None:
    for heading_up in (True, False):
        mark = None if heading_up else NORTH  # what the model looks at
        one = scored(BlobReader([error], yaw=yaw, mark=mark), heading_up)[0]
        # Blobs are rounded to 1 of 250 steps, and cells are 2 m.
        assert one.longitudinal == pytest.approx(along, abs=0.2)
        assert one.lateral == pytest.approx(across, abs=0.2)
        assert one.mode_error == pytest.approx(math.hypot(*error), abs=0.2)
        assert one.argmax_error == pytest.approx(math.hypot(*error), abs=math.sqrt(2))
        assert one.centre_error == 5.0
        assert (one.truth_x, one.truth_y, one.heading) == (103.0, 54.0, yaw)


def at_first(log_mass: NDArray[np.float32]) -> Scored:
    """Measure a given distribution at the first row of a reader."""
    model, reader = blob_model(), BlobReader()
    frame = Frames(reader, model.model.view)[0]
    return measured(log_mass, np.zeros(1, np.float32), frame, model.model.view)


def test_probability_is_per_pixel_of_the_patch_at_512() -> None:
    one = at_first(np.full((1, SIDE, SIDE), -math.log(SIDE**2), np.float32))
    assert one.p_truth == pytest.approx(1 / 512**2, rel=1e-5)
    assert one.p_peak == pytest.approx(1 / 512**2, rel=1e-5)
    assert one.log_density == pytest.approx(-math.log(64.0**2), rel=1e-5)


def test_probability_is_read_in_the_cell_of_the_truth() -> None:
    # 3 m east and 4 m north of the middle of 32 cells of 2 m: column 15.5 + 1.5, row 15.5 - 2.
    log_mass = np.full((1, SIDE, SIDE), -30.0, np.float32)
    log_mass[0, 13:15, 17] = math.log(0.25)
    log_mass[0, 2, 3] = math.log(0.5)
    one = at_first(log_mass)
    cell = (64 / 512 / 2) ** 2
    assert one.p_truth == pytest.approx(0.25 * cell, rel=1e-4)
    assert one.p_peak == pytest.approx(0.5 * cell, rel=1e-4)
    assert one.log_density == pytest.approx(math.log(0.25 / 4), rel=1e-4)


def test_a_truth_outside_the_heatmap_has_no_probability() -> None:
    reader = BlobReader()
    view = View("panorama", 32, 16, SIDE, 2.0, 4, 2.0)
    frame = Frames(reader, view, fit="metric")[0]
    moved = replace(frame.sample, offset=np.array([30.0, 0.0]))
    flat = np.full((1, 4, 4), -math.log(16), np.float32)
    frame = Frame(moved, frame.label, 0.0)
    one = measured(flat, np.zeros(1, np.float32), frame, view)
    assert one.p_truth == 0.0 and one.log_density == -math.inf
    assert math.isfinite(one.argmax_error)


def test_headings_are_read_at_the_peak() -> None:
    model, reader = blob_model(), BlobReader()
    frame = Frames(reader, model.model.view)[0]
    frame = frame._replace(sample=replace(frame.sample, yaw=math.radians(3)))
    log_mass = np.full((3, SIDE, SIDE), -30.0, np.float32)
    log_mass[2, 5, 5], log_mass[0, 9, 9] = math.log(0.6), math.log(0.4)
    offsets = np.radians([-5.0, 0.0, 5.0]).astype(np.float32)
    one = measured(log_mass, offsets, frame, model.model.view)
    assert one.heading_error == pytest.approx(2.0, abs=1e-4)
    assert math.isnan(scored(reader)[0].heading_error)


def test_the_grid_is_where_the_sample_was_placed() -> None:
    for heading_up in (True, False):
        model, reader = blob_model(heading_up), BlobReader(yaw=1.2)
        frame = Frames(reader, model.model.view, noise=HeadingNoise(20, 1))[0]
        grid = grid_of(frame.sample, frame.label, model.model.view)
        assert grid.center == pytest.approx((100.0, 50.0))
        up = frame.label.grid.up + (frame.told if heading_up else 0.0)
        assert math.cos(grid.up - up) == pytest.approx(1.0)


def test_the_calibration_of_the_weights_is_applied() -> None:
    reader = BlobReader()
    plain = scored(reader)[0]
    model = blob_model(calibration=Calibration(temperature=3.0))
    warm = next(iter(score(model, Frames(reader, model.model.view))))
    assert warm.p_peak < 0.7 * plain.p_peak and warm.argmax_error == plain.argmax_error


def test_shuffled_takes_another_rows_ground_picture() -> None:
    reader = BlobReader([(0.0, 0.0)] * 4, sure=[50, 100, 150, 200])
    view = blob_model().model.view
    own = [f.sample.ground.max() for f in (Frames(reader, view)[i] for i in range(4))]
    frames = Frames(reader, view, shuffled=True)
    assert own == [50, 100, 150, 200]
    assert [frames[i].sample.ground.max() for i in range(4)] == [150, 200, 50, 100]
    assert (frames[0].sample.aerial == Frames(reader, view)[0].sample.aerial).all()
    with pytest.raises(ValueError, match="expected at least two to shuffle"):
        Frames(BlobReader(), view, shuffled=True)


def test_heading_noise_is_uniform_and_scales_with_its_range() -> None:
    ten, twenty = (np.degrees([HeadingNoise(d, 3)(i) for i in range(500)]) for d in (10, 20))
    assert np.allclose(2 * ten, twenty) and abs(ten.mean()) < 1
    assert 9.8 < ten.max() <= 10 and ten.std() == pytest.approx(10 / math.sqrt(3), rel=0.05)
    assert HeadingNoise()(3) == 0.0
    one = scored(BlobReader(), noise=HeadingNoise(20, 3))[0]
    assert one.told == pytest.approx(twenty[0])


def test_a_limit_draws_from_the_whole_set_and_always_the_same() -> None:
    rows = drawn(8000, 2000)
    assert len(set(rows.tolist())) == 2000 and (np.diff(rows) > 0).all() and rows.max() < 8000
    # Four tiles of each panorama follow each other: all of them are met.
    assert np.bincount(rows % 4).min() > 400
    assert (rows == drawn(8000, 2000)).all()
    assert drawn(3, None).tolist() == drawn(3, 9).tolist() == [0, 1, 2]
    names = [f"row {i}" for i in drawn(10, 2)]
    assert [one.name for one in scored(BlobReader([(0, 0)] * 10), limit=2)] == names


def test_rows_come_one_after_the_other() -> None:
    """Nothing of a batch is kept: memory does not grow with the dataset."""
    opened: list[str] = []

    class Watched(BlobReader):
        def ground(self, label: Label) -> GroundPicture:
            opened.append(label.name)
            return super().ground(label)

    model = blob_model()
    rows: Iterator[Scored] = score(model, Frames(Watched([(0, 0)] * 50), model.model.view), 2)
    next(rows)
    assert len(opened) <= 4
    for _ in rows:
        pass
    gc.collect()
    kept = [t for t in gc.get_objects() if type(t) is torch.Tensor and t.ndim == 4 and len(t) == 2]
    assert len(opened) == 50 and not kept


def test_an_empty_set_is_said() -> None:
    with pytest.raises(ValueError, match="0 usable rows in .*blobs"):
        Frames(BlobReader([]), blob_model().model.view)
