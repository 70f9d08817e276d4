"""Settings of training's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from training.datasets import town_cache
from training.datasets.checking import file_stamps


@pytest.fixture(scope="session", autouse=True)
def _nothing_kept_in_the_checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is remembered of files, and rendered of towns, stays in the tests' own folders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_stamps, "FOLDER", tmp_path_factory.mktemp("stamps"))
        patch.setattr(town_cache, "FOLDER", tmp_path_factory.mktemp("towns"))
        yield
