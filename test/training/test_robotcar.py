"""RobotCar's reader on a town in the authors' layout: truths, content, signs, faults."""

from __future__ import annotations

import math
import pickle
import re
import shutil
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from types import ModuleType

import numpy as np
import pyproj
import pytest
import rasterio
import reader_proof
from numpy.typing import NDArray

from cross_view_localizer.camera.camera import OPTICAL_TO_BODY
from cross_view_localizer.geo import MapFrame
from cross_view_localizer.views import View
from training.datasets import registry, robotcar, robotcar_lists, robotcar_map
from training.datasets.pair import DatasetError, GroundPicture, Label
from training.datasets.pairs import PairDataset
from training.datasets.robotcar import RobotCarReader
from training.datasets.robotcar_pictures import Pictures
from training.maps import stitched
from training.town.layouts import robotcar as layout
from training.town.layouts.truth import Truth
from training.town.town import Town

PICTURE_OF = (Pictures(raw=False, models=None).camera, OPTICAL_TO_BODY, 1.65)
# The layout's lists and truths are of the INS.
InsReader = partial(RobotCarReader, reference_point="ins")
Written = tuple[Path, list[Truth]]
SPLITS = ("train", "validation", "test1", "test2", "test3")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Truth]]:
    root = tmp_path_factory.mktemp("robotcar")
    truths = layout.write(root, frames=4, pictures=False)
    stitched.convert(root / layout.MAP, root / "satellite_map.tif")
    return root, truths


@pytest.fixture(scope="module")
def town() -> Town:
    return layout.oxford_town()


@pytest.fixture()
def lists(written: Written, tmp_path: Path) -> Path:
    """A copy of the lists that a test may break."""
    shutil.copytree(written[0] / "Oxford_split", tmp_path / "split")
    return tmp_path / "split"


def test_truths_are_the_towns(written: Written) -> None:
    root, truths = written
    for split in SPLITS:
        reader = InsReader(root, split=split)  # type: ignore[arg-type]
        reader_proof.assert_truth(reader, truths, expected=8 if split == "train" else 4)
        assert reader.problems == []
    every = InsReader(root, split="test")
    reader_proof.assert_truth(every, truths, expected=12)
    assert len({every.label(i).group for i in range(12)}) == 3


def test_truths_stay_true_in_drawn_patches_and_north_up(written: Written, town: Town) -> None:
    root, truths = written
    for up, patches in ((True, "published"), (False, "uniform")):
        reader = InsReader(root, heading_up=up, patches=patches)  # type: ignore[arg-type]
        rng = np.random.default_rng(3)
        drawn = [reader.label(index, rng) for index in (0, 3, 6)]
        for label in drawn:
            truth = reader_proof.truth_of(label, truths)
            assert label.grid.contains(label.position)
            assert label.grid.up == pytest.approx(label.yaw if up else math.pi / 2)
            reader_proof.assert_content(reader, town, label, truth)


def test_pictures_show_the_town_at_the_truth(written: Written, town: Town) -> None:
    root, truths = written
    for split in ("validation", "test2"):
        reader = InsReader(root, split=split)  # type: ignore[arg-type]
        for index in range(2):
            label = reader.label(index)
            reader_proof.assert_content(reader, town, label, reader_proof.truth_of(label, truths))


def _assert_fixed_patch(label: Label) -> None:
    """The patch is the published map[400 i : 400 i + 800], with the camera about its middle."""
    assert label.datum is not None
    degrees = MapFrame(label.datum).to_wgs84([label.grid.center, label.position])
    to_utm = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32630", always_xy=True)
    utm = np.stack(to_utm.transform(degrees[:, 1], degrees[:, 0]), axis=-1)
    middle, camera = robotcar_map.PUBLISHED.to_pixel(utm)
    assert middle == pytest.approx(400 * np.round(middle / 400), abs=0.01)
    assert np.abs(middle - camera).max() <= 200.5
    assert label.grid.extent == pytest.approx((73.99, 73.99), abs=0.02)


def test_every_sign_matters(written: Written, town: Town) -> None:
    """Convergence, order and signs of the axes, and where patches lie."""
    root, truths = written

    def check(module: ModuleType) -> None:
        reader = module.RobotCarReader(root, split="validation", reference_point="ins")
        reader_proof.assert_truth(reader, truths)
        label = reader.label(0)
        _assert_fixed_patch(label)
        reader_proof.assert_content(reader, town, label, reader_proof.truth_of(label, truths))

    whole = "return frame.to_map(latitude, longitude)"
    changes = [
        (whole, "return utm - [620098, 5735398]"),  # the grid's axes taken for east and north
        (whole, whole + " * [-1, 1]"),
        (whole, whole + " * [1, -1]"),
        ("transform(utm[..., 0], utm[..., 1])", "transform(utm[..., 1], utm[..., 0])"),
        ("self._steps[index] @ (middle - pixel)", "self._steps[index] @ (pixel - middle)"),
        ("STRIDE * split + SIDE / 2", "STRIDE * split - SIDE / 2"),
        ("self._map.picture(grid)", "self._map.picture(grid)[:, ::-1]"),
        ("self._map.picture(grid)", "self._map.picture(grid)[::-1]"),
    ]
    reader_proof.assert_mutants_fail(robotcar, changes, check)


def test_headings_signs_matter(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    root, truths = written

    def check(module: ModuleType) -> None:
        monkeypatch.setattr(robotcar, "read_split", module.read_split)
        reader_proof.assert_truth(InsReader(root), truths)
        reader_proof.assert_truth(InsReader(root, split="test2"), truths, expected=4)

    formula = "(2 * math.pi - published) % (2 * math.pi) - math.pi"
    changes = [
        (formula, "(2 * math.pi + published) % (2 * math.pi) - math.pi"),
        (formula, "(math.pi - published) % (2 * math.pi) - math.pi"),
        (formula, "(1.5 * math.pi - published) % (2 * math.pi) - math.pi"),
        ("(east, north), enu_yaw", "(north, east), enu_yaw"),
        ('if split in TESTS and name != f"{split}_j.txt"', "if False"),
    ]
    reader_proof.assert_mutants_fail(robotcar_lists, changes, check)


def test_the_camera_is_ahead_of_the_ins(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lists' positions are the INS's; truths of the camera come from the town's camera."""
    monkeypatch.setattr(layout, "_stitched", _no_picture)
    truths = layout.write(tmp_path, frames=4, pictures=False, point="camera")
    map_file = written[0] / "satellite_map.tif"

    def check(module: ModuleType) -> None:
        reader = module.RobotCarReader(tmp_path, map=map_file)
        assert reader.label(0).reference_point == "camera"
        reader_proof.assert_truth(reader, truths)

    changes = [
        ("INS_TO_CAMERA = (1.7132, 0.1181)", "INS_TO_CAMERA = (-1.7132, 0.1181)"),
        ("INS_TO_CAMERA = (1.7132, 0.1181)", "INS_TO_CAMERA = (1.7132, -0.1181)"),
        ("x + forward * c - left * s", "x + forward * c + left * s"),
        ("y + forward * s + left * c", "y - forward * s + left * c"),
        ('if self.reference_point == "ins"', "if True"),
    ]
    reader_proof.assert_mutants_fail(robotcar, changes, check)


def test_the_maps_affine_has_its_signs(written: Written, town: Town, tmp_path: Path) -> None:
    """A map whose columns or rows are turned about shows something else at the truth."""
    root, truths = written
    published = robotcar_map.PUBLISHED
    flips = ([[-1, 1], [1, 1]], [[1, -1], [1, 1]], [[1, 1], [-1, 1]], [[1, 1], [1, -1]])
    path = tmp_path / "wrong.tif"
    shutil.copyfile(root / "satellite_map.tif", path)
    for flip in flips:
        wrong = replace(published, matrix=published.matrix * np.array(flip))
        with rasterio.open(path, "r+") as raster:
            raster.transform = wrong.transform
        with pytest.raises((AssertionError, DatasetError)):
            reader = InsReader(root, "validation", path)
            label = reader.label(0)
            reader_proof.assert_content(reader, town, label, reader_proof.truth_of(label, truths))


def test_drawn_patches_are_centre_heavy_as_published(written: Written) -> None:
    """Radius uniform up to 200 sqrt 2 map pixels, which is 26.1 m: half of them within 13.1 m."""
    root, _ = written
    radii = {}
    for patches in ("published", "uniform"):
        reader = InsReader(root, patches=patches)  # type: ignore[arg-type]
        rng = np.random.default_rng(0)
        drawn = [reader.label(0, rng) for _ in range(1500)]
        offsets = np.array([np.subtract(d.grid.center, d.position) for d in drawn])
        radii[patches] = np.hypot(*offsets.T)
        assert np.abs(offsets.mean(axis=0)).max() < 1.2
    assert radii["published"].max() < 26.3
    assert np.median(radii["published"]) == pytest.approx(13.1, abs=0.7)
    # in a square of half side 22.2 m: 0.765 of it on average
    assert radii["uniform"].mean() == pytest.approx(0.765 * 22.2, abs=0.5)


def test_one_random_number_more_or_less_is_another_patch(
    written: Written,
) -> None:
    reader = InsReader(written[0])
    assert reader.label(1) == reader.label(1)
    one, two = (reader.label(1, np.random.default_rng(seed)) for seed in (5, 5))
    assert one == two != reader.label(1, np.random.default_rng(6))


def test_sequences_are_sorted_by_time(written: Written) -> None:
    root, truths = written
    as_listed, by_time = (
        InsReader(root, order=order)  # type: ignore[arg-type]
        for order in ("list", "time")
    )
    reader_proof.assert_truth(by_time, truths)
    labels = [by_time.label(i) for i in range(len(by_time))]
    traversals = [list(rows) for _, rows in groupby(labels, key=lambda label: label.group)]
    assert len(traversals) == 2
    for rows in traversals:
        stamps = [row.stamp or 0 for row in rows]
        assert stamps == sorted(stamps) and stamps[0] > 1_400_000_000 * 10**9
        steps = np.diff([row.position for row in rows], axis=0)
        assert np.hypot(*steps.T) == pytest.approx(5.0, abs=0.5)
    listed = [as_listed.label(i) for i in range(len(as_listed))]
    assert [row.name for row in listed] != [row.name for row in labels]
    assert {row.name for row in listed} == {row.name for row in labels}


def test_a_list_without_its_unreadable_rows_keeps_its_headings(
    written: Written, lists: Path
) -> None:
    """A copy of the split lacks five rows in training.txt, but not in the headings."""
    root, truths = written
    rows = (lists / "training.txt").read_text().splitlines()
    (lists / "training.txt").write_text("\n".join(rows[:2] + rows[3:]) + "\n")
    reader_proof.assert_truth(InsReader(root, splits=lists), truths, expected=7)


def test_headings_that_belong_to_nothing_are_refused(written: Written, lists: Path) -> None:
    np.save(lists / "val_yaw.npy", np.zeros(3))
    with pytest.raises(DatasetError) as error:
        InsReader(written[0], split="validation", splits=lists)
    for said in ("val_yaw.npy", "(3,)", "4 rows of validation.txt", "one heading a row"):
        assert said in str(error.value)
    assert "\n" not in str(error.value)
    (lists / "val_yaw.npy").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match="no NumPy array"):
        InsReader(written[0], split="validation", splits=lists)
    (lists / "val_yaw.npy").unlink()
    with pytest.raises(DatasetError, match="expected the headings of validation.txt"):
        InsReader(written[0], split="validation", splits=lists)


def test_faulty_rows_are_left_out_and_listed(written: Written, lists: Path) -> None:
    root, truths = written
    path = lists / "training.txt"
    rows = [line.split() for line in path.read_text().splitlines()]
    rows[0] = rows[0][:3]
    rows[1][2] = "east"
    rows[2][3] = "nan"
    rows[3][2:] = rows[3][3], rows[3][2]
    rows[4][2] = "619999.0"
    path.write_text("".join(" ".join(row) + "\n" for row in rows))
    yaws = np.load(lists / "train_yaw.npy")
    yaws[5] = np.nan
    np.save(lists / "train_yaw.npy", yaws)
    reader = InsReader(root, splits=lists)
    reader_proof.assert_truth(reader, truths, expected=2)
    said = sorted(map(str, reader.problems))
    parts = ("3 columns", "E east", "N nan", "easting first", "not on the map", "heading nan")
    assert len(said) == len(parts)
    for number, (line, part) in enumerate(zip(said, parts, strict=True), start=1):
        assert line.startswith(f"training.txt:{number}: ") and part in line, line
    assert {p.kind for p in reader.problems} == {"row", "outside"}


def test_rows_without_a_stamp_are_left_out_of_sequences_only(written: Written, lists: Path) -> None:
    root, _ = written
    path = lists / "lookup_validation.txt"
    rows = path.read_text().splitlines()
    path.write_text("\n".join(rows[:3]))
    split = "validation"
    assert len(InsReader(root, split, splits=lists)) == 4  # type: ignore[arg-type]
    sequence = InsReader(root, split, splits=lists, order="time")  # type: ignore[arg-type]
    assert len(sequence) == 3
    assert ["microseconds" in str(p) for p in sequence.problems] == [True]
    path.unlink()
    with pytest.raises(DatasetError, match="lookup_validation.txt: no such file"):
        InsReader(root, split, splits=lists, order="time")  # type: ignore[arg-type]


def test_a_wrong_root_or_option_is_named(written: Written, tmp_path: Path) -> None:
    root, _ = written
    with pytest.raises(DatasetError, match="training.txt: no such file: expected the authors'"):
        InsReader(tmp_path, map=root / "satellite_map.tif")
    with pytest.raises(DatasetError, match="split 'tset': expected one of train, validation"):
        InsReader(root, split="tset")  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="order 'by time': expected one of list, time"):
        InsReader(root, order="by time")  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="images=raw"):
        InsReader(root, sdk_models=root / "models")


def test_the_picture_itself_is_no_map(written: Written) -> None:
    root, _ = written
    with pytest.raises(DatasetError, match="python -m training.maps.stitched") as error:
        InsReader(root, map=root / layout.MAP)
    assert layout.MAP in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(DatasetError, match="no such file: expected the map as a GeoTIFF"):
        InsReader(root, map=root / "elsewhere.tif")


def test_a_reader_goes_to_a_loaders_workers(written: Written) -> None:
    reader = InsReader(written[0])
    label = reader.label(0)
    twin = pickle.loads(pickle.dumps(reader))
    assert np.array_equal(twin.aerial(label, label.grid), reader.aerial(label, label.grid))


@pytest.mark.parametrize("heading_up", [True, False])
def test_samples_of_the_papers_views(written: Written, heading_up: bool) -> None:
    """CVML's patch has the heading up; CCVPE's north, and the sample's yaw is what it must find."""
    reader = registry.build("robotcar", root=written[0], heading_up=heading_up, split="validation")
    view = View("pinhole", 231, 154, 512, 0.144375, 512, 0.144375, heading_up=heading_up)
    label = reader.label(2)
    blank = GroundPicture(np.zeros((800, 1200, 3), dtype=np.uint8), *PICTURE_OF)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(reader), "ground", lambda self, label: blank)
        sample = PairDataset(reader, view)[2]
    assert sample.aerial.shape == (512, 512, 3)
    assert sample.yaw == pytest.approx(
        0.0 if heading_up else math.remainder(label.yaw - math.pi / 2, math.tau)
    )
    east, north = np.subtract(label.position, label.grid.center)
    c, s = math.cos(label.grid.up), math.sin(label.grid.up)
    assert sample.offset == pytest.approx((east * s - north * c, -east * c - north * s))
    assert sample.cell == pytest.approx(0.1445, abs=1e-4)  # published: 0.144375, 0.09 % less
    assert sample.group == "2015-08-17-10-42-18" and sample.reference_point == "camera"


def test_prepared_and_raw_pictures_show_the_same(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layout's prepared pictures are the raw ones in colour, cropped; its lens can go."""
    monkeypatch.setattr(layout, "_stitched", _no_picture)
    layout.write(tmp_path, frames=1)
    map_file = written[0] / "satellite_map.tif"
    prepared, raw, straight = (
        RobotCarReader(tmp_path, "test3", map_file, images, models)  # type: ignore[arg-type]
        for images, models in (("ground", None), ("raw", None), ("raw", tmp_path / "models"))
    )
    label = raw.label(0)
    assert re.fullmatch(r"2015-02-10-11-58-05/stereo/centre/\d{16}\.png", _below(label, tmp_path))
    assert label.stamp == int(label.ground_file.stem) * 1000
    pictures = [reader.ground(reader.label(0)) for reader in (prepared, raw, straight)]
    assert all(picture.image.shape == (800, 1200, 3) for picture in pictures)
    same, other = (
        np.abs(picture.image.astype(float) - pictures[0].image).mean() for picture in pictures[1:]
    )
    assert same < 3 < 1.5 * other
    assert straight.tags["images"] == "raw, undistorted"
    assert pictures[0].camera == pictures[2].camera


def _no_picture(*_: object) -> NDArray[np.uint8]:
    """Another root's map is read."""
    return np.zeros((8, 8, 3), dtype=np.uint8)


def _below(label: Label, root: Path) -> str:
    return label.ground_file.relative_to(root).as_posix()
