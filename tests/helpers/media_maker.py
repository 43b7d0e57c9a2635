"""Small media files with the faults and peculiarities that real ones have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

RATE = 44100


def tone(frequency: float, seconds: float, channels: int = 1, rate: int = RATE) -> np.ndarray:
    """(channels, samples) float32 of a sine wave."""
    wave = 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)
    return np.tile(wave.astype(np.float32), (channels, 1))


def pitch(samples: np.ndarray, rate: int) -> float:
    """The strongest frequency in Hz of mono samples."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


def write_media(
    path: Path,
    frames: Sequence[np.ndarray] = (),
    sounds: Sequence[np.ndarray] = (),
    fps: float | Fraction = 25,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    sound_codec: str = "aac",
    rate: int = RATE,
    default: int | None = None,
    first: float = 0.0,
    setup: Callable[[av.VideoCodecContext], None] | None = None,
    convert: Callable[[np.ndarray], av.VideoFrame] | None = None,
) -> Path:
    """A file with one video stream and several sound tracks.

    Args:
        path: its suffix tells the format.
        frames: (H, W, 3) uint8 RGB.
        sounds: (channels, samples) float32 each.
        fps: frames per second.
        codec, pixels, options: of the pictures.
        sound_codec, rate: of the tracks.
        default: index of the track that is marked so; None: as the format has it.
        first: seconds at which pictures and sound begin.
        setup: changes the encoder's settings before it is opened.
        convert: RGB to a frame in `pixels`; None: FFmpeg's own.
    """
    with av.open(f"file:{path}", "w") as output:
        video = None
        if len(frames):
            video = output.add_stream(codec, rate=Fraction(fps), options=options or {})
            video.height, video.width = frames[0].shape[:2]
            video.pix_fmt = pixels
            if setup:
                setup(video.codec_context)
        tracks = []
        for i, samples in enumerate(sounds):
            layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(samples)]
            track = output.add_stream(sound_codec, rate=rate, layout=layout)
            if default is not None:
                track.disposition = Disposition.default.value if i == default else 0
            tracks.append(track)
        if video:
            for i, picture in enumerate(frames):
                if convert:
                    frame = convert(picture)
                else:
                    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
                frame.pts, frame.time_base = i + round(first * fps), 1 / Fraction(fps)
                output.mux(video.encode(frame))
            output.mux(video.encode(None))
        for track, samples in zip(tracks, sounds, strict=True):
            form = track.codec_context.format.name
            step = track.codec_context.frame_size or 1024
            for start in range(0, samples.shape[1], step):
                frame = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(samples[:, start : start + step]), "fltp", track.layout.name
                )
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = start + round(first * rate)
                for part in av.AudioResampler(form, track.layout.name, rate).resample(frame):
                    output.mux(track.encode(part))
            output.mux(track.encode(None))
    return path


def join(path: Path, *parts: Path) -> Path:
    """One file of the bytes of several."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def cut_by_edit_list(source: Path, path: Path, seconds: float) -> Path:
    """The video from `seconds` on without encoding it anew: mp4 with an edit list, as phones and editors make it."""
    with av.open(str(source)) as before, av.open(str(path), "w") as output:
        track = output.add_stream_from_template(before.streams.video[0])
        for packet in before.demux(video=0):
            if packet.size:
                shift = round(seconds / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, track
                output.mux(packet)
    return path


def set_back_sound_of_flv(path: Path, after: float, by: float) -> Path:
    """Let the clock of a .flv file's sound run back by `by` seconds from `after` on."""
    data = bytearray(path.read_bytes())
    place = 13  # header, and the size of no tag before the first
    while place < len(data):
        size = int.from_bytes(data[place + 1 : place + 4], "big")
        time = int.from_bytes(data[place + 4 : place + 7], "big")
        if data[place] == 8 and time >= after * 1000:
            data[place + 4 : place + 7] = (time - round(by * 1000)).to_bytes(3, "big")
        place += 11 + size + 4
    path.write_bytes(data)
    return path


def rename_format(path: Path, old: bytes, new: bytes, count: int = -1) -> Path:
    """Change the four letters of sample descriptions."""
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, count))
    return path


def interlaced(count: int = 12, width: int = 96, height: int = 64) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Bars that move. Frames with one moment in odd rows and the next in even ones; whole pictures of the odd ones."""
    x = np.arange(width)
    moments = [
        np.broadcast_to(128 + 90 * np.sin(2 * np.pi * (x - 3 * i) / 32), (height, width))[..., None].repeat(3, -1)
        for i in range(2 * count)
    ]
    moments = [moment.astype(np.uint8) for moment in moments]
    woven = [first.copy() for first in moments[::2]]
    for frame, second in zip(woven, moments[1::2], strict=True):
        frame[::2] = second[::2]
    return woven, moments[::2]
