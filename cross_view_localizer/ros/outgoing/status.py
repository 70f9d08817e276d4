"""What the node counts about itself, from several threads; diagnostics read it. No ROS."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple

WINDOW = 5.0  # seconds that a rate is averaged over


class TopicFigures(NamedTuple):
    """Of one topic: messages, Hz, seconds since the last, its stamp (ns), seconds it was ahead."""

    messages: int
    rate: float
    age: float | None
    stamp: int
    offset: float


class Traffic:
    """Arrivals on one topic."""

    def __init__(self) -> None:
        self.count = 0
        self.stamp = 0  # the last one, nanoseconds
        self.offset = 0.0  # seconds that it was ahead of the clock
        self._arrivals: deque[float] = deque()

    def add(self, now: float, stamp: int, offset: float) -> None:
        """Note an arrival at ``now``, seconds of any steady clock."""
        self.count += 1
        self.stamp, self.offset = stamp, offset
        self._arrivals.append(now)
        while now - self._arrivals[0] > WINDOW:
            self._arrivals.popleft()

    def rate(self, now: float) -> float:
        """Return arrivals per second over the last seconds."""
        recent = [at for at in self._arrivals if now - at <= WINDOW]
        if len(recent) < 2:
            return 0.0
        return (len(recent) - 1) / max(recent[-1] - recent[0], now - recent[0] - WINDOW / 2, 1e-3)

    def age(self, now: float) -> float | None:
        """Return seconds since the last arrival; None where there was none."""
        return now - self._arrivals[-1] if self._arrivals else None


class Status:
    """Counters and last words of the node; every method may be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._started = clock()
        self._traffic: dict[str, Traffic] = {}
        self._counts: Counter[str] = Counter()
        self._notes: dict[str, tuple[str, float]] = {}
        self._milliseconds: dict[str, deque[float]] = {}
        self._figures: dict[str, float] = {}

    def arrived(self, topic: str, stamp: int = 0, offset: float = 0.0) -> None:
        """Note a message on ``topic`` whose stamp was ``offset`` seconds ahead of the clock."""
        with self._lock:
            self._traffic.setdefault(topic, Traffic()).add(self._clock(), stamp, offset)

    def count(self, what: str, by: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self._counts[what] += by

    def note(self, subject: str, text: str) -> None:
        """Keep the last word on a subject; an empty text removes it."""
        with self._lock:
            if text:
                self._notes[subject] = (text, self._clock())
            else:
                self._notes.pop(subject, None)

    def took(self, stage: str, milliseconds: float) -> None:
        """Keep a duration; diagnostics show the median of the last ones."""
        with self._lock:
            self._milliseconds.setdefault(stage, deque(maxlen=100)).append(milliseconds)

    def found(self, figure: str, value: float) -> None:
        """Keep the last value of a figure that frames have."""
        with self._lock:
            self._figures[figure] = value

    def restart(self) -> None:
        """Begin anew at activation: silence, durations and figures are counted from now."""
        with self._lock:
            self._started = self._clock()
            self._traffic.clear()
            self._milliseconds.clear()
            self._figures.clear()

    def counts(self) -> dict[str, int]:
        """Return all counters."""
        with self._lock:
            return dict(self._counts)

    def notes(self) -> dict[str, str]:
        """Return all last words."""
        with self._lock:
            return {subject: text for subject, (text, _) in self._notes.items()}

    def dated_note(self, subject: str) -> str:
        """Return the last word on a subject with its age; an empty text where there is none."""
        with self._lock:
            if subject not in self._notes:
                return ""
            text, at = self._notes[subject]
            return f"{text} ({self._clock() - at:.0f} s ago)"

    def medians(self) -> dict[str, float]:
        """Return the median duration of each stage, milliseconds."""
        with self._lock:
            return {
                stage: sorted(values)[len(values) // 2]
                for stage, values in self._milliseconds.items()
            }

    def figures(self) -> dict[str, float]:
        """Return the last value of each figure."""
        with self._lock:
            return dict(self._figures)

    def topic(self, topic: str) -> TopicFigures:
        """Return what is known of a topic now."""
        with self._lock:
            traffic, now = self._traffic.get(topic, Traffic()), self._clock()
            return TopicFigures(
                traffic.count, traffic.rate(now), traffic.age(now), traffic.stamp, traffic.offset
            )

    def silence(self, topic: str) -> float:
        """Return seconds since the last message on ``topic``, or since the start."""
        with self._lock:
            traffic, now = self._traffic.get(topic), self._clock()
            age = traffic.age(now) if traffic else None
            return now - self._started if age is None else age
