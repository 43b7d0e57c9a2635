"""Gives the steps damaged and hostile files and settings, and looks at how they end.

    python benchmarks/hostile.py [--count 2000] [--seed 0] [--workers 2] [--kinds arrays poses] [--only 17] [--keep DIR]

Every mutation must end in a valid result with status 0, or in one line that begins with "error:" and status 2, within
60 seconds of a processor and 2 GB, with no file outside the workspace and nothing unpickled. A mutation depends on the
seed and its number alone. Steps run in forked processes (Linux, macOS), which have the libraries imported already. The
networks that others publish are taken from POSE_TRANSFER_SHARED, or left out. Prints one table; status 1 if anything is
wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import random
import resource
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
import mutations
import numpy as np
import tiny_pair
from tiny_pair import ROOT, STEPS, TINY
from tqdm import tqdm

from data import pictures, video
from data.annotations import Annotations, fingerprint, image_name
from main import checkpoint, dataset, losses, rendering, trainer  # noqa: F401  imported once for all processes
from pose_detector import blazepose, detector, model_files, person_network, second_look, weights  # noqa: F401

FRAMES = 12  # of each video
MOST_SECONDS, MOST_BYTES = 60, 2 << 30  # of the processor
REAL = 40  # every so many mutations the step runs in an interpreter of its own, as a user starts it
LONGEST = 300.0  # seconds by the clock: beside other work steps take longer
SHARED = Path(os.environ.get("POSE_TRANSFER_SHARED", ROOT.parent / "shared"))
SETTINGS = (*TINY, "--epochs=1", "--second_look=none", "--offline")


@dataclass
class Case:
    """A step to run on damaged input.

    Attributes:
        step: of `STEPS`.
        words: settings for it.
        before: run in the process before the step, or nothing.
    """

    step: str
    words: list[str] = field(default_factory=list)
    before: Callable[[], None] | None = None


@dataclass
class Bench:
    """Where things lie in one process.

    Attributes:
        root: holds all, and is searched for what a step should not have written.
        base: an undamaged workspace after all steps.
        videos: what to damage as the dance.
        pair: settings that name the pair.
        work: the workspace of a mutation.
        executed: what a payload would make.
    """

    root: Path
    base: Path
    videos: list[Path]
    pair: list[str]

    def __post_init__(self) -> None:
        self.work, self.executed = self.root / "work", self.root / "executed"
        self.inputs = self.root / "inputs"


# ---- Kinds of input --------------------------------------------------------------------------------------------------


def replace(path: Path, content: bytes) -> None:
    """Write anew: the file before it is shared with the undamaged workspace."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def _video(bench: Bench, rng: random.Random) -> Case:
    source = rng.choice(bench.videos)
    path = bench.inputs / source.name
    content = mutations.damage_bytes(source.read_bytes(), rng)
    path.write_bytes(mutations.damage_bytes(content, rng) if rng.random() < 0.3 else content)
    step = rng.choice(["video2data-test", "video2data-test", "video2data-train", "img2video"])
    if step == "img2video":  # as if the poses were of this one
        name = bench.work / "data/source/annotations/norm_test_annotations.npz"
        dance = Annotations.load(name)
        dance.fingerprint = fingerprint(path)
        dance.save(name)
        (bench.work / "output/vis/rendered_of.txt").unlink(missing_ok=True)
        return Case(step, [f"--test_video={path}"])
    return Case(step, [f"--{step[11:]}_video={path}", "--redo"])


def _arrays(bench: Bench, rng: random.Random) -> Case:
    readers = {
        "train_annotations": ["annot_normalize", "test", "train"],
        "test_annotations": ["annot_normalize"],
        "norm_test_annotations": ["test", "img2video"],
    }
    path = rng.choice(sorted((bench.work / "data/source/annotations").glob("*.npz")))
    content = path.read_bytes()
    if rng.random() < 0.35:
        replace(path, mutations.damage_bytes(content, rng))
    else:
        replace(path, mutations.damage_arrays(content, rng, bench.executed))
    return Case(rng.choice(readers[path.stem]))


def _checkpoint(bench: Bench, rng: random.Random) -> Case:
    for path in (bench.work / "output/model_dump").glob("checkpoint-*.pth"):
        content = path.read_bytes()
        path.unlink()
    path = bench.work / "output/model_dump/checkpoint-0001.pth"
    path.write_bytes(_damaged_tensors(content, bench, rng))
    return Case(rng.choice(["test", "test", "train"]))


def _damaged_tensors(content: bytes, bench: Bench, rng: random.Random) -> bytes:
    if rng.random() < 0.35:
        return mutations.damage_bytes(content, rng)
    return mutations.damage_tensors(content, rng, bench.executed)


def _weights(bench: Bench, rng: random.Random) -> Case:
    kind = rng.choice(["light", "light", "person", "pretrained"])
    source = {"light": weights.BUNDLED, "person": model_files.PERSON, "pretrained": checkpoint.PRETRAINED}[kind]
    path = bench.inputs / source.name
    path.write_bytes(_damaged_tensors(source.read_bytes(), bench, rng))
    if kind == "light":
        return Case("video2data-test", [f"--pose_weights={path}", "--redo"])
    if kind == "person":
        options = model_files.resolve_second_look.__kwdefaults__
        words = ["--second_look=bundled", "--redo"]
        return Case("video2data-test", words, functools.partial(options.__setitem__, "bundled", path))
    shutil.rmtree(bench.work / "output/model_dump", ignore_errors=True)
    words = ["--epochs=0", "--start=pretrained", "--channels=96", "--stacks=2", "--detail=16"]
    return Case("train", words, functools.partial(setattr, checkpoint, "PRETRAINED", path))


def _onnx(bench: Bench, rng: random.Random) -> Case:
    path = bench.inputs / "network.onnx"
    path.write_bytes(mutations.damage_bytes(_published(".onnx").read_bytes(), rng))
    return Case("video2data-test", [f"--pose_weights={path}", "--redo"])


def _tflite(bench: Bench, rng: random.Random) -> Case:
    path = bench.inputs / "network.tflite"
    path.write_bytes(mutations.damage_bytes(_published("full.tflite").read_bytes(), rng))
    return Case("video2data-test", [f"--second_look_model={path}", "--second_look=blazepose", "--redo"])


def _published(suffix: str) -> Path:
    return next(path for path in sorted((SHARED / "weights").rglob("*")) if path.name.endswith(suffix))


def _picture(bench: Bench, rng: random.Random) -> Case:
    place, step = rng.choice([
        ("data/source/images", "test"), ("data/source/masks", "test"), ("output/vis", "img2video"),
        ("data/source/train_bg_img.png", "test"), ("data/source/train_bg_img.png", "img2video"),
        ("data/source/train_bg_img.png", "annot_normalize"), ("data/source/masks", "train"),
    ])  # fmt: skip
    path = bench.work / place
    if path.is_dir():
        path = rng.choice(sorted(p for p in path.iterdir() if p.suffix in (".png", ".jpg")))
    content = path.read_bytes()
    path.unlink()
    kind = rng.random()
    if kind < 0.1:
        rng.choice([path.mkdir, lambda: path.symlink_to("/dev/zero"), lambda: path.symlink_to(path), lambda: None])()
    elif kind < 0.5:
        path.write_bytes(mutations.damage_bytes(content, rng))
    else:
        path.write_bytes(mutations.damage_picture(content, rng))
    if step == "train":
        shutil.rmtree(bench.work / "output/model_dump", ignore_errors=True)
        return Case(step, ["--max_minutes=0.01"])
    return Case(step)


def _poses(bench: Bench, rng: random.Random) -> Case:
    folder = bench.inputs / "poses"
    shutil.copytree(bench.base.parent / "poses", folder)
    paths = sorted(folder.glob("*.json"))
    for path in rng.sample(paths, rng.choice([1, 1, 3, len(paths)])):
        content = path.read_bytes()
        damage = mutations.damage_bytes if rng.random() < 0.3 else mutations.damage_poses
        path.write_bytes(damage(content, rng))
    source = paths[0] if rng.random() < 0.1 else folder
    return Case("video2data-test", [f"--test_poses={source}", "--redo"])


def _settings(bench: Bench, rng: random.Random) -> Case:
    step = rng.choice(list(STEPS))
    words = mutations.hostile_setting(rng)
    if step == "train":
        shutil.rmtree(bench.work / "output/model_dump", ignore_errors=True)
        words.insert(0, "--max_minutes=0.01")
    return Case(step, ["--redo", *words] if step.startswith("video2data") else words)


KINDS: dict[str, Callable[[Bench, random.Random], Case]] = {
    "video": _video, "arrays": _arrays, "checkpoint": _checkpoint, "weights": _weights, "onnx": _onnx,
    "tflite": _tflite, "picture": _picture, "poses": _poses, "settings": _settings,
}  # fmt: skip


# ---- One mutation ----------------------------------------------------------------------------------------------------


@dataclass
class End:
    """How a mutation ended: `wrong` says what is wrong, or nothing; the rest is what it took."""

    number: int
    kind: str
    step: str = ""
    status: int = 0
    wrong: str = ""
    said: str = ""
    seconds: float = 0.0
    processor: float = 0.0
    megabytes: float = 0.0


def run_case(bench: Bench, kind: str, number: int, seed: int) -> End:
    """Damage something in a fresh workspace, run the step on it, and judge."""
    for folder in (bench.work, bench.inputs):
        shutil.rmtree(folder, ignore_errors=True)
    bench.inputs.mkdir()
    shutil.copytree(bench.base, bench.work, copy_function=_link)
    log, note = bench.root / "log.txt", bench.root / "note.txt"
    note.unlink(missing_ok=True)
    began = time.monotonic()
    process = os.fork()
    if not process:
        _damage_and_step(bench, kind, random.Random(f"{seed} {number} {kind}"), number % REAL == 0, log, note)
    status, usage, slow = _wait(process, began)
    if not note.exists():
        sys.exit(f"mutation {number} of {kind} cannot be made: {log.read_text(encoding='utf-8')}")
    step, before = json.loads(note.read_text(encoding="utf-8"))
    before = {tuple(entry) for entry in before}
    end = End(number, kind, step, status, seconds=time.monotonic() - began)
    end.processor, end.megabytes = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    text = log.read_text(encoding="utf-8", errors="replace")
    end.said = (text.strip().splitlines() or [""])[-1]
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    if slow:
        end.wrong = slow
    elif usage.ru_maxrss * 1024 > MOST_BYTES:
        end.wrong = f"took {usage.ru_maxrss >> 10} MB"
    elif "Traceback" in text or status not in (0, 2):
        end.wrong = f"status {status}: {end.said}"
    elif status == 2 and (len(errors) != 1 or errors[0] != end.said):
        end.wrong = f"not one line: {text[-500:]!r}"
    elif outside(bench) != before:
        end.wrong = f"wrote elsewhere: {sorted(outside(bench) ^ before)}"
    elif bench.executed.exists():
        end.wrong = "code was run"
        bench.executed.unlink()
    return end


def _link(source: str, goal: str) -> None:
    if source.endswith((".txt", ".jsonl")):  # written on, not replaced
        shutil.copy(source, goal)
    else:
        os.link(source, goal)


def outside(bench: Bench) -> set[tuple[str, int]]:
    """All files but those of the workspace: names and times of writing."""
    return {
        (str(path.relative_to(bench.root)), path.lstat().st_mtime_ns)
        for path in bench.root.rglob("*")
        if bench.work not in (path, *path.parents) and path.name not in ("log.txt", "note.txt") and not path.is_dir()
    }


def _damage_and_step(bench: Bench, kind: str, rng: random.Random, real: bool, log: Path, note: Path) -> None:
    """In the forked process: do damage, run a step as its script, and leave with its status. The process before it must
    start no threads: their locks would be held for ever in this one."""
    status = 1
    try:
        os.setpgrp()
        with open(log, "w", encoding="utf-8") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
        os.chdir(bench.root)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        cv2.setNumThreads(1)
        for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME"):
            os.environ[name] = str(bench.work)
        tempfile.tempdir = str(bench.work)
        case = KINDS[kind](bench, rng)
        note.write_text(json.dumps([case.step, sorted(outside(bench))]), encoding="utf-8")
        if case.before:
            case.before()
        script, *mode = STEPS[case.step]
        sys.argv = [str(ROOT / script), *mode, f"--workspace={bench.work}", *bench.pair, *SETTINGS, *case.words]
        if real and not case.before:
            os.execv(sys.executable, [sys.executable, *sys.argv])
        runpy.run_path(sys.argv[0], run_name="__main__")
        _verify(bench.work, case.step)
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _verify(work: Path, step: str) -> None:
    """Raise unless what a step wrote can be used."""
    annotations = work / "data/source/annotations"
    if step.startswith("video2data"):
        Annotations.load(annotations / f"{step[11:]}_annotations.npz")
    elif step == "annot_normalize":
        Annotations.load(annotations / "norm_test_annotations.npz")
    elif step == "train":
        state = checkpoint.load(checkpoint.newest(work / "output/model_dump"))
        assert all(value.isfinite().all() for value in state["averaged"].values())
    elif step == "test":
        numbers = Annotations.load(annotations / "norm_test_annotations.npz").frame_numbers
        assert all(pictures.read(work / "output/vis" / image_name(n)) is not None for n in numbers)
    else:
        assert sum(1 for _ in video.read_frames(work / "output/result/result.mp4")) > 0


def _wait(process: int, began: float) -> tuple[int, resource.struct_rusage, str]:
    """Status (negative: the signal), what it took, and why it was stopped, or nothing."""
    reason = ""
    while True:
        done, status, usage = os.wait4(process, os.WNOHANG)
        if done:
            with contextlib.suppress(ProcessLookupError):  # what it started must not outlive it
                os.killpg(process, signal.SIGKILL)
            return os.waitstatus_to_exitcode(status), usage, reason
        if time.monotonic() - began > LONGEST:
            reason = f"did not end within {LONGEST:g} s"
        with contextlib.suppress(OSError, ValueError, IndexError):
            pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
            if pages * resource.getpagesize() > MOST_BYTES:
                reason = "took more than 2 GB"
        if reason:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
            os.kill(process, signal.SIGKILL)
        time.sleep(0.02)


# ---- All of them -----------------------------------------------------------------------------------------------------


def prepare(folder: Path, workspace: Path | None, kinds: list[str]) -> None:
    """Make an undamaged workspace after all steps, and videos to damage."""
    pair = tiny_pair.make(folder, FRAMES)
    base = folder / "base"
    if workspace:
        shutil.copytree(workspace, base)
    else:
        for step, (script, *mode) in STEPS.items():
            words = [*mode, f"--workspace={base}", *pair, *SETTINGS]
            words += ["--save_poses"] if step == "video2data-test" else []
            done = subprocess.run(
                [sys.executable, str(ROOT / script), *words], capture_output=True, text=True, check=False
            )
            if done.returncode:
                sys.exit(f"{step} fails undisturbed: {done.stderr}")
    poses = base / "data/source/poses"
    if poses.is_dir():
        shutil.move(poses / "test", folder / "poses")
        poses.rmdir()
    if "video" in kinds:
        other_formats(folder)


def other_formats(folder: Path) -> None:
    """The dance in other containers and formats, with sound where they take it."""
    frames = [frame for *_, frame in video.read_frames(folder / "test.mp4")]
    for name, codec, sound in (
        ("a.mkv", "libvpx-vp9", "libopus"), ("b.avi", "mpeg4", "libmp3lame"), ("c.ts", "mpeg2video", "mp2"),
        ("d.webm", "libvpx", "libopus"), ("e.gif", "gif", ""), ("f.mov", "libx265", "pcm_s16le"),
        ("g.mp4", "libx264", "aac"), ("h.flv", "flv", "aac"), ("i.mkv", "ffv1", "pcm_s16le"),
    ):  # fmt: skip
        path = folder / name
        with av.open(str(path), "w") as output:
            stream = output.add_stream(
                codec, rate=25, options={"x265-params": "log-level=none"} if codec == "libx265" else {}
            )
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
            track = output.add_stream(sound, rate=48000, layout="stereo") if sound else None
            if track:
                kind = track.codec_context.format.name
                noise = np.random.default_rng(0).uniform(-0.1, 0.1, (2, 24000)).astype(np.float32)
                heard = av.AudioFrame.from_ndarray(noise, format="fltp", layout="stereo")
                heard.sample_rate = 48000
                resampler = av.AudioResampler(kind, "stereo", 48000, frame_size=track.codec_context.frame_size or 1024)
                for part in [*resampler.resample(heard), *resampler.resample(None)]:
                    output.mux(track.encode(part))
                output.mux(track.encode(None))
            for frame in frames:
                output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24").reformat(format=stream.pix_fmt)))
            output.mux(stream.encode(None))


def available(kinds: list[str], base: Path) -> list[str]:
    """Those of the kinds for which there is something to damage."""
    found = []
    for kind in kinds:
        there = {
            "onnx": lambda: _published(".onnx"),
            "tflite": lambda: _published("full.tflite"),
            "poses": lambda: next((base.parent / "poses").glob("*.json")),
        }.get(kind)
        try:
            if there:
                there()
            found.append(kind)
        except StopIteration:
            print(f"left out, nothing to damage: {kind}")
    return found


def work_through(bench: Bench, numbers: list[int], kinds: list[str], seed: int, results: Path) -> None:
    """In a process of its own: run mutations, a line of JSON each."""
    bench.root.mkdir()
    with open(results, "w", encoding="utf-8", buffering=1) as file:
        for number in numbers:
            end = run_case(bench, kinds[number % len(kinds)], number, seed)
            file.write(json.dumps(vars(end)) + "\n")


def run(
    bench: Path, numbers: list[int], seed: int, workers: int, kinds: list[str], workspace: Path | None
) -> list[dict]:
    """The mutations of these numbers. Returns their `End`s as dicts."""
    process = os.fork()
    if not process:  # what makes the inputs starts threads, see `_damage_and_step`
        prepare(bench, workspace, kinds)
        os._exit(0)
    if os.waitpid(process, 0)[1]:
        sys.exit("making the inputs failed")
    base, videos = bench / "base", [bench / "test.mp4", *sorted(bench.glob("?.*"))]
    kinds = available(kinds, base)
    pair = [f"--{kind}_video={bench / kind}.mp4" for kind in ("train", "test")]
    processes, files = {}, []
    for worker in range(min(workers, len(numbers))):
        files.append(bench / f"results-{worker}")
        process = os.fork()
        if not process:
            own = Bench(bench / f"worker-{worker}", base, videos, pair)
            work_through(own, numbers[worker::workers], kinds, seed, files[-1])
            os._exit(0)
        processes[process] = worker
    with tqdm(total=len(numbers), unit="mutation", mininterval=2) as bar:
        while processes:
            done, status = os.waitpid(-1, os.WNOHANG)
            if done and status:
                sys.exit(f"worker {processes[done]} failed")
            processes.pop(done, None)
            bar.update(sum(f.read_bytes().count(b"\n") for f in files if f.exists()) - bar.n)
            time.sleep(0.2)
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--only", type=int, help="number of the one mutation to run")
    parser.add_argument("--workspace", type=Path, help="one in which all steps have been run on the tiny pair")
    parser.add_argument("--keep", type=Path, help="folder to work in, which stays")
    settings = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = settings.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        numbers = [settings.only] if settings.only is not None else list(range(settings.count))
        ends = run(folder.resolve(), numbers, settings.seed, settings.workers, settings.kinds, settings.workspace)
    print(f"{'':12}{'tried':>7}{'valid':>7}{'refused':>9}{'wrong':>7}{'s':>7}{'CPU s':>7}{'MB':>7}   (means, most MB)")
    for kind in sorted({end["kind"] for end in ends}):
        of = [end for end in ends if end["kind"] == kind]
        valid, refused = (sum(e["status"] == s and not e["wrong"] for e in of) for s in (0, 2))
        times = [sum(e[name] for e in of) / len(of) for name in ("seconds", "processor")]
        print(
            f"{kind:12}{len(of):7}{valid:7}{refused:9}{len(of) - valid - refused:7}{times[0]:7.2f}{times[1]:7.2f}"
            f"{max(e['megabytes'] for e in of):7.0f}"
        )
    wrong = [end for end in ends if end["wrong"]]
    for end in sorted(wrong, key=lambda end: end["number"]):
        print(f"{end['number']} {end['kind']} {end['step']}: {end['wrong'][:300]}")
    print("wrong:", dict(Counter(end["kind"] for end in wrong)) or "none")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
