"""Every recipe fits the command line, its model and its reader."""

from __future__ import annotations

from pathlib import Path

import jsonargparse
import pytest
import torch
from training_runs import SETTINGS

from cross_view_localizer.models import registry as models
from training import train
from training.datasets import registry as datasets
from training.learning.objective import set_options

CONFIGS = sorted((Path(train.__file__).parent / "configs").glob("*.yaml"))
PAPERS = [
    f"{m}_{d}.yaml" for m in ("cvml", "cvr") for d in ("vigor_same", "vigor_cross", "robotcar")
]


def parsed(path: Path) -> jsonargparse.Namespace:
    parser = jsonargparse.auto_parser(train.train, as_positional=False, exit_on_error=False)
    words = [f"--config={path}", "--root=/somewhere", "--out=weights.safetensors"]
    return parser.parse_args(words)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_recipe_fits(path: Path) -> None:
    given = parsed(path)
    with torch.device("meta"):  # sizes only
        model = models.build(given.model, given.settings)
    set_options(model, given.terms)
    if given.data is None:
        return
    options = dict(given.data)
    known = datasets.options(options.pop("reader"))
    assert not set(options) - set(known)
    assert not set(given.validation or {}) - {*known, "reader"}
    assert (given.samples is None) != (given.epochs is None)


@pytest.mark.parametrize("name", PAPERS)
def test_the_papers_recipes_have_the_papers_settings(name: str) -> None:
    given = parsed(CONFIGS[0].with_name(name))
    assert given.learning_rate == 1e-5 and given.batch == 8
    assert given.epochs == (70 if "robotcar" in name else 30)
    assert (given.steps.method, given.steps.rate) == ("adam", "constant")
    assert given.steps.clip == given.steps.average == 0
    assert given.choose_by == "mean" and given.precision == "32"
    assert given.model == name.split("_")[0]
    if given.model == "cvml":
        model = models.build("cvml", SETTINGS)
        set_options(model, given.terms)
        terms = model.objective
        assert (terms.sigma_cells, terms.nce, terms.temperature) == (4.0, 1e4, 0.1)
        assert (terms.target, terms.nce_form) == ("published", "batch_wide")


def test_every_paper_and_dataset_has_its_recipe() -> None:
    names = {path.name for path in CONFIGS}
    assert names.issuperset(PAPERS)
    assert names.issuperset(
        {"bev_vigor_same.yaml", "bev_robotcar.yaml", "bev_kitti.yaml", "own.yaml"}
    )
