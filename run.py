#!/usr/bin/env python3
"""From two videos to the result: installs (once) and runs the five steps. Needs no shell, so it runs on Windows too.

  python run.py                                the sample pair
  python run.py TRAIN.mp4 TEST.mp4 [settings]  your own; settings as of the steps, e.g. --epochs 60
  python run.py --person_file ANNA.person TEST.mp4 [settings]
                                               a person who is trained already, from output/persons
  python run.py --person_file ANNA.person --person_file BEN.person TEST.mp4 [settings]
                                               two of them, and a dance of two: Anna does what the left one does
  python run.py TRAIN.mp4 TEST.mp4 --dry_run   only looks at both: what to expect, how long, how much disk
  python run.py --web [settings]               the same on a page in the browser, see main/studio.py
  python run.py --install [test|web]           only installs; with "test" also what the tests need, "web" the page

With --no_install the Python that runs this is taken as it is, without .venv. Run again after a stop: it goes on where
it was. Every setting: python main/train.py --help
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
SAMPLE = ("--second_look", "bundled", "--max_minutes", "2")  # nothing is fetched for it
_interrupts: list[bool] = []  # one for each Ctrl-C
STOPPED = 130  # exit status of a step that Ctrl-C, or SIGINT sent to it alone, has ended
LOOK = ("look at both videos: what to expect", "main/look.py")
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
        return install(*words[1:2])
    dry, web, ready = (word in words for word in ("--dry_run", "--web", "--no_install"))
    words = [word for word in words if word not in ("--dry_run", "--web", "--no_install")]
    python = Path(sys.executable) if ready else python_of(VENV)
    if web:
        status = 0 if ready else install("web")
        return status or call([python, ROOT / "main" / "studio.py", *words])
    plan = planned(words, dry)
    if isinstance(plan, str):
        return fail(plan)
    status = 0 if ready else install()
    for title, (script, *chosen) in plan:
        if status:
            break
        print(f"\n== {title}", flush=True)
        status = call([python, ROOT / script, *chosen])
        if status == STOPPED and script == "main/train.py" and not _interrupts:
            print("training was ended from outside: rendering with what is learnt so far")
            status = 0
    if _interrupts:
        print("stopped; the same command again goes on from here", file=sys.stderr)
    return status


def planned(words: list[str], dry: bool) -> list[tuple[str, list[str]]] | str:
    """Titles and commands of what words of the command line ask for, or what is wrong with them."""
    if words[-1:] == ["--person_file"]:
        return "--person_file names no file"
    persons, words = take_persons(words)
    if persons:
        if len(persons) > 2:
            return "two persons at most"
        if not words or words[0].startswith("--"):
            return "give the dance too: python run.py --person_file FILE TEST.mp4 [settings]"
        if dry:
            return "--dry_run tells what a training takes; who has a file is trained already"
        return steps_of_persons(persons, words[0], words[1:])
    if not words or words[0].startswith("--"):
        folder = ROOT / "data" / "sample"
        videos, settings = [folder / "train.mp4", folder / "test.mp4"], [*SAMPLE, *words]
        print("sample pair: 5 minutes on two cores, and the first time 2-5 minutes to install")
    elif len(words) > 1 and not words[1].startswith("--"):
        videos, settings = words[:2], words[2:]
    else:
        return "give two videos: python run.py TRAIN.mp4 TEST.mp4 [settings]"
    # With "=", so that a name that begins with a dash is not taken for a setting.
    chosen = [f"--train_video={videos[0]}", f"--test_video={videos[1]}", *settings]
    return [(title, [script, *mode, *chosen]) for title, script, *mode in ([LOOK] if dry else [LOOK, *STEPS])]


def take_persons(words: list[str]) -> tuple[list[str], list[str]]:
    """The files that `--person_file` names, however often, and the other words."""
    persons, others, rest = [], [], iter(words)
    for word in rest:
        if word == "--person_file":
            persons += list(islice(rest, 1))
        elif word.startswith("--person_file="):
            persons.append(word.split("=", 1)[1])
        else:
            others.append(word)
    return persons, others


def steps_of_persons(persons: list[str], dance: str, settings: list[str]) -> list[tuple[str, list[str]]]:
    """Titles and commands of the steps for one person or two who are trained already."""
    common = [f"--test_video={dance}", *settings]
    steps = [STEPS[1], STEPS[2], STEPS[4]]
    if len(persons) == 1:
        chosen = [f"--person_file={persons[0]}", *common]
        return [(title, [script, *mode, *chosen]) for title, script, *mode in [*steps, STEPS[5]]]
    both = [f"--person_file={persons[0]}", f"--partner={persons[1]}", *common]
    plan = []
    for i in ("first", "second"):
        plan += [(f"{title} ({i} dancer)", [script, *mode, *both, f"--dancer={i}"]) for title, script, *mode in steps]
    plan.append(("step 4 of 5: both in one room", ["output/together.py", *both]))
    return [*plan, (STEPS[5][0], [STEPS[5][1], *both])]


def install(extra: str = "") -> int:
    """Make the virtual environment and install into it, unless that is done. Returns the exit status.

    Args:
        extra: "test" or "web": also what the tests need, or the page.
    """
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
    needs = {"": ["-r", "requirements.txt"], "test": ["-e", ".[test]"], "web": ["-e", ".[web]"]}
    for name in dict.fromkeys(["", extra]):
        stamp, what = VENV / f"installed-{name}".rstrip("-"), needs[name]
        if stamp.is_file() and stamp.read_text() == wanted:
            continue
        print(f"installing {name} into .venv (2-5 minutes, once)".replace("  ", " "), flush=True)
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
                _interrupts.append(True)


def fail(reason: str) -> int:
    """Say what is wrong; the exit status of that."""
    print(f"error: {reason}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
