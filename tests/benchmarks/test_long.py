"""Parts of `python benchmarks/long.py`, which takes minutes."""

from itertools import islice

import long
import numpy as np
import pytest

from data import video


def test_to_and_fro_has_no_jump():
    order = list(islice(long.turns(4), 14))
    assert order == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1]


@pytest.mark.parametrize("late", [0, 3])
def test_sound_that_comes_late_is_seen(tmp_path, monkeypatch, late):
    frames = [np.full((32, 48, 3), i, np.uint8) for i in range(4 * long.FPS)]
    long.write(tmp_path / "dance.mp4", iter(frames), (48, 32))
    times = np.arange(late, len(frames)) / long.FPS
    video.write_video(tmp_path / "result.mp4", frames[late:], long.FPS, times, audio_from=tmp_path / "dance.mp4")
    off, ends = long.sound_of(tmp_path / "result.mp4")
    assert off == pytest.approx(late, abs=0.6) and ends < 1.5


def test_outside_is_far_from_every_keypoint():
    pose = np.zeros((18, 3), np.float32)
    pose[[0, 9]] = (40, 30, 1), (44, 50, 1)
    room = long.outside(pose, (96, 160), 10)
    y, x = np.nonzero(~room)
    assert (x.min(), x.max(), y.min(), y.max()) == (30, 53, 20, 59)
    assert long.outside(np.zeros((18, 3), np.float32), (4, 4), 10).all()
