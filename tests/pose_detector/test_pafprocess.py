"""Grouping: constructed maps whose truth is known, hostile maps, and the published algorithm beside it."""

import os
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pybind11
import pytest
from grouping_reference import group_reference
from maps import STANDING, draw_maps, random_pose, scene
from places import ROOT

from data.video import probe, read_frames
from pose_detector.detector import Letterbox
from pose_detector.onnx_network import OnnxNetwork
from pose_detector.pafprocess import PAF_CHANNELS, group
from pose_detector.skeleton import KEYPOINTS, LIMBS

HEIGHT, WIDTH = 46, 82


def noisy(maps, sigma, rng):
    return tuple((m + sigma * rng.standard_normal(m.shape)).astype(np.float32) for m in maps)


def assigned(poses, keypoints, scores):
    """For each true pose (P, 18, 2) the found person that lies nearest, and the distances (P, 18), NaN: not found."""
    distances = np.linalg.norm(poses[:, None] - keypoints[None], axis=-1)  # true, found, keypoint
    distances[:, scores == 0] = np.nan
    nearest = np.nanmedian(distances, axis=-1).argmin(axis=1)
    return nearest, distances[np.arange(len(poses)), nearest]


@pytest.mark.parametrize("noise", [0.0, 0.03])
@pytest.mark.parametrize(("people", "width"), [(1, 82), (2, 82), (5, 82), (10, 164), (20, 164)])
def test_finds_everybody(people, width, noise):
    rng = np.random.default_rng(people)
    errors = []
    for _ in range(4):
        poses = scene(rng, people, HEIGHT, width)
        keypoints, scores = group(*noisy(draw_maps(poses, HEIGHT, width), noise, rng))
        assert keypoints.dtype == scores.dtype == np.float32
        nearest, distances = assigned(poses, keypoints, scores)
        assert len(set(nearest)) == people, "two people share one skeleton"
        assert np.count_nonzero(np.isnan(distances)) <= 0.02 * distances.size
        errors.append(distances)
    assert np.nanmean(errors) < 2
    assert np.nanmean(np.concatenate(errors) > 8) < 0.02, "keypoints at the wrong person"


@pytest.mark.parametrize("offset", [(4, -30), (2, -26), (0, -33), (6, -30), (-4, -33)])
def test_people_close_behind_each_other_keep_their_limbs(offset):
    """Neck to hips of the one lies on neck to hips of the other: every pair of ends fits alike."""
    front = STANDING * 76 + (300, 109)
    poses = np.stack([front, front + offset])
    keypoints, scores = group(*draw_maps(poses, HEIGHT, WIDTH))
    assert len(keypoints) == 2 and (scores > 0).all()
    _, distances = assigned(poses, keypoints, scores)
    assert distances.max() < 8


def test_a_weak_ghost_halfway_does_not_take_the_wrist():
    pose = STANDING * 100 + (300, 80)
    heatmaps, pafs = draw_maps(pose[None], HEIGHT, WIDTH)
    elbow, wrist = pose[3], pose[4]
    ghost = draw_maps((pose + (elbow - wrist) / 2)[None], HEIGHT, WIDTH)[0][4]
    heatmaps[4] = np.maximum(heatmaps[4], 0.3 * ghost)
    cells = np.indices((HEIGHT, WIDTH))[::-1] * 8 + 3.5
    beyond = np.linalg.norm(cells - elbow[:, None, None], axis=0) > np.linalg.norm(wrist - elbow) / 2
    pafs[PAF_CHANNELS[LIMBS.tolist().index([3, 4])]] *= np.where(beyond, 0.5, 1)
    keypoints, _ = group(heatmaps, pafs.astype(np.float32))
    np.testing.assert_allclose(keypoints[0, 4], wrist, atol=2)


def test_peaks_are_exact_where_the_map_is():
    rng = np.random.default_rng(0)
    pose = random_pose(rng, 90, (311.3, 127.8))
    keypoints, scores = group(*draw_maps(pose, HEIGHT, WIDTH))
    assert keypoints.shape == (1, 18, 2)
    np.testing.assert_allclose(keypoints[0], pose, atol=0.01)
    assert (scores > 0.5).all()


@pytest.mark.parametrize("stride", [4.0, 8.0, 16.0])
def test_stride(stride):
    pose = STANDING * 11 * stride + 16 * stride
    keypoints, _ = group(*draw_maps(pose, HEIGHT, WIDTH, stride, sigma=stride, limb_width=stride), stride=stride)
    np.testing.assert_allclose(keypoints[0], pose, atol=0.05)


def test_missing_keypoints_score_nothing():
    pose = STANDING * 90 + [300, 120]
    pose[[4, 10, 16]] = np.nan
    keypoints, scores = group(*draw_maps(pose, HEIGHT, WIDTH))
    missing = np.isnan(pose[:, 0])
    assert len(scores) == 1
    assert (scores[0, missing] == 0).all() and (keypoints[0, missing] == 0).all()
    assert (scores[0, ~missing] > 0).all()


def test_fragments_meet_in_one_person():
    """Without a nose, each half of the face hangs on its shoulder alone: three fragments, one person."""
    pose = STANDING * 90 + [300, 120]
    pose[0] = np.nan
    keypoints, scores = group(*draw_maps(pose, HEIGHT, WIDTH))
    assert len(keypoints) == 1
    assert np.count_nonzero(scores) == 17
    np.testing.assert_allclose(keypoints[0, 1:], pose[1:], atol=0.05)


def test_merging_never_takes_a_keypoint_twice():
    """Two complete people whose ears also answer to the other's shoulders stay two."""
    poses = np.stack([STANDING * 80 + [150, 120], STANDING * 80 + [400, 120]])
    heatmaps, pafs = draw_maps(poses, HEIGHT, WIDTH)
    _, false_pafs = draw_maps(np.stack([np.r_[poses[0, :16], poses[1, 16:]], poses[1]]), HEIGHT, WIDTH)
    shoulder_ear = PAF_CHANNELS[-2:].ravel()
    pafs[shoulder_ear] = false_pafs[shoulder_ear]
    keypoints, _ = group(heatmaps, pafs)
    nearest, distances = assigned(poses, keypoints, np.ones(keypoints.shape[:2]))
    assert len(keypoints) == 2 and set(nearest) == {0, 1}
    assert distances.max() < 1


def test_shoulder_and_ear_are_nobody():
    pose = np.full((18, 2), np.nan)
    pose[[2, 16]] = [[200, 200], [200, 120]]
    assert len(group(*draw_maps(pose, HEIGHT, WIDTH), min_parts=1, min_score=0)[0]) == 0
    pose[3] = [200, 280]  # an elbow makes somebody of them
    keypoints, scores = group(*draw_maps(pose, HEIGHT, WIDTH), min_parts=1, min_score=0)
    assert np.count_nonzero(scores) == 3 and len(keypoints) == 1


def test_small_and_unlikely_people_are_dropped():
    pose = np.full((18, 2), np.nan)
    pose[[1, 2, 3]] = STANDING[[1, 2, 3]] * 90 + [300, 120]
    maps = draw_maps(pose, HEIGHT, WIDTH)
    assert len(group(*maps)[0]) == 0
    assert len(group(*maps, min_parts=3)[0]) == 1
    assert len(group(*maps, min_parts=3, min_score=3)[0]) == 0
    assert len(group(*maps, min_parts=3, threshold=1.1)[0]) == 0


def test_likeliest_person_comes_first():
    poses = np.stack([STANDING * 80 + [150, 120], STANDING * 80 + [400, 120]])
    poses[0, 8:14] = np.nan
    keypoints, _ = group(*draw_maps(poses, HEIGHT, WIDTH))
    assert keypoints[0, 1, 0] > keypoints[1, 1, 0]


def test_a_person_at_the_border():
    pose = STANDING * 90 + [50, 42]  # the nose in the first rows, the right wrist near the first column
    keypoints, _ = group(*draw_maps(pose, HEIGHT, WIDTH))
    assert (
        np.linalg.norm(keypoints[0] - pose, axis=1).max() < 4.1
    )  # there, half a cell: the bell's other side is missing


@pytest.mark.parametrize("shape", [(0, 0), (0, 82), (46, 0), (1, 1), (1, 82), (46, 1), (2, 2)])
def test_tiny_maps(shape):
    keypoints, scores = group(np.ones((19, *shape), np.float32), np.zeros((38, *shape), np.float32))
    assert keypoints.shape == (0, 18, 2) and scores.shape == (0, 18)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-40])
def test_worthless_maps(value):
    heatmaps, pafs = draw_maps(STANDING * 90 + [300, 120], HEIGHT, WIDTH)
    for maps in ((np.full_like(heatmaps, value), pafs), (np.full_like(heatmaps, value), np.full_like(pafs, value))):
        keypoints, scores = group(*maps)
        assert len(keypoints) == 0 and len(scores) == 0
    keypoints, scores = group(heatmaps, np.full_like(pafs, value))
    assert np.isfinite(keypoints).all() and np.isfinite(scores).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_bad_cells_elsewhere_change_nothing(value):
    maps = draw_maps(STANDING * 90 + [300, 120], HEIGHT, WIDTH)
    expected = group(*maps)
    for m in maps:
        m[:, :, :10] = value
        m[:, 40:, 70:] = value
    for found, wanted in zip(group(*maps), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_bad_cells_within_a_person_cost_only_what_they_hide():
    pose = STANDING * 90 + [300, 120]
    heatmaps, pafs = draw_maps(pose, HEIGHT, WIDTH)
    heatmaps[4] = np.nan
    pafs[:, 25, :] = np.nan
    keypoints, scores = group(heatmaps, pafs)
    assert scores[0, 4] == 0 and np.isfinite(keypoints).all()
    assert np.count_nonzero(scores[0]) >= 14


def test_huge_maps():
    rng = np.random.default_rng(0)
    heatmaps = np.zeros((18, 1500, 2000), np.float32)
    pafs = np.zeros((38, 1500, 2000), np.float32)
    pose = STANDING * 90 + [300, 120]
    heatmaps[:, 1400 : 1400 + HEIGHT, 1900 : 1900 + WIDTH], pafs[:, 1400 : 1400 + HEIGHT, 1900 : 1900 + WIDTH] = (
        m[: len(t)] for m, t in zip(draw_maps(pose, HEIGHT, WIDTH), (heatmaps, pafs), strict=True)
    )
    keypoints, _ = group(heatmaps, pafs)
    np.testing.assert_allclose(keypoints[0], pose + np.array([1900, 1400]) * 8, atol=0.1)
    # Pure noise has 20,000 peaks a map; pairs of them all would take an hour.
    group(rng.random((18, 400, 500), dtype=np.float32), rng.standard_normal((38, 400, 500), dtype=np.float32))


def test_equal_neighbours_are_one_peak():
    pose = STANDING * 90 + [300, 120]
    heatmaps, pafs = draw_maps(pose, HEIGHT, WIDTH)
    np.minimum(heatmaps, 0.3, out=heatmaps)  # flat tops
    assert len(group(heatmaps, pafs, min_score=0.2)[0]) == 1


@pytest.mark.parametrize(
    ("heatmaps", "pafs"),
    [
        ((17, 46, 82), (38, 46, 82)),
        ((19, 46, 82), (37, 46, 82)),
        ((19, 46, 82), (38, 46, 81)),
        ((46, 82), (38, 46, 82)),
        ((1, 19, 46, 82), (1, 38, 46, 82)),
    ],
)
def test_wrong_shapes(heatmaps, pafs):
    with pytest.raises(ValueError, match="must be"):
        group(np.zeros(heatmaps, np.float32), np.zeros(pafs, np.float32))


@pytest.mark.parametrize("agreement", [-0.1, 1.1, np.nan])
def test_agreement_is_a_share(agreement):
    with pytest.raises(ValueError, match="agreement"):
        group(*draw_maps(STANDING * 90 + [300, 120], HEIGHT, WIDTH), agreement=agreement)


def test_any_strides_and_types_and_arguments_untouched():
    heatmaps, pafs = draw_maps(scene(np.random.default_rng(3), 3, HEIGHT, WIDTH), HEIGHT, WIDTH)
    copies = heatmaps.copy(), pafs.copy()
    expected = group(heatmaps, pafs)
    together = np.ascontiguousarray(np.concatenate([heatmaps, pafs]).transpose(1, 2, 0))
    channels_last = together.transpose(2, 0, 1)
    for maps in ((channels_last[:19], channels_last[19:]), (heatmaps.astype(np.float64), pafs.astype(np.float64))):
        for found, wanted in zip(group(*maps), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(heatmaps, copies[0])
    np.testing.assert_array_equal(pafs, copies[1])


def test_threads():
    rng = np.random.default_rng(4)
    inputs = [noisy(draw_maps(scene(rng, n % 8 + 1, HEIGHT, WIDTH), HEIGHT, WIDTH), 0.03, rng) for n in range(16)]
    expected = [group(*maps) for maps in inputs]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            for found, wanted in zip(pool.map(lambda maps: group(*maps), inputs), expected, strict=True):
                np.testing.assert_array_equal(found[0], wanted[0])
                np.testing.assert_array_equal(found[1], wanted[1])


def test_tables():
    assert LIMBS.shape == PAF_CHANNELS.shape == (19, 2)
    assert sorted(PAF_CHANNELS.ravel()) == list(range(38))
    assert sorted(LIMBS[:17, 1]) == [k for k in range(KEYPOINTS) if k != 1]  # a tree with the neck as its root


def people_agree(found, reference, tolerance):
    """Whether every person of the reference was found, with 90 % of all keypoints within `tolerance` pixels."""
    (keypoints, scores), (wanted, wanted_scores) = found, reference
    if len(keypoints) != len(wanted):
        return False
    if not len(wanted):
        return True
    both = (scores[None] > 0) & (wanted_scores[:, None] > 0)
    near = (np.linalg.norm(wanted[:, None] - keypoints[None], axis=-1) < tolerance) & both
    best = near.sum(axis=-1).argmax(axis=1)
    return len(set(best)) == len(wanted) and near.sum(axis=-1).max(axis=1).sum() >= 0.9 * (wanted_scores > 0).sum()


def test_agrees_with_the_published_algorithm():
    rng = np.random.default_rng(6)
    for people in (1, 3, 6):
        maps = noisy(draw_maps(scene(rng, people, HEIGHT, WIDTH), HEIGHT, WIDTH), 0.02, rng)
        assert people_agree(group(*maps), group_reference(*maps, min_score=0.2), tolerance=4)


@pytest.mark.parametrize(
    "name",
    ["target.mp4", "dance.mp4", "squats.mp4", "three_people.avi", "enter_and_leave.mp4", "walk_60fps.mp4"],
)
def test_agrees_with_the_published_algorithm_on_real_maps(shared, name):
    """Everybody whom the published algorithm finds, with their keypoints; those that differ are weak ones.

    It smooths the maps before it seeks peaks, samples fields at whole pixels, and at times leaves one person in two
    pieces: of what barely passes the thresholds either one may find what the other does not.
    """
    network = OnnxNetwork(shared("weights/mobilenet_v2_dm14_368x432.onnx"))
    path = shared(f"clips/{name}")
    every = probe(path).frames // 6
    theirs = ours = near = 0
    for number, _, frame in read_frames(path):
        if number % every:
            continue
        heatmaps, pafs = network(Letterbox.to_box(*frame.shape[1::-1], network.size[::-1]).apply(frame, padding=0))
        keypoints, scores = group(heatmaps, pafs)
        for pose, confidence in zip(*group_reference(heatmaps, pafs, min_score=0.2), strict=True):
            both = (scores > 0) & (confidence > 0)
            close = (np.linalg.norm(keypoints - pose, axis=-1) < 8) & both
            best = close.sum(axis=1).argmax()
            assert close[best].sum() >= 0.7 * (confidence > 0).sum(), "somebody is lost"
            assert (confidence[(confidence > 0) & ~close[best]] < 0.3).all()
            theirs, near = theirs + np.count_nonzero(confidence), near + np.count_nonzero(close[best])
        ours += np.count_nonzero(scores)
    assert near >= 0.98 * theirs > 0 and ours >= 0.99 * theirs


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    """pafprocess.cpp, compiled to stop at any access out of bounds and any undefined step; what must be preloaded."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no g++ to build with a sanitizer")
    folder = tmp_path_factory.mktemp("sanitized")
    built = folder / "_pafprocess.so"
    source = ROOT / "pose_detector" / "pafprocess" / "pafprocess.cpp"
    flags = ["-std=c++17", "-O0", "-shared", "-fPIC", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    includes = [f"-I{pybind11.get_include()}", f"-I{sysconfig.get_path('include')}"]
    command = [compiler, *flags, *includes, str(source), "-o", str(built)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this compiler has no sanitizer")
    names = ("libasan.so", "libstdc++.so")
    found = [subprocess.check_output([compiler, f"-print-file-name={n}"], text=True).strip() for n in names]
    return built, " ".join(found)


@pytest.mark.slow
def test_survives_hostile_maps_under_a_sanitizer(sanitized):
    built, preloaded = sanitized
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "helpers" / "fuzz_grouping.py"), str(built), "8"],
        env={**os.environ, "LD_PRELOAD": preloaded, "ASAN_OPTIONS": "detect_leaks=0"},  # Python itself leaks
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[0]) > 20
