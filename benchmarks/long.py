"""What grows with the length of a video: memory, open files and disk of every step; and what drifts over a long dance.

    python benchmarks/long.py [--frames 1500] [--times 4] [--train_frames 500] [--size 320 180] [--networks]
                              [--workspace DIR]

A moment of each clip of the sample is played to and fro, for `frames` and for `times` as many. The poses are found by
the networks in that moment only, unless --networks: they take the most time, and none of the memory that grows. Prints
of each step the peak of its memory in both, what a minute of video adds, the open files, and the disk used against what
was said before (`main/look.py`); then of the longer dance's result the drift of the room, how far it is from the plate
outside person and shadow, and whether the sound is in time at its end. Ends with status 1 where one of these is worse
than it should be. Memory and open files are read from /proc (Linux).
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from tiny_pair import ROOT, STEPS, TINY

from data import pictures, video
from data.annotations import Annotations, image_name
from main.shadow import REACH
from pose_detector.skeleton import torso_length

FPS = 25
UNIT = 100  # frames of a clip that are played to and fro
RATE = 48000  # of the sound
BEEP = 0.08  # seconds, at each whole one
# The tiny networks; what a long video would keep more of is bounded in both, so that only what is not bounded grows.
SETTINGS = (*TINY[1:], "--epochs=1", "--frame_area=57600", "--most_frames=200", "--bank=100", "--second_look=bundled")
DRIFT, LEVELS, FRAMES_LATE, DISK = 0.2, 1.0, 1.0, 0.1  # grey levels a minute, levels, frames, share: not to be exceeded


# ---- The videos ------------------------------------------------------------------------------------------------------


def to_and_fro(frames: list[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """So many frames, played forwards and backwards by turns."""
    return (frames[i] for i in islice(turns(len(frames)), count))


def turns(count: int) -> Iterator[int]:
    """0, 1, ... count - 1, count - 2, ... 1, 0, 1, ... without an end."""
    while True:
        yield from range(count - 1)
        yield from range(count - 1, 0, -1)


def write(path: Path, frames: Iterator[np.ndarray], size: tuple[int, int]) -> None:
    """A video with a beep at each whole second."""
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(round(BEEP * RATE)) / RATE)
    second = np.zeros((1, RATE), np.float32)
    second[0, : len(tone)] = tone
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "18"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        track = output.add_stream("aac", rate=RATE, layout="mono")
        heard = av.AudioFifo()
        for i, picture in enumerate(frames):
            if i % FPS == 0:
                sound = av.AudioFrame.from_ndarray(second, format="fltp", layout="mono")
                sound.sample_rate, sound.pts, sound.time_base = RATE, i // FPS * RATE, Fraction(1, RATE)
                heard.write(sound)
                for part in heard.read_many(1024):
                    output.mux(track.encode(part))
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")))
        output.mux(stream.encode(None))
        output.mux(track.encode(None))


def repeat_poses(source: Path, goal: Path, count: int) -> None:
    """The pose files of the moment, for so many frames."""
    goal.mkdir(parents=True)
    files = [path.read_bytes() for path in sorted(source.iterdir())]
    for number, i in enumerate(islice(turns(len(files)), count)):
        (goal / f"{number:012d}_keypoints.json").write_bytes(files[i])


# ---- One run ---------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """The pair of one length, and what the steps took.

    Attributes:
        folder: holds all of it.
        frames: of the person's video, and of the dance.
        memory: peak in MB, by step.
        files: open ones at most, by step.
        said: bytes that were expected, by part.
    """

    folder: Path
    frames: dict[str, int]
    memory: dict[str, float] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    said: dict[str, float] = field(default_factory=dict)

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def minutes(self, step: str) -> float:
        """Of video that a step works on; step 3's work is bounded."""
        return self.frames["train" if step in ("video2data-train", "train") else "test"] / FPS / 60

    def make(self, unit: dict[str, list[np.ndarray]], poses: Path | None) -> None:
        """Write both videos, and their poses where these are given."""
        self.folder.mkdir(parents=True)
        for mode, frames in unit.items():
            height, width = frames[0].shape[:2]
            write(self.folder / f"{mode}.mp4", to_and_fro(frames, self.frames[mode]), (width, height))
            if poses:
                repeat_poses(poses / mode, self.folder / f"{mode}_poses", self.frames[mode])

    def settings(self, poses: bool) -> list[str]:
        """Of every step."""
        words = [f"--workspace={self.work}", *(f"--{m}_video={self.folder / m}.mp4" for m in self.frames), *SETTINGS]
        return words + [f"--{mode}_poses={self.folder / mode}_poses" for mode in self.frames if poses]

    def go(self, poses: bool) -> None:
        """Look at the pair, and run all steps."""
        self.measure("look", ["main/look.py"], poses)
        self.said = json.loads((self.work / "data/source/look/look.json").read_text(encoding="utf-8"))["disk"]
        for step, words in STEPS.items():
            self.measure(step, list(words), poses)

    def measure(self, step: str, words: list[str], poses: bool) -> None:
        """Run a step and watch it."""
        log = self.folder / f"{step}.log"
        with open(log, "w", encoding="utf-8") as file:
            command = [sys.executable, str(ROOT / words[0]), *words[1:], *self.settings(poses)]
            process = subprocess.Popen(command, stdout=file, stderr=file)
        memory, files = 0.0, 0
        while process.poll() is None:
            memory, files = max(memory, peak(process.pid)), max(files, open_files(process.pid))
            time.sleep(0.05)
        self.memory[step], self.files[step] = memory, files
        if process.returncode:
            raise RuntimeError(f"{step} fails: {log.read_text(encoding='utf-8')[-500:]}")

    def used(self) -> dict[str, int]:
        """Bytes on disk by step, named as in `said`."""
        source, output = self.work / "data/source", self.work / "output"
        parts = {
            "1 train": [source / "images", source / "masks", source / "train_bg_img.png"],
            "1 test": [source / "annotations/test_annotations.npz"],
            "2": [source / "norm_preview.mp4", source / "norm_plot.png"],
            "3": [output / "model_dump", output / "persons"],
            "4": [output / "vis"],
            "5": [output / "result"],
        }
        return {part: sum(size_of(path) for path in paths) for part, paths in parts.items()}


def peak(process: int) -> float:
    """Largest resident size of a process so far, MB; 0 where it has ended."""
    try:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process}/status").read_text(encoding="utf-8"))
        return int(found[1]) / 1024 if found else 0.0
    except OSError:
        return 0.0


def open_files(process: int) -> int:
    """How many files a process has open."""
    try:
        return sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())
    except OSError:
        return 0


def size_of(path: Path) -> int:
    """Bytes of a file, or of all in a folder."""
    if path.is_dir():
        return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
    return path.stat().st_size if path.is_file() else 0


# ---- The result ------------------------------------------------------------------------------------------------------


@dataclass
class Drift:
    """How steady a long dance is.

    Attributes:
        rendered, encoded: grey levels a minute by which the room changes, in the pictures and in the video.
        apart: levels between pictures and plate outside person and shadow: mean, and the most in 99.9 % of the values.
        late: frames by which the last beep comes too late in the result.
        ends: frames by which sound and picture end apart.
    """

    rendered: float
    encoded: float
    apart: tuple[float, float]
    late: float
    ends: float


def judge(run: Run) -> Drift:
    """Look at the rendered frames and the result of a run, some frames of each second."""
    dance = Annotations.load(run.work / "data/source/annotations/norm_test_annotations.npz")
    left, top, right, bottom = Annotations.load(run.work / "data/source/annotations/train_annotations.npz").view
    plate = pictures.read(run.work / "data/source/train_bg_img.png")[top:bottom, left:right].astype(np.int16)
    torso = float(np.nanmedian(torso_length(dance.keypoints)))
    sums, apart = {"vis": [], "result": []}, []
    result = run.work / "output/result/result.mp4"
    for i, _, encoded in video.read_frames(result):
        if i % (FPS // 2):
            continue
        room = outside(dance.keypoints[i], plate.shape[:2], REACH[1] * torso)
        if room.sum() < 0.02 * room.size:
            continue
        rendered = pictures.read(run.work / "output/vis" / image_name(i))
        difference = rendered.astype(np.int16) - plate
        apart.append(np.abs(difference[room]).ravel())
        sums["vis"].append((dance.times[i], difference[room].mean()))
        sums["result"].append((dance.times[i], (encoded[: plate.shape[0], : plate.shape[1]] - plate)[room].mean()))
    slopes = [abs(np.polyfit(*np.transpose(values), 1)[0]) * 60 for values in sums.values()]
    values = np.concatenate(apart)
    late, ends = sound_of(result)
    return Drift(*slopes, (float(values.mean()), float(np.quantile(values, 0.999))), late, ends)


def outside(pose: np.ndarray, shape: tuple[int, int], reach: float) -> np.ndarray:
    """(H, W) bool, what is further than `reach` pixels from a pose (18, 3)."""
    room = np.ones(shape, bool)
    seen = pose[pose[:, 2] > 0, :2]
    if len(seen):
        (left, top), (right, bottom) = (np.maximum(np.rint(p), 0).astype(int) for p in (seen.min(0), seen.max(0)))
        reach = int(np.ceil(reach))
        room[max(0, top - reach) : bottom + reach, max(0, left - reach) : right + reach] = False
    return room


def sound_of(path: Path) -> tuple[float, float]:
    """Frames by which the last beep is off its second, and by which sound and picture end apart."""
    with av.open(str(path)) as container:
        stream, shown = container.streams.audio[0], container.streams.video[0]
        length = float(shown.duration * shown.time_base)
        container.seek(max(0, int((length - 3) / stream.time_base)), stream=stream)
        last, end = 0.0, 0.0
        for frame in container.decode(stream):
            samples = np.abs(frame.to_ndarray()).max(axis=0)
            loud = np.flatnonzero(samples > 0.1)
            start = frame.time + (loud[0] / frame.sample_rate if len(loud) else 0)
            if len(loud) and start > last + 0.5:
                last = start
            end = frame.time + frame.samples / frame.sample_rate
    return abs(last - round(last)) * FPS, abs(end - length) * FPS


# ---- The whole -------------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1500, help="of the shorter dance")
    parser.add_argument("--train_frames", type=int, default=500, help="of the shorter video of the person")
    parser.add_argument("--times", type=int, default=4, help="how many times as long the longer ones are")
    parser.add_argument("--size", type=int, nargs=2, default=(320, 180), help="width and height in pixels")
    parser.add_argument("--networks", action="store_true", help="let them see every frame")
    parser.add_argument("--workspace", type=Path, help="folder to work in, which stays")
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = settings.workspace or Path(temporary)
        shutil.rmtree(folder, ignore_errors=True)
        unit = {
            mode: [f for *_, f in islice(video.read_frames(ROOT / f"data/sample/{mode}.mp4", settings.size), UNIT)]
            for mode in ("train", "test")
        }
        poses = None
        if not settings.networks:
            moment = Run(folder / "moment", {"train": UNIT, "test": UNIT})
            moment.make(unit, None)
            for mode in unit:
                words = ["data/video2data.py", f"--mode={mode}", "--save_poses", "--second_look=none"]
                moment.measure(mode, words, False)
            poses = moment.work / "data/source/poses"
        runs = []
        for times in (1, settings.times):
            frames = {"train": times * settings.train_frames, "test": times * settings.frames}
            runs.append(Run(folder / f"{times}", frames))
            runs[-1].make(unit, poses)
        with ThreadPoolExecutor(2) as pool:  # each step takes one core
            list(pool.map(lambda run: run.go(poses is not None), runs))
        return report(runs)


def report(runs: list[Run]) -> int:
    """Print what was found; returns the status."""
    short, long = runs
    print(f"{'':18}{'MB':>8}{'MB, longer':>12}{'MB a minute':>13}{'files':>7}{'longer':>8}")
    for step in STEPS:
        minutes = long.minutes(step) - short.minutes(step)
        slope = (long.memory[step] - short.memory[step]) / minutes
        print(
            f"{step:18}{short.memory[step]:8.0f}{long.memory[step]:12.0f}{slope:13.1f}"
            f"{short.files[step]:7}{long.files[step]:8}"
        )
    wrong = any(long.files[step] > short.files[step] + 4 for step in STEPS)
    for run in runs:
        used = run.used()
        print(f"disk, {run.minutes('test'):.1f} minutes of dance, MB said and used: ", end="")
        print(*(f"{part}: {run.said.get(part, 0) / 1e6:.1f} {size / 1e6:.1f}" for part, size in used.items()), sep=", ")
        share = sum(run.said.values()) / sum(used.values()) - 1
        print(f"  all: {share:+.0%} of what was used")
        wrong |= abs(share) > DISK
    drift = judge(long)
    print(f"room: {drift.rendered:.3f} grey levels a minute in the pictures, {drift.encoded:.3f} in the video")
    print(f"outside person and shadow: {drift.apart[0]:.2f} levels from the plate, 99.9 % within {drift.apart[1]:.0f}")
    print(f"sound at the end: {drift.late:.2f} frames off, ends {drift.ends:.2f} frames from the picture's end")
    wrong |= max(drift.rendered, drift.encoded) > DRIFT or drift.apart[1] > LEVELS
    return int(wrong or max(drift.late, drift.ends) > FRAMES_LATE)


if __name__ == "__main__":
    sys.exit(main())
