"""What the node adds to the network: ``python -m training.benchmarks.node_overhead``.

Runs the node as a process on a made-up map with the correlation model, sends it raw 1280 x 960
images over DDS, and prints medians that the node measured itself (its diagnostics). The overhead
goes from the image callback's entry to the return of publish(pose), less network, undistortion and
the wait for the prior; the budget is 5 ms (DESIGN 9). Transport, undistortion and each optional
topic are reported beside it.
"""

from __future__ import annotations

import argparse
import array
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rclpy
from cross_view_localizer.msg import LocalizationEstimate
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import OccupancyGrid
from rasterio.transform import from_origin
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image, Imu, NavSatFix
from visualization_msgs.msg import MarkerArray

ROOT = Path(__file__).resolve().parents[2]
NODE = "/cross_view_localizer"
LATITUDE, LONGITUDE = 51.752, -1.2577
WIDTH, HEIGHT = 1280, 960
BUDGET = 5.0
OPTIONAL: dict[str, type] = {
    "estimate": LocalizationEstimate,
    "heatmap": OccupancyGrid,
    "aerial": MarkerArray,
    "overlay": Image,
}
DISTORTION = [-0.25, 0.06, 0.0, 0.0, 0.0]


def write_map(path: Path) -> None:
    """Write 300 m of noise around the datum, in degrees."""
    pixels = np.random.default_rng(0).integers(0, 255, (3, 1200, 1200), np.uint8)
    metre = 1 / 111_200.0
    step_x, step_y = 0.25 * metre / np.cos(np.radians(LATITUDE)), 0.25 * metre
    corner = (LONGITUDE - 600 * step_x, LATITUDE + 600 * step_y)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=1200,
        height=1200,
        count=3,
        dtype="uint8",
        crs="EPSG:4326",
        transform=from_origin(*corner, step_x, step_y),
    ) as file:
        file.write(pixels)


class Bench:
    """Feeds the node and reads its diagnostics."""

    def __init__(self, rate: float) -> None:
        rclpy.init()
        self.node = rclpy.create_node("bench")
        self.rate = rate
        self.values: dict[str, str] = {}
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._keep, 10)
        self.node.create_subscription(PoseWithCovarianceStamped, f"{NODE}/pose", lambda _: None, 10)
        self.publishers = {
            "image": self.node.create_publisher(Image, "image", 5),
            "camera_info": self.node.create_publisher(CameraInfo, "camera_info", 5),
            "fix": self.node.create_publisher(NavSatFix, "fix", 5),
            "imu": self.node.create_publisher(Imu, "imu", 5),
        }
        self.image = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH)
        noise = np.random.default_rng(1).integers(0, 255, HEIGHT * WIDTH * 3, np.uint8)
        self.image.data = array.array("B", noise.tobytes())
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def close(self) -> None:
        """End the thread and leave ROS."""
        self._executor.shutdown()
        self._thread.join(5.0)
        rclpy.try_shutdown()

    def _keep(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.values.update({pair.key: pair.value for pair in status.values})

    def wait_active(self, deadline: float = 120.0) -> None:
        """Wait until the node listens to images.

        Raises:
            SystemExit: it does not in time.
        """
        end = time.monotonic() + deadline
        while not self.publishers["image"].get_subscription_count():
            if time.monotonic() > end:
                raise SystemExit("the node did not become active: see its output above")
            threading.Event().wait(0.05)

    def restart(self) -> None:
        """Deactivate and activate: the node's medians begin anew."""
        client = self.node.create_client(ChangeState, f"{NODE}/change_state")
        client.wait_for_service(30.0)
        for transition in (4, 3):
            request = ChangeState.Request()
            request.transition.id = transition
            future = client.call_async(request)
            while not future.done():
                threading.Event().wait(0.01)
        self.node.destroy_client(client)
        self.wait_active()

    def drive(self, frames: int, distortion: list[float]) -> dict[str, float]:
        """Send frames at the rate; return the node's medians, milliseconds."""
        focal = WIDTH / 2 / np.tan(np.radians(40))
        matrix = [focal, 0.0, WIDTH / 2 - 0.5, 0.0, focal, HEIGHT / 2 - 0.5, 0.0, 0.0, 1.0]
        info = CameraInfo(width=WIDTH, height=HEIGHT, distortion_model="plumb_bob")
        info.k, info.d = matrix, distortion
        fix = NavSatFix(latitude=LATITUDE, longitude=LONGITUDE)
        fix.position_covariance[0] = fix.position_covariance[4] = 4.0
        fix.position_covariance_type = NavSatFix.COVARIANCE_TYPE_DIAGONAL_KNOWN
        imu, begun, pause = Imu(), time.monotonic(), threading.Event()
        imu.header.frame_id = "base_link"
        for k in range(frames):
            pause.wait(max(0.0, begun + k / self.rate - time.monotonic()))
            stamp = self.node.get_clock().now().to_msg()
            for message in (info, fix, imu, self.image):
                message.header.stamp = stamp
            for name, message in zip(("camera_info", "fix", "imu"), (info, fix, imu), strict=True):
                self.publishers[name].publish(message)
            self.publishers["image"].publish(self.image)
        self.values.clear()
        end = time.monotonic() + 30.0
        while "overhead ms" not in self.values or "image messages" not in self.values:
            if time.monotonic() > end:
                raise SystemExit("the node published no pose: see its output above")
            pause.wait(0.05)
        return {k[:-3]: float(v) for k, v in self.values.items() if k.endswith(" ms")} | {
            "transport": -1e3 * float(self.values["image stamp minus clock s"]),
            "images": float(self.values["image messages"]),
        }


def report(found: dict[str, dict[str, float]], frames: int) -> str:
    """Return the table as text."""
    plain = found["only ~/pose"]
    lines = [
        f"raw {WIDTH} x {HEIGHT} rgb8, {frames} frames, medians in ms",
        f"overhead (callback to published pose, less network, view and prior wait): "
        f"{plain['overhead']:.2f} ms = {plain['overhead'] / BUDGET:.2f} x the budget of {BUDGET:g}",
        "  of it: "
        + ", ".join(
            f"{k} {plain[k]:.2f}" for k in ("queue", "decode", "patch", "post") if k in plain
        ),
        f"network {sum(plain.get(k, 0) for k in ('encode_aerial', 'encode_ground', 'match')):.1f}, "
        f"view {plain['view']:.2f} (undistorted: {found['distorted']['view']:.2f}), "
        f"transport of the last image {plain['transport']:.1f}, "
        f"received {plain['images']:.0f} of {frames}",
    ]
    for topic in OPTIONAL:
        values = found[f"with ~/{topic}"]
        lines.append(
            f"with ~/{topic}: {values['after_pose']:.2f} ms after the pose "
            f"(without: {plain['after_pose']:.2f}), overhead {values['overhead']:.2f}"
        )
    return "\n".join(lines)


def command(map_file: Path) -> list[str]:
    """Return the node's command line; every optional topic at every frame."""
    values: dict[str, Any] = {
        "map": map_file,
        "weights": "none",
        "model": "correlation",
        "heading_source": "imu_enu",
        "heatmap_rate": 100.0,
        "max_std": 1000.0,  # noise is matched with noise: no gate shall stop it
        "max_second_mode": 1000.0,
        "diagnostics_period": 0.2,
        "camera_in_base": "[1.5, 0.0, 1.6, -1.5708, 0.0, -1.5708]",
        "gnss_in_base": "[0.0, 0.0, 1.8]",
    }
    made = [sys.executable, "-m", "cross_view_localizer.ros", "--ros-args"]
    for name, value in values.items():
        made += ["-p", f"{name}:={value}"]
    return made


def main() -> int:
    """Run and print; the exit status is 1 where the budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--rate", type=float, default=5.0)
    options = parser.parse_args()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
    os.environ.setdefault("FASTRTPS_DEFAULT_PROFILES_FILE", str(ROOT / "config" / "fastdds.xml"))
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        map_file = Path(folder) / "noise.tif"
        write_map(map_file)
        process = subprocess.Popen(command(map_file), cwd=ROOT)
        try:
            bench = Bench(options.rate)
            bench.wait_active()
            bench.drive(5, [])  # caches and views are made
            runs: list[tuple[str, list[float], str]] = [
                ("only ~/pose", [], ""),
                ("distorted", DISTORTION, ""),
                *[(f"with ~/{topic}", [], topic) for topic in OPTIONAL],
            ]
            for name, distortion, topic in runs:
                print(f"{name} …", file=sys.stderr, flush=True)
                bench.restart()
                made = topic and bench.node.create_subscription(
                    OPTIONAL[topic], f"{NODE}/{topic}", lambda _: None, 1
                )
                found[name] = bench.drive(options.frames, distortion)
                if made:
                    bench.node.destroy_subscription(made)
            bench.close()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
    print(report(found, options.frames))
    return int(found["only ~/pose"]["overhead"] > BUDGET)


if __name__ == "__main__":
    sys.exit(main())
