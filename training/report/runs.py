"""Carries a plan out: weights over sets into one CSV each, kept when the command runs again."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cross_view_localizer.models.weights import LoadedModel
from training import metrics
from training.datasets.pair import Reader
from training.report import samples
from training.report.orientation import Turns, classify
from training.report.plan import Plan, PlanError, Run
from training.report.published import UNIFORM
from training.scoring import Frames, HeadingNoise, Scored, drawn, score


@dataclass(frozen=True)
class Job:
    """One pass over one set.

    Attributes:
        row, set: names in the plan.
        seed: number of the weights file in its run.
        weights: the file; empty for controls.
        kind: "errors", "noise" (of the told heading, ± ``degrees``) or "turns".
        degrees: of "noise".
        limit: rows, in place of the set's; None keeps it.
        classes, start: of "turns".
    """

    row: str
    set: str
    seed: int = 0
    weights: str = ""
    kind: str = "errors"
    degrees: float = 0.0
    limit: int | None = None
    classes: int = 16
    start: str = "truth"

    @property
    def stem(self) -> str:
        """File name without its ending."""
        extra = {"errors": "", "noise": f".{self.degrees:g}deg", "turns": f".{self.classes}way"}
        name = f"{self.row}.{self.set}.{self.seed}{extra[self.kind]}"
        return "".join(c if c.isalnum() or c in "._-+" else "_" for c in name)


@dataclass(frozen=True)
class Bench:
    """What jobs run with.

    Attributes:
        plan: of the comparison.
        folder: of the CSV files.
        build: (reader's name, options) → reader, cached.
        load: weights file → model, the newest one cached.
        batch_size, workers, device: of the runs.
        fresh: run again what is there.
        errors: found for (model, set, fit): longitudinal, lateral, metres per cell.
    """

    plan: Plan
    folder: Path
    build: Callable[[str], Reader]
    load: Callable[[str], LoadedModel]
    batch_size: int = 8
    workers: int = 0
    device: str = "auto"
    fresh: bool = False
    errors: dict[tuple[str, str, str | None], NDArray[np.float64]] = field(default_factory=dict)

    def done(self, job: Job) -> samples.Columns:
        """Return the rows of a job that ran."""
        return samples.read(self.folder / f"{job.stem}.csv")

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
        rows, count = self._rows(job, reader, model)
        samples.write(table, bar(rows, job.stem, count))
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
            "kind": [job.kind, job.degrees, job.classes, job.start][: _counts(job.kind)],
        }

    def _of(self, job: Job) -> Run:
        return self.plan.rows[job.row].run_of(job.set) or Run((job.set,), ())

    def _frames(
        self, job: Job, reader: Reader, model: LoadedModel, given: str | None = None
    ) -> Frames:
        one, run = self.plan.sets[job.set], self._of(job)
        limits = [n for n in (one.limit, job.limit) if n is not None]
        fit: Any = given or run.fit or one.fit
        noise = HeadingNoise(job.degrees if job.kind == "noise" else 0.0)
        limit = min(limits) if limits else None
        return Frames(reader, model.model.view, fit, noise, run.shuffled, limit)

    def _rows(
        self, job: Job, reader: Reader, model: LoadedModel | None
    ) -> tuple[Iterable[Any], int]:
        if model is None:
            rows = drawn(len(reader), self.plan.sets[job.set].limit)
            even = self.plan.rows[job.row].control == "uniform"
            return (control(reader, int(i), even) for i in rows), len(rows)
        frames = self._frames(job, reader, model)
        run = (self.batch_size, self.workers, self.device)
        if job.kind == "turns":
            start: Any = job.start
            return classify(model, Turns(frames, job.classes, start), *run), len(frames)
        return score(model, frames, *run), len(frames)

    def _fit_sigma(self, job: Job, model: LoadedModel | None) -> float | None:
        """Fit a regressor's Gaussian on the validation set that the plan names."""
        run = self._of(job)
        name = run.fit_sigma
        if name is None or model is None or job.kind != "errors":
            return None
        key = (model.identifier, name, run.fit)
        if key not in self.errors:
            fit = replace(job, set=name, limit=None)
            frames = self._frames(fit, self.build(name), model, run.fit)
            found = score(model, frames, self.batch_size, self.workers, self.device)
            ones: Iterable[Scored] = bar(found, f"{fit.stem} sigma", len(frames))
            self.errors[key] = np.array([(e.longitudinal, e.lateral, e.cell) for e in ones])
        rows = self.errors[key]
        fitted = model.model.fit_errors(rows[:, :2], rows[:, 2])
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


def control(reader: Reader, index: int, even: bool) -> Scored:
    """Return what the patch's centre, or an even heatmap, gives: no picture is opened."""
    label = reader.label(index)
    east, north = (c - p for c, p in zip(label.grid.center, label.position, strict=True))
    along, across = metrics.longitudinal_lateral([(east, north)], [(0.0, 0.0)], [label.yaw])
    error, width = math.hypot(east, north), label.grid.extent[0]
    return Scored(
        name=label.name,
        group=str(label.group),
        truth_x=label.position[0],
        truth_y=label.position[1],
        heading=label.yaw,
        centre_error=error,
        argmax_error=error,
        mode_error=error,
        longitudinal=float(along[0]),
        lateral=float(across[0]),
        p_truth=UNIFORM if even else math.nan,
        log_density=-2 * math.log(width) if even else math.nan,
        p_peak=UNIFORM if even else math.nan,
        heading_error=math.nan,
        told=0.0,
        cell=label.grid.gsd,
    )


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


def _counts(kind: str) -> int:
    return {"errors": 1, "noise": 2, "turns": 4}[kind]


def _training(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what results must say of the training, of what the weights know."""
    keys = ("command", "seeds", "samples", "hours", "commit", "validation")
    return {key: metadata[key] for key in keys if key in metadata}
