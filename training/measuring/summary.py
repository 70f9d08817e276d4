"""Figures of one row on one set: averages over training seeds, intervals over groups, and paired
differences on the same frames.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from training.measuring import metrics
from training.measuring.columns import Columns
from training.measuring.honesty import honesty, published
from training.measuring.metrics import Floats

Statistic = Callable[[Floats], Floats]


def mean(values: Floats) -> Floats:
    """Return the means of (N, S) columns, (S,)."""
    return np.asarray(values.mean(axis=0))


def median(values: Floats) -> Floats:
    """Return the medians of (N, S) columns, (S,)."""
    return np.asarray(np.median(values, axis=0))


STATISTICS: dict[str, Statistic] = {"mean": mean, "median": median}


@dataclass(frozen=True)
class Figure:
    """One number of a table.

    Attributes:
        value: mean over the seeds.
        seeds: how many.
        spread: standard deviation over the seeds (divided by their number − 1); None for one.
        low, high: 95 % interval by drawing whole groups; None where there is only one group.
    """

    value: float
    seeds: int = 1
    spread: float | None = None
    low: float | None = None
    high: float | None = None


def stacked(seeds: Sequence[Columns], column: str) -> Floats:
    """Return (N, S): a column of every seed's file.

    Raises:
        ValueError: where the files do not hold the same frames.
    """
    for other in seeds[1:]:
        if not np.array_equal(other.names, seeds[0].names):
            raise ValueError(
                f"seeds of one row hold other frames ({len(other)} and {len(seeds[0])}): "
                "run again with --fresh true"
            )
    return np.stack([one[column] for one in seeds], axis=1)


def figure(values: Floats, groups: Any, statistic: Statistic, draws: int) -> Figure:
    """Return a statistic of (N, S) values."""
    each = statistic(values)
    low = high = None
    if draws and len(np.unique(groups)) > 1:
        low, high = metrics.bootstrap(values, groups, lambda v: float(statistic(v).mean()), draws)
    spread = float(each.std(ddof=1)) if len(each) > 1 else None
    return Figure(float(each.mean()), len(each), spread, low, high)


def summary(seeds: Sequence[Columns], draws: int = 1000) -> dict[str, Any]:
    """Return everything that results.json says of one row on one set, over all frames.

    Errors are those of the argmax ("argmax_error", the papers' estimate) and of the sub-pixel mode
    ("mode_error"); axes, headings and covariances are the mode's. What never reached the network
    counts with its prior and is named under "refused"; "gated" is over what was published. Plain
    numbers are means over the seeds, those with an interval come as `Figure`.
    """
    groups = seeds[0].groups
    result = _averaged([_of_one(one) for one in seeds])
    result |= {"frames": len(groups), "groups": len(np.unique(groups)), "seeds": len(seeds)}
    for column in ("argmax_error", "mode_error", "p_truth"):
        values = stacked(seeds, column)
        if np.isfinite(values).all():
            for kind, statistic in STATISTICS.items():
                result[f"{column}_{kind}"] = asdict(figure(values, groups, statistic, draws))
    return result


def _of_one(one: Columns) -> dict[str, Any]:
    result: dict[str, Any] = {
        "argmax_error": metrics.error_summary(one["argmax_error"]),
        "mode_error": metrics.error_summary(one["mode_error"]),
        "centre_only": metrics.error_summary(one["centre_error"]),
        "longitudinal": _axis(one["longitudinal"]),
        "lateral": _axis(one["lateral"]),
        "refused": dict(Counter(one.reasons[one.reasons != ""].tolist())),
        "gated": published(one),
    }
    turned = np.isfinite(one["heading_error"])
    if turned.any():
        result["heading_degrees"] = _axis(one["heading_error"][turned])
    if np.isfinite(one["p_peak"]).all():
        result["spearman_p_error"] = metrics.spearman(one["p_peak"], one["argmax_error"])
    return result | honesty(one)


def _axis(signed: Floats) -> dict[str, float]:
    size = np.abs(signed)
    return {
        "bias": float(signed.mean()),
        "mean": float(size.mean()),
        "median": float(np.median(size)),
        **{f"recall_{r:g}": metrics.recall(size, r) for r in metrics.RECALLS},
    }


def _averaged(ones: Sequence[Any]) -> Any:
    """Return the mean of numbers, in nested dictionaries; what some lack counts as 0 there."""
    if len(ones) == 1:
        return ones[0]
    if isinstance(ones[0], dict):
        keys = dict.fromkeys(key for one in ones for key in one)
        return {key: _averaged([one.get(key, 0) for one in ones]) for key in keys}
    return None if None in ones else float(np.mean(ones))


def difference(
    ours: Sequence[Columns],
    others: Sequence[Columns],
    statistic: Statistic,
    column: str = "argmax_error",
    draws: int = 1000,
) -> dict[str, Any]:
    """Return statistic(ours) − statistic(others) on the same frames with its 95 % interval.

    Seeds are averaged; where both have as many, "each" holds the differences of first and first ….

    The verdict is "better" or "worse" (ours, of an error) only where the interval excludes zero,
    else "undecided".

    Raises:
        ValueError: where the two hold other frames.
    """
    values = stacked([*ours, *others], column)
    split, groups = len(ours), ours[0].groups

    def apart(v: Floats) -> float:
        return float(statistic(v[:, :split]).mean() - statistic(v[:, split:]).mean())

    result: dict[str, Any] = {"value": apart(values), "seeds": [split, len(others)]}
    if split == len(others):
        result["each"] = [
            float(v) for v in statistic(values[:, :split]) - statistic(values[:, split:])
        ]
    verdict = "undecided"
    if len(np.unique(groups)) > 1:
        low, high = metrics.bootstrap(values, groups, apart, draws)
        result |= {"low": low, "high": high}
        verdict = "better" if high < 0 else "worse" if low > 0 else verdict
    return result | {"verdict": verdict}


def over_traversals(each: Sequence[Floats]) -> tuple[float, float]:
    """Return mean and standard deviation over traversals of their figures.

    Each is (S,): a traversal's figure for every seed; the seeds are averaged first. The deviation
    is divided by the number of traversals, as the paper's (CVR's three means 1.88, 2.64 and 2.35
    give its 2.29 ± 0.31 only so).
    """
    values = np.array([float(np.mean(one)) for one in each])
    return float(values.mean()), float(values.std())
