"""Loads launch files where ROS 2's launch packages are missing (they are not on PyPI).

The stand-ins only keep what they were built with: the launch files run and say what they would
start, but start nothing.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parent.parent


class Recorded:
    """An action, substitution or description: its arguments, by name or place."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs


class LaunchConfiguration(Recorded):
    """The value of an argument, from the context that the test made."""

    def perform(self, context: Any) -> str:
        return context.launch_configurations[self.args[0]]


class LaunchContext:
    """Holds the arguments' values."""

    def __init__(self) -> None:
        self.launch_configurations: dict[str, str] = {}


def kind(name: str) -> type[Recorded]:
    return type(name, (Recorded,), {})


def _modules() -> dict[str, types.ModuleType]:
    content: dict[str, dict[str, Any]] = {
        "launch": {"LaunchContext": LaunchContext, "LaunchDescription": kind("LaunchDescription")},
        "launch.actions": {
            name: kind(name)
            for name in (
                "DeclareLaunchArgument",
                "ExecuteProcess",
                "IncludeLaunchDescription",
                "LogInfo",
                "OpaqueFunction",
                "SetEnvironmentVariable",
            )
        },
        "launch.conditions": {"IfCondition": kind("IfCondition")},
        "launch.launch_description_sources": {
            "PythonLaunchDescriptionSource": kind("PythonLaunchDescriptionSource")
        },
        "launch.substitutions": {
            "LaunchConfiguration": LaunchConfiguration,
            "PythonExpression": kind("PythonExpression"),
        },
        "launch_ros": {},
        "launch_ros.actions": {"Node": kind("Node")},
    }
    modules = {}
    for name, members in content.items():
        module = modules[name] = types.ModuleType(name)
        for member, value in members.items():
            setattr(module, member, value)
    return modules


def load(name: str) -> types.ModuleType:
    """Return ``launch/<name>`` as a module, its share directory being the checkout."""
    spec = importlib.util.spec_from_file_location(name.split(".")[0], ROOT / "launch" / name)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    packages = types.ModuleType("ament_index_python.packages")
    packages.get_package_share_directory = lambda _: str(ROOT)  # type: ignore[attr-defined]
    replaced = {"ament_index_python.packages": packages, **_modules()}
    with mock.patch.dict(sys.modules, replaced):
        spec.loader.exec_module(module)
    return module


def arguments(module: types.ModuleType) -> dict[str, dict[str, Any]]:
    """Return what the launch file declares: name -> default_value, description."""
    entities = module.generate_launch_description().args[0]
    declared = (e for e in entities if type(e).__name__ == "DeclareLaunchArgument")
    return {e.args[0]: e.kwargs for e in declared}


def start(module: types.ModuleType, **given: str) -> list[Recorded]:
    """Return what ``start`` gives with these arguments, the others at their defaults."""
    context = LaunchContext()
    defaults = {name: entry["default_value"] for name, entry in arguments(module).items()}
    context.launch_configurations = {**defaults, **given}
    return module.start(context)


def of_kind(actions: list[Recorded], name: str) -> list[Recorded]:
    """Return the actions of this class."""
    return [action for action in actions if type(action).__name__ == name]
