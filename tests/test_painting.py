"""Texture moved onto a pose."""

import cv2
import numpy as np
from person import SIZE, clip, coloured, with_mattes

from main import appearance, painting

CLEAR = [i for i, part in enumerate(appearance.PARTS) if part.clear >= 0.1]  # the torso beneath the arms


def paint(pose, source, rgba, poses, arms=None, beneath=None):
    sources, sizes = np.full(len(appearance.PARTS), source), appearance.person_sizes(poses)
    sources[CLEAR] = source if beneath is None else beneath
    arms = np.ones((2, *[appearance.BINS] * 3), np.float32) if arms is None else arms
    texture = appearance.Texture(rgba, poses, sizes, arms)
    return painting.paint_references(pose, float(sizes[source]), SIZE, sources, texture)


def test_copies_between_pixels_are_as_sharp_as_the_frame():
    _, poses, _ = clip()
    noise = np.random.default_rng(0).normal(128, 60, (SIZE[1], SIZE[0], 3))
    frame = np.clip(cv2.GaussianBlur(noise, (0, 0), 0.6), 0, 255).astype(np.uint8)  # as cameras resolve
    rgba = np.repeat(np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)])[None], len(poses), 0)
    strengths = []
    for shift in np.random.default_rng(1).random((12, 2)):
        pose = poses[2].copy()
        pose[:, :2] += shift
        body = paint(pose, 2, rgba, poses)[0]
        core = cv2.erode((body[3] > 250).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        assert core.sum() > 50
        strengths.append(cv2.Laplacian(body[1].astype(np.float32), cv2.CV_32F)[core].std())
    wanted = cv2.Laplacian(frame[..., 1].astype(np.float32), cv2.CV_32F).std()
    assert abs(np.mean(strengths) / wanted - 1) < 0.08


def test_painting_a_pose_from_its_own_frame_gives_the_frame_back():
    rgba, poses, _ = clip()
    layers = paint(poses[5], 5, rgba, poses)
    for layer in layers:
        sure = layer[3] > 250
        assert sure.sum() > 100
        error = np.abs(layer[:3].transpose(1, 2, 0)[sure].astype(int) - rgba[5, ..., :3][sure])
        assert error.mean() < 2


def test_painted_parts_follow_the_pose():
    rgba, poses, _ = clip()
    moved = poses[5].copy()
    moved[:, :2] += (10, -6)
    here, there = (paint(pose, 5, rgba, poses) for pose in (poses[5], moved))
    np.testing.assert_allclose(there[:, :, :-6, 10:].astype(int), here[:, :, 6:, :-10].astype(int), atol=2)


def test_arms_are_told_from_the_body_by_their_colours():
    (hanging, free, plate), (raised, covered, _) = coloured(False), coloured(True)
    poses = np.stack([hanging, raised])
    rgba = with_mattes((free, covered), poses, plate)
    arms = appearance.arm_colours(rgba, poses, appearance.person_sizes(poses))
    red, green = (tuple(np.array(c) * appearance.BINS // 256) for c in ((220, 20, 20), (20, 220, 20)))
    assert arms[1][green] > 0.95 and arms[1][red] < 0.2
    # The forearm before the chest is moved away from it: it takes no red along, and leaves no green behind.
    body, arm = paint(hanging, 1, rgba, poses, arms, beneath=0)
    chest = body[:3, 50:66, 72:90].astype(int)
    assert (chest[1] > 100).sum() < 0.05 * chest[0].size
    sure = arm[:, 60:90, 104:124]
    assert (sure[3] > 200).sum() > 60 and (sure[0][sure[3] > 200] > 120).mean() < 0.1


def test_a_face_is_not_copied_with_the_hand_beside_it(monkeypatch):
    pose, frame, plate = coloured(False)
    pose[6, :2], pose[7, :2] = (108, 42), (94, 24)
    cv2.circle(frame, (80, 20), 9, (255, 255, 255), -1)
    rgba = with_mattes([frame], pose[None], plate)

    def white():
        arm = paint(pose, 0, rgba, pose[None])[1]
        return ((arm[:3] > 230).all(0) & (arm[3] > 60)).sum()

    copied = white()
    monkeypatch.setattr(painting, "FACE", 0.0)
    assert white() > 30 and copied < 0.5 * white()


def test_sleeves_go_with_the_arms():
    hanging, _, plate = coloured(False)
    spread, frame, _ = coloured(False)
    spread[[3, 4, 6, 7], :2] = (44, 36), (26, 30), (116, 36), (134, 30)
    frame[:] = np.where((frame == (20, 220, 20)).all(-1, keepdims=True), plate, frame)
    for shoulder, elbow in ((2, 3), (5, 6)):
        cv2.line(frame, *spread[[shoulder, elbow], :2].astype(int).tolist(), (220, 20, 20), 12)
    rgba, poses = with_mattes([frame], spread[None], plate), spread[None]
    body, arms = paint(hanging, 0, rgba, poses)
    beside = [np.s_[3, 34:42, columns] for columns in (slice(59, 63), slice(97, 101))]  # where they were
    assert max(body[sleeve].max() for sleeve in beside) < 30
    assert body[3, 42:76, 70:90].min() > 200
    assert arms[3, 46:58, 56:62].mean() > 150  # where they hang
    hanging[6:8] = 0  # nothing would be drawn instead
    assert paint(hanging, 0, rgba, poses)[0][beside[1]].mean() > 40


def test_the_chest_stays_where_arms_hang_before_it():
    side, frame, plate = coloured(False)
    side[[2, 5, 3, 6, 4, 7], :2] = (79, 42), (81, 42), (79, 60), (81, 60), (79, 78), (81, 78)
    frame[:, 90:] = plate[:, 90:]
    body, _ = paint(side, 0, with_mattes([frame], side[None], plate), side[None])
    assert body[3, 44:76, 72:88].min() > 200


def test_a_hand_before_the_other_arm_is_no_part_of_that(monkeypatch):
    apart, _, plate = coloured(False)
    crossed, frame, _ = coloured(False)
    crossed[7, :2] = (70, 50)
    cv2.line(frame, (104, 60), (70, 50), (20, 220, 20), 8)
    cv2.circle(frame, (60, 48), 6, (20, 220, 20), -1)
    poses = crossed[None]
    rgba = with_mattes([frame], poses, plate)

    def green():
        arm = paint(apart, 0, rgba, poses)[1].astype(int)[:, 38:56, 52:74]
        return ((arm[1] > arm[0] + 60) & (arm[3] > 60)).sum()

    copied = green()
    monkeypatch.setattr(painting, "_nearest", lambda shape, *_: np.ones(shape, np.float32))
    assert green() > 60 and copied < 0.8 * green()


def test_scraps_beside_an_arm_are_not_copied_with_it():
    pose, frame, plate = coloured(False)
    frame[60:, 100:] = plate[60:, 100:]
    cv2.line(frame, *pose[[6, 7], :2].astype(int).tolist(), (20, 220, 20), 2)
    rgba = with_mattes([frame], pose[None], plate)
    clean = paint(pose, 0, rgba, pose[None])[1]
    rgba[0, 70:74, 113:115] = 20, 220, 20, 255
    arm = paint(pose, 0, rgba, pose[None])[1]
    assert arm[3, 68:76, 112:116].max() < 60
    np.testing.assert_array_equal(arm[3, 60:80, 103:109], clean[3, 60:80, 103:109])


def test_nothing_is_painted_of_a_missing_person():
    rgba, poses, _ = clip()
    assert paint(poses[5] * 0, 5, rgba, poses).max() == 0


def test_the_wall_does_not_come_along_with_the_rim(monkeypatch):
    pose, frame, _ = coloured(False)
    body = cv2.GaussianBlur((frame != 120).any(-1).astype(np.float32), (0, 0), 0.7)[..., None]
    frame = body * np.array((220, 20, 20)) + (1 - body) * 230
    rgba = np.dstack([frame, 255 * body])[None].astype(np.uint8)

    def paleness():
        _, green, _, cover = paint(pose, 0, rgba, pose[None])[0].astype(int)
        rim = (abs(rgba[0, ..., 3].astype(int) - 95) < 35) & (cover > 50)
        assert rim.sum() > 50
        return green[rim].mean()

    copied = paleness()
    monkeypatch.setattr(painting, "_without_wall", lambda picture: picture)
    assert copied < 40 and paleness() > 120


def test_a_white_rim_stays_white():
    picture = np.full((9, 9, 4), 255, np.uint8)
    picture[..., 3] = 250
    picture[:, 6:] = 200, 200, 200, 60
    rim = painting._without_wall(picture)[:, 6:8]
    assert rim[..., :3].min() >= 254 and (rim[..., 3] == 60).all()


def test_what_the_other_leg_does_in_the_source_is_not_copied(monkeypatch):
    together, frame, plate = coloured(False)
    astride = together.copy()
    astride[[9, 10, 12, 13], 0] = 58, 46, 102, 114
    rgba, poses = with_mattes([frame], together[None], plate), together[None]

    def between():
        return paint(astride, 0, rgba, poses)[0][3, 84:112, 74:87].astype(int)

    copied = between()
    assert copied[12:].max() < 60
    monkeypatch.setattr(painting, "_nearest", lambda shape, *_: np.ones(shape, np.float32))
    assert copied.sum() < 0.8 * between().sum() and between()[12:].max() > 100
