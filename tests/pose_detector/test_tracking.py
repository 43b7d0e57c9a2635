"""Who is who over time, on people whose identity is known."""

import numpy as np
import pytest
from maps import STANDING
from motion import dance, seen
from work import work_of

from data.video import probe, read_frames, working_size
from pose_detector.cleaning import clean
from pose_detector.detector import Detector
from pose_detector.errors import InputError
from pose_detector.skeleton import MIRROR
from pose_detector.tracking import Track, choose, choose_of_two, track

FPS = 25.0


def shuffled(people, rng):
    """Detections per frame, in random order, of people (N, 18, 2) with NaN where a person or keypoint is missing."""
    detections = []
    for frame in range(len(people[0])):
        poses = [p[frame] for p in people if not np.isnan(p[frame]).all()]
        poses = [seen(poses[i]) for i in rng.permutation(len(poses))]
        stacked = np.stack(poses) if poses else np.zeros((0, 18, 3), np.float32)
        detections.append((stacked[..., :2], stacked[..., 2]))
    return detections


def walker(frames, start, stop, y=150.0, torso=60.0):
    """Somebody who walks on a straight line from x = start to x = stop in pixels, legs swinging."""
    pose = np.repeat(STANDING[None] * torso, frames, axis=0)
    pose[..., 0] += np.linspace(start, stop, frames)[:, None]
    swing = 0.4 * torso * np.sin(np.arange(frames) * 2 * np.pi / FPS)
    pose[:, [9, 10], 0] += swing[:, None]
    pose[:, [12, 13], 0] -= swing[:, None]
    return pose + np.array([0, y])


def is_person(found, person, pixels=1.0):
    """Whether a track shows this person wherever it shows somebody."""
    there = found.keypoints[..., 2] > 0
    return np.abs(found.keypoints[..., :2] - person)[there].max() < pixels


def test_crossing_people_keep_their_names():
    rng = np.random.default_rng(0)
    left, right = walker(100, 100, 500), walker(100, 480, 120, y=158)
    tracks = track(shuffled([left, right], rng), FPS)
    assert len(tracks) == 2
    assert is_person(tracks[0], left) and is_person(tracks[1], right)
    assert all(t.present.all() for t in tracks)


def test_three_wrong_keypoints_make_no_second_person():
    """Gross errors on a small person in one frame: nobody new appears who then takes turns with them."""
    person = dance(np.random.default_rng(2), 100, FPS, torso=30, neck=(300, 150))
    person[:, 14:] = np.nan
    person[50, [4, 7, 10]] = (40.0, 30.0)
    person[50, [0, 9, 12, 13]] = np.nan
    tracks = track(shuffled([person], np.random.default_rng(0)), FPS)
    assert len(tracks) == 1 and tracks[0].present.all()


def test_dancers_side_by_side():
    rng = np.random.default_rng(1)
    people = [dance(rng, 250, FPS, torso=60, neck=(150 + 250 * n, 120)) for n in range(4)]
    noisy = [p + rng.standard_normal(p.shape) * 1.5 for p in people]
    for person in noisy:
        person[rng.random(person.shape[:2]) < 0.1] = np.nan
    tracks = track(shuffled(noisy, rng), FPS)
    assert len(tracks) == 4
    for found, person in zip(tracks, noisy, strict=True):
        assert is_person(found, person)


@pytest.mark.parametrize("gap", [1, 5, 20, 60])
def test_gaps_do_not_part_a_person(gap):
    rng = np.random.default_rng(2)
    person = walker(200, 200, 260)
    person[100 : 100 + gap] = np.nan
    tracks = track(shuffled([person], rng), FPS)
    assert len(tracks) == 1
    np.testing.assert_array_equal(tracks[0].present, ~np.isnan(person).all(axis=(1, 2)))


def test_leaving_and_somebody_else_coming():
    """Who comes elsewhere, or long afterwards, is another person."""
    rng = np.random.default_rng(3)
    first, second = walker(400, 100, 110), walker(400, 500, 490)
    first[100:] = np.nan
    second[:140] = np.nan
    assert len(track(shuffled([first, second], rng), FPS)) == 2
    for begin, people in ((220, 1), (370, 2)):
        late = walker(400, 100, 110)
        late[:begin] = np.nan
        assert len(track(shuffled([first, late], rng), FPS)) == people


def test_pieces_of_one_person_are_joined():
    rng = np.random.default_rng(4)
    person = walker(60, 200, 230)
    upper, lower = person.copy(), person.copy()
    upper[20:40, 8:14] = np.nan
    lower[:, np.r_[0:8, 14:18]] = np.nan
    lower[:20] = lower[40:] = np.nan
    tracks = track(shuffled([upper, lower], rng), FPS)
    assert len(tracks) == 1
    assert (tracks[0].keypoints[..., 2] > 0).all() and is_person(tracks[0], person)


def test_exchanged_sides_do_not_part_a_person():
    rng = np.random.default_rng(5)
    person = walker(60, 200, 230)
    person[20:30] = person[20:30, MIRROR]
    assert len(track(shuffled([person], rng), FPS)) == 1


def test_ghosts_are_nobody():
    rng = np.random.default_rng(6)
    ghost = np.full((100, 18, 2), np.nan)
    ghost[50:52] = walker(2, 500, 500, torso=30)
    assert len(track(shuffled([walker(100, 200, 220), ghost], rng), FPS)) == 1


def test_the_main_person_is_large_and_stays():
    rng = np.random.default_rng(7)
    small, passing, main = (
        walker(200, 50, 60, torso=25),
        walker(200, 250, 300, torso=70),
        walker(200, 500, 480, torso=60),
    )
    passing[60:] = np.nan
    tracks = track(shuffled([main, small, passing], rng), FPS)
    assert len(tracks) == 3
    assert choose(tracks) == 2
    for number, person in enumerate([small, passing, main]):  # left to right
        assert choose(tracks, number) == number and is_person(tracks[number], person)


@pytest.mark.parametrize("person", [-1, 1, 7])
def test_no_such_person(person):
    tracks = track(shuffled([walker(10, 100, 110)], np.random.default_rng(0)), FPS)
    with pytest.raises(InputError, match=f"no person {person}.* 1 person") as caught:
        choose(tracks, person)
    assert "\n" not in str(caught.value)


def test_nobody_at_all():
    empty = (np.zeros((0, 18, 2), np.float32), np.zeros((0, 18), np.float32))
    assert track([empty] * 5, FPS) == [] and track([], FPS) == []
    for person in (None, 0):
        with pytest.raises(InputError, match="no person was found"):
            choose([], person)


def test_one_frame():
    (found,) = track(shuffled([walker(1, 100, 100)], np.random.default_rng(0)), FPS)
    assert found.keypoints.shape == (1, 18, 3)
    np.testing.assert_allclose(found.keypoints[..., :2], walker(1, 100, 100), atol=1e-3)


def test_work_grows_with_the_length_of_the_video_and_not_faster():
    rng = np.random.default_rng(8)
    person = dance(rng, 400, FPS)
    detections = shuffled([person + rng.standard_normal(person.shape)], rng)
    half, whole = (
        np.array(work_of(lambda n=n: clean(track(detections[:n], FPS)[0].keypoints, FPS))) for n in (200, 400)
    )
    assert (whole < 2.5 * half).all()


def test_what_is_found_with_little_confidence_takes_nobodys_place():
    """Tall furniture taken for somebody in every frame is not the dancer, nor is a doubtful echo beside them."""
    person = walker(100, 100, 300)
    furniture = np.repeat(STANDING[None] * 90 + np.array([500, 150]), 100, axis=0)
    person[50] += (15, 0)  # the echo is nearer to where the dancer is expected
    detections = []
    for frame in range(100):
        people = [(furniture[frame], 0.2), (person[frame], 0.7)]
        if frame in (49, 50):
            people.insert(0, (person[frame] - (15, 0), 0.2))
        detections.append((np.stack([p for p, _ in people]), np.stack([np.full(18, c) for _, c in people])))
    tracks = track(detections, FPS)
    chosen = tracks[choose(tracks)]
    assert chosen.present.all() and is_person(chosen, person)


def real_detections(clip, weights, every):
    """What the ONNX network sees in every so manieth frame of a clip; frames a second of these, and their width."""
    info = probe(clip)
    size = working_size(info.width, info.height)
    detector = Detector.load(str(weights))
    frames = (frame for i, _, frame in read_frames(clip, size) if i % every == 0)
    return [people for frame in frames for people in detector([frame])], float(info.fps) / every, size[0]


def middles(found):
    """Median x of a track in the frames that show it."""
    return np.array([np.median(k[k[:, 2] > 0, 0]) for k in found.keypoints[found.present]])


@pytest.mark.slow
def test_three_people_stay_three(shared):
    """They stand side by side all the time, so that the place tells who it is."""
    weights = shared("weights/mobilenet_v2_dm14_368x432.onnx")
    detections, fps, width = real_detections(shared("clips/three_people.avi"), weights, every=3)
    tracks = track(detections, fps)
    assert len(tracks) == 3
    for number, (low, high) in enumerate(((0.2, 0.3), (0.44, 0.54), (0.62, 0.76))):
        found = tracks[choose(tracks, number)]
        assert low * width < middles(found).min() and middles(found).max() < high * width
        cleaned = clean(found.keypoints, fps)
        x, seen = cleaned.keypoints[..., 0], cleaned.keypoints[..., 2] > 0
        limits = ((low - 0.12) * width, (high + 0.12) * width)  # with arms stretched out
        assert (x[seen] > limits[0]).all() and (x[seen] < limits[1]).all()
    assert choose(tracks) == 1 and tracks[1].present.mean() > 0.98  # the one in front


@pytest.mark.slow
def test_who_is_gone_is_marked_as_gone(shared):
    """Somebody walks through the picture from right to left while another one stands, and then is gone."""
    weights = shared("weights/mobilenet_v2_dm14_368x432.onnx")
    detections, fps, width = real_detections(shared("clips/enter_and_leave.mp4"), weights, every=3)
    tracks = track(detections, fps)
    found = tracks[choose(tracks)]
    times = np.arange(len(detections)) / fps
    inside = (times > 1.5) & (times < 6.5)
    assert found.present[inside].mean() > 0.95 and not found.present[(times < 1.2) | (times > 6.8)].any()
    assert found.present.sum() == max(t.present.sum() for t in tracks)
    x = middles(found)
    assert x[0] > 0.8 * width and x[-1] < 0.1 * width and np.diff(x).max() < 0.03 * width
    cleaned = clean(found.keypoints, fps)
    assert not (cleaned.keypoints[(times < 1.2) | (times > 6.8), :, 2] > 0).any()


def test_the_two_dancers_are_the_surest_two_from_left_to_right():
    def standing(confidence):
        keypoints = np.zeros((4, 18, 3), np.float32)
        keypoints[..., :2], keypoints[..., 2] = np.arange(36).reshape(18, 2), confidence
        return Track(keypoints)

    tracks = [standing(c) for c in (0.8, 0.1, 0.9, 0.2)]
    assert [choose_of_two(tracks, i) for i in (0, 1)] == [0, 2]
    with pytest.raises(InputError, match="dance of two"):
        choose_of_two(tracks[:1], 0)
