"""Files and folders that are replaced whole, even by a killed run, and a workspace that one run at a time writes to."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock

from pose_detector.errors import InputError

_WAITS = (0.1, 0.2, 0.5, 1.0, 2.0)  # seconds between attempts where another program holds a file
_WORK = ".work.txt"
_IN_USE = (5, 32)  # Windows' ERROR_ACCESS_DENIED and ERROR_SHARING_VIOLATION


@contextlib.contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """A temporary path beside `path`, with its suffix, that replaces `path` on success and is removed on failure.

    Raises:
        InputError: another program holds `path` (on Windows, where a player does).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield temporary
        move(temporary, path)
    except OSError as error:
        # A full disk does not say which file it was; FFmpeg names the temporary one, in its own way.
        if error.filename and not str(error.filename).startswith("file:"):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: Path | str) -> str:
    """Of a file's bytes, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def staging(folder: Path, work: str = "") -> Iterator[Path]:
    """A folder beside `folder` to fill and then hand to `replace_folder`; gone afterwards unless it was moved.

    Args:
        folder: what it shall replace. If a kill during `replace_folder` took it away, it is put back first.
        work: a description that identifies the work. What an interrupted run left of the same work is there again, to
            go on with; and what this one leaves when it is interrupted stays.
    """
    recover(folder)
    new = _beside(folder, "part")
    note = new / _WORK
    if not (work and note.is_file() and note.read_text(encoding="utf-8") == work):
        shutil.rmtree(new, ignore_errors=True)  # of a run that was killed
    new.mkdir(parents=True, exist_ok=True)
    if work:
        note.write_text(work, encoding="utf-8")
    try:
        yield new
    finally:
        if not work:
            shutil.rmtree(new, ignore_errors=True)


def discard(folder: Path) -> None:
    """Remove what `staging` keeps for `folder` between runs."""
    shutil.rmtree(_beside(folder, "part"), ignore_errors=True)


def replace_folder(folder: Path, new: Path) -> None:
    """Put `new` in the place of `folder`, so that nothing of an earlier, longer video stays.

    A kill between the two moves leaves the old folder under another name; `recover` puts it back.

    Raises:
        InputError: another program holds a file in one of them (on Windows).
    """
    recover(folder)
    old = _beside(folder, "old")
    (new / _WORK).unlink(missing_ok=True)
    if folder.exists():
        move(folder, old)
    try:
        move(new, folder)
    except BaseException:
        recover(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def recover(folder: Path) -> None:
    """Undo half a `replace_folder`."""
    old = _beside(folder, "old")
    if old.exists() and not folder.exists():
        move(old, folder)
    else:
        shutil.rmtree(old, ignore_errors=True)


def _beside(folder: Path, kind: str) -> Path:
    return folder.with_name(f".{folder.name}.{kind}")


def move(source: Path, goal: Path) -> None:
    """Rename in place of what is there. Windows refuses while another program, a player or a file manager, has the file
    open: it is tried again for some seconds.

    Raises:
        InputError: it is still held then.
    """
    for wait in (*_WAITS, None):
        try:
            os.replace(source, goal)
            return
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _IN_USE:
                raise
            if wait is None:
                raise InputError(
                    f"{goal} is in use by another program (a player, a file manager?); close it and run this again"
                ) from error
            time.sleep(wait)


@contextlib.contextmanager
def only_run(workspace: Path) -> Iterator[None]:
    """Within it no other run writes to the workspace. The system lets go of the lock when the process ends, however it
    ends: a killed run holds nothing.

    Raises:
        InputError: another run is at work there; the line says which.
    """
    made = [folder for folder in (workspace, *workspace.parents) if not folder.exists()]
    workspace.mkdir(parents=True, exist_ok=True)
    lock, holder = filelock.FileLock(workspace / ".lock"), workspace / ".lock.txt"
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        who = _or_nothing(lambda: holder.read_text(encoding="utf-8").strip()) or "unknown"
        raise InputError(
            f"another run is at work in {workspace} ({who}); wait for its end, or give this one another --workspace"
        ) from error
    try:
        started = time.strftime("%Y-%m-%d %H:%M")
        words = [Path(sys.argv[0]).name, *sys.argv[1:2]]
        holder.write_text(
            f"{' '.join(words)}, process {os.getpid()} on {socket.gethostname()}, since {started}\n", encoding="utf-8"
        )
        yield
    finally:
        holder.unlink(missing_ok=True)
        _or_nothing((workspace / ".lock").unlink)  # Windows refuses while it is open
        lock.release()
        _or_nothing((workspace / ".lock").unlink)
        for folder in made:  # a run that wrote nothing leaves nothing
            _or_nothing(folder.rmdir)


def _or_nothing(action: Callable[[], object]) -> object:
    try:
        return action()
    except OSError:
        return None
