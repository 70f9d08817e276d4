"""Localize an Oxford RobotCar drive that was converted to a bag.

    ros2 launch cross_view_localizer robotcar.launch.py map:=/data/oxford.tif bag:=/data/drive

Every argument of localizer.launch.py may be given too.
"""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PythonExpression

SHARE = Path(get_package_share_directory("cross_view_localizer"))
DEFAULTS = {
    "params_file": str(SHARE / "config" / "robotcar.yaml"),
    "use_sim_time": "true",
    "image": "/camera/image_raw",
    "camera_info": "/camera/camera_info",
    "fix": "/gps/fix",
    "odom": "/odom",
    "imu": "/imu/data",
}


def generate_launch_description() -> LaunchDescription:
    """Return the localizer with RobotCar's topics and, if a bag is named, its player."""
    bag = LaunchConfiguration("bag")
    rate = LaunchConfiguration("rate")
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", default_value="", description="bag to play; empty: none"),
            DeclareLaunchArgument("rate", default_value="1.0", description="speed of the bag"),
            *(
                DeclareLaunchArgument(
                    name, default_value=value, description="see localizer.launch.py"
                )
                for name, value in DEFAULTS.items()
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(SHARE / "launch" / "localizer.launch.py")),
                launch_arguments={name: LaunchConfiguration(name) for name in DEFAULTS}.items(),
            ),
            ExecuteProcess(
                cmd=["ros2", "bag", "play", bag, "--clock", "--rate", rate],
                condition=IfCondition(PythonExpression(["'", bag, "' != ''"])),
                output="screen",
            ),
        ]
    )
