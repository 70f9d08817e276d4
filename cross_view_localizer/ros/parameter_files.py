"""Checks ROS parameter files against the table of the node's parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cross_view_localizer.ros.parameters import ParameterError, checked, is_built_in, kind


def check_yaml(path: Path | str, node: str = "cross_view_localizer") -> list[str]:
    """Return what is wrong in a ROS parameter file, one line each; an empty list where all fits.

    Looks at the sections of ``node`` and the wildcard ``/**``. ROS refuses whole numbers for floats
    on the command line's way into other nodes, and lists that mix them, so both are reported here.
    """
    import yaml

    document = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    problems: list[str] = []
    sections = [name for name in document if name.strip("/*") in ("", node)]
    if not sections:
        problems.append(f"{path}: no section {node} or /**")
    for section in sections:
        values = (document[section] or {}).get("ros__parameters")
        if not isinstance(values, dict):
            problems.append(f"{path}: section {section} has no ros__parameters")
            continue
        for name, value in values.items():
            problems += [f"{path}: {line}" for line in _check_value(name, value)]
    return problems


def _check_value(name: str, value: Any) -> list[str]:
    if is_built_in(name):
        return []
    try:
        checked(name, value)
    except ParameterError as error:
        return [str(error)]
    numbers = value if isinstance(value, list) else [value]
    if kind(name) in ("float", "floats") and any(isinstance(v, int) for v in numbers):
        return [f"parameter {name} is {value}: write every number with a decimal point"]
    if value == []:
        return [f"parameter {name} is an empty list: leave it out instead, ROS can't tell its type"]
    return []
