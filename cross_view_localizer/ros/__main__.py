"""Runs the node: ``python -m cross_view_localizer.ros --ros-args -p map:=…``.

The main thread only waits for SIGINT and SIGTERM, and the executor has a thread of its own: no
exception ever lands in the middle of a callback, and rclpy's context, which its own signal handlers
would end under our feet, lives until everything is tidied up.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rclpy.executors import Executor

    from cross_view_localizer.ros.node import LocalizerNode

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# What the executor is at may take so long to end; ros2 launch follows with SIGTERM after 5 s.
_PATIENCE = 3.0


def main(arguments: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; return the exit status (0 after either)."""
    for number in _SIGNALS:  # during the imports nothing is open yet
        signal.signal(number, lambda *_: os._exit(0))
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    try:
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # wrong --ros-args, an unreadable parameter file
        print(f"cross_view_localizer: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    # Only now: PyTorch takes seconds to import.
    from cross_view_localizer.ros.node import LocalizerNode

    # From here on they wait for sigtimedwait, in every thread: threads inherit the mask.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    node = LocalizerNode()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    ending = threading.Event()
    spinner = threading.Thread(target=_spin, args=(node, executor, ending), daemon=True)
    spinner.start()
    while spinner.is_alive() and signal.sigtimedwait(_SIGNALS, 0.5) is None:
        pass
    ending.set()
    executor.create_task(lambda: None)  # wakes it
    spinner.join(_PATIENCE)
    if spinner.is_alive():
        # In the middle of a long configure, which can't be interrupted, and needn't be.
        sys.stdout.flush()
        os._exit(0)
    executor.shutdown()
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


def _spin(node: LocalizerNode, executor: Executor, ending: threading.Event) -> None:
    """Spin until the end, whatever rclpy's own services raise (an impossible transition)."""
    from rclpy.executors import ExternalShutdownException

    node.autostart()
    while node.context.ok() and not ending.is_set():
        try:
            executor.spin_once()
        except ExternalShutdownException:
            return
        except Exception as error:
            node.reporter.internal_error("callback", error)


if __name__ == "__main__":
    sys.exit(main())
