"""The image subscription: its topic by transport, and the reliability that its publisher offers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy

from cross_view_localizer.ros import compatibility, qos

# The callback only keeps the newest image; a few waiting ones let drops be counted, not hidden.
DEPTH = 5

_COMPRESSED = "/compressed"


def image_topic(node: Node, transport: str) -> str:
    """Return the resolved image topic of a transport, "raw" or "compressed".

    As image_transport does it: what `image` is remapped to gets the transport's suffix. A remapping
    of `image/compressed` itself wins.
    """
    base = str(node.resolve_topic_name("image"))
    if transport == "raw":
        return base
    own = f"image{_COMPRESSED}"
    remapped = str(node.resolve_topic_name(own))
    if remapped != node.resolve_topic_name(own, only_expand=True):
        return remapped
    return base if base.endswith(_COMPRESSED) else base + _COMPRESSED


def suited_reliability(offered: list[ReliabilityPolicy]) -> ReliabilityPolicy:
    """Return the reliability to ask for where publishers offer ``offered``.

    A reliable subscription hears no best-effort publisher. With nobody there, reliable: its
    mismatch with a best-effort publisher is reported at once, while best effort would lose large
    images of a reliable publisher in silence.
    """
    if ReliabilityPolicy.BEST_EFFORT in offered:
        return ReliabilityPolicy.BEST_EFFORT
    return ReliabilityPolicy.RELIABLE


class ImageInput:
    """Subscribes to the image topic; with "auto" it subscribes anew when publishers change.

    Args:
        topic: the resolved name.
        reliability: "auto", "reliable" or "best_effort"; the topic's qos_overrides win over it.

    Attributes:
        lost: messages that the middleware reported as lost.
    """

    def __init__(
        self,
        node: Node,
        message_type: type,
        topic: str,
        reliability: str,
        callback: Callable[[Any], None],
    ) -> None:
        self.topic = topic
        self.lost = 0
        self._node, self._type, self._callback = node, message_type, callback
        wanted = qos.override(node, topic, "reliability") or reliability
        self._automatic = wanted == "auto"
        self.reliability = (
            suited_reliability(self._offered())
            if self._automatic
            else ReliabilityPolicy[wanted.upper()]
        )
        # A subscription can't be replaced inside its own event's callback.
        self._guard = node.create_guard_condition(self.check)
        self._subscription = self._subscribe()

    def _offered(self) -> list[ReliabilityPolicy]:
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        return [publisher.qos_profile.reliability for publisher in publishers]

    def _subscribe(self) -> Any:
        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=DEPTH,
            reliability=self.reliability,
            durability=DurabilityPolicy.VOLATILE,
        )
        return compatibility.create_subscription(
            self._node,
            self._type,
            self.topic,
            self._callback,
            profile,
            # Reliability is not rclpy's to override: it changes with the publishers.
            qos.overridable(kind for kind in qos.POLICIES if kind != QoSPolicyKind.RELIABILITY),
            incompatible_qos=lambda _: self._guard.trigger(),
            message_lost=self._on_lost,
            matched=lambda _: self._guard.trigger(),
        )

    def _on_lost(self, info: Any) -> None:
        self.lost = int(info.total_count)

    def check(self) -> None:
        """Subscribe anew where the publishers now offer another reliability."""
        offered = self._offered() if self._automatic else []
        if not offered or suited_reliability(offered) == self.reliability:
            return
        self.reliability = suited_reliability(offered)
        self._node.get_logger().info(
            f"{self.topic}: subscribing {self.reliability.name.lower()}, as the publisher offers"
        )
        old, self._subscription = self._subscription, self._subscribe()
        self._node.destroy_subscription(old)

    def publishers(self) -> int:
        """Return how many publishers the topic has."""
        return int(self._node.count_publishers(self.topic))

    def destroy(self) -> None:
        """End the subscription."""
        self._node.destroy_subscription(self._subscription)
        self._node.destroy_guard_condition(self._guard)
