"""A trained person dances as a video or a camera plays, in a browser's page on this computer, or to a file.

Three threads, each of which takes the newest there is: what comes while it is busy is dropped, and counted.
source -> poses (the second look follows; the first look finds the dancer, at the beginning and when lost) -> pictures
"""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import torch

from data import provenance, video
from data.annotations import Annotations
from data.files import sha256
from main import checkpoint
from main.causal import GrowingPlan, Placer, Smoother
from main.cli import run_step
from main.config import Config
from main.dataset import load_clip, source_bank
from main.device import network_type, prepare_device
from main.frame_files import load_generator
from main.rendering import render
from pose_detector.detector import Detector
from pose_detector.errors import InputError
from pose_detector.keypoints import scale_keypoints
from pose_detector.look import Looker
from pose_detector.second_look import PRESENT, find, steady
from pose_detector.tracking import poses_of, scores_of

LONGEST = 960  # pixels of the longer side of what is looked at; the crop has 256
PORT = 8137


class Newest:
    """One place for what one thread hands to another; who hands over faster than it is taken overwrites."""

    def __init__(self) -> None:
        self._ready, self._item, self._closed, self.dropped = threading.Condition(), None, False, 0

    def put(self, item: object) -> None:
        """Leave it, in place of what was not taken."""
        with self._ready:
            self.dropped += self._item is not None
            self._item = item
            self._ready.notify()

    def close(self) -> None:
        """Say that nothing more comes."""
        with self._ready:
            self._closed = True
            self._ready.notify()

    def __iter__(self) -> Iterator:
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._item is not None or self._closed)
                item, self._item = self._item, None
            if item is None:
                return
            yield item


@dataclass
class Moment:
    """A frame on its way.

    Attributes:
        time: seconds on the source's clock.
        taken: `time.monotonic` when it was there.
        frame: (H, W, 3) uint8 RGB; None once the pose is known.
        keypoints: (18, 3) pixels of that frame, or None.
    """

    time: float
    taken: float
    frame: np.ndarray | None
    keypoints: np.ndarray | None = None


@dataclass
class Tally:
    """Figures of a run: pictures shown, and delays in seconds of the newest ones."""

    shown: int = 0
    delays: deque[float] = field(default_factory=lambda: deque(maxlen=100))
    moments: deque[float] = field(default_factory=lambda: deque(maxlen=100))

    def add(self, taken: float) -> None:
        """Count a picture, whose frame was taken then."""
        now = time.monotonic()
        self.shown += 1
        self.delays.append(now - taken)
        self.moments.append(now)

    def line(self, dropped: int) -> str:
        """One line on it."""
        if len(self.moments) < 2:
            return "looking for the dancer"
        rate = (len(self.moments) - 1) / max(self.moments[-1] - self.moments[0], 1e-6)
        return f"{rate:.1f} frames/s, {np.median(self.delays):.2f} s behind, {dropped} frames dropped"


def main(config: Config) -> None:
    """Run it; see the module's docstring."""
    if not config.person_file or not config.source:
        raise InputError("give --person_file FILE, and --source VIDEO or the number of a camera")
    device = prepare_device(config.device, config.threads)
    if not config.threads and device.type == "cpu":
        torch.set_num_threads(max(1, torch.get_num_threads() // 2))  # poses and pictures are made at the same time
    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())  # so that a file is finished
    source, fps = open_source(config.source)
    moments, poses, tally = Newest(), Newest(), Tally()
    seek = seeker(config, device)
    errors: list[BaseException] = []
    threads = [
        _thread(lambda: play(source, moments, stop), moments, errors),
        _thread(lambda: follow(moments, poses, *seek), poses, errors),
    ]
    pictures = rendered(config, device, poses, tally, stop)

    def told() -> Iterator[tuple[float, np.ndarray]]:
        last = time.monotonic()
        for moment, picture in pictures:
            yield moment, provenance.mark(picture) if config.mark else picture
            if time.monotonic() - last > 2:
                last = time.monotonic()
                print(tally.line(moments.dropped + poses.dropped), flush=True)

    next(pictures)  # everything is loaded
    for thread in threads:
        thread.start()
    try:
        if config.to:
            to_file(config, told(), fps, stop)
        else:
            to_page(told(), lambda: tally.line(moments.dropped + poses.dropped))
    finally:
        stop.set()
    for thread in threads:
        thread.join(5)
    if errors:
        raise errors[0]
    print(f"{tally.shown} pictures, {tally.line(moments.dropped + poses.dropped)}")


def _thread(work: Callable[[], None], end: Newest, errors: list[BaseException]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            end.close()

    return threading.Thread(target=run, daemon=True)


def open_source(source: str) -> tuple[Iterator[tuple[float, np.ndarray]], Fraction]:
    """Frames (H, W, 3) uint8 RGB of a video, in the time in which it plays, or of a camera, with their times in seconds
    from 0, and frames per second.

    Raises:
        InputError: there is no such video or camera.
    """
    if source.isdigit():
        camera = cv2.VideoCapture(int(source))
        if not camera.isOpened():
            raise InputError(f"there is no camera {source}; cameras are counted from 0")
        return _filmed(camera), Fraction(25)
    info = video.probe(source)
    shrink = min(1.0, LONGEST / max(info.width, info.height))
    size = max(1, round(info.width * shrink)), max(1, round(info.height * shrink))
    return _played(Path(source), size), info.fps


def _filmed(camera: cv2.VideoCapture) -> Iterator[tuple[float, np.ndarray]]:
    began = time.monotonic()
    try:
        while True:
            good, frame = camera.read()
            if not good:
                return
            yield time.monotonic() - began, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    finally:
        camera.release()


def _played(path: Path, size: tuple[int, int]) -> Iterator[tuple[float, np.ndarray]]:
    began = first = None
    with closing(video.read_frames(path, size)) as frames:
        for _, moment, frame in frames:
            if began is None:
                began, first = time.monotonic(), moment
            time.sleep(max(0.0, began + moment - first - time.monotonic()))
            yield moment - first, frame


def play(source: Iterator[tuple[float, np.ndarray]], goal: Newest, stop: threading.Event) -> None:
    """Hand over every frame when its time has come."""
    with closing(source):
        for moment, frame in source:
            if stop.is_set():
                return
            goal.put(Moment(moment, time.monotonic(), frame))


def seeker(config: Config, device: torch.device) -> tuple[Detector, Looker, int | None]:
    """Both looks, and which person is wanted."""
    from pose_detector.model_files import resolve_second_look

    name = config.second_look if config.second_look.startswith("blazepose") else "bundled"  # which is the fastest
    kind, weights, _ = resolve_second_look(name, config.second_look_model, offline=config.offline)
    detector = Detector.load(config.pose_weights, device=device)
    if kind == "blazepose":
        from pose_detector.blazepose import BlazePose

        return detector, BlazePose(weights, 1), config.person
    from pose_detector.person_network import Bundled, load

    return detector, Bundled(load(weights), device, network_type(device, config.precision)), config.person


def follow(source: Newest, goal: Newest, detector: Detector, looker: Looker, person: int | None) -> None:
    """Hand over the dancer's keypoints in every frame: by the second look, and by both where it has lost them."""
    crop = None
    for moment in source:
        look = None if crop is None else looker.look(moment.frame, crop)
        if look is None or look.presence < PRESENT:
            seen = first_look(moment.frame, detector, person)
            look = None if seen is None else find(moment.frame, seen, looker)
        crop = None if look is None else steady(look.crop, look.following)
        moment.keypoints = None if look is None else look.keypoints
        moment.frame = None
        goal.put(moment)


def first_look(frame: np.ndarray, detector: Detector, person: int | None) -> np.ndarray | None:
    """Keypoints (18, 3) of the largest person in a frame, or of one counted from the left; None where there is none."""
    size = video.working_size(frame.shape[1], frame.shape[0])
    people = scale_keypoints(poses_of(*detector([video.resize(frame, size)])), np.divide(frame.shape[1::-1], size))
    if not len(people) or (person is not None and person >= len(people)):
        return None
    if person is None:
        return people[scores_of(people).argmax()]
    middles = np.average(people[..., 0], axis=1, weights=people[..., 2] > 0)
    return people[np.argsort(middles)[person]]


def rendered(
    config: Config, device: torch.device, poses: Newest, tally: Tally, stop: threading.Event
) -> Iterator[tuple[float, np.ndarray]]:
    """Times on the source's clock and pictures (H, W, 3) uint8 RGB of the person; the first, once all is loaded, shows
    the empty room."""
    annotations = Annotations.load(config.train_annotations)
    path = checkpoint.best(config.checkpoint_dir)
    state = checkpoint.load(path)
    generator, config = load_generator(config, state, path, device)
    pictures = config.images_dir, config.masks_dir, config.background_image
    bank = source_bank(annotations, config.bank, config.most_height)  # no more pixels than are decided about: faster
    clip = load_clip(annotations, *pictures, bank)
    growing = GrowingPlan(clip)
    smooth, place = Smoother(), Placer(annotations.keypoints)
    frames = render(generator, clip, growing.plan, device)
    yield 0.0, annotations.shown(clip.whole)
    for moment in poses:
        if stop.is_set():
            return
        missing = np.zeros((18, 3), np.float32)
        seen = smooth(missing if moment.keypoints is None else moment.keypoints, moment.time)
        pose = place(seen, moment.time)
        if growing.length == len(growing.plan):
            growing = GrowingPlan(clip)
            frames = render(generator, clip, growing.plan, device)
        growing.add(scale_keypoints(missing if pose is None else pose, clip.scale))
        picture = next(frames)
        tally.add(moment.taken)
        yield moment.time, annotations.shown(picture)


def to_file(config: Config, pictures: Iterator[tuple[float, np.ndarray]], fps: Fraction, stop: threading.Event) -> None:
    """Write a video at the source's frame rate, each picture at the time of its frame and shown until the next one;
    with the source's sound."""

    def even() -> Iterator[np.ndarray]:
        count, last = 0, None
        for moment, picture in pictures:
            while count < round(moment * fps) and last is not None:
                yield last
                count += 1
            last = picture
            if count == 0:
                count = round(moment * fps)
                yield from [picture] * count  # the sound begins with the source
        if last is not None:
            yield last

    sound = None if config.source.isdigit() else config.source
    sources = {"person file": sha256(config.person_file)}
    if sound:
        sources["dance"] = sha256(sound)
    video.write_video(
        config.to, even(), fps, audio_from=sound, crf=config.crf, preset="veryfast", metadata=provenance.tags(sources)
    )
    print(f"written: {config.to}")


_PAGE = """<!doctype html><title>Live: synthetic</title><style>body{margin:0;background:#222;color:#ddd;
font:16px sans-serif;text-align:center}img{width:100%;max-height:90vh;object-fit:contain}</style>
<img src=/video alt="the person dancing"><p id=told>Synthetic pictures</p><script>setInterval(async()=>{
told.textContent="Synthetic pictures: "+await(await fetch("/told")).text()},1000)</script>"""


def to_page(pictures: Iterator[tuple[float, np.ndarray]], told: Callable[[], str], port: int = PORT) -> None:
    """Show pictures on a page that this computer alone can open, until they end."""
    ready, newest = threading.Condition(), [b"", 0]

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            if self.path != "/video":
                text = told() if self.path == "/told" else _PAGE
                self.send_header("Content-Type", f"text/{'plain' if self.path == '/told' else 'html'}; charset=utf-8")
                self.end_headers()
                self.wfile.write(text.encode())
                return
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            shown = 0
            while True:
                with ready:
                    while newest[1] == shown:
                        ready.wait()
                    data, shown = newest
                if shown is None:
                    return
                try:
                    self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + data + b"\r\n")
                except OSError:  # the page was closed
                    return

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Page)
    except OSError as error:
        raise InputError(f"port {port} is in use; is another live run at work?") from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"open http://127.0.0.1:{server.server_port} in a browser; Ctrl-C ends", flush=True)
    try:
        for count, (_, picture) in enumerate(pictures, 1):
            data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()
            with ready:
                newest[:] = data, count
                ready.notify_all()
    finally:
        with ready:
            newest[1] = None
            ready.notify_all()
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    run_step(main, __doc__ or "")
