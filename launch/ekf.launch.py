"""Fuse ~/pose with odometry and IMU in two robot_localization filters (config/ekf.yaml).

    ros2 launch cross_view_localizer ekf.launch.py odom:=/wheel/odom imu:=/imu/data

Gives odometry/local (frame odom) and odometry/global (frame map), and the transforms
odom -> base_link and, from the first pose on, map -> odom. The filters' services are
ekf_odom/reset, ekf_map/set_pose and so on: under their own names each call would reach both.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

CONFIG = Path(get_package_share_directory("cross_view_localizer")) / "config"
STATES = 15
FILTERS = (
    ("ekf_odom", "robot_localization", "ekf_node", "odometry/local"),
    ("ekf_map", "cross_view_localizer", "ekf_on_first_pose", "odometry/global"),
)
SERVICES = ("enable", "reset", "set_pose", "toggle")
ARGUMENTS = (
    ("params_file", str(CONFIG / "ekf.yaml"), "parameters of both filters"),
    ("use_sim_time", "false", "true with a bag played with --clock"),
    ("namespace", "", "namespace of the localizer and of both filters"),
    ("fuse_yaw", "auto", "true, false or auto: if the method finds the heading itself"),
    ("odom", "odom", "topic, nav_msgs/Odometry, wheel or visual"),
    ("imu", "imu", "topic, sensor_msgs/Imu"),
)


def full_matrix(diagonal: list[float]) -> list[float]:
    """Return the row-major 15 x 15 matrix with this diagonal: robot_localization 3.5 wants it."""
    full = [0.0] * STATES**2
    full[:: STATES + 1] = diagonal
    return full


def adapted(values: dict[str, Any]) -> dict[str, Any]:
    """Return a filter's parameters as the distribution needs them."""
    values = dict(values)
    for name in ("initial_estimate_covariance", "process_noise_covariance"):
        if os.environ.get("ROS_DISTRO") == "humble" and len(values.get(name, ())) == STATES:
            values[name] = full_matrix(values[name])
    return values


def start(context: LaunchContext) -> list[Node]:
    """Return both filters, now that the arguments' values are known."""
    value = {name: LaunchConfiguration(name).perform(context) for name, *_ in ARGUMENTS}
    for name, known in (
        ("use_sim_time", ("true", "false")),
        ("fuse_yaw", ("true", "false", "auto")),
    ):
        if value[name].lower() not in known:
            raise ValueError(f"{name}:={value[name]}: expected {' or '.join(known)}")
    document = yaml.safe_load(Path(value["params_file"]).read_text(encoding="utf-8"))
    sections = {name.split("/")[-1]: section for name, section in document.items()}
    overrides = {
        "use_sim_time": value["use_sim_time"].lower() == "true",
        "fuse_yaw": value["fuse_yaw"].lower(),
    }
    return [
        Node(
            package=package,
            executable=executable,
            name=name,
            namespace=value["namespace"],
            parameters=[adapted(sections[name]["ros__parameters"]), overrides],
            remappings=[
                ("odometry/filtered", result),
                ("odom", value["odom"]),
                ("imu", value["imu"]),
                *((service, f"{name}/{service}") for service in SERVICES),
            ],
            output="screen",
        )
        for name, package, executable, result in FILTERS
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and the two filters."""
    declared = [DeclareLaunchArgument(n, default_value=d, description=t) for n, d, t in ARGUMENTS]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
