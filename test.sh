#!/usr/bin/env bash
# Installs (once) and passes the tests but the slow ones; with --all as its first word, all. Other words go to pytest:
# ./test.sh -k video
set -euo pipefail
cd "$(dirname "$0")"
if [ "${1:-}" = "--all" ]; then
    shift
    which=()
    minutes=6
else
    which=(-m "not slow")
    minutes=4
fi
echo "tests: install (2-5 minutes, once), check style, run pytest (about $minutes minutes on two cores)"
./install.sh test
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/python -m pytest --durations=15 ${which[@]+"${which[@]}"} "$@"
