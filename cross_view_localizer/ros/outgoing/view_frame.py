"""A frame for views to follow, where no filter's transforms do: RViz's layouts look at it."""

from __future__ import annotations

from geometry_msgs.msg import TransformStamped
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from cross_view_localizer.estimate import Estimate
from cross_view_localizer.geo import quaternion_from_yaw
from cross_view_localizer.ros.compatibility import transforms_type
from cross_view_localizer.ros.messages import header

_PERIOD = 0.1  # s
_PATIENCE = 2_000_000_000  # ns without a pose, after which the view follows the prior


class ViewFrame:
    """Sends ``map_frame`` -> ``name`` ten times a second: a leaf that says where to look.

    That is the newest pose, the prior where there has been no pose for two seconds, and the map's
    origin before the first frame. It is stamped with the node's clock, not the image's: a view
    needs no more, and a looped bag's stamps would be refused by tf2 as out of the past.

    Raises:
        ValueError: no tf2_msgs in this environment.
    """

    def __init__(self, node: Node, map_frame: str, name: str) -> None:
        kind = transforms_type()
        if kind is None:
            raise ValueError(f"view_frame {name!r} needs tf2_msgs: install it, or leave it empty")
        self._node, self._kind = node, kind
        self._map_frame, self._name = map_frame, name
        self._place = (0.0, 0.0, 0.0)
        self._posed_at: int | None = None
        self._sent_at = 0
        self._publisher = node.create_publisher(kind, "/tf", 100)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_PERIOD, self._send, clock=steady)

    def follow(self, estimate: Estimate) -> None:
        """Take the newest estimate; any thread."""
        if estimate.pose is not None:
            self._place, self._posed_at = estimate.pose, estimate.stamp
        elif estimate.prior is not None and not self._posed_lately(estimate.stamp):
            prior = estimate.prior
            self._place = (prior.x, prior.y, prior.yaw or 0.0)

    def _posed_lately(self, stamp: int) -> bool:
        return self._posed_at is not None and abs(stamp - self._posed_at) < _PATIENCE

    def _send(self) -> None:
        now = self._node.get_clock().now().nanoseconds
        if now == self._sent_at:  # a bag's clock stands still; tf2 complains of repeated stamps
            return
        self._sent_at = now
        made = TransformStamped(header=header(now, self._map_frame), child_frame_id=self._name)
        x, y, yaw = self._place
        made.transform.translation.x, made.transform.translation.y = float(x), float(y)
        q = quaternion_from_yaw(yaw)
        made.transform.rotation.z, made.transform.rotation.w = q[2], q[3]
        self._publisher.publish(self._kind(transforms=[made]))

    def destroy(self) -> None:
        """End timer and publisher."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)
