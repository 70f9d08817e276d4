"""One model on one reader's held-out rows, as on a vehicle, beside the controls."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.models.weights import LoadedModel
from cross_view_localizer.views import View
from training.datasets import registry
from training.datasets.pair import DatasetError, Reader
from training.datasets.town import benchmark
from training.measuring.disturbed import Disturbance, DisturbedRows
from training.measuring.records import Record
from training.measuring.rows import Rows, Shuffled
from training.measuring.runs import bar, commit
from training.town.editions import EDITIONS, Edition, rules_of

FITTED = tuple(edition for edition in EDITIONS if rules_of(edition).trained)


@dataclass(frozen=True)
class Job:
    """One line of the results.

    Attributes:
        name: of the line.
        model: its weights.
        shuffled: the control: each row gets the picture of the one half its group away.
        disturbance: what is wrong on purpose.
    """

    name: str
    model: LoadedModel
    shuffled: bool = False
    disturbance: Disturbance | None = None


def held_out(
    view: View,
    split: str,
    data: Mapping[str, Any] | None = None,
    root: str | None = None,
    size: tuple[int, int] = (50, 40),
    cache: Path | None = None,
    workers: int = 0,
    fitting: bool = False,
    edition: Edition = "town-v1",
) -> Reader:
    """Build the reader of rows that nobody trained on.

    Args:
        view: of the model; the benchmark's towns are rendered for it.
        split: of the reader, where it has several.
        data: "reader" and its options; None: the town benchmark.
        root: of the dataset, where it is not among the options.
        size: towns of the benchmark and frames of each; cache: else cache/town.
        workers: processes that render towns.
        fitting: something is fitted on the rows, so that tests are refused too, and editions that
            are kept from training.
        edition: of the benchmark's towns.

    Raises:
        DatasetError: a split that the reader has not or that is trained on, and what the reader
            refuses; one line.
    """
    options = dict(data or {})
    if fitting:
        _check_fitted(options.get("edition", edition))
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
        return benchmark(view, chosen, *size, cache, workers, edition)
    if root is not None:
        options["root"] = root
    return registry.build(name, split=split, **options)


def looks_of(
    view: View,
    split: str,
    editions: Sequence[str] | None = None,
    data: Mapping[str, Any] | None = None,
    **options: Any,
) -> dict[str, Reader]:
    """Build the readers of all looks, by name: a dataset, or editions of the town benchmark.

    Args:
        view, split, data, options: as of `held_out`.
        editions: of the town; None: town-v1.

    Raises:
        DatasetError: an unknown edition, or one of another reader than the town benchmark, and as
            of `held_out`; one line.
    """
    if data:
        if editions:
            raise DatasetError(
                f"editions {', '.join(editions)} with data: expected one of the two; editions are "
                "of the town benchmark"
            )
        reader = held_out(view, split, data, **options)
        return {str(reader.tags.get("dataset", data.get("reader"))): reader}
    wanted = editions or ("town-v1",)
    for edition in wanted:
        if edition not in EDITIONS:
            raise DatasetError(f"edition '{edition}': expected one of {', '.join(EDITIONS)}")
    chosen = [edition for edition in EDITIONS if edition in wanted]
    for edition in chosen if options.get("fitting") else ():  # before towns are rendered
        _check_fitted(edition)
    return {edition: held_out(view, split, edition=edition, **options) for edition in chosen}


def _check_fitted(edition: str) -> None:
    if edition not in FITTED:
        raise DatasetError(
            f"edition '{edition}' is kept from training and fitting: expected one of "
            f"{', '.join(FITTED)}"
        )


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
    if job.disturbance is None:
        rows = Rows(reader, job.model, "metric", None, shuffled, limit, config)
    else:
        rows = DisturbedRows(reader, job.model, job.disturbance, limit, config)
    return list(bar(rows.run(batch_size, workers), job.name, len(rows)))


def about(
    model: LoadedModel, weights: str, readers: Mapping[str, Reader], out: Path
) -> dict[str, Any]:
    """Return what a result must say of its making; counts the runs into one folder.

    Args:
        readers: by look.
    """
    earlier = out / "results.json"
    runs = json.loads(earlier.read_text())["runs"] if earlier.is_file() else 0
    return {
        "weights": weights,
        "model": model.identifier,
        "metadata": model.metadata,
        "calibration": model.calibration.to_dict(),
        "commit": commit(),
        "command": " ".join(["python -m training.evaluate", *sys.argv[1:]]),
        "data": {look: dict(reader.tags) for look, reader in readers.items()},
        "left_out": {look: len(reader.problems) for look, reader in readers.items()},
        "runs": runs + 1,
    }
