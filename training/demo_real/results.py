"""What the real pictures gave, as figures and as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from training.demo.results import Frames
from training.demo_real.trials import REACH, TURN, Trial
from training.measuring import looks, summary
from training.measuring.columns import Columns
from training.measuring.tables import Cell, Line, Table, piped

Rows = Mapping[str, Sequence[Trial]]
"""Trials by row; "ours" is the first."""

HEADS = ("priors", "median", "longitudinal", "lateral", "σ along", "published", "of these > 5 m")


def results_of(rows: Rows) -> dict[str, Any]:
    """Return figures by set of pictures ("looks") and, of our own row, by picture ("pictures")."""
    sets: dict[str, dict[str, list[Any]]] = {}
    for name, trials in rows.items():
        for one in trials:
            sets.setdefault(one.scene.group, {}).setdefault(name, []).extend(one.records)
    ours = next(iter(rows.values()))
    pictures = {one.scene.name: Columns.of(map(asdict, one.records)) for one in ours}
    each = {name: summary.summary([one], draws=0) for name, one in pictures.items()}
    return looks.results_of(sets) | {"pictures": each}


def node_line(frames: Frames) -> str:
    """Return one line about the pictures that went through the node."""
    refused = ", ".join(f"{n} {reason}" for reason, n in frames.refused().most_common())
    ran = frames.has_pose
    median = "no answer at all"
    if ran.any():
        errors = frames.camera(frames.pose[ran]) - frames.camera(frames.truth[ran])
        median = f"median {np.median(np.hypot(*errors.T)):.2f} m, refused ones too"
    return (
        f"KITTI's drive through the node ({frames.model}): {int(frames.ok.sum())} of "
        f"{frames.images} images answered{f', refused: {refused}' if refused else ''}; {median}."
    )


def page(results: Mapping[str, Any], priors: int) -> str:
    """Return everything as text."""
    lines = []
    for name, one in results["pictures"].items():
        wrong = one["gated"].get("wrong")
        texts = [
            str(one["frames"]),
            f"{one['mode_error']['median']:.2f}",
            f"{one['longitudinal']['median']:.2f}",
            f"{one['lateral']['median']:.2f}",
            f"{one['longitudinal_sigma_median']:.2f}" if "nees_per_dof" in one else "-",
            f"{one['gated']['share']:.0%}",
            "-" if wrong is None else f"{wrong:.0%}",
        ]
        lines.append(Line(name, [Cell(text) for text in texts]))
    pictures = Table("pictures", "", HEADS, [""] * len(HEADS), lines, where=False)
    about = (
        f"Each picture with {priors} priors, off by ±{REACH:g} m and ±{np.degrees(TURN):g}°. "
        "Groups are pictures: intervals are by bootstrap over a handful of them. Shuffled: another "
        "picture's. Truths are good to 0.4 m (KITTI, VIGOR), 1 to 3 m (CVACT). No model here has "
        f"been trained on real streets. {results['models']}."
    )
    return "\n".join([about, "", looks.page(results), piped(pictures), "", results["node"], ""])
