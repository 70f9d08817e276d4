"""What is wrong on purpose is wrong by as much as it says, and every time alike."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from blob_pairs import NORTH, BlobReader, blob_model

from cross_view_localizer.preparation import Question
from training.datasets.pair import Label
from training.measuring.disturbed import DISTURBANCES, Disturbance, DisturbedRows, covered
from training.measuring.rows import Rows


class TwoTowns(BlobReader):
    """Odd rows lie in another town, a kilometre away, and are told 3° too much."""

    def label(self, index: int, rng: np.random.Generator | None = None) -> Label:
        label = super().label(index)
        if index % 2:
            x, y = label.grid.center
            grid = replace(label.grid, center=(x + 1000.0, y))
            label = replace(label, grid=grid, position=(label.position[0] + 1000.0, 54.0))
        return replace(label, heading=label.yaw + math.radians(3))


READER = TwoTowns([(0.0, 0.0), (6.0, 0.0)] * 3, groups=2)


def rows(**wrong: Any) -> DisturbedRows:
    return DisturbedRows(READER, blob_model(), Disturbance("wrong", **wrong))


def question(one: Rows, position: int) -> Question:
    found = one[position].question
    assert isinstance(found, Question)
    return found


@pytest.mark.parametrize(
    ("side", "dark"),
    [
        (0, np.s_[:, :20]),
        (1, np.s_[:10, :]),
        (2, np.s_[:, -20:]),
        (3, np.s_[-10:, :]),
    ],
)
def test_a_share_of_the_picture_is_black_from_its_side(side: int, dark: Any) -> None:
    image = np.full((20, 40, 3), 200, np.uint8)
    found = covered(image, 0.5, side)
    assert found.shape == image.shape and found[dark].max() == 0
    assert 0.42 < (found == 200).mean() < 0.5
    assert covered(image, 1.0, side).max() == 0
    np.testing.assert_array_equal(covered(image, 0.0, side)[8:12, 16:24], image[8:12, 16:24])


def test_sides_differ_between_frames_and_not_between_runs() -> None:
    half = rows(covered=0.5)
    pictures = [question(half, i).ground.image for i in range(6)]
    assert len({picture.tobytes() for picture in pictures}) > 1
    np.testing.assert_array_equal(question(rows(covered=0.5), 4).ground.image, pictures[4])


def test_the_stated_height_is_off_by_the_factor() -> None:
    assert question(rows(height=1.2), 0).ground.height == pytest.approx(1.5 * 1.2)
    assert question(rows(height=0.8), 0).ground.height == pytest.approx(1.5 * 0.8)


def test_the_heading_is_wrong_about_the_truth_by_what_the_prior_states() -> None:
    many = TwoTowns([(0.0, 0.0)] * 300, groups=2)
    wrong = DisturbedRows(many, blob_model(), Disturbance("wrong", heading=6))
    priors = [question(wrong, i).place.prior for i in range(300)]
    yaws = np.array([prior.yaw for prior in priors], np.float64) - NORTH
    assert np.degrees(yaws.std()) == pytest.approx(6, rel=0.12)
    assert abs(np.degrees(yaws.mean())) < 1  # not about the protocol's, which is 3° off
    assert math.degrees(math.sqrt(priors[0].covariance[2, 2])) == pytest.approx(6)
    told = wrong[7].told
    assert NORTH + math.radians(3) + told == pytest.approx(priors[7].yaw)


def test_another_towns_map_lies_where_ones_own_would() -> None:
    wrong, right = rows(elsewhere=True), Rows(READER, blob_model(), "metric")
    ours, theirs = question(right, 0).searched, question(wrong, 0).searched
    assert theirs.grid == ours.grid
    # The other town's blob lies 6 m further east, three cells.
    column = [one.patch.image[..., 0].max(axis=0).argmax() for one in (ours, theirs)]
    assert column[1] - column[0] == 3
    records = list(wrong.run(2))
    assert [one.group for one in records] == ["group 0", "group 1"] * 3
    assert records[0].longitudinal == pytest.approx(0.0, abs=0.2)
    assert records[0].lateral == pytest.approx(-6.0, abs=0.3)


def test_one_group_has_no_other_map() -> None:
    alone = DisturbedRows(
        BlobReader([(0.0, 0.0)] * 4, groups=1), blob_model(), Disturbance("wrong", elsewhere=True)
    )
    with pytest.raises(ValueError, match="all 4 rows are of group 'group 0': expected a second"):
        alone[0]


def test_every_disturbance_gives_a_record_for_every_row() -> None:
    assert len({one.name for one in DISTURBANCES}) == len(DISTURBANCES) == 11
    for one in DISTURBANCES:
        records = list(DisturbedRows(READER, blob_model(), one).run(3))
        assert [record.name for record in records] == [f"row {i}" for i in range(6)], one.name
