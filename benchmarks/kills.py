"""Kills every step at random moments, runs it again, and compares what it wrote with an undisturbed run.

    python benchmarks/kills.py [--kills 50] [--seed 0] [--steps train test] [--workspace DIR]

Without a workspace, one is made of the first seconds of the sample pair. In a given one all steps before the first
chosen one have been run. A moment is a share of the processor's time that the undisturbed run took, so that other work
on the machine does not shift it; the system then ends the process, which cannot answer, as with kill -9. Steps run in
forked processes (Linux, macOS), which have the libraries imported already. Prints one table, with what a killed run and
the one after it took together, and ends with status 1 if anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import runpy
import shutil
import signal
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import tiny_pair
import torch
from tiny_pair import ROOT, STEPS, TINY
from tqdm import tqdm

from data import fit_report, retarget, training_set, watching  # noqa: F401  imported once for all processes
from main import rendering, trainer  # noqa: F401
from main.person_file import MANIFEST
from output import report  # noqa: F401
from pose_detector import detector, person_network  # noqa: F401

FRAMES = 16  # of each video of the pair
SETTINGS = (*TINY, "--second_look=bundled", "--offline")
OF_THIS_RUN = ("log.txt", "stats.jsonl", "steps", "progress.jsonl", "report.html")  # tell how long it took


def forked(work: Callable[[], object], log: Path) -> tuple[int, float]:
    """Do something in a process of its own, which says what it has to say in a file. Returns its status (negative: the
    signal that ended it), and the seconds that it took of the processor. This process must start no threads: their
    locks would be held for ever in the other one."""
    process = os.fork()
    if not process:
        status = 1
        try:
            with open(log, "a", encoding="utf-8") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            work()
            status = 0
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    _, status, usage = os.wait4(process, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime


def run(step: str, workspace: Path, pair: list[str], moment: float | None = None) -> tuple[int, float]:
    """Run a step as its script, to its end or until it has taken so many seconds of the processor; see `forked`."""

    def work() -> None:
        cv2.setNumThreads(1)
        script, *mode = STEPS[step]
        sys.argv = [str(ROOT / script), *mode, f"--workspace={workspace}", *pair, *SETTINGS]
        if moment is not None:
            signal.setitimer(signal.ITIMER_PROF, moment)  # nothing handles its signal
        runpy.run_path(sys.argv[0], run_name="__main__")

    return forked(work, workspace.with_suffix(".log"))


def outputs(workspace: Path) -> dict[str, str]:
    """Digest of every file, by its path; of a checkpoint only what was learnt, of a person's file not when."""
    found = {}
    for path in sorted(p for p in workspace.rglob("*") if p.is_file() and not {p.name, p.parent.name} & {*OF_THIS_RUN}):
        digest = hashlib.sha256()
        if path.suffix == ".pth":
            state = torch.load(path, map_location="cpu", weights_only=True)
            for name in ("generator", "averaged", "discriminator"):
                for value in state[name].values():
                    digest.update(value.numpy().tobytes())
            digest.update(f"{state['step']} {state['epoch']} {state['epoch_step']}".encode())
        elif path.suffix == ".person":
            with zipfile.ZipFile(path) as archive:
                for part in sorted({*archive.namelist()} - {MANIFEST}):
                    digest.update(part.encode() + archive.read(part))
        else:
            digest.update(path.read_bytes())
        found[str(path.relative_to(workspace))] = digest.hexdigest()
    return found


def kill_once(
    step: str, before: Path, wanted: dict[str, str], moment: float, work: Path, pair: list[str]
) -> tuple[str, bool, float]:
    """Kill a step after so many seconds of the processor and run it again. Returns what is wrong then, or nothing;
    whether it was killed before its end; and the seconds of both."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(before, work)
    killed, first = run(step, work, pair, moment)
    if killed not in (0, -signal.SIGPROF):
        return f"status {killed} before it", False, first
    status, second = run(step, work, pair)
    if status:
        return f"status {status} after it", bool(killed), first + second
    found = outputs(work)
    different = [name for name in sorted({*found, *wanted}) if found.get(name) != wanted.get(name)]
    return f"differ: {', '.join(different)}" if different else "", bool(killed), first + second


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="of each step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--workspace", type=Path)
    settings = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base, pair = folder / "undisturbed", []
        if settings.workspace:
            shutil.copytree(settings.workspace, base)
        else:
            base.mkdir()
            pair = [f"--{kind}_video={folder / kind}.mp4" for kind in ("train", "test")]
            if forked(lambda: tiny_pair.make(folder, FRAMES), folder / "pair.log")[0]:
                sys.exit((folder / "pair.log").read_text(encoding="utf-8"))
        print(f"{'':18}{'CPU s':>7}{'kills':>7}{'in time':>9}{'good':>6}{'with kill':>11}")
        last = max(list(STEPS).index(step) for step in settings.steps)
        first = list(STEPS).index(settings.steps[0]) if settings.workspace else 0
        for step in list(STEPS)[first : last + 1]:
            before = folder / "before"
            shutil.rmtree(before, ignore_errors=True)
            shutil.copytree(base, before)
            status, seconds = run(step, base, pair)
            if status:
                said = base.with_suffix(".log").read_text(encoding="utf-8").splitlines()
                sys.exit(f"{step} fails undisturbed: {said[-1] if said else ''}")
            if step not in settings.steps:
                continue
            rng, wanted, wrong, in_time, spent = random.Random(f"{settings.seed} {step}"), outputs(base), [], 0, 0.0
            for _ in tqdm(range(settings.kills), unit="kill", desc=step, leave=False, mininterval=2):
                moment = rng.uniform(0.01, seconds)
                reason, killed, both = kill_once(step, before, wanted, moment, folder / "work", pair)
                in_time, spent = in_time + killed, spent + both
                if reason:
                    wrong.append(f"  after {moment:.2f} s: {reason}")
            failures += len(wrong)
            good = settings.kills - len(wrong)
            print(f"{step:18}{seconds:7.1f}{settings.kills:7}{in_time:9}{good:6}{spent / settings.kills:11.1f}")
            print(*wrong, sep="\n", end="\n" * bool(wrong), flush=True)
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
