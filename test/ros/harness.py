"""The node as a process of its own, and a peer that plays its sensors and hears its results."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

pytest.importorskip("rclpy")

import node_world as world  # noqa: E402
import rclpy  # noqa: E402
from cross_view_localizer.msg import LocalizationEstimate  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from geometry_msgs.msg import PoseWithCovarianceStamped  # noqa: E402
from lifecycle_msgs.srv import ChangeState, GetState  # noqa: E402
from nav_msgs.msg import OccupancyGrid, Odometry  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy  # noqa: E402
from sensor_messages import (  # noqa: E402
    SECOND,
    fix_message,
    header,
    image_message,
    info_message,
    stamp_of,
    transform_message,
)
from sensor_msgs.msg import Image, Imu, NavSatFix  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402
from visualization_msgs.msg import MarkerArray  # noqa: E402

from cross_view_localizer.geo import RigidTransform, quaternion_from_yaw  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
NODE = "/cross_view_localizer"
MODULE_DEFAULTS = {
    "heading_source": "imu_enu",
    "image_transport": "raw",
    "image_timeout": 3.0,
    "default_fix_std": 5.0,
    "heatmap_rate": 2.0,
    "max_prior_wait": 0.05,
    "view_frame": "",
}
EARLY = 1_600_000_000 * SECOND
DEADLINE = 30.0
LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
CONFIGURE, CLEANUP, ACTIVATE, DEACTIVATE = 1, 2, 3, 4
Value = TypeVar("Value")

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
# Domains up to 101 keep clear of the ports that Linux hands out.
DOMAIN = 1 + 2 * (os.getpid() % 50)
os.environ["ROS_DOMAIN_ID"] = str(DOMAIN)
for variable in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
    os.environ[variable] = str(ROOT / "config" / "fastdds.xml")


def wait_for(what: str, ask: Callable[[], Value | None], deadline: float = DEADLINE) -> Value:
    """Return the first true result of ``ask``; fail after the deadline."""
    end = time.monotonic() + deadline
    while True:
        value = ask()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"waited {deadline:.0f} s for {what}")
        threading.Event().wait(0.01)


class NodeProcess:
    """``python -m cross_view_localizer.ros`` with parameters; its output is in ``log``.

    Args:
        arguments: more of the command line, after ``--ros-args``.
    """

    def __init__(
        self, folder: Path, domain: int, arguments: Sequence[str] = (), **parameters: Any
    ) -> None:
        defaults = {"weights": "none", "model": "correlation", "diagnostics_period": 0.1}
        file = folder / "parameters.yaml"
        values = {"/**/cross_view_localizer": {"ros__parameters": {**defaults, **parameters}}}
        file.write_text(yaml.safe_dump(values))
        command = [sys.executable, "-m", "cross_view_localizer.ros", "--ros-args"]
        self._output = (folder / "node.log").open("w+")
        self.process = subprocess.Popen(
            [*command, "--params-file", str(file), *arguments],
            cwd=ROOT,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "ROS_DOMAIN_ID": str(domain)},
        )

    @property
    def log(self) -> str:
        self._output.flush()
        return Path(self._output.name).read_text()

    def interrupt(self, deadline: float = DEADLINE) -> int:
        """Send SIGINT and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"the node did not end {deadline:.0f} s after SIGINT:\n{self.log}")


class Peer:
    """Sensors and listeners of the test process, spun in a thread of their own."""

    def __init__(self, domain: int) -> None:
        self.context = rclpy.Context()
        self.context.init(domain_id=domain)
        self.node = rclpy.create_node("peer", context=self.context)
        self.heard: dict[str, list[Any]] = defaultdict(list)
        self.heard_at: dict[str, list[float]] = defaultdict(list)
        self._publishers: dict[str, Any] = {}
        self._subscriptions: dict[str, Any] = {}
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException, KeyboardInterrupt):
            self._executor.spin()

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join(5.0)
        self.node.destroy_node()
        self.context.try_shutdown()

    # -- hearing ----------------------------------------------------------------------------------

    def listen(self, topic: str, kind: type, profile: QoSProfile | int = 100) -> list[Any]:
        """Subscribe; messages gather in the list that is returned."""

        def keep(message: Any) -> None:
            self.heard[topic].append(message)
            self.heard_at[topic].append(time.monotonic())

        self._subscriptions[topic] = self.node.create_subscription(kind, topic, keep, profile)
        return self.heard[topic]

    def forget(self, topic: str) -> None:
        """End a subscription."""
        self.node.destroy_subscription(self._subscriptions.pop(topic))
        self.heard.pop(topic, None)

    def listen_to_results(self) -> None:
        self.listen(f"{NODE}/pose", PoseWithCovarianceStamped)
        self.listen(f"{NODE}/estimate", LocalizationEstimate)
        self.listen("/diagnostics", DiagnosticArray)

    def listen_to_pictures(self) -> None:
        self.listen(f"{NODE}/heatmap", OccupancyGrid, LATCHED)
        self.listen(f"{NODE}/aerial", MarkerArray, LATCHED)
        self.listen(f"{NODE}/overlay", Image, 1)

    def with_stamp(self, topic: str, stamp: int, deadline: float = DEADLINE) -> Any:
        """Wait for the message of this stamp."""

        def found() -> Any:
            return next((m for m in list(self.heard[topic]) if stamp_of(m) == stamp), None)

        try:
            return wait_for(f"{topic} at {stamp}", found, deadline)
        except BaseException:
            for estimate in self.heard[f"{NODE}/estimate"][-3:]:
                print(stamp_of(estimate), estimate.status, estimate.reason, estimate.detail)
            raise

    def diagnostic(self, name: str, good: Callable[[Any], bool], deadline: float = DEADLINE) -> Any:
        """Wait for a new DiagnosticStatus of this name that is as wished."""
        return self.next_diagnostic(name, good, deadline)()

    def next_diagnostic(
        self, name: str, good: Callable[[Any], bool], deadline: float = DEADLINE
    ) -> Callable[[], Any]:
        """Return what waits for a status that comes from now on, however short it is shown."""
        seen = len(self.heard["/diagnostics"])

        def newest() -> Any:
            for message in self.heard["/diagnostics"][seen:]:
                for status in message.status:
                    if status.name == f"{NODE}: {name}" and good(status):
                        return status
            return None

        def wait() -> Any:
            try:
                return wait_for(f"diagnostics of {name}", newest, deadline)
            except BaseException:
                for message in self.heard["/diagnostics"][-1:]:
                    for status in message.status:
                        values = {pair.key: pair.value for pair in status.values}
                        print(status.name, status.level, status.message, values)
                raise

        return wait

    # -- services ---------------------------------------------------------------------------------

    def call(self, kind: type, name: str, request: Any) -> Any:
        client = self.node.create_client(kind, f"{NODE}/{name}")
        assert client.wait_for_service(DEADLINE), f"no service {name}"
        future = client.call_async(request)
        wait_for(f"answer of {name}", lambda: future.done(), 60.0)
        self.node.destroy_client(client)
        return future.result()

    def state(self) -> str:
        return str(self.call(GetState, "get_state", GetState.Request()).current_state.label)

    def change(self, transition: int) -> bool:
        request = ChangeState.Request()
        request.transition.id = transition
        return bool(self.call(ChangeState, "change_state", request).success)

    def set(self, **values: Any) -> list[str]:
        """Set parameters; return the reasons of refusals."""
        request = SetParameters.Request()
        request.parameters = [Parameter(k, value=v).to_parameter_msg() for k, v in values.items()]
        results = self.call(SetParameters, "set_parameters", request).results
        return [result.reason for result in results if not result.successful]

    def reconfigure(self, connect: bool = True, imu: bool = True, **values: Any) -> None:
        """Set parameters and go through deactivate … activate."""
        assert self.change(DEACTIVATE) and self.change(CLEANUP)
        refused = self.set(**values)
        assert refused == []
        assert self.change(CONFIGURE) and self.change(ACTIVATE)
        if connect:
            self.connect(imu)

    # -- sensors ----------------------------------------------------------------------------------

    def publisher(self, topic: str, kind: type, profile: QoSProfile | int = 100) -> Any:
        """Return a publisher that the node has already found."""
        if topic not in self._publishers:
            made = self.node.create_publisher(kind, topic, profile)
            self._publishers[topic] = made
        made = self._publishers[topic]
        wait_for(f"a subscriber of {topic}", lambda: made.get_subscription_count() > 0)
        return made

    def begin(self, **values: Any) -> Peer:
        """Configure the node anew for a module's tests: defaults but for ``values``."""
        self.diagnostic("node", lambda status: status.message == "active")
        self.reconfigure(**{**MODULE_DEFAULTS, **values})
        return self

    def connect(self, imu: bool = True) -> None:
        """Send empty samples until the node says that it hears each sensor.

        A best-effort message right after discovery may find that the other side has not discovered
        us yet.
        """
        empty = EARLY  # long before any test's stamps
        topics = ["fix", "odom", "camera_info"] + ["imu"] * imu

        def heard(status: Any) -> bool:
            fix = NavSatFix(header=header(empty, "gps"))
            fix.status.status = fix.status.STATUS_NO_FIX
            self.publish("/fix", fix)
            self.send_odometry(empty, (0.0, 0.0, 0.0))
            self.publish("/camera_info", info_message(empty, 320, 240))
            if imu:
                self.send_imu(empty, 0.0)
            values = {pair.key: pair.value for pair in status.values}
            return all(int(values.get(f"{topic} messages", "0")) > 0 for topic in topics)

        self.diagnostic("prior", heard)

    def arrived(self, stamp: int, *topics: str) -> None:
        """Wait until the node has the sample of this stamp: DDS keeps no order between topics."""
        expected = f"{stamp // SECOND}.{stamp % SECOND:09d}"

        def there(status: Any) -> bool:
            values = {pair.key: pair.value for pair in status.values}
            return all(values.get(f"{topic} stamp") == expected for topic in topics)

        self.diagnostic("prior", there)

    def drop_publisher(self, topic: str) -> None:
        if topic in self._publishers:
            self.node.destroy_publisher(self._publishers.pop(topic))

    def publish(self, topic: str, message: Any) -> None:
        self.publisher(topic, type(message)).publish(message)

    def send_static_transforms(self, **frames: RigidTransform) -> None:
        """Latch transforms of frames in base_link."""
        if "/tf_static" not in self._publishers:
            profile = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            self._publishers["/tf_static"] = self.node.create_publisher(
                TFMessage, "/tf_static", profile
            )
        entries = [transform_message(name, frame) for name, frame in frames.items()]
        self._publishers["/tf_static"].publish(TFMessage(transforms=entries))

    def send_vehicle(self) -> None:
        """Latch where camera, antenna and IMU of the test vehicle sit."""
        antenna = RigidTransform.from_euler(world.ANTENNA, (0.0, 0.0, 0.0))
        self.send_static_transforms(
            camera=world.CAMERA_IN_BASE, gps=antenna, imu=RigidTransform.identity()
        )

    def send_fix(self, stamp: int, pose: world.Pose, std: float = 2.0) -> None:
        latitude, longitude = world.wgs84(pose)
        self.publish("/fix", fix_message(stamp, latitude, longitude, std))

    def send_imu(self, stamp: int, yaw: float) -> None:
        message = Imu(header=header(stamp, "imu"))
        q = message.orientation
        q.x, q.y, q.z, q.w = quaternion_from_yaw(yaw)
        message.orientation_covariance[8] = 0.01**2
        self.publish("/imu", message)

    def send_odometry(self, stamp: int, pose: world.Pose) -> None:
        message = Odometry(header=header(stamp, "odom"), child_frame_id="base_link")
        place, q = message.pose.pose.position, message.pose.pose.orientation
        place.x, place.y = pose[0], pose[1]
        q.x, q.y, q.z, q.w = quaternion_from_yaw(pose[2])
        self.publish("/odom", message)

    def send_image(self, stamp: int, picture: NDArray[np.uint8], info: bool = True) -> None:
        if info:
            self.publish("/camera_info", info_message(stamp, *picture.shape[1::-1]))
        self.publish("/image", image_message(stamp, picture))

    def send_scene(
        self, stamp: int, pose: world.Pose, offset: tuple[float, float] = (2.0, -1.5)
    ) -> None:
        """A frame at ``pose`` with a heading and a fix that is off by ``offset``."""
        self.send_fix(stamp, (pose[0] + offset[0], pose[1] + offset[1], pose[2]))
        self.send_imu(stamp, pose[2])
        self.arrived(stamp, "fix", "imu")
        self.send_image(stamp, world.render(pose))


@contextlib.contextmanager
def running(
    folder: Path, domain: int = DOMAIN, arguments: Sequence[str] = (), **parameters: Any
) -> Iterator[tuple[NodeProcess, Peer]]:
    """Start node and peer; at the end the node must exit with 0 after SIGINT."""
    process, peer = NodeProcess(folder, domain, arguments, **parameters), Peer(domain)
    try:
        yield process, peer
        assert process.interrupt() == 0, process.log
    finally:
        if process.process.poll() is None:
            process.process.kill()
            process.process.wait()
        print(process.log)
        peer.close()


def level_of(status: Any) -> int:
    """A DiagnosticStatus's level as a number (rclpy gives a byte)."""
    return (
        int.from_bytes(status.level, "little") if isinstance(status.level, bytes) else status.level
    )
