"""Requirement files: pinned, and holding what the code of each purpose imports, no more."""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Where the name to import is not the name to install.
INSTALLED_AS = {
    "cv2": "opencv-python-headless",
    "yaml": "pyyaml",
    "pytorch_lightning": "lightning",
    "xdist": "pytest-xdist",
}
# ROS 2's own packages, whatever wheel brings them; cv_bridge and launch only where apt does.
ROS = re.compile(r"(\w+_msgs|\w+_interfaces|rclpy|rpyutils|rosidl_\w+|ament_\w+|cv_bridge)$")


def pinned(name: str) -> dict[str, str]:
    """Return package -> requirement of requirements/<name>.txt and what it includes."""
    found: dict[str, str] = {}
    for line in (ROOT / "requirements" / f"{name}.txt").read_text().splitlines():
        if match := re.match(r"-r (\w+)\.txt", line):
            found |= pinned(match[1])
        elif match := re.match(r"[A-Za-z0-9._-]+", line):
            if not line.startswith("-"):
                found[match[0].lower().replace("_", "-")] = line
    return found


@cache
def imports(path: Path) -> frozenset[str]:
    """Return the dotted names that a file imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def our_file(name: str) -> Path | None:
    base = ROOT.joinpath(*name.split("."))
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


def foreign(start: list[Path]) -> dict[str, Path]:
    """Return the packages from elsewhere that these files import, through our own files too."""
    found: dict[str, Path] = {}
    todo, seen = list(start), set(start)
    while todo:
        path = todo.pop()
        for name in imports(path):
            top = name.split(".")[0]
            if (ROOT / top / "__init__.py").is_file():
                parts = name.split(".")
                for end in range(1, len(parts) + 1):
                    ours = our_file(".".join(parts[:end]))
                    if ours and ours not in seen:
                        seen.add(ours)
                        todo.append(ours)
            elif top not in sys.stdlib_module_names and not ROS.match(top):
                found[INSTALLED_AS.get(top, top).lower().replace("_", "-")] = path
    return found


def missing(start: list[Path], purpose: str) -> dict[str, str]:
    have = pinned(purpose)
    needed = foreign(start)
    return {name: str(path.relative_to(ROOT)) for name, path in needed.items() if name not in have}


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("name", ["core", "ros", "demo", "training", "test", "convert"])
def test_everything_is_pinned_exactly(name: str) -> None:
    loose = [line for line in pinned(name).values() if not re.search(r"==\d[\w.+]*(;|$)", line)]
    assert loose == []


def test_the_vehicle_keeps_numpy_1_and_opencv_4() -> None:
    vehicle = pinned("vehicle")
    assert vehicle["numpy"].startswith("numpy==1.")
    assert re.match(r"opencv-python-headless==4\.", vehicle["opencv-python-headless"])


def test_the_vehicle_takes_no_attrs_that_is_too_old_for_the_map() -> None:
    """Affine of rasterio has cached properties and slots, which attrs knows from 23.2 on."""
    least = re.search(r"(>=|==)(\d+)\.(\d+)", pinned("vehicle")["attrs"])
    assert least and (int(least[2]), int(least[3])) >= (23, 2)


@pytest.mark.parametrize("name", ["core", "ros", "demo", "training", "test", "convert", "vehicle"])
def test_never_asks_for_what_pypi_has_under_another_meaning(name: str) -> None:
    # torchvision must match torch to the build: see core.txt.
    assert not {"launch", "cv-bridge", "torchvision"} & set(pinned(name))


@pytest.mark.parametrize("purpose", ["ros", "vehicle"])
def test_the_package_imports_only_what_the_vehicle_has(purpose: str) -> None:
    package = files("cross_view_localizer")
    have = pinned("core") | pinned("ros") if purpose == "ros" else pinned("vehicle")
    needed = foreign(package)
    assert {n: str(p) for n, p in needed.items() if n not in have} == {}


@pytest.mark.parametrize("entry", ["demo", "demo_real"])
def test_the_demo_needs_no_training_packages(entry: str) -> None:
    start = our_file(f"training.{entry}")
    assert start, f"no training/{entry}.py"
    assert missing([start], "demo") == {}


def test_training_and_tests_find_their_packages() -> None:
    assert missing(files("training"), "training") == {}
    beside = {p.stem for p in files("test")}
    # What makes reference files once is run elsewhere.
    suite = [path for path in files("test") if not path.name.startswith("make_")]
    lacking = missing(suite, "test")
    assert {n: p for n, p in lacking.items() if n.replace("-", "_") not in beside} == {}
