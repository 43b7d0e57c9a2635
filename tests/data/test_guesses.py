"""Hips that a network pulls up into a picture that ends above them."""

import cv2
import numpy as np
import pytest
from maps import STANDING

from data.frame_stats import FrameStats
from data.guesses import drop_guesses, invented
from pose_detector import skeleton

WIDTH = 256


def seen(bottom, torso=80.0, pull=False):
    """(1, 18, 3) and the statistics of somebody who stands with the neck at y = 50 in a picture `bottom` high.
    `pull`: the network places the hips just inside."""
    xy = STANDING * torso + (128, 50)
    if pull:
        xy[[8, 11], 1] = bottom - 3
    pose = np.concatenate([xy, np.ones((18, 1))], axis=1).astype(np.float32)[None]
    pose[pose[..., 1] > bottom - 0.5] = 0
    frame = np.full((bottom, WIDTH, 3), 120, np.uint8)
    outline = np.zeros((bottom, WIDTH), np.uint8)
    for a, b in skeleton.LIMBS[:13]:
        ends = [tuple(np.rint(STANDING[j] * torso + (128, 50)).astype(int).tolist()) for j in (a, b)]
        cv2.line(outline, *ends, 255, round(0.35 * torso))
    stats = FrameStats()
    stats.add_frame(frame)
    stats.add_outline(frame, outline)
    return pose, stats


@pytest.mark.parametrize("bottom", [90, 110, 125])
def test_hips_at_the_edge_are_guesses(bottom):
    pose, stats = seen(bottom, pull=True)
    before, extra = pose.copy(), np.ones((1, 10, 3), np.float32)
    assert invented(pose, stats, (WIDTH, bottom)).tolist() == [True]
    drop_guesses(pose, extra, stats, (WIDTH, bottom))
    assert not pose[0, 8:14].any() and (np.delete(pose, range(8, 14), 1) == np.delete(before, range(8, 14), 1)).all()
    assert not extra[0, 6:].any() and extra[0, :6].all()


@pytest.mark.parametrize(("torso", "bottom"), [(60.0, 130), (40.0, 130), (35.0, 144), (30.0, 144)])
def test_hips_well_inside_are_seen(torso, bottom):
    """Cut off at the thighs, at the shins, at the feet, and not at all."""
    pose, stats = seen(bottom, torso)
    before = pose.copy()
    assert invented(pose, stats, (WIDTH, bottom)).tolist() == [False]
    drop_guesses(pose, np.zeros((1, 10, 3), np.float32), stats, (WIDTH, bottom))
    assert (pose == before).all()


def test_who_sits_on_the_lower_edge_has_hips():
    """Knees are seen, or the outline does not go beyond the edge."""
    pose, stats = seen(125, pull=True)
    pose[0, 9] = (100, 110, 0.9)
    assert not invented(pose, stats, (WIDTH, 125)).any()
    pose, _ = seen(125, pull=True)
    nobody = FrameStats()
    nobody.add_frame(np.full((125, WIDTH, 3), 120, np.uint8))
    nobody.add_outline(np.full((125, WIDTH, 3), 120, np.uint8), None)
    assert not invented(pose, nobody, (WIDTH, 125)).any()
