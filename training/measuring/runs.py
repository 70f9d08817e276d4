"""Carries a plan out: weights over sets into one CSV each, kept when the command runs again."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.models.weights import LoadedModel
from training.datasets.pair import Reader
from training.measuring import columns
from training.measuring.headings import Turns, classify
from training.measuring.jobs import Job
from training.measuring.plan import Plan, PlanError, Run
from training.measuring.records import control
from training.measuring.rows import HeadingNoise, Rows, Shuffled, drawn


@dataclass(frozen=True)
class Bench:
    """What jobs run with.

    Attributes:
        plan: of the comparison.
        folder: of the CSV files.
        build: (reader's name, options) → reader, cached.
        load: weights file → model, the newest one cached.
        batch_size, workers: of the runs.
        config: of the Localizer: device and precision.
        fresh: run again what is there.
        errors: found for (model, set, fit): longitudinal, lateral, metres per cell.
    """

    plan: Plan
    folder: Path
    build: Callable[[str], Reader]
    load: Callable[[str], LoadedModel]
    batch_size: int = 8
    workers: int = 0
    config: LocalizerConfig = field(default_factory=LocalizerConfig)
    fresh: bool = False
    errors: dict[tuple[str, str, str | None], NDArray[np.float64]] = field(default_factory=dict)

    def done(self, job: Job) -> columns.Columns:
        """Return the rows of a job that ran."""
        return columns.read(self.folder / f"{job.stem}.csv")

    def about(self, job: Job) -> dict[str, Any]:
        """Return what was noted of a job that ran."""
        content: dict[str, Any] = json.loads((self.folder / f"{job.stem}.json").read_text())
        return content

    def run(self, job: Job) -> bool:
        """Run a job unless its rows are there, made with the same configuration; say whether."""
        model = self.load(job.weights) if job.weights else None
        settings = self._settings(job, model)
        mark = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        note = self.folder / f"{job.stem}.json"
        earlier = json.loads(note.read_text()) if note.is_file() else {}
        table = self.folder / f"{job.stem}.csv"
        if earlier.get("mark") == mark and table.is_file() and not self.fresh:
            return False
        began = time.monotonic()
        reader = self.build(job.set)
        sigma = self._fit_sigma(job, model)
        rows, count = self._rows(job, model)
        columns.write(table, map(asdict, bar(rows, job.stem, count)))
        kinds = Counter(problem.kind for problem in reader.problems)
        about: dict[str, Any] = {
            "mark": mark,
            "settings": settings,
            "tags": self.tags(job.set, job.limit),
            "samples": count,
            "left_out": dict(kinds),
            "seconds": round(time.monotonic() - began, 1),
            "commit": commit(),
            "runs": int(earlier.get("runs", 0)) + 1,
        }
        if model is not None:
            about |= {"model": model.identifier, "training": _training(model.metadata)}
        if sigma is not None:
            about["sigma"] = sigma
        if model is not None and job.kind == "turns":
            about["compared"] = model.model.peak_kind
        note.write_text(json.dumps(about, indent=2) + "\n")
        return True

    def tags(self, name: str, limit: int | None = None) -> dict[str, str]:
        """Return the protocol of a set: its reader's tags, the plan's, and the limit."""
        one = self.plan.sets[name]
        found: dict[str, str] = {}
        for member in one.union:
            for key, value in self.tags(member).items():
                same = found.setdefault(key, value) == value
                found[key] = found[key] if same else f"{found[key]} + {value}"
        if one.reader:
            reader = self.build(name)
            found = dict(reader.tags)
            rows = min([len(reader), *[n for n in (one.limit, limit) if n is not None]])
            if rows < len(reader):
                found["rows"] = f"{rows} of {len(reader)}, drawn"
        return found | {key: str(value) for key, value in one.tags.items()}

    def _settings(self, job: Job, model: LoadedModel | None) -> dict[str, Any]:
        one = self.plan.sets[job.set]
        run = self._of(job)
        fitted = self.plan.sets[run.fit_sigma] if run.fit_sigma else None
        return {
            "model": "" if model is None else model.identifier,
            "control": self.plan.rows[job.row].control,
            "reader": one.reader,
            "options": json.loads(json.dumps(dict(one.options), default=str)),
            "fit": run.fit or one.fit,
            "limits": [one.limit, job.limit],
            "shuffled": run.shuffled,
            "sigma": None if fitted is None else [fitted.reader, str(dict(fitted.options))],
            "precision": self.config.precision,
            "kind": job.settings,
        }

    def _of(self, job: Job) -> Run:
        return self.plan.rows[job.row].run_of(job.set) or Run((job.set,), ())

    def _frames(self, job: Job, model: LoadedModel, fit: str | None = None) -> Rows:
        """Return the rows of a job's set as it asks them."""
        one, run = self.plan.sets[job.set], self._of(job)
        limits = [n for n in (one.limit, job.limit) if n is not None]
        noise = HeadingNoise(job.degrees if job.kind == "noise" else 0.0)
        shuffled: Shuffled = "set" if run.shuffled else ""
        chosen: Any = fit or run.fit or one.fit
        limit = min(limits) if limits else None
        return Rows(self.build(job.set), model, chosen, noise, shuffled, limit, self.config)

    def _rows(self, job: Job, model: LoadedModel | None) -> tuple[Iterable[Any], int]:
        if model is None:
            reader = self.build(job.set)
            rows = drawn(len(reader), self.plan.sets[job.set].limit)
            even = self.plan.rows[job.row].control == "uniform"
            return (control(reader.label(int(i)), even) for i in rows), len(rows)
        frames = self._frames(job, model)
        run = (self.batch_size, self.workers)
        if job.kind == "turns":
            start: Any = job.start
            return classify(Turns(frames, job.classes, start), *run), len(frames)
        return frames.run(*run), len(frames)

    def _fit_sigma(self, job: Job, model: LoadedModel | None) -> float | None:
        """Fit a regressor's Gaussian on the validation set that the plan names."""
        run = self._of(job)
        name = run.fit_sigma
        if name is None or model is None or job.kind != "errors":
            return None
        key = (model.identifier, name, run.fit)
        if key not in self.errors:
            rows = self._frames(replace(job, set=name, limit=None), model, run.fit)
            ones = bar(rows.run(self.batch_size, self.workers), f"{job.stem} sigma", len(rows))
            self.errors[key] = np.array([(e.longitudinal, e.lateral, e.cell) for e in ones])
        found = self.errors[key]
        fitted = model.model.fit_errors(found[:, :2], found[:, 2])
        if fitted is None:
            raise PlanError(
                f"row '{job.row}': fit_sigma, but model '{model.name}' has no Gaussian to fit: "
                "leave it out"
            )
        return fitted.sigma


def bar(rows: Iterable[Any], name: str, count: int) -> Iterable[Any]:
    """Return rows with a progress bar: live on a terminal, every half minute in a log."""
    live = sys.stderr.isatty()
    wait = 0.1 if live else 30.0
    return tqdm(rows, name, count, unit="sample", mininterval=wait, ascii=not live, leave=True)


@cache
def commit() -> str:
    """Return the commit of the code, with a plus sign where files differ from it."""
    try:
        options: dict[str, Any] = {
            "capture_output": True, "text": True, "check": True, "cwd": Path(__file__).parent,
        }  # fmt: skip
        head = subprocess.run(["git", "rev-parse", "HEAD"], **options).stdout.strip()
        state = ["git", "status", "--porcelain", "--untracked-files=no"]
        return str(head) + ("+" if subprocess.run(state, **options).stdout.strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _training(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what results must say of the training, of what the weights know."""
    keys = ("command", "seeds", "samples", "hours", "commit", "validation")
    return {key: metadata[key] for key in keys if key in metadata}
