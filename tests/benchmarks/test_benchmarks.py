"""Importing a benchmark has no effect and needs nothing that the library does not have."""

import importlib

import pytest
from places import ROOT

SHARED = {"common", "judge", "mutations", "tiny_pair"}  # no programs
NAMES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_can_be_imported(name, capsys):
    module = importlib.import_module(name)
    assert module.__doc__ and (name in SHARED or callable(module.main))
    assert capsys.readouterr().out == ""
