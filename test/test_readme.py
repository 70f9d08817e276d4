"""What the README says of parameters, reasons and files is what the code has."""

from __future__ import annotations

import re
from pathlib import Path

from cross_view_localizer.estimate import Reason
from cross_view_localizer.ros.parameters import markdown

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def test_the_table_of_parameters_is_the_nodes() -> None:
    assert markdown().strip() in README  # python -m cross_view_localizer.ros.parameters prints it


def test_every_reason_for_silence_is_explained() -> None:
    missing = [reason.value for reason in Reason if f"`{reason.value}`" not in README]
    assert not missing


def test_every_reason_is_given_by_some_code() -> None:
    package = ROOT / "cross_view_localizer"
    code = "".join(p.read_text() for p in package.rglob("*.py") if p.name != "estimate.py")
    unused = [
        r.value for r in Reason if f"Reason.{r.name}" not in code and f'"{r.value}"' not in code
    ]
    assert not unused


def test_no_reason_is_explained_that_nobody_gives() -> None:
    table = README.split("### When nothing is published")[1].split("### Parameters")[0]
    first = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {name for cell in first for name in re.findall(r"`(\w+)`", cell)}
    assert named == {reason.value for reason in Reason}


def test_the_files_and_modules_it_names_exist() -> None:
    for name in re.findall(r"\]\((docs/[^)]+)\)|(training/configs/\w+\.yaml)", README):
        assert (ROOT / next(filter(None, name))).is_file(), name
    for module in re.findall(r"python -m (training[\w.]*)", README):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module
