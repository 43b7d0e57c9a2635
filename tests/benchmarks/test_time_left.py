"""How far off the time left was, from a journal."""

import json

import pytest
import time_left

from pose_detector.errors import InputError

PLAN = {"plan": [["1 train", "first look", 80.0], ["3", "training", 100.0]], "at": 0}


def written(path, *lines):
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_what_was_announced_is_held_against_what_was_left(tmp_path):
    lines = [{"step": "1 train", "at": t, "name": "first look", "all_left": 210.0 - t} for t in range(0, 91, 10)]
    lines += [{"step": "3", "at": 90 + t, "name": "training", "all_left": 1.5 * (110 - t)} for t in range(0, 110, 5)]
    path = written(tmp_path / "progress.jsonl", PLAN, *lines, {"step": "3", "at": 200, "ended": 0})
    first, second = time_left.read(path)
    assert (first.planned, first.took, second.planned, second.took) == (80, 90, 100, 110)
    assert first.readings[0] == (150, 140) and second.readings[0] == (75, 50), "a minute into each"
    text = "\n".join(time_left.tell([first, second]))
    assert "+7%" in text and "+50%" in text and "planned -10%" in text


def test_a_run_that_did_not_finish_is_refused(tmp_path):
    path = written(tmp_path / "a.jsonl", PLAN, {"step": "3", "at": 5, "name": "training", "all_left": 3})
    with pytest.raises(InputError, match="finished"):
        time_left.read(path)
