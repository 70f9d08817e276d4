"""The node inside the test's own process: for what only shows from inside (memory, exceptions)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from harness import DOMAIN, Peer

rclpy = pytest.importorskip("rclpy")

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402

from cross_view_localizer.ros.node import LocalizerNode  # noqa: E402

# Beside that of the node that all modules share.
OWN_DOMAIN = DOMAIN + 1


@contextlib.contextmanager
def node_here(spinning: bool = False, **parameters: Any) -> Iterator[LocalizerNode]:
    """Make a node, unconfigured; where ``spinning``, its callbacks run in a thread."""
    defaults = {"weights": "none", "model": "correlation", "diagnostics_period": 0.1}
    values = {**defaults, "heading_source": "imu_enu", "device": "cpu", **parameters}
    context = rclpy.Context()
    context.init(domain_id=OWN_DOMAIN)
    node = LocalizerNode(
        context=context,
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin() -> None:
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, daemon=True)
    if spinning:
        thread.start()
    try:
        yield node
    finally:
        executor.shutdown()
        if spinning:
            thread.join(10.0)
        node.destroy_node()
        context.try_shutdown()


@contextlib.contextmanager
def peer_here() -> Iterator[Peer]:
    """Make a peer of that node."""
    peer = Peer(OWN_DOMAIN)
    try:
        yield peer
    finally:
        peer.close()
