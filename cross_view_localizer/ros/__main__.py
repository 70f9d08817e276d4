"""Runs the node: ``python -m cross_view_localizer.ros --ros-args -p map:=…``."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

if TYPE_CHECKING:
    from cross_view_localizer.ros.node import LocalizerNode


def main(arguments: list[str] | None = None) -> int:
    """Spin the node until it is interrupted; return the exit status (0 after SIGINT)."""
    try:
        rclpy.init(args=arguments)
    except Exception as error:  # wrong --ros-args, an unreadable parameter file
        print(f"cross_view_localizer: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    try:
        # Only now: PyTorch takes seconds to import.
        from cross_view_localizer.ros.node import LocalizerNode

        node = LocalizerNode()
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    try:
        node.autostart()
        _spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        # The shell's and launch's SIGINT both arrive: the second must not break the tidying up.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _spin(node: LocalizerNode) -> None:
    """Spin until shutdown, whatever rclpy's own services raise (an impossible transition)."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while rclpy.ok():
        try:
            executor.spin()
        except (KeyboardInterrupt, ExternalShutdownException):
            return
        except Exception as error:
            node.reporter.internal_error("callback", error)


if __name__ == "__main__":
    sys.exit(main())
