from __future__ import annotations

import math
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from reader_proof import assert_content, assert_mutants_fail, assert_truth, truth_of
from towns import town

from cross_view_localizer.geo import MapFrame
from training.datasets import vigor, vigor_tiles
from training.datasets.pair import DatasetError, read_rgb
from training.datasets.vigor import VigorReader
from training.datasets.vigor_lists import random_validation
from training.town.layouts import vigor as layout
from training.town.layouts.mercator import anchored
from training.town.layouts.truth import Truth

REAL = Path(__file__).parents[3] / "shared" / "real_samples" / "vigor_seattle"
CITIES = ("Seattle", "Chicago")
PANORAMA = "-1to7CHlwW3HOHMvKq2JYQ,47.576563,-122.298433,.jpg"
TILE = "satellite_47.57667712980035_-122.29857212879756.png"
# Web-Mercator pixels at zoom 20 from tile centre to panorama, worked out by hand from the names:
# 0.000139129 deg of longitude, 0.000114130 deg of latitude at 2^28 / 360 px per degree of longitude
REAL_PIXELS = (103.74, 126.17)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Truth]]:
    root = tmp_path_factory.mktemp("vigor")
    return root, layout.write(
        root, per_city=4, cities=CITIES, rendered=(256, 128), size=(512, 256), reach=25
    )


def write_list(
    root: Path, rows: list[str], city: str = "Seattle", stem: str = "same_area_balanced_test"
) -> Path:
    folder = root / "splits__corrected" / city
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "satellite_list.txt").write_text(TILE)
    file = folder / f"{stem}__corrected.txt"
    file.write_text("\n".join(rows))
    return file


def row(*deltas: str, panorama: str = PANORAMA) -> str:
    """One of the list's rows; the deltas of the last tile stand for those that are not given."""
    four = [*deltas, *["1 2"] * (4 - len(deltas))]
    return " ".join([panorama, *(f"{TILE} {delta}" for delta in four)])


@pytest.mark.parametrize("area, split", [("same", "test"), ("cross", "test"), ("same", "train")])
def test_positions_and_headings_are_the_towns(
    tiny: tuple[Path, list[Truth]], area: vigor.Area, split: vigor.Part
) -> None:
    root, truths = tiny
    cities = CITIES if area == "same" else CITIES[1:]
    reader = VigorReader(
        root,
        area=area,
        split=split,
        cities=cities,
        validation="random" if area == "same" else "location",
    )
    assert_truth(reader, truths)
    assert not reader.problems


def test_every_tile_shows_the_place_that_its_label_says(tiny: tuple[Path, list[Truth]]) -> None:
    root, truths = tiny
    reader = VigorReader(root, split="test", cities=CITIES)
    base = town(11)
    _ = base.aerial
    towns = {city: anchored(base, layout.CITIES[city]) for city in CITIES}
    for index in range(len(reader)):
        label = reader.label(index)
        assert_content(reader, towns[label.group], label, truth_of(label, truths))


def test_semi_positive_tiles_find_the_same_camera(tiny: tuple[Path, list[Truth]]) -> None:
    root, truths = tiny
    reader = VigorReader(root, split="test", cities=CITIES, tiles="all")
    # their labels are rounded to whole pixels, and pixels are not quite square
    assert_truth(reader, truths, tolerance_px=1.3)
    outside = [p for p in reader.problems if p.kind == "outside"]
    assert len(reader) + len(outside) == 4 * 4
    assert all("Seattle" in problem.where for problem in outside)


def test_each_flipped_sign_of_the_tiles_is_noticed(
    tiny: tuple[Path, list[Truth]], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, truths = tiny

    def prove(module: ModuleType) -> None:
        monkeypatch.setattr(vigor, "placed", module.placed)
        assert_truth(VigorReader(root, split="test", cities=CITIES), truths)

    changes = [
        ("(middle - d1, middle + d0)", "(middle + d1, middle + d0)"),
        ("(middle - d1, middle + d0)", "(middle - d1, middle - d0)"),
        ("(middle - d1, middle + d0)", "(middle - d0, middle + d1)"),
        ("(middle - d1, middle + d0)", "(SIZE / 2 - d1, middle + d0)"),
        ("(middle - d1, middle + d0)", "(middle - d1, SIZE / 2 + d0)"),
        ("np.arctan2(to_north[..., 1], to_north[..., 0])", "-np.arctan2(*to_north.T[::-1]).T"),
        ("latitude, longitude = np.moveaxis", "longitude, latitude = np.moveaxis"),
        ("frame.to_map(latitude + 1e-3", "frame.to_map(latitude - 1e-3"),
        ("ZOOM_20 * np.cos", "ZOOM_20 * np.sin"),
        ("/ 2**20", "/ 2**19"),
    ]
    assert_mutants_fail(vigor_tiles, changes, prove)


def test_each_mistaken_direction_of_the_panorama_is_noticed(
    tiny: tuple[Path, list[Truth]],
) -> None:
    root, truths = tiny

    def prove(module: ModuleType) -> None:
        assert_truth(module.VigorReader(root, split="test", cities=CITIES), truths)

    changes = [("yaw=grid.up,", "yaw=-grid.up,"), ("yaw=grid.up,", "yaw=0.0,")]
    assert_mutants_fail(vigor, changes, prove)


def test_original_labels_point_beside_the_camera_by_their_wrong_scale(
    tiny: tuple[Path, list[Truth]],
) -> None:
    root, truths = tiny
    cases: list[tuple[vigor.Resolution, float]] = [("published", 1.0), ("city", 0.10078 / 0.114)]
    for resolution, scale in cases:
        reader = VigorReader(
            root, split="test", cities=CITIES[:1], labels="original", resolution=resolution
        )
        assert reader.tags["labels"] == "original"
        for label in map(reader.label, range(len(reader))):
            truth = truth_of(label, truths)
            assert label.datum is not None
            true = MapFrame(label.datum).to_map(truth.latitude, truth.longitude)
            north = true[1] - label.grid.center[1]
            # names are rounded to 0.06 m
            assert label.position[1] - label.grid.center[1] == pytest.approx(scale * north, abs=0.1)
            east = (true[0] - label.grid.center[0]) * scale
            assert label.position[0] - label.grid.center[0] == pytest.approx(
                east * math.cos(math.radians(40.74)) / math.cos(math.radians(47.52)), abs=0.1
            )


def test_the_real_row_says_what_its_names_say(tmp_path: Path) -> None:
    write_list(tmp_path, [row("125 -105")])
    label = VigorReader(tmp_path, split="test", cities=["Seattle"]).label(0)
    u, v = label.grid.map_to_pixel(label.position)
    assert (u, v) == pytest.approx((319.5 + 105, 319.5 + 125), abs=1e-6)
    assert label.grid.gsd == pytest.approx(0.1008, abs=2e-4)
    assert label.datum is not None
    truth = label.grid.map_to_pixel(MapFrame(label.datum).to_map(47.576563, -122.298433))
    assert truth == pytest.approx(np.array(REAL_PIXELS) + 319.5, abs=0.5)
    assert np.hypot(*(truth - (u, v))) < 2.5  # what corrected labels scatter by
    assert label.yaw == label.heading == pytest.approx(math.pi / 2)


@pytest.mark.skipif(not REAL.exists(), reason=f"no real samples in {REAL}")
def test_the_real_pair_goes_through_the_reader(tmp_path: Path) -> None:
    write_list(tmp_path, [row("125 -105")])
    for folder, name, sample in (
        ("panorama", PANORAMA, "pair1_pano.png"),
        ("satellite", TILE, "pair1_sat.png"),
    ):
        (tmp_path / "Seattle" / folder).mkdir(parents=True)
        shutil.copy(REAL / sample, tmp_path / "Seattle" / folder / name)
    reader = VigorReader(tmp_path, split="test", cities=["Seattle"])
    label = reader.label(0)
    tile = reader.aerial(label, label.grid)
    assert np.array_equal(tile, read_rgb(REAL / "pair1_sat.png"))
    ground = reader.ground(label)
    assert ground.image.shape == (1024, 2048, 3)
    assert ground.camera.kind == "equirectangular"


def test_training_draws_any_tile_that_holds_the_camera(tmp_path: Path) -> None:
    write_list(tmp_path, [row("0 0", "10 0", "0 400", "30 0")])
    write_list(tmp_path, [row("0 0", "10 0", "0 400", "30 0"), row("0 500")] * 3,
               stem="same_area_balanced_train")  # fmt: skip
    options = {"cities": ["Seattle"], "validation": "random"}
    reader = VigorReader(tmp_path, tiles="all", **options)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    first = next(i for i in range(len(reader)) if len(reader.files(i)) == 4)
    drawn = {reader.label(first, rng).name[-1] for _ in range(60)}
    assert drawn == {"1", "2", "4"}
    assert reader.label(first).name.endswith("/1")
    semi = VigorReader(tmp_path, tiles="semi", **options)  # type: ignore[arg-type]
    assert {semi.label(first, rng).name[-1] for _ in range(60)} == {"2", "4"}
    test = VigorReader(tmp_path, split="test", tiles="all", cities=["Seattle"])
    assert [test.label(i).name[-1] for i in range(len(test))] == ["1", "2", "4"]
    assert [p.kind for p in test.problems] == ["outside"]


def test_random_validation_is_the_authors() -> None:
    # scikit-learn: train_test_split(range(10), test_size=0.2, random_state=42)[1] == [8, 1]
    assert np.flatnonzero(random_validation(10)).tolist() == [1, 8]
    assert random_validation(52_600).sum() == 10_520


@pytest.mark.parametrize("validation", ["location", "random"])
def test_training_and_validation_share_no_row(tmp_path: Path, validation: str) -> None:
    rng = np.random.default_rng(3)
    names = [
        f"p{i},{47.57 + rng.uniform(0, 0.02):.6f},{-122.3 + rng.uniform(0, 0.03):.6f},.jpg"
        for i in range(300)
    ]
    write_list(
        tmp_path, [row("0 0", panorama=name) for name in names], stem="same_area_balanced_train"
    )
    parts = {}
    for split in ("train", "validation"):
        reader = VigorReader(
            tmp_path, split=split, cities=["Seattle"], validation=validation, cell=400.0  # type: ignore[arg-type]
        )  # fmt: skip
        parts[split] = {reader.label(i).ground_file.name for i in range(len(reader))}
        assert reader.tags["validation"].startswith(validation)
    assert not parts["train"] & parts["validation"]
    assert len(parts["train"] | parts["validation"]) + reader.held_back == 300
    if validation == "random":
        assert len(parts["validation"]) == 60
        return
    assert f"holds back {reader.held_back})" in reader.tags["validation"]
    assert 10 < len(parts["validation"]) < 90 and reader.held_back > 0
    frame = MapFrame(reader.label(0).datum or pytest.fail("no datum"))
    xy = {
        part: frame.to_map(*np.array([n.split(",")[1:3] for n in names], dtype=float).T)
        for part, names in parts.items()
    }
    apart = np.linalg.norm(xy["train"][:, None] - xy["validation"][None], axis=-1)
    assert apart.min() > 75.0


@pytest.mark.parametrize(
    "bad, kind, said",
    [
        ("p,1,2,.jpg tile 3", "row", "3 columns: expected 13"),
        (row("nan 3"), "row", "expected finite pixels"),
        (row("1 x"), "row", "could not convert"),
        (row("321 0"), "outside", "camera at 321 0: expected within ±320 px"),
        (row("0 -330"), "outside", "camera at 0 -330"),
        (row("0 0", panorama="no_place.jpg"), "row", "expected '<id>,<latitude>,<longitude>,.jpg'"),
        (row("0 0", panorama="a,nan,-122.3,.jpg"), "row", "expected latitude, then longitude"),
        (row("0 0").replace(TILE, "tile.png"), "row", "expected 'satellite_<latitude>"),
    ],
)
def test_a_bad_row_is_left_out_and_reported(tmp_path: Path, bad: str, kind: str, said: str) -> None:
    file = write_list(tmp_path, [row("1 2"), bad, row("3 4")])
    reader = VigorReader(tmp_path, split="test", cities=["Seattle"])
    assert len(reader) == 2
    [problem] = reader.problems
    assert (problem.kind, problem.where) == (kind, f"{file}:2")
    assert said in str(problem) and "\n" not in str(problem)
    assert reader.label(1).name.endswith(":3/1")


def test_a_wrong_root_names_the_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="same_area_balanced_train__corrected.txt: no such list"):
        VigorReader(tmp_path)
    write_list(tmp_path, ["too short"])
    with pytest.raises(DatasetError, match="no usable row of 1"):
        VigorReader(tmp_path, split="test", cities=["Seattle"])
    write_list(tmp_path, ["version https://git-lfs.github.com/spec/v1", "size 3"])
    with pytest.raises(DatasetError, match="a pointer of Git LFS, not the list: .* git lfs pull"):
        VigorReader(tmp_path, split="test", cities=["Seattle"])
    with pytest.raises(DatasetError, match="cities Paris: expected some of SanFrancisco, Chicago"):
        VigorReader(tmp_path, area="cross", split="test", cities=["Paris"])
    with pytest.raises(DatasetError, match="'half': expected one of positive, semi, all"):
        VigorReader(tmp_path, tiles="half")  # type: ignore[arg-type]


def test_a_split_that_leaves_nothing_says_so(tmp_path: Path) -> None:
    write_list(tmp_path, [row("1 2")] * 5, stem="same_area_balanced_train")
    with pytest.raises(DatasetError, match="no panorama in the train part of Seattle: .* smaller"):
        VigorReader(tmp_path, cities=["Seattle"])


def test_a_broken_tile_is_named(tmp_path: Path, tiny: tuple[Path, list[Truth]]) -> None:
    write_list(tmp_path, [row("1 2")])
    reader = VigorReader(tmp_path, split="test", cities=["Seattle"])
    label = reader.label(0)
    with pytest.raises(DatasetError, match="no such file"):
        reader.aerial(label, label.grid)
    whole = next((tiny[0] / "Seattle" / "satellite").iterdir()).read_bytes()
    label.aerial_file.parent.mkdir(parents=True)
    label.aerial_file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=str(label.aerial_file)):
        reader.aerial(label, label.grid)
