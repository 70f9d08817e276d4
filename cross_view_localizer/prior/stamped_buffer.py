"""Samples of one sensor in the order of their stamps, whatever order they arrived in."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Generic, TypeVar

T = TypeVar("T")


class StampedBuffer(Generic[T]):
    """Keeps the last ``span`` nanoseconds of samples, sorted; an equal stamp replaces.

    Attributes:
        span: may be changed; what is gone already doesn't come back.
    """

    def __init__(self, span: int) -> None:
        self.span = span
        self._stamps: list[int] = []
        self._samples: list[T] = []

    def __len__(self) -> int:
        return len(self._stamps)

    @property
    def newest(self) -> int | None:
        """Stamp of the newest sample, nanoseconds; None where there is none."""
        return self._stamps[-1] if self._stamps else None

    def add(self, stamp: int, sample: T) -> None:
        """Insert in order, then forget what is older than the span before the newest."""
        if not self._stamps or stamp > self._stamps[-1]:
            self._stamps.append(stamp)
            self._samples.append(sample)
        else:
            place = bisect_left(self._stamps, stamp)
            if self._stamps[place] == stamp:
                self._samples[place] = sample
            else:
                self._stamps.insert(place, stamp)
                self._samples.insert(place, sample)
        old = bisect_left(self._stamps, self._stamps[-1] - self.span)
        if old > 0:
            del self._stamps[:old], self._samples[:old]

    def around(self, stamp: int) -> tuple[T | None, T | None]:
        """Return the last sample at or before ``stamp`` and the first after it, or None."""
        place = bisect_right(self._stamps, stamp)
        before = self._samples[place - 1] if place else None
        after = self._samples[place] if place < len(self._samples) else None
        return before, after

    def between(self, first: int, last: int) -> list[T]:
        """Return the samples with first ≤ stamp ≤ last."""
        return self._samples[bisect_left(self._stamps, first) : bisect_right(self._stamps, last)]

    def last(self, count: int) -> list[T]:
        """Return the newest ``count`` samples, oldest first."""
        return self._samples[-count:]

    def clear(self) -> None:
        """Forget everything."""
        self._stamps.clear()
        self._samples.clear()
