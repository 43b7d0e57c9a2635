"""Kills every step at random moments, runs it again, and compares what it wrote with an undisturbed run.

    python benchmarks/kills.py [--kills 50] [--seed 0] [--steps train test] [--workspace DIR]

Without a workspace, one is made of the first seconds of the sample pair. In a given one all steps before the first
chosen one have been run. Prints one table and ends with status 1 if anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import torch
from tiny_pair import ROOT, STEPS, TINY, make

from main.person_file import MANIFEST

FRAMES = 40  # of each video of the pair
OF_THIS_RUN = ("log.txt", "stats.jsonl", "steps", "progress.jsonl", "report.html")  # tell how long it took


def start(step: str, workspace: Path, pair: list[str]) -> subprocess.Popen:
    """Start a step; what it says goes to a file beside the workspace."""
    script, *mode = STEPS[step]
    words = [sys.executable, str(ROOT / script), *mode, f"--workspace={workspace}", *pair, *TINY]
    with open(workspace.with_suffix(".log"), "a", encoding="utf-8") as log:
        return subprocess.Popen(words, stdout=log, stderr=log)


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


def kill_once(step: str, before: Path, wanted: dict[str, str], moment: float, work: Path, pair: list[str]) -> str:
    """Kill a step after so many seconds and run it again. Returns what is wrong then, or nothing."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(before, work)
    process = start(step, work, pair)
    time.sleep(moment)
    process.kill()
    process.wait()
    if status := start(step, work, pair).wait():
        return f"status {status} after it"
    found = outputs(work)
    different = [name for name in sorted({*found, *wanted}) if found.get(name) != wanted.get(name)]
    return f"differ: {', '.join(different)}" if different else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="of each step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--workspace", type=Path)
    settings = parser.parse_args()
    rng = random.Random(settings.seed)
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base, pair = folder / "undisturbed", []
        if settings.workspace:
            shutil.copytree(settings.workspace, base)
        else:
            base.mkdir()
            pair = make(folder, FRAMES)
        print(f"{'':18}{'seconds':>9}{'kills':>7}{'good':>6}")
        last = max(list(STEPS).index(step) for step in settings.steps)
        first = list(STEPS).index(settings.steps[0]) if settings.workspace else 0
        for step in list(STEPS)[first : last + 1]:
            before = folder / "before"
            shutil.rmtree(before, ignore_errors=True)
            shutil.copytree(base, before)
            began = time.monotonic()
            if start(step, base, pair).wait():
                said = base.with_suffix(".log").read_text(encoding="utf-8").splitlines()
                sys.exit(f"{step} fails undisturbed: {said[-1] if said else ''}")
            seconds, wanted = time.monotonic() - began, outputs(base)
            if step not in settings.steps:
                continue
            wrong = []
            for _ in range(settings.kills):
                moment = rng.uniform(0, seconds)
                if reason := kill_once(step, before, wanted, moment, folder / "work", pair):
                    wrong.append(f"  after {moment:.2f} s: {reason}")
            failures += len(wrong)
            print(
                f"{step:18}{seconds:9.1f}{settings.kills:7}{settings.kills - len(wrong):6}",
                *wrong,
                sep="\n",
                flush=True,
            )
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
