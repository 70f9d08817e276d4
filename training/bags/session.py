"""What the player and the recorder share of rclpy: a node of their own, and types by name."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from training.bags.store import BagError

PROFILE = Path(__file__).resolve().parents[2] / "config" / "fastdds.xml"
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


def message_class(msgtype: str) -> Any:
    """Return the Python class of a name like ``sensor_msgs/msg/Image``.

    Raises:
        BagError: where this environment has no such type.
    """
    package, _, name = msgtype.rpartition("/")
    try:
        return getattr(importlib.import_module(package.replace("/", ".")), name)
    except (ImportError, AttributeError, ValueError):
        raise BagError(
            f"type {msgtype} is not installed here: install its package or leave its topics out"
        ) from None


def load_transport_profile() -> None:
    """Give large images room: load the project's Fast DDS profile unless the user has set one.

    Without it best-effort messages above about 0.5 MB mostly do not arrive in another process.
    """
    if PROFILE.is_file() and not any(os.environ.get(v) for v in PROFILE_VARIABLES):
        before_fast_dds_3 = os.environ.get("ROS_DISTRO", "jazzy") in ("humble", "iron", "jazzy")
        os.environ[PROFILE_VARIABLES[0 if before_fast_dds_3 else 1]] = str(PROFILE)


@contextmanager
def ros_node(name: str, *, use_sim_time: bool = False) -> Iterator[Node]:
    """Yield a node with a context of its own; both end with the block."""
    load_transport_profile()
    context = Context()
    rclpy.init(context=context, args=[])
    node = Node(
        name,
        context=context,
        start_parameter_services=False,
        parameter_overrides=[Parameter("use_sim_time", value=use_sim_time)],
    )
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
