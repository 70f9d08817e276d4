"""One thread that does the slow work, so that callbacks return at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Worker(Generic[Item]):
    """Processes the newest item offered; older ones that were not begun are dropped.

    Args:
        process: called with each item taken, in the worker's thread.
        chore: called in the same thread after ``poke``: needs no lock against ``process``.
        failed: told of exceptions of either, with the item (None for the chore).
    """

    def __init__(
        self,
        process: Callable[[Item], None],
        chore: Callable[[], None],
        failed: Callable[[Exception, Item | None], None],
    ) -> None:
        self._process, self._chore, self._failed = process, chore, failed
        self._condition = threading.Condition()
        self._item: Item | None = None
        self._poked = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="localizer", daemon=True)

    def is_stopping(self) -> bool:
        """Return whether ``stop`` was called: long waits inside ``process`` should end."""
        return self._stopping

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def offer(self, item: Item) -> bool:
        """Hand over an item; return True where it replaced one that was not begun."""
        with self._condition:
            replaced = self._item is not None
            self._item = item
            self._condition.notify()
        return replaced

    def discard(self) -> None:
        """Forget the item that was not begun."""
        with self._condition:
            self._item = None

    def poke(self) -> None:
        """Ask for the chore; several pokes may become one."""
        with self._condition:
            self._poked = True
            self._condition.notify()

    def stop(self, timeout: float = 30.0) -> bool:
        """End the thread after what it is doing; return False where it did not end in time."""
        with self._condition:
            self._stopping = True
            self._item = None
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._item or self._poked or self._stopping)
                if self._stopping:
                    return
                item, self._item = self._item, None
                poked, self._poked = self._poked, False
            # The thread must outlive any single frame.
            try:
                if poked:
                    self._chore()
            except Exception as error:
                self._failed(error, None)
            try:
                if item is not None:
                    self._process(item)
            except Exception as error:
                self._failed(error, item)
