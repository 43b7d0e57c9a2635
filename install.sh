#!/usr/bin/env bash
# Makes .venv and installs into it, unless that is done. With "test" as first word also what the tests need.
set -euo pipefail
exec "$(dirname "$0")/run.sh" --install "$@"
