"""Rows become samples: truth, heading and pictures stay together, whatever the view and the fit."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_view_localizer.camera.camera import OPTICAL_TO_BODY, Camera
from cross_view_localizer.geo import rotation_from_euler
from cross_view_localizer.grid import Grid
from cross_view_localizer.views import View
from training.datasets.aerial_source import cropped
from training.datasets.augment import augment, mirror
from training.datasets.pair import (
    RGB,
    DatasetError,
    GroundPicture,
    Label,
    Reader,
    read_rgb,
    read_tile,
)
from training.datasets.pairs import NORTH, PairDataset, aerial_grid, heatmap_grid, sample_of
from training.datasets.sample import Sample, collate

NORTH_UP = View("panorama", 72, 36, 96, 0.75, 96, 0.75, heading_up=False)
HEADING_UP = View("panorama", 72, 36, 60, 1.0, 40, 1.0, aerial_ahead=6.0)
angles = st.floats(-3.1, 3.1)


class Spot(Reader):
    """One row: a bright spot at the camera's place, a panorama with a bright north column."""

    def __init__(self, grid: Grid, position: tuple[float, float], yaw: float, heading: float):
        self.tags, self.problems = {}, []
        self.row = Label("row", Path("g"), Path("a"), grid, position, yaw, heading, "town")

    def __len__(self) -> int:
        return 1

    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        return self.row

    def aerial(self, label: Label, grid: Grid) -> RGB:
        columns, rows = np.meshgrid(np.arange(200), np.arange(200))
        u, v = label.grid.map_to_pixel(label.position)
        spot = 250 * np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / (2 * 3.0**2))
        picture = np.repeat(spot[..., None], 3, axis=2).round().astype(np.uint8)
        return cropped(picture, label.grid, grid)

    def ground(self, label: Label) -> GroundPicture:
        azimuth = label.yaw - (np.arange(144) + 0.5 - 72) / 144 * 2 * math.pi
        north = np.cos(azimuth - NORTH) ** 31
        image = np.repeat((250 * north.clip(0))[None, :, None].repeat(72, 0), 3, axis=2)
        camera = Camera("equirectangular", 144, 72)
        return GroundPicture(image.astype(np.uint8), camera, OPTICAL_TO_BODY, 1.5)


def centroid(picture: RGB) -> np.ndarray:
    weight = picture[..., 0].astype(float)
    columns, rows = np.meshgrid(np.arange(picture.shape[1]), np.arange(picture.shape[0]))
    return np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()


@settings(max_examples=40, deadline=None)
@given(
    up=angles,
    heading=angles,
    error=st.floats(-0.3, 0.3),
    turn=st.floats(-0.3, 0.3),
    right=st.floats(-10, 10),
    down=st.floats(-10, 10),
    view=st.sampled_from([NORTH_UP, HEADING_UP]),
    fit=st.sampled_from(["tile", "metric"]),
)
def test_the_stated_offset_is_where_the_picture_shows_the_camera(
    up: float,
    heading: float,
    error: float,
    turn: float,
    right: float,
    down: float,
    view: View,
    fit: str,
) -> None:
    grid = Grid(200, 200, 0.36, (120.0, -45.0), up)
    x, y = grid.pixel_to_map((99.5 + right / 0.36, 99.5 + down / 0.36))
    reader = Spot(grid, (float(x), float(y)), heading + error, heading)
    sample = sample_of(reader, reader.label(0), view, fit, turn)  # type: ignore[arg-type]
    ahead = view.aerial_ahead / view.aerial_gsd  # the heatmap's middle in the aerial picture
    cells = sample.offset / sample.cell * (view.output_gsd / view.aerial_gsd)
    expected = (view.aerial_size - 1) / 2 + cells + (0, ahead)
    np.testing.assert_allclose(centroid(sample.aerial), expected, atol=0.12)


@pytest.mark.parametrize("turn", [0.0, 0.3, -0.2])
def test_a_north_up_view_gets_its_panorama_turned_to_the_believed_north(turn: float) -> None:
    reader = Spot(Grid(200, 200, 0.36, (0.0, 0.0)), (1.0, 2.0), 2.0, 1.9)
    sample = sample_of(reader, reader.label(0), NORTH_UP, "tile", turn)
    azimuth = (35.5 - centroid(sample.ground)[0]) / 72 * 2 * math.pi  # of north, left of the middle
    # The camera is believed to look to 1.9 + turn, and looks to 2.0: north appears to the right.
    assert sample.yaw == pytest.approx(2.0 - 1.9 - turn)
    assert azimuth == pytest.approx(-sample.yaw, abs=0.02)


def test_a_tile_of_another_resolution_keeps_its_metres() -> None:
    reader = Spot(Grid(200, 200, 0.40, (0.0, 0.0)), (8.0, -4.0), NORTH, NORTH)
    tile = sample_of(reader, reader.label(0), NORTH_UP, "tile")
    metric = sample_of(reader, reader.label(0), NORTH_UP, "metric")
    assert tile.cell == pytest.approx(0.40 * 200 / 96)
    assert metric.cell == NORTH_UP.output_gsd
    for sample in (tile, metric):
        np.testing.assert_allclose(sample.offset, (8.0, 4.0), atol=1e-9)
    assert collate([tile, metric]).cell.tolist() == pytest.approx([tile.cell, 0.75])


@pytest.mark.parametrize("side", [1.0, 0.5, -0.5])
def test_a_patch_laid_on_its_side_is_stood_up_for_a_heading_up_view(side: float) -> None:
    grid = Grid(200, 200, 0.36, (0.0, 0.0), 0.4 + side * math.pi)
    reader = Spot(grid, (8.0, -4.0), 0.45, 0.4)
    view = View("panorama", 72, 36, 100, 0.75, 100, 0.75)
    sample = sample_of(reader, reader.label(0), view, "tile")
    ahead = 8.0 * math.cos(0.4) - 4.0 * math.sin(0.4)
    assert -sample.offset[1] == pytest.approx(ahead)
    np.testing.assert_allclose(
        centroid(sample.aerial), 49.5 + sample.offset / sample.cell, atol=0.05
    )


@pytest.mark.parametrize("view", [NORTH_UP, HEADING_UP])
def test_the_fit_tile_shows_the_protocols_patch_and_no_other(view: View) -> None:
    patch = Grid(200, 200, 0.36, (12.0, -7.0), 0.8)
    shown = aerial_grid(heatmap_grid(patch, view, "tile", patch.up), view)
    np.testing.assert_allclose(shown.center, patch.center, atol=1e-9)
    np.testing.assert_allclose(shown.extent, patch.extent)
    searched = heatmap_grid(patch, view, "metric", patch.up)
    assert searched.center == patch.center and searched.gsd == view.output_gsd


def test_what_training_draws_depends_on_seed_epoch_and_row_only() -> None:
    reader = Spot(Grid(200, 200, 0.36, (0.0, 0.0)), (8.0, -4.0), NORTH, NORTH)
    first = PairDataset(reader, NORTH_UP, seed=3, vary=True)
    again = PairDataset(reader, NORTH_UP, seed=3, vary=True)
    again.set_epoch(1)
    other = again[0]
    again.set_epoch(0)
    np.testing.assert_array_equal(first[0].aerial, again[0].aerial)
    assert not np.array_equal(first[0].aerial, other.aerial)
    with pytest.raises(ValueError, match="seed"):
        PairDataset(reader, NORTH_UP, vary=True)


def test_a_camera_that_cannot_give_the_view_is_refused_in_one_line_with_its_row() -> None:
    class Front(Spot):
        def ground(self, label: Label) -> GroundPicture:
            camera = Camera("pinhole", 72, 36, np.diag([40.0, 40.0, 1.0]))
            return GroundPicture(np.zeros((36, 72, 3), np.uint8), camera, OPTICAL_TO_BODY, 1.5)

    reader = Front(Grid(200, 200, 0.36, (0.0, 0.0)), (8.0, -4.0), NORTH, NORTH)
    with pytest.raises(DatasetError, match="row: a panorama from a pinhole camera: [^\n]*$"):
        sample_of(reader, reader.label(0), NORTH_UP)


def test_a_panorama_gives_a_front_view_as_it_does_on_the_vehicle() -> None:
    reader = Spot(Grid(200, 200, 0.36, (0.0, 0.0)), (8.0, -4.0), NORTH, NORTH)
    sample = sample_of(reader, reader.label(0), View("pinhole", 72, 36, 96, 0.75, 96, 0.75))
    assert sample.intrinsics[0, 0] == pytest.approx(36)  # 90 degrees
    assert centroid(sample.ground)[0] == pytest.approx(35.5, abs=0.1)  # north, straight ahead


def test_a_patch_not_quite_along_the_camera_says_so_by_the_rotation() -> None:
    class Front(Spot):
        def ground(self, label: Label) -> GroundPicture:
            camera = Camera("pinhole", 72, 36, np.array([[40.0, 0, 36], [0, 40, 18], [0, 0, 1]]))
            return GroundPicture(np.zeros((36, 72, 3), np.uint8), camera, OPTICAL_TO_BODY, 1.5)

    # A patch along the body (0.4), as Ford's, of a camera that looks 0.1 to its left, told 0.02 off
    reader = Front(Grid(200, 200, 0.36, (0.0, 0.0), 0.4), (8.0, -4.0), 0.5, 0.52)
    view = View("pinhole", 72, 36, 96, 0.75, 96, 0.75)
    tile, metric = (sample_of(reader, reader.label(0), view, fit) for fit in ("tile", "metric"))
    for sample, told in ((tile, 0.12), (metric, 0.0)):
        ahead = sample.rotation[:, 2]
        assert math.atan2(ahead[1], ahead[0]) == pytest.approx(told)
        assert sample.yaw == pytest.approx(-0.02)


@pytest.mark.parametrize("levelled", [False, True])
def test_an_unknown_tilt_is_no_label_and_a_known_one_is_of_the_view(levelled: bool) -> None:
    stated = OPTICAL_TO_BODY
    if levelled:  # then the view is another than the camera's own
        stated = rotation_from_euler(0.04, 0.03, 0) @ OPTICAL_TO_BODY

    class Tilted(Spot):
        true: np.ndarray | None = None

        def ground(self, label: Label) -> GroundPicture:
            return replace(super().ground(label), rotation=stated, true_rotation=self.true)

    reader = Tilted(Grid(200, 200, 0.36, (0.0, 0.0)), (8.0, -4.0), NORTH, NORTH)
    unknown = sample_of(reader, reader.label(0), HEADING_UP, "metric")
    assert np.isnan(unknown.tilt).all() and np.isnan(mirror(unknown).tilt).all()
    assert torch.isnan(collate([unknown]).tilt).all()
    # Its front 0.01 higher and its right side 0.02 lower than the calibration says.
    reader.true = rotation_from_euler(0.02, -0.01, 0) @ stated
    known = sample_of(reader, reader.label(0), HEADING_UP, "metric")
    np.testing.assert_allclose(known.tilt, (0.01, 0.02), atol=1e-3)
    np.testing.assert_allclose(mirror(known).tilt, known.tilt * (1, -1))
    if levelled:
        np.testing.assert_array_equal(known.rotation, OPTICAL_TO_BODY)


def test_broken_pictures_are_named(tmp_path: Path) -> None:
    import cv2

    whole = cv2.imencode(".png", np.zeros((40, 40, 3), np.uint8))[1].tobytes()
    jpeg = cv2.imencode(".jpg", np.full((40, 40, 3), 90, np.uint8))[1].tobytes()
    for name, content in {"a.png": whole[:-30], "b.jpg": jpeg[:-30], "c.png": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DatasetError, match=f"{name}: truncated"):
            read_rgb(tmp_path / name)
    (tmp_path / "d.png").write_bytes(b"<html>not found</html>")
    with pytest.raises(DatasetError, match=r"d\.png: not a picture"):
        read_rgb(tmp_path / "d.png")
    with pytest.raises(DatasetError, match="no such file"):
        read_rgb(tmp_path / "e.png")
    oblong = cv2.imencode(".png", np.zeros((30, 40, 3), np.uint8))[1].tobytes()
    (tmp_path / "f.png").write_bytes(oblong)
    with pytest.raises(DatasetError, match=r"f\.png: 40 x 30 px: expected a square"):
        read_tile(tmp_path / "f.png")


class Grey(Spot):
    """A front camera, upright, of a flat grey picture."""

    def ground(self, label: Label) -> GroundPicture:
        camera = Camera("pinhole", 60, 45, np.array([[40.0, 0, 31], [0, 40, 21], [0, 0, 1]]))
        return GroundPicture(np.full((45, 60, 3), 120, np.uint8), camera, OPTICAL_TO_BODY, 1.5)


def padded_sample() -> Sample:
    reader = Grey(Grid(200, 200, 0.36, (0.0, 0.0)), (8.0, -4.0), NORTH, NORTH)
    view = View("pinhole", 73, 45, 96, 0.75, 96, 0.75, pad=True)
    return sample_of(reader, reader.label(0), view, "metric")


def test_a_padded_sample_says_where_its_picture_is_and_so_does_its_mirror() -> None:
    sample = padded_sample()
    for one in (sample, mirror(sample)):
        assert one.mask is not None and one.mask.sum() == 60 * 45
        np.testing.assert_array_equal(one.ground, np.repeat(one.mask[..., None], 3, 2) * 120)
        left = int(np.nonzero(one.mask[0])[0][0])
        assert left == (6 if one is sample else 7)
        middle = 31 if one is sample else 59 - 31
        assert one.intrinsics[0, 2] == left + middle and one.intrinsics[1, 2] == 21
    whole, batch = replace(sample, mask=None), collate([sample, mirror(sample)])
    assert batch.ground.mask is not None and batch.ground.mask.shape == (2, 1, 45, 73)
    assert collate([whole]).ground.mask is None and mirror(whole).mask is None


def test_varying_the_light_leaves_padding_black_and_the_pictures_edge_as_it_is() -> None:
    sample = padded_sample()
    sample = replace(sample, earlier=sample.ground[None], motion=np.zeros((1, 3)))
    for seed in range(12):
        varied = augment(sample, np.random.default_rng(seed))
        assert varied.mask is not None and varied.earlier is not None
        for picture in (varied.ground, varied.earlier[0]):
            assert not picture[varied.mask == 0].any()
            # Flat before and after: no black was blurred into it.
            assert np.ptp(picture[varied.mask == 1].astype(int), axis=0).max() == 0
            assert picture.any()
