"""Clips are cut exactly, steps are not repeated, and what is printed is right."""

import gallery
import numpy as np
import pytest
from clip_maker import beeps, moving_square, onsets, read_clip, read_sound, write_clip
from common import table
from gallery import Settings, contact_sheet, cut, cut_in_two, found_again, judge_frames, run_steps
from judge import Sight

from main.metrics import psnr
from pose_detector.blazepose import SIZE
from pose_detector.crop import Crop
from pose_detector.errors import InputError

ROW = dict.fromkeys(gallery.COLUMNS, 0.5)


def test_a_clip_is_cut_at_the_frame_with_its_times_and_sound(tmp_path):
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.09, 50))
    clip = write_clip(tmp_path / "clip.mp4", moving_square(50, 160, 96), 20, times, beeps([times[43]], times[-1] + 0.1))
    whole, stored = read_clip(clip)
    train, test = cut_in_two(clip, tmp_path)
    for path, first, last in ((train, 0, 40), (test, 40, 50)):
        frames, moments = read_clip(path)
        assert len(frames) == last - first
        assert moments - moments[0] == pytest.approx(stored[first:last] - stored[first], abs=1e-3)
        for ours, theirs in zip(frames, whole[first:last], strict=True):
            assert psnr(ours, theirs) > 35
    samples, rate = read_sound(test)
    (heard,) = onsets(np.abs(samples), np.arange(len(samples)) / rate, 0.3)
    assert heard == pytest.approx(times[43] - stored[40], abs=0.05)


def test_nothing_to_cut(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", moving_square(5))
    with pytest.raises(InputError, match="no frames from 5 to 9"):
        cut(clip, 5, 9, tmp_path / "part.mp4")


@pytest.fixture
def steps(monkeypatch):
    """Commands run so far; one whose script is in `steps.broken` fails."""

    class Steps(list):
        broken = ""

    done = Steps()

    def run(script, arguments, log):
        if script == done.broken:
            raise InputError(f"{script}: no reason")
        done.append((script, "--redo" in arguments))
        return 2.0, 100.0

    monkeypatch.setattr(gallery, "run", run)
    return done


def test_steps_go_on_where_they_failed_and_begin_anew_with_other_settings(tmp_path, steps):
    clip, folder = write_clip(tmp_path / "clip.mp4", moving_square(10)), tmp_path / "out"
    steps.broken = "main/train.py"
    with pytest.raises(InputError):
        run_steps(clip, folder, ["--epochs", "1"], redo=False)
    assert steps == [("data/video2data.py", True), ("data/video2data.py", True), ("data/annot_normalize.py", False)]
    steps.broken = ""
    seconds = run_steps(clip, folder, ["--epochs", "1"], redo=False)
    assert [script for script, _ in steps[3:]] == ["main/train.py", "main/test.py", "output/img2video.py"]
    assert sum(seconds.values()) == 12
    for settings, redo, count in (
        (["--epochs", "1"], False, 6),
        (["--epochs", "2"], False, 12),
        (["--epochs", "2"], True, 18),
    ):
        run_steps(clip, folder, settings, redo)
        assert len(steps) == count


def test_a_clip_that_fails_is_a_row_and_the_rest_goes_on(tmp_path, steps, monkeypatch, capsys):
    for name in ("bad", "good"):
        write_clip(tmp_path / f"{name}.mp4", moving_square(10))
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    monkeypatch.setattr(gallery, "Judge", lambda _: None)

    def judge_clip(config, judge, test_video, sheet, count):
        sheet.touch()
        return {name: 0.5 for name in ROW if name not in ("seconds", "train")}

    monkeypatch.setattr(gallery, "judge_clip", judge_clip)
    gallery.main(Settings(folder=tmp_path, out=tmp_path / "out", static=("good",)))
    printed = capsys.readouterr().out
    assert f"{'bad':13}  failed: " in printed and "50.0%" in printed and "1 of 2 clips failed" in printed
    assert "mean, static" in printed and printed.split("contact")[0].strip() in (tmp_path / "out/table.txt").read_text()
    with pytest.raises(InputError, match="no clip named nobody"):
        gallery.main(Settings(folder=tmp_path, out=tmp_path / "out", only=("nobody",)))


def test_mean_and_worst_of_a_table():
    rows = {"a": ROW | {"psnr": 20.0, "seconds": 10.0}, "b": ROW | {"psnr": 30.0, "seconds": 90.0, "iou": float("nan")}}
    lines = {text[:13].strip(): text.split() for text in table(rows, {}, gallery.COLUMNS, ("static", ["a"]))}
    assert lines["mean"][4] == "25.00" and lines["worst"][4] == "20.00" and lines["mean, static"][5] == "20.00"
    assert lines["worst"][7] == "90" and lines["mean"][3] == "0.500" and lines["b"][3] == "-"


def test_found_again_counts_what_is_seen_in_the_real_frame():
    real = np.ones((3, 18, 3), np.float32)
    real[..., :2] = 50
    real[:, [8, 11], 1] = 90  # a torso of 40
    real[0, 3, 2] = 0
    ours = real.copy()
    ours[:, 4, 0] += 8.1
    ours[1, 7, 2] = 0
    shares = found_again(ours, real, np.arange(3.0))
    assert shares["wrists"] == pytest.approx(2 / 6) and shares["keypoints"] == pytest.approx((53 - 4) / 53)


class Judge:
    """Sees a person in the middle of the red part of a frame, the outline a square of its width about it."""

    def __call__(self, frame):
        landmarks = np.ones((39, 4)) * 0.9
        columns = np.flatnonzero((frame[..., 0] > 200).any(0))
        if not len(columns):
            return Sight(Crop(0, 0, 10), landmarks, 0.1, np.zeros((SIZE, SIZE), np.float32))
        middle = (columns[0] + columns[-1]) / 2
        landmarks[:, :2] = middle, 40
        landmarks[[23, 24], 1] = 60
        crop = Crop(middle, 50, columns[-1] - columns[0] + 1)
        return Sight(crop, landmarks, 0.9, np.ones((SIZE, SIZE), np.float32))

    def settle(self, frame, crop):
        return self(frame), crop


def frame(column):
    picture = np.full((100, 160, 3), 90, np.uint8)
    if column is not None:
        picture[30:70, column : column + 40] = (230, 20, 20)
    return picture


def test_frames_are_judged_by_what_is_seen_in_the_real_one():
    row = judge_frames(
        Judge(), [(0.0, frame(40), frame(40)), (0.1, frame(50), frame(60)), (0.2, frame(None), frame(9))]
    )
    assert row["keypoints"] == 0.5 and row["wrists"] == 0.5
    assert row["iou"] == pytest.approx((1 + 30 / 50) / 2) and 10 < row["psnr"] < 110 and row["ssim"] < 1
    nobody = judge_frames(Judge(), [(0.0, frame(40), frame(None))])
    assert nobody["keypoints"] == 0 and nobody["iou"] == 0
    assert np.isnan(judge_frames(Judge(), [(0.0, frame(None), frame(40))])["psnr"])


def test_a_contact_sheet_shows_pairs_at_a_readable_size():
    pair = np.full((512, 288, 3), 10, np.uint8), np.full((512, 288, 3), 200, np.uint8)
    sheet = contact_sheet([pair] * 7)
    assert sheet.shape == (2 * 518, 4 * 588, 3)
    assert (sheet[:512, :288] == 10).all() and (sheet[518 : 518 + 512, 288:576] == 200).all()
