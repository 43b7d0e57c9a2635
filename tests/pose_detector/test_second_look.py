"""Following one person by what a network sees in a crop."""

import numpy as np
import pytest
from looks import StubLooker
from stick_figure import Camera, figure, keypoints, stroll

from pose_detector.crop import Crop
from pose_detector.second_look import STEADY_SHIFT, follow, join, steady

SIZE = (320, 240)


def looks_of(frames, first, looker):
    """What is seen in each frame; the frames come back in their order."""
    pairs = list(follow(frames, first, looker))
    for given, (frame, _) in zip(frames, pairs, strict=True):
        assert abs(int(frame.mean()) - int(given.mean())) <= 1
    return [look for _, look in pairs]


def people(count, seed=0, shift=0.0):
    poses = keypoints(figure(stroll(count, 0.4, 0.2, seed=seed)), Camera(1.0, 4.0, 1.2, SIZE))
    poses[..., 0] += shift
    return poses


def numbered(count):
    """Frames that tell their number."""
    return [np.full((SIZE[1], SIZE[0], 3), i, np.uint8) for i in range(count)]


def test_the_crop_follows_what_the_second_look_sees():
    poses = people(30)
    poses[:, :, 0] += np.linspace(0, 120, 30)[:, None]
    looker = StubLooker(lambda frame: poses[round(frame.mean())])
    first = np.zeros_like(poses)
    first[0] = poses[0]  # the first look sees somebody once only
    looks = looks_of(numbered(30), first, looker)
    for look, pose in zip(looks, poses, strict=True):
        np.testing.assert_allclose(look.keypoints, pose, atol=1e-4)
        inside = look.crop.to_crop(pose[:, :2], 100)
        assert (inside > 0).all() and (inside < 99).all(), "the whole person is in the crop"


def test_where_the_second_look_loses_the_person_the_first_gives_them_anew():
    poses = people(20)
    looker = StubLooker(lambda frame: None if 5 <= round(frame.mean()) < 9 else poses[round(frame.mean())])
    looks = looks_of(numbered(20), poses, looker)
    assert [look is None for look in looks] == [5 <= i < 9 for i in range(20)]
    blind = poses.copy()
    blind[9:13] = 0
    looks = looks_of(numbered(20), blind, looker)
    assert [look is None for look in looks] == [5 <= i < 9 for i in range(20)], "from frame 13 back"
    blind[9:] = 0
    looks = looks_of(numbered(20), blind, looker)
    assert [look is None for look in looks] == [5 <= i for i in range(20)], "nobody tells where to look"


def test_before_the_first_look_sees_the_person_they_are_followed_back():
    poses = people(30)
    looker = StubLooker(lambda frame: None if round(frame.mean()) < 4 else poses[round(frame.mean())])
    first = poses.copy()
    first[:20] = 0
    looks = looks_of(numbered(30), first, looker)
    assert [look is None for look in looks] == [i < 4 for i in range(30)]
    for look, pose in zip(looks[4:], poses[4:], strict=True):
        np.testing.assert_allclose(look.keypoints, pose, atol=1e-4)


def test_frames_wait_within_bounds(monkeypatch):
    """Nobody comes for long: the oldest frames go, and nothing is lost or out of order."""
    monkeypatch.setattr("pose_detector.second_look.MOST_WAITING", 12_000)
    poses = people(30)
    first = np.zeros_like(poses)
    first[25:] = poses[25:]
    looks = looks_of(numbered(30), first, StubLooker(lambda frame: poses[round(frame.mean())]))
    assert looks[0] is None and all(look is not None for look in looks[23:])


def test_somebody_else_is_not_followed():
    """A bystander stands in the crop: the second look sees them, the first look knows better."""
    dancer, other = people(12), people(12, shift=110.0)

    class Confused(StubLooker):
        def look(self, frame, crop):
            # Sees the one who is nearer to the middle of the crop; for a while the bystander whatever the crop.
            i = round(frame.mean())
            nearer = abs(crop.x - dancer[i, 1, 0]) < abs(crop.x - other[i, 1, 0])
            self.find = lambda _: dancer[i] if nearer and i not in (4, 5) else other[i]
            return super().look(frame, crop)

    looks = looks_of(numbered(12), dancer, Confused(None))
    assert [look is None for look in looks] == [i in (4, 5) for i in range(12)]
    for i in (3, 6, 11):
        np.testing.assert_allclose(looks[i].keypoints, dancer[i], atol=1e-4)


def test_a_rough_first_crop_is_put_right_before_it_is_believed():
    poses = people(1)
    looker = StubLooker(lambda _: poses[0])
    hands_only = poses.copy()
    hands_only[0, [0, 1, *range(8, 18)]] = 0
    (look,) = looks_of(numbered(1), hands_only, looker)
    inside = look.crop.to_crop(poses[0, :, :2], 100)
    assert (inside > 0).all() and (inside < 99).all() and len(looker.crops) > 1


def test_who_stands_still_is_seen_in_the_same_pixels():
    pose = people(1)[0]
    rng = np.random.default_rng(0)
    looker = StubLooker(lambda _: pose + np.column_stack([rng.normal(0, 0.5, (18, 2)), np.zeros(18)]))
    looks_of(numbered(25), np.repeat(pose[None], 25, 0), looker)
    assert len(set(looker.crops[3:])) == 1


@pytest.mark.parametrize(
    ("change", "moves"),
    [
        ({}, False),
        ({"x": 100 + 0.8 * STEADY_SHIFT * 200}, False),
        ({"x": 100 + 1.2 * STEADY_SHIFT * 200}, True),
        ({"side": 190}, False),
        ({"side": 170}, True),
        ({"angle": 0.2}, False),
        ({"angle": 0.5}, True),
        ({"angle": 2 * np.pi + 0.1}, False),
    ],
)
def test_small_changes_do_not_move_the_crop(change, moves):
    now = Crop(100, 100, 200, 0.0)
    wanted = Crop(**{"x": 100, "y": 100, "side": 200, "angle": 0.0, **change})
    assert steady(now, wanted) is (wanted if moves else now)


def test_the_surer_look_tells_each_keypoint():
    first, second = people(4), people(4, seed=3)
    first[..., 2], second[..., 2] = 0.8, 0.5
    second[0, 4, 2] = 0.6
    second[1] = 0
    joined = join(second, first, 0.7)  # 0.56 against 0.5 and 0.6
    np.testing.assert_array_equal(joined[0, 4], second[0, 4])
    np.testing.assert_array_equal(joined[0, 5], first[0, 5])
    np.testing.assert_array_equal(joined[1], first[1])
    np.testing.assert_array_equal(join(second, first, 0.0), second)
