"""Anatomy tables, size, box and drawing."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from stick_figure import Camera, figure, keypoints

from main.networks.labels import label_torso
from pose_detector import skeleton


@pytest.fixture
def pose():
    return keypoints(figure(np.zeros((1, 2))), Camera())[0]


def test_tables_fit_together():
    assert len(skeleton.NAMES) == 18 and skeleton.LIMBS.shape == (19, 2) and skeleton.COLOURS.shape == (19, 3)
    assert np.array_equal(skeleton.MIRROR[skeleton.MIRROR], np.arange(18))
    for joint, twin in enumerate(skeleton.MIRROR):
        name = skeleton.NAMES[joint]
        swapped = name.replace("right", "*").replace("left", "right").replace("*", "left")
        assert skeleton.NAMES[twin] == swapped
    pairs = {frozenset(limb) for limb in skeleton.LIMBS.tolist()}
    assert pairs == {frozenset(skeleton.MIRROR[list(pair)].tolist()) for pair in pairs}
    assert sorted(j for joints in skeleton.GROUPS.values() for j in joints) == list(range(18))


def test_sizes(pose):
    want = np.linalg.norm(pose[1, :2] - (pose[8, :2] + pose[11, :2]) / 2)
    assert skeleton.torso_length(pose) == pytest.approx(want)
    assert skeleton.body_size(pose) == pytest.approx(want, rel=0.2)
    both = np.stack([pose, pose])
    both[1, 8] = 0
    assert np.isnan(skeleton.torso_length(both)).tolist() == [False, True]
    assert skeleton.body_size(both)[1] == pytest.approx(want, rel=0.25)  # without a hip the limbs tell
    assert np.isnan(skeleton.body_size(np.zeros((18, 3))))


def test_the_four_sizes_of_a_person_agree(pose):
    """Of who stands upright and is wholly seen; each has its own way with what is missing."""
    sizes = [f(pose[None]) for f in (skeleton.torso_length, skeleton.body_size, skeleton.person_size)]
    sizes.append(label_torso(torch.from_numpy(pose[None])).numpy())
    assert np.ptp(np.log(sizes)) < np.log(1.25)
    twice = [f(2 * pose[None] * [1, 1, 0.5]) for f in (skeleton.torso_length, skeleton.body_size, skeleton.person_size)]
    assert np.divide(twice, sizes[:3]) == pytest.approx(2)
    for arm in ((3, 4), (6, 7)):  # arms say little of it
        pose[list(arm)] = 0
    assert np.ptp(np.log([float(f(pose)) for f in (skeleton.torso_length, skeleton.body_size)])) < np.log(1.25)


def test_bounding_box(pose):
    left, top, right, bottom = skeleton.bounding_box(pose, (512, 288), margin=0)
    assert (left, right) == pytest.approx((pose[:, 0].min(), pose[:, 0].max()))
    assert (top, bottom) == pytest.approx((pose[:, 1].min(), pose[:, 1].max()))
    pose[4] = 0  # a missing wrist's place (0, 0) is not read
    pose[0, 0] = 505
    left, _, right, _ = skeleton.bounding_box(pose, (512, 288), margin=0.5)
    assert left > 100 and right == 511
    assert skeleton.bounding_box(np.zeros((18, 3), np.float32), (512, 288)) is None


def test_drawing(pose):
    blank = np.zeros((288, 512, 3), np.uint8)
    picture = skeleton.draw(blank, pose)
    assert not blank.any() and picture.shape == blank.shape and picture.dtype == np.uint8
    for limb, colour in zip(skeleton.LIMBS[2:12], skeleton.COLOURS[2:12], strict=True):
        x, y = np.rint(pose[limb, :2].mean(0)).astype(int)
        assert (picture[y, x] == colour).all()
    pose[9, 2] = 0
    fewer = skeleton.draw(blank, pose)
    assert (fewer != picture).any()
    x, y = np.rint(pose[[9, 10], :2].mean(0)).astype(int)
    assert not fewer[y, x].any()  # no limb to a missing knee
    assert not skeleton.draw(blank, np.zeros((18, 3), np.float32)).any()
    far = pose.copy()
    far[4, :2] = 1e9, -1e9
    skeleton.draw(blank, far)


def test_centre_of_a_pixel_is_where_it_is_drawn():
    pose = np.zeros((18, 3), np.float32)
    pose[2] = (10, 20, 1)
    pose[3] = (30, 20, 1)
    picture = skeleton.draw(np.zeros((41, 41, 3), np.uint8), pose).astype(float).sum(2)
    y, x = np.mgrid[:41, :41]
    assert (picture * y).sum() / picture.sum() == pytest.approx(20, abs=0.1)
    assert (picture * x).sum() / picture.sum() == pytest.approx(20, abs=0.1)


def test_needs_no_torch():
    modules = "pose_detector.skeleton, data.video, data.background, data.retarget"
    code = f"import sys, {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
