"""Our recipes draw priors afresh, offsets and headings anew each epoch, where there is imagery."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from cross_view_localizer.models import registry as models
from cross_view_localizer.views import View
from training import train
from training.datasets import registry, vigor
from training.datasets.pair import Reader
from training.datasets.pairs import PairDataset, heatmap_grid, picture_up
from training.datasets.vigor_tiles import drawn_offset
from training.maps.stitched import convert
from training.town.layouts import kitti, own, robotcar
from training.town.layouts import vigor as vigor_layout

EPOCHS = 40
CONFIGS = Path(train.__file__).parent / "configs"


def blank(*given: Any) -> np.ndarray:
    width, height = given[3]
    return np.zeros((height, width, 3), np.uint8)


def recipe(name: str, **changes: Any) -> tuple[View, Callable[..., Reader]]:
    """Return a recipe's view, and what builds its reader of training."""
    given = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    with torch.device("meta"):
        view = models.build(given["model"], given["settings"]).view
    assert given["fit"] == "metric"
    return view, lambda **more: registry.build(
        **{"name": given["data"].pop("reader"), **given["data"], **changes, **more}
    )


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {name: tmp_path_factory.mktemp(name) for name in ("vigor", "kitti", "robotcar", "own")}
    with pytest.MonkeyPatch.context() as patch:  # what the cameras see matters not here
        patch.setattr(kitti, "camera_picture", blank)
        vigor_layout.write(
            made["vigor"], 3, cities=("Seattle", "NewYork"), rendered=(64, 32), size=(64, 32)
        )
        kitti.write(made["kitti"], frames=2)
        robotcar.write(made["robotcar"], pictures=False)
        convert(made["robotcar"] / robotcar.MAP, made["robotcar"] / "satellite_map.tif")
        own.write(made["own"], frames=3, camera="pinhole", size=(96, 64))
    return made


def reader_of(name: str, roots: dict[str, Path]) -> tuple[View, Reader]:
    if name == "own":
        root = roots["own"]
        view, build = recipe(name, csv=root / own.LIST, raster=root / own.RASTER)
        return view, build(split="all")
    dataset = name.split("_")[1]
    view, build = recipe(name, root=roots[dataset])
    if dataset == "vigor":
        return view, build(cities=["Seattle", "NewYork"], validation="random")
    return view, build()


def priors(view: View, reader: Reader, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Offsets in the heatmap, (rows, epochs, 2) metres, and errors of the told heading, radians."""
    offsets, errors = [], []
    for row in range(len(reader)):
        labels = [reader.label(row, np.random.default_rng([seed, e, row])) for e in range(EPOCHS)]
        grids = [
            heatmap_grid(la.grid, view, "metric", picture_up(la, view, "metric")) for la in labels
        ]
        pixels = [g.map_to_pixel(la.position) for g, la in zip(grids, labels, strict=True)]
        offsets.append((np.array(pixels) - (view.output_size - 1) / 2) * view.output_gsd)
        errors.append([math.remainder(la.yaw - la.heading, math.tau) for la in labels])
    return np.array(offsets), np.array(errors)


RECIPES = ("bev_vigor_same", "bev_vigor_cross", "bev_robotcar", "bev_kitti", "own")


@pytest.mark.parametrize("name", RECIPES)
def test_each_epoch_has_other_offsets_and_headings(name: str, roots: dict[str, Path]) -> None:
    view, reader = reader_of(name, roots)
    offsets, errors = priors(view, reader, 3)
    again, other = priors(view, reader, 3), priors(view, reader, 4)
    np.testing.assert_array_equal(offsets, again[0])
    np.testing.assert_array_equal(errors, again[1])
    assert (offsets != other[0]).all() and (errors != other[1]).all()
    for row, turns in zip(offsets, errors, strict=True):
        assert len(np.unique(row.round(3), axis=0)) == EPOCHS and row.std(axis=0).min() > 1.0
        assert len(np.unique(turns)) == EPOCHS and np.abs(turns).max() > math.radians(3)
    assert np.abs(errors).max() <= math.radians(10.0 if "kitti" in name else 5.0)
    # The truth lies on the heatmap, or there is nothing to learn from the row.
    assert np.abs(offsets).max() <= view.output_size * view.output_gsd / 2


@pytest.mark.parametrize("name", ["bev_vigor_same", "bev_vigor_cross"])
def test_vigors_aerial_view_is_on_its_tile(
    name: str, roots: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    view, reader = reader_of(name, roots)
    monkeypatch.setattr(vigor, "read_tile", lambda path: np.full((640, 640, 3), 255, np.uint8))
    pairs = PairDataset(reader, view, "metric", seed=0)
    for epoch in range(8):
        pairs.set_epoch(epoch)
        for row in range(len(pairs)):
            assert (pairs[row].aerial == 0).mean() < 0.01, (epoch, row)


def test_the_fixed_rows_keep_the_tiles_middle_and_their_heading(roots: dict[str, Path]) -> None:
    _, build = recipe("bev_vigor_same", root=roots["vigor"], cities=["Seattle"])
    reader = build(split="test")
    labels = [reader.label(i) for i in range(len(reader))]
    assert labels == [reader.label(i) for i in range(len(reader))]
    assert all(label.grid == label.tile for label in labels)  # type: ignore[attr-defined]
    errors = [label.yaw - label.heading for label in labels]
    assert len(set(errors)) == len(errors) and np.abs(errors).max() <= math.radians(5)


def test_cameras_spread_evenly_over_their_tiles_are_spread_evenly_over_the_patches() -> None:
    rng = np.random.default_rng(1)
    reach, shift = 18.0, 6.0
    places = rng.uniform(-reach, reach, (20_000, 2))
    offsets = np.array([drawn_offset(place, reach, shift, rng) for place in places])
    assert np.abs(offsets - places).max() <= shift
    counts, _ = np.histogram(offsets, bins=14, range=(-21, 21))
    assert counts.sum() == offsets.size  # within a square larger than the prior's
    np.testing.assert_allclose(counts / counts.mean(), 1, atol=0.07)
    apart = drawn_offset(places[0], reach, shift, rng) - drawn_offset(places[0], reach, shift, rng)
    assert np.abs(apart).max() > 0.01
