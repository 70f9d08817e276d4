from __future__ import annotations

import pytest
from sensor_messages import SECOND

from cross_view_localizer.ros.incoming.throttle import Throttle


def admitted(throttle: Throttle, rate: float, seconds: float, jitter: int = 0) -> list[int]:
    """The frames of a camera, numbered, that pass."""
    stamps = [round(k * SECOND / rate) + (-1) ** k * jitter for k in range(round(rate * seconds))]
    return [k for k, stamp in enumerate(stamps) if throttle.admits(stamp)]


@pytest.mark.parametrize("limit", [5.0, 12.0, 20.0, 29.0, 30.0])
@pytest.mark.parametrize("jitter", [0, 4_000_000])
def test_a_camera_of_30_hz_is_held_to_the_limit(limit: float, jitter: int) -> None:
    passed = admitted(Throttle(limit), 30.0, 10.0, jitter)
    assert limit * 10 * 0.98 <= len(passed) <= limit * 10 + 1


def test_slow_cameras_and_no_limit_lose_nothing() -> None:
    assert len(admitted(Throttle(0.0), 30.0, 2.0)) == 60
    assert len(admitted(Throttle(10.0), 4.0, 10.0)) == 40


def test_no_arrears_after_a_pause() -> None:
    throttle = Throttle(10.0)
    assert throttle.admits(0)
    late = 100 * SECOND
    passed = [k for k in range(10) if throttle.admits(late + k * SECOND // 100)]
    assert passed == [0]


def test_another_rate_counts_from_the_last_frame_that_passed() -> None:
    throttle = Throttle(0.01)
    assert throttle.admits(0) and not throttle.admits(SECOND)
    throttle.rate = 10.0
    assert throttle.admits(2 * SECOND)


def test_time_may_begin_anew() -> None:
    throttle = Throttle(1.0)
    assert throttle.admits(1000 * SECOND) and not throttle.admits(1000 * SECOND + 1)
    throttle.clear()
    assert throttle.admits(SECOND)
