"""The labels of two teachers, and how step 1 is measured against them."""

import cv2
import numpy as np
import perception
import pytest
from clip_maker import moving_square, write_clip
from judge import Sight
from perception import Labels, Settings, agreement, ask_movenet, score

from data.annotations import Annotations
from pose_detector.blazepose import SIZE
from pose_detector.crop import Crop
from pose_detector.keypoints import scale_keypoints

SIZE_OF_VIDEO, SIZE_AT_WORK = (200, 100), (100, 50)


def pose(count=1):
    keypoints = np.ones((count, 18, 3), np.float32)
    keypoints[..., 0], keypoints[..., 1] = 60 + 4 * np.arange(18), 20 + 3 * np.arange(18)
    return keypoints


def test_teachers_agree_within_a_quarter_of_the_torso():
    heavy, thunder = pose(), pose()
    thunder[0, 3, 0] += 9.9  # of a torso of 40
    thunder[0, 4, 0] += 10.1
    heavy[0, 5, 2] = 0
    labels = agreement(heavy, thunder, np.array([40.0]), SIZE_OF_VIDEO)
    assert labels[0, [4, 5]].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert (np.delete(labels[0, :, 2], [4, 5]) == 1).all()
    assert labels[0, 3, 0] == pytest.approx(heavy[0, 3, 0] + 4.95)


def test_what_lies_outside_the_picture_is_no_label():
    heavy = pose()
    heavy[0, 0, 0], heavy[0, 1, 1] = -1, 100
    labels = agreement(heavy, heavy, np.array([40.0]), SIZE_OF_VIDEO)
    assert labels[0, :2, 2].tolist() == [0, 0] and labels[0, 2:, 2].all()
    assert not agreement(heavy, heavy, np.array([np.nan]), SIZE_OF_VIDEO).any()


def labels(numbers=(0, 6)):
    count = len(numbers)
    return Labels(
        frame_numbers=np.array(numbers), keypoints=pose(count), torso=np.full(count, 40.0), frame_size=SIZE_OF_VIDEO,
        crops=np.array([[99.5, 49.5, 40, 0.0]] * count), outlines=np.full((count, SIZE, SIZE), 255, np.uint8),
        present=np.ones(count, bool), heavy=pose(count), thunder=pose(count),
    )  # fmt: skip


def annotations(keypoints):
    return Annotations(
        frame_numbers=np.arange(len(keypoints)), times=np.arange(len(keypoints)) / 25, keypoints=keypoints,
        filled=np.zeros(keypoints.shape[:2], bool), fps=25.0, frame_size=SIZE_AT_WORK, total_frames=len(keypoints),
        source="clip.mp4", rotation=0, fingerprint="",
    )  # fmt: skip


def test_step_1_is_measured_at_the_labelled_frames(tmp_path):
    keypoints = np.zeros((7, 18, 3), np.float32)
    keypoints[[0, 6]] = scale_keypoints(pose(2), np.divide(SIZE_AT_WORK, SIZE_OF_VIDEO))
    keypoints[6, 4, 0] += 4.1  # more than 0.2 of a torso that is 20 pixels here
    keypoints[0, [9, 12], 2] = 0
    values = score(labels(), annotations(keypoints), None)
    assert values["wrists"] == 0.75 and values["knees"] == 0.5 and values["ankles"] == 1
    assert values["all"] == pytest.approx(33 / 36) and np.isnan(values["iou"]) and values["labelled"] == 1


def test_outlines_are_compared_at_working_size(tmp_path):
    keypoints = scale_keypoints(pose(7), np.divide(SIZE_AT_WORK, SIZE_OF_VIDEO))
    mask = np.zeros((50, 100), np.uint8)
    mask[15:35, 40:60] = 255
    cv2.imwrite(str(tmp_path / "000000.png"), mask)
    assert score(labels((0,)), annotations(keypoints), tmp_path)["iou"] == 1
    assert score(labels((0, 6)), annotations(keypoints), tmp_path)["iou"] == 0.5  # a missing mask overlaps nothing
    mask[:, 50:] = 0
    cv2.imwrite(str(tmp_path / "000000.png"), mask)
    assert score(labels((0,)), annotations(keypoints), tmp_path)["iou"] == pytest.approx(0.5)


def test_movenet_and_its_mirror_are_averaged_in_the_frame():
    def movenet(pictures):
        """Sees its right wrist (10) at the brightest pixel of the left half, its left one (9) of the right half."""
        answer = np.zeros((len(pictures), 17, 3))
        for i, picture in enumerate(pictures):
            for joint, half in ((10, slice(0, SIZE // 2)), (9, slice(SIZE // 2, SIZE))):
                part = picture[:, half, 0].astype(float)
                row, column = np.argwhere(part == part.max()).mean(axis=0)
                answer[i, joint] = (row + 0.5) / SIZE, (column + half.start + 0.5) / SIZE, 0.8
        return answer

    frame = np.zeros((200, 300, 3), np.uint8)
    frame[80:83, 110:113], frame[120:123, 190:193] = 250, 250
    seen = ask_movenet(movenet, frame, np.array([[100.0, 40.0], [200.0, 160.0]]))
    assert seen[10] == pytest.approx([111, 81, 0.8], abs=0.3) and seen[9] == pytest.approx([191, 121, 0.8], abs=0.3)


def test_what_the_teachers_saw_is_asked_for_once(tmp_path, monkeypatch):
    clip = write_clip(tmp_path / "clip.mp4", moving_square(13))
    asked = []

    def see(frame):
        asked.append(frame.shape)
        landmarks = np.tile([40.0, 30.0, -1.0, 0.9], (39, 1))
        landmarks[[7, 8], 2] = 0  # the ears, behind the rest of the face
        if len(asked) == 2:
            landmarks[0, 2] = 1  # the nose, behind the ears
        landmarks[[23, 24], 1] = 50
        return Sight(Crop(48, 32, 60), landmarks, 0.9, np.ones((SIZE, SIZE), np.float32))

    monkeypatch.setattr(perception, "Judge", lambda _: see)
    # At (40, 30) too, in the crop about the hips and the rest.
    monkeypatch.setattr(perception, "load_movenet", lambda _: lambda pictures: np.tile([0.1, 0.5, 1], (2, 17, 1)))
    first = perception.load_labels(clip, tmp_path / "cache", every=6)
    again = perception.load_labels(clip, tmp_path / "cache", every=6)
    assert asked == [(64, 96, 3)] * 3 and first.frame_numbers.tolist() == [0, 6, 12]
    assert first.frame_size == (96, 64) and first.torso.tolist() == [20, 20, 20]
    assert first.keypoints[1, [0, 14], 2].tolist() == [0, 1] and first.keypoints[[0, 2], 0, 2].tolist() == [1, 1]
    assert np.array_equal(first.keypoints, again.keypoints) and first.outline(0, (48, 32)).shape == (32, 48)
    perception.load_labels(clip, tmp_path / "cache", every=4)
    assert len(asked) == 7


def test_a_clip_that_step_1_refuses_is_a_row_with_the_reason(tmp_path, monkeypatch, capsys):
    write_clip(tmp_path / "empty.mp4", moving_square(3))
    monkeypatch.setattr(perception, "load_labels", lambda *_: labels((0,)))
    perception.main(Settings(folder=tmp_path, out=tmp_path / "out"), ["--person", "one"])
    assert "video2data.py: " in capsys.readouterr().out
