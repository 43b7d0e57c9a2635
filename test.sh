#!/usr/bin/env bash
# Installs (once) and passes the tests. Words after it go to pytest: ./test.sh -k video
set -euo pipefail
cd "$(dirname "$0")"
echo "tests: install (2-5 minutes, once), check style, run pytest (about 5 minutes on two cores)"
./install.sh test
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/python -m pytest "$@"
