"""Rows on several looks of the world: one block each, in one table of errors and one of honesty."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from blob_pairs import BlobModel, BlobReader
from torch import Tensor

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.models.contract import Scores
from cross_view_localizer.models.weights import LoadedModel
from training.measuring.benchmark import Job, measured
from training.measuring.looks import Found, page, results_of, write


class Telling(BlobModel):
    """No match where the panorama is dark."""

    def match(self, aerial: Any, ground: Any) -> Scores:
        dark: Tensor = torch.sigmoid(6 * (1.0 - ground))
        return super().match(aerial, ground)._replace(no_match=dark)


def model(telling: bool) -> LoadedModel:
    network = (Telling if telling else BlobModel)().eval()
    return LoadedModel(network, "blob", {}, Calibration(), {}, "blob-0")


def found(telling: bool) -> Found:
    """Of each look's six rows one is dark; the hard look's answers lie 6 m off, half ahead."""
    looks = {"easy": [(0.5, 0.0)] * 6, "hard": [(0.0, 6.0), (6.0, 0.0)] * 3}
    result = {}
    for look, errors in looks.items():
        reader = BlobReader(errors, sure=[200, 200, 200, 200, 200, 30])
        jobs = [Job("ours", model(telling)), Job("shuffled", model(telling), shuffled=True)]
        result[look] = {job.name: measured(job, reader) for job in jobs}
    return result


@pytest.fixture(scope="module")
def told() -> Found:
    return found(telling=True)


def test_each_look_has_its_rows_differences_and_probabilities(told: Found) -> None:
    looks = results_of(told)["looks"]
    assert list(looks) == ["easy", "hard"]
    assert looks["easy"]["rows"]["ours"]["mode_error"]["median"] < 1
    hard = looks["hard"]["rows"]["ours"]
    assert hard["mode_error"]["median"] == pytest.approx(6, abs=0.3)
    # The dark row says that it is none, and the gate keeps it.
    assert hard["refused"] == {"no_match": 1} and hard["gated"]["share"] == pytest.approx(5 / 6)
    assert hard["gated"]["wrong"] == 1.0
    assert hard["no_match"]["passing"]["0.5"] == pytest.approx(5 / 6)
    # The camera looks north: a blob north of the truth is ahead.
    sure = hard["gated"]["wrong_and_sure"]
    parts = [hard["gated"][f"{axis}_wrong_and_sure"] for axis in ("longitudinal", "lateral")]
    assert sure == pytest.approx(sum(parts)) and all(parts)
    # Shuffled, the same pictures come in another order: one is as dark as before.
    assert looks["easy"]["no_match"] == {"shuffled": pytest.approx(0.5)}
    assert set(looks["easy"]["differences"]) == {"shuffled"}


def test_the_page_has_a_block_for_every_look(told: Found) -> None:
    said = page(results_of(told)).splitlines()
    for row in ("ours, easy", "shuffled, easy", "ours, hard", "shuffled, hard"):
        assert sum(line.startswith(f"| {row} |") for line in said) == 2
    assert sum(line.startswith("| centre only, ") for line in said) == 2
    assert any(line.startswith("ours − shuffled, hard, median: ") for line in said)
    honest = next(line for line in said if "| published |" in line)
    assert "| > 5 m, 3 σ | … along | … across | NEES | NEES along |" in honest
    assert honest.endswith("| no match | AUC |")


def test_columns_that_no_row_fills_are_left_out() -> None:
    one = {"easy": found(telling=False)["easy"]}
    said = page(results_of(one))
    assert "no match" not in said and "NEES yaw" not in said and "easy" not in said


def test_what_is_written_says_look_and_row_of_every_frame(told: Found, tmp_path: Path) -> None:
    write(tmp_path / "out", told, {"weights": "blob"})
    with (tmp_path / "out" / "frames.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    kinds = [(row["look"], row["row"]) for row in rows]
    assert len(rows) == 24 and kinds.count(("hard", "shuffled")) == 6
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["weights"] == "blob"
    assert (tmp_path / "out" / "table.md").read_text() == page(results)
