"""Step 2 on dances with cuts: each shot is another camera."""

import numpy as np
import pytest
from stick_figure import Camera, figure, keypoints, stroll

from data.annot_normalize import normalise_shots
from data.annotations import Annotations
from pose_detector import skeleton

SIZE = (512, 288)
FPS = 25.0


def annotated(poses, shots=(0,)):
    n = len(poses)
    filled = np.zeros((n, 18), bool)
    return Annotations(
        np.arange(n), np.arange(n) / FPS, poses, filled, FPS, SIZE, n, "a.mp4", 0, "0", shots=np.array(shots)
    )


def filmed(count, camera, seed=0):
    return keypoints(figure(stroll(count, 0.5, 0.3, seed=seed)), camera)


TARGET = annotated(filmed(150, Camera(1.2, 4.0, 1.0, SIZE), seed=3))


def sizes(poses):
    return float(np.nanmedian(skeleton.body_size(poses)))


def test_each_shot_is_fitted_by_itself():
    """The second shot is nearer and from higher up; the break between them shows nobody."""
    first, second = filmed(100, Camera(1.3, 4.5, 1.1, SIZE)), filmed(100, Camera(1.6, 2.9, 1.1, SIZE), seed=1)
    dance = annotated(np.concatenate([first, np.zeros((25, 18, 3), np.float32), second]), [0, 100, 125])
    poses, report = normalise_shots(dance, TARGET, "limbs")
    assert poses.shape == dance.keypoints.shape and len(report.scale) == len(report.floor) == 225
    assert not poses[100:125].any() and (poses[..., 2] == dance.keypoints[..., 2]).all()
    for part in (slice(0, 100), slice(125, 225)):
        assert sizes(poses[part]) == pytest.approx(sizes(TARGET.keypoints), rel=0.1)
    together, _ = normalise_shots(annotated(dance.keypoints), TARGET, "limbs")
    assert sizes(together[125:]) / sizes(together[:100]) > 1.2, "the test must be one that one camera fails"


def test_a_short_shot_borrows_from_the_others():
    poses = filmed(120, Camera(1.3, 4.5, 1.1, SIZE))
    alone, _ = normalise_shots(annotated(poses), TARGET, "limbs")
    parted, _ = normalise_shots(annotated(poses, [0, 110]), TARGET, "limbs")
    assert np.abs(parted[110:] - alone[110:]).max() < 1e-3
