"""RobotCar's published constants and formulas, without any file."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.datasets import robotcar_lists, robotcar_map
from training.datasets.robotcar import fixed_middle


def test_the_affine_is_the_published_one() -> None:
    """Its centred form as the specification states it, and the anchors' largest residuals."""
    affine = robotcar_map.PUBLISHED
    assert affine.to_pixel((620098, 5735398)) == pytest.approx((8233.2, 9708.8), abs=0.05)
    slopes = [[10.798207486, 0.2573664654], [0.25806494848, -10.826331958]]
    assert affine.matrix == pytest.approx(np.array(slopes), abs=1e-8)
    anchors = np.array(robotcar_map.ANCHORS)
    residuals = np.abs(affine.to_pixel(anchors[:, :2]) - anchors[:, 2:]).max(axis=0)
    assert residuals == pytest.approx((1.33, 0.34), abs=0.005)
    at = np.array([[0.0, 0.0], [16999.5, 12.25]])
    assert affine.to_pixel(affine.to_utm(at)) == pytest.approx(at, abs=1e-6)
    a, b, c, d, e, f = affine.transform[:6]
    assert at @ np.array([[a, d], [b, e]]) + (c, f) == pytest.approx(affine.to_utm(at))
    with pytest.raises(ValueError, match="at least three, not on one line"):
        robotcar_map.StitchedAffine.fitted(anchors[:2])


def test_headings_zero_is_west_and_they_turn_clockwise() -> None:
    for published, east in ((0, 180), (90, 90), (180, 0), (-90, -90), (45, 135), (-179, -1)):
        turned = math.degrees(robotcar_lists.enu_yaw(math.radians(published)))
        assert math.remainder(turned - east, 360) == pytest.approx(0, abs=1e-9)


def test_fixed_patches_have_the_camera_within_200_pixels_of_their_middle() -> None:
    rng = np.random.default_rng(1)
    offsets = []
    for pixel in rng.uniform(2000, 14000, (2000, 2)):
        middle = fixed_middle(pixel)
        assert (middle % 400 == 0).all()
        offsets.append(pixel - middle)
    assert np.abs(offsets).max() <= 200.5
    assert np.abs(np.mean(offsets, axis=0)).max() < 10
    # 599.4 - 400 rounds to 199: it belongs to the patch before; 599.6 - 400 to 200
    assert fixed_middle(np.array([599.4, 599.6])).tolist() == [400.0, 800.0]
