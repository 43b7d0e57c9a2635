"""Settings: every step's command line is the one dataclass, and what is wrong is named in one line."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from main.config import Config, parse, run_step

ROOT = Path(__file__).resolve().parent.parent
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


def test_a_full_device_is_one_line(monkeypatch, capsys):
    def step(config):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(sys, "argv", ["step"])
    with pytest.raises(SystemExit) as stop:
        run_step(step, "x")
    complaint = capsys.readouterr().err
    assert stop.value.code == 2 and "--batch_size" in complaint and len(complaint.splitlines()) == 1


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
