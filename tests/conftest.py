"""Fixtures that several tests share."""

import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from places import ROOT

# Tests are small: threads would only wait for each other, here and in the steps that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# On a busy machine any example may take long.
hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")


@pytest.fixture
def shared() -> Callable[[str], Path]:
    """shared(name) -> path of a development clip, photo or weight file; skips where there is none."""
    folder = Path(os.environ.get("POSE_TRANSFER_SHARED", ROOT.parent / "shared"))

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            pytest.skip(f"{name} is not at hand (set POSE_TRANSFER_SHARED to the folder that holds it)")
        return path

    return find
