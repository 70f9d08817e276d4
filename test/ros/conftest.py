from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import node_world as world
import pytest


@pytest.fixture(scope="session")
def map_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = world.write_map(tmp_path_factory.mktemp("map") / "flat.tif")
    latitude, longitude = world.DATUM.latitude, world.DATUM.longitude
    datum = f"datum: {{latitude: {latitude}, longitude: {longitude}}}\n"
    path.with_suffix(".yaml").write_text(datum)
    return path


@pytest.fixture(scope="session")
def shared_peer(map_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """The peer of one active node for all modules: starting one takes longer than most tests.

    A module begins with ``peer.begin(...)``, which configures the node anew.
    """
    from harness import running

    folder = tmp_path_factory.mktemp("node")
    with running(folder, map=str(map_file)) as (_, peer):
        peer.listen_to_results()
        peer.send_vehicle()
        yield peer
