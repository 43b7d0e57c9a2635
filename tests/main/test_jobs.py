"""The queue of runs, with a stand-in for run.py."""

import os
import subprocess
import threading
import time

import pytest

from main import jobs
from main.jobs import Job, Studio
from pose_detector.errors import InputError

RUN = """
import json, os, pathlib, signal, sys, time
folder = pathlib.Path(next(word for word in sys.argv if word.startswith("--workspace=")).split("=", 1)[1])
journal = folder / "output" / "progress.jsonl"
journal.parent.mkdir(parents=True, exist_ok=True)
ended = []
signal.signal(signal.SIGINT, lambda *_: ended.append(1))
with open(journal, "a") as file:
    for line in ({"pid": os.getpid()}, {"name": "training", "done": 3, "total": 9, "left": 4.0, "all_left": 9.0}):
        file.write(json.dumps({"step": "3", **line}) + chr(10))
while "--wait" in sys.argv and not ended:
    time.sleep(0.02)
if "--fail" in sys.argv:
    print("error: it is broken", file=sys.stderr)
    sys.exit(2)
(folder / "words.txt").write_text(" ".join(sys.argv[1:]))
"""


@pytest.fixture
def studio(tmp_path, monkeypatch):
    script = tmp_path / "root" / "run.py"
    script.parent.mkdir()
    script.write_text(RUN)
    monkeypatch.setattr(jobs, "ROOT", script.parent)
    made = Studio(tmp_path / "studio")
    yield made
    made.close()


def until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.02)


def test_runs_wait_for_each_other(studio, tmp_path):
    first = studio.add("one", ["a.mp4", "b.mp4", "--wait"], tmp_path / "b.mp4")
    second = studio.add("two", ["a.mp4", "c.mp4"], tmp_path / "c.mp4")
    until(lambda: jobs.read_progress(first.journal).name == "training")
    assert (first.state, second.state) == ("running", "waiting")
    assert jobs.read_progress(first.journal).share == pytest.approx(1 / 3)
    assert studio.enough(first)
    until(lambda: second.state == "done")
    assert first.state == "done" and (first.number, second.number) == (1, 2)
    words = (second.folder / "words.txt").read_text().split()
    assert words == ["a.mp4", "c.mp4", "--no_install", f"--workspace={second.folder}"]


def test_a_failing_run_tells_why_and_the_next_one_goes_on(studio, tmp_path):
    first = studio.add("one", ["--fail"], tmp_path)
    second = studio.add("two", [], tmp_path)
    until(lambda: second.state == "done")
    assert (first.state, first.message) == ("failed", "it is broken")
    assert not studio.enough(first)


@pytest.mark.skipif(os.name == "nt", reason="ends by a signal")
def test_stopped_and_resumed(studio, tmp_path):
    job = studio.add("one", ["--wait"], tmp_path)
    waiting = studio.add("two", [], tmp_path)
    until(lambda: jobs.read_progress(job.journal).pid)
    studio.stop(waiting)
    assert waiting.state == "stopped"
    studio.stop(job)
    until(lambda: studio._process is None)
    assert job.state == "stopped" and Job.load(job.folder).state == "stopped"
    job.words.remove("--wait")
    studio.resume(job)
    until(lambda: job.state == "done")


def test_runs_are_there_again_after_the_program_ended(studio, tmp_path):
    job = studio.add("one", ["--fail"], tmp_path)
    until(lambda: job.state == "failed")
    job.state = "running"
    job.save()
    (tmp_path / "studio" / "jobs" / "0009").mkdir()  # without its file
    again = Studio(tmp_path / "studio", start=False)
    assert [(one.number, one.name, one.state) for one in again.jobs] == [(1, "one", "stopped")]


def test_only_videos_are_kept_and_each_once(studio, tmp_path, monkeypatch):
    video = tmp_path / "../my dance (1).MP4".removeprefix("../")
    video.write_bytes(b"frames")
    kept = studio.keep(video)
    assert (
        kept.parent == tmp_path / "studio" / "videos" and kept.name.startswith("my_dance_1-") and kept.suffix == ".mp4"
    )
    assert studio.keep(video) == kept and kept.read_bytes() == b"frames"
    for name in ("page.html", "run.py", "video.mp4.exe", "noending"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(InputError, match="not supported"):
            studio.keep(tmp_path / name)
    monkeypatch.setattr(jobs, "MOST_BYTES", 3)
    with pytest.raises(InputError, match="larger"):
        studio.keep(video)


def test_a_look_says_what_is_wrong(studio, tmp_path, monkeypatch):
    def run(command, **_):
        return subprocess.CompletedProcess(command, 2, "", "a bar\rerror: it is damaged\n")

    (tmp_path / "a.mp4").write_bytes(b"x")
    monkeypatch.setattr(jobs.subprocess, "run", run)
    with pytest.raises(InputError, match=r"^it is damaged$"):
        studio.look(tmp_path / "a.mp4", "train")


def test_the_thread_ends(tmp_path):
    before = threading.active_count()
    studio = Studio(tmp_path / "other")
    waiting = Job(1, "one", [], "", folder=tmp_path)
    studio.jobs.append(waiting)
    assert studio.close() == [waiting] and waiting.state == "stopped"
    until(lambda: threading.active_count() <= before)
