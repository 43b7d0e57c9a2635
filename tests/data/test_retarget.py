"""Normalisation: identity, invariances, degenerate cases, and truth from a stick figure before known cameras."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d
from stick_figure import Camera, figure, keypoints, stroll
from work import work_of

from data.retarget import PoseSequence, normalise
from data.retarget.compare import bone_ratios, same_person_and_camera
from data.retarget.denoise import denoise
from data.retarget.measure import measure
from pose_detector.errors import InputError
from pose_detector.skeleton import ANKLES, MIRROR, NOSE

SIZE = (512, 288)


DANCE_SIZE = (320, 512)


def sequence(keypoints, fps=25.0, size=SIZE):
    return PoseSequence(keypoints, np.zeros(keypoints.shape[:2], bool), fps, size)


def onto(dance, target, size=SIZE, dance_size=DANCE_SIZE, fps=25.0, filled=None, method="limbs"):
    dance = sequence(dance, fps, dance_size)
    dance = dance if filled is None else replace(dance, filled=filled)
    return normalise(dance, sequence(target, 25.0, size), method)


def error(result, truth, tall):
    """Mean keypoint error in shares of the person's height; tall in pixels."""
    return float(np.linalg.norm(result[..., :2] - truth[..., :2], axis=-1).mean() / tall)


@pytest.fixture(scope="module")
def target():
    return keypoints(figure(stroll(300, seed=1)), Camera())


@pytest.fixture(scope="module")
def dance():
    camera = Camera(height=1.0, distance=5.0, focal=1.6, size=DANCE_SIZE)
    return keypoints(figure(stroll(240, 0.5, 0.4, seed=2), tall=1.5, phase=1.0), camera)


@pytest.mark.parametrize("method", ["limbs", "global"])
def test_identity_pair(target, method):
    result, report = onto(target, target, dance_size=SIZE, method=method)
    assert np.abs(result - target).max() < 1e-3
    assert report.travel_gain == 1 and np.allclose(report.scale, 1)
    still = keypoints(figure(np.zeros((80, 2))), Camera())
    assert np.abs(onto(still, still, dance_size=SIZE, method=method)[0] - still).max() < 1e-3


def test_who_drives_themselves_stays_as_they_are():
    """The rest of a video onto its first part, less its jitter; but another place or size is not taken for the same."""
    rng = np.random.default_rng(0)
    clip = keypoints(figure(stroll(400, seed=1)), Camera())
    truth = clip[300:].copy()
    clip[..., :2] += rng.normal(0, 0.5, (400, 18, 2))  # a good detector's: nothing is to be done
    result, report = onto(clip[300:], clip[:300], dance_size=SIZE)
    assert report.unchanged and np.abs(result - clip[300:]).max() < 0.5
    clip[..., :2] += rng.normal(0, 3.0, (400, 18, 2))
    result, report = onto(clip[300:], clip[:300], dance_size=SIZE)
    assert report.unchanged and np.abs(result - clip[300:]).max() < 12
    assert error(result, truth, 1) < 0.7 * error(clip[300:], truth, 1)  # only less jitter
    for other in (
        keypoints(figure(stroll(100, seed=1), tall=1.9), Camera()),
        keypoints(figure(stroll(100, seed=1)), Camera(height=1.0)),
        clip[300:] + np.float32([240, 0, 0]),
    ):
        result, report = onto(other, clip[:300], dance_size=SIZE)
        assert not report.unchanged


def test_steps_nearer_are_not_the_same_camera():
    """Before a low camera they are few pixels of floor, and a double has just the size to be expected there."""
    clip = keypoints(figure(stroll(300, seed=1)), Camera(height=1.0, distance=7.0, focal=1.6))
    target = replace(measure(sequence(clip)), log_std=np.full(10, 0.2))  # bones as in a noisy video

    def nearer(steps):
        distance = target.distance - steps
        foot = target.view.project(np.zeros((len(clip), 1, 2)), distance)[:, 0, 1]
        filtered = target.view.project(target.view.lift(target.filtered, target.distance), distance)
        return replace(target, filtered=filtered, floor=foot, distance=distance)

    assert same_person_and_camera(nearer(0.0), target) and same_person_and_camera(nearer(1.1), target)
    assert not same_person_and_camera(nearer(1.5), target)


@settings(max_examples=8)
@given(
    scale=st.floats(0.3, 4.0),
    shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
    mirrored=st.booleans(),
    method=st.sampled_from(["limbs", "global"]),
)
def test_scaling_shifting_and_mirroring_the_dance_change_nothing(dance, target, scale, shift, mirrored, method):
    want, _ = onto(dance, target, method=method)
    moved = dance.astype(np.float64)
    moved[..., :2] = moved[..., :2] * scale + shift
    goal = target
    if mirrored:
        # Both are mirrored: then so is the result.
        moved = moved[:, MIRROR]
        moved[..., 0] *= -1
        goal = target[:, MIRROR].copy()
        goal[..., 0] = SIZE[0] - 1 - goal[..., 0]
        want = want[:, MIRROR].copy()
        want[..., 0] = SIZE[0] - 1 - want[..., 0]
    size = (DANCE_SIZE[0] * scale, DANCE_SIZE[1] * scale)
    assert np.abs(onto(moved.astype(np.float32), goal, dance_size=size, method=method)[0] - want).max() < 0.05


@settings(max_examples=8)
@given(scale=st.floats(0.5, 3.0), shift=st.tuples(st.floats(-200, 200), st.floats(-200, 200)))
def test_scaling_and_shifting_the_target_does_the_same_to_the_result(dance, target, scale, shift):
    # Far from the picture's edges, which squeeze travel.
    want, report = onto(dance, target)
    assert report.travel_gain == 1
    goal = target.astype(np.float64)
    goal[..., :2] = goal[..., :2] * scale + np.array(shift) * 0.1
    size = (SIZE[0] * scale, SIZE[1] * scale)
    result, report = onto(dance, goal.astype(np.float32), size)
    assume(report.travel_gain == 1)
    assert np.abs(result[..., :2] - (want[..., :2] * scale + np.array(shift) * 0.1)).max() < 0.05


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000), share=st.floats(0.05, 0.4))
def test_missing_stays_missing_and_moves_little(dance, target, seed, share):
    want, _ = onto(dance, target)
    holes = np.random.default_rng(seed).random(dance.shape[:2]) < share
    holed = dance.copy()
    holed[holes] = 0
    result, _ = onto(holed, target)
    assert result.dtype == np.float32 and result.shape == dance.shape
    assert (result[holes] == 0).all()
    assert np.array_equal(result[..., 2], holed[..., 2])
    assert np.linalg.norm((result - want)[~holes][:, :2], axis=-1).mean() < 3.0


@pytest.mark.parametrize("method, bound", [("limbs", 0.04), ("global", 0.09)])
@pytest.mark.parametrize("height", [0.6, 2.2])
@pytest.mark.parametrize("tall", [1.2, 1.9])
def test_truth_of_another_body_and_camera(target, height, tall, method, bound):
    """The target doing the same steps, in body heights, before its own camera."""
    rng = np.random.default_rng(0)
    places = stroll(300, 0.7, 0.5, seed=3)
    camera = Camera(height=height, distance=6.0, focal=1.5, size=(640, 640))
    source = keypoints(figure(places * tall / 1.7, tall=tall), camera)
    source[..., :2] += rng.normal(0, 1.0, (300, 18, 2))
    truth = keypoints(figure(places), Camera())
    result, _ = onto(source, target, dance_size=camera.size, method=method)
    pixels = np.median(truth[:, list(ANKLES), 1].mean(1) - truth[:, NOSE, 1])
    assert error(result, truth, pixels) < bound
    # Size alone, the place apart: the torso's length is right within a few per cent.
    length = np.linalg.norm(result[:, 1, :2] - (result[:, 8, :2] + result[:, 11, :2]) / 2, axis=-1)
    want = np.linalg.norm(truth[:, 1, :2] - (truth[:, 8, :2] + truth[:, 11, :2]) / 2, axis=-1)
    assert abs(np.median(length / want) - 1) < 0.05


def test_the_height_of_the_camera_is_found_from_a_walk():
    for height in (0.6, 1.3, 2.2):
        walk = figure(stroll(300, 0.7, 0.5, seed=3), squat=np.full(300, 0.4))
        clip = keypoints(walk, Camera(height, 6.0, 1.2, (512, 512)))
        found = measure(sequence(clip, size=(512, 512))).view.height * 1.7
        assert found == pytest.approx(height - 0.045 * 1.7, rel=0.15)  # the floor is seen at the ankles


def test_a_camera_high_up_is_known_by_knees_ahead():
    """Nobody moves in depth: only how long thighs and shins look tells how steeply the camera looks down."""
    still = figure(np.zeros((100, 2)), squat=np.full(100, 0.4))
    steep = []
    for height in (0.5, 1.5, 2.5):
        clip = keypoints(still, Camera(height, 3.0, 1.0, (512, 512)))
        steep.append(measure(sequence(clip, size=(512, 512))).view.pitch)
    assert np.diff(steep).min() > 0.1 and np.ptp(steep) > 0.3


def test_a_turn_changes_no_size(target):
    """Before a camera high up, knees ahead look lower, and higher on who has turned away."""
    places, camera = stroll(250, 0.3, 0.2, seed=2), Camera(2.4, 3.5, 1.0, (512, 512))
    straight = figure(places, squat=np.full(250, 0.5))
    angle = np.clip(np.arange(250) / 40 - 2, 0, 2) * np.pi
    turned, middle = straight.copy(), np.stack([places[:, 0], 0 * angle, places[:, 1]], -1)[:, None]
    off, cos, sin = straight - middle, np.cos(angle)[:, None], np.sin(angle)[:, None]
    turned[..., 0] = middle[..., 0] + cos * off[..., 0] + sin * off[..., 2]
    turned[..., 2] = middle[..., 2] - sin * off[..., 0] + cos * off[..., 2]
    ratios = [
        bone_ratios(
            *(measure(sequence(k, size=size)) for k, size in ((keypoints(w, camera), camera.size), (target, SIZE)))
        )
        for w in (straight, turned)
    ]
    assert all(ratios[1][kind] == pytest.approx(ratios[0][kind], rel=0.05) for kind in ("torso", "thigh", "shin"))


def test_bones_get_the_lengths_of_the_target(dance, target):
    """A dancer with long arms and short legs becomes a target of usual build."""
    odd = figure(stroll(240, 0.5, 0.4, seed=2), tall=1.5, phase=1.0)
    usual = odd.copy()
    for s, e, w in ((2, 3, 4), (5, 6, 7)):
        for joint, before in ((e, s), (w, e)):
            odd[:, joint] = odd[:, before] + 1.25 * (usual[:, joint] - usual[:, before])
    camera = Camera(height=1.0, distance=5.0, focal=1.6, size=DANCE_SIZE)
    want, _ = onto(keypoints(usual, camera), target)
    result, _ = onto(keypoints(odd, camera), target)
    plain, _ = onto(keypoints(odd, camera), target, method="global")
    arms = lambda k: np.linalg.norm(k[:, 4, :2] - k[:, 3, :2], axis=-1).mean()  # noqa: E731
    assert arms(result) == pytest.approx(arms(want), rel=0.06)
    assert arms(plain) > 1.15 * arms(want)


def test_jitter_does_not_pass_for_size(dance, target):
    rng = np.random.default_rng(6)
    shaky = dance.copy()
    shaky[..., :2] += rng.normal(0, 3, shaky[..., :2].shape)
    want, _ = onto(dance, target)
    result, _ = onto(shaky, target)
    neck_to_ankle = [np.median(k[:, 10, 1] - k[:, 1, 1]) for k in (result, want)]
    assert neck_to_ankle[0] == pytest.approx(neck_to_ankle[1], rel=0.04)


def test_the_same_jitter_on_a_small_and_a_large_person_changes_no_size():
    """A target of 70 pixels for a dance of 200: her bones of a few pixels must not pass for long ones."""
    rng = np.random.default_rng(3)
    places = stroll(300, 0.4, 0.3, seed=3)
    near, far = Camera(1.2, 5.0, 2.0, (384, 384)), Camera(1.2, 6.0, 0.8, (384, 384))
    source, goal = keypoints(figure(places), near), keypoints(figure(stroll(300, seed=1)), far)
    truth = keypoints(figure(places), far)
    for clip in (source, goal):
        clip[..., :2] += gaussian_filter1d(rng.normal(0, 5.5, clip[..., :2].shape), 3.0, axis=0)  # 1.7 after smoothing
    result, _ = onto(source, goal, near.size, near.size)
    height = lambda k: np.median((k[:, [10, 13], 1] - k[:, [0, 1], 1]).mean(1))  # noqa: E731
    assert height(result) == pytest.approx(height(truth), rel=0.05)


def test_who_hardly_ever_stands_upright_is_no_child(target):
    """Always in a squat, now deeper, now less: the whole height says little, the upper body says it."""
    places, low = stroll(250, 0.5, 0.4, seed=2), 0.8 + 0.2 * np.sin(np.arange(250) / 12)
    clips = [keypoints(figure(places, squat=s), Camera(1.0, 5.0)) for s in (None, low)]
    upright, low = (np.median(k[:, [8, 11], 1].mean(1) - k[:, 1, 1]) for k in (onto(c, target)[0] for c in clips))
    assert low == pytest.approx(upright, rel=0.035)


def test_what_is_done_once_is_no_jitter(dance):
    """A hand that flies up for three frames in ten seconds of jitter still does, and a clean dance is not touched."""

    def quieted(clip):
        return denoise(measure(sequence(clip, size=DANCE_SIZE)))[:, :18]

    assert np.abs(quieted(dance) - dance[..., :2]).max() < 1e-3
    shaky = dance.copy()
    shaky[..., :2] += np.random.default_rng(1).normal(0, 3.0, shaky[..., :2].shape)
    shaky[100:103, 4, 1] -= 40
    result = quieted(shaky)
    assert np.abs(result - shaky[..., :2])[100:103, 4].max() < 12
    assert error(result[:99], dance[:99], 1) < 0.75 * error(shaky[:99], dance[:99], 1)


def test_another_frame_rate_is_another_video():
    clip = keypoints(figure(stroll(400, seed=1)), Camera())
    for fps, same in ((25.0, True), (24.9, True), (30.0, False)):
        _, report = normalise(sequence(clip[300:], fps), sequence(clip[:300]))
        assert report.unchanged is same


def test_where_the_room_is_the_same_the_poses_stay_where_they_are():
    """Kneeling, say, tells little of a person's bones; that the camera is the same is known from the pictures."""
    clip, other = keypoints(figure(stroll(120, seed=1)), Camera()), keypoints(figure(stroll(120, seed=7)), Camera())
    other[..., :2] = (other[..., :2] - (256, 200)) * (1.2, 0.8) + (256, 190)
    moved, guessed = normalise(sequence(other), sequence(clip))
    stays, told = normalise(sequence(other, 30.0), sequence(clip), same_camera=True)
    assert told.unchanged and not guessed.unchanged
    assert np.abs(stays - other)[..., :2].max() < 1 < np.abs(moved - other)[..., :2].max()


def test_a_missing_nose_does_not_change_the_scale(dance, target):
    faceless = dance.copy()
    faceless[:, [0, 14, 15, 16, 17]] = 0
    want, _ = onto(dance, target)
    result, _ = onto(faceless, target)
    assert np.abs(result - want)[:, 1:14].max() < 1.0


def test_crouching_and_raised_arms_do_not_change_the_scale(target):
    places = stroll(250, 0.5, 0.4, seed=2)
    squat = np.clip(np.sin(np.arange(250) / 12), 0, 1)  # more than half of the time
    upright, crouching = (keypoints(figure(places, squat=s), Camera(1.0, 5.0)) for s in (None, squat))
    scales = [onto(clip, target)[1].scale for clip in (upright, crouching)]
    assert np.abs(scales[1] / scales[0] - 1).max() < 0.04


def test_jumps_leave_the_floor(target):
    n = 250
    up = np.zeros(n)
    for start in (40, 110, 180):
        up[start : start + 14] = 0.5 * np.sin(np.pi * np.arange(14) / 14)
    places = stroll(n, 0.5, 0.4, seed=2)
    camera = Camera(1.0, 5.0)
    standing, jumping = (keypoints(figure(places, up=u), camera) for u in (np.zeros(n), up))
    want, quiet = onto(standing, target)
    result, report = onto(jumping, target)
    assert np.abs(report.floor - quiet.floor).max() < 2.5
    assert np.abs(report.scale / quiet.scale - 1).max() < 0.02
    lift = want[117, 10, 1] - result[117, 10, 1]
    body = want[117, 10, 1] - want[117, 0, 1]
    assert lift / body == pytest.approx(0.5 / (1.7 * 0.9), rel=0.2)


def test_still_dancer_stands_in_the_middle_of_where_the_target_goes(target):
    still = keypoints(figure(np.tile([0.9, -0.4], (80, 1))), Camera(1.0, 5.0))
    result, report = onto(still, target, dance_size=SIZE)
    assert np.isfinite(result).all() and np.ptp(report.scale) < 1e-6
    assert result[:, list(ANKLES), 1].mean() == pytest.approx(np.median(target[:, list(ANKLES), 1]), abs=1.5)
    assert result[:, 1, 0].mean() == pytest.approx(np.median(target[:, 1, 0]), abs=3)


def test_a_target_who_stood_still_can_walk(dance):
    still = keypoints(figure(np.zeros((80, 2))), Camera())
    result, _ = onto(dance, still)
    assert np.ptp(result[:, 1, 0]) > 20
    assert 5 < np.ptp(result[:, list(ANKLES), 1].max(1)) < 60
    result, _ = onto(dance, still, method="global")  # by the paper's rule on the spot
    assert np.ptp(result[:, list(ANKLES), 1].max(1)) < 3


def test_a_small_sway_does_not_become_a_walk(target):
    sway = keypoints(figure(stroll(200, 0.02, 0.02, seed=4)), Camera(1.0, 5.0))
    _, report = onto(sway, target)
    assert np.ptp(report.floor) < 0.2 * np.ptp(target[:, list(ANKLES), 1])


def test_gross_errors_and_dropped_frames(dance, target):
    rng = np.random.default_rng(5)
    want, _ = onto(dance, target)
    bad = dance.copy()
    wrong = rng.random(bad.shape[:2]) < 0.02
    bad[..., :2][wrong] = rng.uniform(0, 500, (wrong.sum(), 2))
    bad[rng.random(len(bad)) < 0.1] = 0
    result, _ = onto(bad, target)
    good = ~wrong & (bad[..., 2] > 0)
    assert np.linalg.norm((result - want)[good][:, :2], axis=-1).max() < 6
    assert np.linalg.norm((result - want)[good][:, :2], axis=-1).mean() < 1.5


def test_one_wrong_neck_moves_nobody(dance, target):
    """At the end of a second in which no frame shows the whole trunk: it does not stand for that second."""
    filled = np.zeros(dance.shape[:2], bool)
    filled[-26:-1, 11] = True
    want, _ = onto(dance, target, filled=filled)
    wrong = dance.copy()
    wrong[-1, 1, 0] -= 150
    result, _ = onto(wrong, target, filled=filled)
    assert np.abs(result - want)[:-5].max() < 1


def test_filled_joints_are_not_measured(dance, target):
    want, _ = onto(dance, target)
    guessed = dance.copy()
    filled = np.zeros(dance.shape[:2], bool)
    filled[::3, [10, 13]] = True
    guessed[::3, [10, 13], 1] += 80
    result, _ = onto(guessed, target, filled=filled)
    assert np.abs(result - want)[1::3].max() < 2.5


def test_travel_stays_in_the_picture():
    wide = keypoints(figure(stroll(200, 2.2, 0.1, seed=4)), Camera(1.3, 8.0, 1.2, (1600, 288)))
    narrow = keypoints(figure(stroll(300, 0.1, 0.5, seed=1)), Camera(size=(200, 288)))
    result, report = onto(wide, narrow, (200, 288))
    assert report.travel_gain < 0.7
    legs = result[:, [8, 9, 10, 11, 12, 13], 0]
    assert (legs < -2).any(1).mean() + (legs > 201).any(1).mean() < 0.05
    assert np.ptp(result[:, 1, 0]) > 60


def test_portrait_onto_landscape_and_back(dance, target):
    for a, b, size in ((dance, target, SIZE), (target, dance, (320, 512))):
        result, _ = onto(a, b, size)
        body = lambda k: np.median(k[:, list(ANKLES), 1].max(1) - k[:, NOSE, 1])  # noqa: E731
        assert body(result) == pytest.approx(body(b), rel=0.1)


def test_without_ankles_the_knees_stand_for_them(dance, target):
    cut = dance.copy()
    cut[:, list(ANKLES)] = 0
    result, report = onto(cut, target)
    assert report.anchor == "knees"
    want, _ = onto(dance, target)
    assert np.abs(result - want)[:, :10].mean() < 6


def test_too_little_to_see_is_refused(dance, target):
    for clip in (np.zeros_like(dance), dance * np.isin(np.arange(18), (4, 7))[:, None]):
        with pytest.raises(InputError, match="film"):
            onto(clip.astype(np.float32), target)


def test_single_frame_and_ten_thousand(dance, target):
    assert np.isfinite(onto(dance[:1], target)[0]).all()
    long = np.tile(dance, (42, 1, 1))[:10_000]
    half, whole = (np.array(work_of(lambda n=n: onto(long[:n], target))) for n in (5000, 10_000))
    assert (whole < 2.5 * half).all()


def test_who_comes_near_keeps_the_feet_in_the_picture(target):
    """Half the way to the camera, where the target's feet would be far below the picture."""
    near = keypoints(figure(stroll(600, 0.1, 2.5, seed=4)), Camera(1.0, 6.0, 0.8))
    result, report = onto(near, target, dance_size=SIZE)
    assert report.floor.max() <= SIZE[1] - 1 + 1e-6
    assert result[:, list(ANKLES), 1].max() < SIZE[1] + 8
