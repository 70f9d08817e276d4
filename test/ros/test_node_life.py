"""Starting, failing, retrying and ending: the process stays up and says what to fix."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import node_world as world
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from harness import (
    ACTIVATE,
    CLEANUP,
    CONFIGURE,
    DEACTIVATE,
    DOMAIN,
    NODE,
    NodeProcess,
    Peer,
    level_of,
    running,
    wait_for,
)
from sensor_messages import SECOND


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NodeProcess, Peer]]:
    """A node that was started with several mistakes in its parameters."""
    folder = tmp_path_factory.mktemp("life")
    wrong = {"map": "/nowhere/map.tif", "max_std": -3.0, "heatmp_rate": 1.0, "max_prior_age": 4}
    with running(folder, DOMAIN + 1, **wrong) as (process, peer):
        peer.listen("/diagnostics", DiagnosticArray)
        yield process, peer


def values_of(status: object) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}  # type: ignore[attr-defined]


def test_failed_configure_stays_up_and_says_what_to_fix(failed: tuple[NodeProcess, Peer]) -> None:
    process, peer = failed
    status = peer.diagnostic("node", lambda s: level_of(s) == 2)
    assert "max_std is -3.0: expected 0.1 to 1000" in status.message
    assert values_of(status)["state"] == peer.state() == "unconfigured"
    lines = [line for line in process.log.splitlines() if "[ERROR]" in line]
    assert len(lines) == 1 and "configure failed: parameter max_std" in lines[0]
    assert "unknown parameter heatmp_rate: did you mean heatmap_rate?" in process.log
    assert "Traceback" not in process.log and process.process.poll() is None


def test_parameters_are_checked_when_set(failed: tuple[NodeProcess, Peer]) -> None:
    _, peer = failed
    assert "expected one of" in peer.set(heading_source="north")[0]
    assert peer.set(max_std=-1.0) != []
    assert peer.set(max_std=20.0) == []


def test_each_cause_is_named_in_turn_until_it_runs(
    failed: tuple[NodeProcess, Peer], map_file: Path, tmp_path: Path
) -> None:
    process, peer = failed

    def refused(text: str) -> None:
        assert not peer.change(CONFIGURE)
        status = peer.diagnostic("node", lambda s: text in s.message)
        assert level_of(status) == 2 and peer.state() == "unconfigured"

    peer.set(max_std=20.0)
    refused("/nowhere/map.tif")
    (tmp_path / "noise.tif").write_bytes(b"no raster at all")
    peer.set(map=str(tmp_path / "noise.tif"))
    refused("noise.tif")
    peer.set(map=str(map_file), device="cuda:99")
    refused("cuda:99")
    peer.set(device="cpu", weights=str(tmp_path / "none.safetensors"))
    refused("none.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(b"\x00\x10\x00\x00\x00\x00\x00\x00{")
    peer.set(weights=str(cut))
    refused("cut.safetensors")
    peer.set(weights="none", model="no_such_method")
    refused("no_such_method")
    peer.set(model="correlation")
    assert peer.change(CONFIGURE) and peer.state() == "inactive"
    assert peer.change(ACTIVATE) and peer.state() == "active"
    status = peer.diagnostic("node", lambda s: values_of(s)["state"] == "active")
    assert values_of(status)["model"].startswith("correlation")
    assert "Traceback" not in process.log


def test_impossible_transition_is_refused_and_leaves_no_trace(
    failed: tuple[NodeProcess, Peer],
) -> None:
    process, peer = failed
    assert not peer.change(CONFIGURE)  # it is active
    assert "transition number 1 refused: impossible in state active" in process.log
    assert "Traceback" not in process.log
    assert peer.state() == "active"
    status = peer.diagnostic("localization", lambda s: True)
    assert level_of(status) == 0 and "internal_errors" not in values_of(status)


def test_inactive_is_silent_and_active_again_answers(
    failed: tuple[NodeProcess, Peer],
) -> None:
    _, peer = failed
    wait_for("an active node", lambda: peer.state() == "active")
    peer.listen_to_results()
    assert peer.change(DEACTIVATE)
    wait_for("no subscriber", lambda: peer.node.count_subscribers("/image") == 0)
    peer.diagnostic("node", lambda s: values_of(s)["state"] == "inactive")
    assert peer.change(CLEANUP)
    assert peer.set(heading_source="imu_enu") == []
    assert peer.change(CONFIGURE) and peer.change(ACTIVATE)
    peer.send_vehicle()
    peer.connect()
    stamp = 1_700_000_000 * SECOND
    peer.send_scene(stamp, (0.0, 0.0, 1.0))
    assert peer.with_stamp(f"{NODE}/estimate", stamp).reason == ""


def test_wrong_arguments_end_with_one_line(tmp_path: Path) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text("cross_view_localizer: [1, 2")
    command = [sys.executable, "-m", "cross_view_localizer.ros", "--ros-args", "--params-file"]
    done = subprocess.run([*command, str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("cross_view_localizer: ")


def test_map_in_degrees_works(
    failed: tuple[NodeProcess, Peer], map_file: Path, tmp_path: Path
) -> None:
    """A raster in EPSG:4326 gives the same pose as one in UTM."""
    import numpy as np
    import rasterio
    from rasterio.warp import Resampling, calculate_default_transform, reproject

    with rasterio.open(map_file) as source:
        size = (source.width, source.height)
        transform, width, height = calculate_default_transform(
            source.crs, "EPSG:4326", *size, *source.bounds
        )
        profile = {**source.profile, "crs": "EPSG:4326", "transform": transform}
        profile.update(width=width, height=height)
        pixels = np.zeros((3, height, width), np.uint8)
        reproject(
            source.read(),
            pixels,
            src_transform=source.transform,
            src_crs=source.crs,
            dst_transform=transform,
            dst_crs="EPSG:4326",
            resampling=Resampling.bilinear,
        )
    path = tmp_path / "degrees.tif"
    with rasterio.open(path, "w", **profile) as target:
        target.write(pixels)
    _, peer = failed
    latitude, longitude = world.DATUM.latitude, world.DATUM.longitude
    peer.reconfigure(map=str(path), datum=[latitude, longitude], heading_source="imu_enu")
    stamp = 1_700_000_100 * SECOND
    peer.send_scene(stamp, (5.0, 8.0, 1.0))
    position = peer.with_stamp(f"{NODE}/pose", stamp).pose.pose.position
    assert abs(position.x - 5.0) < 0.7 and abs(position.y - 8.0) < 0.7
