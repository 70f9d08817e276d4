"""The package for pip; colcon reads CMakeLists.txt instead and ignores this file.

Beside the Python modules this brings ``cross_view_localizer.msg`` where the environment holds the
generators of the ROS 2 wheels (requirements/ros.txt): the build step runs the same CMake project
into a staging directory and copies the result. An editable install gives no messages; a checkout
needs none (``make venv``).
"""

from __future__ import annotations

import atexit
import re
import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from setuptools import Distribution, find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
PACKAGE = "cross_view_localizer"
sys.path.insert(0, str(ROOT / "cmake"))

from install_interfaces import generate, has_generators  # noqa: E402


class BuildWithMessages(build_py):
    """Copy the modules, then generate the messages beside them."""

    def run(self) -> None:
        super().run()
        if getattr(self, "editable_mode", False):
            return
        if not has_generators():
            print(f"{PACKAGE}: no rosidl generators in {sys.prefix}: installing without messages")
            return
        stage = Path(tempfile.mkdtemp(prefix=f"{PACKAGE}-stage-"))
        atexit.register(shutil.rmtree, stage)  # its files are installed in a later step
        generate(ROOT, stage, "-DINTERFACES_ONLY=ON")
        (generated,) = stage.glob(f"lib/python*/*-packages/{PACKAGE}")
        (generated / "__init__.py").unlink()  # empty; ours merges
        target = Path(self.build_lib) / PACKAGE
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(generated, target, ignore=skipped, dirs_exist_ok=True)
        libraries = [p for p in stage.glob("lib/*.so") if p.is_file()]
        shared = [p for p in stage.glob("share/**/*") if p.is_file()]
        self.distribution.data_files += grouped(stage, libraries + shared)


class BinaryDistribution(Distribution):
    """Generated messages belong to one Python and one platform."""

    def has_ext_modules(self) -> bool:
        return has_generators()


def grouped(base: Path, files: list[Path]) -> list[tuple[str, list[str]]]:
    """Return ``files`` as data_files: (directory below the prefix, its files)."""
    folders: dict[str, list[str]] = defaultdict(list)
    for file in files:
        folders[str(file.parent.relative_to(base))].append(str(file))
    return sorted(folders.items())


def share(*patterns: str) -> list[tuple[str, list[str]]]:
    """Return our own data files below share/<package>."""
    files = [p.relative_to(ROOT) for pattern in patterns for p in ROOT.glob(pattern)]
    return [(f"share/{PACKAGE}/{d}", names) for d, names in grouped(Path(), files)]


version = re.search(r'__version__ = "(.+)"', (ROOT / PACKAGE / "__init__.py").read_text())
if version is None:
    raise SystemExit(f"setup.py: no __version__ in {PACKAGE}/__init__.py")

setup(
    name=PACKAGE,
    version=version[1],
    description="Vision localization against a satellite map, for ROS 2",
    license="Apache-2.0",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={PACKAGE: ["py.typed", "weights/*.safetensors"]},
    data_files=share("package.xml", "launch/*.launch.py", "config/*"),
    python_requires=">=3.10",
    # What is known to work together is pinned in requirements/; these are only the limits.
    install_requires=[
        "attrs>=23.2",  # older ones break rasterio's affine
        "numpy",
        "opencv-python-headless<5",
        "pyproj",
        "PyYAML",
        "rasterio",
        "rosbags-image",
        "safetensors",
        "torch>=2.1",
    ],
    entry_points={
        "console_scripts": [
            f"localizer_node = {PACKAGE}.ros.__main__:main",
            f"ekf_on_first_pose = {PACKAGE}.ros.ekf_on_first_pose:main",
        ]
    },
    cmdclass={"build_py": BuildWithMessages},
    distclass=BinaryDistribution,
    zip_safe=False,
)
