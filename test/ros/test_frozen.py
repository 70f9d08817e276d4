"""A camera that sends the same picture over and over, moving and standing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from localizer_world import prior_at

from cross_view_localizer.prior.prior import PriorRefusal
from cross_view_localizer.ros.incoming.frozen import FrozenCamera

SECOND = 1_000_000_000
PICTURE = np.random.default_rng(1).integers(0, 256, (96, 128, 3), np.uint8)
NO_FIX = PriorRefusal("no_fix", "none yet")


def test_it_is_noticed_by_odometry() -> None:
    camera = FrozenCamera()
    said = [camera.says(PICTURE, k * SECOND // 10, 0.4j * k, NO_FIX) for k in range(5)]
    assert said[:3] == [""] * 3
    assert "same for 0.3 s while the vehicle moved by 1.2 m" in said[3] and "1.6 m" in said[4]
    assert "\n" not in said[4]


def test_a_camera_at_rest_is_not() -> None:
    camera = FrozenCamera()
    # Fixes wander by metres, odometry stays.
    for k in range(20):
        prior = prior_at(30.0 * (k % 2), 0.0, 0.0, std=2.0)
        assert camera.says(PICTURE, k * SECOND, 0.3 + 0.1j * (k % 3), prior) == ""


@pytest.mark.parametrize(("metres", "frozen"), [(12.0, False), (24.0, True)])
def test_without_odometry_the_prior_must_have_moved_beyond_doubt(
    metres: float, frozen: bool
) -> None:
    camera = FrozenCamera()
    assert camera.says(PICTURE, 0, None, prior_at(0.0, 0.0, None)) == ""
    said = camera.says(PICTURE, SECOND, None, prior_at(metres, 0.0, None))
    assert bool(said) == frozen


def test_another_picture_a_pause_or_another_time_begins_anew() -> None:
    camera = FrozenCamera()
    noisy = PICTURE.copy()
    noisy[::8, ::8] ^= 1
    assert camera.says(PICTURE, 0, 0j, NO_FIX) == ""
    assert camera.says(noisy, SECOND, 9 + 0j, NO_FIX) == ""
    assert camera.says(noisy, 2 * SECOND, 9 + 0j, NO_FIX) == ""
    assert camera.says(noisy, 8 * SECOND, 80 + 0j, NO_FIX) == ""  # a bag was paused
    assert camera.says(noisy, 3 * SECOND, 20 + 0j, NO_FIX) == ""  # a bag was looped
    assert camera.says(noisy[:48], 4 * SECOND, 40 + 0j, NO_FIX) == ""
    assert camera.says(noisy[:48], 5 * SECOND, 50 + 0j, NO_FIX)


def test_nothing_known_says_nothing() -> None:
    camera = FrozenCamera()
    moved = replace(prior_at(0.0, 0.0, None), x=500.0)
    assert camera.says(PICTURE, 0, None, NO_FIX) == ""
    assert camera.says(PICTURE, SECOND, 3j, moved) == ""
