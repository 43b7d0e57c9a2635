"""The background plate of a dancer drawn over a known room."""

import cv2
import numpy as np
import pytest
from stick_figure import Camera, figure, keypoints, stroll

from data import background
from data.captions import without_captions
from data.masked import fill
from data.person_mask import hold, person_mask
from data.rooms import room_picture, same_room
from pose_detector import skeleton

SIZE = (256, 144)


def room():
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    picture = np.stack([90 + x / 3, 120 + y / 3, 200 - x / 4], -1)
    picture[100:] -= 60
    picture[30:60, 40:70] = (200, 60, 60)
    return picture.astype(np.uint8)


def person(frame, pose):
    """A frame with a thick dark figure on it: limbs, head, hands and feet beyond the joints."""
    frame = frame.copy()
    size = float(skeleton.body_size(pose))
    for a, b in skeleton.LIMBS[:13]:
        p, q = (tuple(np.rint(pose[j, :2]).astype(int).tolist()) for j in (a, b))
        cv2.line(frame, p, q, (30, 20, 40), max(2, round(0.25 * size)))
    for joint, radius in ((0, 0.3), (4, 0.2), (7, 0.2), (10, 0.2), (13, 0.2)):
        centre = tuple(np.rint(pose[joint, :2]).astype(int).tolist())
        cv2.circle(frame, centre, round(radius * size), (240, 220, 30), -1)
    return frame


def clip(places, noise=3.0):
    poses = keypoints(figure(places), Camera(focal=1.2, size=SIZE))
    rng = np.random.default_rng(0)
    frames = [person(room(), pose) for pose in poses]
    noisy = [np.clip(f + rng.normal(0, noise, f.shape), 0, 255).astype(np.uint8) for f in frames]
    return noisy, poses


def test_no_ghost_of_a_walking_dancer():
    frames, poses = clip(stroll(60, 1.2, 0.3))
    plate, unseen = background.background_plate(frames, poses)
    assert plate.shape == (144, 256, 3) and plate.dtype == np.uint8
    assert unseen.mean() < 0.01
    difference = np.abs(plate.astype(int) - room())[~unseen]
    assert difference.max() <= 12 and difference.mean() < 1.5
    plain = np.median(frames, 0)
    assert np.abs(plain - room()).max() > 50, "the test must be one that a plain median fails"


def test_a_camera_that_adjusts_itself_leaves_no_seam():
    poses = keypoints(figure(np.repeat([[-0.6, 0.0], [0.6, 0.0]], 20, 0)), Camera(focal=1.2, size=SIZE))
    rng = np.random.default_rng(0)
    frames = []
    for i, pose in enumerate(poses):
        bright = (1.0 if i < 20 else 1.12) * rng.uniform(0.98, 1.02)
        frames.append(np.clip(person(room(), pose) * bright + 0.5, 0, 255).astype(np.uint8))
    plate, unseen = background.background_plate(frames, poses)
    ratio = plate[~unseen] / room()[~unseen]
    assert not unseen.any() and np.percentile(ratio, 99) / np.percentile(ratio, 1) < 1.05


def test_a_dancer_who_stands_still_is_filled_smoothly():
    frames, poses = clip(np.zeros((20, 2)))
    plate, unseen = background.background_plate(frames, poses)
    assert 0.03 < unseen.mean() < 0.3
    assert np.abs(plate.astype(int) - room())[~unseen].mean() < 3
    # Neither the dark clothes nor the yellow head are in the fill.
    assert plate[unseen].min(0)[2] > 60
    assert np.abs(plate.astype(int) - room())[unseen].mean() < 30


def test_a_shadow_beside_a_dancer_who_keeps_to_one_place_stays_out():
    poses = keypoints(figure(stroll(40, 0.03, 0.0)), Camera(focal=1.2, size=SIZE))
    rng = np.random.default_rng(0)
    frames = []
    for pose in poses:
        shadow = person(np.full((SIZE[1], SIZE[0], 3), 255, np.uint8), pose).min(-1) < 255
        reach = int(rng.integers(5, 12))
        shadow = cv2.dilate(shadow.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
        frame = person(np.where(shadow[..., None] > 0, room() * 0.8, room()).astype(np.uint8), pose)
        frames.append(np.clip(frame + rng.normal(0, 2, frame.shape), 0, 255).astype(np.uint8))
    plate, unseen = background.background_plate(frames, poses)
    assert 0.03 < unseen.mean() < 0.3
    assert np.percentile((room() - plate.astype(int))[~unseen], 99.8) < 8


def test_missing_detections_do_not_let_the_dancer_in():
    frames, poses = clip(stroll(60, 1.2, 0.3))
    poses[10:13] = 0
    poses[30:40, [3, 4, 9, 10]] = 0
    plate, unseen = background.background_plate(frames, hold(poses, 10))
    assert np.abs(plate.astype(int) - room())[~unseen].max() <= 14


def test_empty_frames_show_everything():
    frames, poses = clip(np.zeros((20, 2)))
    frames[:4] = [room()] * 4
    poses[:4] = 0
    plate, unseen = background.background_plate(frames, poses)
    assert not unseen.any()
    assert np.abs(plate.astype(int) - room()).max() <= 8


def test_bystanders():
    """One who walks by leaves nothing; one who never moves belongs to the room."""
    frames, poses = clip(stroll(60, 0.5, 0.2) - np.array([0.8, 0]))
    others_poses = keypoints(figure(stroll(60, 0.5, 0.2, seed=4) + np.array([1.2, 0])), Camera(focal=1.2, size=SIZE))
    both = [person(f, p) for f, p in zip(frames, others_poses, strict=True)]
    plate, unseen = background.background_plate(both, poses, list(others_poses[:, None]))
    right = np.s_[:, 150:]
    assert np.abs(plate.astype(int) - room())[right][~unseen[right]].mean() < 4
    still = np.repeat(others_poses[:1], 60, 0)
    both = [person(f, p) for f, p in zip(frames, still, strict=True)]
    plate, _ = background.background_plate(both, poses, list(still[:, None]))
    want = person(room(), still[0])
    assert np.abs(plate.astype(int) - want)[right].mean() < 4


def test_a_bystander_in_the_colour_of_the_wall_is_not_taken_for_light():
    frames, poses = clip(stroll(60, 0.5, 0.2) - np.array([0.8, 0]))
    guest = keypoints(figure(np.array([[1.2, 0.0]])), Camera(focal=1.2, size=SIZE))
    covered = person_mask(guest[0], SIZE, grow=0.8)
    others = [guest if i % 5 < 2 else guest[:0] for i in range(60)]
    for frame, people in zip(frames, others, strict=True):
        if len(people):
            frame[covered] = np.clip(frame[covered] * 1.2, 0, 255)
    plate, _ = background.background_plate(frames, poses, others)
    assert covered.sum() > 500 and np.abs(plate.astype(int) - room())[covered].mean() < 4


def test_frames_that_show_only_a_part():
    poses = keypoints(figure(stroll(40, 1.2, 0.3)), Camera(focal=1.2, size=SIZE))
    frames, shown = [person(room(), pose) for pose in poses], []
    for i, frame in enumerate(frames):
        part = np.zeros(SIZE[::-1], np.uint8)
        part[:, (SIZE[0] // 3 if i % 8 else 0) :] = 255
        frame[part == 0] = (255, 0, 0)
        shown.append(part)
    plate, unseen = background.background_plate(frames, poses, shown=shown)
    assert np.abs(plate.astype(int) - room()).mean() < 4, "what a few frames show is seen"
    assert not unseen[:, : SIZE[0] // 4].any()


@pytest.fixture
def decided_small(monkeypatch):
    """Frames are twice as large as those by which it is decided what the room looks like."""
    monkeypatch.setattr(background, "_COARSE", SIZE[1] // 2)


def test_large_frames_keep_their_own_pixels(decided_small):
    """What is decided in small is taken from the frames: not a trace of the dancer, and all of the finest detail."""
    poses = keypoints(figure(stroll(60, 1.2, 0.3)), Camera(focal=1.2, size=SIZE))
    rng = np.random.default_rng(0)
    wall = np.clip(room() + rng.normal(0, 12, (*SIZE[::-1], 1)), 0, 255).astype(np.uint8)
    frames = []
    for i, pose in enumerate(poses):
        bright = 1 + 0.06 * np.sin(i)  # a camera that adjusts itself
        noisy = person(wall, pose) * bright + rng.normal(0, 2, wall.shape)
        frames.append(np.clip(noisy, 0, 255).astype(np.uint8))
    plate, unseen = background.background_plate(frames, poses)
    assert plate.shape == wall.shape and unseen.shape == wall.shape[:2] and unseen.mean() < 0.01
    difference = np.abs(plate.astype(int) - wall)[~unseen]
    assert difference.mean() < 2 and np.percentile(difference, 99.9) < 14
    detail = [cv2.Laplacian(p, cv2.CV_32F)[~unseen].std() for p in (plate, wall)]
    assert 0.95 < detail[0] / detail[1] < 1.1


def test_large_frames_without_captions(decided_small):
    frames, poses = clip(stroll(60, 1.2, 0.3))
    without, _ = background.background_plate(frames, poses)
    plate, _ = background.background_plate(captioned(frames, ["ONE", "ONE", "", "ONE"]), poses)
    assert (np.abs(plate.astype(int) - without).max(axis=-1) > 30).sum() <= 6


def test_large_frames_that_show_only_a_part(decided_small):
    """What a frame does not show is not mixed into the pixels beside it."""
    poses = np.zeros((12, 18, 3), np.float32)
    frames, shown = [room() for _ in poses], []
    for i, frame in enumerate(frames):
        part = np.full(SIZE[::-1], 255, np.uint8)
        part[:, : 61 + 2 * (i % 3)] = 0 if i % 4 else 255
        frame[part == 0] = frame[part == 0] + 3  # nearly alike, and yet not the room
        shown.append(part)
    plate, unseen = background.background_plate(frames, poses, shown=shown)
    assert not unseen.any() and np.abs(plate.astype(int) - room()).max() <= 1


def test_as_many_frames_as_are_needed():
    weights = np.full((20, 4, 4), 255, np.uint8)
    assert len(background._needed(weights)) == 4
    weights[:, :, 2:] = 0
    weights[7, :, 2:] = 255  # only one frame shows this side
    assert 7 in background._needed(weights) and len(background._needed(weights)) == 4
    assert background._needed(np.zeros_like(weights)) == []


def test_single_frame_and_nobody():
    plate, unseen = background.background_plate([room()] * 3, np.zeros((3, 18, 3), np.float32))
    assert np.array_equal(plate, room()) and not unseen.any()
    with pytest.raises(ValueError, match="keypoints"):
        background.background_plate([room()], np.zeros((2, 18, 3), np.float32))


def test_hold_takes_the_nearest():
    poses = np.zeros((10, 18, 3), np.float32)
    poses[2, 5] = (20, 1, 1)
    poses[8, 5] = (80, 1, 1)
    held = hold(poses, 3)
    assert held[[0, 1, 2, 3, 4, 6, 7, 8, 9], 5, 0].tolist() == [20] * 5 + [80] * 4
    assert not held[:, 4].any()
    assert hold(poses, 1)[:, 5, 0].tolist() == [0, 20, 20, 20, 0, 0, 0, 80, 80, 80]


def test_samples_are_spread_and_bounded():
    assert background.sample_indices(2, SIZE).tolist() == [0, 1]
    assert background.sample_indices(60, SIZE).tolist() == list(range(60))
    many = background.sample_indices(20_000, SIZE)
    assert len(many) == background.MAX_SAMPLES and many[0] == 0 and many[-1] == 19_999
    assert len(background.sample_indices(20_000, (3840, 2160))) * 3840 * 2160 * 3 < 1.1e9


def test_fill_reproduces_a_slope():
    y, x = np.mgrid[:64, :96]
    picture = np.stack([50 + 2 * x, 40 + y, np.full(x.shape, 77)], -1).astype(np.uint8)
    hole = np.zeros(x.shape, bool)
    hole[20:40, 30:60] = True
    broken = picture.copy()
    broken[hole] = 255
    result = fill(broken, hole)
    assert np.array_equal(result[~hole], picture[~hole])
    assert np.abs(result.astype(int) - picture)[hole].mean() < 8
    assert (fill(broken, np.ones_like(hole)) == 128).all()


def test_a_shadow_that_lies_there_most_of_the_time_is_lifted():
    frames, poses = clip(stroll(60, 1.2, 0.3))
    dark = slice(108, 116), slice(100, 140)
    for i, frame in enumerate(frames):
        if i % 10 < 7:
            frame[dark] = frame[dark] * 0.75
    plate, _ = background.background_plate(frames, poses)
    assert np.median(np.abs(plate[dark].astype(int) - room()[dark])) <= 6
    rest = np.ones(plate.shape[:2], bool)
    rest[104:120, 96:144] = False
    assert np.abs(plate.astype(int) - room())[rest].mean() < 1.5


def test_what_is_brighter_at_times_and_of_another_colour_is_not_the_room():
    middle = np.array([[100, 100, 100], [100, 100, 100], [100, 100, 100]], np.uint8)
    bright = np.array([[140, 140, 140], [140, 110, 100], [103, 103, 103]], np.uint8)
    assert background.without_shadow(middle, bright, 6.0).tolist() == [[140] * 3, [100] * 3, [100] * 3]


def a_room(seed=0, level=1.0):
    """Frames of one textured room with noise, under some light."""
    rng = np.random.default_rng(seed)
    walls = cv2.resize(rng.uniform(40, 200, (6, 8, 3)).astype(np.float32), (256, 144), interpolation=cv2.INTER_CUBIC)
    return [np.clip(walls * level + rng.normal(0, 4, walls.shape), 0, 255).astype(np.uint8) for _ in range(8)]


def picture_of(frames, somebody=None):
    people = np.zeros((0, 18, 3), np.float32) if somebody is None else somebody[None]
    return room_picture(frames, [people] * len(frames))


def test_a_room_is_known_again_in_other_light_and_with_somebody_in_it():
    person = np.zeros((18, 3), np.float32)
    person[[1, 2, 5, 8, 11]] = [(128, 40, 1), (118, 42, 1), (138, 42, 1), (120, 80, 1), (136, 80, 1)]
    first, later = a_room(), a_room(level=0.85)
    for frame in later:
        cv2.rectangle(frame, (116, 36), (140, 84), (250, 20, 20), -1)
    assert same_room(picture_of(first), picture_of(later, person))
    assert picture_of(later, person)[..., 3].mean() < 255 and picture_of(first).shape == (54, 96, 4)


def test_other_rooms_other_cameras_and_bare_walls_are_not():
    room = picture_of(a_room())
    assert not same_room(room, picture_of(a_room(1)))
    moved = [np.ascontiguousarray(np.roll(frame, 24, axis=1)) for frame in a_room()]
    assert not same_room(room, picture_of(moved))
    wall = [np.full((144, 256, 3), 180, np.uint8)] * 4
    assert not same_room(picture_of(wall), picture_of(wall)), "a wall tells nothing of the camera"
    assert not same_room(room, room[:, :50])


def captioned(frames, words):
    """The frames, each with one of the words on it, or none; all the words as long, in the same place."""
    result = [frame.copy() for frame in frames]
    for i, frame in enumerate(result):
        word = words[i * len(words) // len(frames)]
        cv2.putText(frame, word, (120, 132), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (250, 250, 250), 2, cv2.LINE_AA)
    return result


@pytest.mark.parametrize("words", [["ONE", "ONE", "", "ONE"], ["1 CAT", "", "2 DOG", ""]])
def test_captions_that_change_do_not_stay(words):
    frames, poses = clip(stroll(60, 1.2, 0.3))
    without, _ = background.background_plate(frames, poses)
    plate, _ = background.background_plate(captioned(frames, words), poses)
    assert (np.abs(plate.astype(int) - without).max(axis=-1) > 30).sum() <= 6
    assert np.abs(plate.astype(int) - without).mean() < 0.3


def test_a_watermark_stays():
    frames, poses = clip(stroll(60, 1.2, 0.3))
    plate, _ = background.background_plate(captioned(frames, ["MARK"]), poses)
    letters = captioned([room()], ["MARK"])[0] > 240
    assert np.median(plate[letters]) > 240


@pytest.mark.parametrize(("gone", "removed"), [((112, 131, 141), True), ((150, 125, 95), False)])
def test_a_pattern_that_a_shadow_falls_on_is_no_caption(gone, removed):
    """Bright tiles have two values where a shadow comes and goes; only writing leaves the room around it behind."""
    plate = np.full((120, 200, 3), (110, 130, 140), np.uint8)
    low, high = np.zeros((2, *plate.shape), np.uint8)
    two = np.zeros(plate.shape[:2], bool)
    for x in range(30, 160, 10):
        tile = np.s_[60:64, x : x + 4]
        plate[tile], low[tile], high[tile], two[tile] = 235, gone, 235, True
    result, written = without_captions(plate, np.ones_like(two), two, low, high)
    assert np.array_equal(result[two], low[two] if removed else plate[two])
    assert (written & two).any() == removed


def test_a_plant_in_the_wind_and_a_door_stay_whole():
    """What moves to and fro is no caption: each pixel keeps what it mostly shows."""
    frames, poses = clip(stroll(60, 1.2, 0.3))
    for i, frame in enumerate(frames):
        frame[20:90, 200:240] = (220, 220, 210) if i < 40 else (60, 40, 30)
    plate, _ = background.background_plate(frames, poses)
    assert np.abs(plate[22:88, 202:238].astype(int) - (220, 220, 210)).max() <= 12
