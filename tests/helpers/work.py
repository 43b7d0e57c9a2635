"""How much a call does, told by counts that do not depend on the machine."""

import sys
import tracemalloc
from collections.abc import Callable


def work_of(function: Callable[[], object]) -> tuple[int, int]:
    """Number of functions that a call calls, Python's and C's, and the most bytes that it holds at once."""
    calls = 0

    def count(_frame, event: str, _argument) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    tracemalloc.start()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return calls, peak
