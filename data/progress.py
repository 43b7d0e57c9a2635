"""Progress of long work: bars on the terminal, and the same as JSON lines in a file, for other programs.

A journal is that file. `main/look.py` begins it with a plan, the seconds that every part of every step is expected to
take; each step then adds to it. Its lines are of three kinds:

    {"plan": [["1 train", "first look", 20.5], ...], "limits": {"training": 600}, "at": 1760}
    {"step": "3", "at": 1764, "pid": 123}                          a step shows its first bar
    {"step": "3", "at": 1769, "name": "training", "done": 40, "total": 200, "rate": 4.1, "left": 39.0, "all_left": 75.0}
    {"step": "3", "at": 1810, "ended": 0}                          it is done

"at" is in seconds since 1970. What the plan gives to later parts is multiplied by how much slower than planned the
machine has turned out to be; a part with a limit never takes longer than that.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

STEPS = {  # by their names in journals and logs; what they make
    "1 train": "the person's video",
    "1 test": "the dance",
    "2": "poses onto the person",
    "3": "training",
    "4": "rendering",
    "5": "video and sound",
}
EVERY = 1.0  # seconds between two lines of a bar
TELLING = 5.0  # seconds that a part must be planned for to tell how fast the machine is
EARLY = 0.1  # share of a part below which its own rate does not tell that yet
FASTEST, SLOWEST = 0.25, 20.0  # times the plan; what lies beyond does not count: a step with given poses does not look
SMOOTHING = 0.05  # of a bar's rate, of 1 = the latest: the mean of some 10 seconds, as other work comes and goes
_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{rate_fmt}{postfix}{time_left}]{overall}"

Plan = Sequence[tuple[str, str, float]]  # step, name of a bar or of what lies between bars, seconds


class Journal:
    """The file, and where in the plan this process is. Nothing is written before the first bar, so that a step that
    refuses its input leaves nothing.

    Attributes:
        slowness: seconds that the machine takes for one that is planned, of the latest part that told.
    """

    def __init__(self, path: Path, step: str) -> None:
        self.path, self.step = path, step
        self.plan, self.limits = read_plan(path)
        self.slowness = self._read_slowness() if self.plan else 1.0
        self._begun = False

    def write(self, line: dict[str, Any]) -> None:
        """Append a line of this step. That the disk is full is for the step itself to find out."""
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lines = [line] if self._begun else [{"pid": os.getpid()}, line]
            with open(self.path, "a", encoding="utf-8") as file:
                stamp = {"step": self.step, "at": round(time.time(), 1)}
                file.writelines(json.dumps({**stamp, **line}) + "\n" for line in lines)
            self._begun = True

    def all_left(self, name: str, left: float | None, spent: float | None = None) -> float | None:
        """Seconds expected until the end of everything.

        Args:
            name: of the bar at work.
            left: seconds of the bar; None: not known yet, so the plan's estimate counts.
            spent: seconds of the bar so far, if together they tell how fast the machine is.

        Returns:
            None without a plan.
        """
        if not self.plan:
            return None
        here = [i for i, (step, part, _) in enumerate(self.plan) if (step, part) == (self.step, name)]
        if here and left is not None and spent is not None:
            self._measure(self.plan[here[0]], spent + left)
        # Of a bar that was not planned, what comes after its step.
        here = here or [i for i, (step, *_) in enumerate(self.plan) if step == self.step]
        last = here[-1] if here else -1
        if left is None:
            left = self._expected(self.plan[last]) if here else 0.0
        return left + sum(map(self._expected, self.plan[last + 1 :]))

    def _expected(self, part: tuple[str, str, float]) -> float:
        _, name, seconds = part
        return min(seconds * self.slowness, self.limits.get(name, math.inf))

    def _measure(self, part: tuple[str, str, float], seconds: float) -> None:
        _, name, planned = part
        if planned >= TELLING and name not in self.limits:
            self.slowness = min(max(seconds / planned, FASTEST), SLOWEST)

    def _read_slowness(self) -> float:
        """Of the last part that steps before this one have done."""
        spans: dict[tuple[str, str], list[float]] = {}
        for line in _lines(self.path):
            if line.get("total") and line.get("step") != self.step:
                spans.setdefault((line["step"], line.get("name", "")), []).append(float(line.get("at", 0)))
        self.slowness = 1.0
        for part in self.plan:
            times = spans.get(part[:2], [])
            if len(times) > 1:
                self._measure(part, max(times) - min(times))
        return self.slowness


def _lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal after its plan, those that can be read."""
    lines = []
    with contextlib.suppress(OSError):
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            with contextlib.suppress(ValueError):
                lines.append(json.loads(line))
    return [line for line in lines if isinstance(line, dict)]


_journal: Journal | None = None  # of the step that this process runs


@contextlib.contextmanager
def journal(path: Path, step: str) -> Iterator[None]:
    """Within it bars write to a journal.

    Args:
        path: the file.
        step: "1 train", "1 test", "2", ... as in the plan.
    """
    global _journal
    _journal = Journal(path, step)
    try:
        yield
        if path.parent.is_dir():
            _journal.write({"ended": 0})
    finally:
        _journal = None


def write_plan(path: Path, plan: Plan, limits: dict[str, float] | None = None) -> None:
    """Begin a journal anew, with a plan, and seconds that parts of some names take at most."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {"plan": plan, "limits": limits or {}, "at": round(time.time(), 1)}
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")


def read_plan(path: Path) -> tuple[Plan, dict[str, float]]:
    """The plan that a journal begins with, and its limits; both empty where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            line = json.loads(file.readline())
        plan = [(str(step), str(name), float(seconds)) for step, name, seconds in line["plan"]]
        return plan, {str(name): float(seconds) for name, seconds in line.get("limits", {}).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [], {}


class Bar(tqdm):
    """A tqdm bar that shows the time left of its step and of all steps, and writes to the journal."""

    def __init__(self, *args: Any, deadline: float | None = None, **options: Any) -> None:
        """Args:
        *args, **options: as of tqdm.
        deadline: on the clock of time.monotonic; the work ends then although there is more of it.
        """
        self.deadline = deadline
        self._noted = 0.0
        super().__init__(*args, bar_format=_FORMAT, **({"mininterval": 0.5, "smoothing": SMOOTHING} | options))

    def seconds_left(self) -> float | None:
        """Of this bar; None while it is unknown."""
        state = super().format_dict
        rate = state["rate"] or ((self.n - self.initial) / state["elapsed"] if state["elapsed"] else 0)
        if self.total is None or (not rate and self.n < self.total):
            return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
        left = max(0.0, (self.total - self.n) / rate) if rate else 0.0
        return left if self.deadline is None else min(left, max(0.0, self.deadline - time.monotonic()))

    def _telling(self) -> float | None:
        """Seconds so far, once they tell how fast the machine is."""
        tells = self.total and not self.initial and self.deadline is None and self.n >= EARLY * self.total
        return super().format_dict["elapsed"] if tells else None

    @property
    def format_dict(self) -> dict[str, Any]:
        """The parts of the line, see tqdm."""
        left = self.seconds_left()
        words = "" if left is None else f", {tqdm.format_interval(left)} left"
        return super().format_dict | {"time_left": words, "overall": self._overall(left)}

    def _overall(self, left: float | None) -> str:
        if _journal is None:
            return ""
        everything = _journal.all_left(self.desc.removesuffix(": "), left, self._telling())
        where = f"  step {_journal.step[0]} of 5"
        return where if everything is None else f"{where}, about {in_words(everything)} left"

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Show the line, and note it."""
        now = time.monotonic()
        if _journal is not None and (now - self._noted >= EVERY or self.n == self.total):
            self._noted = now
            self._note(_journal)
        super().display(msg, pos)

    def _note(self, journal: Journal) -> None:
        state, left, name = super().format_dict, self.seconds_left(), self.desc.removesuffix(": ")
        everything = journal.all_left(name, left, self._telling())
        rate = state["rate"] or ((self.n - self.initial) / state["elapsed"] if state["elapsed"] else None)
        journal.write(
            {
                "name": name,
                "done": self.n,
                "total": self.total,
                "rate": rate and round(rate, 2),
                "left": left if left is None else round(left, 1),
                "all_left": everything if everything is None else round(everything, 1),
            }
        )


def in_words(seconds: float) -> str:
    """A time as one says it: "40 seconds", "4 minutes", "1.5 hours"."""
    if seconds < 55:
        return f"{max(5, 5 * round(seconds / 5))} seconds"
    if seconds < 90:
        return "1 minute"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
