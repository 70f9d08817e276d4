"""Measure weights on towns, with the controls: ``python -m training.evaluate --weights front``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jsonargparse
import numpy as np
import torch
from tqdm import tqdm

from cross_view_localizer.models.weights import LoadedModel, WeightsError, load
from training.datasets.town import by_town
from training.measuring import metrics
from training.measuring.records import FrameRecord, table
from training.measuring.town_benchmark import open_gates, run_town
from training.town.manifest import BenchmarkFrame
from training.town.manifest import load as load_frames
from training.town.seeds import Split


@dataclass(frozen=True)
class Row:
    """One line of the results: a name, its frames, its figures."""

    name: str
    records: list[FrameRecord]
    figures: dict[str, Any]


def evaluate(
    weights: str,
    out: Path = Path("runs/evaluation"),
    split: Literal["validation", "calibration", "test"] = "validation",
    blind: str | None = None,
    towns: int = 50,
    frames: int = 40,
    threads: int = 2,
) -> None:
    """Run the benchmark and write ``results.json``, ``frames.jsonl`` and ``table.md``.

    Args:
        weights: a safetensors file, or "front" or "panorama".
        out: folder to write to.
        split: "validation" to choose by; "test" for a released row only: runs are counted.
        blind: weights of the aerial-only control.
        towns: how many of the split's towns.
        frames: frames of each.
        threads: of the network.
    """
    torch.set_num_threads(threads)
    model = load(weights)
    others = [("aerial only", load(blind), False)] if blind else []
    jobs = [("ours", model, False), *others, ("shuffled", model, True)]
    groups = [group[:frames] for group in by_town(load_frames(split))[:towns]]
    rows = [measure(name, one, groups, split, shuffled) for name, one, shuffled in jobs]
    write(out, rows, about(model, weights, split, out))
    print((out / "table.md").read_text())


def measure(
    name: str,
    model: LoadedModel,
    towns: Sequence[Sequence[BenchmarkFrame]],
    split: Split,
    shuffled: bool,
) -> Row:
    """Localize all frames of all towns."""
    config = open_gates()
    records: list[FrameRecord] = []
    for frames in tqdm(towns, desc=name, unit="town", disable=None):
        records += run_town(model, frames, split, config, shuffled)
    return Row(name, records, table(records))


def about(model: LoadedModel, weights: str, split: str, out: Path) -> dict[str, Any]:
    """Return what a result must say of its making; counts the runs on the test split."""
    earlier = out / "results.json"
    runs = json.loads(earlier.read_text())["runs"] if earlier.is_file() else 0
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    return {
        "weights": weights,
        "model": model.identifier,
        "metadata": model.metadata,
        "calibration": model.calibration.to_dict(),
        "commit": commit,
        "command": " ".join(["python -m training.evaluate", *sys.argv[1:]]),
        "split": split,
        "runs": runs + 1,
    }


def write(out: Path, rows: Sequence[Row], header: dict[str, Any]) -> None:
    """Write the three files; each appears whole."""
    out.mkdir(parents=True, exist_ok=True)
    results = header | {"rows": {row.name: row.figures for row in rows}}
    results["differences"] = {row.name: difference(rows[0], row) for row in rows[1:]}
    lines = [
        json.dumps({"row": row.name})[:-1] + ", " + one.to_json()[1:]
        for row in rows
        for one in row.records
    ]
    _replace(out / "results.json", json.dumps(results, indent=2) + "\n")
    _replace(out / "frames.jsonl", "\n".join(lines) + "\n")
    _replace(out / "table.md", markdown(rows, results["differences"]))


def difference(ours: Row, other: Row) -> tuple[float, float, float]:
    """Return the difference of the medians on the same frames and its 95 % interval, metres."""
    first, second = (np.array([_distance(one) for one in row.records]) for row in (ours, other))
    return metrics.paired_difference(first, second, [one.town for one in ours.records])


def _distance(one: FrameRecord) -> float:
    x, y = one.estimate[:2] if one.estimate else one.prior
    return float(np.hypot(x - one.truth[0], y - one.truth[1]))


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.replace(path)


def markdown(rows: Sequence[Row], differences: dict[str, tuple[float, float, float]]) -> str:
    """Return the table, metres; brackets are 95 % intervals over towns."""
    head = (
        "| | median | mean | longitudinal | lateral | < 1 m | < 5 m | NLL | NEES | 90 % | ρ(σ, e) |"
    )
    lines = [head, "|---" * 11 + "|"]
    for row in rows:
        f, e = row.figures, row.figures["error"]
        low, high = f["error_median_95"]
        mean_low, mean_high = f["error_mean_95"]
        cells = [
            row.name,
            f"{e['median']:.2f} [{low:.2f}, {high:.2f}]",
            f"{e['mean']:.2f} [{mean_low:.2f}, {mean_high:.2f}]",
            f"{f['longitudinal']['median']:.2f}",
            f"{f['lateral']['median']:.2f}",
            f"{e['recall_1m']:.0%}",
            f"{e['recall_5m']:.0%}",
            f"{f['nll_nats_per_m2']:.2f}",
            f"{f['nees_per_dof']:.2f}",
            f"{f['coverage_90_region']:.0%}",
            f"{f['spearman_sigma_error']:.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    centre = rows[0].figures["centre_only"]
    lines.append(f"| centre only | {centre['median']:.2f} | {centre['mean']:.2f} |" + " |" * 8)
    lines.append("")
    for name, (value, low, high) in differences.items():
        lines.append(f"ours − {name}, median: {value:.2f} m [{low:.2f}, {high:.2f}]")
    total = rows[0].figures["frames"]
    lines.append(f"{total} frames of {rows[0].figures['towns']} towns, none left out.")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    try:
        jsonargparse.CLI(evaluate, as_positional=False)
    except (ValueError, WeightsError) as error:
        raise SystemExit(f"evaluate: {error}") from None


if __name__ == "__main__":
    main()
