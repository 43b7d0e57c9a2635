"""Settings: every step's command line is the one dataclass, and what is wrong is named in one line."""

import dataclasses
import errno
import os
import subprocess
import sys

import cv2
import pytest
import torch
from places import ROOT

from main.cli import parse, run_step
from main.config import Config, check
from pose_detector.errors import InputError

STEPS = ("data/video2data.py", "data/annot_normalize.py", "main/train.py", "main/test.py", "output/img2video.py")


def test_settings_are_read_and_typed(tmp_path):
    config = parse("x", ["--workspace", str(tmp_path), "--epochs", "7", "--max_minutes", "2.5", "--continue_train"])
    assert (config.epochs, config.max_minutes, config.continue_train) == (7, 2.5, True)
    assert config.train_video_path == tmp_path / "data" / "source" / "train.mp4"
    assert config.as_dict()["workspace"] == str(tmp_path)


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


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": -1}, {"learning_rate": float("nan")}, {"max_minutes": float("inf")}, {"crop": 33}, {"crop": 0},
        {"frame_area": 10**12}, {"threads": -1}, {"seed": -1}, {"pose_scales": ()}, {"pose_scales": (1.0, -1.0)},
        {"person": -1}, {"crf": 52.0}, {"stacks": 0}, {"batch_size": 0},
    ],
    ids=str,
)  # fmt: skip
def test_a_setting_without_sense_is_named(change):
    check(Config())
    with pytest.raises(InputError, match=next(iter(change))):
        check(Config(**change))


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


@pytest.mark.parametrize("step", STEPS)
def test_help_of_every_step_lists_every_setting_from_any_folder(step, tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / step), "--help"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0
    for setting in dataclasses.fields(Config):
        assert "--" + setting.name.replace("_", "-") in done.stdout


def test_every_setting_has_a_comment():
    done = subprocess.run(
        [sys.executable, str(ROOT / "main" / "train.py"), "--help"], capture_output=True, text=True, check=False
    )
    text = " ".join(done.stdout.replace("│", " ").split())
    settings = [
        line
        for line in (ROOT / "main" / "config.py").read_text().splitlines()
        if line.startswith("    ") and "  # " in line
    ]
    comments = [line.split("  # ", 1)[1] for line in settings if ": " in line.split("  # ")[0] and " = " in line]
    assert len(comments) == len(dataclasses.fields(Config))
    for comment in comments:
        assert comment in text, comment
