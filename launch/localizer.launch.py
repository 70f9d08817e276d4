"""Start the localizer node, with RViz if wanted.

    ros2 launch cross_view_localizer localizer.launch.py map:=/data/town.tif image:=/camera/image

``ros2 launch cross_view_localizer localizer.launch.py -s`` lists all arguments. What is given on
the command line wins over the parameter file.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

PACKAGE = "cross_view_localizer"
CONFIG = Path(get_package_share_directory(PACKAGE)) / "config"

VIEW_FRAME = PACKAGE  # the frame that the shipped layouts follow

# Argument, default, description. An empty default leaves the value to the parameter file.
GENERAL = (
    ("params_file", str(CONFIG / "localizer.yaml"), "parameter file"),
    ("namespace", "", "namespace of node, topics and RViz"),
    ("rviz", "false", "true: start RViz with our view"),
    ("rviz_config", str(CONFIG / "cross_view_localizer.rviz"), "RViz configuration"),
    ("log_level", "info", "debug, info, warn or error"),
    (
        "fastdds_profile",
        str(CONFIG / "fastdds.xml"),
        "Fast DDS profile that lets big images through; empty: none. One set in the environment"
        " wins. The camera's process needs it too",
    ),
)
OVERRIDES = (
    ("map", "path of the georeferenced aerial map"),
    ("weights", "front, panorama or a .safetensors file"),
    ("device", "auto, cpu or cuda:N"),
    ("camera_model", "pinhole, fisheye or equirectangular"),
    ("image_transport", "raw or compressed"),
    ("heading_source", "imu_enu, odom_enu, odom_aligned, course, fixed or unknown"),
)
SWITCHES = (
    ("use_sim_time", "true with a bag played with --clock"),
    ("autostart", "false: leave configure and activate to a lifecycle manager"),
)
TOPICS = (
    ("image", "sensor_msgs/Image; with image_transport:=compressed what is below it"),
    ("camera_info", "sensor_msgs/CameraInfo"),
    ("fix", "sensor_msgs/NavSatFix"),
    ("odom", "nav_msgs/Odometry"),
    ("imu", "sensor_msgs/Imu"),
    ("initialpose", "geometry_msgs/PoseWithCovarianceStamped"),
)


def switch(name: str, text: str) -> bool:
    """Return the truth value of an argument's text.

    Raises:
        ValueError: for anything but true and false.
    """
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{name}:={text}: expected true or false")
    return text.lower() == "true"


def profile(path: str) -> list[SetEnvironmentVariable]:
    """Return the action that sets the Fast DDS profile, under the name that this ROS 2 reads."""
    old, new = "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"
    if not path or old in os.environ or new in os.environ:
        return []
    before_fast_dds_3 = os.environ.get("ROS_DISTRO", "jazzy") in ("humble", "iron", "jazzy")
    return [SetEnvironmentVariable(old if before_fast_dds_3 else new, path)]


def view_frame(namespace: str) -> str:
    """Return the name of the frame that RViz follows, another one in every namespace."""
    return f"{namespace.strip('/')}/{VIEW_FRAME}".lstrip("/")


def layout(path: str, frame: str) -> str:
    """Return an RViz layout that follows ``frame``: the given one, or a copy of it."""
    if frame == VIEW_FRAME:
        return path
    text = Path(path).read_text().replace(f"Target Frame: {VIEW_FRAME}", f"Target Frame: {frame}")
    with tempfile.NamedTemporaryFile("w", suffix=".rviz", delete=False) as copy:
        copy.write(text)
    return copy.name


def start(context: LaunchContext) -> list[object]:
    """Return the actions, now that the arguments' values are known."""
    value = {
        name: LaunchConfiguration(name).perform(context)
        for name, *_ in (*GENERAL, *OVERRIDES, *SWITCHES, *TOPICS)
    }
    if not Path(value["params_file"]).is_file():
        raise FileNotFoundError(f"params_file:={value['params_file']}: no such file")
    overrides: dict[str, object] = {name: value[name] for name, _ in OVERRIDES if value[name]}
    overrides |= {name: switch(name, value[name]) for name, _ in SWITCHES if value[name]}
    with_rviz = switch("rviz", value["rviz"])
    if with_rviz:
        overrides["view_frame"] = view_frame(value["namespace"])
    remappings = [(name, value[name]) for name, _ in TOPICS if value[name] != name]
    said = ", ".join(f"{name}: {given}" for name, given in overrides.items()) or "nothing"
    actions: list[object] = [
        LogInfo(msg=f"{PACKAGE}: {value['params_file']}, overridden: {said}"),
        *profile(value["fastdds_profile"]),
        Node(
            package=PACKAGE,
            executable="localizer_node",
            name=PACKAGE,
            namespace=value["namespace"],
            parameters=[value["params_file"], overrides],
            remappings=remappings,
            arguments=["--ros-args", "--log-level", value["log_level"]],
            output="screen",
            emulate_tty=True,
        ),
    ]
    if with_rviz:
        actions.append(
            Node(
                package="rviz2",
                executable="rviz2",
                namespace=value["namespace"],
                arguments=["-d", layout(value["rviz_config"], view_frame(value["namespace"]))],
                parameters=[{"use_sim_time": bool(overrides.get("use_sim_time", False))}],
            )
        )
    return actions


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and what they start."""
    declared = [DeclareLaunchArgument(n, default_value=d, description=t) for n, d, t in GENERAL]
    declared += [
        DeclareLaunchArgument(
            n, default_value="", description=f"{t} (default: the parameter file's)"
        )
        for n, t in (*OVERRIDES, *SWITCHES)
    ]
    declared += [
        DeclareLaunchArgument(n, default_value=n, description=f"topic, {t}") for n, t in TOPICS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
