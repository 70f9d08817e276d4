"""Settings of training's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from training.datasets import file_stamps


@pytest.fixture(scope="session", autouse=True)
def _no_stamps_in_the_checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is remembered of files stays in the tests' own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_stamps, "FOLDER", tmp_path_factory.mktemp("stamps"))
        yield
