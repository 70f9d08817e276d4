"""Quality of service as users override it: ``qos_overrides.<topic>.<direction>.<policy>``.

rclpy declares and applies such parameters for every entity that is made with ``overridable()``;
here is what it leaves out: naming a value that doesn't fit, and overrides that nothing takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSPolicyKind, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from cross_view_localizer.ros.parameters import ParameterError

POLICIES = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
)
_PREFIX = "qos_overrides"
_WORDS = {
    policy: tuple(member.name.lower() for member in words if member.name != "UNKNOWN")
    for policy, words in (
        ("history", HistoryPolicy),
        ("reliability", ReliabilityPolicy),
        ("durability", DurabilityPolicy),
    )
}


def overridable(policies: Iterable[QoSPolicyKind] = POLICIES) -> QoSOverridingOptions:
    """Return what lets users override these policies of a subscription or publisher.

    rclpy writes the overrides into the profile that is handed over with it: never share one.
    """
    return QoSOverridingOptions(tuple(policies))


def is_override(name: str) -> bool:
    """Return whether a parameter overrides quality of service."""
    return name.startswith(f"{_PREFIX}.")


def override(node: Node, topic: str, policy: str) -> str | None:
    """Return the override that a subscription of the resolved ``topic`` was given, else None."""
    name = f"{_PREFIX}.{topic}.subscription.{policy}"
    return str(node.get_parameter(name).value) if node.has_parameter(name) else None


def _given(node: Node) -> dict[str, Any]:
    """Return the overrides by full name; rclpy's own declarations of defaults are read-only."""
    found = node.get_parameters_by_prefix(_PREFIX).values()
    return {p.name: p.value for p in found if not node.describe_parameter(p.name).read_only}


def check(node: Node) -> None:
    """Check the values of all overrides.

    Raises:
        ParameterError: the first that doesn't fit.
    """
    for name, value in _given(node).items():
        policy = name.rpartition(".")[2]
        if policy in _WORDS and value not in _WORDS[policy]:
            expected = f"one of {', '.join(_WORDS[policy])}"
        elif policy == "depth" and (type(value) is not int or value < 1):
            expected = "a whole number from 1 on"
        else:
            continue
        raise ParameterError(f"parameter {name} is {value!r}: expected {expected}")


def untaken(node: Node) -> dict[str, str]:
    """Return all overrides: why nothing of the node takes it, or an empty text where it is taken.

    To be called while the node's entities exist.
    """
    entities = [
        *((entity.topic_name, "subscription") for entity in node.subscriptions),
        *((entity.topic_name, "publisher") for entity in node.publishers),
    ]
    names = [policy.name.lower() for policy in POLICIES]
    taken = {f"{_PREFIX}.{topic}.{kind}.{name}" for topic, kind in entities for name in names}
    topics = ", ".join(sorted(topic for topic, kind in entities if kind == "subscription"))
    return {
        name: ""
        if name in taken
        else f"parameter {name} has no effect: expected {_PREFIX}.<topic>.<subscription or "
        f"publisher>.<{', '.join(names)}> of a topic of this node, e.g. {topics}"
        for name in _given(node)
    }
