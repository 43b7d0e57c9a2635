"""The sound of one video, prepared for the mp4 file of another: copied, else as AAC, else left out; never an error."""

from __future__ import annotations

import contextlib
import logging
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av

from data.media_file import audio_stream, decode, ffmpeg_name, open_media, packets

logger = logging.getLogger(__name__)

MP4_AUDIO = frozenset({"aac", "mp3", "ac3", "eac3", "alac"})  # codecs that players expect in mp4: copied as they are
_MOST_SILENCE = 3600.0  # seconds in all that fill gaps; a damaged clock would ask for years
_AAC_RATES = (22050, 48000)  # Hz that are kept; below and above all becomes 48 kHz


@dataclass(frozen=True)
class Sound:
    """What became of a video's sound.

    Attributes:
        kept: "copied", "AAC" or "" (there is none in the result).
        note: what had to be given up and why, one line; "" where all is well.
    """

    kept: str
    note: str = ""


def prepare(source: Path | str, goal: Path, start: float = 0.0) -> Sound:
    """Write the sound of `source` alone into an mp4 file, so that whatever is wrong with it shows before the picture.

    The track that players take is used. It is copied where mp4 can hold it and the copy can be decoded like the
    original; else it is encoded as AAC, stereo; else there is none and no file.

    Args:
        source: a video.
        goal: the .mp4 file; only there afterwards if sound was kept.
        start: seconds on the source's clock that become 0; what ends before is left out.

    Raises:
        InputError: `source` cannot be read at all.
    """
    source = Path(source)
    with open_media(source) as container:
        tracks = len(container.streams.audio)
        stream = audio_stream(container)
        name = stream.codec_context.codec.canonical_name if stream is not None else ""
    if not tracks:
        return Sound("")
    if stream is None:
        return Sound("", f"{source.name}: its sound is in a format that is not known here: silent; convert it to AAC")
    why = ""
    for way, kept in ((_copy, "copied"), (_encode, "AAC")):
        if way is _copy and name not in MP4_AUDIO:
            continue
        try:
            if way(source, goal, start):
                lost = way is _encode and name in MP4_AUDIO
                return Sound(
                    kept, f"{source.name}: its sound ({name}) cannot be copied, it becomes AAC" if lost else ""
                )
        except Exception as error:  # whatever it is: sound never costs the result
            why = f", {error}"
        goal.unlink(missing_ok=True)
    note = f"{source.name}: its sound ({name}{why}) cannot be used: silent; convert it to AAC"
    return Sound("", " ".join(note.split()))


def check(source: Path | str) -> str | None:
    """What will be wrong with a video's sound in the result, as one line to warn with; None where all is well.

    Raises:
        InputError: `source` cannot be read at all.
    """
    with open_media(Path(source)) as container:
        start = max(0.0, (container.start_time or 0) / av.time_base)  # a broadcast's clock may say some days
    with tempfile.TemporaryDirectory() as folder:
        return prepare(source, Path(folder) / "sound.mp4", start).note or None


# ---- The two ways ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _track(source: Path, start: float) -> Iterator[tuple[av.AudioStream, Iterator[av.Packet]]]:
    """The sound track and its packets, `start` becoming 0; a file cut short ends early."""
    with open_media(source) as container:
        stream = audio_stream(container)

        def shifted() -> Iterator[av.Packet]:
            with contextlib.suppress(av.FFmpegError):
                for packet in packets(container, stream):
                    shift = round(start / packet.time_base) if start else 0
                    packet.pts = packet.pts - shift if packet.pts is not None else None
                    packet.dts = packet.dts - shift if packet.dts is not None else packet.pts
                    yield packet

        yield stream, shifted()


def _copy(source: Path, goal: Path, start: float) -> bool:
    """Copy the packets; false where the copy does not decode as the original does, or nothing is left."""
    before = _Heard()
    with _track(source, start) as (stream, entries), _output(goal) as output:
        track = output.add_stream_from_template(stream)
        for packet in entries:
            before.listen(packet)
            if not packet.size or packet.pts is None or packet.is_discard:
                continue
            if float((packet.pts + (packet.duration or 0)) * packet.time_base) <= 0:
                continue
            packet.stream = track
            output.mux(packet)
    after = _Heard()
    with _track(goal, 0.0) as (_, entries):
        for packet in entries:
            after.listen(packet)
    # mp4 cannot describe a layout or rate that changes midway. After a cut the first packets may not decode.
    return after.seconds > 0 and len(before.formats) == 1 and after.errors <= before.errors + 2


class _Heard:
    """What decoding packets gives."""

    def __init__(self) -> None:
        self.seconds, self.errors, self.formats = 0.0, 0, set()

    def listen(self, packet: av.Packet) -> None:
        try:
            frames = packet.decode()
        except (av.FFmpegError, ValueError):
            self.errors += 1
            return
        for frame in frames:
            self.seconds += frame.samples / frame.sample_rate
            self.formats.add((frame.sample_rate, frame.layout.name))


def _encode(source: Path, goal: Path, start: float) -> bool:
    """Encode as stereo AAC from time 0 on, gaps filled with silence; false where there is nothing."""
    with _track(source, start) as (stream, entries), _output(goal) as output:
        rate = stream.rate if _AAC_RATES[0] <= stream.rate <= _AAC_RATES[1] else _AAC_RATES[1]
        track = output.add_stream("aac", rate=rate, layout="stereo")
        written = 0

        def write(frames: Iterator[av.AudioFrame]) -> None:
            nonlocal written
            for frame in frames:
                written = frame.pts + frame.samples
                output.mux(track.encode(frame))

        evener: _Evener | None = None
        silence = 0.0
        for packet in entries:
            for frame in decode(packet):
                begin = float(frame.pts * frame.time_base) if frame.pts is not None else -math.inf
                if begin + frame.samples / frame.sample_rate <= 0:
                    continue
                gap = max(0.0, begin - written / rate)
                if silence + gap > _MOST_SILENCE:
                    continue
                silence += gap
                if evener is None or not evener.takes(frame):
                    if evener is not None:
                        write(evener.rest())
                    evener = _Evener(frame, rate, written)
                write(evener(frame))
        if evener is not None:
            write(evener.rest())
        output.mux(track.encode(None))
    return written > 0


class _Evener:
    """FFmpeg's `aresample`: sound of one format to stereo of one rate, from a sample on without gap or overlap."""

    def __init__(self, like: av.AudioFrame, rate: int, first: int) -> None:
        self._format = like.sample_rate, like.layout.name, like.format.name
        self._graph = av.filter.Graph()
        self._source = self._graph.add_abuffer(
            sample_rate=like.sample_rate, format=like.format, layout=like.layout, time_base=like.time_base
        )
        even = self._graph.add("aresample", f"{rate}:async=1000:min_hard_comp=0.1:first_pts={first}")
        form = self._graph.add("aformat", f"sample_fmts=fltp:channel_layouts=stereo:sample_rates={rate}")
        self._graph.link_nodes(self._source, even, form, self._graph.add("abuffersink")).configure()

    def takes(self, frame: av.AudioFrame) -> bool:
        return self._format == (frame.sample_rate, frame.layout.name, frame.format.name)

    def __call__(self, frame: av.AudioFrame) -> Iterator[av.AudioFrame]:
        self._graph.push(frame)
        yield from self._ready()

    def rest(self) -> Iterator[av.AudioFrame]:
        self._source.push(None)
        yield from self._ready()

    def _ready(self) -> Iterator[av.AudioFrame]:
        with contextlib.suppress(av.BlockingIOError, av.EOFError):
            while True:
                yield self._graph.pull()


@contextlib.contextmanager
def _output(goal: Path) -> Iterator[av.container.OutputContainer]:
    with av.open(ffmpeg_name(goal), "w", format="mp4") as output:
        yield output


class Track:
    """Prepared sound on its way into a video's file, packet by packet beside the pictures."""

    def __init__(self, output: av.container.OutputContainer, prepared: av.container.InputContainer) -> None:
        self._output = output
        self._stream = output.add_stream_from_template(prepared.streams.audio[0])
        self._packets = (p for p in prepared.demux(prepared.streams.audio[0]) if p.size)
        self._next = next(self._packets, None)

    def copy_until(self, end: float) -> None:
        """Write what starts before `end`, in seconds."""
        while self._next is not None and float(self._next.pts * self._next.time_base) < end:
            self._next.stream = self._stream
            self._output.mux(self._next)
            self._next = next(self._packets, None)
