"""Cleaning over time, on a dance whose truth is known."""

from itertools import pairwise

import numpy as np
import pytest
from motion import dance, seen

from data.sample.motion import FPS as SAMPLE_FPS
from data.sample.pair import clips
from data.sample.renderer import project
from pose_detector.cleaning import clean
from pose_detector.cleaning.gaps import fill_gaps
from pose_detector.cleaning.smoothing import smooth
from pose_detector.skeleton import person_size

FPS = 25.0
TORSO = 80.0


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def truth(rng):
    return dance(rng, 400, FPS, TORSO)


def errors(keypoints, truth):
    """Distances (N, 18) in torso lengths."""
    return np.linalg.norm(keypoints[..., :2] - truth, axis=-1) / TORSO


@pytest.mark.parametrize("noise", [0.01, 0.02, 0.04])
def test_jitter_goes_and_fast_wrists_stay(rng, truth, noise):
    jittery = truth + rng.standard_normal(truth.shape) * noise * TORSO
    before, after = errors(jittery, truth), errors(clean(seen(jittery), FPS).keypoints, truth)
    assert after.mean() < 0.6 * before.mean()
    wrists = [4, 7]
    assert np.quantile(after[:, wrists], 0.95) <= np.quantile(before[:, wrists], 0.95)
    speed = np.linalg.norm(np.gradient(truth[:, wrists], axis=0), axis=-1)
    fast = speed > np.quantile(speed, 0.9)
    assert speed.max() * FPS / TORSO > 6, "the truth is to have fast wrists"
    assert after[:, wrists][fast].mean() < 1.15 * before[:, wrists][fast].mean()


@pytest.fixture(scope="module")
def rendered():
    """(N, 18, 2) keypoints of both dances of the sample pair, as they are rendered."""
    return [project(clip.figure, clip.poses, clip.camera)[..., :2] for clip in map(clips().get, ("train", "test"))]


def detected(truth, rng, pixels, lasting=0.0, wild=0.0):
    """Truth with the noise of a detector: confidence tells its strength, a share `lasting` of it stays from one frame
    to the next, and a share `wild` of the keypoints lies elsewhere."""
    confidence = rng.uniform(0.2, 0.95, truth.shape[:2])
    noise = rng.standard_normal(truth.shape)
    for before, here in pairwise(noise):
        here *= np.sqrt(1 - lasting**2)
        here += lasting * before
    noise *= pixels * np.sqrt(0.6 / confidence)[..., None]
    noise[rng.random(truth.shape[:2]) < wild] *= 15
    return np.concatenate([truth + noise, confidence[..., None]], axis=-1).astype(np.float32)


@pytest.mark.parametrize("clip", [0, 1])
@pytest.mark.parametrize(
    ("pixels", "lasting", "wild", "most"),
    [(0.5, 0, 0, 0.65), (1.0, 0, 0, 0.6), (2.0, 0, 0.01, 0.5), (4.0, 0, 0, 0.52), (1.5, 0.3, 0.01, 0.66)],
)
def test_errors_on_rendered_dances_fall_by_a_third(rng, rendered, clip, pixels, lasting, wild, most):
    truth = rendered[clip]
    noisy = detected(truth, rng, pixels, lasting, wild)
    cleaned = clean(noisy, SAMPLE_FPS).keypoints
    before, after = (np.linalg.norm(k[..., :2] - truth, axis=-1) for k in (noisy, cleaned))
    after[cleaned[..., 2] == 0] = np.nan
    assert np.isnan(after).mean() < 0.002
    assert np.nanmean(after) < most * before.mean()
    assert np.nanquantile(after, 0.95) < 0.7 * np.quantile(before, 0.95)
    wrists = [4, 7]
    speed = np.linalg.norm(np.gradient(truth[:, wrists], axis=0), axis=-1)
    for part in (speed > np.quantile(speed, 0.9), speed >= 0):
        assert np.nanquantile(after[:, wrists][part], 0.95) < np.quantile(before[:, wrists][part], 0.95)


@pytest.mark.parametrize("fps", [12.5, 25.0, 50.0])
def test_other_frame_rates_on_rendered_dances(rng, rendered, fps):
    times = np.arange(0, len(rendered[0]) - 1, SAMPLE_FPS / fps)
    low = times.astype(int)
    part = (times - low)[:, None, None]
    truth = rendered[0][low] * (1 - part) + rendered[0][low + 1] * part
    noisy = detected(truth, rng, 1.5)
    before, after = (np.linalg.norm(k[..., :2] - truth, axis=-1) for k in (noisy, clean(noisy, fps).keypoints))
    assert after.mean() < 0.67 * before.mean()
    assert np.quantile(after[:, [4, 7]], 0.95) < np.quantile(before[:, [4, 7]], 0.95)


@pytest.mark.parametrize(("length", "least"), [(1, 0.5), (2, 0.6), (3, 0.75), (4, 0.9)])
@pytest.mark.parametrize("clip", [0, 1])
def test_a_wrong_ankle_never_comes_through(rng, rendered, clip, length, least):
    """On the other leg, on the floor beside, in the air: at any time of the dance, and sure of itself."""
    truth = rendered[clip]
    torso = np.median(np.linalg.norm(truth[:, 1] - truth[:, [8, 11]].mean(axis=1), axis=-1))
    noisy = detected(truth, rng, 1.0)
    starts = np.arange(15, len(truth) - 15, 30)
    for n, start in enumerate(starts):
        span = slice(start, start + length)
        angle = rng.uniform(0, 2 * np.pi)
        offset = rng.uniform(least, 2) * torso * np.array([np.cos(angle), np.sin(angle)])
        noisy[span, (10, 13)[n % 2], :2] += offset
        noisy[span, (10, 13)[n % 2], 2] = 0.9
    cleaned = clean(noisy, SAMPLE_FPS)
    wrong = np.linalg.norm(cleaned.keypoints[..., :2] - truth, axis=-1)[:, [10, 13]]
    wrong[cleaned.keypoints[:, [10, 13], 2] == 0] = 0
    assert wrong.max() < 0.35 * torso
    assert cleaned.rejected[:, [10, 13]].sum() >= length * len(starts)


def test_smoothing_has_no_lag(rng, truth):
    jittery = truth + rng.standard_normal(truth.shape) * 0.02 * TORSO
    cleaned = clean(seen(jittery), FPS).keypoints[..., :2]
    misfit = [np.abs(cleaned[5:-5] - truth[5 + lag : len(truth) - 5 + lag]).mean() for lag in (-2, -1, 0, 1, 2)]
    assert np.argmin(misfit) == 2
    backwards = clean(seen(jittery[::-1]), FPS).keypoints[::-1, :, :2]
    np.testing.assert_allclose(np.median(np.abs(cleaned - backwards)), 0, atol=1e-3)


def test_a_still_person_stands_still(rng):
    pose = np.repeat(dance(rng, 2, FPS, TORSO)[:1], 100, axis=0)
    np.testing.assert_allclose(clean(seen(pose), FPS).keypoints[..., :2], pose, atol=1e-3)
    jittery = pose + rng.standard_normal(pose.shape) * 2
    assert errors(clean(seen(jittery), FPS).keypoints, pose).mean() < 0.5 * errors(jittery, pose).mean()


@pytest.mark.parametrize("length", [1, 4])
@pytest.mark.parametrize("keypoint", [4, 13])
@pytest.mark.parametrize("start", [0, 50, 396])
def test_gross_errors_do_not_survive(rng, truth, keypoint, length, start):
    bad = truth + rng.standard_normal(truth.shape) * 0.01 * TORSO
    bad[start : start + length, keypoint] += [1.2 * TORSO, -0.9 * TORSO]
    result = clean(seen(bad), FPS)
    there = result.keypoints[..., 2] > 0
    assert errors(result.keypoints, truth)[:, keypoint][there[:, keypoint]].max() < 0.5
    assert result.rejected[:, keypoint].sum() >= min(length, 400 - start)
    assert result.rejected.sum() <= length + 2
    if start == 50:
        assert result.filled[start : start + length, keypoint].all()


def test_between_two_courses_the_surer_one_is_believed():
    standing = np.tile(dance(np.random.default_rng(0), 1, FPS, TORSO), (69, 1, 1))
    keypoints = seen(standing)
    ghost = np.arange(69) % 20 > 8  # more often elsewhere, but never sure
    keypoints[ghost, 4, :2] += 1.5 * TORSO
    keypoints[ghost, 4, 2] = 0.2
    np.testing.assert_allclose(clean(keypoints, FPS).keypoints[:, 4, :2], standing[:, 4], atol=1)


def test_a_lesser_error_of_one_frame_is_found(rng, truth):
    bad = truth + rng.standard_normal(truth.shape) * 0.01 * TORSO
    bad[100, 10] += [0.3 * TORSO, 0]
    result = clean(seen(bad), FPS)
    assert result.rejected[:, 10].sum() == 1
    assert errors(result.keypoints, truth)[100, 10] < 0.1


def test_an_impossibly_long_leg_goes_however_long_it_lasts(rng, truth):
    bad = truth.copy()
    bad[100:130, 10] = truth[100:130, 9] + [0, 2.2 * TORSO]
    result = clean(seen(bad), FPS)
    assert (result.keypoints[100:130, 10, 2] == 0).all()
    assert (result.keypoints[130:, 10, 2] > 0).all()


@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("pair", [(10, 13), (9, 12), (4, 7)])
def test_exchanged_sides_are_put_right(rng, truth, pair, length):
    apart = np.linalg.norm(truth[:, pair[0]] - truth[:, pair[1]], axis=-1) / TORSO
    start = 100 + int(apart[100:300].argmax())
    bad = truth + rng.standard_normal(truth.shape) * 0.01 * TORSO
    bad[start : start + length, pair] = bad[start : start + length, pair[::-1]]
    result = clean(seen(bad), FPS)
    assert result.swapped[:, pair].sum(axis=0).tolist() == [length, length]
    assert errors(result.keypoints, truth)[start : start + length, pair].max() < 0.1


def test_crossed_arms_are_left_alone(truth):
    crossing = truth.copy()
    phase = np.sin(2 * np.pi * 1.0 * np.arange(400) / FPS)  # the wrists change sides every half second
    crossing[:, 4] = truth[:, 1] + np.stack([-0.4 * TORSO * phase, np.full(400, 0.7 * TORSO)], axis=-1)
    crossing[:, 7] = truth[:, 1] + np.stack([0.4 * TORSO * phase, np.full(400, 0.7 * TORSO)], axis=-1)
    result = clean(seen(crossing), FPS)
    assert not result.swapped.any()
    assert errors(result.keypoints, crossing)[:, [4, 7]].max() < 0.1


@pytest.mark.parametrize(("fps", "gap"), [(25.0, 1), (25.0, 12), (50.0, 25), (10.0, 5)])
def test_short_gaps_are_filled_and_marked(rng, fps, gap):
    person = dance(rng, 200, fps, TORSO)
    person[60 : 60 + gap, 10] = np.nan
    person[100 : 100 + gap] = np.nan
    result = clean(seen(person), fps)
    assert result.filled[60 : 60 + gap, 10].all() and result.filled[100 : 100 + gap].all()
    assert np.count_nonzero(result.filled) >= gap * 19
    assert (result.keypoints[..., 2] > 0).all()


def test_filled_keypoints_lie_between_their_neighbours():
    points = np.zeros((20, 1, 2))
    points[:, 0, 0] = np.minimum(np.arange(20), 8)  # moves, and stops within the gap
    points[6:11] = np.nan
    filled, confidence, mask = fill_gaps(points, np.where(np.isnan(points[..., 0]), 0, 0.5), FPS)
    assert np.flatnonzero(mask[:, 0]).tolist() == [6, 7, 8, 9, 10]
    assert (np.diff(filled[:, 0, 0]) >= 0).all() and filled.max() <= 8
    assert (confidence == 0.5).all()


def test_what_is_missing_at_the_end_for_a_moment_moves_with_the_others():
    points = np.zeros((30, 4, 2)) + np.arange(4)[:, None]
    points[..., 0] += 2.0 * np.arange(30)[:, None]  # all walk
    points[27:, 3] = points[:2, 2] = np.nan
    points[:10, 1] = np.nan  # too long
    filled, confidence, mask = fill_gaps(points, np.where(np.isnan(points[..., 0]), 0, 0.5), FPS)
    assert filled[29, 3].tolist() == [3 + 58, 3] and filled[0, 2].tolist() == [2, 2]
    assert np.isnan(filled[:10, 1]).all() and mask.sum() == 5 and (confidence[mask] == 0.5).all()
    points[28:] = np.nan
    gone = fill_gaps(points, np.where(np.isnan(points[..., 0]), 0, 0.5), FPS)[0]
    assert np.isnan(gone[28:]).all(), "who has left is kept"
    assert np.isfinite(gone[27]).all()


def test_long_gaps_stay_missing(truth):
    person = truth.copy()
    person[100:140, 4] = np.nan
    person[200:240] = np.nan
    person[:10, 7] = np.nan  # nothing is guessed before the first sight
    result = clean(seen(person), FPS)
    for frames, keypoints in ((slice(100, 140), 4), (slice(200, 240), slice(None)), (slice(0, 10), 7)):
        assert (result.keypoints[frames, keypoints] == 0).all()
    assert not result.filled[:, [0, 1, 8, 11]].any()
    assert (result.keypoints[..., 2] == 0).sum(axis=0)[[0, 4, 7]].tolist() == [40, 80, 50]


def test_flashes_are_removed(truth):
    person = truth.copy()
    person[:, 16] = np.nan
    person[200:202, 16] = truth[200:202, 16]
    person[300:330, 16] = truth[300:330, 16]
    result = clean(seen(person), FPS)
    assert (result.keypoints[200:202, 16, 2] == 0).all() and (result.keypoints[300:330, 16, 2] > 0).all()


@pytest.mark.parametrize("frames", [0, 1, 2, 3, 5, 8])
def test_few_frames(rng, frames):
    person = seen(dance(rng, 10, FPS, TORSO)[:frames])
    result = clean(person, FPS)
    assert result.keypoints.shape == (frames, 18, 3) and result.keypoints.dtype == np.float32
    np.testing.assert_allclose(result.keypoints, person, atol=3)
    assert not clean(np.zeros((frames, 18, 3), np.float32), FPS).keypoints.any()


def test_arguments_are_untouched_and_nan_is_missing(truth):
    person = seen(truth)
    person[50:100, 3] = np.nan
    copy = person.copy()
    result = clean(person, FPS)
    np.testing.assert_array_equal(person, copy)
    assert np.isfinite(result.keypoints).all() and (result.keypoints[50:100, 3] == 0).all()


def test_missing_coordinates_are_never_read(rng, truth):
    person = seen(truth)
    hole = rng.random(person.shape[:2]) < 0.1
    person[hole] = 0
    garbage = person.copy()
    garbage[hole, :2] = 1e6
    np.testing.assert_array_equal(clean(person, FPS).keypoints, clean(garbage, FPS).keypoints)
    np.testing.assert_array_equal(person_size(person), person_size(garbage))


def test_uncertain_points_weigh_less(rng, truth):
    confidence = np.where(rng.random(truth.shape[:2]) < 0.3, 0.1, 0.9)
    noise = rng.standard_normal(truth.shape) * 0.02 * TORSO * np.sqrt(0.9 / confidence)[..., None]
    weighted = errors(smooth(truth + noise, confidence, FPS), truth).mean()
    unweighted = errors(smooth(truth + noise, np.full_like(confidence, 0.9), FPS), truth).mean()
    assert weighted < unweighted
