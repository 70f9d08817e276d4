"""Fuse ~/pose with odometry and IMU in two robot_localization filters (config/ekf.yaml).

    ros2 launch cross_view_localizer ekf.launch.py odom:=/wheel/odom imu:=/imu/data

Gives odometry/local (frame odom) and odometry/global (frame map), and the transforms
odom -> base_link and map -> odom.
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
YAW = 5  # its place in pose0_config
GATE_WITH_YAW = 3.73  # Mahalanobis distance, 99.7 % of three degrees of freedom
ARGUMENTS = (
    ("params_file", str(CONFIG / "ekf.yaml"), "parameters of both filters"),
    ("use_sim_time", "false", "true with a bag played with --clock"),
    ("namespace", "", "namespace of the localizer and of both filters"),
    ("fuse_yaw", "false", "true only where the method estimates the heading itself"),
    ("odom", "odom", "topic, nav_msgs/Odometry, wheel or visual"),
    ("imu", "imu", "topic, sensor_msgs/Imu"),
)


def full_matrix(diagonal: list[float]) -> list[float]:
    """Return the row-major 15 x 15 matrix with this diagonal: robot_localization 3.5 wants it."""
    full = [0.0] * STATES**2
    full[:: STATES + 1] = diagonal
    return full


def adapted(values: dict[str, Any], fuse_yaw: bool) -> dict[str, Any]:
    """Return a filter's parameters as the distribution and the method need them."""
    values = dict(values)
    if fuse_yaw and "pose0_config" in values:
        values["pose0_config"] = [i == YAW or on for i, on in enumerate(values["pose0_config"])]
        values["pose0_rejection_threshold"] = GATE_WITH_YAW
    for name in ("initial_estimate_covariance", "process_noise_covariance"):
        if os.environ.get("ROS_DISTRO") == "humble" and len(values.get(name, ())) == STATES:
            values[name] = full_matrix(values[name])
    return values


def start(context: LaunchContext) -> list[Node]:
    """Return both filters, now that the arguments' values are known."""
    value = {name: LaunchConfiguration(name).perform(context) for name, *_ in ARGUMENTS}
    for name in ("fuse_yaw", "use_sim_time"):
        if value[name].lower() not in ("true", "false"):
            raise ValueError(f"{name}:={value[name]}: expected true or false")
    document = yaml.safe_load(Path(value["params_file"]).read_text(encoding="utf-8"))
    sections = {name.split("/")[-1]: section for name, section in document.items()}
    fuse_yaw = value["fuse_yaw"].lower() == "true"
    return [
        Node(
            package="robot_localization",
            executable="ekf_node",
            name=name,
            namespace=value["namespace"],
            parameters=[
                adapted(sections[name]["ros__parameters"], fuse_yaw),
                {"use_sim_time": value["use_sim_time"].lower() == "true"},
            ],
            remappings=[
                ("odometry/filtered", f"odometry/{result}"),
                ("odom", value["odom"]),
                ("imu", value["imu"]),
            ],
            output="screen",
        )
        for name, result in (("ekf_odom", "local"), ("ekf_map", "global"))
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and the two filters."""
    declared = [DeclareLaunchArgument(n, default_value=d, description=t) for n, d, t in ARGUMENTS]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
