"""Video files in and out, over PyAV: frames with their times, upright, and the sound that belongs to them."""

from __future__ import annotations

import contextlib
import functools
import logging
import math
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np

from data import colour, sound
from data.files import atomic_path
from data.media_file import (
    FrameReader,
    audio_stream,
    cut_short,
    decode,
    ffmpeg_name,
    open_media,
    packets,
    rate_of,
    video_stream,
)
from pose_detector.errors import InputError

logger = logging.getLogger(__name__)

READ_AHEAD = 16  # frames decoded before they are asked for
_AHEAD_MEMORY = 32e6  # bytes that these may take
_SAMPLED = 200e6  # pixels decoded for a quick sample: a second of one core
LONGEST_SIDE = 3840  # pixels of the frames that are kept: 4K
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
        duration: seconds from the first frame shown to the end of the last.
        has_audio: whether there is sound that can be decoded.
        complete: false where the file announces more frames than it holds (cut short in copying, say).
        mirrored: whether the frames, once turned, are mirrored left to right (as phones store front cameras).
    """

    path: Path
    width: int
    height: int
    stored: tuple[int, int]
    fps: Fraction
    rotation: int
    duration: float
    has_audio: bool
    complete: bool
    mirrored: bool = False

    @functools.cached_property
    def frames(self) -> int:
        """How many frames are shown: those that an edit list cuts away, or damage destroys, do not count.

        Only decoding shows it, so the first access takes as long as decoding does.
        """
        return count_frames(self.path)


def probe(path: Path | str) -> VideoInfo:
    """Read a video's head, its first frame and its index.

    Raises:
        InputError: there is no such file, it is empty, a folder, no video, sound only, a single picture, or no frame of
            it can be decoded.
    """
    path = Path(path)
    with open_media(path) as container:
        stream = video_stream(container, path)
        first, held, shown = None, 0, 0
        times: list[int] = []
        with contextlib.suppress(av.FFmpegError):  # a file cut short: what came before counts
            for packet in packets(container, stream):
                if first is None:
                    first = next(iter(decode(packet)), None)
                if not packet.size:
                    continue
                held += 1
                if not packet.is_discard:
                    shown += 1
                    time = packet.pts if packet.pts is not None else packet.dts
                    if time is not None:
                        times.append(time)
        if first is None:
            raise InputError(f"{path}: no frame of it can be decoded; it is damaged or cut short, export it again")
        if shown < 2:
            raise InputError(f"{path} has only one frame; a video of some seconds is needed")
        fps = rate_of(stream)
        span = float((max(times) - min(times)) * stream.time_base) if times else 0.0
        if span > 0 and not (0.9 < float(fps) * span / (len(times) - 1) < 1.1):
            fps = Fraction((len(times) - 1) / span).limit_denominator(1001)
        if not 0 < fps <= 1000:
            raise InputError(f"{path}: its frames carry no usable times; convert it to H.264 mp4")
        quarters, mirrored = _orientation(first)
        width, height = _displayed_size(first, _pixel_shape(stream))
        return VideoInfo(
            path=path,
            width=width,
            height=height,
            stored=(first.height, first.width) if quarters % 2 else (first.width, first.height),
            fps=Fraction(fps),
            rotation=90 * quarters,
            duration=(span or (shown - 1) / float(fps)) + float(1 / fps),
            has_audio=audio_stream(container) is not None,
            complete=not cut_short(stream, held),
            mirrored=mirrored,
        )


def count_frames(path: Path | str) -> int:
    """How many frames `read_frames` gives."""
    path = Path(path)
    count = 0
    with open_media(path) as container, contextlib.suppress(av.FFmpegError):
        for _ in FrameReader(container, video_stream(container, path)):
            count += 1
    return count


def read_frames(
    path: Path | str, size: tuple[int, int] | None = None, crop: Sequence[int] | None = None
) -> Iterator[tuple[int, float, np.ndarray]]:
    """Decode a video from its start, in a thread of its own and up to `READ_AHEAD` frames ahead.

    Frames that cannot be decoded are left out; a file cut short ends early, with a warning in the log. Interlaced
    frames are deinterlaced; high dynamic range becomes that of BT.709; where the size changes midway, the picture is
    fitted into that of the first frame.

    Args:
        path: the video.
        size: (width, height) in pixels of the frames wanted; None: as displayed.
        crop: (left, top, right, bottom) of the part that is wanted, in pixels as displayed; None: all of it. `size` is
            that of the part then.

    Yields:
        index from 0; time in seconds on the file's clock; frame (H, W, 3) uint8 RGB, upright.

    Raises:
        InputError: as `probe`, on the first frame.
    """
    with contextlib.closing(_frames(Path(path), size, crop)) as frames:
        first = next(frames)
        depth = int(min(READ_AHEAD, max(2, _AHEAD_MEMORY // first[2].nbytes)))
        yield first
        del first
        yield from _ahead(frames, depth)


def sample_frames(
    path: Path | str, count: int, size: tuple[int, int] | None = None, crop: Sequence[int] | None = None
) -> list[tuple[float, np.ndarray]]:
    """Some frames, spread over a video; fast, as most of it is skipped.

    A frame is decoded from the last one before it that stands by itself. Where that is far, an earlier frame is taken:
    at most `_SAMPLED` pixels are decoded in all. Moments that cannot be found are left out.

    Args:
        path: the video.
        count: how many; at least two come where the video has them.
        size: (width, height) in pixels of the frames wanted; None: as displayed.
        crop: the part that is wanted, see `read_frames`.

    Returns:
        time in seconds and frame (H, W, 3) uint8 RGB, upright, in order.

    Raises:
        InputError: as `probe`.
    """
    path, frames = Path(path), []
    with open_media(path) as container:
        stream = video_stream(container, path)
        show = _Screen(stream, size, crop)
        start, end = _span(container, stream)
        most = max(1, int(_SAMPLED / max(1, stream.width * stream.height) / count))  # frames decoded for each moment
        keys = [entry.timestamp * float(stream.time_base) for entry in stream.index_entries if entry.is_keyframe]
        decoder, now = None, -math.inf
        for moment in np.linspace(start, end, count + 2)[1:-1]:
            found = None
            with contextlib.suppress(av.FFmpegError, ValueError):
                if decoder is None or not keys or max((key for key in keys if key <= moment), default=moment) > now:
                    container.seek(int(moment / stream.time_base), stream=stream)
                    decoder = container.decode(stream)
                for found in islice(decoder, most):
                    now = found.time if found.time is not None else now
                    if now >= moment:
                        break
            if found is not None:
                frames.append((now, show(found)))
    if len(frames) < 2:  # so little can be found that the video is read from its start
        frames = [(time, frame) for _, time, frame in islice(read_frames(path, size, crop), count)]
    return frames


def _span(container: av.container.InputContainer, stream: av.VideoStream) -> tuple[float, float]:
    """Seconds at which a video begins and ends, by its head; one second where it says nothing."""
    start = float((stream.start_time or 0) * stream.time_base)
    if stream.duration:
        return start, start + float(stream.duration * stream.time_base)
    return start, start + (container.duration / av.time_base if container.duration else 1.0)


def own_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) of the training frames at the picture's own resolution, up to 4K, with even sides."""
    shrink = min(1.0, LONGEST_SIDE / max(width, height))
    return max(2, int(width * shrink) // 2 * 2), max(2, int(height * shrink) // 2 * 2)


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


def preview_size(width: int, height: int, highest: int = 720) -> tuple[int, int]:
    """Size (width, height) in pixels, even, of pictures to look at: their own, or smaller where they are higher."""
    scale = min(1.0, highest / height)
    return 2 * max(1, round(width * scale / 2)), 2 * max(1, round(height * scale / 2))


def write_video(
    path: Path | str,
    frames: Iterable[np.ndarray],
    fps: Fraction | float,
    times: np.ndarray | None = None,
    audio_from: Path | str | None = None,
    crf: float = 16,
    preset: str = "medium",
    metadata: Mapping[str, str] | None = None,
    full_colour: bool = False,
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
        metadata: tags of the file that mp4 knows, such as "comment" and "description".
        full_colour: keep the colour of every pixel (yuv444p), which few players show: for files of our own.

    Returns:
        the number of frames written.

    Raises:
        ValueError: there are fewer times than frames, or they do not rise.
        InputError: `audio_from` cannot be read.

    Sound never costs the result: where it can be neither copied nor encoded there is none, and a warning says so.
    """
    rate = Fraction(fps).limit_denominator(1001)
    # A whole number of ticks a frame at an even rate, fine enough for uneven ones.
    scale = rate.numerator * math.ceil(_TICKS / rate.numerator)
    form = "yuv444p" if full_colour else "yuv420p"
    ticks = None
    if times is not None:
        ticks = np.rint((np.asarray(times, np.float64) - times[0]) * scale).astype(np.int64)
        if len(ticks) > 1 and np.diff(ticks).min() <= 0:
            raise ValueError("times must rise from frame to frame")
    start = float(times[0]) if times is not None else 0.0
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(atomic_path(path))
        if audio_from is not None:
            prepared = stack.enter_context(_prepared_sound(Path(audio_from), temporary, start))
        else:
            prepared = None
        output = stack.enter_context(
            av.open(ffmpeg_name(temporary), "w", format="mp4", options={"movflags": "+faststart"})
        )
        output.metadata.update(metadata or {})
        stream = output.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": preset})
        track = sound.Track(output, prepared) if prepared is not None else None
        return _encode(output, stream, track, frames, form, ticks, scale, round(scale / rate))


def _encode(
    output: av.container.OutputContainer,
    stream: av.VideoStream,
    track: sound.Track | None,
    frames: Iterable[np.ndarray],
    form: str,
    ticks: np.ndarray | None,
    scale: int,
    step: int,
) -> int:
    """Write the frames of `write_video` and the sound beside them; returns their number.

    Args:
        output: the file.
        stream: its video, not configured yet.
        track: its sound; None: silent.
        frames: see there.
        form: pixel format.
        ticks: (N,) times of the frames in units of 1 / `scale` seconds; None: one each `step`.
        scale: units of time a second.
        step: mean time of a frame in these.
    """
    count, now = 0, 0
    for frame in frames:
        height, width = frame.shape[:2]
        if count == 0:
            _configure(stream, width, height, Fraction(1, scale), form)
        if ticks is not None and count >= len(ticks):
            raise ValueError(f"{len(ticks)} times, but more frames")
        now = int(ticks[count]) if ticks is not None else count * step
        picture = colour.to_yuv(frame, form)
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
    return count


# ---- Reading ---------------------------------------------------------------------------------------------------------


def _frames(
    path: Path, size: tuple[int, int] | None, crop: Sequence[int] | None
) -> Generator[tuple[int, float, np.ndarray]]:
    with open_media(path) as container:
        stream = video_stream(container, path)
        reader = FrameReader(container, stream)
        show = _Screen(stream, size, crop)
        index = 0
        try:
            for time, frame in _progressive(reader):
                # No name for the picture here: held until the next one, it would keep its memory from being used again.
                yield index, time, show(frame)
                index += 1
        except av.FFmpegError as error:
            logger.warning("%s: reading stopped after %d frames (%s)", path, index, error)
        if index == 0:
            raise InputError(f"{path}: no frame of it can be decoded; it is damaged or cut short, export it again")
        if cut_short(stream, reader.held):
            logger.warning("%s: only %d of %d frames can be decoded; it seems cut short", path, index, stream.frames)
        elif reader.damaged:
            logger.warning("%s: damaged in %d places; the frames there are left out", path, reader.damaged)


class _Screen:
    """Decoded frames to upright RGB pictures of one size: `size`, or the first frame's as displayed; of all that is
    displayed, or of the part `crop` (left, top, right, bottom)."""

    def __init__(self, stream: av.VideoStream, size: tuple[int, int] | None, crop: Sequence[int] | None = None) -> None:
        self._stream, self._size, self._crop = stream, size, crop
        self._to_rgb = colour.ToRgb()
        self._kind: tuple | None = None  # of the frames since the last change
        self._orientation = (0, False)
        self._own = self._first = (0, 0)  # (width, height) as displayed, now and at the start

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        kind = frame.width, frame.height, frame.rotation
        if kind != self._kind:
            # Only here: a frame whose side data has been asked for is freed late, by the garbage collector.
            self._orientation = _orientation(frame)
            if self._kind is None:
                self._own = self._first = _displayed_size(frame, _pixel_shape(self._stream))
            else:
                self._own = _displayed_size(frame, self._stream.codec_context.sample_aspect_ratio or Fraction(1))
            self._kind = kind
        picture = _upright(self._to_rgb(frame), *self._orientation)
        if self._crop is not None and tuple(self._crop) != (0, 0, *self._first):
            return self._part(picture, *self._crop)
        if self._own == self._first:
            return resize(picture, self._size or self._first)
        return _fit(picture, self._own, self._first, self._size or self._first)

    def _part(self, picture: np.ndarray, left: int, top: int, right: int, bottom: int) -> np.ndarray:
        if self._own != self._first:
            picture = _fit(picture, self._own, self._first, self._first)
        elif picture.shape[1::-1] != self._first:  # pixels that are not square
            picture = resize(picture, self._first)
        part = picture[top:bottom, left:right]
        return resize(part, self._size or part.shape[1::-1])


def _progressive(frames: Iterable[tuple[float, av.VideoFrame]]) -> Iterator[tuple[float, av.VideoFrame]]:
    """The same, those that are interlaced deinterlaced by FFmpeg's bwdif, one frame for each."""
    graph: av.filter.Graph | None = None
    kind: tuple = ()
    times: deque[float] = deque()

    def ready() -> Iterator[tuple[float, av.VideoFrame]]:
        with contextlib.suppress(av.BlockingIOError, av.EOFError):
            while times:
                yield times[0], graph.pull()
                times.popleft()

    def rest() -> Iterator[tuple[float, av.VideoFrame]]:
        if graph is not None:
            graph.push(None)
            yield from ready()
            times.clear()

    for time, frame in frames:
        if graph is None and not frame.interlaced_frame:
            yield time, frame
            continue
        if kind != (frame.width, frame.height, frame.format.name):
            yield from rest()
            kind = frame.width, frame.height, frame.format.name
            graph = _deinterlacer(frame)
        times.append(time)
        graph.push(frame)
        yield from ready()
    yield from rest()


def _deinterlacer(like: av.VideoFrame) -> av.filter.Graph:
    graph = av.filter.Graph()
    # bwdif looks at the order of frames only; times are kept beside.
    source = graph.add_buffer(width=like.width, height=like.height, format=like.format, time_base=like.time_base)
    bwdif = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    graph.link_nodes(source, bwdif, graph.add("buffersink")).configure()
    return graph


def _ahead(items: Generator, depth: int) -> Iterator:
    """The same items, produced in a thread at most `depth` ahead. An error comes out where it arose."""
    end = object()
    with ThreadPoolExecutor(1, "decoder") as thread:
        coming = deque(thread.submit(next, items, end) for _ in range(depth))
        try:
            while (item := coming.popleft().result()) is not end:
                coming.append(thread.submit(next, items, end))
                yield item
        finally:
            for future in coming:
                future.cancel()
            thread.submit(items.close)


def _orientation(frame: av.VideoFrame) -> tuple[int, bool]:
    """Quarters to turn a frame by, clockwise, and whether it is then mirrored left to right, by its display matrix."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 0, False
    # Rows (a, b, u), (c, d, v), (x, y, w): a point goes to (a x + c y, b x + d y), y down (libavutil/display.h).
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    mirrored = a * d - b * c < 0
    return round(math.atan2(b, -a if mirrored else a) / (math.pi / 2)) % 4, mirrored


def _upright(picture: np.ndarray, quarters: int, mirrored: bool) -> np.ndarray:
    picture = np.rot90(picture, -quarters) if quarters else picture
    return picture[:, ::-1] if mirrored else picture


def _pixel_shape(stream: av.VideoStream) -> Fraction:
    """Width over height of a pixel; not 1 on DV and DVD, say."""
    shape = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    return shape if shape and 0.2 < shape < 5 else Fraction(1)


def _displayed_size(frame: av.VideoFrame, shape: Fraction) -> tuple[int, int]:
    width, height = max(1, round(frame.width * shape)), frame.height
    return (height, width) if _orientation(frame)[0] % 2 else (width, height)


def _fit(picture: np.ndarray, own: tuple[int, int], first: tuple[int, int], goal: tuple[int, int]) -> np.ndarray:
    """A picture of another size than the first one's, whole and in shape within it, black around.

    Args:
        picture: (h, w, 3), upright.
        own, first: (width, height) as displayed of this picture and of the first one.
        goal: (width, height) in pixels of the result, which shows all of the first one.
    """
    scale = min(first[0] / own[0], first[1] / own[1])
    width, height = (max(1, min(g, round(o * scale * g / f))) for o, f, g in zip(own, first, goal, strict=True))
    canvas = np.zeros((goal[1], goal[0], 3), np.uint8)
    left, top = (goal[0] - width) // 2, (goal[1] - height) // 2
    canvas[top : top + height, left : left + width] = resize(picture, (width, height))
    return canvas


def resize(picture: np.ndarray, size: tuple[int, int], sharp: bool = False) -> np.ndarray:
    """The picture at (width, height), by area when shrinking; pixel x goes to (x + 0.5) * scale - 0.5.

    With `sharp` what is shrunk to no less than half is not averaged: enlarged again, a 1080p frame of the gallery is
    0.4 to 3.4 dB nearer to itself and 1.2 to 1.4 times as sharp; shrunk by more, averaging is nearer.
    """
    height, width = picture.shape[:2]
    if (width, height) == tuple(size):
        return np.ascontiguousarray(picture)
    shrinks = size[0] * size[1] < width * height
    averaged = shrinks and not (sharp and 4 * size[0] * size[1] >= width * height)
    flags = cv2.INTER_AREA if averaged else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(picture), size, interpolation=flags)


# ---- Writing ---------------------------------------------------------------------------------------------------------


def _configure(stream: av.VideoStream, width: int, height: int, time_base: Fraction, form: str) -> None:
    context = stream.codec_context
    context.width, context.height = width + width % 2, height + height % 2
    context.time_base = time_base
    colour.tag(context, form)


@contextlib.contextmanager
def _prepared_sound(source: Path, beside: Path, start: float) -> Iterator[av.container.InputContainer | None]:
    """The sound of `source` in a file of its own beside the one that is written, while it is needed."""
    path = beside.with_name(f"{beside.stem}.sound.mp4")
    try:
        found = sound.prepare(source, path, start)
        if found.note:
            logger.warning("%s", found.note)
        if found.kept:
            with open_media(path) as prepared:
                yield prepared
        else:
            yield None
    finally:
        path.unlink(missing_ok=True)
