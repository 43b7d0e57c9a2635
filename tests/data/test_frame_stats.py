"""What is measured of every frame, on pictures whose truth is known."""

import cv2
import numpy as np
import pytest
from rooms import FPS, moved, noisy, room

from data.frame_stats import CELLS, SIDES, FrameStats, cuts, touching


def changes(frames):
    stats = FrameStats()
    for frame in frames:
        stats.add_frame(frame)
    assert len(stats.change) == len(frames) and stats.change[0] == 0
    return stats.change


def found(frames):
    return cuts(changes(frames), FPS).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_cuts_are_found_where_they_are(seed):
    shots = [room(3 * seed + i) for i in range(3)]
    assert found(noisy([shots[0]] * 20 + [shots[1]] * 40 + [shots[2]] * 15)) == [20, 60]


def test_a_cut_to_a_nearer_shot_of_the_same_room():
    far = room(1)
    near = cv2.resize(far[30:102, 60:188], far.shape[1::-1])
    assert found(noisy([far] * 20 + [near] * 20)) == [20]


def test_the_mirrored_room_is_another_shot():
    assert found(noisy([room(1)] * 20 + [room(1)[:, ::-1]] * 20)) == [20]


def test_a_cut_in_a_clip_whose_camera_moves():
    pan = [moved(room(1), 3 * i, 0) for i in range(20)] + [moved(room(2), 0, -2 * i) for i in range(20)]
    assert found(noisy(pan)) == [20]


def shaken():
    rng = np.random.default_rng(0)
    return [moved(room(1), *rng.uniform(-10, 10, 2)) for _ in range(40)]


def dancing():
    """Somebody large whom each frame shows elsewhere."""
    frames = []
    for i in range(40):
        frame = room(1).copy()
        cv2.rectangle(frame, (60 + 13 * (i * 7 % 11), 20), (110 + 13 * (i * 7 % 11), 143), (240, 240, 240), -1)
        frames.append(frame)
    return frames


def exposed():
    return [np.clip(room(1) * (1.0 if i < 20 else 0.75), 0, 255).astype(np.uint8) for i in range(40)]


def faded():
    return [(room(1) * (1 - i / 40)).astype(np.uint8) for i in range(40)]


@pytest.mark.parametrize("make", [shaken, dancing, exposed, faded])
def test_motion_and_light_are_no_cuts(make):
    assert found(noisy(make())) == []


def test_a_flash_is_no_cut():
    frames = [room(1)] * 40
    frames[20] = np.full_like(frames[0], 250)
    assert found(noisy(frames)) == []


@pytest.mark.parametrize("side", SIDES)
def test_an_outline_touches_the_side_that_it_reaches(side):
    person = np.zeros((144, 256), bool)
    person[40:100, 80:140] = True
    assert not touching(person).any()
    reach = {"left": np.s_[60:75, :80], "top": np.s_[:40, 100:115], "right": np.s_[60:75, 140:]}
    person[reach.get(side, np.s_[100:, 100:115])] = True
    touched = touching(person)
    assert np.flatnonzero(touched.any(axis=1)).tolist() == [SIDES.index(side)]
    cells = np.flatnonzero(touched[SIDES.index(side)])
    along = (60, 75, 144) if side in ("left", "right") else (100, 115, 256)
    assert cells[0] == pytest.approx(along[0] / along[2] * CELLS, abs=1)
    assert cells[-1] + 1 == pytest.approx(along[1] / along[2] * CELLS, abs=1)


def test_the_person_is_measured_within_the_outline():
    stats = FrameStats()
    frame = np.full((288, 512, 3), 180, np.uint8)
    frame[40:200, 60:100] = 30
    frame[40:80, 60:100] = 90  # the head of somebody in black: a quarter
    outline = np.zeros((144, 256), np.uint8)  # at half the frame's resolution
    outline[20:100, 30:50] = 255
    stats.add_frame(frame[::2, ::2])
    stats.add_outline(frame, outline)
    stats.add_outline(frame, None)
    assert stats.brightness == [180] and stats.size == [80, 0]
    assert stats.light[0] == pytest.approx(90, abs=2) and stats.light[1] == 0
