#!/usr/bin/env python3
"""From two videos to the result: installs (once) and runs the five steps. Needs no shell, so it runs on Windows too.

  python run.py                                the sample pair
  python run.py TRAIN.mp4 TEST.mp4 [settings]  your own; settings as of the steps, e.g. --epochs 60
  python run.py --install [test]               only installs; with "test" also what the tests need

Run again after a stop: it goes on where it was. Every setting: python main/train.py --help
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
SAMPLE = ("--second_look", "bundled", "--max_minutes", "2")  # nothing is fetched for it
STEPS = (
    ("step 1 of 5: the person's video to frames and poses", "data/video2data.py", "--mode", "train"),
    ("step 1 of 5: the dance to poses", "data/video2data.py", "--mode", "test"),
    ("step 2 of 5: the dance's poses onto the person", "data/annot_normalize.py"),
    ("step 3 of 5: train the person's model", "main/train.py", "--continue_train"),
    ("step 4 of 5: render", "main/test.py"),
    ("step 5 of 5: video and sound", "output/img2video.py"),
)


def main(words: list[str]) -> int:
    """Do what the words of the command line say; returns the exit status."""
    if sys.version_info < (3, 10):  # noqa: UP036
        return fail(f"Python {sys.version.split()[0]} is too old; install 3.10 or newer")
    if words[:1] in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    if words[:1] == ["--install"]:
        return install(test=words[1:] == ["test"])
    if not words:
        folder = ROOT / "data" / "sample"
        videos, settings = [folder / "train.mp4", folder / "test.mp4"], list(SAMPLE)
        print(
            "sample pair: install (2-5 minutes, once), read both videos (2 minutes), train (2), render (2) on two cores"
        )
    elif len(words) > 1 and not words[1].startswith("--"):
        videos, settings = words[:2], words[2:]
        print("your pair: install (2-5 minutes, once), read both videos, train (the long part, see its bar), render")
    else:
        return fail("give two videos: python run.py TRAIN.mp4 TEST.mp4 [settings]")
    status = install()
    for title, script, *mode in STEPS:
        if status:
            break
        print(f"\n== {title}", flush=True)
        # With "=", so that a name that begins with a dash is no setting.
        chosen = [f"--train_video={videos[0]}", f"--test_video={videos[1]}", *settings]
        status = call([python_of(VENV), ROOT / script, *mode, *chosen])
    return status


def install(test: bool = False) -> int:
    """Make the virtual environment and install into it, unless that is done. Returns the exit status."""
    if not python_of(VENV).is_file() or call([python_of(VENV), "-c", "import pip"], quiet=True):
        compilers = ("c++", "g++", "clang++")
        if os.name != "nt" and not any(map(shutil.which, compilers)):
            return fail("no C++ compiler found; install one (Debian, Ubuntu: apt install g++) and run this again")
        if status := call([sys.executable, "-m", "venv", "--clear", VENV]):
            return status
    # What is installed is remembered by a checksum of all that decides it.
    deciding = [ROOT / name for name in ("requirements.txt", "pyproject.toml", "setup.py")]
    deciding += sorted((ROOT / "pose_detector" / "pafprocess").glob("*.cpp"))
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in deciding)).hexdigest()
    pip = [python_of(VENV), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for name, what in (("installed", ["-r", "requirements.txt"]), ("installed-test", ["-e", ".[test]"])):
        stamp = VENV / name
        if (name == "installed-test" and not test) or (stamp.is_file() and stamp.read_text() == wanted):
            continue
        print("installing into .venv (2-5 minutes, once)", flush=True)
        if status := call([*pip, *what], cwd=ROOT):
            return status
        stamp.write_text(wanted)
    return 0


def python_of(venv: Path) -> Path:
    """The interpreter of a virtual environment, which lies elsewhere on Windows."""
    return venv / "Scripts" / "python.exe" if os.name == "nt" else venv / "bin" / "python"


def call(command: list[str | Path], quiet: bool = False, cwd: Path | None = None) -> int:
    """Run a command and wait for its end, also after Ctrl-C: the step gets that too, and saves what it has. Returns its
    exit status."""
    stderr = subprocess.DEVNULL if quiet else None
    with subprocess.Popen([str(word) for word in command], cwd=cwd, stderr=stderr) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def fail(reason: str) -> int:
    """Say what is wrong; the exit status of that."""
    print(f"error: {reason}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
