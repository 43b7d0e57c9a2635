"""What each step printed, and how much time and memory it took: a JSON file a step, from which the report is made."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from data.files import atomic_path
from data.progress import STEPS

DONE_BEFORE = "already done"  # so begins what a step says that has nothing to do


class _Tee(io.TextIOBase):
    """Writes to a stream, and keeps whole lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self.text = stream, ""

    def write(self, text: str) -> int:
        self.text += text
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    @property
    def encoding(self) -> str:
        return self._stream.encoding


class StepLog:
    """One run of a step."""

    def __init__(self, step: str, settings: dict[str, Any]) -> None:
        self._step, self._settings = step, settings
        self._began, self._clock = time.time(), time.monotonic()
        self.out = _Tee(sys.stdout)

    def entry(self) -> dict[str, Any]:
        """All that is known of it by now; see `read`."""
        return {
            "step": self._step,
            "began": self._began,
            "seconds": time.monotonic() - self._clock,
            "megabytes": peak_memory(),
            "lines": self.out.text.splitlines(),
            "settings": self._settings,
        }


current: StepLog | None = None  # of the step that this process runs


@contextlib.contextmanager
def logged(folder: Path, step: str, settings: dict[str, Any]) -> Iterator[None]:
    """Within it what is printed is kept, and written to a folder when the step succeeds. A step that was done before
    leaves what is there.

    Args:
        folder: where to; one file a step.
        step: "1 train", "1 test", "2", ...
        settings: of the run, JSON values.
    """
    global current
    current = log = StepLog(step, settings)
    try:
        with contextlib.redirect_stdout(log.out):
            yield
        entry = log.entry()
        if not (entry["lines"] and entry["lines"][0].startswith(DONE_BEFORE)):
            with atomic_path(folder / f"{step.replace(' ', '-')}.json") as temporary:
                temporary.write_text(json.dumps(entry, indent=1), encoding="utf-8")
    finally:
        current = None


def read(folder: Path) -> list[dict[str, Any]]:
    """The entries of all steps in their order, that of the running one included: step, began (seconds since 1970),
    seconds, megabytes (None where the system does not tell), lines, settings."""
    entries = {}
    for path in sorted(folder.glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            entry = json.loads(path.read_text(encoding="utf-8"))
            entries[entry["step"]] = entry
    if current is not None:
        entry = current.entry()
        entries[entry["step"]] = entry
    return [entries[step] for step in STEPS if step in entries]


def peak_memory() -> float | None:
    """Largest resident size of this process so far in MB; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    scale = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
