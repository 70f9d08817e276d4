"""What differs between ROS 2 distributions (Humble … Kilted) and between environments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

Event = Callable[[Any], None]


def _events(factory: Callable[..., Any], wanted: dict[str, Event]) -> list[Any]:
    """Return event callbacks to try in turn: all, those of Humble, none."""
    options = []
    for names in (list(wanted), [name for name in wanted if name != "matched"]):
        try:
            options.append(factory(**{name: wanted[name] for name in names}))
        except TypeError:  # this distribution has no such event
            continue
    return [*options, None]


def create_subscription(
    node: Node,
    message_type: type,
    topic: str,
    callback: Callable[[Any], None],
    profile: QoSProfile,
    overridable: QoSOverridingOptions,
    **events: Event,
) -> Any:
    """Subscribe with as many of the events as distribution and middleware support."""
    for callbacks in _events(SubscriptionEventCallbacks, events):
        try:
            return node.create_subscription(
                message_type,
                topic,
                callback,
                profile,
                event_callbacks=callbacks,
                qos_overriding_options=overridable,
            )
        except Exception:
            if callbacks is None:
                raise
    raise AssertionError("unreachable")


def create_publisher(
    node: Node,
    message_type: type,
    topic: str,
    profile: QoSProfile,
    overridable: QoSOverridingOptions,
    matched: Event,
) -> tuple[Any, bool]:
    """Return (publisher, whether ``matched`` will be called when subscriptions come and go)."""
    for callbacks in _events(PublisherEventCallbacks, {"matched": matched}):
        try:
            publisher = node.create_publisher(
                message_type,
                topic,
                profile,
                event_callbacks=callbacks,
                qos_overriding_options=overridable,
            )
            return publisher, getattr(callbacks, "matched", None) is not None
        except Exception:
            if callbacks is None:
                raise
    raise AssertionError("unreachable")


def transforms_type() -> type | None:
    """Return tf2_msgs/TFMessage, or None where the package is neither installed nor generated."""
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError:
        return None
    return TFMessage  # type: ignore[no-any-return]
