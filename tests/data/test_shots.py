"""Shots, fades, which shots show the room, and that nothing connects across a cut, on frames whose truth is known."""

import cv2
import numpy as np
import pytest
from looks import StubLooker
from maps import STANDING
from rooms import FPS, moved, noisy, room

from data import shots
from data.frame_stats import FrameStats
from pose_detector.clothes import clothes, likeness
from pose_detector.second_look import follow
from pose_detector.tracking import choose, track

BLACK = np.zeros_like(room(1))


def measured(frames):
    stats = FrameStats()
    for frame in frames:
        stats.add_frame(frame)
    return stats


def test_a_black_lead_is_a_shot_that_shows_nothing():
    stats = measured(noisy([BLACK] * 12 + [room(1)] * 40))
    assert shots.find_shots(stats, FPS).tolist() == [0, 12]
    assert np.flatnonzero(shots.blank(stats)).tolist() == list(range(12))


@pytest.mark.parametrize("white", [False, True])
def test_fades_at_both_ends(white):
    """The room comes within a second and goes within a second; a pan between them is none."""
    ground = 250 if white else 0
    frames = [moved(room(1), 2 * i, 0) for i in range(100)]
    for i in range(25):
        for n in (i, -1 - i):
            frames[n] = (ground + (frames[n] - float(ground)) * i / 25).astype(np.uint8)
    stats = measured(noisy(frames))
    starts = shots.find_shots(stats, FPS)
    gone = shots.blank(stats) | shots.fades(stats, starts, FPS)
    assert gone[:22].all() and gone[-22:].all() and not gone[26:-26].any()


def test_a_dark_corner_is_no_fade():
    """The camera turns to a dark wall for a while."""
    frames = [(room(1) * (0.7 if 40 <= i < 60 else 1)).astype(np.uint8) for i in range(100)]
    stats = measured(noisy(frames))
    assert not shots.fades(stats, [0], FPS).any() and not shots.blank(stats).any()


def standing(x, count, torso=30):
    pose = np.concatenate([STANDING * torso + (x, 40), np.ones((18, 1))], axis=1).astype(np.float32)
    return np.repeat(pose[None], count, axis=0)


def near(frame, factor=1.3):
    height, width = frame.shape[:2]
    h, w = round(height / factor), round(width / factor)
    return cv2.resize(frame[10 : 10 + h, 20 : 20 + w], (width, height))


def test_shots_that_show_the_room():
    """Title, room, a nearer view of it, the room again with more light, the mirrored room, another one."""
    lit = np.clip(room(1) * 1.15, 0, 255).astype(np.uint8)
    scenes = [(room(9), 30), (room(1), 40), (near(room(1)), 35), (lit, 20), (room(1)[:, ::-1], 30), (room(5), 30)]
    frames = noisy([scene for scene, count in scenes for _ in range(count)])
    stats = measured(frames)
    starts = shots.find_shots(stats, FPS)
    assert starts.tolist() == np.cumsum([0, *(count for _, count in scenes)])[:-1].tolist()
    dancer = standing(100, len(frames))
    dancer[:30] = 0
    rooms = shots.rooms(stats, starts, dancer, (256, 144))
    showing = shots.show_room(starts, rooms, (dancer[..., 2] > 0).any(axis=1))
    assert showing.tolist() == [False, True, False, True, False, False]
    left = shots.left_out(stats, starts, showing, FPS)
    assert left["of another scene"].sum() == 125 and not left["blank"].any() and not left["fading"].any()


def test_without_the_dancer_the_longest_shot_is_no_better():
    assert shots.show_room([0, 50], [None, None], np.arange(70) >= 55).tolist() == [False, True]


def dressed(frame, pose, trunk, legs):
    """A frame in which somebody wears these colours."""
    points = pose[:, :2].round().astype(int)
    cv2.fillPoly(frame, [points[[2, 5, 11, 8]]], trunk)
    for hip, knee in ((8, 9), (11, 12)):
        cv2.line(frame, points[hip].tolist(), points[knee].tolist(), legs, 9)
    return frame


RED, GREEN, BLUE, GREY = (200, 30, 30), (30, 160, 40), (40, 40, 180), (120, 120, 120)


def seen(places):
    """Detections and clothes of people (x, trunk, legs, torso) in each frame."""
    detections, worn = [], []
    for people in places:
        frame = np.full((160, 400, 3), 90, np.uint8)
        poses = [standing(x, 1, torso)[0] for x, _, _, torso in people]
        for pose, (_, trunk, legs, _) in zip(poses, people, strict=True):
            dressed(frame, pose, trunk, legs)
        keypoints = np.array([pose[:, :2] for pose in poses], np.float32).reshape(-1, 18, 2)
        scores = np.ones((len(poses), 18), np.float32)
        detections.append((keypoints, scores))
        worn.append(clothes(frame, keypoints, scores))
    return detections, worn


def test_the_dancer_is_known_again_after_a_cut():
    """In the second shot somebody else stands where the dancer stood, and the dancer, larger, elsewhere."""
    dancer, other = (RED, BLUE), (GREEN, GREY)
    places = [[(100, *dancer, 30), (300, *other, 28)]] * 30 + [[(100, *other, 30), (250, *dancer, 38)]] * 30
    detections, worn = seen(places)
    tracks = track(detections, 25.0, [0, 30], worn)
    assert len(tracks) == 2
    mine = tracks[choose(tracks)].keypoints
    assert mine[10, 1, 0] == pytest.approx(100) and mine[40, 1, 0] == pytest.approx(250)


def test_a_stranger_in_another_scene_is_not_the_dancer():
    detections, worn = seen([[(100, RED, BLUE, 30)]] * 40 + [[(100, GREEN, GREY, 30)]] * 20)
    tracks = track(detections, 25.0, [0, 40], worn)
    assert not tracks[choose(tracks)].present[40:].any()


def test_who_was_away_for_long_is_known_again():
    places = [[(100, RED, BLUE, 30)]] * 30 + [[]] * (11 * 25) + [[(300, RED, BLUE, 30)]] * 30
    detections, worn = seen(places)
    tracks = track(detections, 25.0, [0], worn)
    assert len(tracks) == 1 and tracks[0].present.sum() == 60


def test_clothes_do_not_depend_on_size_or_side():
    frame = dressed(np.full((160, 400, 3), 90, np.uint8), standing(200, 1, 40)[0], RED, BLUE)
    pose = standing(200, 1, 40)[0]
    mirrored = pose.copy()
    mirrored[:, 0] = 399 - pose[:, 0]
    ours = clothes(frame, pose[None, :, :2], pose[None, :, 2])[0]
    other = clothes(frame[:, ::-1], mirrored[None, :, :2], mirrored[None, :, 2])[0]
    assert likeness(ours, other) > 0.95 and np.allclose(ours.sum(axis=1), 1, atol=1e-4)
    assert likeness(ours, np.zeros_like(ours)) == 0


def test_nobody_is_followed_across_a_cut():
    """The first look sees the dancer in the first shot only, the second look would go on."""
    pose = standing(100, 1)[0]
    first = standing(100, 20)
    first[10:] = 0
    frames = [np.full((144, 256, 3), 90, np.uint8)] * 20
    looks = [look for _, look in follow(frames, first, StubLooker(lambda _: pose), [0, 10])]
    assert all(look is not None for look in looks[:10]) and all(look is None for look in looks[10:])
    back = [look for _, look in follow(frames, first[::-1].copy(), StubLooker(lambda _: pose), [0, 10])]
    assert all(look is None for look in back[:10]) and all(look is not None for look in back[10:])


def test_each_shot_by_itself():
    assert shots.parts([0, 3, 4], 6) == [slice(0, 3), slice(3, 4), slice(4, 6)]
    result = shots.in_each([0, 3], lambda part: part - part.mean(), np.array([1.0, 2, 3, 10, 20]))
    assert result.tolist() == [-1, 0, 1, -5, 5]
