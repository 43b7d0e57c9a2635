"""Compiles pafprocess; everything else is in pyproject.toml."""

import sys

from pybind11.setup_helpers import Pybind11Extension
from setuptools import setup

setup(
    ext_modules=[
        Pybind11Extension(
            "pose_detector.pafprocess._pafprocess",
            ["pose_detector/pafprocess/pafprocess.cpp"],
            cxx_std=17,
            # No fused multiply-add, which ARM has by default: the last bits are then those of x86.
            extra_compile_args=["/O2"] if sys.platform == "win32" else ["-O3", "-ffp-contract=off"],
        )
    ]
)
