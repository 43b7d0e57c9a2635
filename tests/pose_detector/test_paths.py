"""Dynamic programming against trying everything."""

from itertools import pairwise, product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_detector.cleaning.paths import best_course, cheapest_path


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), times=st.integers(1, 5), count=st.integers(1, 3))
def test_no_path_is_cheaper(seed, times, count):
    rng = np.random.default_rng(seed)
    states, changes = rng.random((times, 2, count)), rng.random((times - 1, 2, count, count))
    found = cheapest_path(states, changes)
    assert found.shape == (times, 2)

    def cost(path, k):
        stays = sum(states[t, k, s] for t, s in enumerate(path))
        return stays + sum(changes[t, k, a, b] for t, (a, b) in enumerate(pairwise(path)))

    for k in range(2):
        least = min(cost(path, k) for path in product(range(count), repeat=times))
        assert np.isclose(cost(found[:, k].tolist(), k), least)


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), frames=st.integers(1, 7), reach=st.integers(1, 4))
def test_no_course_earns_more(seed, frames, reach):
    rng = np.random.default_rng(seed)
    earned = np.where(rng.random((frames, 2)) < 0.2, -np.inf, rng.random((frames, 2)))
    prices = rng.choice([0.0, 0.5, 2.0], (frames, reach, 2))
    found = best_course(earned, prices, reach)

    def worth(chosen, k):
        steps = pairwise(chosen)
        return sum(earned[t, k] for t in chosen) - sum(
            prices[b, reach - (b - a), k] for a, b in steps if b - a <= reach
        )

    for k in range(2):
        every = (np.flatnonzero(bits) for bits in product((0, 1), repeat=frames))
        assert np.isclose(worth(np.flatnonzero(found[:, k]), k), max(worth(chosen, k) for chosen in every))
