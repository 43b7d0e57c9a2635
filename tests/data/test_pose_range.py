"""Poses unlike the training: found part by part, pulled back gently, and left alone where they are known."""

import numpy as np
import pytest
from stick_figure import Camera, figure, keypoints, stroll

from data import pose_range
from pose_detector.skeleton import ANKLES

PARTS = list(pose_range.PARTS)


@pytest.fixture(scope="module")
def trained():
    return keypoints(figure(stroll(200, 0.4, 0.3, seed=1)), Camera())


def with_strange_arm(poses, frames):
    """The left hand behind the right shoulder, where it never was."""
    result = poses.copy()
    result[frames, 6, :2] = result[frames, 1, :2] - [0, 30]
    result[frames, 7, :2] = result[frames, 2, :2] - [30, 10]
    return result


def test_trained_poses_are_known_wherever_they_stand(trained):
    moved = trained[50:90] * np.float32([0.8, 0.8, 1]) + np.float32([60, 30, 0])
    assert pose_range.strangeness(moved, trained, 25.0).max() < 0.05
    assert np.abs(pose_range.stay_in_range(moved, trained, 25.0) - moved).max() < 1e-3


def test_only_the_strange_part_is_named_and_moved(trained):
    strange = with_strange_arm(trained[:60], slice(20, 40))
    distance = pose_range.strangeness(strange, trained, 25.0)
    far = distance > pose_range.FAR
    assert far[20:40, PARTS.index("left arm")].all() and far.sum() == 20
    pulled = pose_range.stay_in_range(strange, trained, 25.0)
    others = [k for k in range(18) if k not in (6, 7)]
    assert np.abs(pulled - strange)[:, others].max() < 1e-3
    after = pose_range.strangeness(pulled, trained, 25.0)
    assert after[25:35].max() < 1.15 * pose_range.FAR  # smoothing over time leaves it a little beyond
    assert np.array_equal(pulled[..., 2], strange[..., 2])
    # Gently: no jump where the strange moment begins.
    step = lambda k: np.linalg.norm(np.diff(k[:, 7, :2] - strange[:, 7, :2], axis=0), axis=-1).max()  # noqa: E731
    assert step(pulled) < 0.35 * np.linalg.norm(pulled[30, 7, :2] - strange[30, 7, :2])


def test_feet_stay_on_their_floor(trained):
    strange = trained[:60].copy()
    strange[20:40, [9, 10], 0] -= 90  # a leg thrown out
    pulled = pose_range.stay_in_range(strange, trained, 25.0)
    feet = list(ANKLES)
    assert np.abs(pulled[:, feet, 1].max(1) - strange[:, feet, 1].max(1)).max() < 0.01
    assert (pulled[30, 10, 0] - strange[30, 10, 0]) > 20


def test_what_is_not_seen_is_neither_strange_nor_moved(trained):
    holed = trained[:40].copy()
    holed[:, 7] = 0
    distance = pose_range.strangeness(holed, trained, 25.0)
    assert np.isnan(distance[:, PARTS.index("left arm")]).all()
    assert (pose_range.stay_in_range(holed, trained, 25.0)[:, 7] == 0).all()
    nobody = np.zeros_like(holed)
    assert np.isnan(pose_range.strangeness(holed, nobody, 25.0)).all()
    assert np.array_equal(pose_range.stay_in_range(nobody, trained, 25.0), nobody)
