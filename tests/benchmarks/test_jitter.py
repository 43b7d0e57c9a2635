"""Jitter and errors of fast wrists on known movements."""

import numpy as np
import pytest
from jitter import jitter, wrist_errors


def test_jitter_is_the_deviation_as_a_share_of_the_height():
    keypoints = np.ones((400, 18, 3))
    keypoints[..., :2] = 50 + np.random.default_rng(0).normal(0, 1, (400, 18, 2))
    keypoints[:, 3, 0] += 30  # off, but still
    keypoints[:250, 4, 2] = 0
    visible = np.ones(18, bool)
    visible[5] = False
    found = jitter(keypoints, visible, 200)
    assert np.isnan(found[[4, 5]]).all()
    assert found[[0, 1, 2, 3]] == pytest.approx(np.full(4, 2**0.5 / 200), rel=0.1)


def test_errors_of_the_fast_quarter():
    truth = np.ones((100, 18, 3))
    truth[:, [8, 11], 1] = 41  # a torso of 40
    truth[80:, [4, 7], 0] = 8 * np.arange(20)[:, None]
    keypoints = truth.copy()
    keypoints[85:, 4, 0] -= 8  # one frame late
    keypoints[90, 7, 2] = 0
    visible = np.ones((100, 18), bool)
    visible[:50] = False
    errors = wrist_errors(keypoints, truth, visible, fps=25)
    assert len(errors["all"]) == 100 and 25 <= len(errors["fast"]) <= 40 and errors["speed"].min() >= 2.5
    assert np.isnan(errors["fast"]).sum() == 1 and np.nanmax(errors["fast"]) == pytest.approx(0.2)
    assert np.nanquantile(errors["all"], 0.8) == 0
