"""What several benchmarks share: the five steps, a table with a row for each clip, and how a program ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tyro

from pose_detector.errors import InputError

STEPS = (
    ("step 1, train", "data/video2data.py", "--mode", "train"),
    ("step 1, test", "data/video2data.py", "--mode", "test"),
    ("step 2", "data/annot_normalize.py"),
    ("step 3", "main/train.py"),
    ("step 4", "main/test.py"),
    ("step 5", "output/img2video.py"),
)


@dataclass(frozen=True)
class Column:
    """A column of the table: its heading, and how its numbers are written."""

    heading: str
    form: str
    more_is_worse: bool = False


def table(
    rows: dict[str, dict[str, float]],
    failed: dict[str, str],
    columns: dict[str, Column],
    subset: tuple[str, Sequence[str]] = ("", ()),
) -> Iterator[str]:
    """Lines: a row for each clip by name, the failed ones with their reason, then mean and worst.

    Args:
        rows: numbers by clip and column; NaN where unknown.
        failed: reasons by clip.
        columns: by the rows' keys.
        subset: a word and names of clips, of which mean and worst are told too.
    """
    word, names = subset
    width = max(map(len, (*rows, *failed, f"worst, {word}")))
    yield f"{'':{width}}" + "".join(f"{column.heading:>11}" for column in columns.values())

    def line(name: str, row: dict[str, float]) -> str:
        values = ((row.get(key, np.nan), column.form) for key, column in columns.items())
        return f"{name:{width}}" + "".join(f"{'-' if np.isnan(v) else form.format(v):>11}" for v, form in values)

    for name in sorted({*rows, *failed}):
        yield line(name, rows[name]) if name in rows else f"{name:{width}}  failed: {failed[name]}"
    for suffix, group in (("", list(rows)), (f", {word}", [name for name in rows if name in names])):
        known = {key: [v for name in group if not np.isnan(v := rows[name].get(key, np.nan))] for key in columns}
        if group:
            yield line(f"mean{suffix}", {key: float(np.mean(values)) for key, values in known.items() if values})
            worst = {
                key: (max if columns[key].more_is_worse else min)(values) for key, values in known.items() if values
            }
            yield line(f"worst{suffix}", worst)
    if failed:
        yield f"{len(failed)} of {len(rows) + len(failed)} clips failed; they are in no mean"


def run_program(main: Callable[[Any, Sequence[str]], None], settings: type, description: str | None) -> None:
    """Run a benchmark with the command line's settings; those that it does not know go to the steps.

    Bad input is one line on stderr and exit status 2.
    """
    try:
        main(*tyro.cli(settings, description=description, return_unknown_args=True))
    except InputError as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(2)
