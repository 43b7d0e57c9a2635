"""Poses drawn for the networks."""

import numpy as np
import torch
from person import painted

from main.networks import labels
from pose_detector.skeleton import LIMBS


def poses(count=2):
    return torch.from_numpy(painted(count)[1])


def test_limb_maps_peak_on_the_bone_and_fall_off_sideways():
    pose = poses(1)
    maps = labels.draw_labels(pose, (128, 160), stride=1)
    a, b = LIMBS[2]
    middle = (pose[0, a, :2] + pose[0, b, :2]) / 2
    x, y = middle.round().int().tolist()
    assert maps[0, 2, y, x] > 0.9
    along = torch.nn.functional.normalize(pose[0, b, :2] - pose[0, a, :2], dim=0)
    side = middle + 12 * torch.stack([-along[1], along[0]])
    x, y = side.round().int().tolist()
    assert maps[0, 2, y, x] < 0.1


def test_a_dot_has_its_centre_at_the_joint():
    pose = poses(1)
    dots = labels.draw_labels(pose, (128, 160), stride=4)[0, len(LIMBS) :]
    ys, xs = torch.meshgrid(torch.arange(32) * 4 + 1.5, torch.arange(40) * 4 + 1.5, indexing="ij")
    for joint in (4, 9):
        weight = dots[joint] / dots[joint].sum()
        centre = torch.stack([(weight * xs).sum(), (weight * ys).sum()])
        assert torch.linalg.norm(centre - pose[0, joint, :2]) < 0.2


def test_missing_joints_are_drawn_nowhere():
    pose = poses(1)
    pose[0, 4] = 0
    maps = labels.draw_labels(pose, (128, 160))
    limbs = [i for i, limb in enumerate(LIMBS) if 4 in limb]
    assert maps[0, limbs].max() == 0 and maps[0, len(LIMBS) + 4].max() == 0
    pose[:] = 0
    assert labels.draw_labels(pose, (128, 160)).max() == 0 and labels.draw_region(pose, (128, 160)).max() == 0


def test_labels_move_with_the_pose():
    pose = poses(1)
    moved = pose.clone()
    moved[..., 0] += 8
    before, after = (labels.draw_labels(p, (128, 160)) for p in (pose, moved))
    np.testing.assert_allclose(before[..., :-2], after[..., 2:], atol=1e-5)


def test_region_holds_the_skeleton_and_ends():
    pose = poses(1)
    region = labels.draw_region(pose, (128, 160), stride=1)[0, 0]
    for x, y in pose[0, :, :2].round().int().tolist():
        assert region[y, x] == 1
    assert region[0, 0] == 0
