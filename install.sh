#!/usr/bin/env bash
# Makes .venv and installs into it, unless that is done. With "test" as first word also what the tests need.
set -euo pipefail
cd "$(dirname "$0")"

if [ ! -x .venv/bin/python ]; then
    python=
    for name in python3 python3.13 python3.12 python3.11 python3.10 python; do
        if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            python=$name
            break
        fi
    done
    [ -n "$python" ] || { echo "error: no Python 3.10 or newer found; install one and run this again" >&2; exit 2; }
    command -v c++ >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null ||
        { echo "error: no C++ compiler found; install one (Debian, Ubuntu: apt install g++) and run this again" >&2; exit 2; }
    "$python" -m venv .venv
fi

# What is installed is remembered by a checksum of all that decides it.
wanted=$(cat requirements.txt pyproject.toml setup.py pose_detector/pafprocess/*.cpp | cksum)
if [ "$(cat .venv/installed 2>/dev/null)" != "$wanted" ]; then
    echo "installing into .venv (2-5 minutes, once)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
    echo "$wanted" >.venv/installed
fi
if [ "${1:-}" = test ] && [ "$(cat .venv/installed-test 2>/dev/null)" != "$wanted" ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
    echo "$wanted" >.venv/installed-test
fi
