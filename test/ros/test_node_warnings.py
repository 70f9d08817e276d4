"""What is wrong is said in the log and in diagnostics, and no longer once it is mended."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import node_world as world
import pytest
from harness import Peer, level_of, wait_for
from rcl_interfaces.msg import Log
from sensor_messages import transform_message
from tf2_msgs.msg import TFMessage

from cross_view_localizer.geo import RigidTransform


@pytest.fixture(scope="module")
def node(shared_peer: Peer) -> Peer:
    return shared_peer.begin()


def test_map_warnings_reach_rosout_and_diagnostics(
    node: Peer, map_file: Path, tmp_path: Path
) -> None:
    poor = Path(shutil.copy(map_file, tmp_path / "poor.tif"))
    latitude, longitude = world.DATUM.latitude, world.DATUM.longitude
    poor.with_suffix(".yaml").write_text(
        f"datum: {{latitude: {latitude}, longitude: {longitude}}}\ngsd: 0.9\n"
    )
    log = node.listen("/rosout", Log)
    node.reconfigure(connect=False, map=str(poor))
    words = "m per pixel by its georeference, but 0.9000 by its side file"
    status = node.diagnostic("node", lambda s: words in s.message)
    assert level_of(status) == 1

    def line() -> Any:
        found = (m for m in list(log) if words in m.msg)
        return next(found, None)

    assert level_of(wait_for("the warning on /rosout", line)) == 30  # Log.WARN
    node.forget("/rosout")
    node.reconfigure(map=str(map_file))
    assert level_of(node.diagnostic("node", lambda s: s.message == "active")) == 0


def test_a_corrected_static_transform_is_no_longer_reported(node: Peer) -> None:
    def word(status: Any) -> str:
        values = {pair.key: pair.value for pair in status.values}
        return values.get("last word on tf_static", "")

    node.send_vehicle()  # makes the publisher
    wrong = transform_message("lidar", RigidTransform.identity())
    wrong.transform.rotation.w = 0.0
    for entry in (wrong, transform_message("radar", RigidTransform.identity())):
        node.publish("/tf_static", TFMessage(transforms=[entry]))
        node.diagnostic("prior", lambda s: "base_link -> lidar" in word(s))
    node.send_static_transforms(lidar=RigidTransform.identity())
    node.diagnostic("prior", lambda s: word(s) == "")
