"""run.py, with no process started: what it would run, in which order, and where it stops."""

import os
import subprocess
import sys
from pathlib import Path, PureWindowsPath

import pytest
from places import ROOT

import run


@pytest.fixture
def calls(monkeypatch):
    """Commands that would have been run, and the status that each gives, 0 unless told."""
    made, status = [], {}

    def call(command, quiet=False, cwd=None):
        made.append([str(word) for word in command])
        return next((code for word, code in status.items() if word in " ".join(made[-1])), 0)

    monkeypatch.setattr(run, "call", call)
    monkeypatch.setattr(run, "install", lambda extra="": 0)
    monkeypatch.setattr(run, "_interrupts", [])
    call.status = status
    return made, status


def test_five_steps_in_order_with_videos_and_settings(calls):
    assert run.main(["-me.mp4", "a dance.mp4", "--epochs", "60"]) == 0
    scripts = [Path(command[1]).name for command in calls[0]]
    steps = ["video2data.py", "video2data.py", "annot_normalize.py", "train.py", "test.py", "img2video.py"]
    assert scripts == ["look.py", *steps]
    assert all(Path(command[1]).is_file() for command in calls[0])
    for command in calls[0]:
        assert {"--train_video=-me.mp4", "--test_video=a dance.mp4"} < set(command)
        assert command[-2:] == ["--epochs", "60"]
    assert "--continue_train" in calls[0][4]


def test_a_dry_run_only_looks(calls):
    assert run.main(["a.mp4", "b.mp4", "--dry_run"]) == 0
    (command,) = calls[0]
    assert Path(command[1]).name == "look.py" and "--dry_run" not in command


def test_the_sample_takes_settings_and_the_python_at_hand(calls):
    assert run.main(["--epochs", "0", "--no_install"]) == 0
    assert all(command[0] == sys.executable and command[-2:] == ["--epochs", "0"] for command in calls[0])
    assert not any("--no_install" in command for command in calls[0])


def test_the_page_gets_its_settings(calls):
    assert run.main(["--web", "--port", "8000"]) == 0
    (command,) = calls[0]
    assert command[1:] == [str(ROOT / "main" / "studio.py"), "--port", "8000"] and Path(command[1]).is_file()


def test_training_that_is_ended_alone_is_followed_by_rendering(calls, capsys):
    calls[1]["train.py"] = run.STOPPED
    assert run.main(["a.mp4", "b.mp4"]) == 0
    assert Path(calls[0][-1][1]).name == "img2video.py" and "ended from outside" in capsys.readouterr().out


def test_ctrl_c_ends_everything_and_says_how_to_go_on(calls, capsys):
    calls[1]["train.py"] = run.STOPPED
    run._interrupts.append(True)
    assert run.main(["a.mp4", "b.mp4"]) == run.STOPPED
    assert Path(calls[0][-1][1]).name == "train.py" and "goes on from here" in capsys.readouterr().err


def scripts(calls):
    return [Path(command[1]).name for command in calls[0]]


def test_a_trained_person_needs_no_train_video_and_no_training(calls):
    assert run.main(["dance.mp4", "--person_file", "a.person", "--crf", "20"]) == 0
    assert scripts(calls) == ["video2data.py", "annot_normalize.py", "test.py", "img2video.py"]
    for command in calls[0]:
        assert {"--person_file=a.person", "--test_video=dance.mp4"} < set(command)
        assert command[-2:] == ["--crf", "20"] and not any("train_video" in word for word in command)
    assert calls[0][0][2:4] == ["--mode", "test"]


def test_two_persons_are_rendered_apart_and_then_joined(calls):
    assert run.main(["--person_file=a.person", "--person_file", "b.person", "dance.mp4"]) == 0
    once = ["video2data.py", "annot_normalize.py", "test.py"]
    assert scripts(calls) == [*once, *once, "together.py", "img2video.py"]
    assert all(Path(command[1]).is_file() for command in calls[0])
    dancers = [[word for word in command if word.startswith("--dancer")] for command in calls[0]]
    assert dancers == [["--dancer=first"]] * 3 + [["--dancer=second"]] * 3 + [[], []]
    for command in calls[0]:
        assert {"--person_file=a.person", "--partner=b.person"} < set(command)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--person_file", "a.person"], "give the dance"),
        (["--person_file", "a.person", "--crf", "20"], "give the dance"),
        (["--person_file"], "names no file"),
        (["--person_file=a", "--person_file=b", "--person_file=c", "d.mp4"], "two persons"),
    ],
)
def test_persons_without_a_dance_or_too_many_are_refused(calls, words, said, capsys):
    assert run.main(words) == 2 and not calls[0]
    assert said in capsys.readouterr().err


def test_the_sample_pair_is_there(calls):
    assert run.main([]) == 0
    videos = [Path(word.split("=")[1]) for word in calls[0][0] if word.startswith(("--train_video", "--test_video"))]
    assert len(videos) == 2 and all(video.is_file() for video in videos)


def test_a_failing_step_is_the_last_and_gives_its_status(calls):
    calls[1]["train.py"] = 2
    assert run.main(["a.mp4", "b.mp4"]) == 2
    assert Path(calls[0][-1][1]).name == "train.py"


@pytest.mark.parametrize("words", [["a.mp4"], ["a.mp4", "--epochs", "3"]])
def test_one_video_is_refused(calls, words, capsys):
    assert run.main(words) == 2 and not calls[0]
    assert "two videos" in capsys.readouterr().err


def test_the_interpreter_lies_in_scripts_on_windows(monkeypatch):
    assert run.python_of(Path("v")) == Path("v/bin/python")
    monkeypatch.setattr(os, "name", "nt")
    assert run.python_of(PureWindowsPath("v")) == PureWindowsPath("v/Scripts/python.exe")


def test_install_is_done_once_and_again_when_requirements_change(monkeypatch, tmp_path):
    for name in ("requirements.txt", "pyproject.toml", "setup.py"):
        (tmp_path / name).write_text(name)
    made = []

    def call(command, quiet=False, cwd=None):
        made.append([str(word) for word in command])
        if "venv" in made[-1]:
            python = run.python_of(tmp_path / ".venv")
            python.parent.mkdir(parents=True)
            python.write_text("")
        return 0

    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(run, "call", call)
    monkeypatch.setattr(run.shutil, "which", lambda name: name)

    def installs():
        made.clear()
        assert run.install() == 0
        return sum("install" in command for command in made)

    assert installs() == 1
    assert installs() == 0
    (tmp_path / "requirements.txt").write_text("another")
    assert installs() == 1
    assert run.install("web") == 0 and any(".[web]" in command for command in made)
    monkeypatch.setattr(run.shutil, "which", lambda name: None)
    run.python_of(tmp_path / ".venv").unlink()
    assert run.install() == 2  # no compiler


def test_an_interrupt_waits_for_the_step(monkeypatch):
    class Process(subprocess.Popen):
        rounds = 0

        def wait(self, timeout=None):
            self.rounds += 1
            if self.rounds == 1:
                raise KeyboardInterrupt
            return super().wait(timeout)

    monkeypatch.setattr(run.subprocess, "Popen", Process)
    assert run.call([sys.executable, "-c", "raise SystemExit(7)"]) == 7
    assert run._interrupts.pop()


@pytest.mark.skipif(os.name == "nt", reason="needs bash")
def test_run_sh_hands_everything_to_run_py():
    done = subprocess.run([ROOT / "run.sh", "one.mp4"], capture_output=True, text=True, check=False)
    assert (
        done.returncode == 2 and done.stderr == "error: give two videos: python run.py TRAIN.mp4 TEST.mp4 [settings]\n"
    )
    done = subprocess.run([ROOT / "run.sh", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.strip() == run.__doc__.strip()
