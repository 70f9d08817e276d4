"""A model's calibration over looks: what is asked, what is fitted, and what the table says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from blob_pairs import BlobReader, blob_model
from test_looks import model

from cross_view_localizer.belief.calibration import Calibration
from training.measuring.calibrated_looks import Look, fit_looks, report
from training.measuring.rows import Rows

RANDOM = np.random.default_rng(3)
# Of 24 rows some are dark, which the model takes for no match, though it is their own picture.
SURE = [40.0 if i % 8 == 0 else 180.0 for i in range(24)]


def look(off: float, telling: bool = True) -> Look:
    errors = [(float(x), float(y)) for x, y in RANDOM.normal(0, off, (24, 2))]
    reader = BlobReader(errors, sure=SURE, groups=4)
    network = model(telling)
    return Look.of(
        Rows(reader, network, "metric"), Rows(reader, network, "metric", None, "set"), 8, 0
    )


@pytest.fixture(scope="module")
def looks() -> Mapping[str, Look]:
    return {"near": look(0.5), "far": look(4.0)}


def test_right_and_wrong_pairs_are_asked(looks: Mapping[str, Look]) -> None:
    for one in looks.values():
        assert one.told is not None
        assert len(one.frames) == len(one.told.right) == len(one.told.wrong) == 24
        first, second = one.halves()
        assert first.told is not None and len(first.told.right) == 12
        assert {f.group for f in first.frames}.isdisjoint({f.group for f in second.frames})
    assert look(0.5, telling=False).told is None


def test_everything_is_fitted_for_the_worst_look(looks: Mapping[str, Look]) -> None:
    both = fit_looks(looks, Calibration(), 0.3)
    near = fit_looks({"near": looks["near"]}, Calibration(), 0.3)
    assert both.floor_std >= near.floor_std >= 0.3
    assert both.temperature * (1 + both.floor_std) > near.temperature * (1 + near.floor_std)
    told = looks["far"].told
    assert told is not None
    # The dark rows' own pictures pass too: at least 96 % of the right ones.
    assert np.mean(both.no_match(told.right) <= 0.5) >= 0.96
    silent = fit_looks({"": replace(looks["near"], told=None)}, Calibration(), 0.3)
    assert (silent.no_match_scale, silent.no_match_shift) == (1.0, 0.0)


def test_the_table_has_each_look_before_and_after(looks: Mapping[str, Look]) -> None:
    said = report(looks, Calibration(), Calibration(), 0.3).splitlines()
    assert said[0].endswith("| 90 % | σ | right pass | wrong pass | AUC |")
    rows = [line.split(" | ")[0] for line in said[2:6]]
    assert rows == [
        f"| {name}, {stage}"
        for name in ("near", "far")
        for stage in ("before", "fitted on the other half")
    ]
    assert said[-1].startswith("fitted on the other half: Calibration(")


def test_rows_that_are_refused_are_told_and_left_out() -> None:
    reader = BlobReader([(0.5, 0.0)] * 24, groups=4)
    rows = Rows(reader, blob_model(), "metric")
    rows.preparation.config = replace(rows.config, prior_sigmas=3.0)
    one = Look.of(rows, rows, 8, 0)
    assert one.frames == [] and one.refused == {"prior_too_wide": 24}
    kept = replace(look(0.5), refused={"bad_image": 2})
    said = report({"town-v2": kept}, Calibration(), Calibration(), 0.3)
    assert "town-v2: 2 rows never reached the network: {'bad_image': 2}" in said
