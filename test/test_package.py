"""What package.xml, the builds and the interfaces promise each other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from catkin_pkg.package import parse_package

import cross_view_localizer

ROOT = Path(__file__).parent.parent


def test_manifest_is_valid_and_agrees_with_the_module() -> None:
    warnings: list[str] = []
    package = parse_package(str(ROOT / "package.xml"), warnings=warnings)
    package.validate(warnings=warnings)
    assert warnings == []
    assert package.name == cross_view_localizer.__name__
    assert package.version == cross_view_localizer.__version__
    # Anything else and colcon would take setup.py, which can't generate interfaces.
    assert package.get_build_type() == "ament_cmake"


def test_what_the_launch_files_start_is_depended_on() -> None:
    package = parse_package(str(ROOT / "package.xml"))
    needed = {dependency.name for dependency in package.exec_depends}
    text = "".join(path.read_text() for path in (ROOT / "launch").glob("*.launch.py"))
    started = {*re.findall(r'package="(\w+)"', text), *re.findall(r'"(\w+)", "\w+_node"', text)}
    verbs = set(re.findall(r'"ros2", "(\w+)"', text))
    assert started == {"robot_localization", "rviz2"} and verbs == {"bag"}
    # Our bags are MCAP, for which Humble's `ros2 bag` needs a plugin of its own.
    assert started | {f"ros2{verb}" for verb in verbs} | {"rosbag2_storage_mcap"} <= needed


def test_what_the_node_and_the_launch_files_import_is_depended_on() -> None:
    package = parse_package(str(ROOT / "package.xml"))
    declared = {d.name for d in (*package.exec_depends, *package.build_depends)}
    files = [
        *(ROOT / "cross_view_localizer" / "ros").rglob("*.py"),
        *(ROOT / "launch").glob("*.py"),
    ]
    found = re.findall(r"^ *(?:from|import) (\w+)", "".join(f.read_text() for f in files), re.M)
    ros = {name for name in found if name.endswith(("_msgs", "_interfaces", "_python", "_ros"))}
    assert {"rcl_interfaces", "ament_index_python", "sensor_msgs"} <= ros
    assert ros | {"rclpy", "launch"} <= declared


def test_cmake_builds_every_message() -> None:
    listed = re.findall(r"^  (msg/\w+\.msg)$", (ROOT / "CMakeLists.txt").read_text(), re.M)
    assert listed == sorted(str(p.relative_to(ROOT)) for p in (ROOT / "msg").glob("*.msg"))


def test_messages_travel_and_start_without_nan() -> None:
    rclpy_serialization = pytest.importorskip("rclpy.serialization")
    from cross_view_localizer.msg import LocalizationEstimate, LocalizationMode

    sent = LocalizationEstimate(
        status=LocalizationEstimate.STATUS_REFUSED,
        reason="no_fix",
        modes=[LocalizationMode(x=1.5, y=-2.0, mass=0.25, covariance=[4.0, 0.5, 0.5, 9.0])],
        stage_names=["match"],
        stage_ms=[12.5],
    )
    data = rclpy_serialization.serialize_message(sent)
    received = rclpy_serialization.deserialize_message(data, LocalizationEstimate)
    assert received == sent
    assert not received.has_pose and not received.has_prior and not received.has_patch


def test_static_transforms_have_an_interface() -> None:
    pytest.importorskip("rclpy")
    from tf2_msgs.msg import TFMessage

    assert TFMessage.get_fields_and_field_types() == {
        "transforms": "sequence<geometry_msgs/TransformStamped>"
    }


def test_code_and_messages_come_together_from_anywhere(tmp_path: Path) -> None:
    """The checkout is what runs, not a copy in the environment, whatever the working directory."""
    code = (
        "import cross_view_localizer.geo as geo, cross_view_localizer.msg as msg;"
        "print(geo.__file__); print(msg.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    module, messages = map(Path, done.stdout.split())
    assert module == ROOT / "cross_view_localizer" / "geo.py"
    assert ROOT / "cross_view_localizer" not in messages.parents


@pytest.mark.slow
def test_pip_wheel_holds_code_messages_and_share(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(source)], check=True)
    subprocess.run([*command, "-w", str(tmp_path), str(source)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    import zipfile

    names = zipfile.ZipFile(wheel).namelist()
    for expected in (
        "cross_view_localizer/geo.py",
        "cross_view_localizer/msg/__init__.py",
        "lib/libcross_view_localizer__rosidl_generator_py.so",
        "share/cross_view_localizer/launch/localizer.launch.py",
        "share/cross_view_localizer/config/ekf.yaml",
    ):
        assert any(name.endswith(expected) for name in names), expected
    assert not any(name.startswith("training/") for name in names)
