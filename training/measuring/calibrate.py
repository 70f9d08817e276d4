"""Fits what takes a network's scores to an honest covariance, on held-out frames only.

Several looks of the world may be given; then the worst one counts. Temperature and background share
are those whose likelihood of the truth is best on the look where it is worst; the floors are, of
those that make each look's errors likeliest under the Gaussian that is published, the greatest.
NEES and coverage are checked afterwards: the fit does not see them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from cross_view_localizer.belief.belief import Belief
from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.belief.moments import moments
from cross_view_localizer.grid import Grid
from cross_view_localizer.models.contract import Answer
from cross_view_localizer.preparation import Question
from training.datasets.pair import DatasetError, Reader
from training.measuring import metrics
from training.measuring.columns import Columns
from training.measuring.honesty import honesty
from training.measuring.rows import Asked, Rows, loaded


@dataclass(frozen=True)
class HeldOut:
    """One frame's raw scores with its truth.

    Attributes:
        answer: as the model gave it.
        grid: cells in ``map``.
        truth: (2,) of the camera, metres.
        yaw_offset: true azimuth minus the given one, radians.
        yaw: true azimuth, radians.
        group: rows of one group are alike.
    """

    answer: Answer
    grid: Grid
    truth: NDArray[np.float64]
    yaw_offset: float = 0.0
    yaw: float = 0.0
    group: str = ""

    @property
    def headed(self) -> bool:
        """Whether the model found a heading."""
        return len(self.answer.yaw_offsets) > 1 or self.answer.headings is not None


@dataclass(frozen=True)
class _Moments:
    """Errors (N, 2) with covariances (N, 2, 2), heading errors (N,) with variances (N,)."""

    errors: NDArray[np.float64]
    covariances: NDArray[np.float64]
    yaw_errors: NDArray[np.float64]
    yaw_variances: NDArray[np.float64]


def raw_scores(
    rows: Rows, refused: Counter[str], batch_size: int = 16, workers: int = 0
) -> Iterator[HeldOut]:
    """Yield a model's scores on rows, without any calibration, as its Localizer gets them.

    Args:
        refused: counts, by reason, the rows that never reach the network.
    """
    localizer = rows.asker()
    for items in loaded(rows, batch_size, workers):
        kept = [
            (item.label, item.told, asked) for item in items if (asked := _asked(item, refused))
        ]
        answers = localizer.scores([question for *_, question in kept]) if kept else []
        for (label, told, question), answer in zip(kept, answers, strict=True):
            turn = math.remainder(label.yaw - label.heading - told, math.tau)
            grid, truth = question.searched.grid, np.array(label.position)
            yield HeldOut(answer, grid, truth, turn, label.yaw, str(label.group))


def _asked(item: Asked, refused: Counter[str]) -> Question | None:
    if isinstance(item.question, Question):
        return item.question
    assert item.question.reason is not None
    refused[item.question.reason.value] += 1
    return None


def halves(frames: Sequence[HeldOut]) -> tuple[list[HeldOut], list[HeldOut]]:
    """Return the frames of the first half of the groups, and the others."""
    groups = list(dict.fromkeys(frame.group for frame in frames))
    if len(groups) < 2:
        middle = len(frames) // 2
        return list(frames[:middle]), list(frames[middle:])
    first = set(groups[: len(groups) // 2])
    return [f for f in frames if f.group in first], [f for f in frames if f.group not in first]


def check_unseen(metadata: Mapping[str, Any], reader: Reader) -> None:
    """Refuse rows that the weights say they were trained on.

    Raises:
        DatasetError: the same split of the same dataset; one line.
    """
    trained, tags = metadata.get("data") or {}, reader.tags
    same = [key for key in ("dataset", "split") if key in tags and tags[key] == trained.get(key)]
    if len(same) == 2:
        raise DatasetError(
            f"these weights were trained on {tags['dataset']}, split '{tags['split']}': expected "
            "rows that they have not seen, another split"
        )


def fit(
    looks: Mapping[str, Sequence[HeldOut]],
    background: bool = True,
    base: Calibration | None = None,
    floor: float = 0.0,
) -> Calibration:
    """Fit temperature, background and floors such that the worst look counts.

    Args:
        looks: frames of calibration towns by look; those with their truth outside the grid are
            left out.
        background: fit a share of evenly spread mass too; False keeps ``base``'s.
        base: what isn't fitted (``moments``, ``radius``).
        floor: metres; the fitted floor is at least that.

    Raises:
        ValueError: no look, or fewer than ten usable frames of one.
    """
    usable = {name: _usable(frames) for name, frames in looks.items()}
    few = [f"{len(f)} of '{name}'" if name else str(len(f)) for name, f in usable.items()]
    if not usable or min(len(frames) for frames in usable.values()) < 10:
        raise ValueError(
            f"{', '.join(few) or 'no'} frames with their truth inside: expected at least 10"
        )
    start = base or Calibration()

    def cost(log_temperature: float) -> float:
        return _with_background(usable.values(), math.exp(log_temperature), start, background)[0]

    best = minimize_scalar(
        cost, bounds=(math.log(0.2), math.log(20)), method="bounded", options={"xatol": 0.01}
    )
    temperature = math.exp(best.x)
    share = _with_background(usable.values(), temperature, start, background)[1]
    fitted = replace(start, temperature=temperature, background=share, floor_std=0.0, yaw_std=0.0)
    floors, yaw_stds = [floor], []
    for frames in usable.values():
        found = _all_moments(frames, fitted)
        floors.append(fit_floor(found.errors, found.covariances))
        if frames[0].headed:
            turns = found.yaw_errors[:, None], found.yaw_variances[:, None, None]
            yaw_stds.append(fit_floor(*turns))
    return replace(fitted, floor_std=max(floors), yaw_std=max(yaw_stds, default=start.yaw_std))


def assess(frames: Sequence[HeldOut], calibration: Calibration) -> dict[str, Any]:
    """Measure a calibration on frames that it was not fitted on: figures as of `summary`."""
    usable = _usable(frames)
    found = _all_moments(usable, calibration)
    rows = []
    for i, frame in enumerate(usable):
        heatmap = _belief(frame, calibration).heatmap
        covariance = found.covariances[i]
        (x, y), (truth_x, truth_y) = frame.truth + found.errors[i], frame.truth
        rows.append(
            {
                "name": str(i),
                "group": frame.group,
                "x": x,
                "y": y,
                "truth_x": truth_x,
                "truth_y": truth_y,
                "truth_yaw": frame.yaw,
                "mode_error": math.hypot(*found.errors[i]),
                "heading_error": math.degrees(found.yaw_errors[i]) if frame.headed else math.nan,
                "var_xx": covariance[0, 0],
                "var_xy": covariance[0, 1],
                "var_yy": covariance[1, 1],
                "var_yaw": found.yaw_variances[i],
                "level": heatmap.credible_level(frame.truth),
                "log_density": float(heatmap.log_density(frame.truth)),
                "cell": frame.grid.gsd,
            }
        )
    one = Columns.of(rows)
    return {"frames": len(one), "median_error": float(np.median(one["mode_error"]))} | honesty(one)


def _belief(frame: HeldOut, calibration: Calibration) -> Belief:
    given = frame.answer
    return Belief.from_scores(
        given.log_mass, given.yaw_offsets, frame.grid, calibration, None, given.headings
    )


def _usable(frames: Iterable[HeldOut]) -> list[HeldOut]:
    return [frame for frame in frames if bool(frame.grid.contains(frame.truth))]


def _with_background(
    looks: Iterable[Sequence[HeldOut]], temperature: float, base: Calibration, search: bool
) -> tuple[float, float]:
    """Return (mean negative log likelihood on the worst look, background share)."""
    plain = replace(base, temperature=temperature, background=0.0)
    known = []
    for frames in looks:
        density = [float(_belief(f, plain).heatmap.log_density(f.truth)) for f in frames]
        even = [-math.log(f.grid.extent[0] * f.grid.extent[1]) for f in frames]
        known.append((np.array(density), np.array(even)))

    def cost(share: float) -> float:
        with np.errstate(divide="ignore"):
            return max(
                -float(np.logaddexp(np.log1p(-share) + density, np.log(share) + even).mean())
                for density, even in known
            )

    if not search:
        return cost(base.background), base.background
    best = minimize_scalar(cost, bounds=(1e-6, 0.5), method="bounded")
    return (float(best.fun), float(best.x)) if best.fun < cost(0.0) else (cost(0.0), 0.0)


def _all_moments(frames: Sequence[HeldOut], calibration: Calibration) -> _Moments:
    rows = []
    for frame in frames:
        belief = _belief(frame, calibration)
        yaw, covariance = moments(belief, calibration)
        turn = math.radians(float(metrics.heading_errors([yaw], [frame.yaw_offset])[0]))
        rows.append((belief.heatmap.peak_xy() - frame.truth, covariance, turn))
    covariances = np.array([row[1] for row in rows])
    return _Moments(
        np.array([row[0] for row in rows]),
        covariances[:, :2, :2],
        np.array([row[2] for row in rows]),
        covariances[:, 2, 2],
    )


def fit_floor(errors: NDArray[np.float64], covariances: NDArray[np.float64]) -> float:
    """Return the f ≥ 0 that makes (N, d) errors likeliest under covariances (N, d, d) + f² I."""
    identity = np.eye(errors.shape[1])

    def cost(std: float) -> float:
        sigma = covariances + std**2 * identity
        squared = metrics.nees(errors, sigma) * errors.shape[1]
        return float((squared + np.linalg.slogdet(sigma)[1]).mean())

    # The cost may have several minima: the lowest of a coarse scan is the one that is refined.
    tries = np.concatenate([[0.0], np.geomspace(1e-3, max(float(np.abs(errors).max()), 2e-3), 40)])
    costs = [cost(std) for std in tries]
    index = int(np.argmin(costs))
    if index == 0:
        return 0.0
    bounds = (tries[index - 1], tries[min(index + 1, len(tries) - 1)])
    best = minimize_scalar(cost, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    return float(best.x)
