"""Readers by name: mistakes end in one line that names what is expected."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from training.datasets import registry
from training.datasets.pair import DatasetError


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._READERS, "plain", ("plain_reader", "PlainReader"))


def test_a_reader_is_built_with_its_options(plain: None) -> None:
    assert "plain" in registry.names()
    assert registry.options("plain") == ("root", "split", "count")
    assert len(registry.build("plain", root=".", count=3)) == 3


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("vigour", {}, "expected one of cvact, ford"),
        ("plain", {"root": ".", "areas": 1}, "no option 'areas': expected some of root, split"),
        ("plain", {}, "needs 'root'"),
        ("plain", {"root": "gone"}, "gone: no such folder"),
    ],
)
def test_a_mistake_is_one_line(
    plain: None, name: str, options: dict[str, object], said: str
) -> None:
    with pytest.raises(DatasetError, match=said) as error:
        registry.build(name, **options)
    assert "\n" not in str(error.value)


def test_every_reader_is_where_the_registry_says() -> None:
    for module, attribute in registry._READERS.values():
        path = Path(__file__).parents[2].joinpath(*module.split(".")).with_suffix(".py")
        assert f"class {attribute}(" in path.read_text(), module


def test_no_reader_is_imported_before_it_is_asked_for() -> None:
    code = "import sys, training.datasets.registry; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "training.datasets.kitti" not in loaded.stdout.split()
