from __future__ import annotations

from pathlib import Path

import flat_world as world
import pytest


@pytest.fixture(scope="session")
def map_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = world.write_map(tmp_path_factory.mktemp("map") / "flat.tif")
    datum = f"datum: {{latitude: {world.DATUM.latitude}, longitude: {world.DATUM.longitude}}}\n"
    path.with_suffix(".yaml").write_text(datum)
    return path
