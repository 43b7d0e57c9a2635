"""Settings: every step's command line is the one dataclass."""

import dataclasses
import subprocess
import sys

import pytest
from places import ROOT

from main.cli import parse
from main.config import Config, check
from pose_detector.errors import InputError

STEPS = ("data/video2data.py", "data/annot_normalize.py", "main/train.py", "main/test.py", "output/img2video.py")


def test_settings_are_read_and_typed(tmp_path):
    config = parse("x", ["--workspace", str(tmp_path), "--epochs", "7", "--max_minutes", "2.5", "--continue_train"])
    assert (config.epochs, config.max_minutes, config.continue_train) == (7, 2.5, True)
    assert config.train_video_path == tmp_path / "data" / "source" / "train.mp4"
    assert config.as_dict()["workspace"] == str(tmp_path)


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
