"""Media files as FFmpeg's own tools read them: streams, packets on one clock, frames in the order of showing."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
from av.stream import Disposition

from pose_detector.errors import InputError
from pose_detector.untrusted import MOST_PIXELS

_TS_DISCONT = 0x200  # AVFMT_TS_DISCONT of libavformat/avformat.h: the clock of such files may jump
_NOTIMESTAMPS = 0x80  # AVFMT_NOTIMESTAMPS
_JUMP = 10.0  # seconds; dts_delta_threshold of ffmpeg
_STEP_BACK = 0.1  # seconds that a clock may run back before it counts as restarted, as in ffmpeg_demux.c
LONGEST_FRAME = 3600.0  # seconds that a frame may be shown; a damaged clock gives more
_HELD = 32  # frames after which their times are trusted
# Tags need not be UTF-8. PyAV 19 replaces what is not by itself, and has dropped the argument.
_TAGS = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


def ffmpeg_name(path: Path | str) -> str:
    """The name by which FFmpeg opens a file; without `file:` it would take `a:b.mp4` for a protocol called a."""
    return f"file:{path}"


@contextlib.contextmanager
def open_media(path: Path) -> Iterator[av.container.InputContainer]:
    """Open a file for reading.

    Raises:
        InputError: there is no such file, it is a folder, empty, or of no format that FFmpeg knows.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the video file itself")
    if not path.is_file():
        raise InputError(f"{path} is missing; put a video there or give another path")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes); copy or export the video again")
    with open(path, "rb") as file:
        head = file.read(21)
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and head[20] & 2:  # the container's animation flag
        raise InputError(f"{path} is an animated WebP, which FFmpeg cannot read; convert it to mp4 or GIF")
    try:
        container = av.open(ffmpeg_name(path), **_TAGS)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise InputError(f"{path} is not a video that can be read, or cut short; export it as H.264 mp4") from error
    with container:
        yield container


def video_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The largest stream of pictures that can be decoded.

    Raises:
        InputError: there is none, or it is larger than 8K.
    """
    # A song's cover is stored as a video stream of one picture.
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        what = "sound only" if container.streams.audio else "no video"
        raise InputError(f"{path} holds {what}; a video with pictures is needed")
    known = [s for s in streams if s.codec_context is not None]
    if not known:
        raise InputError(f"{path}: its video format is not known here; convert it to H.264 mp4")
    stream = max(known, key=lambda s: s.width * s.height)
    if stream.width * stream.height > MOST_PIXELS:
        raise InputError(f"{path} shows {stream.width}x{stream.height} pixels, more than 8K; export it smaller")
    stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}  # a frame in its midst may have another size
    stream.thread_type = "AUTO"
    return stream


def audio_stream(container: av.container.InputContainer) -> av.AudioStream | None:
    """The sound track that players take: the one marked default, else the first; only such as can be decoded."""
    aside = Disposition.hearing_impaired | Disposition.visual_impaired | Disposition.comment
    known = [s for s in container.streams.audio if s.codec_context is not None and s.rate]
    # av_find_best_stream of libavformat ranks like this.
    return max(
        known, key=lambda s: bool(s.disposition & Disposition.default) + (not s.disposition & aside), default=None
    )


# ---- One clock -------------------------------------------------------------------------------------------------------


def packets(container: av.container.InputContainer, stream: av.stream.Stream) -> Iterator[av.Packet]:
    """Packets of one stream, on a clock that neither restarts nor jumps.

    Where a file consists of several, joined byte by byte, each begins at its own time. ffmpeg continues the clock where
    a decoding time runs back, or, in formats made to be joined, jumps by 10 seconds (`ts_discontinuity_process` in
    ffmpeg_demux.c); so does this. In those formats all streams share one clock, elsewhere each has its own.

    Raises:
        av.FFmpegError: the file cannot be read further.
    """
    joined = bool(container.format.flags & _TS_DISCONT)
    watched = [stream]
    if joined:
        watched = [s for s in container.streams if s.type in ("video", "audio") and s.codec_context is not None]
    clocks = {s.index: _Clock(s) for s in watched}
    newest = 0.0  # seconds that the clock which restarted last is behind
    for packet in container.demux(watched):
        index = packet.stream.index  # the empty packets at the end have no `stream_index`
        # Packets that an edit list discards may come out of order.
        if packet.dts is not None and not packet.is_discard:
            newest = clocks[index].follow(packet, newest, joined)
        if index == stream.index:
            if clocks[index].offset:
                shift = round(clocks[index].offset / packet.time_base)
                packet.dts = packet.dts + shift if packet.dts is not None else None
                packet.pts = packet.pts + shift if packet.pts is not None else None
            yield packet


class _Clock:
    """Decoding times of one stream, and the seconds to add to them."""

    def __init__(self, stream: av.stream.Stream) -> None:
        rate = stream.average_rate if stream.type == "video" else None
        self._length = float(1 / rate) if rate else 0.0
        self._last: float | None = None
        self._expected = 0.0
        self.offset = 0.0

    def follow(self, packet: av.Packet, newest: float, jumps: bool) -> float:
        """Continue with a packet, after a restart if need be; gives the offset that is newest now.

        Packets of another stream may still come from before a restart, so each stream changes when it restarts itself.
        """
        time = float(packet.dts * packet.time_base)
        if self._last is None:
            self.offset = newest
        elif not self._fits(time + self.offset, jumps):
            fits = self._fits(time + newest, True)
            self.offset = newest if fits else self._expected - time
            newest = self.offset
        self._last = time + self.offset
        self._expected = self._last + (float(packet.duration * packet.time_base) or self._length)
        return newest

    def _fits(self, time: float, jumps: bool) -> bool:
        return time + _STEP_BACK >= self._last and not (jumps and abs(time - self._expected) > _JUMP)


def decode(packet: av.Packet) -> list:
    """The frames that a packet completes; none where it is damaged, which costs its own frames only."""
    try:
        return packet.decode()
    except (av.FFmpegError, ValueError):
        return []


def rate_of(stream: av.VideoStream) -> Fraction:
    """Mean frames per second by the file's head; 25 where it has none."""
    rates = stream.average_rate, stream.guessed_rate
    if stream.container.format.flags & _NOTIMESTAMPS:
        rates = rates[::-1]  # the rate in the pictures' own header, rather than the reader's default
    return rates[0] or rates[1] or Fraction(25)


def cut_short(stream: av.VideoStream, held: int) -> bool:
    """Whether a stream announces more than the `held` packets that were found, in number and in time."""
    # AVI counts ticks of its clock, and may leave most of them empty.
    ticks = (stream.duration or 0) * stream.time_base * rate_of(stream)
    return held < stream.frames - 1 and (not ticks or held < 0.99 * ticks - 1)


class FrameReader:
    """Decodes: each frame that is shown, in the order of showing, with its time in seconds on the file's clock.

    Frames that an edit list cuts away are not shown. Files without times (raw H.264) get the rate of their head. AVI
    and its like number their frames only, and libavformat gives these times to frames in the wrong order where there
    are B-frames. There a frame is shown when it leaves the decoder (so does `guess_correct_pts` in libavcodec/decode.c,
    from its second fault on), less what the decoder holds back, for the sound does not know of that.

    Attributes:
        held: packets found so far.
        damaged: those of them that could not be decoded.
    """

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream) -> None:
        self._container, self._stream = container, stream
        self._step = float(1 / rate_of(stream))
        self._last = -math.inf
        self._by_decoding: bool | None = True if container.format.name == "avi" else None  # not known yet
        self._start: int | None = None  # decoding time of the first packet
        self._lead: int | None = None  # ticks that the decoder holds back
        self._reordered, self._highest = False, -math.inf
        self._waiting: list[av.VideoFrame] = []
        self.held, self.damaged = 0, 0

    def __iter__(self) -> Iterator[tuple[float, av.VideoFrame]]:
        """Raises av.FFmpegError where the file cannot be read further, after all that the decoder held."""
        try:
            for packet in packets(self._container, self._stream):
                self.held += packet.size > 0
                if self._start is None and not packet.is_discard:
                    self._start = packet.dts
                if packet.pts is not None:
                    # Decoded later but shown earlier: the file does store display times.
                    self._reordered |= packet.pts < self._highest
                    self._highest = max(self._highest, packet.pts)
                try:
                    frames = packet.decode()
                except (av.FFmpegError, ValueError):
                    self.damaged += 1  # a damaged packet costs its own frames only
                    frames = []
                yield from self._settle(frames, ends=not packet.size)
        except av.FFmpegError:
            with contextlib.suppress(av.FFmpegError, ValueError):
                yield from self._settle(self._stream.codec_context.decode(None), ends=True)
            raise

    def _settle(self, frames: list[av.VideoFrame], ends: bool) -> Iterator[tuple[float, av.VideoFrame]]:
        """Hold frames back until it is clear which of their times to trust."""
        self._waiting += frames
        if self._by_decoding is None and self._waiting:
            self._by_decoding = self._judge(ends)
        if self._by_decoding is not None:
            for frame in self._waiting:
                yield self._place(frame), frame
            self._waiting.clear()

    def _judge(self, ends: bool) -> bool | None:
        """Whether times of decoding are to be used; None: not known yet."""
        times = [f.pts for f in self._waiting if f.pts is not None]
        if not times:
            return True
        if self._reordered or not self._stream.codec_context.has_b_frames:
            return False
        if any(after <= before for before, after in pairwise(times)):
            return True
        return False if ends or len(self._waiting) >= _HELD else None

    def _place(self, frame: av.VideoFrame) -> float:
        ticks = frame.pts
        if self._by_decoding:
            if self._lead is None and self._start is not None:
                self._lead = (frame.dts if frame.dts is not None else self._start) - self._start
            ticks = frame.dts - (self._lead or 0) if frame.dts is not None else None
            if ticks is None and self._last == -math.inf:
                ticks = self._start
        time = float(ticks * frame.time_base) if ticks is not None and frame.time_base else math.nan
        if not (math.isfinite(time) and (self._last == -math.inf or time < self._last + LONGEST_FRAME)):
            time = self._last + self._step if self._last > -math.inf else 0.0
        if time <= self._last:  # a time given twice: frames keep their order
            time = self._last + self._step / 100
        self._last = time
        return time
