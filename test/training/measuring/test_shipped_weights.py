"""Floors on what is shipped, on validation towns, through the front door."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from cross_view_localizer.models.weights import LoadedModel, load
from training.datasets.pair import Label
from training.datasets.town import TownReader, benchmark
from training.measuring import summary
from training.measuring.columns import Columns
from training.measuring.disturbed import Disturbance, DisturbedRows
from training.measuring.records import Record
from training.measuring.rows import Rows
from training.town.editions import Edition

TOWNS, FRAMES = range(20, 26), 12


class Floor(NamedTuple):
    """What 72 frames must not be worse than: median and mean error, median and bias of the lateral
    one, metres; the share of right pictures that is published, and of another frame's; the share
    of truths in the 90 % region; by how much an answer moves with the patch, metres;
    the NEES.
    """

    median: float
    mean: float
    lateral: float
    bias: float
    right: float
    wrong: float
    region: float = 0.8
    moved: float = 0.5
    nees: float = 2.5


# The last look is the one that nobody trained on.
FLOORS: dict[str, dict[Edition, Floor]] = {
    "pinhole": {
        "town-v1": Floor(2.0, 5.0, 0.7, 0.7, 0.8, 0.4),
        "town-v2": Floor(4.0, 7.0, 0.9, 0.9, 0.65, 0.55, region=0.7),
        "town-v2-other": Floor(8.0, 11.0, 2.0, 2.0, 0.4, 0.5, region=0.6, moved=1.5),
    },
    "panorama": {
        "town-v1": Floor(1.0, 2.0, 0.6, 0.7, 0.9, 0.25),
        "town-v2": Floor(1.4, 3.0, 0.7, 0.7, 0.85, 0.3),
        "town-v2-other": Floor(2.8, 6.0, 1.0, 0.9, 0.6, 0.4, region=0.6),
    },
}


@pytest.fixture(scope="module", params=["front", "panorama"])
def model(request: pytest.FixtureRequest) -> LoadedModel:
    return load(request.param)


@pytest.fixture(scope="module", params=FLOORS["pinhole"])
def edition(request: pytest.FixtureRequest) -> Edition:
    chosen: Edition = request.param
    return chosen


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("towns")


@pytest.fixture(scope="module")
def reader(model: LoadedModel, edition: Edition, cache: Path) -> TownReader:
    view = model.model.view
    return benchmark(view, "validation", TOWNS, FRAMES, cache, edition=edition)


@pytest.fixture(scope="module")
def records(model: LoadedModel, reader: TownReader) -> list[Record]:
    return list(Rows(reader, model, "metric").run())


def figures_of(records: list[Record]) -> dict[str, Any]:
    return summary.summary([Columns.of(map(asdict, records))], draws=50)


@pytest.fixture
def floor(model: LoadedModel, edition: Edition) -> Floor:
    return FLOORS[model.model.view.ground][edition]


def test_errors_stay_below_their_floor(
    edition: Edition, floor: Floor, records: list[Record]
) -> None:
    figures = figures_of(records)
    assert figures["frames"] == len(TOWNS) * FRAMES
    assert figures["mode_error"]["median"] < floor.median
    assert figures["mode_error"]["mean"] < floor.mean
    if edition == "town-v1":
        assert figures["mode_error"]["median"] < 0.2 * figures["centre_only"]["median"]
    assert figures["lateral"]["median"] < floor.lateral
    assert abs(figures["lateral"]["bias"]) < floor.bias


# A panorama's errors are little more than the imagery's misregistration, of which no picture tells.
RANKS = {"pinhole": 0.25, "panorama": 0.0}


def test_the_covariance_tells_the_error(
    model: LoadedModel, records: list[Record], floor: Floor
) -> None:
    figures = figures_of(records)
    assert 0.3 < figures["nees_per_dof"] < floor.nees
    assert figures["coverage_90_region"] > floor.region
    assert figures["spearman_sigma_error"] > RANKS[model.model.view.ground]


def test_the_region_is_no_larger_than_it_says(
    request: pytest.FixtureRequest, model: LoadedModel, edition: Edition, records: list[Record]
) -> None:
    if model.model.view.ground == "panorama" and edition == "town-v1":
        why = "the calibration is the worst look's: here it holds all of 72 truths"
        request.applymarker(pytest.mark.xfail(reason=why, strict=True))
    assert figures_of(records)["coverage_90_region"] < 0.99


def test_another_frames_picture_is_told(
    model: LoadedModel, reader: TownReader, records: list[Record], floor: Floor
) -> None:
    shuffled = list(Rows(reader, model, "metric", shuffled="group").run())
    right, wrong = (figures_of(rows)["gated"]["share"] for rows in (records, shuffled))
    assert right > floor.right and wrong < floor.wrong


def test_a_height_stated_wrong_by_a_tenth_costs_little(
    model: LoadedModel, edition: Edition, reader: TownReader, records: list[Record]
) -> None:
    if edition != "town-v2":
        pytest.skip("town-v1's heights are exact, and those of the other look near town-v2's")
    right = np.median([one.mode_error for one in records])
    for factor in (0.9, 1.1):
        rows = DisturbedRows(reader, model, Disturbance("height", height=factor))
        assert np.median([one.mode_error for one in rows.run()]) < 1.25 * right


class FiveMetresOff(TownReader):
    """The same frames, searched around another place."""

    def __init__(self, reader: TownReader) -> None:
        self.__dict__.update(reader.__dict__)
        self.turn = np.random.default_rng(0).uniform(-math.pi, math.pi, len(reader))

    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        label = super().label(index, rng)
        (x, y), angle = label.grid.center, self.turn[index]
        moved = (x + 5 * math.cos(angle), y + 5 * math.sin(angle))
        return replace(label, grid=replace(label.grid, center=moved))


def test_moving_the_patch_does_not_move_the_peak(
    model: LoadedModel, reader: TownReader, records: list[Record], floor: Floor
) -> None:
    """A likelihood of positions, not of offsets from the patch's middle."""
    moved = Rows(FiveMetresOff(reader), model, "metric").run()
    shifts = [math.dist((a.x, a.y), (b.x, b.y)) for a, b in zip(records, moved, strict=True)]
    assert len(shifts) == len(TOWNS) * FRAMES
    assert np.median(shifts) < floor.moved
