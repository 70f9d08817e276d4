"""The localizer node as a process of its own, watched while it starts and ended politely."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from training.bags.session import load_transport_profile

ROOT = Path(__file__).resolve().parents[2]
NODE = "/cross_view_localizer"
POLITE = 15.0  # s between asking the node to end and making it

Value = str | float | bool


class NodeError(RuntimeError):
    """The node did not start or did not stay; its text is one line for the user."""


def _written(value: Value) -> str:
    """Return a parameter's value as ``--ros-args -p`` wants it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    # YAML would read an unquoted number or path with special characters as something else
    return repr(float(value)) if isinstance(value, float | int) else f"'{value}'"


class NodeProcess:
    """Runs ``python -m cross_view_localizer.ros`` for as long as the block lasts.

    Args:
        log: file for everything that the node prints.
        files: parameter files, later ones win. parameters: single values, over the files.
        remap: name inside the node -> topic.
    """

    def __init__(
        self,
        log: Path,
        files: tuple[Path, ...] = (),
        parameters: Mapping[str, Value] | None = None,
        remap: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        arguments = [part for file in files for part in ("--params-file", str(file))]
        for name, value in (parameters or {}).items():
            arguments += ["-p", f"{name}:={_written(value)}"]
        for name, topic in (remap or {}).items():
            arguments += ["-r", f"{name}:={topic}"]
        self.command = [sys.executable, "-m", "cross_view_localizer.ros", "--ros-args", *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> NodeProcess:
        load_transport_profile()  # both ends of a large image need it
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the demo; the node gets its own signal when the demo has tidied up
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(POLITE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def check(self) -> None:
        """See that the node runs and has not failed to configure.

        Raises:
            NodeError: with the node's own line.
        """
        assert self._process is not None
        said = self._said()
        failed = [line for line in said if "configure failed:" in line]
        if failed:
            raise NodeError(f"the node's {failed[-1][failed[-1].index('configure failed') :]}")
        status = self._process.poll()
        if status is not None:
            raise NodeError(f"the node ended with status {status}: {self.last_line()}")

    def last_line(self) -> str:
        """Return what the node said last."""
        said = (line.strip() for line in reversed(self._said()))
        return next((line for line in said if line), "it said nothing")

    def _said(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()
