"""One DiagnosticStatus in the making, and the counters' growth between two of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

WARN, ERROR = 1, 2
_LEVELS = (DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR)


class Section:
    """The worst findings give level and message.

    Args:
        node: fully qualified name of the node: nodes of different namespaces must not be mixed up.
        name: of the section.
        message: where nothing is found.
    """

    def __init__(self, node: str, name: str, message: str = "ok") -> None:
        self._node, self._name, self._message = node, name, message
        self._worst = 0
        self._found: list[str] = []
        self._values: dict[str, str] = {}

    def add(self, key: str, value: object) -> None:
        """Add a value; floats are rounded."""
        self._values[key] = f"{value:.4g}" if isinstance(value, float) else str(value)

    def find(self, level: int, message: str) -> None:
        """Add a finding, WARN or ERROR."""
        if level > self._worst:
            self._worst, self._found = level, []
        if level == self._worst:
            self._found.append(message)

    def status(self) -> DiagnosticStatus:
        """Return the message."""
        return DiagnosticStatus(
            level=_LEVELS[self._worst],
            name=f"{self._node}: {self._name}",
            hardware_id=self._node,
            message="; ".join(self._found) or self._message,
            values=[KeyValue(key=key, value=value) for key, value in self._values.items()],
        )


class Growth:
    """How much counters grew since they were last asked for: what a finding is made from.

    A finding then clears itself as soon as a period passes without its cause.
    """

    def __init__(self) -> None:
        self._before: dict[str, int] = {}

    def of(self, group: str, counts: Mapping[str, int]) -> Counter[str]:
        """Return what was added to each counter of a group; one that fell has begun anew."""
        grown: Counter[str] = Counter()
        for name, count in counts.items():
            before = self._before.get(f"{group}.{name}", 0)
            grown[name] = count - before if count >= before else count
            self._before[f"{group}.{name}"] = count
        return grown
