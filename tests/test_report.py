"""What step 1 says and shows of what it saw."""

import re

import cv2
import numpy as np
import pytest
from motion import dance, seen

from data import report
from data.annotations import Annotations
from pose_detector.cleaning import clean
from pose_detector.tracking import Track

SIZE = (512, 288)
FPS = 25.0


def people(n=100, torso=60.0, neck=(256, 90), seed=0):
    """(N, 18, 3)."""
    return seen(dance(np.random.default_rng(seed), n, FPS, torso, neck))


def told(poses, number=1, unseen=None, shift=0.0):
    """Annotations and summary of somebody."""
    found = clean(poses, FPS, people=number)
    n = len(poses)
    annotations = Annotations(
        np.arange(n), np.arange(n) / FPS, found.keypoints, found.filled, FPS, SIZE, n, "a.mp4", 0, "0123"
    )
    return annotations, report.summary(annotations, found.report, unseen, shift)


def advice(*arguments, **more):
    return [line for line in told(*arguments, **more)[1] if line.startswith("advice")]


def test_a_good_video_needs_no_advice():
    _, lines = told(people(), unseen=np.zeros((288, 512), bool))
    assert "100 frames, 1 person" in lines[0] and "100 of them (100%)" in lines[0]
    assert "wrists 100% 100%" in lines[1] and "neck 100%" in lines[1] and "eyes 100% 100%" in lines[1]
    assert not advice(people())


def test_shares_and_gaps_are_counted():
    poses = people()
    poses[10:15, 4] = 0
    poses[40:80, 7] = 0
    _, lines = told(poses)
    assert "wrists 95% 60%" in lines[1]
    assert "0.5 s): 5," in lines[2] and "missing: 40 of 1800" in lines[2]


def gone(poses):
    poses[30:60] = 0


def feet(poses):
    poses[..., 1] += 75
    poses[poses[..., 1] >= 288] = 0


def side(poses):
    poses[20:60, :, 0] += 511 - poses[20:60, :, 0].max(axis=1, keepdims=True)


def small(poses):
    poses[..., :2] = 100 + (poses[..., :2] - 100) / 4


def wrists(poses):
    poses[:70, [4, 7]] = 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (gone, r"not seen in 30 frames, longest from 1\.2 to 2\.4 s"),
        (feet, "feet are cut off in .* film the whole body"),
        (side, "leaves the picture"),
        (small, "small .a torso of 1[3-7] pixels.*frame_area"),
        (wrists, "wrists seldom seen.*exposure"),
    ],
)
def test_what_is_wrong_is_told_with_advice(change, words):
    poses = people(torso=55)
    change(poses)
    assert any(re.search(words, line) for line in advice(poses)), advice(poses)


def test_others_camera_and_room():
    unseen = np.zeros((288, 512), bool)
    unseen[:100] = True
    lines = advice(people(), number=3, unseen=unseen, shift=12.0)
    assert "--person" in lines[0] and "camera moves (by 12" in lines[1] and "never seen" in lines[2]


def test_preview_shows_everybody_and_who_is_chosen():
    chosen, other = people(40, 50, (150, 90)), people(40, 50, (380, 90), seed=1)
    chosen[10:15, 4] = other[20:] = 0
    annotations, _ = told(chosen, 2)
    frames = [np.full((288, 512, 3), 100, np.uint8)] * 40
    drawn = list(report.preview(frames, annotations, [Track(chosen), Track(other)], 0))
    assert len(drawn) == 40 and (frames[0] == 100).all(), "the frames given stay as they are"
    changed = [np.abs(d.astype(int) - 100).max(axis=-1) > 20 for d in drawn]
    assert changed[5][:, 280:].any() and not changed[30][:260, 280:].any()
    red = (np.abs(drawn[12].astype(int) - (255, 0, 0)) < 60).all(axis=-1)
    x, y = annotations.keypoints[12, 4, :2].round().astype(int)
    assert red[y - 2 : y + 3, x - 2 : x + 3].any(), "a filled keypoint is red"
    x, y = annotations.keypoints[30, 4, :2].round().astype(int)
    assert (np.abs(drawn[30][y, x].astype(int) - 204) < 30).all(), "a seen one as light as it is sure"
    assert cv2.norm(drawn[5][:260, :280], drawn[6][:260, :280]) > 0
