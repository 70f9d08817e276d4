"""Launch files run, declare what they describe, and give the node parameters that it has."""

from __future__ import annotations

import py_compile
from pathlib import Path
from typing import Any

import launch_stand_in as stand_in
import pytest
import yaml

from cross_view_localizer.ros import parameters

FILES = sorted((stand_in.ROOT / "launch").glob("*.launch.py"))


@pytest.fixture(autouse=True)
def _no_profile_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTRTPS_DEFAULT_PROFILES_FILE", raising=False)
    monkeypatch.delenv("FASTDDS_DEFAULT_PROFILES_FILE", raising=False)
    monkeypatch.delenv("ROS_DISTRO", raising=False)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_compiles_and_describes_every_argument(path: Path, tmp_path: Path) -> None:
    py_compile.compile(str(path), cfile=str(tmp_path / "compiled"), doraise=True)
    declared = stand_in.arguments(stand_in.load(path.name))
    assert declared
    assert all(entry["description"] for entry in declared.values())


def test_overrides_are_parameters_of_the_node() -> None:
    module = stand_in.load("localizer.launch.py")
    for name, _ in module.OVERRIDES:
        assert parameters.kind(name) == "str", name
    for name, _ in module.SWITCHES:
        assert parameters.is_built_in(name) or parameters.kind(name) == "bool", name


def test_command_line_comes_after_the_file_and_is_typed() -> None:
    module = stand_in.load("localizer.launch.py")
    actions = stand_in.start(module, map="/data/town.tif", use_sim_time="true", namespace="car")
    (node,) = stand_in.of_kind(actions, "Node")
    file, overrides = node.kwargs["parameters"]
    assert file.endswith("config/localizer.yaml")
    assert overrides == {"map": "/data/town.tif", "use_sim_time": True}
    assert node.kwargs["name"] == "cross_view_localizer"
    assert node.kwargs["namespace"] == "car"
    assert parameters.from_mapping({"map": overrides["map"]}).map == "/data/town.tif"


def test_without_arguments_the_file_decides() -> None:
    (node,) = stand_in.of_kind(stand_in.start(stand_in.load("localizer.launch.py")), "Node")
    assert node.kwargs["parameters"][1] == {}
    assert node.kwargs["remappings"] == []


def test_topics_are_remapped() -> None:
    module = stand_in.load("localizer.launch.py")
    (node,) = stand_in.of_kind(stand_in.start(module, image="/camera/image"), "Node")
    assert node.kwargs["remappings"] == [("image", "/camera/image")]


def test_fast_dds_profile_is_loaded_unless_the_user_has_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = stand_in.load("localizer.launch.py")
    for distro, name in (("jazzy", "FASTRTPS"), ("kilted", "FASTDDS")):
        monkeypatch.setenv("ROS_DISTRO", distro)
        (action,) = stand_in.of_kind(stand_in.start(module), "SetEnvironmentVariable")
        assert action.args[0] == f"{name}_DEFAULT_PROFILES_FILE"
        assert Path(action.args[1]).is_file()
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "/etc/mine.xml")
    assert not stand_in.of_kind(stand_in.start(module), "SetEnvironmentVariable")


def test_rviz_gets_our_view_the_clock_and_the_namespace() -> None:
    module = stand_in.load("localizer.launch.py")
    actions = stand_in.start(module, rviz="true", use_sim_time="true", namespace="car")
    _, rviz = stand_in.of_kind(actions, "Node")
    assert rviz.kwargs["parameters"] == [{"use_sim_time": True}]
    assert rviz.kwargs["namespace"] == "car"


@pytest.mark.parametrize(
    ("namespace", "frame"),
    [("", "cross_view_localizer"), ("/car", "car/cross_view_localizer")],
)
@pytest.mark.parametrize("name", ["cross_view_localizer", "cross_view_localizer_satellite"])
def test_rviz_follows_the_frame_that_the_node_sends(namespace: str, frame: str, name: str) -> None:
    """Without an EKF no other frame hangs on `map`; in a namespace it is the namespace's own."""
    module = stand_in.load("localizer.launch.py")
    file = str(stand_in.ROOT / "config" / f"{name}.rviz")
    actions = stand_in.start(module, rviz="true", namespace=namespace, rviz_config=file)
    node, rviz = stand_in.of_kind(actions, "Node")
    given = node.kwargs["parameters"][1]
    assert given == {"view_frame": frame}
    assert parameters.from_mapping(given).view_frame == frame
    option, path = rviz.kwargs["arguments"]
    view = yaml.safe_load(Path(path).read_text())["Visualization Manager"]["Views"]["Current"]
    assert (option, view["Target Frame"]) == ("-d", frame)


def test_without_rviz_the_node_sends_no_transform() -> None:
    (node,) = stand_in.of_kind(stand_in.start(stand_in.load("localizer.launch.py")), "Node")
    assert "view_frame" not in node.kwargs["parameters"][1]


@pytest.mark.parametrize("name", ["rviz", "use_sim_time", "autostart"])
def test_a_switch_is_true_or_false(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}:=yes: expected true or false"):
        stand_in.start(stand_in.load("localizer.launch.py"), **{name: "yes"})


def test_a_missing_parameter_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="params_file:=nowhere.yaml"):
        stand_in.start(stand_in.load("localizer.launch.py"), params_file="nowhere.yaml")


def test_robotcar_hands_on_arguments_that_the_localizer_declares() -> None:
    known = stand_in.arguments(stand_in.load("localizer.launch.py"))
    module = stand_in.load("robotcar.launch.py")
    assert set(module.DEFAULTS) <= set(known)
    assert Path(module.DEFAULTS["params_file"]).is_file()


def test_both_filters_start_with_their_own_parameters_and_topics() -> None:
    module = stand_in.load("ekf.launch.py")
    actions = stand_in.start(module, namespace="car", imu="/imu/data", use_sim_time="true")
    odom, world = stand_in.of_kind(actions, "Node")
    assert odom.kwargs["name"] == "ekf_odom" and world.kwargs["name"] == "ekf_map"
    assert odom.kwargs["parameters"][0]["world_frame"] == "odom"
    assert world.kwargs["parameters"][0]["world_frame"] == "map"
    for node, result in ((odom, "odometry/local"), (world, "odometry/global")):
        assert node.kwargs["namespace"] == "car"
        assert node.kwargs["parameters"][1]["use_sim_time"] is True
        assert ("imu", "/imu/data") in node.kwargs["remappings"]
        assert ("odometry/filtered", result) in node.kwargs["remappings"]
        # Else one call of set_pose or reset would reach both.
        assert ("set_pose", f"{node.kwargs['name']}/set_pose") in node.kwargs["remappings"]


def test_the_map_filter_is_started_on_the_first_pose_by_a_program_of_ours() -> None:
    actions = stand_in.start(stand_in.load("ekf.launch.py"))
    odom, world = stand_in.of_kind(actions, "Node")
    assert (odom.kwargs["package"], odom.kwargs["executable"]) == ("robot_localization", "ekf_node")
    assert world.kwargs["package"] == "cross_view_localizer"
    assert (stand_in.ROOT / "scripts" / f"{world.kwargs['executable']}.in").is_file()


def map_filter(**given: str) -> dict[str, Any]:
    module = stand_in.load("ekf.launch.py")
    return stand_in.of_kind(stand_in.start(module, **given), "Node")[1].kwargs["parameters"][0]


def test_humble_gets_the_matrices_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(map_filter()["process_noise_covariance"]) == 15
    monkeypatch.setenv("ROS_DISTRO", "humble")
    full = map_filter()["initial_estimate_covariance"]
    assert len(full) == 225
    assert full[:2] == [1.0e6, 0.0] and full[16] == 1.0e6 and full[-1] == 1.0e-9
    assert all(isinstance(value, float) for value in full)


def test_yaw_is_fused_as_the_method_allows_unless_the_user_says_otherwise() -> None:
    values = map_filter()
    assert [i for i, used in enumerate(values["pose0_config"]) if used] == [0, 1, 5]
    assert values["pose0_rejection_threshold"] == 3.73
    assert values["estimate"] == values["pose0"].replace("pose", "estimate")
    module = stand_in.load("ekf.launch.py")
    for given, told in (({}, "auto"), ({"fuse_yaw": "False"}, "false")):
        _, world = stand_in.of_kind(stand_in.start(module, **given), "Node")
        assert world.kwargs["parameters"][1]["fuse_yaw"] == told
    with pytest.raises(ValueError, match="fuse_yaw:=yes: expected true or false or auto"):
        stand_in.start(module, fuse_yaw="yes")
