"""How right the time left was that a finished run announced, from its output/progress.jsonl.

  python benchmarks/time_left.py WORKSPACE/output/progress.jsonl

For each step: what the plan gave it and what it took; then, a minute into it, how much was announced to be left of
everything, how much it was, and by how much that was off; and the worst of all later lines of that step. Other work on
the machine that comes or goes makes a right rate wrong later.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from common import run_program

from data.progress import in_words
from pose_detector.errors import InputError

SETTLED = 60.0  # seconds of a step after which the time left should be right
LATE = 30.0  # seconds before the end: then even a second is a large share


@dataclass
class Step:
    """A step of a run.

    Attributes:
        name: "1 train", "1 test", ...
        planned, took: seconds.
        readings: of every line with a time left from a minute on: seconds announced, and seconds that were left.
    """

    name: str
    planned: float
    took: float
    readings: list[tuple[float, float]]


def read(path: Path) -> list[Step]:
    """The steps of a finished run.

    Raises:
        InputError: it has no plan, or did not finish.
    """
    plan, *lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if "plan" not in plan or not lines or "ended" not in lines[-1] or "at" not in lines[0]:
        raise InputError(f"{path} is not of a run that was planned and has finished")
    end, begin, steps = lines[-1]["at"], plan.get("at", lines[0]["at"]), []
    for name in dict.fromkeys(line["step"] for line in lines):
        mine = [line for line in lines if line["step"] == name]
        known = [line for line in mine if line.get("all_left") is not None and line["at"] >= begin + SETTLED]
        readings = [(line["all_left"], end - line["at"]) for line in known]
        planned = sum(seconds for step, _, seconds in plan["plan"] if step == name)
        steps.append(Step(name, planned, mine[-1]["at"] - begin, readings))
        begin = mine[-1]["at"]
    return steps


def off(reading: tuple[float, float]) -> float:
    """Of seconds announced and seconds that were left, how far the first are off, as a share of the second."""
    announced, left = reading
    return announced / max(left, 1.0) - 1


def tell(steps: list[Step]) -> list[str]:
    """A table, a line a step."""
    lines = [f"{'step':<8}{'planned':>9}{'took':>8}{'':6}{'announced':>10}{'was':>8}{'off':>7}{'worst':>8}"]
    for step in steps:
        row = f"{step.name:<8}{step.planned:>8.0f}s{step.took:>7.0f}s{'':6}"
        late = [reading for reading in step.readings if reading[1] > LATE]
        if late:
            row += f"{late[0][0]:>9.0f}s{late[0][1]:>7.0f}s{off(late[0]):>+7.0%}{max(map(off, late), key=abs):>+8.0%}"
        lines.append(row)
    planned, took = (sum(getattr(step, name) for step in steps) for name in ("planned", "took"))
    lines.append(f"{'all':<8}{planned:>8.0f}s{took:>7.0f}s  planned {planned / took - 1:+.0%}: {in_words(planned)}")
    return lines


@dataclass
class Settings:
    """What to read."""

    journal: tyro.conf.Positional[Path]  # progress.jsonl of a run


def main(settings: Settings, _: Sequence[str] = ()) -> None:
    """See the module's docstring."""
    for line in tell(read(settings.journal)):
        print(line)


if __name__ == "__main__":
    run_program(main, Settings, __doc__)
