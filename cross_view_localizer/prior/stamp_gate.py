"""Decides what a stamp means: new, late, too old, from the future, or time has jumped back."""

from __future__ import annotations

from enum import Enum

SECOND = 1_000_000_000
_JUMP_STREAK = 3
_AHEAD_SECONDS = 2.0


class Verdict(Enum):
    """What to do with a sample."""

    NEW = "new"
    LATE = "late"
    TOO_OLD = "too_old"
    FUTURE = "future"
    JUMP_BACK = "jump_back"


class StampGate:
    """Watches the stamps of several sensors ("streams"), nanoseconds.

    One stray old stamp is not a jump back: only three running in one stream are. Without a clock to
    compare with, the future is judged from the other streams, and a stream that stays ahead of
    silent others for two seconds is believed, because then the others have stopped.

    Attributes:
        span: stamps that are older than the newest by more are too old, seconds.
        max_future: stamps that are further ahead of the clock are in the future, seconds.
    """

    def __init__(self, span: float, jump_back: float, max_future: float) -> None:
        self.span, self.max_future = span, max_future
        self._jump_back = round(jump_back * SECOND)
        self._newest: dict[str, int] = {}
        self._streak: dict[str, int] = {}
        self._ahead: dict[str, int] = {}

    @property
    def newest(self) -> int | None:
        """The newest accepted stamp of all streams."""
        return max(self._newest.values(), default=None)

    def clear(self) -> None:
        """Forget all stamps."""
        self._newest.clear()
        self._streak.clear()
        self._ahead.clear()

    def offset(self, stream: str, stamp: int, now: int | None) -> float:
        """Return seconds that ``stamp`` is ahead of ``now``, else of the other streams."""
        reference = now
        if reference is None:
            reference = max((s for k, s in self._newest.items() if k != stream), default=stamp)
        return (stamp - reference) / SECOND

    def admit(self, stream: str, stamp: int, now: int | None = None) -> Verdict:
        """Judge a sample and remember it; after JUMP_BACK the caller clears its buffers."""
        if self._in_future(stream, stamp, now):
            return Verdict.FUTURE
        newest = self._newest.get(stream)
        if newest is None or stamp > newest - self._jump_back:
            self._accept(stream, stamp)
            return Verdict.NEW if newest is None or stamp > newest else Verdict.LATE
        self._streak[stream] = self._streak.get(stream, 0) + 1
        if self._streak[stream] >= _JUMP_STREAK:
            self.clear()
            self._accept(stream, stamp)
            return Verdict.JUMP_BACK
        return Verdict.TOO_OLD if stamp < newest - self.span * SECOND else Verdict.LATE

    def judge(self, stamp: int, now: int | None = None) -> Verdict:
        """Judge a sample that is no stream's: NEW, TOO_OLD or FUTURE; nothing is kept."""
        newest = self.newest
        reference, limit = (newest, self.span) if now is None else (now, self.max_future)
        if reference is not None and stamp - reference > limit * SECOND:
            return Verdict.FUTURE
        return Verdict.TOO_OLD if newest and stamp < newest - self.span * SECOND else Verdict.NEW

    def _accept(self, stream: str, stamp: int) -> None:
        self._newest[stream] = max(stamp, self._newest.get(stream, stamp))
        self._streak.pop(stream, None)
        self._ahead.clear()

    def _in_future(self, stream: str, stamp: int, now: int | None) -> bool:
        ahead = round(self.offset(stream, stamp, now) * SECOND)
        if now is not None:
            return ahead > self.max_future * SECOND
        if ahead <= self.span * SECOND:
            return False
        first = self._ahead.setdefault(stream, stamp)
        if stamp - first < _AHEAD_SECONDS * SECOND:
            return True
        self.clear()
        return False
