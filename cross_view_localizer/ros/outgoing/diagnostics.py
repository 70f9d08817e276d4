"""/diagnostics: what runs, what is missing, and what to do; alive in every lifecycle state."""

from __future__ import annotations

import threading
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from cross_view_localizer.ros.outgoing.facts import Facts
from cross_view_localizer.ros.outgoing.reporter import Reporter
from cross_view_localizer.ros.outgoing.sections import Sections


class DiagnosticsPublisher:
    """Publishes from a thread of its own: neither configure nor a stopped sim time silences it.

    Args:
        node: publishes, and knows clock, names and the graph.
        facts: asked before each message, in this thread.
        reporter: its counters and last words are shown.
        period: seconds between two messages.
    """

    def __init__(
        self, node: Node, facts: Callable[[], Facts], reporter: Reporter, period: float
    ) -> None:
        self._node, self._facts, self._reporter = node, facts, reporter
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._sections = Sections(node, reporter.status)
        self._period = period
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="diagnostics", daemon=True)
        self._thread.start()

    def set_period(self, period: float) -> None:
        """Publish every ``period`` seconds from now on."""
        with self._changed:
            if period != self._period:
                self._period = period
                self._changed.notify()

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        while True:
            with self._changed:
                # Notified: ended, or another period, which then begins anew.
                if not self._ended and self._changed.wait(self._period):
                    continue
                if self._ended:
                    return
            try:
                self._publisher.publish(self._message())
            except Exception as error:
                if not self._node.context.ok():  # shut down under our feet
                    return
                self._reporter.internal_error("diagnostics", error)

    def _message(self) -> DiagnosticArray:
        made = DiagnosticArray()
        made.header.stamp = self._node.get_clock().now().to_msg()
        made.status = self._sections.of(self._facts())
        return made
