"""Tiny videos for tests, made on the spot: shapes that move, flashes, beeps, rotation tags, damage."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def moving_square(count: int = 12, width: int = 96, height: int = 64) -> list[np.ndarray]:
    """Frames (H, W, 3) uint8 RGB: a red square that moves right on blue-grey, green in the top left corner."""
    frames = []
    for i in range(count):
        frame = np.full((height, width, 3), (60, 70, 110), np.uint8)
        frame[:12, :16] = (20, 200, 40)
        x = 4 + i * (width - 24) // max(count, 1)
        frame[height // 2 : height // 2 + 16, x : x + 16] = (220, 30, 30)
        frames.append(frame)
    return frames


def beeps(times: Iterable[float], duration: float, rate: int = 44100, length: float = 0.08) -> np.ndarray:
    """Mono float32 samples with a 1 kHz tone at the times given, in seconds."""
    samples = np.zeros(round(duration * rate), np.float32)
    for start in times:
        n = np.arange(round(length * rate))
        first = round(start * rate)
        part = samples[first : first + len(n)]
        part[:] = 0.8 * np.sin(2 * np.pi * 1000 * n / rate)[: len(part)]
    return samples


def write_clip(
    path: Path,
    frames: list[np.ndarray] | None,
    fps: int = 25,
    times: np.ndarray | None = None,
    sound: np.ndarray | None = None,
    sound_codec: str = "aac",
    rate: int = 44100,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
) -> Path:
    """A video file with frames at times (seconds; default: even) and mono sound from time 0."""
    with av.open(str(path), "w") as output:
        video = audio = None
        if frames is not None:
            video = output.add_stream(codec, rate=fps, options=options or {})
            video.height, video.width = frames[0].shape[:2]
            video.pix_fmt = "yuv420p"
            video.codec_context.time_base = Fraction(1, 12800)
        if sound is not None:
            audio = output.add_stream(sound_codec, rate=rate, layout="mono")
        if audio:
            step = 1024
            for first in range(0, len(sound), step):
                part = np.ascontiguousarray(sound[None, first : first + step])
                if sound_codec.startswith("pcm"):
                    part = (part * 32767).astype(np.int16)
                    frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
                else:
                    frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = rate, first, Fraction(1, rate)
                output.mux(audio.encode(frame))
            output.mux(audio.encode(None))
        if video:
            for i, picture in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
                frame.pts = round((times[i] if times is not None else i / fps) * 12800)
                frame.time_base = Fraction(1, 12800)
                output.mux(video.encode(frame))
            output.mux(video.encode(None))
    return path


def tag_rotation(path: Path, clockwise: int) -> Path:
    """Set the display matrix of every track of an mp4 file to a turn of 90, 180 or 270 degrees clockwise."""
    return tag_matrix(path, {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[clockwise])


def tag_matrix(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Set the display matrix of every track of an mp4 file: stored (x, y) is shown at (a x + c y, b x + d y)."""
    a, b, c, d = matrix
    one = 1 << 16
    matrix = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    data = bytearray(path.read_bytes())
    place = data.find(b"tkhd")
    assert place > 0
    while place > 0:
        assert data[place + 4] == 0, "a tkhd box of version 0"
        data[place + 44 : place + 80] = matrix
        place = data.find(b"tkhd", place + 4)
    path.write_bytes(data)
    return path


def read_clip(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Frames as PyAV decodes them, and their times in seconds."""
    frames, times = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            frames.append(frame.to_ndarray(format="rgb24"))
            times.append(frame.time)
    return frames, np.array(times)


def read_sound(path: Path) -> tuple[np.ndarray, int]:
    """Mono float32 samples placed on the file's clock from time 0, and their rate."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        rate = stream.rate
        samples = np.zeros(0, np.float32)
        resampler = av.AudioResampler("fltp", "mono", rate)
        for frame in container.decode(stream):
            start = round(frame.time * rate)
            for part in resampler.resample(frame):
                values = part.to_ndarray()[0]
                if start < 0:
                    values, start = values[-start:], 0
                samples = np.pad(samples, (0, max(0, start + len(values) - len(samples))))
                samples[start : start + len(values)] = values
    return samples, rate


def onsets(level: np.ndarray, times: np.ndarray, threshold: float, apart: float = 0.3) -> list[float]:
    """Times at which a level rises above the threshold after at least `apart` seconds below it."""
    found: list[float] = []
    above = np.flatnonzero(level > threshold)
    last = -np.inf
    for i in above:
        if times[i] - last > apart:
            found.append(float(times[i]))
        last = times[i]
    return found
