"""Says things once: log lines that don't repeat themselves, beside the counters."""

from __future__ import annotations

import threading
import time
import traceback
from typing import Any

from cross_view_localizer.ros.outgoing.status import Status

REPEAT_AFTER = 10.0  # seconds before a subject is logged again
INTERNAL_ERRORS = "internal_errors"


class Reporter:
    """Logs warnings by subject, at most every 10 s unless the text's kind changes, and counts.

    Args:
        logger: rclpy's, which may be used from any thread.
        status: what diagnostics read.
    """

    def __init__(self, logger: Any, status: Status) -> None:
        self._logger, self.status = logger, status
        self._said: dict[tuple[str, str], float] = {}
        self._traced: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def info(self, text: str) -> None:
        """Log for the user."""
        self._logger.info(text)

    def error(self, text: str) -> None:
        """Log what stops the node from working."""
        self._logger.error(text)

    def warn(self, subject: str, text: str, kind: str = "") -> None:
        """Log what the user should know and keep it for diagnostics as the subject's last word.

        Texts with the same subject and kind are logged at most every 10 s.
        """
        self.status.note(subject, text)
        now, key = time.monotonic(), (subject, kind or text.split(":")[0])
        with self._lock:
            if now - self._said.get(key, -REPEAT_AFTER) < REPEAT_AFTER:
                return
            self._said[key] = now
        self._logger.warning(text)

    def bad_sample(self, topic: str, text: str) -> None:
        """Note a message that could not be used."""
        self.status.count(f"{topic}_unusable")
        self.warn(topic, text)

    def failure(self, text: str, error: BaseException, foreseen: bool) -> None:
        """Log what stopped the node from working; an unforeseen exception with its traceback."""
        if foreseen:
            self._logger.error(text)
            self._logger.debug(_traceback(error))
        else:
            self._logger.error(f"{text}{self._traceback_once(error)}")

    def internal_error(self, doing: str, error: BaseException) -> None:
        """Log an exception that nobody foresaw, the first time with its traceback."""
        self.status.count(INTERNAL_ERRORS)
        text = f"{doing}: {type(error).__name__}: {error} ({_place(error)})"
        whole = self._traceback_once(error)
        if whole:
            self.status.note("internal", text)
            self._logger.error(f"{text}{whole}")
        else:
            self.warn("internal", text, kind=doing)

    def _traceback_once(self, error: BaseException) -> str:
        """Return the traceback on lines of its own; an empty text where it was told before."""
        key = (type(error).__name__, _place(error))
        with self._lock:
            if key in self._traced:
                return ""
            self._traced.add(key)
        return f"\n{_traceback(error)}"


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).rstrip()


def _place(error: BaseException) -> str:
    """Return file and line where an exception was raised."""
    steps = traceback.extract_tb(error.__traceback__)
    return f"{steps[-1].filename}:{steps[-1].lineno}" if steps else "nowhere"
