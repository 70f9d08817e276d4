"""Small trainings for tests: a tiny model on the reader without files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from training import train
from training.datasets import registry
from training.learning.module import Steps
from training.learning.recipe import Recipe

READER = ("plain_reader", "PlainReader")
VIEW = {
    "ground": "pinhole",
    "ground_width": 32,
    "ground_height": 24,
    "aerial_size": 32,
    "aerial_gsd": 1.0,
    "output_size": 32,
    "output_gsd": 1.0,
}
SETTINGS: dict[str, Any] = {
    "view": VIEW,
    "cells": 2,
    "backbone": "vgg16-compact",
    "width": 0.25,
    "heads": 2,
}


def options(folder: Path, **changes: Any) -> dict[str, Any]:
    """Return the options of a training of a few steps."""
    if "steps" in changes:
        changes["steps"] = Steps(**changes["steps"])
    return {
        "model": "cvml",
        "out": folder / "tiny.safetensors",
        "settings": SETTINGS,
        "data": {"reader": "plain", "root": str(folder)},
        "samples": 24,
        "batch": 4,
        "workers": 0,
        "threads": 1,
        "runs": folder / "runs",
        "accelerator": "cpu",
        "precision": "32",
        "progress": False,
    } | changes


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Path:
    """Train and return the weights file."""
    monkeypatch.setitem(registry._READERS, "plain", READER)
    given = options(folder, **changes)
    train.train(Recipe.of(**given))
    return Path(given["out"])
