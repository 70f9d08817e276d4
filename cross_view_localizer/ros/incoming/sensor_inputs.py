"""Subscriptions of everything but the image: what places the crop, and where the sensors sit."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Imu, NavSatFix

from cross_view_localizer.geo import MapFrame
from cross_view_localizer.prior.prior import PriorEstimator
from cross_view_localizer.ros import qos
from cross_view_localizer.ros.compatibility import transforms_type
from cross_view_localizer.ros.incoming import conversions
from cross_view_localizer.ros.incoming.images import ConversionError
from cross_view_localizer.ros.incoming.static_transforms import MissingFrameError, StaticTransforms
from cross_view_localizer.ros.messages import stamp_of
from cross_view_localizer.ros.outgoing.reporter import Reporter
from cross_view_localizer.ros.parameters import Parameters

# A stamp this far from the images' makes an initialpose useless; its sender lives in another time.
_OTHER_TIME = 5.0


class SensorInputs:
    """Feeds the prior from topics; callbacks convert, hand over and return.

    Attributes:
        camera_info: the last message, or None.
        missing_frame, far_fix: why fixes can't be used at present, else "".
        changed: notified after every sample.
    """

    def __init__(
        self,
        node: Node,
        parameters: Parameters,
        frame: MapFrame,
        prior: PriorEstimator,
        transforms: StaticTransforms,
        reporter: Reporter,
        on_jump: Callable[[str], None],
    ) -> None:
        self._node, self._parameters, self._frame = node, parameters, frame
        self._prior, self._transforms, self._reporter = prior, transforms, reporter
        self._on_jump = on_jump
        self.camera_info: Any = None
        self.missing_frame = ""
        self.far_fix = ""
        self.changed = threading.Condition()
        self._jumps = prior.counters.get("jump_back", 0)
        self._antenna_known: tuple[str, int] | None = None
        if parameters.gnss_in_base:
            prior.set_antenna(*parameters.gnss_in_base[:2])
        self._subscriptions = self._subscribe()

    def _subscribe(self) -> list[Any]:
        def sensor() -> QoSProfile:
            return _qos(50, ReliabilityPolicy.BEST_EFFORT)

        wanted: list[tuple[type, str, Callable[[Any], None], QoSProfile]] = [
            (CameraInfo, "camera_info", self._on_camera_info, sensor()),
            (NavSatFix, "fix", self._on_fix, sensor()),
            (Odometry, "odom", self._on_odometry, sensor()),
            (PoseWithCovarianceStamped, "initialpose", self._on_initial_pose, _qos(1)),
        ]
        if self._parameters.heading_source == "imu_enu":
            wanted.append((Imu, "imu", self._on_imu, sensor()))
        made = [self._subscription(*one) for one in wanted]
        static = transforms_type()
        if static is not None:
            latched = _qos(100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            handler = self._on_static_transforms
            made.append(self._subscription(static, "/tf_static", handler, latched))
        return made

    def _subscription(
        self, kind: type, topic: str, handler: Callable[[Any], None], profile: QoSProfile
    ) -> Any:
        name = topic.strip("/")

        def callback(message: Any) -> None:
            try:
                handler(message)
            except (ConversionError, MissingFrameError) as error:
                self._reporter.bad_sample(name, str(error))
            except Exception as error:  # a sensor must never end the node
                self._reporter.internal_error(f"{name} message", error)
            with self.changed:
                self.changed.notify_all()

        return self._node.create_subscription(
            kind, topic, callback, profile, qos_overriding_options=qos.overridable()
        )

    def topic(self, name: str) -> str:
        """Return a topic's resolved name."""
        return str(self._node.resolve_topic_name(name))

    def destroy(self) -> None:
        """End the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def clear(self) -> None:
        """Forget all samples (not the static transforms and intrinsics)."""
        self._prior.clear()
        self.far_fix = ""

    # -- callbacks --------------------------------------------------------------------------------

    def _arrived(self, topic: str, message: Any) -> tuple[int, int | None]:
        """Return the stamp and the clock (None while it stands at zero), nanoseconds."""
        stamp, now = stamp_of(message.header), self._node.get_clock().now().nanoseconds
        self._reporter.status.arrived(topic, stamp, (stamp - now) * 1e-9 if now else 0.0)
        return stamp, now or None

    def _after_sample(self) -> None:
        """Pass on what the prior has to say, and whether it saw time jump back."""
        for line in self._prior.drain_messages():
            self._reporter.warn("prior", line)
        jumps = self._prior.counters.get("jump_back", 0)
        if jumps != self._jumps:
            self._jumps = jumps
            self._on_jump("stamps of the sensors jumped back")

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._arrived("camera_info", message)
        self.camera_info = message

    def _on_static_transforms(self, message: Any) -> None:
        self._reporter.status.arrived("tf_static")
        self._transforms.add_message(message)
        rejected = self._transforms.rejected
        if rejected:
            raise ConversionError(rejected)
        self._reporter.status.note("tf_static", "")

    def _on_fix(self, message: NavSatFix) -> None:
        stamp, now = self._arrived("fix", message)
        # Not "below FIX": -2, "unknown", is what a driver that never sets it sends.
        valid = message.status.status != message.status.STATUS_NO_FIX
        position = (message.latitude, message.longitude)
        if not (valid and all(map(math.isfinite, position))):
            nowhere = (math.nan, math.nan)
            self._prior.add_fix(stamp, nowhere, valid=valid, now=now)
            self._after_sample()
            return
        try:
            xy = self._frame.to_map(*position)
            self.far_fix = ""
        except ValueError as error:
            self.far_fix = str(error)
            raise ConversionError(f"fix dropped: {error}") from error
        self._place_antenna(message.header.frame_id)
        covariance = conversions.fix_covariance(message)
        self._prior.add_fix(stamp, xy, covariance, now=now)
        self._after_sample()

    def _place_antenna(self, frame_id: str) -> None:
        if self._parameters.gnss_in_base:
            return
        frame = self._parameters.gnss_frame or frame_id
        if self._antenna_known == (frame, self._transforms.version):
            return
        try:
            if not frame:
                raise MissingFrameError("fix has no frame_id: set gnss_frame or gnss_in_base")
            place = self._transforms.lookup(self._parameters.base_frame, frame)
        except MissingFrameError as error:
            self.missing_frame = f"GNSS antenna: {error}; or set gnss_in_base"
            raise
        self.missing_frame = ""
        self._prior.set_antenna(float(place.translation[0]), float(place.translation[1]))
        self._antenna_known = (frame, self._transforms.version)

    def _on_odometry(self, message: Odometry) -> None:
        stamp, now = self._arrived("odom", message)
        pose = conversions.transform_from_pose(message.pose.pose)
        child, twist = message.child_frame_id, conversions.odometry_twist(message)
        if child and child.lstrip("/") != self._parameters.base_frame:
            pose = pose @ self._transforms.lookup(child, self._parameters.base_frame)
            twist = None  # it is that of another point
        variance = float(message.pose.covariance[35])
        x, y = (float(value) for value in pose.translation[:2])
        known = math.isfinite(variance) and variance > 0
        self._prior.add_odometry(
            stamp,
            x,
            y,
            conversions.yaw_of(pose.rotation),
            twist=twist,
            yaw_variance=variance if known else None,
            now=now,
        )
        self._after_sample()

    def _on_imu(self, message: Imu) -> None:
        stamp, now = self._arrived("imu", message)
        base_in_imu = self._transforms.lookup(message.header.frame_id, self._parameters.base_frame)
        yaw, variance = conversions.imu_yaw(message, base_in_imu)
        self._prior.add_imu(stamp, yaw, variance, now=now)
        self._after_sample()

    def _on_initial_pose(self, message: PoseWithCovarianceStamped) -> None:
        stamp, now = self._arrived("initialpose", message)
        frame, wanted = message.header.frame_id, self._parameters.map_frame
        if frame.lstrip("/") != wanted:
            raise ConversionError(
                f"initialpose is in frame {frame!r}, expected {wanted!r}: refused; "
                "set the fixed frame of RViz"
            )
        pose = conversions.planar_pose(message.pose)
        if abs(self._reporter.status.topic("image").offset) > _OTHER_TIME:
            stamp = 0  # a replayed bag without sim time: the newest sample's stamp is meant
        self._prior.set_initial_pose(stamp, pose.x, pose.y, pose.yaw, pose.covariance, now=now)
        self._reporter.info(
            f"initialpose taken: x {pose.x:.1f} m, y {pose.y:.1f} m, "
            f"yaw {math.degrees(pose.yaw):.0f} degrees"
        )
        self._after_sample()


def _qos(
    depth: int,
    reliability: ReliabilityPolicy = ReliabilityPolicy.RELIABLE,
    durability: DurabilityPolicy = DurabilityPolicy.VOLATILE,
) -> QoSProfile:
    return QoSProfile(depth=depth, reliability=reliability, durability=durability)
