"""Publishers of results: computed only for those who listen, latched for those who come late."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import OccupancyGrid
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, NavSatFix, NavSatStatus
from visualization_msgs.msg import MarkerArray

from cross_view_localizer.estimate import Estimate
from cross_view_localizer.geo import Datum
from cross_view_localizer.ros.compatibility import create_publisher
from cross_view_localizer.ros.messages import estimate_message, header, is_publishable, pose_message
from cross_view_localizer.ros.outgoing.aerial import AerialMarkers
from cross_view_localizer.ros.outgoing.heatmap_grid import heatmap_message
from cross_view_localizer.ros.outgoing.overlay import overlay_message
from cross_view_localizer.ros.outgoing.reporter import Reporter
from cross_view_localizer.ros.outgoing.view_frame import ViewFrame
from cross_view_localizer.ros.parameters import Parameters
from cross_view_localizer.ros.qos import overridable


class RatedTopic:
    """A topic for people: at most ``rate`` times a second, but never without its last state.

    What the rate held back is published when a subscriber comes, so that it sees the newest.

    Args:
        build: makes the message of an estimate; None where it has nothing to show.
        key: two estimates of the same key have the same message.

    Attributes:
        rate: may be changed at any time.
    """

    def __init__(
        self,
        publisher: Any,
        rate: float,
        build: Callable[[Estimate], Any],
        key: Callable[[Estimate], object],
    ) -> None:
        self.publisher, self.rate = publisher, rate
        self._build, self._key = build, key
        self._published_at = float("-inf")
        self._shown: object = None

    def offer(self, estimate: Estimate, at_once: bool = False) -> bool:
        """Publish if somebody listens, it is time and it is new; return whether it was."""
        if self.publisher.get_subscription_count() == 0:
            return False
        now = time.monotonic()
        period = 1.0 / self.rate if self.rate > 0 else float("inf")
        if not at_once and now - self._published_at < period:
            return False
        key = self._key(estimate)
        if key == self._shown:
            return False
        message = self._build(estimate)
        if message is None:
            return False
        self.publisher.publish(message)
        self._published_at, self._shown = now, key
        return True

    def forget(self) -> None:
        """Publish again also what was published: who listens has forgotten it."""
        self._shown = None


class Outputs:
    """All result topics; used by the worker's thread, except ``poll``.

    Args:
        wake: called (any thread) when ``catch_up`` should be called by the worker.
    """

    def __init__(
        self,
        node: Node,
        parameters: Parameters,
        datum: Datum,
        reporter: Reporter,
        wake: Callable[[], None],
    ) -> None:
        from cross_view_localizer.msg import LocalizationEstimate

        self._node, self._parameters, self._reporter = node, parameters, reporter
        self._wake = wake
        self._last: Estimate | None = None
        self._last_picture: Estimate | None = None
        self._counts: dict[str, int] = {}
        self._has_events = True
        view = parameters.view_frame
        self._view = ViewFrame(node, parameters.map_frame, view) if view else None
        self._pose = self._publisher(PoseWithCovarianceStamped, "~/pose", 10)
        self._estimate = self._publisher(LocalizationEstimate, "~/estimate", 10)
        frame, rate = parameters.map_frame, parameters.heatmap_rate

        def heatmap(estimate: Estimate) -> OccupancyGrid | None:
            if estimate.heatmap is None:
                return None
            resolution = self._parameters.heatmap_resolution
            return heatmap_message(estimate.heatmap, estimate.stamp, frame, resolution)

        markers = AerialMarkers(frame)

        def aerial(estimate: Estimate) -> MarkerArray | None:
            return None if estimate.patch is None else markers.message(estimate.patch)

        def overlay(estimate: Estimate) -> Image | None:
            return overlay_message(estimate, frame)

        def patch_key(estimate: Estimate) -> object:
            return None if estimate.patch is None else estimate.patch.grid

        self._rated = [
            RatedTopic(self._latched(OccupancyGrid, "~/heatmap"), rate, heatmap, _stamp),
            RatedTopic(self._latched(MarkerArray, "~/aerial"), rate, aerial, patch_key),
            RatedTopic(self._publisher(Image, "~/overlay", 1), rate, overlay, _stamp),
        ]
        self._anchor = self._publisher(NavSatFix, "~/map_anchor", _latched())
        self._anchor.publish(_anchor_message(datum, frame, node.get_clock().now().nanoseconds))

    def _publisher(self, message_type: type, topic: str, profile: QoSProfile | int) -> Any:
        return self._node.create_publisher(
            message_type, topic, profile, qos_overriding_options=overridable()
        )

    def _latched(self, message_type: type, topic: str) -> Any:
        publisher, has_event = create_publisher(
            self._node, message_type, topic, _latched(), overridable(), lambda _: self._wake()
        )
        self._has_events &= has_event
        return publisher

    def adjust(self, parameters: Parameters) -> None:
        """Take other rates and the like; to be called between two estimates."""
        self._parameters = parameters
        for topic in self._rated:
            topic.rate = parameters.heatmap_rate

    def publish_pose(self, estimate: Estimate) -> bool:
        """Publish ~/pose of an accepted estimate; return whether there was a pose to publish."""
        if estimate.ok and self._pose.get_subscription_count() == 0:
            return is_publishable(estimate.pose, estimate.covariance)
        message = pose_message(
            estimate, self._parameters.map_frame, self._parameters.unobserved_variance
        )
        if message is None:
            if estimate.ok:
                self._reporter.warn("pose", "pose held back: it or its covariance is not finite")
            return False
        self._pose.publish(message)
        return True

    def publish_rest(self, estimate: Estimate) -> None:
        """Publish what else is listened to."""
        self._last = estimate
        if self._view is not None:
            self._view.follow(estimate)
        if estimate.patch is not None:
            self._last_picture = estimate
        if self._estimate.get_subscription_count():
            self._estimate.publish(estimate_message(estimate, self._parameters.map_frame))
        if estimate.patch is not None:
            for topic in self._rated:
                topic.offer(estimate)

    def catch_up(self) -> None:
        """Show the last state to whoever came after it."""
        if self._last_picture is not None:
            for topic in self._rated:
                topic.offer(self._last_picture, at_once=True)

    def poll(self) -> None:
        """Stand in for matched events where the distribution has none: wake on new subscribers."""
        if self._has_events:
            return
        for topic in self._rated:
            name, count = topic.publisher.topic_name, topic.publisher.get_subscription_count()
            if count > self._counts.get(name, 0):
                self._wake()
            self._counts[name] = count

    def clear(self) -> None:
        """Forget the last estimate: after a jump of time it is nobody's news, and RViz clears."""
        self._last = self._last_picture = None
        for topic in self._rated:
            topic.forget()

    def destroy(self) -> None:
        """End the publishers."""
        if self._view is not None:
            self._view.destroy()
        for topic in self._rated:
            self._node.destroy_publisher(topic.publisher)
        for publisher in (self._pose, self._estimate, self._anchor):
            self._node.destroy_publisher(publisher)


def _latched() -> QoSProfile:
    return QoSProfile(
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


def _stamp(estimate: Estimate) -> object:
    return estimate.stamp


def _anchor_message(datum: Datum, frame: str, now: int) -> NavSatFix:
    """Return the datum, exactly: tile displays glue their picture to it."""
    made = NavSatFix(header=header(now, frame))
    made.status.status = NavSatStatus.STATUS_FIX
    made.latitude, made.longitude = datum.latitude, datum.longitude
    made.position_covariance_type = NavSatFix.COVARIANCE_TYPE_UNKNOWN
    return made
