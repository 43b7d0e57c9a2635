"""Wall time and peak memory of each of the five steps on the sample pair (or another), as run.sh runs them.

python benchmarks/steps.py --workspace FOLDER [settings of the steps]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import STEPS

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ["--train_video", str(ROOT / "data/sample/train.mp4"), "--test_video", str(ROOT / "data/sample/test.mp4")]


def measure(command: list[str]) -> tuple[float, float]:
    """Wall seconds and peak resident megabytes of a command; ends this process if it fails."""
    began = time.monotonic()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    scale = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, kilobytes elsewhere
    return time.monotonic() - began, usage.ru_maxrss / scale


def main() -> None:
    settings = sys.argv[1:]
    if "--train_video" not in settings:
        settings = [*SAMPLE, "--second_look", "bundled", "--max_minutes", "2", *settings]
    if "--workspace" not in settings:
        settings += ["--workspace", tempfile.mkdtemp()]
    rows = [(name, *measure([sys.executable, str(ROOT / step[0]), *step[1:], *settings])) for name, *step in STEPS]
    print(f"\n{'':14}{'seconds':>9}{'peak MB':>9}")
    for name, seconds, memory in rows:
        print(f"{name:14}{seconds:9.1f}{memory:9.0f}")
    print(f"{'all':14}{sum(row[1] for row in rows):9.1f}{max(row[2] for row in rows):9.0f}")


if __name__ == "__main__":
    main()
