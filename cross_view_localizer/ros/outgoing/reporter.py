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

    def internal_error(self, doing: str, error: BaseException) -> None:
        """Log an exception that nobody foresaw, with where it came from."""
        self.status.count(INTERNAL_ERRORS)
        place = traceback.extract_tb(error.__traceback__)[-1:]
        where = f" ({place[0].filename}:{place[0].lineno})" if place else ""
        self.warn("internal", f"{doing}: {type(error).__name__}: {error}{where}", kind=doing)
