"""Bag time running with the wall clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

POLL = 0.02  # s between looks at what tells only when asked


class Pace:
    """Says when a stamp is due, and tells the time on the way.

    Args:
        start: bag time now, ns. rate: bag seconds per second.
        tell: called with the bag's time, ns, every ``period`` seconds while waiting.
        stop: ends every wait.
    """

    def __init__(
        self,
        start: int,
        rate: float,
        stop: threading.Event,
        tell: Callable[[int], None] | None = None,
        period: float = 0.025,
    ) -> None:
        self._start, self._rate, self._stop = start, rate, stop
        self._tell, self._period = tell, period
        self._origin = self._next_tick = time.monotonic()
        self.held = 0.0

    def now(self) -> int:
        """Return the bag's time, ns."""
        return self._start + int((time.monotonic() - self._origin) * self._rate * 1e9)

    def lag(self, stamp: int) -> float:
        """Return how many seconds ago ``stamp`` was due."""
        return (self.now() - stamp) / self._rate / 1e9

    def until(self, stamp: int) -> bool:
        """Wait until the bag's time is ``stamp``; False where the player was stopped."""
        while not self._stop.is_set():
            wall = time.monotonic()
            due = self._origin + (stamp - self._start) / self._rate / 1e9
            if self._tell is not None and wall >= self._next_tick:
                self._tell(min(self.now(), stamp))
                self._next_tick = wall + self._period
            if wall >= due:
                return True
            tick = self._next_tick if self._tell is not None else due
            self._stop.wait(max(0.0, min(due, tick) - time.monotonic()))
        return False

    def hold_while(self, hold: Callable[[], bool]) -> None:
        """Let the bag's time stand still while ``hold`` says so."""
        before = time.monotonic()
        while hold() and not self._stop.wait(POLL):
            pass
        spent = time.monotonic() - before
        if spent >= POLL:
            self._origin += spent
            self.held += spent
