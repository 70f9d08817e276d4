"""Settings for the whole suite."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from localizer_world import PINHOLE, FlatWorld, flat_world
from scripted_model import MOUNT

from cross_view_localizer.estimate import Frame

# A busy machine must not fail a test, and a failure must come again: no deadlines, fixed examples.
settings.register_profile(
    "suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

# What speaks DDS runs in one process, one test after the other: nodes that are alive at the same
# time take the processor from each other, and with it the images.
DDS = ("test/ros/", "test/training/test_bags.py", "test/training/test_demo")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep each file's tests in one process (``-n``), as they share what takes long to make."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = nodeid.split("::")[0]
            return "dds" if file.startswith(DDS) else file

    return ByFile(config, log)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> FlatWorld:
    """A map and what stands on it, for the front door's tests."""
    return flat_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def frame(world: FlatWorld) -> Frame:
    """What a level camera sees of it from the origin."""
    return world.frame((0.0, 0.0, 0.0), PINHOLE, MOUNT)
