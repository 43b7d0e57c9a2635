"""Values over the frames of a video."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_detector.series import interpolate, spread


@given(count=st.integers(1, 500), most=st.integers(1, 600))
def test_spread_holds_both_ends_and_leaves_equal_gaps(count, most):
    chosen = spread(count, most)
    assert len(chosen) == len(set(chosen.tolist())) == min(count, most)
    assert chosen[0] == 0 and (most == 1 or chosen[-1] == count - 1)
    assert np.ptp(np.diff(chosen)) <= 1 if len(chosen) > 1 else True


def test_gaps_are_straight_and_ends_are_held():
    values = np.array([9, 1, 9, 3, 9], np.float32)
    known = np.array([False, True, False, True, False])
    assert interpolate(values, known).tolist() == [1, 1, 2, 3, 3]
    both = interpolate(np.stack([values, 2 * values], -1), known)
    assert both.shape == (5, 2) and both[:, 1].tolist() == [2, 2, 4, 6, 6]
    with pytest.raises(ValueError):
        interpolate(values, np.zeros(5, bool))
