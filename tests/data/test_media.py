"""Videos as they come from phones, cameras, editors and broken discs: sound, times, colours, pictures."""

import logging
import os
import shutil
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc
from clip_maker import beeps, moving_square, onsets, read_clip, read_sound, tag_matrix, write_clip
from media_maker import (
    cut_by_edit_list,
    interlaced,
    join,
    pitch,
    rename_format,
    set_back_sound_of_flv,
    tone,
    write_media,
)

from data import colour, media_file, sound, video
from pose_detector.errors import InputError

SAMPLE = Path(video.__file__).parent / "sample"


def result_of(source, folder, frames=None):
    """What step 5 makes of a dance: its own frames again, with its sound."""
    read = list(video.read_frames(source))
    info = video.probe(source)
    result = folder / "result.mp4"
    video.write_video(
        result,
        (f for *_, f in read),
        info.fps,
        np.array([t for _, t, _ in read]),
        audio_from=source,
        preset="ultrafast",
    )
    return result


def heard(path):
    samples, rate = read_sound(path)
    return onsets(np.abs(samples), np.arange(len(samples)) / rate, 0.2)


def squares(frames):
    """x of the red square in each frame."""
    return [np.nonzero((f[..., 0] > 150) & (f[..., 1] < 90))[1].mean() for f in frames]


# ---- Sound -----------------------------------------------------------------------------------------------------------


class Lines:
    """What was warned of so far."""

    def __init__(self, caplog):
        self._caplog = caplog

    def __call__(self):
        return self._caplog.messages


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.WARNING)
    return Lines(caplog)


def test_a_first_track_that_is_not_known_gives_way_to_the_second(tmp_path, lines):
    path = write_media(tmp_path / "a.mov", moving_square(25), [tone(500, 1), tone(900, 1)], sound_codec="pcm_s16le")
    rename_format(path, b"sowt", b"apac", 1)
    assert video.probe(path).has_audio
    assert pitch(*read_sound(result_of(path, tmp_path))) == pytest.approx(900, abs=5)
    assert lines() == [] and sound.check(path) is None


def test_sound_that_is_not_known_costs_only_itself(tmp_path, lines):
    path = write_media(tmp_path / "a.mov", moving_square(25), [tone(500, 1)], sound_codec="pcm_s16le")
    rename_format(path, b"sowt", b"apac")
    assert not video.probe(path).has_audio
    result = result_of(path, tmp_path)
    assert len(read_clip(result)[0]) == 25 and not video.probe(result).has_audio
    assert len(lines()) == 1 and "not known" in lines()[0] and "\n" not in lines()[0]
    assert sound.check(path) == lines()[0]


def test_aac_under_another_name(tmp_path):
    path = write_media(tmp_path / "a.mp4", moving_square(25), [tone(500, 1)])
    rename_format(path, b"mp4a", b"apac")
    assert pitch(*read_sound(result_of(path, tmp_path))) == pytest.approx(500, abs=5)


def test_mp3_that_mp4_cannot_hold_becomes_aac(tmp_path, lines):
    path = write_media(
        tmp_path / "a.mkv", moving_square(50), [beeps([0.3, 1.2], 2, 11025)[None]], sound_codec="mp3", rate=11025
    )
    result = result_of(path, tmp_path)
    with av.open(str(result)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
    assert np.allclose(heard(result), heard(path), atol=0.01)
    assert len(lines()) == 1 and "AAC" in lines()[0] and sound.check(path) == lines()[0]


def test_sound_whose_clock_runs_back(tmp_path):
    path = write_media(tmp_path / "a.flv", moving_square(50), [beeps([0.3, 1.5], 2)[None]])
    set_back_sound_of_flv(path, after=1.0, by=0.6)
    result = result_of(path, tmp_path)
    assert np.allclose(heard(result), [0.3, 1.5], atol=0.06)
    assert len(read_clip(result)[0]) == 50


@pytest.mark.parametrize("codec", ["aac", "ac3", "mp2"])
def test_mono_that_turns_stereo(tmp_path, codec):
    parts = [write_media(tmp_path / f"{n}.ts", moving_square(25), [tone(600, 1, n)], sound_codec=codec) for n in (1, 2)]
    path = join(tmp_path / "a.ts", *parts)
    assert sound.prepare(path, tmp_path / "sound.mp4").kept == "AAC", "mp4 has one layout for all"
    result = result_of(path, tmp_path)
    samples, rate = read_sound(result)
    assert len(samples) / rate == pytest.approx(2, abs=0.15)
    for second in (0.2, 1.2):
        part = samples[round(second * rate) : round((second + 0.6) * rate)]
        assert pitch(part, rate) == pytest.approx(600, abs=5) and np.abs(part).max() > 0.2


@pytest.mark.parametrize("default", [0, 1])
def test_the_track_marked_default_is_taken(tmp_path, default):
    path = write_media(tmp_path / "a.mkv", moving_square(25), [tone(500, 1), tone(900, 1)], default=default)
    assert pitch(*read_sound(result_of(path, tmp_path))) == pytest.approx((500, 900)[default], rel=0.03)


@pytest.mark.parametrize("codec", ["aac", "mp3", "alac"])
def test_sound_that_cannot_be_decoded_becomes_silence(tmp_path, codec, lines):
    path = write_media(tmp_path / "a.mkv", moving_square(25), [], sound_codec=codec)
    good = write_media(tmp_path / "b.mkv", moving_square(25), [tone(500, 1)], sound_codec=codec)
    with av.open(str(good)) as before, av.open(str(path), "w") as output:
        tracks = {s.index: output.add_stream_from_template(s) for s in before.streams}
        for packet in before.demux():
            if packet.size:
                if packet.stream.type == "audio":
                    new = av.Packet(bytes(len(bytes(packet))))
                    new.pts, new.dts, new.time_base = packet.pts, packet.dts, packet.time_base
                else:
                    new = packet
                new.stream = tracks[packet.stream_index]
                output.mux(new)
    result = result_of(path, tmp_path)
    assert len(read_clip(result)[0]) == 25
    if video.probe(result).has_audio:
        assert np.abs(read_sound(result)[0]).max() < 1e-3
    else:
        assert "silent" in lines()[0] and "\n" not in lines()[0]


def test_copied_sound_is_the_same_bit_for_bit(tmp_path):
    path = write_media(tmp_path / "a.mp4", moving_square(25), [tone(500, 1)])
    assert sound.prepare(path, tmp_path / "s.mp4") == sound.Sound("copied")
    with av.open(str(path)) as before, av.open(str(result_of(path, tmp_path))) as after:
        # The encoder's lead before time 0 is left out.
        one, other = ([bytes(p) for p in c.demux(audio=0) if p.size] for c in (before, after))
    assert len(other) > 35 and other == one[1 : len(other) + 1]
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("suffix", "codec", "channels", "first", "b_frames"),
    [
        ("mkv", "libopus", 6, 0.44, 2),
        ("webm", "libopus", 2, 0.0, 2),
        ("mkv", "flac", 2, 0.2, 2),
        ("mkv", "mp2", 1, 0.0, 2),
        ("mkv", "ac3", 6, 0.2, 2),
        ("mp4", "alac", 2, 0.0, 2),
        ("avi", "pcm_s16le", 2, 0.0, 0),
        ("avi", "pcm_s16le", 2, 0.0, 2),
        ("avi", "mp3", 2, 0.0, 3),
        ("mkv", "pcm_f32le", 1, 0.2, 2),
        ("mov", "pcm_s24le", 2, 0.0, 2),
        ("ts", "mp2", 2, 0.0, 2),
    ],
)
def test_formats_of_sound(tmp_path, suffix, codec, channels, first, b_frames):
    wave = np.tile(beeps([0.3, 1.1], 2, 48000), (channels, 1))
    path = write_media(
        tmp_path / f"a.{suffix}",
        moving_square(50),
        [wave],
        sound_codec=codec,
        rate=48000,
        first=first,
        codec="libvpx-vp9" if suffix == "webm" else "libx264",
        options={"bf": str(b_frames)} if suffix == "avi" else {},
    )
    assert np.allclose(heard(result_of(path, tmp_path)), [0.3, 1.1], atol=0.03)


# ---- Times -----------------------------------------------------------------------------------------------------------


def test_joined_transport_streams(tmp_path):
    part = write_media(tmp_path / "a.ts", moving_square(38), [beeps([0.5], 1.52)[None]])
    path = join(tmp_path / "b.ts", part, part)
    info = video.probe(path)
    assert info.fps == 25 and info.frames == 76 and info.duration == pytest.approx(3.04, abs=0.05)
    times = np.array([t for _, t, _ in video.read_frames(path)])
    assert len(times) == 76 and np.allclose(np.diff(times), 0.04, atol=0.011)
    assert np.allclose(heard(result_of(path, tmp_path)), [0.5, 2.02], atol=0.06)


@pytest.mark.parametrize(("suffix", "codec"), [("avi", "libx264"), ("avi", "mpeg4"), ("mkv", "libx264")])
def test_b_frames_in_order_and_even(tmp_path, suffix, codec):
    path = write_media(
        tmp_path / f"a.{suffix}", moving_square(60), codec=codec, options={"bf": "3" if codec != "mpeg4" else "2"}
    )
    info = video.probe(path)
    read = list(video.read_frames(path))
    assert info.fps == 25 and info.frames == len(read) == 60 and info.complete
    assert np.allclose(np.diff([t for _, t, _ in read]), 0.04, atol=1e-3)
    assert (np.diff(squares(f for *_, f in read)) > -0.5).all()


def test_cut_by_an_edit_list(tmp_path, lines):
    whole = write_media(tmp_path / "a.mp4", moving_square(75), options={"bf": "2", "g": "250"})
    path = cut_by_edit_list(whole, tmp_path / "b.mp4", 1.0)
    info = video.probe(path)
    read = list(video.read_frames(path))
    assert info.frames == len(read) == 50 and info.complete and info.fps == 25
    assert info.duration == pytest.approx(2.0, abs=0.01)
    assert np.allclose([t for _, t, _ in read], np.arange(50) / 25, atol=1e-3)
    whole_squares = squares(f for *_, f in video.read_frames(whole))
    assert np.allclose(squares(f for *_, f in read), whole_squares[25:], atol=0.5)
    assert lines() == []


def test_what_an_edit_list_cuts_away_is_no_restart():
    """Before its second piece an edit list has packets that are decoded but not shown, with times of the first."""
    stream = SimpleNamespace(index=0, type="video", average_rate=25, codec_context=object())

    def packet(dts, discard=False):
        return SimpleNamespace(
            stream=stream, dts=dts, pts=dts, is_discard=discard, time_base=Fraction(1, 25), duration=1, size=9
        )

    entries = [packet(i) for i in range(20)] + [packet(i, True) for i in range(8, 20)] + [packet(20), packet(21)]
    container = SimpleNamespace(format=SimpleNamespace(flags=0), streams=[stream], demux=lambda streams: iter(entries))
    shown = [p.pts for p in media_file.packets(container, stream) if not p.is_discard]
    assert shown == list(range(22))


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_damaged_in_the_middle(tmp_path, codec, lines):
    path = write_media(tmp_path / "a.mp4", moving_square(60), codec=codec, options={"g": "12"})
    data = bytearray(path.read_bytes())
    start = data.find(b"mdat") + 4
    middle = start + (len(data) - start) // 3
    data[middle : middle + 300] = bytes(300)
    path.write_bytes(data)
    info = video.probe(path)
    read = list(video.read_frames(path))
    assert info.frames == len(read) and 30 < len(read) <= 60
    times = np.array([t for _, t, _ in read])
    assert (np.diff(times) > 0).all() and times[-1] == pytest.approx(59 / 25, abs=0.05)
    assert not any("cut short" in line for line in lines())


@pytest.mark.parametrize("fps", [25, 30])
def test_raw_h264(tmp_path, fps):
    path = write_media(tmp_path / "a.h264", moving_square(75), fps=fps)
    info = video.probe(path)
    assert info.fps == fps and info.frames == 75 and info.duration == pytest.approx(75 / fps)
    assert np.allclose([t for _, t, _ in video.read_frames(path)], np.arange(75) / fps)


def test_film_rate_with_a_late_clock(tmp_path):
    rate = Fraction(24000, 1001)
    wave = beeps([0.5, 1.5], 2.5)[None]
    path = write_media(tmp_path / "a.mkv", moving_square(48), [wave], fps=rate, first=2.002)
    info = video.probe(path)
    assert float(info.fps) == pytest.approx(float(rate), rel=1e-4)
    assert info.duration == pytest.approx(48 / float(rate), abs=0.01)
    times = np.array([t for _, t, _ in video.read_frames(path)])
    assert np.allclose(times, 2.002 + np.arange(48) / float(rate), atol=2e-3)
    assert np.allclose(heard(result_of(path, tmp_path)), [0.5, 1.5], atol=0.03)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6])
def test_very_short_clips(tmp_path, count):
    path = write_media(tmp_path / "a.mp4", moving_square(count), [tone(500, count / 25)])
    info = video.probe(path)
    assert info.frames == count and info.duration == pytest.approx(count / 25, abs=0.005)
    assert len(read_clip(result_of(path, tmp_path))[0]) == count


# ---- Colour ----------------------------------------------------------------------------------------------------------

_KR, _KB = 0.2627, 0.0593  # luminance of red and blue in BT.2020
_TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])  # BT.2087


def hlg(light):
    """cd/m2 of BT.2020 to the signal, BT.2100 table 5."""
    light = np.maximum(light, 1e-9) / 1000
    scene = light * (light @ [_KR, 1 - _KR - _KB, _KB])[..., None] ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)


def pq(light):
    """cd/m2 to the signal, BT.2100 table 4."""
    power = (np.maximum(light, 0) / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def to_high_range(picture, curve):
    """SDR RGB as 10 bit BT.2020 of high dynamic range, white at 203 cd/m2 (BT.2408)."""
    signal = np.clip(curve(203 * (picture / 255.0) ** 2.4 @ _TO_2020.T), 0, 1)
    luma = signal @ [_KR, 1 - _KR - _KB, _KB]
    parts = [876 * luma + 64]
    parts += [896 * (signal[..., i] - luma) / (2 * (1 - k)) + 512 for i, k in ((2, _KB), (0, _KR))]
    frame = av.VideoFrame(picture.shape[1], picture.shape[0], "yuv444p10le")
    for plane, values in zip(frame.planes, parts, strict=True):
        rows = np.frombuffer(plane, np.uint16).reshape(-1, plane.line_size // 2)
        rows[:, : values.shape[1]] = np.rint(values)
    return frame.reformat(format="yuv420p10le")


def saturation(colours):
    colours = np.asarray(colours, float)
    return 1 - colours.min(-1) / colours.max(-1)


@pytest.mark.parametrize(("curve", "transfer"), [(hlg, ColorTrc.ARIB_STD_B67), (pq, ColorTrc.SMPTE2084)])
def test_high_dynamic_range_looks_like_the_original(tmp_path, curve, transfer):
    """iPhone's default: HEVC, 10 bit, BT.2020. The sample's frame, and a white wall of 206 beside it."""
    original = next(iter(video.read_frames(SAMPLE / "train.mp4", (256, 144))))[2].copy()
    original[:40, :60] = 206
    original[100:, :40] = (200, 60, 50)
    original[100:, 216:] = (50, 90, 190)

    def setup(context):
        context.color_primaries, context.color_trc = ColorPrimaries.BT2020, transfer
        context.colorspace, context.color_range = 9, ColorRange.MPEG  # AVCOL_SPC_BT2020_NCL

    path = write_media(
        tmp_path / "a.mov",
        [original] * 3,
        codec="libx265",
        pixels="yuv420p10le",
        options={"crf": "12", "preset": "ultrafast", "x265-params": "log-level=none"},
        setup=setup,
        convert=lambda picture: to_high_range(picture, curve),
    )
    got = next(iter(video.read_frames(path)))[2]
    assert np.abs(got[5:35, 5:55].mean((0, 1)) - 206).max() < 6
    for area in (np.s_[110:140, 5:35], np.s_[110:140, 221:251]):
        one, other = original[area].mean((0, 1)), got[area].mean((0, 1))
        assert saturation(other) == pytest.approx(saturation(one), rel=0.1)
        assert np.abs(one - other).max() < 12
    # The whole picture: as it was but for the brightest highlights.
    dark = original.max(-1) < 200
    assert np.abs(got.astype(int) - original)[dark].mean() < 6


def test_tone_mapping():
    grey = np.linspace(0, 1, 101)[:, None].repeat(3, 1)
    for transfer in (ColorTrc.ARIB_STD_B67, ColorTrc.SMPTE2084):
        mapped = colour.tone_map(grey, transfer, int(ColorPrimaries.BT2020))
        assert np.allclose(mapped, mapped[:, :1], atol=2e-3), "grey stays grey"
        assert (np.diff(mapped[:, 0]) >= -1e-9).all() and mapped[0, 0] == 0 and mapped[-1, 0] == pytest.approx(1)
    # BT.2408: white is 75 % HLG and 58 % PQ; it shows at nine tenths, which leaves room for highlights.
    for transfer, white in ((ColorTrc.ARIB_STD_B67, 0.75), (ColorTrc.SMPTE2084, 0.58)):
        got = colour.tone_map(np.full(3, white), transfer, int(ColorPrimaries.BT2020))
        assert got == pytest.approx(0.9, abs=0.01)
    # Display P3 in ordinary range: grey unchanged, a colour within BT.709 gets its greater numbers.
    p3 = int(ColorPrimaries.SMPTE432)
    assert np.allclose(colour.tone_map(grey, None, p3), grey, atol=2e-3)
    red = colour.tone_map(np.array([0.6, 0.3, 0.3]), None, p3)
    assert red[0] > 0.62 and red[1] < 0.3


@pytest.mark.parametrize(
    ("suffix", "codec", "pixels", "options"),
    [
        ("mp4", "libx264", "yuvj420p", {}),
        ("mp4", "libx264", "yuv420p10le", {}),
        ("mp4", "libx264", "yuv444p", {}),
        ("mov", "prores_ks", "yuva444p10le", {}),
        ("mov", "prores_ks", "yuv422p10le", {}),
        ("mov", "qtrle", "argb", {}),
        ("mov", "png", "rgba", {}),
        ("avi", "mjpeg", "yuvj420p", {}),
        ("avi", "rawvideo", "bgr24", {}),
        ("avi", "huffyuv", "rgb24", {}),
        ("mkv", "ffv1", "yuv444p16le", {}),
        ("avi", "utvideo", "gbrp", {}),
        ("mpg", "mpeg2video", "yuv420p", {"b": "2000000"}),
        ("flv", "flv", "yuv420p", {"b": "2000000"}),
        ("wmv", "wmv2", "yuv420p", {"b": "2000000"}),
        ("webm", "libvpx-vp9", "yuv420p", {"crf": "10", "b": "0", "deadline": "realtime", "cpu-used": "8"}),
        ("webm", "libvpx-vp9", "yuva420p", {"crf": "10", "b": "0", "deadline": "realtime", "cpu-used": "8"}),
        ("mp4", "libx265", "yuv420p", {"preset": "ultrafast", "x265-params": "log-level=none"}),
        ("mp4", "libsvtav1", "yuv420p", {"preset": "12", "crf": "20"}),
        ("gif", "gif", "rgb8", {}),
    ],
)
def test_formats_of_pictures(tmp_path, suffix, codec, pixels, options):
    frames = moving_square(8)

    def setup(context):
        if pixels.startswith("yuvj"):
            context.color_range = ColorRange.JPEG

    path = write_media(
        tmp_path / f"a.{suffix}", frames, codec=codec, pixels=pixels, options=options, setup=setup, fps=25
    )
    got = [f for *_, f in video.read_frames(path)]
    assert len(got) == video.probe(path).frames == 8
    near = 40 if suffix == "gif" else 12
    for frame, want in zip(got, frames, strict=True):
        assert np.abs(frame[4:8, 4:12].mean((0, 1)) - want[5, 5]).max() < near
        assert np.abs(frame[-8:, -8:].mean((0, 1)) - want[-4, -4]).max() < near


def test_black_frames_and_letterbox(tmp_path):
    frames = [np.pad(f[8:-8], ((8, 8), (0, 0), (0, 0))) for f in moving_square(20)]
    frames[5:9] = [np.zeros_like(frames[0])] * 4
    path = write_media(tmp_path / "a.mp4", frames)
    got = [f for *_, f in video.read_frames(path)]
    assert len(got) == 20 and max(f.max() for f in got[5:9]) < 12
    assert all(f[:6].max() < 24 and f[-6:].max() < 24 for f in got)


# ---- Picture ---------------------------------------------------------------------------------------------------------


def test_a_codec_that_is_not_known_is_one_line(tmp_path):
    path = write_media(tmp_path / "a.mp4", moving_square(12))
    rename_format(path, b"avc1", b"xxxx")
    for read in (video.probe, lambda p: list(video.read_frames(p))):
        with pytest.raises(InputError, match="format is not known here; convert it"):
            read(path)


def test_a_second_track_that_is_not_known_is_left_alone(tmp_path):
    path = tmp_path / "a.mov"
    with av.open(str(path), "w") as output:
        tracks = [output.add_stream(codec, rate=25) for codec in ("mjpeg", "libx264")]
        for track, form in zip(tracks, ("yuvj420p", "yuv420p"), strict=True):
            track.width, track.height, track.pix_fmt = 96, 64, form
        for track in tracks:
            for i, picture in enumerate(moving_square(10)):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=track.pix_fmt)
                frame.pts, frame.time_base = i, Fraction(1, 25)
                output.mux(track.encode(frame))
            output.mux(track.encode(None))
    rename_format(path, b"jpeg", b"xxxx")
    assert video.probe(path).frames == len(list(video.read_frames(path))) == 10


MATRICES = {
    (-1, 0, 0, 1): lambda f: f[:, ::-1],
    (1, 0, 0, -1): lambda f: f[::-1],
    (-1, 0, 0, -1): lambda f: f[::-1, ::-1],
    (0, 1, -1, 0): lambda f: np.rot90(f, -1),
    (0, -1, 1, 0): lambda f: np.rot90(f),
    (0, 1, 1, 0): lambda f: f.transpose(1, 0, 2),
    (0, -1, -1, 0): lambda f: np.rot90(f, 2).transpose(1, 0, 2),
}


@pytest.mark.parametrize("matrix", MATRICES)
def test_display_matrix(tmp_path, matrix):
    stored = moving_square(4)
    path = tag_matrix(write_media(tmp_path / "a.mp4", stored, options={"crf": "8"}), matrix)
    want = MATRICES[matrix](stored[0])
    info = video.probe(path)
    assert (info.height, info.width) == want.shape[:2]
    got = next(iter(video.read_frames(path)))[2]
    assert got.shape == want.shape and np.abs(got.astype(int) - want).mean() < 5
    # Turned first, mirrored then: that is how `rotation` and `mirrored` are to be read.
    turned = np.rot90(stored[0], -info.rotation // 90)
    assert np.array_equal(turned[:, ::-1] if info.mirrored else turned, want)


def combing(frame):
    """How much rows differ from both of their neighbours."""
    grey = frame.mean(-1)
    return np.abs(grey[1:-1] - (grey[:-2] + grey[2:]) / 2).mean()


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        ("mp4", "libx264", {"flags": "+ildct+ilme", "x264-params": "tff=1", "crf": "8"}),
        ("mpg", "mpeg2video", {"flags": "+ildct+ilme", "top": "1", "b": "4000000"}),
    ],
)
def test_interlaced_is_deinterlaced(tmp_path, suffix, codec, options):
    woven, whole = interlaced()
    path = write_media(tmp_path / f"a.{suffix}", woven, codec=codec, options=options)
    got = list(video.read_frames(path))
    assert len(got) == video.probe(path).frames == 12
    assert np.allclose(np.diff([t for _, t, _ in got]), 0.04, atol=1e-3)
    for (_, _, frame), mixed, want in list(zip(got, woven, whole, strict=True))[1:-1]:
        assert combing(mixed) > 8 and combing(frame) < 1.5
        assert np.abs(frame.astype(int) - want)[4:-4].mean() < 4 < 0.5 * np.abs(mixed.astype(int) - want).mean()


def test_progressive_is_left_alone(tmp_path):
    frames = moving_square(6)
    frames = [np.where(np.arange(64)[:, None, None] % 2, f, f // 2) for f in frames]  # rows that a filter would mix
    path = write_media(tmp_path / "a.mp4", frames, pixels="yuv444p", options={"crf": "1"})
    for (*_, got), want in zip(video.read_frames(path), frames, strict=True):
        assert np.abs(got.astype(int) - want).mean() < 4


def disc(width, height, radius):
    frame = np.full((height, width, 3), 200, np.uint8)
    cv2.circle(frame, (width // 2, height // 2), radius, (220, 30, 30), -1)
    return frame


@pytest.mark.parametrize("size", [None, (128, 64)])
def test_a_size_that_changes_midway(tmp_path, size):
    parts = [
        write_media(tmp_path / f"{w}.ts", [disc(w, h, h // 4)] * 10) for w, h in ((192, 96), (96, 192), (384, 192))
    ]
    path = join(tmp_path / "a.ts", *parts)
    got = [f for *_, f in video.read_frames(path, size)]
    width, height = size or (192, 96)
    assert len(got) == 30 and {f.shape for f in got} == {(height, width, 3)}
    for frame in got:
        y, x = np.nonzero((frame[..., 0] > 150) & (frame[..., 1] < 100))
        assert np.ptp(x) + 1 == pytest.approx(np.ptp(y) + 1, abs=3), "a round thing stays round"
        assert abs(x.mean() - (width - 1) / 2) < 1.5 and abs(y.mean() - (height - 1) / 2) < 1.5
    assert got[15][height // 2, 2].max() < 10 and got[25][height // 2, 2].min() > 180


def test_animated_webp_is_refused_for_the_true_reason(tmp_path):
    chunk = b"WEBPVP8X" + (10).to_bytes(4, "little") + bytes([2]) + bytes(9)
    path = tmp_path / "a.webp"
    path.write_bytes(b"RIFF" + len(chunk).to_bytes(4, "little") + chunk + bytes(200))
    with pytest.raises(InputError, match="animated WebP, which FFmpeg cannot read; convert it to mp4"):
        video.probe(path)


@pytest.mark.parametrize(
    "name", [b"a:b.mp4", b"-i.mp4", b"50%d.mp4", b"it's [1].mp4", b"caf\xe9.mp4", "é.mp4".encode()]
)
def test_names(tmp_path, monkeypatch, name):
    path = Path(os.fsdecode(name))
    made = write_media(tmp_path / "made.mp4", moving_square(5), [tone(500, 0.2)])
    monkeypatch.chdir(tmp_path)
    try:
        shutil.copy(made, path)
    except OSError:
        pytest.skip("this file system does not have such names")
    assert video.probe(path).frames == 5
    read = [f for *_, f in video.read_frames(path)]
    folder = Path(os.fsdecode(b"out of " + name))
    video.write_video(folder / path, read, 25, audio_from=path)
    assert len(read_clip(made)[0]) == video.probe(folder / path).frames == 5
    assert video.probe(folder / path).has_audio and [p.name for p in folder.iterdir()] == [path.name]


# ---- Damaged on purpose ----------------------------------------------------------------------------------------------


def jpegs(path: Path, sizes: list[tuple[int, int]]) -> Path:
    """An AVI of JPEG pictures, each of its own (width, height), whose head tells 96x64."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        for i, (width, height) in enumerate(sizes):
            packet = av.Packet(cv2.imencode(".jpg", np.zeros((height, width, 3), np.uint8))[1].tobytes())
            packet.pts = packet.dts = i
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 10), stream, True
            output.mux(packet)
    return path


def test_frames_that_would_take_all_the_memory_are_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(media_file, "MOST_PIXELS", 200 * 100)
    with pytest.raises(InputError, match="320x200 pixels, more than 8K"):
        video.probe(jpegs(tmp_path / "large.avi", [(320, 200)] * 3))
    path = jpegs(tmp_path / "grows.avi", [(96, 64)] * 4 + [(320, 200)] * 3 + [(96, 64)])
    assert [frame.shape for *_, frame in video.read_frames(path)] == [(64, 96, 3)] * 5


def test_a_clock_that_jumps_by_hours_is_not_believed(tmp_path):
    times = np.arange(20) / 25
    times[12:] += 5000
    path = write_clip(tmp_path / "a.mkv", moving_square(20), times=times)
    assert np.allclose([t for _, t, _ in video.read_frames(path)], np.arange(20) / 25, atol=2e-3)


def test_years_of_silence_are_not_written(tmp_path):
    path = tmp_path / "a.mka"
    with av.open(str(path), "w", format="matroska") as output:
        stream = output.add_stream("pcm_s16le", rate=8000, layout="mono")
        for i in range(10):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
            frame.sample_rate, frame.time_base = 8000, Fraction(1, 8000)
            frame.pts = 800 * i + (8000 * 10**8 if i > 6 else 0)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert sound.prepare(path, tmp_path / "sound.mp4").kept == "AAC"
    assert len(read_sound(tmp_path / "sound.mp4")[0]) < 2 * 48000
