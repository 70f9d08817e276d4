"""The demo's figures: computed once, printed as tables, kept as JSON, judged."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from training.demo.results import Floats, Frames
from training.measuring.metrics import (
    ellipse_coverage,
    error_summary,
    heading_errors,
    longitudinal_lateral,
    nees,
    spearman,
)

ENOUGH = 0.9  # share of the frames that must be answered or refused with a reason


@dataclass(frozen=True)
class Accuracy:
    """Errors of one source over its frames, at the camera; its covariance, at ``base_link``."""

    frames: int
    median: float
    mean: float
    p95: float
    within_1m: float
    within_3m: float
    along: float
    across: float
    heading: float
    nees: float
    coverage: float
    rank: float


def accuracy(
    frames: Frames, pose: Floats, covariance: Floats, chosen: NDArray[np.bool_]
) -> Accuracy | None:
    """Return the errors of poses (N, 3) with covariances (N, 3, 3) over the chosen frames."""
    if not chosen.any():
        return None
    truth, pose, covariance = frames.truth[chosen], pose[chosen], covariance[chosen, :2, :2]
    there, said = frames.camera(truth), frames.camera(pose)
    errors = np.hypot(*(said - there).T)
    along, across = longitudinal_lateral(said, there, truth[:, 2])
    difference = pose[:, :2] - truth[:, :2]
    sigma = np.sqrt(np.linalg.eigvalsh(covariance)[:, -1])
    summary = error_summary(errors)
    return Accuracy(
        frames=len(errors),
        median=summary["median"],
        mean=summary["mean"],
        p95=summary["p95"],
        within_1m=summary["recall_1m"],
        within_3m=summary["recall_3m"],
        along=float(np.median(np.abs(along))),
        across=float(np.median(np.abs(across))),
        heading=float(np.median(np.abs(heading_errors(pose[:, 2], truth[:, 2])))),
        nees=float(nees(difference, covariance).mean()),
        coverage=ellipse_coverage(difference, covariance),
        rank=spearman(sigma, errors),
    )


@dataclass(frozen=True)
class Report:
    """Everything that the demo says of a drive.

    ``prior`` and ``answered`` are over the same frames: those with a published pose. ``raw`` is
    over all frames in which the network ran, also where a gate held the pose back.
    """

    model: str
    trained: bool
    images: int
    answered_frames: int
    refused: dict[str, int]
    accounted: float
    prior: Accuracy | None
    answered: Accuracy | None
    raw: Accuracy | None
    stages: dict[str, tuple[float, float, float]]  # median, 95 % (ms), share of the frames

    def verdict(self) -> str:
        """Return what is wrong in one line, or ""."""
        if self.accounted < ENOUGH:
            return (
                f"{self.accounted:.0%} of {self.images} frames answered or refused with a reason: "
                f"expected at least {ENOUGH:.0%}"
            )
        if not self.trained:
            return ""
        if self.answered is None or self.prior is None:
            return "no frame got a pose"
        if not self.answered.median < self.prior.median:
            return (
                f"median error {self.answered.median:.2f} m is not below the prior's "
                f"{self.prior.median:.2f} m"
            )
        return ""

    def as_json(self) -> dict[str, Any]:
        """Return the figures for results.json."""
        return asdict(self)


def make_report(frames: Frames, trained: bool) -> Report:
    """Measure a drive.

    Args:
        trained: the model has weights, so its error is judged.
    """
    both = frames.ok & frames.has_pose & frames.has_prior
    # what was refused before the network ran would make it look fast
    ran = [s for s, there in zip(frames.stages, frames.has_pose, strict=True) if there]
    names = dict.fromkeys(name for stages in ran for name in stages)
    stages = {}
    for name in names:
        taken = np.array([s[name] for s in ran if name in s])
        stages[name] = (
            float(np.median(taken)),
            float(np.percentile(taken, 95)),
            len(taken) / len(ran),
        )
    return Report(
        model=frames.model,
        trained=trained,
        images=frames.images,
        answered_frames=int(frames.ok.sum()),
        refused=dict(frames.refused().most_common()),
        accounted=frames.accounted,
        prior=accuracy(frames, frames.prior, frames.prior_covariance, both),
        answered=accuracy(frames, frames.pose, frames.covariance, both),
        raw=accuracy(frames, frames.pose, frames.covariance, frames.has_pose),
        stages=stages,
    )


_METRES, _SHARE, _PLAIN = "{:.2f}", "{:.0%}", "{:.2f}"
_ROWS: tuple[tuple[str, str, str], ...] = (
    ("frames", "frames", "{}"),
    ("median, m", "median", _METRES),
    ("mean, m", "mean", _METRES),
    ("95 %, m", "p95", _METRES),
    ("below 1 m", "within_1m", _SHARE),
    ("below 3 m", "within_3m", _SHARE),
    ("median |along|, m", "along", _METRES),
    ("median |across|, m", "across", _METRES),
    ("median |heading|, °", "heading", _METRES),
    ("NEES / dimensions", "nees", _PLAIN),
    ("inside 90 % ellipse", "coverage", _SHARE),
    ("rank corr. σ, error", "rank", _PLAIN),
)
NOTE = (
    "One drive with one course of GNSS error: the ratio of prior and localizer measures nothing. "
    "NEES / dimensions is 1 where the covariance is right. The prior is GNSS carried by odometry."
)


def accuracy_table(report: Report) -> Table:
    """Return the table of errors."""
    table = Table(title=f"Error at the camera ({report.model})", title_justify="left", caption=NOTE)
    table.add_column("")
    columns = {
        "prior": report.prior,
        "localizer": report.answered,
        "refused ones too": report.raw,
    }
    for name in columns:
        table.add_column(name, justify="right")
    for title, name, form in _ROWS:
        cells = [form.format(getattr(c, name)) if c else "" for c in columns.values()]
        table.add_row(title, *cells)
    return table


def frames_table(report: Report) -> Table:
    """Return the table of what became of the frames."""
    table = Table(title="Frames", title_justify="left")
    table.add_column("what became of them")
    table.add_column("number", justify="right")
    table.add_row("camera images", str(report.images))
    table.add_row("answered with a pose", str(report.answered_frames))
    for reason, count in report.refused.items():
        table.add_row(f"refused: {reason}", str(count))
    silent = report.images - report.answered_frames - sum(report.refused.values())
    table.add_row("dropped for a newer one, or lost", str(max(silent, 0)))
    return table


def latency_table(report: Report) -> Table:
    """Return the table of where the time went."""
    table = Table(
        title="Time per frame, ms (where the network ran)",
        title_justify="left",
    )
    for head in ("stage", "median", "95 %", "in frames"):
        table.add_column(head, justify="left" if head == "stage" else "right")
    for name, (median, late, share) in report.stages.items():
        table.add_row(name, f"{median:.1f}", f"{late:.1f}", f"{share:.0%}")
    return table
