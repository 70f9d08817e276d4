"""Notices a camera that goes on sending its last picture under new stamps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.gates import major_std
from cross_view_localizer.prior.prior import Prior, PriorRefusal
from cross_view_localizer.prior.stamp_gate import SECOND

# Metres that a vehicle may move, surely, while its camera's picture stays the same.
MOVED = 1.0
# Every so many pixels are compared: a sensor's noise alone tells two pictures apart.
_STRIDE = 8
# Seconds without pictures after which nothing is said of the one before.
_PAUSE = 5.0


@dataclass
class _Picture:
    """What is kept of a picture since it came first.

    Attributes:
        sample: some of its pixels.
        stamp: when it came first; latest: when it came last; nanoseconds.
        place: x + iy in the odometry's frame, metres; None where unknown.
        prior: in ``map``.
    """

    sample: NDArray[np.uint8]
    stamp: int
    latest: int
    place: complex | None
    prior: Prior | None


class FrozenCamera:
    """Compares every picture with the one before it."""

    def __init__(self) -> None:
        self._first: _Picture | None = None

    def says(
        self,
        image: NDArray[np.uint8],
        stamp: int,
        place: complex | None,
        prior: Prior | PriorRefusal,
    ) -> str:
        """Return one line where the vehicle has moved under a picture that stays the same.

        A vehicle at rest in front of a noiseless (simulated) camera is told from it by odometry,
        or, where there is none, by a prior that moves by more than three standard deviations.

        Args:
            image: (H, W, 3); stamp: its, nanoseconds.
            place: x + iy by odometry, in any frame; None where unknown.
            prior: at the stamp.
        """
        sample = image[::_STRIDE, ::_STRIDE].copy()
        known = prior if isinstance(prior, Prior) else None
        first = self._first
        if (
            first is None
            or not 0 < stamp - first.latest <= _PAUSE * SECOND
            or not np.array_equal(first.sample, sample)
        ):
            self._first = _Picture(sample, stamp, stamp, place, known)
            return ""
        first.latest = stamp
        moved = _moved(first, place, known)
        if moved <= MOVED:
            return ""
        return (
            f"the camera's picture has stayed the same for {(stamp - first.stamp) / SECOND:.1f} s "
            f"while the vehicle moved by {moved:.1f} m: frozen; restart its driver"
        )


def _moved(first: _Picture, place: complex | None, prior: Prior | None) -> float:
    """Metres that are sure."""
    if first.place is not None and place is not None:
        return abs(place - first.place)
    if first.prior is None or prior is None:
        return 0.0
    sigma = math.hypot(major_std(first.prior.covariance), major_std(prior.covariance))
    return math.hypot(prior.x - first.prior.x, prior.y - first.prior.y) - 3 * sigma
