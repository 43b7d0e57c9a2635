"""Live pictures: poses follow frame by frame, the newest frame counts, and the file keeps the source's time."""

import threading
import time
import urllib.request
from fractions import Fraction
from itertools import islice

import av
import numpy as np
import pytest
from clip_maker import read_clip, write_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from looks import StubLooker
from person import annotations, clip, painted, workspace

from data.annotations import Annotations
from main import appearance, checkpoint, person_file
from main.causal import CALIBRATE, SWITCH, GrowingPlan, Placer, Smoother
from main.config import Config
from main.dataset import Clip
from output import live
from pose_detector.errors import InputError


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A person's file, of a small network that learnt nothing."""
    folder = tmp_path_factory.mktemp("live")
    config = Config(workspace=workspace(folder))
    small = Config(channels=16, detail=4)
    state = {"config": small.as_dict(), "epoch": 0, "averaged": checkpoint.make_generator(small).state_dict()}
    person_file.save(folder / "a.person", Annotations.load(config.train_annotations), state, config, [])
    return folder / "a.person"


# ---- Poses -----------------------------------------------------------------------------------------------------------


def test_the_dancer_takes_the_targets_size_and_place_from_the_first_second_on():
    target = painted(30)[1]
    dance = target.copy()
    dance[..., :2] = dance[..., :2] * 2.5 + (40, -30)
    place = Placer(target)
    placed = [place(pose, t / 25) for t, pose in enumerate(dance)]
    first = next(i for i, pose in enumerate(placed) if pose is not None)
    assert first == round(CALIBRATE * 25)
    reach = np.ptp(target[..., 1])
    for ours, wanted in zip(placed[first:], target[first:], strict=True):
        assert np.abs(ours[:, :2] - wanted[:, :2]).max() < 0.05 * reach
    assert placed[-1] is not None and not placed[-1][target[-1, :, 2] == 0].any()


def test_nobody_is_measured_by_half_a_body():
    place = Placer(painted(30)[1])
    legless = painted(1)[1][0]
    legless[[9, 10, 12, 13]] = 0
    assert all(place(legless, t / 25) is None for t in range(60))


def test_tremble_is_damped_and_a_fast_hand_is_hardly_late():
    still, rng = painted(1)[1][0], np.random.default_rng(0)
    smooth, shaken, calm = Smoother(), [], []
    for t in range(200):
        pose = still.copy()
        pose[:, :2] += rng.normal(0, 1, (18, 2))
        shaken.append(pose[4, :2])
        calm.append(smooth(pose, t / 25)[4, :2])
    assert np.std(calm[20:], axis=0).max() < 0.6 * np.std(shaken[20:], axis=0).min()
    smooth, size = Smoother(), 27.0
    for t in range(12):
        pose = still.copy()
        pose[4, 0] += 3 * size * t / 25  # three body sizes a second
        late = pose[4, 0] - smooth(pose, t / 25)[4, 0]
    assert 0 <= late < 3 * size * 0.04


@given(gap=st.integers(1, 20))
@settings(max_examples=20)
def test_what_is_missing_for_a_moment_moves_on_with_the_body(gap):
    still, smooth = painted(1)[1][0], Smoother()
    for t in range(10 + gap):
        pose = still.copy()
        pose[:, 0] += t
        if t >= 10:
            pose[4] = 0
        seen = smooth(pose, t / 25)
    if gap <= 6:
        assert seen[4, 2] > 0 and abs((seen[4] - seen[3])[0] - (still[4] - still[3])[0]) < 1
    if gap >= 9:
        assert not seen[4].any()


def test_a_growing_plan_copies_what_is_most_alike_and_stays_within_the_picture():
    frames, poses, plate = clip()
    own = Clip.of_frames(frames, poses, np.arange(len(poses)), plate)
    growing = GrowingPlan(own, most=40)
    for i in range(len(poses)):
        assert growing.add(poses[i]) == i
        assert (growing.plan.origins[i] >= 0).all()
        assert (growing.plan.origins[i] + growing.plan.size <= own.size).all()
    for part in appearance.PARTS:
        first = appearance.SOURCES.index(part)  # others must be of other frames
        costs = appearance.match_costs(part, part.sources[0], poses, own.sizes, own.poses, own.sizes)  # (N, N)
        chosen = growing.plan.sources[first, : len(poses)]
        extra = costs[np.arange(len(poses)), chosen] - costs.min(1)
        assert extra[0] < 0.01 and extra.max() < SWITCH + 0.01  # sizes are measured a little differently
    t = growing.add(np.zeros((18, 3), np.float32))
    assert not growing.plan.poses[t].any()


# ---- Threads ---------------------------------------------------------------------------------------------------------


def test_the_newest_is_taken_and_what_was_not_taken_is_counted():
    box = live.Newest()
    for i in range(1, 6):
        box.put(i)
    box.close()
    assert list(box) == [5] and box.dropped == 4


def test_the_first_look_is_asked_at_the_beginning_and_when_the_dancer_is_lost():
    pose = painted(1)[1][0]
    there = [True] * 4 + [False] * 3 + [True] * 4
    asked, given = [], []

    class Goal:
        def put(self, moment):
            given.append(moment.keypoints is not None)

    def detector(frames):
        asked.append(int(frames[0][0, 0, 0]))
        if not there[asked[-1]]:
            return [(np.zeros((0, 18, 2), np.float32), np.zeros((0, 18), np.float32))]
        return [(pose[None, :, :2], pose[None, :, 2])]

    looker = StubLooker(lambda frame: pose if there[int(frame[0, 0, 0])] else None)
    moments = [live.Moment(i / 25, 0.0, np.full((288, 512, 3), i, np.uint8)) for i in range(len(there))]
    live.follow(moments, Goal(), detector, looker, None)
    assert asked == [0, 4, 5, 6, 7] and given == there


def test_the_person_counted_from_the_left_is_meant_or_the_largest():
    pose = painted(1)[1][0]
    people = np.stack([pose, pose, pose])
    people[1, :, 0] += 150
    people[2, :, 0] -= 20
    people[1, :, :2] *= 1.4

    def detector(frames):
        return [(people[..., :2], people[..., 2])]

    frame = np.zeros((288, 512, 3), np.uint8)
    for number, wanted in ((None, 1), (0, 2), (1, 0), (2, 1)):
        assert np.allclose(live.first_look(frame, detector, number), people[wanted])
    assert live.first_look(frame, detector, 3) is None


# ---- What is made ----------------------------------------------------------------------------------------------------


def test_the_file_has_the_sources_frame_rate_and_says_what_it_is(tmp_path, file):
    shown = [(i, np.full((64, 96, 3), 20 + 10 * i, np.uint8)) for i in (0, 2, 3, 7)]
    pictures = ((i / 10, picture) for i, picture in shown)  # frames 1, 4, 5 and 6 were dropped
    config = Config(person_file=file, source="0", to=tmp_path / "live.mp4")
    live.to_file(config, pictures, Fraction(10), threading.Event())
    frames, times = read_clip(config.to)
    assert np.allclose(times, np.arange(8) / 10, atol=1e-3)
    assert [round((f.mean() - 20) / 10) for f in frames] == [0, 0, 2, 3, 3, 3, 3, 7]
    with av.open(str(config.to)) as container:
        assert "ynthetic" in container.metadata["comment"]


def test_from_a_video_to_a_video(tmp_path, file, monkeypatch, capsys):
    frames, poses, _ = painted(40)
    source = write_clip(tmp_path / "dance.mp4", frames, fps=25)

    def detector(frames):
        return [(poses[None, 5, :, :2] * frames[0].shape[1] / 160, poses[None, 5, :, 2])]

    monkeypatch.setattr(live, "seeker", lambda *_: (detector, StubLooker(lambda frame: poses[5]), None))
    config = Config(workspace=tmp_path, person_file=file, source=str(source), to=tmp_path / "live.mp4", device="cpu")
    person_file.unpack(file, config.person_dir)
    live.main(config)
    made, _ = read_clip(config.to)
    assert 30 <= len(made) <= 40
    room = Annotations.load(config.train_annotations).frame_size
    assert made[0].shape[1::-1] == room
    assert np.abs(made[-1].astype(int) - made[0]).max() > 40, "nobody appears after the first second"
    assert "frames dropped" in capsys.readouterr().out


def test_the_page_shows_pictures_and_the_delay(capsys):
    def pictures():
        for i in range(200):
            time.sleep(0.01)
            yield i / 100, np.full((32, 32, 3), i, np.uint8)

    worker = threading.Thread(target=live.to_page, args=(pictures(), lambda: "9 frames/s", 0))
    worker.start()
    while "http" not in (said := capsys.readouterr().out):
        time.sleep(0.01)
    address = said.split()[1]
    assert address.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(address) as page:
        assert b"/video" in page.read()
    with urllib.request.urlopen(f"{address}/told") as told:
        assert told.read() == b"9 frames/s"
    with urllib.request.urlopen(f"{address}/video") as shown:
        start = shown.read(200)
    assert b"image/jpeg" in start and b"\xff\xd8" in start
    worker.join()


@pytest.mark.parametrize("settings", [{}, {"source": "0"}, {"source": "99", "with_file": True}])
def test_what_is_missing_is_said(settings, file, tmp_path):
    known = {"person_file": file} if settings.pop("with_file", False) else {}
    with pytest.raises(InputError, match=r"--source|camera 99"):
        live.main(Config(workspace=tmp_path, device="cpu", **known, **settings))


def test_a_video_plays_in_its_own_time(tmp_path):
    source = write_clip(tmp_path / "a.mp4", painted(5)[0], fps=25)
    played, fps = live.open_source(str(source))
    assert fps == 25 and [round(t * 25) for t, _ in islice(played, 5)] == [0, 1, 2, 3, 4]


def test_annotations_of_the_person_are_enough(file, tmp_path):
    person_file.unpack(file, tmp_path / "there")
    stored = Annotations.load(tmp_path / "there" / "data" / "source" / "annotations" / "train_annotations.npz")
    assert np.array_equal(stored.keypoints, annotations(painted(16)[1]).keypoints)
