"""Lets so many frames a second through, whatever the camera's own rate."""

from __future__ import annotations

from cross_view_localizer.prior.stamp_gate import SECOND


class Throttle:
    """Admits frames by their stamps: a bag gives the same ones at any speed of playing.

    The limit is on the average: 20 Hz of a 30 Hz camera are every other frame and some between,
    not 15 Hz, and a frame that comes a little early doesn't cost a whole period.

    Attributes:
        rate: Hz; 0 lets all through. May be changed at any time.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._slot: int | None = None  # when the last admitted frame was due, nanoseconds

    def admits(self, stamp: int) -> bool:
        """Return whether the frame of this stamp may pass; stamps must grow until ``clear``."""
        period = round(SECOND / self.rate) if self.rate > 0 else 0
        due = stamp if self._slot is None else self._slot + period
        if stamp < due:
            return False
        # Arrears of a jittering stamp are made up, those of a pause are not.
        self._slot = due if stamp - due < 2 * period else stamp
        return True

    def clear(self) -> None:
        """Begin anew, after a jump of time."""
        self._slot = None
