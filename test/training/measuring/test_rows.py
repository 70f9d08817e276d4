"""What a model gives on a reader's rows: every figure against one computed by hand."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from blob_pairs import NORTH, SIDE, BlobReader, blob_model
from numpy.typing import NDArray

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.belief.heatmap import Heatmap
from cross_view_localizer.estimate import Estimate
from cross_view_localizer.grid import Grid
from cross_view_localizer.localizer import Localizer
from cross_view_localizer.models.weights import load
from cross_view_localizer.preparation import Question
from training.datasets.pair import GroundPicture, Label
from training.datasets.town import TownReader, benchmark
from training.measuring.records import Record, record
from training.measuring.rows import HeadingNoise, Rows, drawn


def scored(reader: BlobReader, heading_up: bool = True, **options: Any) -> list[Record]:
    return list(Rows(reader, blob_model(heading_up), **options).run(2))


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
        assert (one.truth_x, one.truth_y, one.truth_yaw) == (103.0, 54.0, yaw)


def at_first(log_mass: NDArray[np.float32], grid: Grid) -> Record:
    """Record a given distribution at the first row of a reader."""
    heatmap = Heatmap(grid, log_mass)
    x, y = heatmap.peak_xy()
    estimate = Estimate(0, "ok", heatmap=heatmap, raw_pose=(float(x), float(y), NORTH))
    return record(BlobReader().label(0), estimate)


TILE = Grid(SIDE, SIDE, 2.0, (100.0, 50.0))


def test_probability_is_per_pixel_of_the_patch_at_512() -> None:
    one = at_first(np.full((SIDE, SIDE), -math.log(SIDE**2), np.float32), TILE)
    assert one.p_truth == pytest.approx(1 / 512**2, rel=1e-5)
    assert one.p_peak == pytest.approx(1 / 512**2, rel=1e-5)
    assert one.log_density == pytest.approx(-math.log(64.0**2), rel=1e-5)


def test_probability_is_read_in_the_cell_of_the_truth() -> None:
    # 3 m east and 4 m north of the middle of 32 cells of 2 m: column 15.5 + 1.5, row 15.5 - 2.
    log_mass = np.full((SIDE, SIDE), -30.0, np.float32)
    log_mass[13:15, 17] = math.log(0.25)
    log_mass[2, 3] = math.log(0.5)
    one = at_first(log_mass, TILE)
    cell = (64 / 512 / 2) ** 2
    assert one.p_truth == pytest.approx(0.25 * cell, rel=1e-4)
    assert one.p_peak == pytest.approx(0.5 * cell, rel=1e-4)
    assert one.log_density == pytest.approx(math.log(0.25 / 4), rel=1e-4)


def test_a_truth_outside_the_heatmap_has_no_probability() -> None:
    flat = np.full((4, 4), -math.log(16), np.float32)
    one = at_first(flat, Grid(4, 4, 2.0, (70.0, 50.0)))
    assert one.p_truth == 0.0 and one.log_density == -math.inf
    assert math.isfinite(one.argmax_error)


def test_a_refused_row_counts_with_its_prior() -> None:
    reader = BlobReader()
    rows = Rows(reader, blob_model())
    rows.preparation.config = replace(rows.config, prior_sigmas=3.0)
    one = next(rows.run())
    assert one.reason == "prior_too_wide" and one.mode_error == one.centre_error == 5.0
    assert one.p_truth == 0.0 and one.log_density == -math.inf and math.isnan(one.var_xx)


@pytest.mark.parametrize("heading_up", [True, False])
@pytest.mark.parametrize("fit", ["tile", "metric"])
def test_the_heatmap_lies_where_the_protocol_puts_it(heading_up: bool, fit: Any) -> None:
    rows = Rows(BlobReader(yaw=1.2), blob_model(heading_up), fit, HeadingNoise(20, 1))
    label, told, question = rows[0]
    assert isinstance(question, Question)
    grid = question.searched.grid
    assert grid.center == pytest.approx((100.0, 50.0))
    north = label.grid.up  # the quarter of 1.2 rad that is nearest to it
    up = north if not heading_up else told + (north if fit == "tile" else label.heading)
    assert math.cos(grid.up - up) == pytest.approx(1.0)


def test_the_protocols_patch_is_searched_whatever_its_metres_per_pixel() -> None:
    """VIGOR's cities differ in resolution; the network sees the whole tile of each."""

    class Wide(BlobReader):
        def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
            return replace(super().label(index), grid=Grid(SIDE, SIDE, 3.0, (100.0, 50.0)))

    tile, metric = (scored(Wide([(4.0, 0.0)]), fit=fit)[0] for fit in ("tile", "metric"))
    assert (tile.cell, metric.cell) == (3.0, 2.0)
    assert tile.mode_error == pytest.approx(4.0, abs=0.3)
    assert metric.mode_error == pytest.approx(4.0, abs=0.2)


def as_numbers(records: Iterable[Record]) -> NDArray[np.float64]:
    plain = [{k: v for k, v in asdict(one).items() if not isinstance(v, str)} for one in records]
    return np.array([list(one.values()) for one in plain], np.float64)


@pytest.mark.parametrize("fit", ["metric", "tile"])
def test_batches_prepared_elsewhere_get_the_answers_of_the_front_door(
    fit: Any, tmp_path: Path
) -> None:
    model = load("panorama")
    size: dict[str, Any] = {"towns": 1, "frames": 3, "cache": tmp_path}
    reader = benchmark(model.model.view, "validation", **size)
    if fit == "tile":
        reader = TownReader("cross", "validation", width=320, height=160, **size)
    rows = Rows(reader, model, fit)
    front = Localizer(rows.model, rows.map, rows.config)
    one_by_one = [
        record(label, front.localize(*rows.call(label)))
        for label in (reader.label(index) for index in range(3))
    ]
    batched = list(Rows(reader, model, fit).run(2, workers=1))
    assert [r.name for r in batched] == [r.name for r in one_by_one]
    assert [r.reason for r in batched] == [r.reason for r in one_by_one]
    np.testing.assert_allclose(as_numbers(batched), as_numbers(one_by_one), rtol=1e-3, atol=1e-4)


def test_the_calibration_of_the_weights_is_applied() -> None:
    reader = BlobReader()
    plain = scored(reader)[0]
    model = blob_model(calibration=Calibration(temperature=3.0))
    warm = next(Rows(reader, model).run())
    assert warm.p_peak < 0.7 * plain.p_peak and warm.argmax_error == plain.argmax_error


def brightness(rows: Rows) -> list[int]:
    questions = [rows[index].question for index in range(len(rows))]
    return [int(q.ground.image.max()) for q in questions if isinstance(q, Question)]


def test_shuffled_takes_another_rows_ground_picture() -> None:
    reader = BlobReader([(0.0, 0.0)] * 6, sure=[50, 70, 100, 120, 150, 200], groups=2)
    model = blob_model()
    assert brightness(Rows(reader, model)) == [50, 70, 100, 120, 150, 200]
    assert brightness(Rows(reader, model, shuffled="set")) == [120, 150, 200, 50, 70, 100]
    # Even and odd rows are a group each, of three.
    assert brightness(Rows(reader, model, shuffled="group")) == [100, 120, 150, 200, 50, 70]
    # Groups of two, of one and of one.
    few = BlobReader([(0.0, 0.0)] * 4, sure=[50, 70, 100, 120], groups=3)
    assert brightness(Rows(few, model, shuffled="group")) == [120, 100, 120, 50]
    with pytest.raises(ValueError, match="expected at least two to shuffle"):
        Rows(BlobReader(), model, shuffled="set")


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
    rows = Rows(Watched([(0, 0)] * 50), model).run(2)
    next(rows)
    assert len(opened) <= 4
    for _ in rows:
        pass
    gc.collect()
    kept = [t for t in gc.get_objects() if type(t) is torch.Tensor and t.ndim == 4 and len(t) == 2]
    assert len(opened) == 50 and not kept


def test_an_empty_set_is_said() -> None:
    with pytest.raises(ValueError, match="0 usable rows in .*blobs"):
        Rows(BlobReader([]), blob_model())
