"""Arrays that lie in memory or in a file."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from main import store
from main.store import Store


@pytest.fixture(params=["memory", "file"])
def filled(request, tmp_path, monkeypatch):
    """A store, and what it holds."""
    if request.param == "file":
        monkeypatch.setattr(store, "MOST", 1000)
    truth = np.random.default_rng(0).integers(0, 256, (30, 67, 41, 4), dtype=np.uint8)  # no multiple of a page
    made = Store(truth.shape, tmp_path)
    assert (made._file is None) == (request.param == "memory")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: made.__setitem__(i, truth[i]), range(len(truth))))
    return made, truth


def test_what_is_set_is_there(filled):
    made, truth = filled
    assert len(made) == 30 and made.shape == truth.shape
    for ours, theirs in zip(made, truth, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(made[-1], truth[-1])
    with pytest.raises(IndexError):
        made[30]


def test_another_process_reads_it_from_a_file(filled, tmp_path):
    made, truth = filled
    made.save(tmp_path / "a")
    np.testing.assert_array_equal(np.stack(list(Store(truth.shape, path=tmp_path / "a"))), truth)


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "MOST", 10)
    made = Store((4, 100), tmp_path)
    made[3] = np.full(100, 7, np.uint8)
    assert (made[3] == 7).all()
    del made
    assert not list(tmp_path.iterdir())
