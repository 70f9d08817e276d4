"""Your own data: a CSV and a raster."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from reader_proof import assert_content, assert_mutants_fail, assert_truth, truth_of
from towns import town

from cross_view_localizer.geo import MapFrame
from training.datasets import own
from training.datasets.own import OwnReader
from training.datasets.own_camera import OwnCamera
from training.datasets.own_rows import read_rows
from training.datasets.own_split import Blocks, by_location
from training.datasets.pair import DatasetError
from training.datasets.picture_files import save
from training.town.layouts.own import LIST, RASTER, write
from training.town.layouts.truth import Truth

SEED = 11
Layout = tuple[Path, list[Truth]]


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    root = tmp_path_factory.mktemp("own")
    return root, write(root, frames=4, seed=SEED, size=(128, 64))


def reader(root: Path, module: ModuleType = own, **options: Any) -> OwnReader:
    made = module.OwnReader(root / LIST, root / RASTER, **{"split": "all", **options})
    return made  # type: ignore[no-any-return]


def test_truth_is_the_towns_by_latitude_longitude_and_yaw(layout: Layout) -> None:
    assert_truth(reader(layout[0]), layout[1], expected=len(layout[1]))


def test_raster_shows_the_true_place(layout: Layout) -> None:
    made = reader(layout[0])
    for index in (0, len(made) - 1):
        label = made.label(index)
        assert_content(made, town(SEED), label, truth_of(label, layout[1]))


def test_every_flipped_sign_is_noticed(layout: Layout) -> None:
    ahead, left = 1.3, -0.6
    truths = [_moved(truth, ahead, left) for truth in layout[1]]

    def prove(module: ModuleType) -> None:
        assert_truth(reader(layout[0], module, ahead=ahead, left=left), truths)

    changes = [
        ("yaw = NORTH - math.radians(row.heading)", "yaw = NORTH + math.radians(row.heading)"),
        ("yaw = NORTH - math.radians(row.heading)", "yaw = -math.radians(row.heading)"),
        ("to_map(row.latitude, row.longitude)", "to_map(row.longitude, row.latitude)"),
        ("x += lever[0] * math.cos(yaw) - lever[1]", "x -= lever[0] * math.cos(yaw) - lever[1]"),
        ("math.cos(yaw) - lever[1] * math.sin", "math.cos(yaw) + lever[1] * math.sin"),
        ("y += lever[0] * math.sin(yaw) + lever[1]", "y -= lever[0] * math.sin(yaw) + lever[1]"),
        ("math.sin(yaw) + lever[1] * math.cos", "math.sin(yaw) - lever[1] * math.cos"),
    ]
    assert_mutants_fail(own, changes, prove)


def _moved(truth: Truth, ahead: float, left: float) -> Truth:
    frame = MapFrame(town(SEED).datum)
    forward = np.array([math.cos(truth.yaw), math.sin(truth.yaw)])
    xy = frame.to_map(truth.latitude, truth.longitude) + ahead * forward
    latitude, longitude = frame.to_wgs84(xy + left * np.array([-forward[1], forward[0]])).tolist()
    return replace(truth, latitude=latitude, longitude=longitude)


def test_fixed_rows_stay_and_drawn_rows_vary(layout: Layout) -> None:
    made, again = reader(layout[0]), reader(layout[0])
    labels = [made.label(i) for i in range(len(made))]
    assert labels == [again.label(i) for i in range(len(again))]
    offsets = np.array([np.subtract(x.position, x.grid.center) for x in labels])
    assert np.abs(offsets).max() <= 18.0 and len(np.unique(offsets)) == offsets.size
    assert all(abs(x.heading - x.yaw) <= math.radians(5.0) for x in labels)
    rng = np.random.default_rng(0)
    drawn = [made.label(0, rng) for _ in range(200)]
    along = [  # the sides of a heading-up heatmap, whatever the patch's own up
        replace(x.grid, up=x.heading).map_to_pixel(x.position) - (x.grid.width - 1) / 2
        for x in drawn
    ]
    reach = np.abs(along).max(axis=0) * drawn[0].grid.gsd
    assert ((reach > 22.0) & (reach <= 24.0 + 1e-6)).all()
    other = reader(layout[0], seed=1).label(0)
    assert other.grid.center != labels[0].grid.center


def test_pinhole_patches_are_heading_up_and_panoramas_north_up(layout: Layout) -> None:
    label = reader(layout[0]).label(0)
    assert label.grid.up == math.pi / 2
    label = reader(layout[0], camera="pinhole", fov=90.0).label(0)
    assert label.grid.up == label.heading != label.yaw


def test_ground_picture_knows_its_camera(layout: Layout) -> None:
    made = reader(layout[0])
    ground = made.ground(made.label(len(made) - 1))
    assert (ground.camera.kind, ground.camera.width, ground.height) == ("equirectangular", 128, 1.6)
    camera = OwnCamera("pinhole", fov=90.0, pitch=10.0, roll=5.0)
    seen = camera.picture(np.zeros((60, 80, 3), np.uint8), "one", None)
    assert seen.camera.matrix is not None and seen.height == 1.6
    np.testing.assert_allclose(seen.camera.ray((-0.5, 29.5)), [-(0.5**0.5), 0, 0.5**0.5])
    ahead = seen.rotation @ [0.0, 0.0, 1.0]
    np.testing.assert_allclose(ahead, [math.cos(math.radians(10)), 0, math.sin(math.radians(10))])
    assert (seen.rotation @ [1.0, 0.0, 0.0])[2] < 0  # the right side hangs down


def test_reader_travels_to_workers(layout: Layout) -> None:
    made = reader(layout[0])
    label = made.label(0)
    there = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(there.aerial(label, label.grid), made.aerial(label, label.grid))


def test_location_split_keeps_neighbours_together() -> None:
    points = np.random.default_rng(2).uniform(0, 3000, (4000, 2))
    parts, names = by_location(points, Blocks(side=200.0, gap=25.0, seed=0))
    assert len(dict.fromkeys(zip(parts, names, strict=True))) >= len(set(names))
    shares = {part: parts.count(part) / len(parts) for part in set(parts)}
    assert 0.1 < shares["test"] < 0.22 and shares["train"] > 0.5 and shares[""] > 0.01
    held = points[[part in ("test", "validation") for part in parts]]
    kept = points[[part == "train" for part in parts]]
    assert np.linalg.norm(kept[:, None] - held, axis=-1).min() >= 25.0
    fewer, _ = by_location(points[:100], Blocks(200.0, 0.0, 0))
    assert all(a == b for a, b in zip(fewer, parts, strict=False) if b)


def test_split_column_is_followed(layout: Layout, tmp_path: Path) -> None:
    lines = (layout[0] / LIST).read_text().splitlines()
    parts = ["split", *["train", "train", "validation", "test"] * 2]
    text = "\n".join(f"{line},{part}" for line, part in zip(lines, parts, strict=True))
    (tmp_path / "list.csv").write_text(text)
    made = {
        split: OwnReader(tmp_path / "list.csv", layout[0] / RASTER, split, root=layout[0])
        for split in ("train", "validation", "test")
    }
    assert [len(one) for one in made.values()] == [4, 2, 2]
    assert made["test"].label(0).name == "list.csv:5"
    assert made["test"].tags["split by"] == "column"


BAD_ROWS = {
    "a.jpg,1,2": "no heading: 3 of 4 columns",
    ",1,2,3": "no image",
    "a.jpg,nan,2,3": "latitude 'nan': expected a number from -90 to 90",
    "a.jpg,1,two,3": "longitude 'two'",
    "a.jpg,1,2,inf": "heading 'inf'",
    "a.jpg,1,2,400": "heading '400'",
}


@pytest.mark.parametrize(("line", "message"), BAD_ROWS.items())
def test_bad_rows_are_problems_with_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"image,latitude,longitude,heading\nok.jpg,1,2,3\n{line}\n")
    rows, problems = read_rows(path)
    assert [row.image for row in rows] == ["ok.jpg"]
    assert len(problems) == 1 and problems[0].where == f"{path}:3"
    assert message in problems[0].message


def test_optional_columns_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(
        "\ufeffImage, latitude, longitude, heading, split, stamp, height\n"
        "a.jpg,1,2,3,train,1700000000.123456789,1.5\n"
        "b.jpg,1,2,3,trian,0,1\nc.jpg,1,2,3,test,noon,1\nd.jpg,1,2,3,test,0,-1\n",
        encoding="utf-8",
    )
    rows, problems = read_rows(path)
    assert [row.stamp for row in rows] == [1700000000123456789]
    assert [p.message.split(":")[0] for p in problems] == [
        "split 'trian'",
        "stamp 'noon'",
        "height '-1'",
    ]


def test_rows_off_the_raster_are_problems(layout: Layout, tmp_path: Path) -> None:
    good = (layout[0] / LIST).read_text().splitlines()[:2]
    name, _, longitude, *rest = good[1].split(",")
    off = [",".join([name, "58.1", longitude, *rest]), ",".join([name, "0", "0", *rest])]
    (tmp_path / "list.csv").write_text("\n".join([*good, *off]))
    made = OwnReader(tmp_path / "list.csv", layout[0] / RASTER, "all")
    assert len(made) == 1
    assert [p.where.rpartition(":")[2] for p in made.problems] == ["3", "4"]
    assert "(0.0, 0.0) does not lie on" in str(made.problems[1])


WRONG: dict[str, tuple[Callable[[Path], dict[str, Any]], str]] = {
    "no CSV": (lambda root: {"csv": root / "no.csv"}, "no.csv: no such file"),
    "no raster": (lambda root: {"raster": root / "no.tif"}, "no.tif"),
    "not georeferenced": (lambda root: {"raster": root / "plain.png"}, "georeferenc"),
    "CSV's header": (lambda root: {"csv": root / "header.csv"}, "header.csv:1"),
    "not a CSV": (lambda root: {"csv": root / RASTER}, "not a CSV"),
    "split": (lambda root: {"split": "tets"}, "split 'tets'"),
    "pinhole": (lambda root: {"camera": "pinhole"}, "fov None and intrinsics None"),
    "camera": (lambda root: {"camera": "fisheye"}, "expected panorama or pinhole"),
    "offset": (lambda root: {"train_offset": 40.0}, "below half the side"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_used_is_one_line(layout: Layout, name: str) -> None:
    root = layout[0]
    write_plain(root)
    change, message = WRONG[name]
    given: dict[str, Any] = {"csv": root / LIST, "raster": root / RASTER, "split": "all"}
    with pytest.raises(DatasetError) as error:
        OwnReader(**{**given, **change(root)})
    assert message in str(error.value) and "\n" not in str(error.value)


def write_plain(root: Path) -> None:
    save(root / "plain.png", np.zeros((20, 20, 3), np.uint8))
    (root / "header.csv").write_text("image;latitude;longitude;heading\n")


def test_partial_panorama_is_refused() -> None:
    with pytest.raises(DatasetError, match="twice as wide as high"):
        OwnCamera().picture(np.zeros((100, 300, 3), np.uint8), "list.csv:2", None)


def test_damaged_raster_is_one_line(layout: Layout, tmp_path: Path) -> None:
    path = tmp_path / "short.tif"
    content = (layout[0] / RASTER).read_bytes()
    path.write_bytes(content[: len(content) // 3])
    with pytest.raises(DatasetError, match="short.tif"):
        made = OwnReader(layout[0] / LIST, path, "all")
        for index in range(len(made)):
            label = made.label(index)
            made.aerial(label, label.grid)
