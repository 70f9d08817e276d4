"""Ctrl-C, and the SIGTERM of launch and systemd: status 0 and not a line of error, at any time."""

from __future__ import annotations

import signal
from pathlib import Path

import node_world as world
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from harness import DEADLINE, DOMAIN, NodeProcess, Peer, wait_for
from sensor_messages import SECOND

START = 1_690_000_000 * SECOND


def importing(process: NodeProcess) -> bool:
    """Whether PyTorch is being loaded, which takes seconds."""
    maps = Path(f"/proc/{process.process.pid}/maps")
    return "libtorch_python" in maps.read_text()


def heard(peer: Peer, key: str, value: str) -> bool:
    """Whether any diagnostics so far had this value."""
    statuses = [status for message in peer.heard["/diagnostics"] for status in message.status]
    return any(p.key == key and p.value == value for s in statuses for p in s.values)


def image_underway(peer: Peer) -> None:
    """Return while the network is at a frame."""
    wait_for("an active node", lambda: heard(peer, "state", "active"))
    peer.send_vehicle()
    peer.connect()
    for k in range(10):
        peer.send_image(START + k * SECOND, world.render((0.0, 5.0, 0.3)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("phase", ["importing", "configuring", "inferring"])
def test_ends_well(phase: str, number: signal.Signals, map_file: Path, tmp_path: Path) -> None:
    # cvml takes longest to warm up: long enough to be met at it.
    model = "correlation" if phase == "inferring" else "cvml"
    file = {"map": str(map_file), "model": model, "heading_source": "imu_enu"}
    peer, process = Peer(DOMAIN + 1), NodeProcess(tmp_path, DOMAIN + 1, **file)
    peer.listen("/diagnostics", DiagnosticArray)
    try:
        if phase == "importing":
            wait_for("the import of PyTorch", lambda: importing(process))
        elif phase == "configuring":
            wait_for("a living node", lambda: heard(peer, "state", "unconfigured"))
        else:
            image_underway(peer)
        process.process.send_signal(number)
        process.process.send_signal(number)  # a shell's and launch's both arrive
        assert process.process.wait(DEADLINE) == 0, process.log
        for word in ("Traceback", "[ERROR]", "[FATAL]", "Exception", "terminate"):
            assert word not in process.log, process.log
    finally:
        if process.process.poll() is None:
            process.process.kill()
            process.process.wait()
        print(process.log)
        peer.close()
