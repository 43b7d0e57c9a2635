"""What is measured of every frame, on pictures whose truth is known."""

import cv2
import numpy as np
import pytest

from data.frame_stats import CELLS, SIDES, FrameStats, cuts, longest_shot, picture_bounds, touching

FPS = 25.0


def room(seed, width=256, height=144):
    """A picture (H, W, 3) with as much in it as a room has."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 220, (6, 10), np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    for x, y, w, h in rng.integers(4, (width - 40, height - 40, 40, 40), (12, 4)):
        cv2.rectangle(picture, (int(x), int(y)), (int(x + w), int(y + h)), int(rng.integers(20, 240)), -1)
    return np.repeat(picture[..., None], 3, axis=2)


def changes(frames):
    stats = FrameStats()
    for frame in frames:
        stats.add_frame(frame)
    assert len(stats.change) == len(frames) and stats.change[0] == 0
    return stats.change


def found(frames):
    return cuts(changes(frames), FPS).tolist()


def noisy(frames, seed=0):
    rng = np.random.default_rng(seed)
    return [np.clip(frame + rng.normal(0, 4, frame.shape), 0, 255).astype(np.uint8) for frame in frames]


def moved(frame, x, y):
    return cv2.warpAffine(frame, np.float32([[1, 0, x], [0, 1, y]]), frame.shape[1::-1], borderMode=cv2.BORDER_REFLECT)


@pytest.mark.parametrize("seed", range(3))
def test_cuts_are_found_where_they_are(seed):
    shots = [room(3 * seed + i) for i in range(3)]
    assert found(noisy([shots[0]] * 20 + [shots[1]] * 40 + [shots[2]] * 15)) == [20, 60]


def test_a_cut_to_a_nearer_shot_of_the_same_room():
    far = room(1)
    near = cv2.resize(far[30:102, 60:188], far.shape[1::-1])
    assert found(noisy([far] * 20 + [near] * 20)) == [20]


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


def test_a_flash_does_not_count_twice():
    frames = [room(1)] * 40
    frames[20] = np.full_like(frames[0], 250)
    assert len(found(noisy(frames))) <= 1


def test_the_longest_shot():
    assert longest_shot(np.array([20, 60]), 75) == (20, 60)
    assert longest_shot(np.array([], int), 75) == (0, 75)


def test_black_bars_are_not_the_picture():
    stats = FrameStats()
    for i in range(30):
        frame = np.zeros((144, 256, 3), np.uint8)
        frame[20:110, 30:200] = room(1)[20:110, 30:200]
        if i < 2:
            frame[:] = 200  # a title
        stats.add_frame(noisy([frame // 2 * 2], i)[0] if i else frame)
    assert picture_bounds(stats.bounds, (144, 256)) == (30, 20, 200, 110)
    assert picture_bounds([], (144, 256)) == (0, 0, 256, 144)
    dark = FrameStats()
    dark.add_frame(np.full((144, 256, 3), 5, np.uint8))
    assert picture_bounds(dark.bounds, (144, 256)) == (0, 0, 256, 144)


@pytest.mark.parametrize("side", SIDES)
def test_an_outline_touches_the_side_that_it_reaches(side):
    person = np.zeros((144, 256), bool)
    person[40:100, 80:140] = True
    picture = (10, 5, 250, 140)
    assert not touching(person, picture).any()
    reach = {"left": np.s_[60:75, 10:80], "top": np.s_[5:40, 100:115], "right": np.s_[60:75, 140:250]}
    person[reach.get(side, np.s_[100:140, 100:115])] = True
    touched = touching(person, picture)
    assert np.flatnonzero(touched.any(axis=1)).tolist() == [SIDES.index(side)]
    cells = np.flatnonzero(touched[SIDES.index(side)])
    along = (60 - 5, 75 - 5, 135) if side in ("left", "right") else (100 - 10, 115 - 10, 240)
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
