"""Progress on the terminal: a bar where someone watches, a line per step where a log is kept."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Bar:
    """Shows the step at hand and its share; call it with (step, share or None)."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._live = self._console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._live,
        )
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[str, float] = {}
        self._began = time.monotonic()

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def __call__(self, step: str, share: float | None = None, note: str = "") -> None:
        """Say that ``step`` is done to ``share`` (0 … 1); None where nobody knows."""
        if not self._live:
            self._log(step, share, note)
            return
        if step not in self._tasks:
            for task in self._tasks.values():
                self._progress.update(task, completed=1.0, total=1.0)
            self._tasks[step] = self._progress.add_task(step, total=None, note="")
        total = None if share is None else 1.0
        self._progress.update(self._tasks[step], completed=share or 0.0, total=total, note=note)

    def _log(self, step: str, share: float | None, note: str) -> None:
        """Write a line at the start, every quarter and the end of a step."""
        quarter = -1.0 if share is None else int(share * 4) / 4
        if self._said.get(step) == quarter:
            return
        self._said[step] = quarter
        done = "" if share is None else f" {quarter:4.0%}"
        spent = time.monotonic() - self._began
        self._console.print(f"[{spent:5.0f} s] {step}{done} {note}".rstrip(), markup=False)
