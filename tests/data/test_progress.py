"""Bars, journals and the logs of steps."""

import io
import json

import pytest

from data import progress, step_log
from data.progress import Bar, in_words, journal, read_plan, write_plan
from main.cli import run_step, step_number
from main.config import Config
from main.jobs import read_progress

PLAN = [("1 train", "first look", 20.0), ("1 train", "end", 4.0), ("3", "training", 60.0), ("4", "rendering", 30.0)]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_bar_is_noted_with_the_time_left_of_all(tmp_path):
    path = tmp_path / "output" / "progress.jsonl"
    write_plan(path, PLAN)
    screen = io.StringIO()
    with journal(path, "1 train"):
        bar = Bar(total=10, desc="first look", file=screen, mininterval=0)
        bar.update(5)
        bar.update(5)
        bar.close()
    plan, begun, *bars, ended = lines(path)
    assert read_plan(path) == (PLAN, {}) and [tuple(row) for row in plan["plan"]] == PLAN
    assert begun["step"] == "1 train" and begun["pid"] and begun["at"] <= ended["at"] and ended["ended"] == 0
    assert bars[0]["done"] == 0 and bars[0]["left"] is None and bars[0]["all_left"] == 114  # as planned
    assert bars[-1]["done"] == bars[-1]["total"] == 10 and bars[-1]["left"] == 0 and bars[-1]["all_left"] == 94 / 4
    assert "step 1 of 5, about 2 minutes left" in screen.getvalue() and "about 25 seconds left" in screen.getvalue()
    now = read_progress(path)
    assert (now.step, now.name, now.share, now.all_left) == ("1 train", "first look", 1.0, 23.5)


def test_the_plan_is_scaled_by_how_slow_the_machine_turned_out_to_be(tmp_path):
    path = tmp_path / "progress.jsonl"
    write_plan(path, [*PLAN, ("5", "result", 10.0)], {"training": 90.0})
    for at, done in ((0, 0), (20, 5), (40, 10)):
        line = {"step": "1 train", "at": at, "name": "first look", "done": done, "total": 10}
        path.write_text(path.read_text() + json.dumps(line) + "\n")
    with journal(path, "3"):
        here = progress._journal
        assert here.slowness == 2, "40 seconds for 20"
        assert here.all_left("training", None) == 90 + 60 + 20, "training takes 120 at most 90"
        assert here.all_left("training", 50.0, 50.0) == 50 + 60 + 20, "what has a limit does not tell"
    with journal(path, "4"):
        assert progress._journal.all_left("rendering", 80.0, 10.0) == 80 + 30, "now it is three times as slow"
        assert progress._journal.all_left("rendering", 80.0) == 80 + 30


def test_a_deadline_bounds_the_time_left(monkeypatch):
    monkeypatch.setattr(progress.time, "monotonic", lambda: 100.0)
    bar = Bar(total=1000, desc="training", file=io.StringIO(), deadline=130.0)
    bar.update(1)
    assert bar.seconds_left() <= 30
    bar.close()


def test_a_bar_that_was_not_planned_counts_what_comes_after_its_step(tmp_path):
    path = tmp_path / "progress.jsonl"
    write_plan(path, PLAN)
    with journal(path, "3"):
        assert progress._journal.all_left("something else", 5.0) == 35


def test_without_a_journal_nothing_is_written_or_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    screen = io.StringIO()
    list(Bar(range(3), desc="x", file=screen))
    assert not list(tmp_path.iterdir()) and "step" not in screen.getvalue()


@pytest.mark.parametrize("text", ["", "{", '{"plan": 3}', '{"step": "1"}', "[]"])
def test_a_damaged_journal_is_no_plan(tmp_path, text):
    path = tmp_path / "progress.jsonl"
    path.write_text(text)
    assert read_plan(path) == ([], {})
    assert read_progress(path).name == ""


def test_a_half_written_line_is_passed_over(tmp_path):
    path = tmp_path / "progress.jsonl"
    path.write_text(
        '{"step": "4", "pid": 7}\n{"step": "4", "name": "rendering", "done": 3, "total": 6}\n{"step": "4", "na'
    )
    now = read_progress(path)
    assert (now.pid, now.name, now.share) == (7, "rendering", 0.5)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(2, "5 seconds"), (42, "40 seconds"), (70, "1 minute"), (250, "4 minutes"), (7000, "1.9 hours")],
)
def test_times_as_one_says_them(seconds, words):
    assert in_words(seconds) == words


def test_the_number_of_a_step_comes_from_its_description():
    assert step_number("Step 1: from a video", "test") == "1 test"
    assert step_number("Step 3: train", "train") == "3"
    assert step_number("Compare the result with the truth", "train") == ""


def test_what_a_step_says_is_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["step.py", "--workspace", str(tmp_path), "--seed", "3"])
    run_step(lambda config: print("written: something"), "Step 2: move")
    (entry,) = step_log.read(Config(workspace=tmp_path).step_logs)
    assert entry["step"] == "2" and entry["lines"] == ["written: something"] and entry["settings"]["seed"] == 3
    assert entry["seconds"] >= 0 and entry["megabytes"] > 1
    assert capsys.readouterr().out == "written: something\n"
    run_step(lambda config: print("already done: it"), "Step 2: move")
    assert step_log.read(Config(workspace=tmp_path).step_logs) == [entry]


def test_ctrl_c_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    def interrupted(config):
        raise KeyboardInterrupt

    words = ["step.py", "--workspace", str(tmp_path / "work")]
    for step, more, said in (
        ("Step 2: move", [], "command goes on from here"),
        ("Step 3: train", [], "command with --continue_train goes on"),
        ("Step 3: train", ["--continue_train"], "command goes on from here"),
    ):
        monkeypatch.setattr("sys.argv", [*words, *more])
        with pytest.raises(SystemExit) as stop:
            run_step(interrupted, step)
        assert stop.value.code == 130 and said in capsys.readouterr().err
    assert not (tmp_path / "work").exists()
