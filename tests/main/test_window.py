"""The person's window: where it lies, and how it is cut out and put back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from person import SIZE, painted

from main import window


@given(st.integers(-20, 60), st.integers(-20, 60), st.integers(1, 70), st.integers(1, 70))
def test_what_is_cut_out_goes_back_to_its_place(x, y, width, height):
    picture = np.arange(40 * 50, dtype=np.float32).reshape(40, 50)
    origin = np.array([min(x, 49), min(y, 39)])
    origin = np.maximum(origin, 1 - np.array([width, height]))  # some of it lies within
    part = window.cut(picture, origin, (width, height))
    assert part.shape == (height, width)
    there = np.full_like(picture, -1)
    window.paste(there, part, origin)
    inside = there >= 0
    np.testing.assert_array_equal(there[inside], picture[inside])
    columns = min(origin[0] + width, 50) - max(origin[0], 0)
    assert inside.sum() == columns * (min(origin[1] + height, 40) - max(origin[1], 0))


def test_what_lies_beyond_is_lost():
    picture = np.zeros((10, 10))
    window.paste(picture, np.ones((5, 5)), np.array([20, 3]))
    assert not picture.any()


@pytest.mark.parametrize("most", [30, 60])
def test_a_person_is_shrunk_to_what_is_allowed_and_never_enlarged(most):
    poses = painted(12)[1]
    heights = np.ptp(poses[..., 1], axis=1)
    size = window.generated_size(poses, SIZE, most)
    assert np.percentile(heights, 99) * size[1] / SIZE[1] == pytest.approx(most, rel=0.02) or min(size) == 64
    assert window.generated_size(poses, SIZE, 500) == SIZE


def test_frames_that_do_not_follow_each_other_have_the_person_in_the_middle():
    poses = painted(12)[1]
    poses[6:, :, 0] += 60
    steady, apart = (window.window_origins(poses, (64, 96), (320, 128), smooth) for smooth in (True, False))
    middle = (poses[..., 0].min(1) + poses[..., 0].max(1)) / 2
    assert np.abs(apart[:, 0] + 32 - middle).max() < 8 < np.abs(steady[5:7, 0] + 32 - middle[5:7]).max()
