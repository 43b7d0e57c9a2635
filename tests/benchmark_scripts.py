"""Lets tests import the modules of benchmarks/, which is no package."""

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
if str(FOLDER) not in sys.path:
    sys.path.append(str(FOLDER))
