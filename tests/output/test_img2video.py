"""Step 5 on dances whose sound or frames are out of the ordinary."""

from itertools import islice

import av
import cv2
import numpy as np
import pytest
from clip_maker import beeps, moving_square, onsets, read_clip, read_sound
from media_maker import cut_by_edit_list, rename_format, tone, write_media
from rendered import step_5

from data import video
from output import img2video
from pose_detector.errors import InputError


@pytest.fixture
def run(tmp_path):
    """Step 5 for a dance."""
    return lambda source, target_picture=None: step_5(tmp_path / "work", source, target_picture)


def test_sound_is_in_both_videos_and_said(tmp_path, run, capsys):
    path = write_media(tmp_path / "a.mkv", moving_square(50), [beeps([0.5, 1.5], 2)[None]], first=0.4)
    for made in run(path):
        samples, rate = read_sound(made)
        heard = onsets(np.abs(samples), np.arange(len(samples)) / rate, 0.2)
        assert np.allclose(heard, [0.5, 1.5], atol=0.03)
    assert "with its sound" in capsys.readouterr().out


def test_sound_that_is_lost_is_not_announced(tmp_path, run, capsys):
    path = write_media(tmp_path / "a.mov", moving_square(25), [tone(500, 1)], sound_codec="pcm_s16le")
    rename_format(path, b"sowt", b"apac")
    for made in run(path):
        with av.open(str(made)) as container:
            assert not container.streams.audio
    out = capsys.readouterr().out
    assert "without sound" in out and "with its sound" not in out


def test_the_bars_of_the_training_video_are_laid_around(tmp_path, run):
    path, frame = write_media(tmp_path / "a.mp4", moving_square(10)), tmp_path / "work" / "data/source/train_frame.png"
    frame.parent.mkdir(parents=True)
    cv2.imwrite(str(frame), np.full((100, 120, 3), 200, np.uint8))
    shown = read_clip(run(path, np.array([12, 20, 108, 84]))[0])[0][5]
    assert shown.shape == (100, 120, 3) and shown[24:80, 16:104].max() < 40
    assert min(shown[:16].min(), shown[88:].min(), shown[:, :8].min(), shown[:, 112:].min()) > 180


def test_bars_of_another_training_video_are_told(tmp_path, run):
    with pytest.raises(InputError, match=r"train_frame\.png is missing"):
        run(write_media(tmp_path / "a.mp4", moving_square(10)), np.array([12, 20, 108, 84]))


def test_a_dance_cut_by_an_edit_list(tmp_path, run):
    whole = write_media(tmp_path / "a.mp4", moving_square(50), options={"g": "250"})
    result, comparison = run(cut_by_edit_list(whole, tmp_path / "b.mp4", 0.8))
    frames, times = read_clip(result)
    assert len(frames) == len(read_clip(comparison)[0]) == 30 and np.allclose(times, np.arange(30) / 25, atol=1e-3)


def test_a_dance_that_decodes_to_fewer_frames_than_before_is_told(tmp_path, run, monkeypatch):
    path = write_media(tmp_path / "a.mp4", moving_square(20))
    real = video.read_frames
    monkeypatch.setattr(img2video.video, "read_frames", lambda *of: islice(real(*of), 15) if len(of) > 1 else real(*of))
    with pytest.raises(InputError, match="fewer frames"):
        run(path)
