"""What step 1 measures while frames pass through its two looks, on a video file whose truth is known."""

import cv2
import numpy as np
import pytest
from clip_maker import write_clip
from looks import StubLooker
from maps import STANDING

from data.detecting import find_people, look_closely
from data.frame_stats import BOTTOM, FrameStats, cuts

WHOLE, COUNT, TORSO = (256, 144), 16, 35
PICTURE = (16, 0, 240, 128)  # what is no bar: left, top, right, bottom
SIZE = (224, 128)


def place(i):
    """(18, 3) in the picture of somebody who walks to the right, and down beyond the picture from the frame 10 on."""
    xy = STANDING * TORSO + (44 + 6 * i, 30 if i < 10 else 70)
    return np.concatenate([xy, np.ones((18, 1))], axis=1).astype(np.float32)


@pytest.fixture
def clip(tmp_path):
    frames = []
    for i in range(COUNT):
        frame = np.full((WHOLE[1], WHOLE[0], 3), 90 if i < 6 else 150, np.uint8)
        frame[40:80, 30:90] = 40 if i < 6 else 220
        frame[20:100, 140:200] = 200 if i < 6 else 60  # another room from the frame 6 on
        x, y = (place(i)[1, :2] + PICTURE[:2]).round().astype(int)
        cv2.rectangle(frame, (int(x - 6), int(y - 6)), (int(x + 6), int(y + 6)), (250, 0, 0), -1)
        frame[PICTURE[3] :], frame[:, : PICTURE[0]], frame[:, PICTURE[2] :] = 0, 0, 0
        frames.append(frame)
    return write_clip(tmp_path / "a.mp4", frames, options={"crf": "10"})


def find(frame):
    """Somebody whose neck is the red square."""
    y, x = np.nonzero((frame[..., 0] > 180) & (frame[..., 1] < 80))
    pose = place(0).copy()
    pose[:, :2] += (x.mean(), y.mean()) - place(0)[1, :2]
    return pose


def detector(batches):
    for batch in batches:
        yield [(np.zeros((0, 18, 2), np.float32), np.zeros((0, 18), np.float32))] * len(batch)


def test_both_looks_measure_every_frame(clip):
    stats = FrameStats()
    detections, times, _, worn = find_people(clip, SIZE, detector, 5, None, COUNT, stats, crop=PICTURE)
    assert len(detections) == len(times) == len(stats.brightness) == len(worn) == COUNT
    assert cuts(stats.change, 25.0).tolist() == [6]

    first = np.array([place(i) for i in range(COUNT)])
    beside = first.copy()
    beside[..., 0] += 80
    close = look_closely(clip, SIZE, first, StubLooker(find), None, stats, [first, beside], crop=PICTURE)
    assert len(stats.size) == len(stats.light) == len(stats.contacts) == COUNT
    touches = np.array(stats.contacts).any(axis=2)
    assert touches[10:, BOTTOM].all() and not touches[:10].any()
    assert np.median(stats.size[:10]) == pytest.approx(2.9 * TORSO, rel=0.1)
    assert (close.outside[0] < 0.5).all() and (close.outside[1] > 0.5).all()
    assert close.confirmed == pytest.approx([1, 0]), "nobody is beside the dancer"
    assert close.keypoints[5, 10, 2] > 0 and (close.keypoints[10:, [10, 13], 2] == 0).all()
    assert close.keypoints[..., 1].max() < SIZE[1], "nothing is seen in a black bar"


def test_whoever_is_seen_instead_of_the_dancer_may_be_the_dancer(clip):
    first = np.array([place(i) for i in range(COUNT)])
    nobody = look_closely(clip, SIZE, first, StubLooker(lambda _: None), None, None, [first], crop=PICTURE)
    assert not nobody.found.any() and (nobody.outside == 0).all()


def test_without_measurements_nothing_changes(clip):
    first = np.array([place(i) for i in range(COUNT)])
    plain = look_closely(clip, SIZE, first, StubLooker(find), None, crop=PICTURE)
    assert plain.found.all() and plain.outside.shape == (0, COUNT)
    assert plain.keypoints[12, 8, 2] > 0, "inside the frame"
