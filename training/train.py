"""Train a model on procedural towns or on a dataset: ``python -m training.train --config
training/configs/cvml_vigor_same.yaml --root DIR --out cvml.safetensors``.

On several GPUs or machines: ``torchrun --nproc_per_node 4 -m training.train …``.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
import warnings
from dataclasses import fields
from typing import Any

import jsonargparse
import lightning
import torch

from cross_view_localizer.models import registry
from cross_view_localizer.models.contract import CrossViewModel
from training.learning.data import Loading, PairSamples, Samples, StreamSamples, Towns, readers
from training.learning.module import KeepBest, Training
from training.learning.objective import set_options
from training.learning.pictures import Pictures
from training.learning.recipe import GROUPS, Recipe
from training.learning.stage import Engine, last_checkpoint, trainer_of
from training.learning.start import warm_start


def train(recipe: Recipe) -> None:
    """Run one stage of training.

    Raises:
        ValueError: (also as WeightsError, DatasetError) what does not go together; one line.
    """
    began, dry = time.monotonic(), recipe.running.dry_run
    recipe = recipe.tried() if dry else recipe
    subject, schedule, running = recipe.subject, recipe.schedule, recipe.running
    torch.set_num_threads(running.threads)
    lightning.seed_everything(schedule.seed, verbose=False)
    engine = Engine(
        running.accelerator,
        running.precision,
        None if dry else running.runs,
        running.checkpoint_every,
        running.progress,
    )
    checkpoint = last_checkpoint(engine, subject.out.stem) if running.resume else None
    network, about, best = made_model(recipe)
    samples = made_samples(recipe, network)
    about |= samples.about | {"command": " ".join(["python -m training.train", *sys.argv[1:]])}
    module = made_module(recipe, network, samples)
    samples.done = lambda: module.batches
    choose_by = recipe.validation.choose_by
    settings = subject.settings or {}
    keep = KeepBest(None if dry else subject.out, subject.model, settings, about, best, choose_by)
    trainer = trainer_of(
        engine,
        subject.out.stem,
        samples,
        schedule.batch,
        module.steps,
        [keep] if dry else [keep, Pictures()],
        sanity=subject.start is not None and recipe.material.data is None and not dry,
    )
    trainer.fit(module, datamodule=samples, ckpt_path=checkpoint)
    if dry and trainer.is_global_zero:
        validated = sum(len(one["nll"]) for one in module.results)
        print(
            f"dry run: {module.seen} samples learned, {validated} validated, nothing written, "
            f"{time.monotonic() - began:.0f} s"
        )


def made_model(recipe: Recipe) -> tuple[CrossViewModel, dict[str, Any], float]:
    """Return the model, what its start says of earlier stages, and the figure to beat."""
    subject = recipe.subject
    network = registry.build(subject.model, subject.settings or {})
    set_options(network, subject.terms)
    about: dict[str, Any] = {"seeds": [recipe.schedule.seed]}
    best = float("inf")
    if subject.start is not None:
        same = subject.out == subject.start
        about, best = warm_start(network, subject.start, about, same, recipe.validation.choose_by)
    return network.to(memory_format=torch.channels_last), about, best  # type: ignore[call-overload]


def made_samples(recipe: Recipe, network: CrossViewModel) -> Samples:
    """Return the batches that the recipe asks for."""
    material, validation = recipe.material, recipe.validation
    loading = Loading(
        recipe.schedule.batch,
        recipe.schedule.seed,
        recipe.running.workers,
        validation.validate_every,
    )
    if material.data is None:
        towns = Towns(
            material.editions,
            material.no_match_share,
            validation.validation_editions,
            validation.validation_towns,
            validation.validation_frames,
        )
        return StreamSamples(network, loading, towns)
    if material.editions or material.no_match_share or validation.validation_editions:
        raise ValueError(
            "editions, no_match_share and validation_editions are of the made-up towns: expected "
            "none of them beside data"
        )
    train, held_out = readers(material.data, material.validation, material.root)
    most, skip = validation.validation_samples, material.skip_problems
    return PairSamples(network, train, held_out, loading, material.fit, material.vary, skip, most)


def made_module(recipe: Recipe, network: CrossViewModel, samples: Samples) -> Training:
    """Return the trained module, its length counted in samples."""
    schedule = recipe.schedule
    count, minutes = schedule.samples, schedule.minutes
    if recipe.material.data is None:
        count = count or (None if schedule.epochs else 200_000)
        minutes = minutes or 100.0
    length = length_of(count, schedule.epochs, samples)
    return Training(network, schedule.learning_rate, length, minutes, schedule.steps, schedule.seed)


def length_of(samples: int | None, epochs: int | None, data: Samples) -> int:
    """Return the stage's length in samples."""
    if (samples is None) == (epochs is None):
        raise ValueError(f"samples {samples}, epochs {epochs}: expected one of the two")
    if epochs is None:
        return int(samples or 0)
    if data.epoch is None:
        raise ValueError("epochs of the endless town stream: expected samples instead, or data")
    return epochs * data.epoch


def made_parser() -> jsonargparse.ArgumentParser:
    """Return the command line: every group's options, by their own names."""
    parser = jsonargparse.ArgumentParser(
        prog="python -m training.train",
        description="Run one stage of training, as a recipe and the options here say.",
        exit_on_error=False,
    )
    parser.add_argument("--config", action="config", help="a recipe: a YAML file of these options")
    for kind in GROUPS.values():
        parser.add_class_arguments(kind)
    return parser


def parsed(words: list[str] | None = None) -> Recipe:
    """Return the recipe that a command line asks for.

    Raises:
        ValueError, jsonargparse.ArgumentError: a mistake.
    """
    parser = made_parser()
    given = parser.instantiate(parser.parse_args(words))
    names = [field.name for kind in GROUPS.values() for field in fields(kind)]
    return Recipe.of(**{name: given[name] for name in names})


def main() -> None:
    """Command line; a mistake ends in one line."""
    warnings.filterwarnings("ignore", module="lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    if os.environ.get("RANK", "0") != "0":  # of several processes, the first one speaks
        sys.stdout = open(os.devnull, "w")
    try:
        train(parsed())
    except (ValueError, jsonargparse.ArgumentError) as error:  # also WeightsError, DatasetError
        files = [word for word in sys.argv[1:] if word.endswith((".yaml", ".yml"))]
        where = ", ".join(files) + ": " if "parsing config" in str(error) else ""
        raise SystemExit(f"train: {where}{one_line(error)}") from None


def one_line(error: Exception) -> str:
    """Return what an error says in one line; of one out of a loader process, its own message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if "Original Traceback" in str(error):
        return re.sub(r"^[\w.]+Error: ", "", lines[-1])
    return " ".join(lines)


if __name__ == "__main__":
    main()
