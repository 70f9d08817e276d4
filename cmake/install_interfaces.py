"""Generate our messages, and tf2_msgs where it is missing, into the running Python's environment.

Run by ``make``, with the Python of a virtual environment that holds ROS 2 wheels:

    .venv/bin/python cmake/install_interfaces.py

A checkout then runs as it is: the environment gets the generated ``cross_view_localizer.msg``
without a copy of our code, and a path file that lets ``import cross_view_localizer`` find the
checkout from anywhere; the package's ``__init__`` merges the two.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "cross_view_localizer"


def tool(name: str) -> str:
    """Return the path of a program, preferring the environment's own."""
    found = shutil.which(
        name, path=os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ.get("PATH", "")])
    )
    if not found:
        raise SystemExit(f"interfaces: no {name} found; run 'make venv', or install {name}")
    return found


def compiler() -> tuple[str, str]:
    """Return a C and a C++ compiler; CC and CXX win."""
    c = os.environ.get("CC") or next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    cxx = os.environ.get("CXX") or next(
        filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None
    )
    if not c or not cxx:
        raise SystemExit(
            "interfaces: no C/C++ compiler found, which the ROS 2 messages need;"
            " install one (Debian, Ubuntu: apt install g++) or set CC and CXX"
        )
    return c, cxx


def generate(source: Path, prefix: Path, *options: str) -> None:
    """Configure, build and install a CMake project of interfaces into ``prefix``.

    Raises:
        SystemExit: one line with the log's place, where a step fails.
    """
    c, cxx = compiler()
    environment = dict(os.environ)
    # pip's build isolation hides this environment from child Pythons through a sitecustomize.
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    kept = [path for path in paths if path and not (Path(path) / "sitecustomize.py").exists()]
    environment["PYTHONPATH"] = os.pathsep.join(kept)
    environment["PATH"] = os.pathsep.join([str(Path(sys.prefix) / "bin"), environment["PATH"]])
    environment["AMENT_PREFIX_PATH"] = sys.prefix  # where type supports are looked for
    build = Path(tempfile.mkdtemp(prefix=f"{source.name}-interfaces-"))
    log = build / "build.log"
    steps = [
        [tool("cmake"), "-S", str(source), "-B", str(build), "-G", "Ninja"]
        + [f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}", "-DCMAKE_BUILD_TYPE=Release"]
        + [f"-DCMAKE_C_COMPILER={c}", f"-DCMAKE_CXX_COMPILER={cxx}", "-DBUILD_TESTING=OFF"]
        + [f"-DPython3_EXECUTABLE={sys.executable}", f"-DCMAKE_INSTALL_PREFIX={prefix}"]
        + [f"-DCMAKE_PREFIX_PATH={sys.prefix}", *options],
        [tool("cmake"), "--build", str(build)],
        [tool("cmake"), "--install", str(build)],
    ]
    with log.open("w") as out:
        for step in steps:
            if subprocess.run(step, stdout=out, stderr=out, env=environment).returncode:
                raise SystemExit(f"interfaces: {source.name} failed to build; the log is {log}")
    shutil.rmtree(build)


def has_generators() -> bool:
    """Return whether the running Python's environment holds the ROS 2 wheels' generators."""
    return (Path(sys.prefix) / "share" / "rosidl_default_generators").is_dir()


def main() -> None:
    """Install what the environment lacks."""
    prefix = Path(sys.prefix)
    if sys.prefix == sys.base_prefix:
        raise SystemExit("interfaces: run this with a virtual environment's Python")
    if not has_generators():
        raise SystemExit(
            f"interfaces: {prefix} has no rosidl generators: pip install -r requirements/ros.txt"
        )
    packages = Path(sysconfig.get_path("purelib"))
    if not (packages / "tf2_msgs").is_dir():
        generate(ROOT / "cmake" / "tf2_msgs", prefix)
    generate(ROOT, prefix, "-DINTERFACES_ONLY=ON")
    # The generated empty __init__ would hide the checkout from anyone outside it.
    (packages / PACKAGE / "__init__.py").unlink()
    # Nor is this a distribution that pip could upgrade or remove.
    for metadata in packages.glob(f"{PACKAGE}-*.egg-info"):
        shutil.rmtree(metadata)
    (packages / f"{PACKAGE}_checkout.pth").write_text(f"{ROOT}\n")


if __name__ == "__main__":
    main()
