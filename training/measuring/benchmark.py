"""One model on one reader's held-out rows, as on a vehicle, beside the controls."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.models.weights import LoadedModel
from cross_view_localizer.views import View
from training.datasets import registry
from training.datasets.pair import DatasetError, Reader
from training.datasets.town import benchmark
from training.measuring import columns, summary
from training.measuring.records import Record
from training.measuring.rows import Rows, Shuffled
from training.measuring.runs import bar, commit
from training.measuring.tables import Cell, Line, Table, piped

DRAWS = 2000
HEADS = (
    "median", "mean", "longitudinal", "lateral", "< 1 m", "< 5 m", "NLL", "NEES", "90 %",
    "ρ(σ, e)", "published",
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One line of the results.

    Attributes:
        name: of the line.
        model: its weights.
        shuffled: the control: each row gets the picture of the one half its group away.
    """

    name: str
    model: LoadedModel
    shuffled: bool = False


Found = Mapping[str, Sequence[Record]]


def held_out(
    view: View,
    split: str,
    data: Mapping[str, Any] | None = None,
    root: str | None = None,
    size: tuple[int, int] = (50, 40),
    cache: Path | None = None,
    workers: int = 0,
    fitting: bool = False,
) -> Reader:
    """Build the reader of rows that nobody trained on.

    Args:
        view: of the model; the benchmark's towns are rendered for it.
        split: of the reader, where it has several.
        data: "reader" and its options; None: the town benchmark.
        root: of the dataset, where it is not among the options.
        size: towns of the benchmark and frames of each; cache: else cache/town.
        workers: processes that render towns.
        fitting: something is fitted on the rows, so that tests are refused too.

    Raises:
        DatasetError: a split that the reader has not or that is trained on, and what the reader
            refuses; one line.
    """
    options = dict(data or {})
    name = options.pop("reader", None if options else "town")
    if name is None:
        raise DatasetError(f"data: no reader given: expected one of {', '.join(registry.names())}")
    kept = ("train", "all", "demo", *(["test"] if fitting else []))
    splits = [one for one in registry.splits(name) if not one.startswith(kept)]
    split = str(options.pop("split", split))
    if split not in splits:
        raise DatasetError(
            f"reader '{name}' has no split '{split}' to {'fit' if fitting else 'measure'} on: "
            f"expected one of {', '.join(splits) or 'none'}"
        )
    if name == "town" and not options:
        chosen: Any = split
        return benchmark(view, chosen, *size, cache, workers)
    if root is not None:
        options["root"] = root
    return registry.build(name, split=split, **options)


def measured(
    job: Job,
    reader: Reader,
    config: LocalizerConfig | None = None,
    limit: int | None = None,
    batch_size: int = 8,
    workers: int = 0,
) -> list[Record]:
    """Return what all rows gave."""
    shuffled: Shuffled = "group" if job.shuffled else ""
    rows = Rows(reader, job.model, "metric", None, shuffled, limit, config)
    return list(bar(rows.run(batch_size, workers), job.name, len(rows)))


def about(model: LoadedModel, weights: str, reader: Reader, out: Path) -> dict[str, Any]:
    """Return what a result must say of its making; counts the runs into one folder."""
    earlier = out / "results.json"
    runs = json.loads(earlier.read_text())["runs"] if earlier.is_file() else 0
    return {
        "weights": weights,
        "model": model.identifier,
        "metadata": model.metadata,
        "calibration": model.calibration.to_dict(),
        "commit": commit(),
        "command": " ".join(["python -m training.evaluate", *sys.argv[1:]]),
        "data": dict(reader.tags),
        "left_out": len(reader.problems),
        "runs": runs + 1,
    }


def write(out: Path, found: Found, header: dict[str, Any]) -> None:
    """Write the three files; each appears whole. The first row is what the others differ from."""
    out.mkdir(parents=True, exist_ok=True)
    rows = ({"row": name} | asdict(one) for name, records in found.items() for one in records)
    columns.write(out / "frames.csv", rows)
    results = header | results_of(found)
    columns.replace_text(out / "results.json", json.dumps(results, indent=2) + "\n")
    columns.replace_text(out / "table.md", page(results))


def results_of(found: Found) -> dict[str, Any]:
    """Return all figures: "rows" by name, and "differences" from the first of them."""
    each = {name: columns.Columns.of(map(asdict, records)) for name, records in found.items()}
    (_, ours), *others = each.items()
    return {
        "rows": {name: summary.summary([one], DRAWS) for name, one in each.items()},
        "differences": {
            name: summary.difference([ours], [one], summary.median, "mode_error", DRAWS)
            for name, one in others
        },
    }


def page(results: Mapping[str, Any]) -> str:
    """Return the table, metres, with the centre-only row; brackets are 95 % intervals."""
    first, ours = next(iter(results["rows"].items()))
    lines = [Line(name, _cells(one)) for name, one in results["rows"].items()]
    centre = [Cell(f"{ours['centre_only'][kind]:.2f}") for kind in ("median", "mean")]
    lines.append(Line("centre only", [*centre, *[Cell("")] * (len(HEADS) - 2)]))
    said = [piped(Table("benchmark", "", HEADS, [""] * len(HEADS), lines, where=False)), ""]
    for name, one in results["differences"].items():
        interval = f" [{one['low']:.2f}, {one['high']:.2f}]" if "low" in one else ""
        said.append(f"{first} − {name}, median: {one['value']:.2f} m{interval}")
    said.append(f"{ours['frames']} frames of {ours['groups']} groups, none left out.")
    return "\n".join(said) + "\n"


def _cells(figures: Mapping[str, Any]) -> list[Cell]:
    def number(key: str) -> str:
        return "-" if figures.get(key) is None else f"{figures[key]:.2f}"

    def interval(kind: str) -> str:
        one = figures[f"mode_error_{kind}"]
        low = "" if one["low"] is None else f" [{one['low']:.2f}, {one['high']:.2f}]"
        return f"{one['value']:.2f}{low}"

    region, error = figures.get("coverage_90_region"), figures["mode_error"]
    texts = [
        interval("median"),
        interval("mean"),
        f"{figures['longitudinal']['median']:.2f}",
        f"{figures['lateral']['median']:.2f}",
        f"{error['recall_1m']:.0%}",
        f"{error['recall_5m']:.0%}",
        number("nll_nats_per_m2"),
        number("nees_per_dof"),
        "-" if region is None else f"{region:.0%}",
        number("spearman_sigma_error"),
        f"{figures['gated']['share']:.0%}",
    ]
    return [Cell(text) for text in texts]
