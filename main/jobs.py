"""Runs that wait for each other, each a `run.py` of its own; what they are doing is read from their journals.

Nothing here knows of the page (`main/studio.py`). All lies in one folder: `videos`, what was handed in; `looks`, what
was seen of it; `jobs`, a workspace for each run, with job.json in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data.files import atomic_path, sha256
from pose_detector.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
VIDEOS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mts", ".m2ts", ".mpg", ".mpeg", ".3gp", ".gif")
MOST_BYTES = 4 << 30  # of a video
LOOK_SECONDS = 600  # that a look may take: it takes some, but other work may be in its way
TAIL = 1 << 14  # bytes at the end of a journal in which its last lines are

Place = tuple[float, float, float]  # seconds, and shares of width and height


@dataclass
class Job:
    """One run.

    Attributes:
        number: from 1, in the order of asking.
        name: what it is called on the page.
        words: videos and settings as `run.py` takes them.
        dance: the video that is danced.
        state: "waiting", "running", "done", "stopped" or "failed".
        message: why it failed.
        folder: its workspace.
    """

    number: int
    name: str
    words: list[str]
    dance: str
    state: str = "waiting"
    message: str = ""
    folder: Path = field(default=Path(), compare=False)

    @property
    def result(self) -> Path:
        """The video that was made."""
        return self.folder / "output" / "result" / "result.mp4"

    @property
    def report(self) -> Path:
        """The page beside it."""
        return self.result.with_name("report.html")

    @property
    def journal(self) -> Path:
        """Its progress, see `data.progress`."""
        return self.folder / "output" / "progress.jsonl"

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.folder / "run.log"

    def save(self) -> None:
        """Write job.json."""
        told = {name: value for name, value in asdict(self).items() if name != "folder"}
        with atomic_path(self.folder / "job.json") as temporary:
            temporary.write_text(json.dumps(told, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Job | None:
        """What a workspace's job.json says; None where it is missing or damaged."""
        try:
            return cls(**json.loads((folder / "job.json").read_text(encoding="utf-8")), folder=folder)
        except (OSError, ValueError, TypeError):
            return None

    def newest_sample(self) -> Path | None:
        """The latest picture of training."""
        return max((self.folder / "output" / "model_dump" / "samples").glob("epoch-*.jpg"), default=None)


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    Attributes:
        step: of `progress.STEPS`; empty before the first.
        pid: of the process at work.
        name: of its bar.
        done, total: of the bar; total None: unknown.
        left, all_left: seconds of the bar, and of everything; None: unknown.
    """

    step: str = ""
    pid: int | None = None
    name: str = ""
    done: float = 0.0
    total: float | None = None
    left: float | None = None
    all_left: float | None = None

    @property
    def share(self) -> float:
        """Of the bar, in [0, 1]."""
        return min(1.0, self.done / self.total) if self.total else 0.0


def read_progress(journal: Path) -> Progress:
    """The state at the end of a journal."""
    try:
        lines = _tail(journal).splitlines()
    except OSError:
        return Progress()
    known: dict[str, Any] = {}
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # being written
        if not isinstance(entry, dict) or "step" not in entry:
            continue
        if entry["step"] != known.get("step"):
            known = {}
        known |= entry
    fields_ = Progress.__dataclass_fields__
    return Progress(**{name: value for name, value in known.items() if name in fields_ and value is not None})


class Studio:
    """The queue, and all that lies in its folder.

    Args:
        folder: where everything is kept.
        start: whether a thread works through the queue.
    """

    def __init__(self, folder: Path, start: bool = True) -> None:
        self.folder = folder
        self._changed = threading.Condition()
        self._process: subprocess.Popen | None = None
        self._closed = False
        for part in ("videos", "looks", "jobs"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        found = [Job.load(path) for path in sorted((folder / "jobs").iterdir())]
        self.jobs = [job for job in found if job is not None]
        for job in self.jobs:
            if job.state in ("waiting", "running"):  # this program ended before it did
                job.state = "stopped"
                job.save()
        if start:
            threading.Thread(target=self._work, daemon=True, name="jobs").start()

    # ---- Videos ------------------------------------------------------------------------------------------------------

    def keep(self, path: Path) -> Path:
        """Take a video over into the folder, under its name and its content's digest.

        Raises:
            InputError: its name is not that of a supported video, or it is too large.
        """
        suffix = path.suffix.lower()
        if suffix not in VIDEOS:
            raise InputError(f"{path.name} has a type that is not supported here; use {', '.join(VIDEOS)}")
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path.name} is larger than {MOST_BYTES >> 30} GB; cut it, or use the command line")
        stem = re.sub(r"[^\w-]+", "_", path.stem)[:60].strip("_-") or "video"
        kept = self.folder / "videos" / f"{stem}-{sha256(path)[:8]}{suffix}"
        if not kept.is_file():
            with atomic_path(kept) as temporary:
                shutil.copyfile(path, temporary)
        return kept

    def look(self, video: Path, mode: str, place: Place | None = None) -> tuple[Path, dict[str, Any]]:
        """See what step 1 thinks of a video.

        Args:
            video: one that was kept, or the sample's.
            mode: "train" or "test".
            place: on the dancer, if the user clicked on one.

        Returns:
            a picture with skeletons, and what `main/look.py` wrote about the video.

        Raises:
            InputError: the video cannot be used; the line says why.
        """
        key = hashlib.sha256(f"{video} {video.stat().st_mtime_ns} {mode} {place}".encode()).hexdigest()[:16]
        folder = self.folder / "looks" / key
        told, picture = (folder / "data" / "source" / "look" / name for name in ("look.json", f"{mode}.jpg"))
        if not told.is_file():
            words = [f"--look={mode}", f"--{mode}_video={video}", f"--workspace={folder}", "--second_look=bundled"]
            if place is not None:
                words += [f"--{mode}_dancer", *(f"{value:.4f}" for value in place)]
            command = [sys.executable, str(ROOT / "main" / "look.py"), *words]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=LOOK_SECONDS, check=False)
            except subprocess.TimeoutExpired:
                raise InputError(f"{video.name}: looking at it takes too long; cut it, or export it as mp4") from None
            if done.returncode:
                raise InputError(_error_line(done.stderr) or f"{video.name} cannot be read")
        return picture, json.loads(told.read_text(encoding="utf-8"))["videos"][mode]

    def persons(self) -> list[Path]:
        """Files of people who are trained already, see `--person_file`."""
        return sorted(self.folder.glob("jobs/*/output/persons/*.person"))

    # ---- Jobs --------------------------------------------------------------------------------------------------------

    def add(self, name: str, words: Sequence[str], dance: Path) -> Job:
        """Put a run at the end of the queue."""
        with self._changed:
            number = max((job.number for job in self.jobs), default=0) + 1
            folder = self.folder / "jobs" / f"{number:04d}"
            folder.mkdir(parents=True)
            job = Job(number, name, list(words), str(dance), folder=folder)
            job.save()
            self.jobs.append(job)
            self._changed.notify_all()
        return job

    def resume(self, job: Job) -> None:
        """Put a run that was stopped, or failed, into the queue again; it goes on where it was."""
        with self._changed:
            if job.state in ("stopped", "failed"):
                job.state, job.message = "waiting", ""
                job.save()
                self._changed.notify_all()

    def stop(self, job: Job) -> None:
        """End a run; what it has done stays."""
        with self._changed:
            if job.state == "waiting":
                job.state = "stopped"
                job.save()
            elif job.state == "running" and self._process is not None:
                job.state = "stopped"
                job.save()
                _interrupt_all(self._process)

    def enough(self, job: Job) -> bool:
        """End the training of a run, which then renders with what is learnt; whether it is training at all."""
        progress = read_progress(job.journal)
        if job.state != "running" or progress.step != "3" or not progress.pid or progress.name != "training":
            return False
        with contextlib.suppress(OSError):
            os.kill(progress.pid, signal.SIGINT)
        return True

    def close(self) -> list[Job]:
        """End the run at work, and the thread. Returns the runs that are not done."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            left = [job for job in self.jobs if job.state in ("running", "waiting")]
        for job in left:
            self.stop(job)
        return left

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._closed and not any(job.state == "waiting" for job in self.jobs):
                    self._changed.wait()
                if self._closed:
                    return
                job = next(job for job in self.jobs if job.state == "waiting")
                job.state = "running"
                job.save()
                job.journal.unlink(missing_ok=True)
                self._process = _start(job)
            status = self._process.wait()
            with self._changed:
                self._process = None
                if job.state == "running":
                    job.state = "failed" if status else "done"
                    job.message = "" if not status else _error_line(_tail(job.log)) or "it ended unexpectedly"
                job.save()


def _start(job: Job) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "run.py"), *job.words, "--no_install", f"--workspace={job.folder}"]
    with open(job.log, "ab") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=ROOT, start_new_session=True
        )


def _interrupt_all(process: subprocess.Popen) -> None:
    """As Ctrl-C does: run.py and the step at work get it, and the step saves what it has."""
    with contextlib.suppress(OSError):
        if os.name == "nt":
            process.terminate()
        else:
            os.killpg(process.pid, signal.SIGINT)


def _tail(path: Path) -> str:
    with open(path, "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
        return file.read().decode("utf-8", "replace")


def _error_line(text: str) -> str:
    """The last line of a program's output that says what is wrong; empty where there is none."""
    lines = [line for line in re.split(r"[\r\n]+", text) if line.startswith("error: ")]
    return lines[-1].removeprefix("error: ") if lines else ""
