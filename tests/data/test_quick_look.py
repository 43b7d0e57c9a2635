"""The look before the steps: some frames, the dancer in them, and what all will take."""

import json
from dataclasses import replace

import numpy as np
import pytest
from clip_maker import write_clip
from looks import OneOf, StubLooker

from data import quick_look as module
from data import video
from data.quick_look import follow_sparsely, poster, quick_look
from main import estimate, look, studio
from main.config import Config
from main.estimate import Speeds, disk, table
from pose_detector.errors import InputError
from pose_detector.tracking import Track, choose_at

SIZE = (160, 96)


def standing(x, height=60.0, confidence=0.9):
    """(18, 3) somebody at x, seen from the front; only the rough shape matters."""
    y = np.array([0, 10, 12, 22, 32, 12, 22, 32, 32, 46, 60, 32, 46, 60, -1, -1, -1, -1]) * height / 60 + 25
    side = np.array([0, 0, -6, -8, -9, 6, 8, 9, -4, -4, -4, 4, 4, 4, -1, 1, -2, 2])
    return np.column_stack([x + side, y, np.full(18, confidence)]).astype(np.float32)


def test_frames_are_spread_over_the_video(tmp_path):
    frames = [np.full((96, 160, 3), 10 + i, np.uint8) for i in range(200)]
    long = write_clip(tmp_path / "long.mp4", frames, options={"g": "10"})
    some = video.sample_frames(long, 20)
    assert 18 <= len(some) <= 20
    times = np.array([time for time, _ in some])
    assert (np.diff(times) > 0.05).all() and np.diff(times).max() < 0.9 and times[-1] > 7
    levels = np.array([frame.mean() for _, frame in some])
    assert np.abs(levels - (10 + 25 * times)).max() < 3, "pictures belong to other times"
    short = write_clip(tmp_path / "short.mp4", frames[:50], options={"g": "250"})
    assert len(video.sample_frames(short, 20, (80, 48))) == 20
    assert video.sample_frames(short, 20, (80, 48))[3][1].shape == (48, 80, 3)
    assert len(video.sample_frames(write_clip(tmp_path / "two.mp4", frames[:2]), 20)) == 2


def test_the_dancer_is_the_one_with_the_highest_score_or_the_one_named():
    people = [np.stack([standing(30, 40), standing(80 + 3 * i), standing(130, 60, 0.3)]) for i in range(5)]
    times = np.arange(5.0)
    assert follow_sparsely(people, times, SIZE) == [1] * 5
    assert follow_sparsely(people, times, SIZE, person=0) == [0] * 5
    assert follow_sparsely(people, times, SIZE, place=(2.2, 0.82, 0.5)) == [2] * 5
    swapped = [everybody[::-1] if i % 2 else everybody for i, everybody in enumerate(people)]
    assert follow_sparsely(swapped, times, SIZE, place=(0.0, 0.2, 0.5)) == [0, 2, 0, 2, 0]
    assert follow_sparsely([np.zeros((0, 18, 3))] * 3, times[:3], SIZE, person=1) == [-1] * 3


def test_step_1_follows_the_one_who_was_clicked_on():
    tracks = [Track(np.zeros((10, 18, 3), np.float32)) for _ in range(2)]
    tracks[0].keypoints[:] = standing(30)
    tracks[1].keypoints[4:] = standing(90)
    assert choose_at(tracks, 6, 92, 50) == 1 and choose_at(tracks, 6, 28, 50) == 0
    assert choose_at(tracks, 1, 92, 50) == 0, "nobody else is there at that time"
    with pytest.raises(InputError, match="no person"):
        choose_at([], 0, 1, 1)


@pytest.fixture
def seen(tmp_path):
    """A quick look at a clip with two people, the larger one at the right, and a plant that looks like a third."""
    path = write_clip(tmp_path / "two people.mp4", [np.full((96, 160, 3), 120, np.uint8)] * 50)

    def detector(batches):
        for batch in batches:
            people = np.stack([standing(40, 30), standing(110), standing(145, 40)])
            yield [(people[..., :2], people[..., 2])] * len(batch)

    return quick_look(path, SIZE[0] * SIZE[1], detector, 8, OneOf(standing(40, 30), standing(110)))


def test_a_quick_look_tells_what_step_1_would(seen):
    assert seen.count == 50 and 20 <= len(seen.frames) <= 26
    assert seen.lines[0].startswith(f"two people.mp4: {len(seen.frames)} of about 50 frames, 2 people")
    assert any("2 people" in line for line in seen.lines[1:]), "the plant counts"
    assert {len(people) for people in seen.people} == {2}
    assert np.allclose(seen.dancer[3, 1, :2], standing(110)[1, :2], atol=0.5)
    assert seen.outlines[3, 60, 110] == 255 and not seen.outlines[3, 60, 40]
    assert all(seconds >= 0 for seconds in seen.seconds.values())
    picture = poster(seen)
    assert picture.shape == (96, 160, 3) and picture[60, 5].mean() < 90 < picture[60, 110].mean()


def test_a_click_names_a_person_and_when(seen):
    told = look.describe(seen)
    json.dumps(told)
    time, x, y = studio.place_of(told, studio.nearest(told, 0.3, 0.5))
    assert time == told["time"] and x == pytest.approx(0.25, abs=0.02) and 0.2 < y < 0.8
    box = studio.nearest(told, 0.9, 0.9)
    assert studio.place_of(told, box)[1] == pytest.approx(0.69, abs=0.02)
    picture = studio.framed(np.zeros((96, 160, 3), np.uint8), box)
    assert picture[:, 90:130].any() and not picture[:, :60].any(), "the wrong one is framed"


SPEEDS = Speeds(
    step=0.3, render=0.05, encode=0.01, write=0, load=0, load_texture=0, image=5e4, mask=1e3, encoded=3e3, beside=2e3,
    saved=2e7, fresh=8e6,
)  # fmt: skip


def test_minutes_and_disk_are_those_of_the_whole_video(seen):
    config = Config(max_minutes=2, second_look="bundled")
    seen.seconds.update(decode=0.001, camera=0.0, first=0.02, second=0.01)
    plan = estimate.plan(config, seen, seen, SIZE, SPEEDS)
    seconds = {(step, name): value for step, name, value in plan}
    assert seconds["1 train", "first look"] == pytest.approx(50 * 0.021)
    assert seconds["3", "training"] == 120
    short = {name: value for _, name, value in estimate.plan(replace(config, epochs=2), seen, seen, SIZE, SPEEDS)}
    assert 2 * 12 * 0.3 < short["training"] < 20
    assert {name: value for _, name, value in estimate.plan(replace(config, epochs=0), seen, seen, SIZE, SPEEDS)}[
        "training"
    ] == 0
    trained = {name: value for _, name, value in estimate.plan(config, seen, seen, SIZE, SPEEDS, trained=1.5)}
    assert trained["training"] == pytest.approx(30)
    assert 50 * 0.05 <= seconds["4", "rendering"] <= 60 * 0.05
    bytes_ = disk(config, seen, seen, SIZE, SPEEDS)
    assert bytes_["1 train"] == pytest.approx(50 * 5.1e4, rel=0.02) and bytes_["4"] == 50 * 5e4
    epoch = 11 * 0.3 + 24 * 0.05
    _, epochs = estimate.training_time(config, 50, SPEEDS)
    assert epochs == int(np.ceil(120 / epoch)) and estimate.training_time(config, 50, SPEEDS, 2.0) == (0, 0)
    assert bytes_["3"] == pytest.approx(6 * 2e7 + (epochs + 1) * 5 * 5e4 + 2e6, rel=0.01)
    # Of a short training the checkpoint before it is there still; without one it is all there is.
    assert disk(replace(config, epochs=2), seen, seen, SIZE, SPEEDS)["3"] == pytest.approx(6.8e7 + 2.8e6, rel=0.01)
    assert disk(replace(config, epochs=0), seen, seen, SIZE, SPEEDS)["3"] == 8e6
    lines = table(plan, bytes_)
    assert len(lines) == 7 and "2 minutes" in lines[3] and "129 MB" in lines[3] and lines[-1].startswith("all")


def test_a_clip_without_anybody_is_refused(seen, tmp_path):
    seen.dancer[:] = 0
    with pytest.raises(InputError, match="no person"):
        estimate.small_clips(Config(), seen, SIZE, tmp_path)


def test_measuring_trains_renders_and_encodes(seen):
    """On the untrained networks of the settings; what matters is that every figure is there."""
    torch = pytest.importorskip("torch")
    config = Config(channels=16, stacks=1, detail=8, crop=64, batch_size=1, perceptual="none")
    speeds = estimate.measure(config, torch.device("cpu"), seen, seen, SIZE)
    assert all(value > 0 for value in vars(speeds).values())


def test_the_timer_of_looks_leaves_out_the_first():
    timed = module._Timed(StubLooker(lambda frame: standing(80)))
    frame = np.zeros((96, 160, 3), np.uint8)
    crop = timed.first_crop(standing(80))
    for _ in range(3):
        timed.look(frame, crop)
    assert len(timed.spent) == 3 and timed.first_look_trust == StubLooker.first_look_trust
