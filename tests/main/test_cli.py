"""How steps are run: what is wrong ends them with one line that says so."""

import errno
import os
import subprocess
import sys

import cv2
import pytest
import torch
from places import ROOT

from main.cli import parse, run_step
from pose_detector.errors import InputError


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--epoch", "3"], "--epoch"),
        (["--epochs", "many"], "--epochs"),
        (["--mode", "both"], "--mode"),
        (["--device"], "--device"),
        (["stray"], "stray"),
    ],
)
def test_wrong_settings_are_refused_by_name_in_one_line(words, named, capsys):
    with pytest.raises(SystemExit) as stop:
        parse("x", words)
    complaint = capsys.readouterr().err
    assert stop.value.code == 2 and named in complaint and len(complaint.splitlines()) == 1


def fail(error, monkeypatch, capsys, tmp_path):
    """The line that a step ends with that raises this."""

    def step(config):
        raise error

    monkeypatch.setattr(sys, "argv", ["step", "--workspace", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        run_step(step, "x")
    complaint = capsys.readouterr().err
    assert stop.value.code == 2 and len(complaint.splitlines()) == 1
    return complaint


@pytest.mark.parametrize(
    ("error", "where"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "GPU"),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9.06 GB)"), "GPU"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "GPU"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "GPU"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"), "computer"),
        (MemoryError("Unable to allocate 9.1 GiB for an array"), "computer"),
        (RuntimeError("Invalid buffer size: 20.00 GiB"), "computer"),
        (cv2.error("(-4:Insufficient memory) Failed to allocate 3221225472 bytes"), "computer"),
    ],
)
def test_a_full_memory_is_one_line_that_names_whose(error, where, monkeypatch, capsys, tmp_path):
    complaint = fail(error, monkeypatch, capsys, tmp_path)
    assert "--batch_size" in complaint and where in complaint


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "full"), (errno.EROFS, "read-only"), (errno.EFBIG, "ulimit"), (errno.EACCES, "permission"),
        (errno.EDQUOT, "quota"),
    ],
)  # fmt: skip
def test_a_disk_that_does_not_take_it_is_one_line(code, words, monkeypatch, capsys, tmp_path):
    complaint = fail(OSError(code, "some words", "vis/000001.png"), monkeypatch, capsys, tmp_path)
    assert words in complaint and "vis/000001.png" in complaint


def test_a_message_stays_one_printable_line(monkeypatch, capsys, tmp_path):
    complaint = fail(InputError("a\nname \x1b[31mred" + "x" * 10_000), monkeypatch, capsys, tmp_path)
    assert complaint.rstrip("\n").isprintable() and len(complaint) < 3000


def test_other_errors_keep_their_traceback(monkeypatch, tmp_path):
    def step(config):
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(sys, "argv", ["step", "--workspace", str(tmp_path)])
    with pytest.raises(RuntimeError, match="ours"):
        run_step(step, "x")


def test_a_console_without_the_letters_is_no_failure(tmp_path):
    code = f"import sys; sys.argv = ['x', '--workspace', {str(tmp_path)!r}]\n"
    code += "from main.cli import run_step; run_step(lambda config: print('Bühne ▏舞'), 'x')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, cwd=ROOT, check=False)
    assert done.returncode == 0 and done.stdout.startswith(b"B?hne")
