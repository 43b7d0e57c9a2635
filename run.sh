#!/usr/bin/env bash
# From two videos to the result, see run.py, which does it: this finds a Python for it.
#   ./run.sh                                  the sample pair
#   ./run.sh TRAIN.mp4 TEST.mp4 [settings]    your own; settings as of the steps, e.g. --epochs 60
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

for name in python3 python3.13 python3.12 python3.11 python3.10 python; do
    if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
        exec "$name" "$here/run.py" "$@"
    fi
done
echo "error: no Python 3.10 or newer found; install one and run this again" >&2
exit 2
