"""Files and folders survive failures and kills; one run at a time; pictures under any name."""

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import ROOT

from data import files, pictures
from pose_detector.errors import InputError


def folder_of(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        (path / name).write_text(name)
    return path


def names(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir())


def test_atomic_path(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.atomic_path(path) as temporary:
        assert temporary.parent == path.parent and temporary.suffix == ".mp4" and temporary != path
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    with files.atomic_path(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_a_staged_folder_replaces_the_old_one_whole(tmp_path):
    goal = folder_of(tmp_path / "vis", "old", "older")
    with files.staging(goal) as new:
        (new / "new").write_text("new")
        assert names(goal) == ["old", "older"]
        files.replace_folder(goal, new)
    assert names(goal) == ["new"] and names(tmp_path) == ["vis"]


def test_a_failure_leaves_the_old_folder_alone(tmp_path):
    goal = folder_of(tmp_path / "vis", "old")
    with pytest.raises(RuntimeError), files.staging(goal) as new:
        (new / "new").write_text("new")
        raise RuntimeError
    assert names(goal) == ["old"] and names(tmp_path) == ["vis"]


def test_interrupted_work_is_gone_on_with_and_other_work_begun_anew(tmp_path):
    goal = folder_of(tmp_path / "vis", "old")

    def interrupted(work, name):
        with pytest.raises(KeyboardInterrupt), files.staging(goal, work) as new:
            found = names(new)
            (new / name).write_text("new")
            raise KeyboardInterrupt
        return [name for name in found if not name.startswith(".")]

    assert [interrupted("a", "1"), interrupted("a", "2"), interrupted("b", "3")] == [[], ["1"], []]
    assert names(goal) == ["old"]
    with files.staging(goal, "b") as new:
        files.replace_folder(goal, new)
    assert names(goal) == ["3"] and names(tmp_path) == ["vis"]


@pytest.mark.parametrize("killed_at", [1, 2])
def test_a_kill_within_the_swap_loses_nothing(tmp_path, monkeypatch, killed_at):
    """The process dies before the first or the second move; what is found after it is whole, old or new."""
    goal = folder_of(tmp_path / "vis", "old")
    real, calls = files.move, 0

    class Killed(BaseException):
        pass

    def dying(source, goal):
        nonlocal calls
        calls += 1
        if calls >= killed_at:
            raise Killed
        real(source, goal)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(files, "move", dying)
        files.replace_folder(goal, folder_of(tmp_path / "fresh", "new"))
    with files.staging(goal):  # the next run begins
        assert names(goal) == ["old"]
    assert not [name for name in names(tmp_path) if name.startswith(".")]


def held(times: int, monkeypatch) -> list[float]:
    """os.replace fails as on Windows where a player has the file open, so many times. Returns the waits."""
    waits, real = [], files.os.replace

    def replace(source, goal):
        if len(waits) < times:
            error = PermissionError(13, "The process cannot access the file")
            error.winerror = 32
            raise error
        real(source, goal)

    monkeypatch.setattr(files.os, "replace", replace)
    monkeypatch.setattr(files.time, "sleep", waits.append)
    return waits


def test_a_file_that_is_held_for_a_moment_is_replaced_after_it(tmp_path, monkeypatch):
    waits = held(3, monkeypatch)
    with files.atomic_path(tmp_path / "result.mp4") as path:
        path.write_text("new")
    assert (tmp_path / "result.mp4").read_text() == "new" and len(waits) == 3


def test_a_file_that_stays_held_is_one_line(tmp_path, monkeypatch):
    held(99, monkeypatch)
    (tmp_path / "result.mp4").write_text("old")
    with (
        pytest.raises(InputError, match="in use by another program"),
        files.atomic_path(tmp_path / "result.mp4") as path,
    ):
        path.write_text("new")
    assert (tmp_path / "result.mp4").read_text() == "old" and names(tmp_path) == ["result.mp4"]


@pytest.mark.parametrize(
    "failure",
    [OSError(28, "No space left on device"), av.error.OSError(28, "No space left on device", "file:.a.part.png")],
    ids=["Python", "FFmpeg"],
)
def test_a_full_disk_names_the_file(tmp_path, failure):
    with pytest.raises(OSError) as error, files.atomic_path(tmp_path / "a.png"):
        raise failure
    assert error.value.filename == str(tmp_path / "a.png") and error.value.errno == 28 and not names(tmp_path)


def test_no_permission_is_not_waited_for(tmp_path, monkeypatch):
    def replace(source, goal):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.os, "replace", replace)
    monkeypatch.setattr(files.time, "sleep", lambda seconds: pytest.fail("waits"))
    with pytest.raises(PermissionError), files.atomic_path(tmp_path / "a.txt") as path:
        path.write_text("new")


def test_the_second_run_names_the_first_and_a_killed_one_holds_nothing(tmp_path):
    workspace = tmp_path / "work"
    code = (
        "import sys, time; from pathlib import Path; from data import files\n"
        "sys.argv = ['train.py', '--epochs=3']\n"
        f"with files.only_run(Path({str(workspace)!r})): print('in', flush=True); time.sleep(60)"
    )
    first = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert first.stdout.readline() == "in\n"
        with pytest.raises(InputError, match=rf"train\.py --epochs=3, process {first.pid} on .*--workspace"):
            with files.only_run(workspace):
                pass
    finally:
        first.kill()
        first.wait()
        first.stdout.close()
    with files.only_run(workspace):
        (workspace / "result").write_text("result")
    assert names(workspace) == ["result"]


def test_a_run_that_wrote_nothing_leaves_nothing(tmp_path):
    with pytest.raises(InputError), files.only_run(tmp_path / "a" / "b"):
        raise InputError("no video")
    assert not names(tmp_path)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_pictures_come_back_as_they_were(tmp_path_factory, height, width, seed):
    path = tmp_path_factory.mktemp("p") / "Bühne 舞 -1:2.png"
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pictures.write(path, picture)
    np.testing.assert_array_equal(pictures.read(path), picture)


def test_what_is_no_picture_is_none(tmp_path):
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "empty.png").write_text("")
    assert [pictures.read(tmp_path / name) for name in ("text.png", "empty.png", "missing.png")] == [None] * 3


def test_a_jpeg_of_less_quality_is_smaller(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    pictures.write(tmp_path / "a.jpg", picture, quality=95)
    pictures.write(tmp_path / "b.jpg", picture, quality=50)
    assert (tmp_path / "b.jpg").stat().st_size < (tmp_path / "a.jpg").stat().st_size / 2
