"""What a stage of training is told, in groups; a YAML file or the command line names it flat."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from training.datasets.pairs import Fit
from training.learning.module import Choice, Steps
from training.learning.stage import Precision
from training.town.editions import Edition

DRY_BATCH, DRY_STEPS, DRY_VALIDATION = 2, 2, 16


@dataclass(frozen=True)
class Subject:
    """What is trained.

    Attributes:
        model: name in the registry ("bev", "cvml", "cvr").
        out: the weights file to write; rewritten only where the validation improves.
        settings: the model's keyword configuration.
        terms: options of the model's own loss (see its file in cross_view_localizer/models).
        start: weights to go on from, or a trunk's; what fits by name and shape is taken, the rest
            starts fresh.
    """

    model: str
    out: Path
    settings: dict[str, Any] | None = None
    terms: dict[str, Any] | None = None
    start: Path | None = None


@dataclass(frozen=True)
class Material:
    """What it is trained on.

    Attributes:
        data: "reader": a dataset's name, and its reader's options; none: the stream of made-up
            towns.
        root: the dataset's folder.
        validation: options of the reader that differ for validation; none: the split "validation".
        fit: "tile" resizes the dataset's tiles as the papers do, "metric" cuts squares of the
            model's own metres per pixel.
        vary: vary the light, and mirror half of the samples.
        skip_problems: leave rows with missing or broken files out instead of refusing to start.
        editions: of the made-up towns, and how often each is drawn; none: town-v1 alone.
        no_match_share: of the made-up samples whose pictures do not show the same place.
    """

    data: dict[str, Any] | None = None
    root: str | None = None
    validation: dict[str, Any] | None = None
    fit: Fit = "tile"
    vary: bool = False
    skip_problems: bool = False
    editions: dict[Edition, float] | None = None
    no_match_share: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """How long, and how the weights are changed.

    Attributes:
        samples: length of the stage in samples; 200 000 of the towns.
        epochs: length of the stage in passes through the dataset, instead of samples.
        minutes: it ends earlier after so many; 100 on the towns, no limit on a dataset.
        batch: samples per step, over all processes.
        learning_rate: the optimiser's peak.
        steps: how the weights are changed.
        seed: of initialisation, order and draws; give another one to each stage.
    """

    samples: int | None = None
    epochs: int | None = None
    minutes: float | None = None
    batch: int = 16
    learning_rate: float = 1.5e-3
    steps: Steps | None = None
    seed: int = 0


@dataclass(frozen=True)
class Validation:
    """How it is judged on the way.

    Attributes:
        validate_every: samples between validations; 6 400 of the towns, an epoch of a dataset.
        validation_samples: validate on so many rows, evenly spread; none: on all.
        validation_towns: how many of the 50 validation towns to use.
        validation_frames: frames of each.
        validation_editions: of the made-up towns, each with so many towns; none: those of training.
        choose_by: the validation figure by which weights are kept.
    """

    validate_every: int | None = None
    validation_samples: int | None = None
    validation_towns: int = 20
    validation_frames: int = 15
    validation_editions: list[Edition] | None = None
    choose_by: Choice = "nll"


@dataclass(frozen=True)
class Running:
    """Where and how it runs.

    Attributes:
        workers: processes that make samples, beside each that trains.
        threads: of each training process.
        accelerator: "auto", "cpu" or "gpu".
        precision: "auto", "32", "bf16" or "16"; losses are float32 always.
        runs: folder of logs and checkpoints, in a folder named after ``out``.
        checkpoint_every: samples between checkpoints to resume from.
        resume: go on from the run's last checkpoint, with the same settings.
        dry_run: a try on 20 samples, a validation included, that leaves nothing behind.
        progress: show a progress bar.
    """

    workers: int = 1
    threads: int = 2
    accelerator: str = "auto"
    precision: Precision = "auto"
    runs: Path = Path("runs")
    checkpoint_every: int = 10_000
    resume: bool = False
    dry_run: bool = False
    progress: bool = True


GROUPS: dict[str, type] = {
    "subject": Subject,
    "material": Material,
    "schedule": Schedule,
    "validation": Validation,
    "running": Running,
}


@dataclass(frozen=True)
class Recipe:
    """One stage of training.

    Raises:
        ValueError: a number that is not positive; one line.
    """

    subject: Subject
    material: Material
    schedule: Schedule
    validation: Validation
    running: Running

    def __post_init__(self) -> None:
        for group in (self.schedule, self.validation, self.running):
            for name in _POSITIVE.intersection(field.name for field in fields(group)):
                value = getattr(group, name)
                if value is not None and not value > 0:
                    raise ValueError(f"{name} {value}: expected a positive number")

    @classmethod
    def of(cls, **options: Any) -> Recipe:
        """Sort options, named as in a YAML file, into their groups."""
        groups = {
            key: kind(**{f.name: options.pop(f.name) for f in fields(kind) if f.name in options})
            for key, kind in GROUPS.items()
        }
        if options:
            raise ValueError(f"option '{next(iter(options))}' is unknown to training")
        return cls(**groups)

    def tried(self) -> Recipe:
        """Return the recipe of a dry run: two steps and a small validation, alone."""
        dry = DRY_BATCH * DRY_STEPS
        validation = replace(
            self.validation,
            validate_every=dry,
            validation_towns=1,
            validation_samples=DRY_VALIDATION,
            validation_frames=DRY_VALIDATION,
        )
        return replace(
            self,
            schedule=replace(self.schedule, samples=dry, epochs=None, batch=DRY_BATCH),
            validation=validation,
            running=replace(self.running, workers=0, resume=False, progress=False),
        )


_POSITIVE = {
    *("samples", "epochs", "minutes", "batch", "learning_rate", "threads", "checkpoint_every"),
    *("validate_every", "validation_samples", "validation_towns", "validation_frames"),
}
