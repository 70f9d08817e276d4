import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cross_view_localizer.grid import Grid
from cross_view_localizer.models.bev import VIEWS
from training.datasets import town_stream
from training.datasets.aerial_source import AerialSource
from training.datasets.augment import mirror, photometric
from training.datasets.sample import Sample, tilt_between
from training.datasets.town_stream import PriorError, TownStream, aerial_grid, heatmap_grid
from training.town.town import CameraPose, Town

LEVEL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def ramp(grid: Grid) -> np.ndarray:
    """A picture whose channels say where a pixel lies: x and y from -60 to 60 m, and x reversed."""
    columns, rows = np.meshgrid(np.arange(grid.width), np.arange(grid.height))
    xy = grid.pixel_to_map(np.stack([columns, rows], axis=-1))
    rising = (xy + 60) / 120 * 250
    values = np.concatenate([rising, 250 - rising[..., :1]], axis=-1)
    return np.asarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


@pytest.mark.parametrize("gsd", [0.15, 0.2, 0.25])
def test_a_crop_shows_what_lies_there(gsd: float) -> None:
    side = int(120 / gsd)
    source = AerialSource(
        ramp(Grid(side, side, gsd, (0.0, 0.0), math.pi / 2 + 0.03)),
        Grid(side, side, gsd, (0.0, 0.0), math.pi / 2 + 0.03),
        0.5,
    )
    target = Grid(64, 64, 0.5, (7.0, -11.0), 0.7)
    error = source.crop(target).astype(float) - ramp(target)
    assert np.abs(error).max() <= 1  # levels
    # Rounding lifts rising and falling ramps alike; a shift of 0.1 px moves them apart by 0.2.
    assert abs(error[..., 0].mean() - error[..., 2].mean()) < 0.1


def test_the_truth_is_at_the_offset_that_the_sample_states() -> None:
    view, pose = VIEWS["pinhole"], CameraPose(3.0, -8.0, 2.1, "street")
    prior = PriorError(5.0, -7.0, 0.05)
    heatmap = heatmap_grid(view, pose, prior)
    u, v = heatmap.map_to_pixel((pose.x, pose.y))
    middle = (heatmap.width - 1) / 2
    right, down = (u - middle) * heatmap.gsd, (v - middle) * heatmap.gsd
    up = heatmap.up
    x = heatmap.center[0] + right * math.sin(up) - down * math.cos(up)
    y = heatmap.center[1] - right * math.cos(up) - down * math.sin(up)
    np.testing.assert_allclose((x, y), (pose.x, pose.y), atol=1e-9)
    aerial = aerial_grid(heatmap, view)
    ahead = np.array(aerial.center) - heatmap.center
    np.testing.assert_allclose(ahead, 20 * np.array([math.cos(up), math.sin(up)]), atol=1e-9)


def made_up_sample() -> Sample:
    rng = np.random.default_rng(0)
    pitch, roll = 0.02, -0.03
    turn = LEVEL @ np.array([[1, -roll, 0], [roll, 1, -pitch], [0, pitch, 1.0]])
    return Sample(
        aerial=rng.integers(0, 255, (192, 192, 3), dtype=np.uint8),
        ground=rng.integers(0, 255, (160, 240, 3), dtype=np.uint8),
        intrinsics=np.array([[130.0, 0, 110], [0, 130, 80], [0, 0, 1]]),
        rotation=LEVEL,
        tilt=tilt_between(LEVEL, turn),
        height=1.5,
        offset=np.array([4.0, -9.0]),
        yaw=0.04,
        position=np.zeros(2),
        heading=0.0,
        group=1,
        cell=0.5,
    )


def test_tilt_is_pitch_and_roll_of_the_optical_frame() -> None:
    np.testing.assert_allclose(made_up_sample().tilt, (0.02, -0.03), atol=1e-12)


def test_mirroring_exchanges_left_and_right_and_undoes_itself() -> None:
    sample = made_up_sample()
    other = mirror(sample)
    np.testing.assert_array_equal(other.ground[:, 0], sample.ground[:, -1])
    np.testing.assert_allclose(other.offset, (-4.0, -9.0))
    assert other.yaw == -0.04
    assert other.intrinsics[0, 2] == 129
    np.testing.assert_allclose(other.rotation, LEVEL, atol=1e-12)
    np.testing.assert_allclose(other.tilt, (0.02, 0.03))
    again = mirror(other)
    np.testing.assert_array_equal(again.aerial, sample.aerial)
    np.testing.assert_allclose(again.tilt, sample.tilt)


def test_photometric_changes_keep_shape_and_type() -> None:
    image = made_up_sample().ground
    changed = photometric(image, np.random.default_rng(5))
    assert changed.shape == image.shape and changed.dtype == np.uint8


def test_the_stream_refuses_towns_kept_for_measuring() -> None:
    with pytest.raises(ValueError, match="kept for test"):
        TownStream(VIEWS["pinhole"], 0, towns=range(200_000, 200_010))


def test_the_stream_repeats_itself_and_gives_truth_inside_the_heatmap() -> None:
    def first(count: int) -> list[Sample]:
        stream = iter(TownStream(VIEWS["pinhole"], 3, frames=4, pool=1))
        return [next(stream) for _ in range(count)]

    one, other = first(6), first(6)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.ground, b.ground)
        np.testing.assert_array_equal(a.aerial, b.aerial)
        assert np.abs(a.offset).max() <= 24.0


def test_without_editions_the_stream_is_of_town_v1() -> None:
    plain, named = (
        next(iter(TownStream(VIEWS["pinhole"], 3, frames=2, pool=1, editions=editions)))
        for editions in (None, {"town-v1": 0.3})
    )
    np.testing.assert_array_equal(plain.ground, named.ground)
    assert plain.same_place and plain.height_error == 0.0 and plain.mask is None


@pytest.mark.parametrize(
    ("editions", "message"),
    [
        ({"town-v2-other": 1.0}, "'town-v2-other' is kept from training"),
        ({"town-v1": 1.0, "town-v2-other": 0.0}, "'town-v2-other' is kept from training"),
        ({"town-v3": 1.0}, "'town-v3': expected one of"),
        ({"town-v1": 0.0}, "share 0.0: expected a positive number"),
        ({"town-v1": math.nan}, "expected a positive number"),
        ({}, "expected at least one"),
    ],
)
def test_the_stream_refuses_editions_that_training_must_not_see(
    editions: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        TownStream(VIEWS["pinhole"], 0, editions=editions)
    with pytest.raises(ValueError, match="no_match_share 1.0"):
        TownStream(VIEWS["pinhole"], 0, no_match_share=1.0)


def test_editions_are_drawn_by_their_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    made = Town(1)
    monkeypatch.setattr(town_stream, "Town", lambda seed, edition: seen.append(edition) or made)
    monkeypatch.setattr(made, "poses", lambda *_, **__: [])
    stream = TownStream(VIEWS["pinhole"], 0, editions={"town-v2": 8, "town-v1": 2})
    rng = np.random.default_rng(0)
    for _ in range(300):
        stream._open(rng)
    assert set(seen) == {"town-v1", "town-v2"}
    assert seen.count("town-v2") == pytest.approx(240, abs=25)


def test_the_stream_of_town_v2_pads_misstates_and_mixes_places_up() -> None:
    view = replace(VIEWS["pinhole"], ground_width=72, ground_height=40, pad=True)
    stream = iter(
        TownStream(view, 1, frames=60, pool=1, editions={"town-v2": 1.0}, no_match_share=0.4)
    )
    samples = [next(stream) for _ in range(100)]
    masks = [sample.mask for sample in samples if sample.mask is not None]
    assert len(masks) > 60
    for sample in samples:
        assert sample.ground.shape == (40, 72, 3)
        if sample.mask is not None:
            assert (sample.ground[sample.mask == 0] == 0).all()
            rows, columns = sample.mask.any(axis=1), sample.mask.any(axis=0)
            np.testing.assert_array_equal(sample.mask, np.outer(rows, columns))
            assert rows.all() or columns.all()  # it fits along one side
    same = [sample for sample in samples if sample.same_place]
    assert len(same) == pytest.approx(60, abs=15)
    errors = np.array([sample.height_error for sample in same])
    assert np.isfinite(errors).all() and 0.05 < errors.std() < 0.12
    assert math.log(0.85) <= errors.min() and errors.max() <= math.log(1.15)
    heights = [sample.height for sample in samples]
    assert min(heights) < 1.5 and max(heights) > 2.9


def test_asking_again_goes_on_instead_of_starting_over() -> None:
    """A data loader asks for a new iterator each epoch; the epochs must not be alike."""
    stream = TownStream(VIEWS["pinhole"], 3, frames=4, pool=1)
    one, other = next(iter(stream)), next(iter(stream))
    assert not np.array_equal(one.aerial, other.aerial)
