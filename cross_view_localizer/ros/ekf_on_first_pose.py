"""Starts robot_localization's map filter on the first pose: ``ekf_on_first_pose --ros-args …``.

An ``ekf_node`` that starts with the odometry stands at the map's origin and looks east until a pose
comes, and says so on /tf; where the poses bring no yaw, it may never turn round. This program takes
its place and its arguments: it waits for a good ``~/estimate``, asks that whether the yaw is the
method's own, carries it on by odometry and starts ``ekf_node`` there. Once that runs, ``set_pose``
says the same again: from then on it drops the poses of earlier images, which it has no past for and
would take for new.
"""

from __future__ import annotations

import cmath
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import rclpy
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions

from cross_view_localizer.geo import yaw_from_quaternion
from cross_view_localizer.msg import LocalizationEstimate
from cross_view_localizer.prior.config import PriorConfig
from cross_view_localizer.prior.prior import Prior, PriorEstimator
from cross_view_localizer.ros.messages import header, pose_with_covariance, stamp_of

STATES, YAW = 15, 5  # of robot_localization, and the yaw's place among them
DEFAULT_CONFIG = [place in (0, 1, YAW) for place in range(STATES)]
PLANAR = np.ix_((0, 1, YAW), (0, 1, YAW))  # x, y, yaw in a pose's covariance
SLACK = 20.0  # m, beside what the pose states: set_pose also says that the vehicle stands
LATE = 3_000_000_000  # ns; odometry that is later has ended
OLDEST = 60.0  # s; an image that is older has a stamp of another clock
REMIND = 10.0  # s between reminders
COME_UP = 30.0  # s that ekf_node may take
PATIENCE = 3.0  # s that ekf_node may take to end
Value = TypeVar("Value")


def yaw_is_used(estimate: Any, config: list[bool], fuse_yaw: str) -> bool:
    """Return whether the filter is to fuse the yaw of ~/pose.

    Args:
        estimate: the LocalizationEstimate to start on.
        config: ``pose0_config``.
        fuse_yaw: "true", "false", or "auto": what ``config`` says, but never a prior's yaw, whose
            error stays the same from frame to frame.
    """
    if fuse_yaw == "auto":
        return config[YAW] and not estimate.yaw_from_prior
    return fuse_yaw == "true"


def what_of_yaw(estimate: Any, used: bool) -> tuple[str, bool]:
    """Return in words what becomes of the yaw, and whether the filter knows it at all."""
    if used:
        return "yaw is fused", True
    if estimate.prior_has_yaw or not estimate.yaw_from_prior:
        return "yaw is not fused: it starts with this pose's, then follows from the motion", True
    return (
        "yaw can't be measured, as neither the method nor the prior has one, and may stay wrong: "
        "set heading_source",
        False,
    )


def arguments_of(start: Prior, config: list[bool], used: bool) -> list[str]:
    """Return the parameters with which ekf_node starts there, as ``--ros-args``."""
    state = [0.0] * STATES
    state[0], state[1], state[YAW] = start.x, start.y, start.yaw or 0.0
    switches = [on if place != YAW else used for place, on in enumerate(config)]
    values = {
        "initial_state": ", ".join(f"{value:.6f}" for value in state),
        "pose0_config": ", ".join(str(on).lower() for on in switches),
    }
    options = [("-p", f"{name}:=[{value}]") for name, value in values.items()]
    return ["--ros-args", *(word for option in options for word in option)]


def _planar(pose: Any) -> tuple[float, float, float]:
    o = pose.orientation
    return pose.position.x, pose.position.y, yaw_from_quaternion(o.x, o.y, o.z, o.w)


class Starter:
    """Stands in for the filter, with its name, topics and clock."""

    def __init__(self) -> None:
        self._node = node = Node("ekf_map", automatically_declare_parameters_from_overrides=True)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._log = node.get_logger()
        self._newest: Any = None  # good LocalizationEstimate
        # Carries it on by odometry, or says how far the vehicle may be gone.
        self._track = PriorEstimator(PriorConfig(max_prior_age=OLDEST, max_initial_pose_age=OLDEST))
        self._driven, self._turned = 0j, 0.0
        self._driven_from, self._driven_until = 0, 0  # stamps; 0: no odometry yet
        self._why = "nothing has come"
        topic = self._given("estimate", "cross_view_localizer/estimate")
        profile = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
        heard = node.create_subscription(LocalizationEstimate, topic, self._on_estimate, profile)
        self._topic = heard.topic_name
        odom = self._given("odom0", "odom")
        node.create_subscription(Odometry, odom, self._on_odometry, profile)
        self._set_pose = node.create_publisher(PoseWithCovarianceStamped, "set_pose", 1)

    def _given(self, name: str, default: Any) -> Any:
        return self._node.get_parameter_or(name, Parameter(name, value=default)).value

    def _now(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def _on_odometry(self, message: Odometry) -> None:
        """Add up velocities, which is what the filter uses; poses may not be filled in."""
        stamp, twist = stamp_of(message.header), message.twist.twist
        rates = (twist.linear.x, twist.linear.y, twist.angular.z)
        step = (stamp - (self._driven_until or stamp)) / 1e9
        self._driven_from, self._driven_until = self._driven_from or stamp, stamp
        if step < 0.0 or not np.isfinite(rates).all():
            return
        self._turned += rates[2] * step
        self._driven += complex(*rates[:2]) * cmath.rect(step, self._turned)
        place = (self._driven.real, self._driven.imag, self._turned)
        self._track.add_odometry(stamp, *place, twist=rates)

    def _on_estimate(self, estimate: Any) -> None:
        stamp = stamp_of(estimate.header)
        age = (self._now() - stamp) / 1e9
        if estimate.status != estimate.STATUS_OK:
            self._why = f"{estimate.reason}: {estimate.detail}"
        elif abs(age) > OLDEST:
            self._why = f"images are {age:.0f} s old by this clock: is use_sim_time right?"
        else:
            covariance = np.array(estimate.pose.covariance).reshape(6, 6)[PLANAR]
            self._track.set_initial_pose(stamp, *_planar(estimate.pose.pose), covariance)
            self._newest = estimate

    def _pose(self) -> Prior | None:
        """Return the newest pose as of now, or of the newest odometry where that is a little late.

        None where odometry began only after its image: how far the vehicle went between them,
        nobody knows, and the next pose is not far.
        """
        if self._newest is not None and stamp_of(self._newest.header) < self._driven_from:
            self._why = "odometry began only after the image of the last pose"
            return None
        now = self._now()
        late = 0 < now - self._driven_until < LATE
        pose = self._track.at(self._driven_until if late else now)
        return pose if isinstance(pose, Prior) else None

    def _wait(self, ask: Callable[[], Value], seconds: float) -> Value:
        """Listen until something true is answered; return the last answer when time is up."""
        end = time.monotonic() + seconds
        while not (answer := ask()) and time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.05)
        return answer

    def arguments(self) -> list[str]:
        """Wait for the first pose; return what ekf_node is to be told."""
        self._log.info(f"starts with the first pose on {self._topic}")
        while (start := self._wait(self._pose, REMIND)) is None:
            self._log.warning(f"still no pose on {self._topic}: {self._why}")
        config = self._given("pose0_config", DEFAULT_CONFIG)
        fuse_yaw = str(self._given("fuse_yaw", "auto")).lower()
        used = yaw_is_used(self._newest, config, fuse_yaw)
        words, known = what_of_yaw(self._newest, used)
        (self._log.info if known else self._log.warning)(
            f"starts at {start.x:.1f}, {start.y:.1f} m, {np.degrees(start.yaw or 0.0):.0f} degrees "
            f"with ±{np.degrees(start.covariance[2, 2] ** 0.5):.0f}: {words}"
        )
        return arguments_of(start, config, used)

    def put(self, process: subprocess.Popen[bytes]) -> None:
        """Put the filter, once it is up, to where the vehicle is by then."""

        def up() -> bool:
            return self._set_pose.get_subscription_count() > 0

        self._wait(lambda: (up() and self._pose()) or process.poll() is not None, COME_UP)
        pose = self._pose()
        if not up() or pose is None:
            why = self._why if up() else "ekf_node has not been up for it"
            self._log.warning(f"no set_pose within {COME_UP:.0f} s: {why}")
            return
        place = (pose.x, pose.y, pose.yaw or 0.0)
        covariance = pose.covariance + np.diag([SLACK**2, SLACK**2, 0.0])
        frame = self._newest.header.frame_id
        self._set_pose.publish(
            PoseWithCovarianceStamped(
                header=header(pose.stamp, frame),
                pose=pose_with_covariance(place, covariance, yaw_from_prior=False),
            )
        )
        self._set_pose.wait_for_all_acked(Duration(seconds=2))


def main(arguments: list[str] | None = None) -> int:
    """Wait, start ekf_node and stay until it ends; return its exit status (0 after SIGINT)."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        folder = Path(get_package_prefix("robot_localization"), "lib", "robot_localization")
        # Signals end the filter first: ours to handle.
        rclpy.init(args=words, signal_handler_options=SignalHandlerOptions.NO)
    except (PackageNotFoundError, RuntimeError) as error:
        print(f"ekf_on_first_pose: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    told: list[int] = []  # an exception alone could be lost, such as in a destructor

    def interrupt(number: int, _: object) -> None:
        told.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    process = None
    try:
        starter = Starter()
        process = subprocess.Popen([str(folder / "ekf_node"), *words, *starter.arguments()])
        starter.put(process)
        rclpy.try_shutdown()  # from here on ekf_node alone bears the name
        while not told:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return _status(process.wait(timeout=0.5))
        return _ended(process)
    except KeyboardInterrupt:
        return 0 if process is None else _ended(process)
    finally:
        rclpy.try_shutdown()


def _ended(process: subprocess.Popen[bytes]) -> int:
    """End ekf_node before its stand-in, by harder means if need be; return its exit status.

    ``ros2 launch`` asks twice, five seconds apart, and then kills the stand-in alone.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return _status(process.wait(timeout=PATIENCE))
    return _status(process.wait())


def _status(code: int) -> int:
    """Return an exit status for ``Popen``'s code, as shells do for a signal."""
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
