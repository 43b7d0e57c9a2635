"""A slice of `python benchmarks/hostile.py`, which damages all that the steps read."""

import os
import subprocess
import sys

import pytest
from person import workspace
from places import ROOT


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_damaged_files_and_settings_end_well(tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks" / "hostile.py"), "--count", "24", "--workers", "1"]
    command += ["--workspace", str(workspace(tmp_path / "work", count=8)), "--kinds", "arrays", "settings", "poses"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line[:1].isalpha()}
    assert rows["arrays"][0] == "12" and rows["arrays"][3] == "0" and "wrong: none" in done.stdout
