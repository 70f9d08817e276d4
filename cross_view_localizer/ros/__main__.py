"""Runs the node: ``python -m cross_view_localizer.ros --ros-args -p map:=…``."""

from __future__ import annotations

import sys

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor


def main(arguments: list[str] | None = None) -> int:
    """Spin the node until it is interrupted; return the exit status (0 after SIGINT)."""
    from cross_view_localizer.ros.node import LocalizerNode

    try:
        rclpy.init(args=arguments)
        node = LocalizerNode()
    except Exception as error:  # wrong --ros-args, an unreadable parameter file
        print(f"cross_view_localizer: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        node.autostart()
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
