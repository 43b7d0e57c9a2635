"""Video files in and out, over PyAV: frames with their times, upright, and the sound that belongs to them."""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.stream import Disposition
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from data.files import atomic_path
from pose_detector.errors import InputError

logger = logging.getLogger(__name__)

READ_AHEAD = 16  # frames decoded before they are asked for
MP4_AUDIO = frozenset({"aac", "mp3", "ac3", "eac3", "alac"})  # codecs that players expect in mp4: copied as they are
_BT709 = 1  # AVCOL_SPC_BT709 of libavutil/pixfmt.h
_UNSPECIFIED = 2
_TICKS = 90_000  # least time resolution of what is written, per second


@dataclass(frozen=True)
class VideoInfo:
    """What a video file says of itself.

    Attributes:
        path: the file.
        width, height: in pixels as displayed, rotation and pixel shape applied.
        stored: (width, height) of the pixels that the file holds, upright; other tools' coordinates count these.
        fps: mean frames per second.
        rotation: degrees clockwise by which the stored frames are turned to be upright: 0, 90, 180 or 270.
        frames: how many the file holds.
        duration: seconds from the first frame to the end of the last.
        has_audio: whether there is sound.
        complete: false where the file announces more frames than it holds (cut short in copying, say).
    """

    path: Path
    width: int
    height: int
    stored: tuple[int, int]
    fps: Fraction
    rotation: int
    frames: int
    duration: float
    has_audio: bool
    complete: bool


def probe(path: Path | str) -> VideoInfo:
    """Read a video's head, its first frame and its index.

    Raises:
        InputError: there is no such file, it is empty, a folder, no video, sound only, a single picture, or no frame of
            it can be decoded.
    """
    path = Path(path)
    with _open(path) as container:
        stream = _video_stream(container, path)
        first, pts = None, []
        try:
            for packet in container.demux(stream):
                if packet.pts is not None or packet.dts is not None:
                    pts.append(packet.pts if packet.pts is not None else packet.dts)
                if first is None:
                    first = next(iter(_decode(packet)), None)
        except av.FFmpegError:
            pass  # a file cut short: what came before counts
        if first is None:
            raise InputError(f"{path}: no frame of it can be decoded; it is damaged or cut short, export it again")
        count = len(pts)
        if count < 2:
            raise InputError(f"{path} has only one frame; a video of some seconds is needed")
        span = float((max(pts) - min(pts)) * stream.time_base)
        fps = stream.average_rate or stream.guessed_rate
        if span > 0 and (not fps or not 0.9 < float(fps) * span / (count - 1) < 1.1):
            fps = Fraction((count - 1) / span).limit_denominator(1001)
        if not fps or not 0 < fps <= 1000:
            raise InputError(f"{path}: its frames carry no usable times; convert it to H.264 mp4")
        rotation = _rotation(first)
        width, height = _displayed_size(first, stream)
        return VideoInfo(
            path=path,
            width=width,
            height=height,
            stored=(first.height, first.width) if rotation % 180 else (first.width, first.height),
            fps=Fraction(fps),
            rotation=rotation,
            frames=count,
            duration=span + float(1 / fps),
            has_audio=bool(container.streams.audio),
            complete=count >= stream.frames - 1,
        )


def read_frames(path: Path | str, size: tuple[int, int] | None = None) -> Iterator[tuple[int, float, np.ndarray]]:
    """Decode a video from its start, in a thread of its own and up to `READ_AHEAD` frames ahead.

    Frames that cannot be decoded are left out; a file cut short ends early, with a warning in the log.

    Args:
        path: the video.
        size: (width, height) in pixels of the frames wanted; None: as displayed.

    Yields:
        index from 0; time in seconds on the file's clock; frame (H, W, 3) uint8 RGB, upright.

    Raises:
        InputError: as `probe`, on the first frame.
    """
    yield from _ahead(_frames(Path(path), size), READ_AHEAD)


def working_size(width: int, height: int, area: int = 512 * 288) -> tuple[int, int]:
    """Size (width, height) in pixels to work at: sides multiples of 32, the video's own aspect ratio, about this area.

    Of the sizes that change the aspect ratio by less than 4 % the one nearest in shape and area is taken; only for very
    long or very small pictures there is none, and the nearest in shape wins.
    """
    aspect = width / height
    best = None
    ideal = math.sqrt(area * aspect)
    for columns in range(max(1, int(ideal / 32 * 0.7)), math.ceil(ideal / 32 * 1.4) + 1):
        for rows in {max(1, math.floor(columns / aspect)), max(1, math.ceil(columns / aspect))}:
            squash = abs(math.log(columns / rows / aspect))
            cost = 3 * squash + abs(math.log(columns * rows * 1024 / area)) + (10 * squash if squash > 0.039 else 0)
            if best is None or cost < best[0]:
                best = cost, columns, rows
    assert best is not None
    return 32 * best[1], 32 * best[2]


def write_video(
    path: Path | str,
    frames: Iterable[np.ndarray],
    fps: Fraction | float,
    times: np.ndarray | None = None,
    audio_from: Path | str | None = None,
    crf: float = 16,
    preset: str = "medium",
) -> int:
    """Write H.264 (yuv420p, BT.709, index in front) that every player shows; the old file stays until it is done.

    Args:
        path: the .mp4 file.
        frames: (H, W, 3) uint8 RGB, all of one size; an odd side grows by one pixel.
        fps: frames per second; with `times`, the mean rate.
        times: (N,) seconds of each frame, strictly rising, on the clock of `audio_from`; the first becomes 0. None: one
            frame each 1 / fps.
        audio_from: a video whose sound is put under the frames, copied where mp4 can hold it, else as AAC. It is cut to
            the length of the picture. None, or without sound: silent.
        crf: quality of x264, lower is better.
        preset: speed of x264.

    Returns:
        the number of frames written.

    Raises:
        ValueError: there are fewer times than frames, or they do not rise.
        InputError: `audio_from` cannot be read.
    """
    rate = Fraction(fps).limit_denominator(1001)
    # A whole number of ticks a frame at an even rate, fine enough for uneven ones.
    scale = rate.numerator * math.ceil(_TICKS / rate.numerator)
    ticks = None
    if times is not None:
        ticks = np.rint((np.asarray(times, np.float64) - times[0]) * scale).astype(np.int64)
        if len(ticks) > 1 and np.diff(ticks).min() <= 0:
            raise ValueError("times must rise from frame to frame")
    start = float(times[0]) if times is not None else 0.0
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(atomic_path(path))
        sound = stack.enter_context(_open(Path(audio_from))) if audio_from is not None else None
        output = stack.enter_context(av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"}))
        stream = output.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": preset})
        track = _AudioTrack(output, sound, start) if sound is not None and sound.streams.audio else None
        count, now = 0, 0
        step = round(scale / rate)
        for frame in frames:
            height, width = frame.shape[:2]
            if count == 0:
                _configure(stream, width, height, Fraction(1, scale))
            if ticks is not None and count >= len(ticks):
                raise ValueError(f"{len(ticks)} times, but more frames")
            now = int(ticks[count]) if ticks is not None else count * step
            picture = _to_yuv(frame)
            picture.pts, picture.time_base = now, Fraction(1, scale)
            output.mux(stream.encode(picture))
            if track:
                track.copy_until(now / scale)
            count += 1
        if count == 0:
            raise ValueError("no frames to write")
        output.mux(stream.encode(None))
        if track:
            # The last frame is shown for the mean time of a frame.
            track.copy_until((now + step) / scale)
            track.finish()
    return count


# ---- Reading ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _open(path: Path) -> Iterator[av.container.InputContainer]:
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the video file itself")
    if not path.is_file():
        raise InputError(f"{path} is missing; put a video there or give another path")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes); copy or export the video again")
    try:
        container = av.open(str(path), metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise InputError(f"{path} is not a video that can be read, or cut short; export it as H.264 mp4") from error
    with container:
        yield container


def _video_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    # A song's cover is stored as a video stream of one picture.
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        what = "sound only" if container.streams.audio else "no video"
        raise InputError(f"{path} holds {what}; a video with pictures is needed")
    stream = max(streams, key=lambda s: s.width * s.height)
    if stream.codec_context is None:
        raise InputError(f"{path}: its video format is not known here; convert it to H.264 mp4")
    stream.thread_type = "AUTO"
    return stream


def _decode(packet: av.Packet) -> list[av.VideoFrame]:
    try:
        return packet.decode()
    except av.FFmpegError:
        return []  # a damaged packet costs its own frames only


def _frames(path: Path, size: tuple[int, int] | None) -> Generator[tuple[int, float, np.ndarray]]:
    with _open(path) as container:
        stream = _video_stream(container, path)
        fallback = float(1 / (stream.average_rate or stream.guessed_rate or 25))
        index, last = 0, -math.inf
        upright: tuple[int, int] | None = size
        try:
            for packet in container.demux(stream):
                for frame in _decode(packet):
                    if upright is None:
                        upright = _displayed_size(frame, stream)
                    time = frame.time if frame.time is not None else last + fallback
                    if not math.isfinite(time):
                        time = 0.0
                    if time <= last:  # a time given twice, or running backwards: frames keep their order
                        time = last + fallback / 100
                    yield index, time, resize(_turn(_to_rgb(frame), _rotation(frame)), upright)
                    index, last = index + 1, time
        except av.FFmpegError as error:
            logger.warning("%s: reading stopped after %d frames (%s)", path, index, error)
        if index == 0:
            raise InputError(f"{path}: no frame of it can be decoded; it is damaged or cut short, export it again")
        if index < stream.frames - 1:
            logger.warning("%s: only %d of %d frames can be decoded; it seems cut short", path, index, stream.frames)


def _ahead(items: Generator, depth: int) -> Iterator:
    """The same items, produced in a thread at most `depth` ahead. An error comes out where it arose."""
    box: queue.Queue = queue.Queue(depth)
    stopped = threading.Event()

    def put(entry: tuple[str, object]) -> bool:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                box.put(entry, timeout=0.1)
                return True
        return False

    def produce() -> None:
        try:
            for item in items:
                if not put(("item", item)):
                    return
            put(("end", None))
        except BaseException as error:
            put(("error", error))
        finally:
            items.close()

    worker = threading.Thread(target=produce, name="decoder", daemon=True)
    worker.start()
    try:
        while True:
            kind, value = box.get()
            if kind == "end":
                return
            if kind == "error":
                raise value  # type: ignore[misc]
            yield value
    finally:
        stopped.set()
        worker.join()


def _rotation(frame: av.VideoFrame) -> int:
    """Degrees clockwise to turn the frame by, in quarters."""
    return round(-frame.rotation / 90) % 4 * 90


def _turn(picture: np.ndarray, rotation: int) -> np.ndarray:
    return np.rot90(picture, -rotation // 90) if rotation else picture


def _displayed_size(frame: av.VideoFrame, stream: av.VideoStream) -> tuple[int, int]:
    width, height = frame.width, frame.height
    shape = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    if shape and 0.2 < shape < 5:  # pixels that are not square, as on DV and DVD
        width = round(width * shape)
    return (height, width) if _rotation(frame) % 180 else (width, height)


def _to_rgb(frame: av.VideoFrame) -> np.ndarray:
    matrix = frame.colorspace
    if matrix in (0, _UNSPECIFIED):
        # Untagged: players take BT.709 for high definition and BT.601 below.
        high = frame.width >= 1280 or frame.height > 576
        matrix = Colorspace.ITU709 if high else Colorspace.ITU601
    return frame.reformat(format="rgb24", src_colorspace=int(matrix)).to_ndarray()


def resize(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture at (width, height), by area when shrinking; pixel x goes to (x + 0.5) * scale - 0.5."""
    height, width = picture.shape[:2]
    if (width, height) == tuple(size):
        return np.ascontiguousarray(picture)
    shrinks = size[0] * size[1] < width * height
    return cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


# ---- Writing ---------------------------------------------------------------------------------------------------------


def _configure(stream: av.VideoStream, width: int, height: int, time_base: Fraction) -> None:
    context = stream.codec_context
    context.width, context.height = width + width % 2, height + height % 2
    context.pix_fmt = "yuv420p"
    context.time_base = time_base
    # Without these tags players guess, and colours shift.
    context.colorspace = _BT709
    context.color_primaries = ColorPrimaries.BT709
    context.color_trc = ColorTrc.BT709
    context.color_range = ColorRange.MPEG


def _to_yuv(frame: np.ndarray) -> av.VideoFrame:
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        frame = cv2.copyMakeBorder(frame, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
    return picture.reformat(
        format="yuv420p",
        src_colorspace=Colorspace.ITU709,
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation="AREA",
    )


class _AudioTrack:
    """The first sound track of one file, shifted by `-start` seconds into another, packet by packet."""

    def __init__(self, output: av.container.OutputContainer, source: av.container.InputContainer, start: float) -> None:
        self._output, self._start = output, start
        self._in = source.streams.audio[0]
        self._copy = self._in.codec_context is not None and self._in.codec_context.codec.canonical_name in MP4_AUDIO
        if self._copy:
            self._out = output.add_stream_from_template(self._in)
        else:
            rate = min(self._in.rate or 48000, 48000)
            self._out = output.add_stream("aac", rate=rate if rate >= 22050 else 48000)
            self._resampler = av.AudioResampler("fltp", "stereo", self._out.rate)
        self._packets = self._entries(source)
        self._next = next(self._packets, None)

    def _entries(self, source: av.container.InputContainer) -> Iterator[tuple[float, av.Packet | av.AudioFrame]]:
        """Time in seconds on the output's clock, and packet or frame; what ends before 0 is left out."""
        try:
            for packet in source.demux(self._in):
                for item in [packet] if self._copy else _decode(packet):
                    if item.pts is None or (self._copy and not packet.size):
                        continue
                    time = float(item.pts * item.time_base) - self._start
                    length = float((item.duration or 0) * item.time_base)
                    if time + length > 0:
                        yield time, item
        except av.FFmpegError as error:
            logger.warning("the sound ends early: %s", error)

    def copy_until(self, end: float) -> None:
        """Write what starts before `end`, in seconds on the output's clock."""
        while self._next is not None and self._next[0] < end:
            item = self._next[1]
            if self._copy:
                shift = round(self._start / item.time_base)
                item.pts -= shift
                item.dts = item.dts - shift if item.dts is not None else item.pts
                item.stream = self._out
                self._output.mux(item)
            else:
                item.pts -= round(self._start / item.time_base)
                for frame in self._resampler.resample(item):
                    self._output.mux(self._out.encode(frame))
            self._next = next(self._packets, None)

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if not self._copy:
            for frame in self._resampler.resample(None):
                self._output.mux(self._out.encode(frame))
            self._output.mux(self._out.encode(None))
