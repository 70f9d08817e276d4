"""A calibration over several looks of the world: what is fitted, and what it is worth on each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cross_view_localizer.belief.calibration import Calibration
from training.measuring.calibrate import HeldOut, assess, fit, halves, raw_scores
from training.measuring.no_match import Told, assess_no_match, fit_no_match, told
from training.measuring.rows import Rows
from training.measuring.tables import Cell, Line, Table, piped


@dataclass(frozen=True)
class Look:
    """What a network said on one look's held-out frames.

    Attributes:
        frames: with their own pictures.
        told: of no match, with their own and with other frames' pictures; None where the model
            does not tell.
        refused: rows that never reached the network, by reason.
    """

    frames: Sequence[HeldOut]
    told: Told | None = None
    refused: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, own: Rows, wrong: Rows, batch_size: int, workers: int) -> Look:
        """Ask a model about rows and, where it tells no match, about them with wrong pictures."""
        refused: Counter[str] = Counter()
        frames = list(raw_scores(own, refused, batch_size, workers))
        if any(frame.answer.no_match is None for frame in frames):
            return cls(frames, None, refused)
        shown = raw_scores(wrong, Counter(), batch_size, workers)
        others = [frame.answer.no_match for frame in shown]
        return cls(frames, told([frame.answer for frame in frames], others), refused)

    def halves(self) -> tuple[Look, Look]:
        """Return the first half of the groups, and the others."""
        tolds = (None, None) if self.told is None else self.told.halves()
        first, second = (Look(*half) for half in zip(halves(self.frames), tolds, strict=True))
        return first, second


def fit_looks(looks: Mapping[str, Look], base: Calibration, floor: float) -> Calibration:
    """Fit everything such that the worst look counts; arguments as of `calibrate.fit`."""
    chosen = fit({name: look.frames for name, look in looks.items()}, base=base, floor=floor)
    tolds = {name: look.told for name, look in looks.items() if look.told is not None}
    return fit_no_match(tolds, chosen) if tolds else chosen


def report(looks: Mapping[str, Look], before: Calibration, base: Calibration, floor: float) -> str:
    """Return a table: on the second halves, as it was before and as fitted on the first halves."""
    parts = {name: look.halves() for name, look in looks.items()}
    fitted = fit_looks({name: first for name, (first, _) in parts.items()}, base, floor)
    lines = [
        Line(f"{name}, {stage}", _cells(second, calibration))
        for name, (_, second) in parts.items()
        for stage, calibration in (("before", before), ("fitted on the other half", fitted))
    ]
    names = [*FIGURES, *(SHARES if any(look.told for look in looks.values()) else ())]
    table = Table("calibration", "", names, [""] * len(names), lines, where=False)
    kept = [
        f"{name}: {sum(look.refused.values())} rows never reached the network: {dict(look.refused)}"
        for name, look in looks.items()
        if look.refused
    ]
    return "\n".join([piped(table), *kept, f"fitted on the other half: {fitted}"])


FIGURES = {
    "frames": "frames",
    "median": "median_error",
    "NLL": "nll_nats_per_m2",
    "NEES": "nees_per_dof",
    "NEES along": "longitudinal_nees",
    "NEES across": "lateral_nees",
    "NEES yaw": "yaw_nees",
    "90 %": "coverage_90_region",
    "σ": "sigma_median",
}
SHARES = {"right pass": "right_passing", "wrong pass": "wrong_passing", "AUC": "auc"}


def _cells(look: Look, calibration: Calibration) -> list[Cell]:
    found: dict[str, Any] = assess(look.frames, calibration)
    cells = [_cell(found.get(key)) for key in FIGURES.values()]
    if look.told is not None:
        shares = assess_no_match(look.told, calibration)
        cells += [_cell(shares[key]) for key in SHARES.values()]
    return cells


def _cell(value: float | None) -> Cell:
    if value is None:
        return Cell()
    return Cell(str(value) if isinstance(value, int) else f"{value:.3f}")
