"""How every step is run: settings from the command line, one run at a time, and errors as one line."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import sys
from collections.abc import Callable

import tyro

from data import progress, step_log
from data.files import only_run
from main.config import Config, check, check_name, of_pair
from pose_detector.errors import InputError


def parse(description: str, argv: list[str] | None = None) -> Config:
    """Config from the command line (``sys.argv`` by default). A bad setting ends the process: one line, status 2."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(Config, args=argv, description=description)
    except SystemExit as stop:
        if stop.code:
            # tyro frames its message; what stands above the first rule says it all.
            text = re.sub(r"[╭╮╰╯│]", " ", complaint.getvalue().split("│ ──")[0]).split("\n", 1)[-1]
            print(f"error: {' '.join(text.split())} (--help lists every setting)", file=sys.stderr)
        raise


def run_step(step: Callable[[Config], None], description: str, writes: bool = True) -> None:
    """Run a step script with its settings from the command line. What a user can mend ends it with one line and status
    2: an :class:`InputError`, a disk that is full or not to be written to, a device without enough memory.

    Args:
        step: what to run.
        description: of it, for --help.
        writes: whether it changes the workspace; only one run at a time may.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an old console lacks letters of names, and blocks of bars
    config = parse(description)
    first = os.environ.get("RANK", "0") == "0"  # of the processes of torchrun, see main/distributed.py
    number = step_number(description, config.mode)
    try:
        check(config)
        check_name(config.name)
        config = of_pair(config)
        with contextlib.ExitStack() as stack:
            if writes and first:
                stack.enter_context(only_run(config.workspace))
                if number:
                    stack.enter_context(progress.journal(config.journal, number))
                    stack.enter_context(step_log.logged(config.step_logs, number, config.as_dict()))
            if config.person_file:
                from main.person_file import unpack  # brings torch, whose import takes seconds

                unpack(config.person_file, config.person_dir)
            step(config)
    except InputError as error:
        reason = str(error)
    except KeyboardInterrupt:
        more = " with --continue_train" if number == "3" and not config.continue_train else ""
        print(f"stopped; the same command{more} goes on from here", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        reason = explain(error)
        if reason is None:
            raise
    else:
        return
    print(f"error: {one_line(reason)}", file=sys.stderr)
    sys.exit(2)


def step_number(description: str, mode: str) -> str:
    """Name of a step script by its description: "1 train", "1 test", "2", ...; empty for other scripts."""
    found = re.match(r"Step (\d)", description)
    return "" if found is None else f"1 {mode}" if found[1] == "1" else found[1]


_LONGEST_LINE = 2000  # characters of a message
_DISK = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EFBIG: "the file-size limit is reached; raise it (ulimit -f)",
    errno.EROFS: "the disk is read-only; give a --workspace elsewhere",
    errno.ENAMETOOLONG: "its name is too long; give a shorter one",
    errno.ENOTDIR: "a file stands in a folder's place; remove it, or give another --workspace",
    errno.EISDIR: "a folder stands in its place; remove it, or give another --workspace",
    errno.EEXIST: "a file stands in a folder's place; remove it, or give another --workspace",
    errno.ELOOP: "its links lead in a circle; give another path",
    errno.EACCES: "no permission; give a --workspace that you may write to",
    errno.EPERM: "no permission; give a --workspace that you may write to",
}
_FULL = re.compile(
    r"out of memory|alloc_failed|not enough memory|can't allocate memory|cudnn_status_not_initialized"
    r"|invalid buffer size"  # MPS
    r"|insufficient memory|failed to allocate",  # OpenCV
    re.IGNORECASE,
)


def one_line(text: str) -> str:
    """A message without what names and files of others may bring in: line breaks, control characters, endless words."""
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= _LONGEST_LINE else f"{text[: _LONGEST_LINE // 2]} ... {text[-_LONGEST_LINE // 2 :]}"


def explain(error: Exception) -> str | None:
    """One line that says what to do about an error of the machine; None: it is not one that a user can mend."""
    if isinstance(error, OSError):
        reason = _DISK.get(error.errno)
        return reason and f"{error.filename or 'a file'} cannot be written: {reason}, and run this again"
    if not (isinstance(error, MemoryError) or _FULL.search(f"{type(error).__name__} {error}")):
        return None
    where = "the GPU" if re.search("cuda|cudnn|cublas|mps|hip", str(error), re.IGNORECASE) else "this computer"
    return (
        f"the memory of {where} does not suffice; try half of --batch_size (step 3) or of --pose_batch (step 1), "
        "--quality draft, or --device cpu"
    )
