"""Every recipe fits the command line, its model and its reader."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from training_runs import SETTINGS

from cross_view_localizer.models import registry as models
from training import train
from training.datasets import registry as datasets
from training.learning.objective import set_options
from training.learning.recipe import Recipe

CONFIGS = sorted((Path(train.__file__).parent / "configs").glob("*.yaml"))
PAPERS = [
    f"{m}_{d}.yaml" for m in ("cvml", "cvr") for d in ("vigor_same", "vigor_cross", "robotcar")
]


def parsed(path: Path) -> Recipe:
    return train.parsed([f"--config={path}", "--root=/somewhere", "--out=weights.safetensors"])


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_recipe_fits(path: Path) -> None:
    given = parsed(path)
    with torch.device("meta"):  # sizes only
        model = models.build(given.subject.model, given.subject.settings or {})
    set_options(model, given.subject.terms)
    if given.material.data is None:
        return
    options = dict(given.material.data)
    known = datasets.options(options.pop("reader"))
    assert not set(options) - set(known)
    assert not set(given.material.validation or {}) - {*known, "reader"}
    assert (given.schedule.samples is None) != (given.schedule.epochs is None)


@pytest.mark.parametrize("name", PAPERS)
def test_the_papers_recipes_have_the_papers_settings(name: str) -> None:
    given = parsed(CONFIGS[0].with_name(name))
    schedule, model = given.schedule, given.subject.model
    assert schedule.steps is not None
    assert schedule.learning_rate == 1e-5 and schedule.batch == 8
    assert schedule.epochs == (70 if "robotcar" in name else 30)
    assert (schedule.steps.method, schedule.steps.rate) == ("adam", "constant")
    assert schedule.steps.clip == schedule.steps.average == 0
    assert given.validation.choose_by == "mean" and given.running.precision == "32"
    assert model == name.split("_")[0]
    if model == "cvml":
        network = models.build("cvml", SETTINGS)
        set_options(network, given.subject.terms)
        terms = network.objective
        assert (terms.sigma_cells, terms.nce, terms.temperature) == (4.0, 1e4, 0.1)
        assert (terms.target, terms.nce_form) == ("published", "batch_wide")


def test_every_paper_and_dataset_has_its_recipe() -> None:
    names = {path.name for path in CONFIGS}
    assert names.issuperset(PAPERS)
    assert names.issuperset(
        {"bev_vigor_same.yaml", "bev_robotcar.yaml", "bev_kitti.yaml", "own.yaml"}
    )
