"""Keypoints in pictures of another size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_detector.keypoints import scale_keypoints, scale_points

SIZE = (200, 100)


@given(width=st.integers(32, 900), height=st.integers(32, 900))
def test_edges_stay_at_the_edges_and_the_way_back_is_the_same(width, height):
    scale = np.divide((width, height), SIZE)
    edges = scale_points(np.array([[-0.5, -0.5], [199.5, 99.5]]), scale)
    assert edges == pytest.approx(np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]]))
    pose = np.ones((2, 18, 3), np.float32)
    pose[..., 0], pose[..., 1] = 60 + 4 * np.arange(18), 20 + 3 * np.arange(18)
    there = scale_keypoints(pose, scale)
    assert there.dtype == np.float32
    assert scale_keypoints(there, 1 / scale) == pytest.approx(pose, abs=1e-3)


def test_missing_keypoints_stay_missing_and_the_argument_as_it_is():
    pose = np.array([[10, 20, 0.5], [7, 7, 0]], np.float32)
    moved = scale_keypoints(pose, 2.0)
    assert moved.tolist() == [[20.5, 40.5, 0.5], [0, 0, 0]]
    assert pose[1].tolist() == [7, 7, 0]
