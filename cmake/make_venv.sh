#!/usr/bin/env bash
# make_venv.sh VENV [PYTHON]: make the virtual environment VENV with a Python that the ROS 2 wheels exist for.
set -u

venv=$1
wanted=${2:-}

fail() {
  echo "set-up: $*" >&2
  exit 1
}

[ "$(uname -sm)" = "Linux x86_64" ] || fail "this is $(uname -sm); the ROS 2 wheels exist for Linux x86_64 only (elsewhere: ROS 2 from apt, see README)"

fits='import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))'
python=
for candidate in ${wanted:-python3 python3.11 python3.12 python3.13 python3.10}; do
  if "$candidate" -c "$fits" >/dev/null 2>&1; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  found=$("${wanted:-python3}" --version 2>&1 | head -n 1)
  fail "needs CPython 3.10 to 3.13, found ${found:-none}; install one and say make PYTHON=python3.11 …"
fi

"$python" -c 'import ensurepip, venv' 2>/dev/null || fail "$python has no venv module; install it (Debian, Ubuntu: apt install python3-venv)"
"$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
  fail "$python has no headers, which the ROS 2 messages need; install them (Debian, Ubuntu: apt install python3-dev)"
command -v "${CXX:-c++}" >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null ||
  fail "no C++ compiler, which the ROS 2 messages need; install one (Debian, Ubuntu: apt install g++) or set CC and CXX"

echo "Making $venv with $("$python" --version) …"
"$python" -m venv "$venv" || { rm -rf "$venv"; fail "$python could not make $venv"; } # half made must not look made
