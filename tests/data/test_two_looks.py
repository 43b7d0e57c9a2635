"""The two looks at a video: sizes, outlines and what is written."""

import numpy as np
import pytest
from clip_maker import write_clip
from looks import StubLooker

from data import pictures
from data.annotations import image_name, mask_name
from data.detecting import Writer, find_people, look_closely, precomputed, read_masks
from pose_detector.keypoints import scale_keypoints

OWN, WORKING = (320, 192), (160, 96)


@pytest.fixture
def pose():
    keypoints = np.zeros((18, 3), np.float32)
    keypoints[[1, 2, 5, 8, 11, 4]] = [
        (160, 40, 1),
        (140, 44, 1),
        (180, 44, 1),
        (146, 120, 1),
        (174, 120, 1),
        (100, 90, 1),
    ]
    return keypoints


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4", [np.full((OWN[1], OWN[0], 3), 90 + i, np.uint8) for i in range(6)], fps=20)


def test_points_go_to_another_size_and_back():
    points = np.array([[10.0, 20.0, 0.5], [0.0, 0.0, 0.0], [-0.5, -0.5, 1.0]])
    twice = scale_keypoints(points, np.array([2.0, 2.0]))
    np.testing.assert_allclose(twice, [[20.5, 40.5, 0.5], [0, 0, 0], [-0.5, -0.5, 1.0]])
    np.testing.assert_allclose(scale_keypoints(twice, np.array([0.5, 0.5])), points)


def test_the_second_look_sees_the_videos_own_pixels(clip, pose, tmp_path):
    shapes = set()

    def find(frame):
        shapes.add(frame.shape)
        return pose

    first = np.repeat(scale_keypoints(pose, np.array([0.5, 0.5]))[None], 6, 0)
    closer = look_closely(clip, WORKING, first, StubLooker(find), tmp_path)
    assert shapes == {(OWN[1], OWN[0], 3)}, "not the working frames"
    np.testing.assert_allclose(closer.keypoints, first, atol=1e-4)
    assert closer.found.all() and np.allclose(closer.extra[:, 0, :2], first[:, 4, :2], atol=1e-4)
    masks = list(read_masks(tmp_path, range(6)))
    assert all(mask.shape == WORKING[::-1] for mask in masks)
    ys, xs = np.nonzero(masks[3] > 127)
    seen = first[3, first[3, :, 2] > 0, :2]
    for found, wanted in ((xs, seen[:, 0]), (ys, seen[:, 1])):
        assert abs(found.min() - wanted.min()) < 4 and abs(found.max() - wanted.max()) < 4


def test_who_is_not_found_has_an_empty_outline(clip, pose, tmp_path):
    looker = StubLooker(lambda frame: None if abs(int(frame[0, 0, 0]) - 93) < 2 else pose)
    first = np.repeat(scale_keypoints(pose, np.array([0.5, 0.5]))[None], 6, 0)
    closer = look_closely(clip, WORKING, first, looker, tmp_path)
    assert 0 < closer.found.sum() < 6
    for found, keypoints, mask in zip(closer.found, closer.keypoints, read_masks(tmp_path, range(6)), strict=True):
        assert found == bool(mask.any()) == bool((keypoints[:, 2] > 0).any())


def test_guesses_outside_of_the_picture_are_dropped(clip, pose):
    pose[10] = (160, 230, 0.4)  # an ankle below the picture
    first = np.repeat(scale_keypoints(pose, np.array([0.5, 0.5]))[None], 6, 0)
    closer = look_closely(clip, WORKING, first, StubLooker(lambda _: pose), None)
    assert (closer.keypoints[:, 10] == 0).all() and (closer.keypoints[:, 11, 2] > 0).all()


def test_the_first_look_gives_every_frame_and_writes_it(clip, tmp_path):
    poses = [(np.full((1, 18, 2), i, np.float32), np.ones((1, 18), np.float32)) for i in range(6)]
    detections, times, glimpses, _ = find_people(clip, WORKING, precomputed(poses), 4, tmp_path, 6)
    assert [int(keypoints[0, 0, 0]) for keypoints, _ in detections] == list(range(6))
    np.testing.assert_allclose(times, np.arange(6) / 20, atol=1e-3)
    assert set(glimpses) == set(range(6)) and glimpses[0].shape == (96, 160, 3)
    picture = pictures.read(tmp_path / image_name(5))
    assert picture.shape == (96, 160, 3) and abs(picture.mean() - glimpses[5].mean()) < 1


def test_a_full_disk_is_reported(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pictures, "write", full)
    with pytest.raises(OSError, match="No space"), Writer(2) as writer:
        for i in range(3):
            writer.write(tmp_path / mask_name(i), np.zeros((4, 4), np.uint8))
