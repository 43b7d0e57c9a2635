"""A few kills of steps 3 and 4; `python benchmarks/kills.py` does many of every step."""

import subprocess
import sys

import pytest
from person import workspace
from places import ROOT


@pytest.mark.slow
def test_a_killed_step_run_again_gives_what_an_undisturbed_one_gives(tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks" / "kills.py"), "--kills", "2", "--steps", "train", "test"]
    command += ["--workspace", str(workspace(tmp_path / "work", count=8))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {line.split()[0]: line.split()[2::2] for line in done.stdout.splitlines()[1:]}
    assert rows == {"train": ["2", "2"], "test": ["2", "2"]}
