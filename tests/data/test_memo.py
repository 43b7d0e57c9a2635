"""What is noted of slow calls is told again, as far as it is whole and belongs to the same calls."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from data.memo import Memo

COUNT = 5


def result(number):
    rng = np.random.default_rng(number)
    return [rng.random((number, 3)).astype(np.float32), rng.integers(0, 256, (4, 4), np.uint8), np.array(number)]


def run(path, numbers=range(COUNT)):
    """Make the calls of these numbers. Returns their results, and for which of them something was computed."""
    computed = []

    def compute(number):
        computed.append(number)
        return result(number)

    with Memo(path) as memo:
        return [memo([number, 0.5], lambda number=number: compute(number)) for number in numbers], computed


def same(results, numbers=range(COUNT)):
    for found, number in zip(results, numbers, strict=True):
        for a, b in zip(found, result(number), strict=True):
            assert a.dtype == b.dtype and np.array_equal(a, b)
    return True


def test_what_was_computed_once_is_recalled(tmp_path):
    assert run(tmp_path / "memo")[1] == list(range(COUNT))
    results, computed = run(tmp_path / "memo")
    assert same(results) and not computed
    assert run(None)[1] == list(range(COUNT)) and run(None)[1] == list(range(COUNT))


@settings(deadline=None)
@given(st.floats(0, 1), st.booleans())
def test_what_is_cut_off_or_damaged_is_computed_again(tmp_path_factory, place, cut):
    path = tmp_path_factory.mktemp("m") / "memo"
    run(path)
    content = bytearray(path.read_bytes())
    at = min(int(place * len(content)), len(content) - 1)
    if cut:
        del content[at:]
    else:
        content[at] ^= 1 + at % 255
    path.write_bytes(content)
    results, computed = run(path)
    assert same(results) and computed == list(range(COUNT - len(computed), COUNT)) and computed
    assert not run(path)[1]


def test_from_another_call_on_nothing_is_recalled(tmp_path):
    run(tmp_path / "memo")
    results, computed = run(tmp_path / "memo", [0, 1, 7, 3, 4])
    assert same(results, [0, 1, 7, 3, 4]) and computed == [7, 3, 4]
    assert run(tmp_path / "memo", [0, 1, 7, 3, 4, 5])[1] == [5]
