"""Reading and writing of video files."""

import logging
import threading
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from clip_maker import beeps, moving_square, onsets, read_clip, read_sound, tag_rotation, write_clip

from data import video
from pose_detector.errors import InputError


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2))


def test_probe_and_frames(tmp_path):
    frames = moving_square(12)
    path = write_clip(tmp_path / "a.mp4", frames, fps=20, options={"crf": "8"})
    info = video.probe(path)
    assert (info.width, info.height, info.frames, info.rotation) == (96, 64, 12, 0)
    assert info.fps == 20 and info.duration == pytest.approx(0.6, abs=1e-3)
    assert not info.has_audio and info.complete
    got = list(video.read_frames(path))
    assert [i for i, _, _ in got] == list(range(12))
    assert np.allclose([t for _, t, _ in got], np.arange(12) / 20, atol=1e-4)
    for (_, _, frame), want in zip(got, frames, strict=True):
        assert frame.dtype == np.uint8 and frame.shape == want.shape
        # Chroma subsampling blurs the edges of the shapes; the flat colours must be right.
        assert np.abs(frame[4, 6].astype(int) - want[4, 6]).max() <= 4
        assert np.abs(frame[-4, -4].astype(int) - want[-4, -4]).max() <= 4


@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_rotation_tag(tmp_path, clockwise):
    upright = moving_square(4)
    stored = [np.ascontiguousarray(np.rot90(f, clockwise // 90)) for f in upright]
    path = tag_rotation(write_clip(tmp_path / "a.mp4", stored), clockwise)
    info = video.probe(path)
    assert (info.width, info.height, info.rotation) == (96, 64, clockwise)
    for (_, _, frame), want in zip(video.read_frames(path), upright, strict=True):
        assert psnr(frame, want) > 25
    _, _, small = next(iter(video.read_frames(path, (48, 32))))
    assert small.shape == (32, 48, 3) and small[2, 3, 1] > 150  # the green corner is top left


def test_variable_frame_rate(tmp_path):
    times = np.cumsum([0, 0.04, 0.04, 0.2, 0.02, 0.04, 0.3, 0.04])
    path = write_clip(tmp_path / "a.mp4", moving_square(8), times=times)
    assert np.allclose([t for _, t, _ in video.read_frames(path)], times, atol=1e-3)
    count = video.write_video(tmp_path / "b.mp4", moving_square(8), fps=video.probe(path).fps, times=times + 1.5)
    assert count == 8
    assert np.allclose(read_clip(tmp_path / "b.mp4")[1], times, atol=1e-4)


def test_shrinking_averages_areas(tmp_path):
    path = write_clip(tmp_path / "a.mp4", moving_square(3), options={"crf": "4"})
    full = next(iter(video.read_frames(path)))[2]
    half = next(iter(video.read_frames(path, (48, 32))))[2]
    blocks = full.reshape(32, 2, 48, 2, 3).mean((1, 3))
    assert np.abs(half - blocks).max() <= 1


@pytest.mark.parametrize("fps", [16, Fraction(30000, 1001), 59.94005994, 23.976])
def test_even_rates_are_exact(tmp_path, fps):
    video.write_video(tmp_path / "a.mp4", moving_square(6), fps=fps)
    exact = Fraction(fps).limit_denominator(1001)
    assert video.probe(tmp_path / "a.mp4").fps == exact
    assert np.allclose(read_clip(tmp_path / "a.mp4")[1], np.arange(6) / float(exact), atol=1e-6)


def test_colours_survive_a_round_trip(tmp_path):
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    colours[0, :5] = [(255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)]
    frame = np.kron(colours, np.ones((16, 16, 1), np.uint8))
    video.write_video(tmp_path / "a.mp4", [frame] * 3, fps=25, crf=4)
    got = next(iter(video.read_frames(tmp_path / "a.mp4")))[2]
    centres = got[8::16, 8::16].astype(int)
    assert np.abs(centres - colours).max() <= 4


def test_odd_sides_grow_to_even(tmp_path):
    frame = moving_square(1, 97, 65)[0]
    video.write_video(tmp_path / "a.mp4", [frame] * 3, fps=25)
    info = video.probe(tmp_path / "a.mp4")
    assert (info.width, info.height) == (98, 66)
    assert psnr(read_clip(tmp_path / "a.mp4")[0][0][:65, :97], frame) > 25


def test_index_stands_in_front(tmp_path):
    video.write_video(tmp_path / "a.mp4", moving_square(3), fps=25)
    data = (tmp_path / "a.mp4").read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")


@pytest.mark.parametrize(
    ("suffix", "codec", "first"),
    [("mp4", "aac", 0.0), ("mp4", "aac", 0.52), ("mov", "pcm_s16le", 0.0), ("mkv", "libopus", 0.2)],
)
def test_sound_and_picture_stay_in_step(tmp_path, suffix, codec, first):
    """A flash and a beep each second, over 12 seconds at an uneven rate: in the result they still coincide."""
    rng = np.random.default_rng(1)
    times = first + np.cumsum(np.full(360, 1 / 30) + rng.uniform(-0.008, 0.008, 360))
    times -= times[0] - first
    marks = np.arange(1, 12)
    frames = [np.full((32, 48, 3), 255 * (np.abs(t - marks).min() < 0.05), np.uint8) for t in times]
    rate = 48000
    source = write_clip(
        tmp_path / f"a.{suffix}",
        frames,
        fps=30,
        times=times,
        rate=rate,
        sound=beeps(marks - 0.05, 12.5, rate),
        sound_codec=codec,
    )
    info = video.probe(source)
    assert info.has_audio
    read = [(t, frame) for _, t, frame in video.read_frames(source)]
    result = tmp_path / "result.mp4"
    video.write_video(result, (f for _, f in read), info.fps, np.array([t for t, _ in read]), audio_from=source)
    pictures, shown = read_clip(result)
    flashes = onsets(np.array([p.mean() for p in pictures]), shown, 128)
    samples, rate = read_sound(result)
    heard = onsets(np.abs(samples), np.arange(len(samples)) / rate, 0.2)
    assert len(flashes) == len(heard) == len(marks)
    assert np.abs(np.array(flashes) - np.array(heard)).max() < 1 / 30 + 0.002
    assert np.abs(np.array(flashes) - (marks - 0.05 - first)).max() < 1 / 30 + 0.002
    # The sound ends with the picture.
    assert len(samples) / rate < shown[-1] + 0.15


def test_sound_that_mp4_can_hold_is_copied(tmp_path):
    source = write_clip(tmp_path / "a.mkv", moving_square(25), sound=beeps([0.2], 1.0), sound_codec="mp3")
    video.write_video(tmp_path / "b.mp4", moving_square(25), fps=25, audio_from=source)
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.streams.audio[0].codec_context.name in ("mp3", "mp3float")


def test_source_without_sound_gives_silence(tmp_path):
    source = write_clip(tmp_path / "a.mp4", moving_square(5))
    video.write_video(tmp_path / "b.mp4", moving_square(5), fps=25, audio_from=source)
    assert not video.probe(tmp_path / "b.mp4").has_audio


def test_failed_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")

    def broken():
        yield from moving_square(3)
        raise RuntimeError("renderer died")

    with pytest.raises(RuntimeError, match="renderer died"):
        video.write_video(path, broken(), fps=25)
    with pytest.raises(ValueError, match="times"):
        video.write_video(path, moving_square(3), fps=25, times=np.array([0, 0.1, 0.1]))
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(
    ("width", "height"),
    [
        (1920, 1080),
        (1080, 1920),
        (692, 1108),
        (384, 288),
        (1080, 1080),
        (1768, 994),
        (1280, 544),
        (720, 576),
        (640, 480),
    ],
)
def test_working_size(width, height):
    w, h = video.working_size(width, height)
    assert w % 32 == h % 32 == 0
    assert abs((w / h) / (width / height) - 1) < 0.04
    assert 0.8 < w * h / (512 * 288) < 1.25
    assert video.working_size(height, width) == (h, w)


def test_working_size_of_extremes():
    assert video.working_size(512, 288) == (512, 288)
    for width, height in [(2, 2), (2, 4000), (7680, 100)]:
        w, h = video.working_size(width, height)
        assert w >= 32 and h >= 32 and w % 32 == h % 32 == 0


# ---- Bad input -------------------------------------------------------------------------------------------------------


def make_bad(kind, folder):
    path = folder / "bad.mp4"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("this is no video\n" * 50)
    elif kind == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(20000))
    elif kind == "folder":
        path.mkdir()
    elif kind == "sound only":
        write_clip(path, None, sound=beeps([0.2], 1.0))
    elif kind == "one frame":
        write_clip(path, moving_square(1))
    elif kind == "one picture":
        path = folder / "bad.png"
        cv2.imwrite(str(path), moving_square(1)[0])
    elif kind == "index cut off":
        write_clip(path, moving_square(25))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind == "frames cut off":
        write_clip(folder / "whole.mp4", moving_square(25), options={"crf": "1"})
        video.write_video(path, (f for _, _, f in video.read_frames(folder / "whole.mp4")), fps=25)
        data = path.read_bytes()
        path.write_bytes(data[: data.find(b"mdat") + 8])
    return path


BAD = [
    "missing",
    "empty",
    "text",
    "noise",
    "folder",
    "sound only",
    "one frame",
    "one picture",
    "index cut off",
    "frames cut off",
]


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_clear_line(tmp_path, kind):
    path = make_bad(kind, tmp_path)
    with pytest.raises(InputError) as error:
        video.probe(path)
    message = str(error.value)
    assert "\n" not in message and str(path) in message and len(message) > len(str(path)) + 15
    if kind not in ("one frame", "one picture"):
        with pytest.raises(InputError):
            list(video.read_frames(path))


def test_cut_short_gives_what_decodes_and_says_so(tmp_path, caplog):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (64, 96, 3), dtype=np.uint8) for _ in range(40)]
    path = tmp_path / "a.mp4"
    video.write_video(path, frames, fps=25)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    info = video.probe(path)
    assert not info.complete and 5 < info.frames < 38
    with caplog.at_level(logging.WARNING):
        got = list(video.read_frames(path))
    assert 5 < len(got) < 38
    assert any("of 40 frames" in message for message in caplog.messages)


def test_a_reader_that_is_dropped_leaves_no_thread(tmp_path):
    path = write_clip(tmp_path / "a.mp4", moving_square(60))
    before = threading.active_count()
    reader = video.read_frames(path)
    next(reader)
    reader.close()
    assert threading.active_count() == before


@pytest.mark.parametrize(("factor", "kept"), [(1.5, True), (2, True), (3, False)])
def test_sharp_resizing_averages_only_where_much_is_shrunk(factor, kept):
    """Stripes that the smaller picture can just show keep their contrast; of what it cannot show there is no moire."""
    period = 2.4 * (factor if kept else 1)
    stripes = 128 + 100 * np.cos(2 * np.pi * np.arange(240) / period)
    picture = np.tile(np.rint(stripes).astype(np.uint8)[None, :, None], (120, 1, 3))
    size = round(240 / factor), round(120 / factor)
    plain, sharp = (video.resize(picture, size, sharp=s)[10:-10, 10:-10].std() for s in (False, True))
    assert sharp > 1.15 * plain if kept else sharp == plain
    assert video.resize(picture, size, sharp=True).shape == (size[1], size[0], 3)
