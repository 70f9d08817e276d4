"""make's set-up ends with one line that says what to do where a machine lacks something."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "cmake" / "make_venv.sh"


def program(folder: Path, name: str, script: str) -> Path:
    """Put an executable shell script where PATH finds it first."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def make_venv(folder: Path, *arguments: str, path: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path, "HOME": str(folder)}
    return subprocess.run(
        ["/bin/bash", str(SCRIPT), str(folder / "venv"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with the few programs that the script calls, and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("uname", "head", "rm"):
        found = next(p for d in ("/bin", "/usr/bin") if (p := Path(d) / name).exists())
        (folder / name).symlink_to(found)
    return folder


def test_an_old_python_is_named(tmp_path: Path, tools: Path) -> None:
    program(tools, "python3", 'case "$1" in --version) echo Python 3.8.18;; *) exit 1;; esac')
    done = make_venv(tmp_path, path=str(tools))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "3.10 to 3.13" in line and "Python 3.8.18" in line and "PYTHON=" in line
    assert not (tmp_path / "venv").exists()


def test_no_python_at_all(tmp_path: Path, tools: Path) -> None:
    done = make_venv(tmp_path, path=str(tools))
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "set-up: needs CPython" in done.stderr


def test_a_missing_compiler_is_named(tmp_path: Path, tools: Path) -> None:
    program(tools, "python3", f'exec {os.path.realpath(sys.executable)} "$@"')
    done = make_venv(tmp_path, path=str(tools))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "no C++ compiler" in line and "apt install g++" in line


def test_another_machine_is_named(tmp_path: Path, tools: Path) -> None:
    (tools / "uname").unlink()
    program(tools, "uname", "echo Darwin arm64")
    done = make_venv(tmp_path, path=str(tools))
    assert done.returncode == 1
    assert "Linux x86_64 only" in done.stderr and len(done.stderr.splitlines()) == 1


def test_demo_real_without_samples_says_how(tmp_path: Path) -> None:
    # What make finds installed is not made again: only the check of the folder is left.
    done = subprocess.run(
        ["make", "-C", str(ROOT), "--no-print-directory", "-o", "venv", "demo-real", "SAMPLES=/no"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "no folder /no; say where the samples are" in done.stderr
