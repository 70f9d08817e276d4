"""What a row's records come to: over all frames, over seeds, and against another row."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest

from training.measuring import metrics, summary
from training.measuring.columns import Columns
from training.measuring.records import Record

NORTH = math.pi / 2


def made(index: int, error: float, reason: str = "", ran: bool = True) -> Record:
    """A frame whose answer lies north of the truth, which looks north."""
    found = {"yaw": NORTH + math.radians(2), "heading_error": 2.0, "cell": 0.5, "level": 0.5}
    found |= {"var_xx": 1.0, "var_xy": 0.0, "var_yy": 4.0, "var_yaw": 0.1, "p_peak": 0.1}
    return Record(
        name=f"row {index}",
        group=f"town {index % 3}",
        reason=reason,
        truth_x=0.0,
        truth_y=0.0,
        truth_yaw=NORTH,
        x=0.0 if ran else 10.0,
        y=error if ran else 0.0,
        centre_error=10.0,
        argmax_error=error if ran else 10.0,
        mode_error=error if ran else 10.0,
        longitudinal=error if ran else 0.0,
        lateral=0.0 if ran else -10.0,
        log_density=-2.0 if ran else -math.inf,
        p_truth=0.1 if ran else 0.0,
        **(found if ran else {"p_peak": 0.0}),
    )


def columns(errors: list[float]) -> Columns:
    return Columns.of(asdict(made(i, error)) for i, error in enumerate(errors))


def test_figures_are_over_all_frames_and_the_gated_ones_beside_them() -> None:
    records = [made(i, 2.0) for i in range(8)]
    records += [made(8, 6.0, "too_uncertain"), made(9, 0.0, "no_fix", ran=False)]
    result = summary.summary([Columns.of(map(asdict, records))], draws=50)
    assert (result["frames"], result["groups"], result["seeds"]) == (10, 3, 1)
    # The frame without an estimate counts with its prior, 10 m away.
    assert result["mode_error"]["mean"] == pytest.approx((8 * 2 + 6 + 10) / 10)
    assert result["mode_error_mean"]["value"] == pytest.approx(result["mode_error"]["mean"])
    assert result["gated"]["share"] == 0.8 and result["gated"]["mean"] == 2.0
    assert result["refused"] == {"too_uncertain": 1, "no_fix": 1}
    assert result["centre_only"]["median"] == 10.0
    assert result["longitudinal"]["bias"] == pytest.approx((8 * 2 + 6) / 10)
    assert result["lateral"]["bias"] == pytest.approx(-1)
    assert result["heading_degrees"]["median"] == pytest.approx(2)
    assert result["nees_per_dof"] == pytest.approx((8 * 1 + 9) / 2 / 9)
    assert result["nll_nats_per_m2"] == 2.0 and result["coverage_90_region"] == 1.0
    json.dumps(result)


def test_seeds_are_averaged() -> None:
    one, other = columns([1.0, 2.0, 3.0]), columns([3.0, 4.0, 5.0])
    result = summary.summary([one, other], draws=20)
    assert result["seeds"] == 2 and result["mode_error"]["mean"] == pytest.approx(3.0)
    spread = result["mode_error_mean"]["spread"]
    assert spread == pytest.approx(math.sqrt(2))
    with pytest.raises(ValueError, match="other frames"):
        summary.summary([one, columns([1.0, 2.0])])


def test_a_difference_on_the_same_frames_is_found_that_intervals_hide() -> None:
    random = np.random.default_rng(1)
    hard = np.repeat(random.exponential(3, 50), 10)
    errors = (hard + random.normal(0, 0.2, 500), hard + 0.3 + random.normal(0, 0.2, 500))
    towns = np.repeat(np.arange(50), 10).astype(str)
    names = np.arange(500).astype(str)
    ours, others = (
        Columns(names, towns, np.full(500, ""), {"mode_error": values}) for values in errors
    )
    found = summary.difference([ours], [others], summary.mean, "mode_error", draws=500)
    assert found["value"] == pytest.approx(-0.3, abs=0.05)
    assert found["low"] < found["value"] < found["high"] < 0 and found["verdict"] == "better"
    mean = lambda v: float(v.mean())  # noqa: E731
    alone = [metrics.bootstrap(values, towns, mean, 500) for values in errors]
    assert alone[0][1] > alone[1][0]


def test_no_frames_is_said() -> None:
    with pytest.raises(ValueError, match="no frames"):
        Columns.of([])
