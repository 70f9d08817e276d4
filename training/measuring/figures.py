"""Figures 3, 5 and 6 of ECCV 2022 from our numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from training.measuring import metrics, published
from training.measuring.columns import Columns
from training.measuring.paper_tables import CORNERS
from training.measuring.results import Results

matplotlib.use("Agg")
PAPER = "0.45"
SHARES = np.arange(5, 101, 5) / 100
COLOURS = ("tab:red", "tab:blue", "tab:green", "tab:purple", "tab:brown")
AREAS = {"same": "-", "cross": "--"}


def figure_3(results: Results, entry: Mapping[str, Any], out: Path) -> None:
    """Distributions of errors: as they are and cumulative, positives and all tiles."""
    sets: Mapping[str, str] = entry["columns"]
    kinds = [kind for kind in ("positive", "all") if any(k.endswith(kind) for k in sets)]
    picture, axes = _grid(len(kinds), 2)
    for row_axes, kind in zip(axes, kinds, strict=True):
        drawn = [
            (row, area, _pooled(results, row, sets[f"{area}/{kind}"], "argmax_error"))
            for row in entry["rows"]
            for area in AREAS
            if f"{area}/{kind}" in sets
        ]
        present = [errors for _, _, errors in drawn if errors is not None]
        if not present:
            continue
        reach = float(np.ceil(max(np.percentile(e, 99.5) for e in present)))
        bins = np.linspace(0, reach, 41)
        for row, area, errors in drawn:
            if errors is None:
                continue
            colour = COLOURS[list(entry["rows"]).index(row) % len(COLOURS)]
            style: dict[str, Any] = {"color": colour, "linestyle": AREAS[area], "linewidth": 1.4}
            label = f"{results.plan.rows[row].label}, {area}-area"
            share, _ = np.histogram(errors, bins)
            row_axes[0].stairs(100 * share / len(errors), bins, label=label, **style)
            fine = np.linspace(0, reach, 400)
            below = np.searchsorted(np.sort(errors), fine) / len(errors)
            row_axes[1].plot(fine, 100 * below, label=label, **style)
        title = "positives" if kind == "positive" else "positives and semi-positives"
        _axes(row_axes[0], f"Errors, {title}", "error (m)", "share of samples (%)")
        _axes(row_axes[1], f"Cumulative, {title}", "error (m)", "samples below (%)")
        for one in row_axes:
            one.set_xlim(0, reach)
            one.set_ylim(bottom=0)
        row_axes[1].legend(fontsize=8, loc="lower right")
    _save(picture, out, "fig3", _where(results, sets.values()))


def figure_5(results: Results, entry: Mapping[str, Any], out: Path) -> None:
    """Errors over the most probable x % of the predictions."""
    sets: Mapping[str, str] = entry["columns"]
    picture, axes = _grid(1, len(sets))
    for one, (key, name) in zip(axes[0], sets.items(), strict=True):
        for number, row in enumerate(entry["rows"]):
            seeds = results.columns.get((row, name))
            if seeds:
                _ranked(one, seeds, results.plan.rows[row].label, number)
        for number, row in enumerate(entry.get("flat", ())):
            errors = _pooled(results, row, name, "argmax_error")
            if errors is not None:
                label = f"{results.plan.rows[row].label}: median, 25/75 % (cannot rank)"
                for level, style in ((0.25, ":"), (0.5, "-"), (0.75, ":")):
                    value = float(np.quantile(errors, level))
                    one.axhline(
                        value, color=("tab:blue", "0.5")[number % 2], linestyle=style,
                        linewidth=1.2, label=label if level == 0.5 else None,
                    )  # fmt: skip
        _axes(one, CORNERS.get(key, key), "most probable x % kept", "error (m)")
        one.set_xlim(100, 5)
        one.set_ylim(0, 1.25 * one.get_ylim()[1])
        one.legend(fontsize=8, loc="upper right")
    _save(picture, out, "fig5", _where(results, sets.values()))


def _ranked(axes: Axes, seeds: Sequence[Columns], label: str, number: int) -> None:
    levels = (0.25, 0.5, 0.75)
    low, middle, high = np.mean(
        [
            metrics.ranked_quantiles(one["argmax_error"], one["p_peak"], SHARES, levels)
            for one in seeds
        ],
        axis=0,
    )
    x = 100 * SHARES
    bands = (("tab:cyan", "tab:orange"), ("tab:green", "tab:olive"))[number % 2]
    line = ("tab:red", "tab:brown")[number % 2]
    axes.fill_between(x, low, middle, color=bands[0], alpha=0.35, label=f"{label}: 25-50 %")
    axes.fill_between(x, middle, high, color=bands[1], alpha=0.35, label=f"{label}: 50-75 %")
    axes.plot(x, middle, color=line, linewidth=1.6, label=f"{label}: median")


def figure_6(
    robustness: Mapping[str, Sequence[tuple[float, float, float]]],
    turned: Mapping[str, tuple[int, Sequence[Columns]]],
    out: Path,
    paper: str = "vigor",
) -> None:
    """Errors under wrong headings (left) and headings told by the highest activation (right).

    Args:
        robustness: curve's name → (± degrees, mean, median error in metres).
        turned: curve's name → classes and seeds' `Turned` columns.
        out: folder.
        paper: dataset whose shares, as printed, are quoted below.
    """
    picture, axes = _grid(1, 2)
    left, right = axes[0]
    for number, (name, points) in enumerate(robustness.items()):
        degrees, mean, median = np.array(points).T
        colour = COLOURS[number % len(COLOURS)]
        left.plot(degrees, mean, "o-", color=colour, label=f"{name}: mean")
        left.plot(degrees, median, "s--", color=colour, label=f"{name}: median")
    _axes(left, "Wrong headings, uniform in ±x°", "x (degrees)", "error (m)")
    left.set_ylim(0, 1.3 * left.get_ylim()[1])
    left.set_xticks(sorted({point[0] for points in robustness.values() for point in points}))
    width = 0.8 / max(len(turned), 1)
    for number, (name, (classes, seeds)) in enumerate(turned.items()):
        step = 360 / classes
        error = np.concatenate([one["error"] for one in seeds])
        bins = np.arange(-180 - step / 2, 180 + step / 2, step)
        wrapped = np.where(error >= 180 - step / 2, error - 360, error)
        share, _ = np.histogram(wrapped, bins)
        middles = (bins[:-1] + bins[1:]) / 2
        right_share = np.mean([one["right"].mean() for one in seeds])
        shift = (number - (len(turned) - 1) / 2) * width * step
        right.bar(
            middles + shift, 100 * share / len(error), width * step,
            color=COLOURS[number % len(COLOURS)], label=f"{name}: {right_share:.0%} right",
        )  # fmt: skip
    classes = next((c for c, _ in turned.values()), 16)
    right.axhline(100 / classes, color=PAPER, linestyle=":", label=f"chance, {1 / classes:.1%}")
    _axes(right, f"{classes} headings, by the highest activation", "error (degrees)", "samples (%)")
    right.set_xticks(range(-180, 181, 45))
    right.set_xlim(-180 - 180 / classes, 180)
    right.set_ylim(0, 1.2 * right.get_ylim()[1])
    for one in (left, right):
        if one.get_legend_handles_labels()[0]:
            one.legend(fontsize=8)
    printed = published.SIXTEEN_WAY[paper]
    said = ", ".join(f"{where} {share:.1%}" for where, share in printed.items())
    _save(picture, out, "fig6", f"paper's share of right headings, on {paper}: {said}")


def _pooled(results: Results, row: str, name: str, column: str) -> Any:
    seeds = results.columns.get((row, name))
    return np.concatenate([one[column] for one in seeds]) if seeds else None


def _grid(rows: int, columns: int) -> tuple[Picture, Any]:
    picture = Picture(figsize=(5.4 * columns, 3.9 * rows), layout="constrained")
    return picture, picture.subplots(rows, columns, squeeze=False)


def _axes(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)


def _where(results: Results, sets: Any) -> str:
    """Return what the figure was measured on, in few words."""
    found = {
        f"{results.tags[name].get('dataset', '')} {results.tags[name].get('split', '')}".strip()
        for name in sets
        if name in results.tags
    }
    return "measured on " + "; ".join(sorted(found))


def _save(picture: Picture, out: Path, name: str, where: str) -> None:
    picture.supxlabel(where, fontsize=7, color=PAPER, x=0.01, ha="left")
    for ending in ("png", "pdf"):
        picture.savefig(out / f"{name}.{ending}", dpi=130)
