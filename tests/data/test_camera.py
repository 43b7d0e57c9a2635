"""The camera's movement: found, joined without drift, and taken out."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import camera, pictures, stabilise
from data.annotations import Annotations, image_name, mask_name
from data.homography import footprint, grid, normalised, rescaled, transform
from data.registration import in_room
from main.test import Framing

SIZE = (256, 144)


def wall(seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8, larger than a frame by 64 pixels on every side."""
    rng = np.random.default_rng(seed)
    picture = np.full((SIZE[1] + 128, SIZE[0] + 128, 3), 120, np.uint8)
    for x, y, w, h in rng.integers((0, 0, 8, 8), (SIZE[0] + 100, SIZE[1] + 100, 40, 40), (120, 4)):
        cv2.rectangle(picture, (int(x), int(y)), (int(x + w), int(y + h)), rng.integers(30, 225, 3).tolist(), -1)
    return cv2.GaussianBlur(picture, (0, 0), 0.8)


def hand(count: int, reach: float = 12.0) -> np.ndarray:
    """(N, 3, 3) from the frames to the wall: a path that turns, rolls and zooms, and comes back."""
    t = np.linspace(0, 2 * np.pi, count)
    x, y, roll = 64 + reach * np.sin(t), 64 + 0.6 * reach * np.sin(2 * t), 0.02 * np.sin(t)
    zoom, bend = np.exp(0.05 * np.sin(t)), -2e-5 * np.sin(t)
    c, s, zero, one = zoom * np.cos(roll), zoom * np.sin(roll), 0 * t, 1 + 0 * t
    return np.stack([c, -s, x, s, c, y, bend, zero, one], -1).reshape(-1, 3, 3)


def view(picture: np.ndarray, homography: np.ndarray) -> np.ndarray:
    return cv2.warpPerspective(picture, homography, SIZE, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)


def people(x: float) -> np.ndarray:
    mask = np.zeros(SIZE[::-1], np.uint8)
    cv2.rectangle(mask, (int(x), 40), (int(x) + 40, 130), 255, -1)
    return mask


def followed(path: np.ndarray, light: float = 0.0, person: bool = True) -> camera.Path:
    """What is found of a path; a striped person walks through the picture, and exposure changes by a share."""
    tracker = camera.Tracker(SIZE)
    rng = np.random.default_rng(1)
    stripes = np.uint8(rng.integers(0, 255, (*SIZE[::-1], 3)))
    for n, homography in enumerate(path):
        frame = view(wall(), homography)
        mask = people(20 + 150 * n / len(path)) if person else np.zeros(SIZE[::-1], np.uint8)
        frame = np.where(mask[..., None] > 0, stripes, frame)
        frame = frame * (1 + light * np.sin(n / 3)) + rng.normal(0, 1.5, frame.shape)
        tracker.add(np.clip(frame, 0, 255).astype(np.uint8), mask)
    return tracker.path()


def errors(found: camera.Path, path: np.ndarray) -> np.ndarray:
    points = np.broadcast_to(grid(SIZE, 5), (len(path), 25, 2))
    truth = np.linalg.inv(path[found.reference]) @ path
    return np.linalg.norm(transform(found.homographies, points) - transform(truth, points), axis=-1)


@pytest.mark.parametrize("reach", [6.0, 40.0])
def test_a_camera_in_the_hand_is_followed_below_a_pixel(reach: float):
    path = hand(40, reach)
    found = followed(path, light=0.15)
    assert found.good.all() and found.known and not found.still
    wrong = errors(found, path)
    assert np.median(wrong) < 0.4 and np.percentile(wrong, 95) < 1.0
    assert wrong[-1].max() < 0.5, "what comes back is where it was: nothing drifts"


def test_a_camera_that_stands_changes_nothing():
    found = followed(hand(24, 0.0)[:1].repeat(24, 0), light=0.15)
    assert found.still and found.known and found.good.all()
    assert (found.homographies == np.eye(3)).all()


def test_a_room_without_anything_to_see_is_not_guessed_at():
    tracker = camera.Tracker(SIZE)
    rng = np.random.default_rng(0)
    for n in range(12):
        plain = np.uint8(np.clip(rng.normal(128, 1.5, (*SIZE[::-1], 3)), 0, 255))
        tracker.add(np.where(people(10 * n)[..., None] > 0, np.uint8(30 + n), plain), people(10 * n))
    found = tracker.path()
    assert found.still and found.good.all()


def test_frames_of_another_room_are_left_out():
    path = hand(30)
    tracker = camera.Tracker(SIZE)
    for n, homography in enumerate(path):
        tracker.add(view(wall(5 if 10 <= n < 15 else 0), homography), np.zeros(SIZE[::-1], np.uint8))
    found = tracker.path()
    assert not found.good[10:15].any() and found.good[:10].all() and found.good[16:].all()


def test_a_title_before_the_room_does_no_harm():
    path = hand(30)
    tracker = camera.Tracker(SIZE)
    for n, homography in enumerate(path):
        frame = view(wall(), homography) if n >= 8 else np.zeros((*SIZE[::-1], 3), np.uint8)
        tracker.add(frame, np.zeros(SIZE[::-1], np.uint8))
    found = tracker.path()
    assert found.known and not found.still
    assert found.good[12:].all() and not found.good[:8].any()
    assert np.percentile(errors(found, path)[found.good], 95) < 1


def test_what_lies_between_two_shots_of_a_room_is_no_part_of_it():
    """As in a training video: a title card first, then the room, another scene, the room again from a little aside."""
    path = hand(40)
    scenes = np.where((np.arange(40) < 8) | ((np.arange(40) >= 20) & (np.arange(40) < 26)), -1, 0)
    cameras = camera.Cameras(SIZE, scenes)
    for scene, homography in zip(scenes, path, strict=True):
        cameras.add(view(wall(scene), homography) if scene == 0 else view(wall(5), path[0]), people(0) * 0)
    found = cameras.path()
    assert (found.good == (scenes == 0)).all() and found.known and not found.still
    assert scenes[found.reference] == 0 and (found.homographies[scenes < 0] == np.eye(3)).all()
    assert np.percentile(errors(found, path)[found.good], 95) < 1.0


def test_each_shot_of_a_dance_has_a_camera_of_its_own():
    path = hand(40)
    path[20:] = path[20]
    cameras = camera.Cameras(SIZE, np.arange(40) // 20)
    for n, homography in enumerate(path):
        cameras.add(view(wall(n // 20), homography), people(0) * 0)
    found = cameras.path()
    assert found.good.all() and not found.still
    assert (found.homographies[20:] == np.eye(3)).all(), "the second one stands"
    first = camera.Path(found.homographies[:20], found.good[:20], found.reference)
    assert found.reference < 20 and np.percentile(errors(first, path[:20]), 95) < 1.0


def test_the_canvas_holds_all_frames():
    found = camera.Path(normalised(np.linalg.inv(hand(20)[0]) @ hand(20)), np.ones(20, bool), 0, 0.1)
    homographies, size, box = camera.canvas(found, SIZE)
    assert (box[2:] - box[:2]).tolist() == list(SIZE)
    np.testing.assert_allclose(transform(homographies[0], np.zeros((1, 2))), [box[:2]], atol=1e-6)
    corners = transform(homographies, np.broadcast_to(grid(SIZE, 2), (20, 4, 2)))
    assert corners.min() > -1e-6 and (corners <= np.array(size) - 1 + 1e-6).all()
    assert not any(side % 2 for side in size)


@settings(max_examples=30)
@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(0.9, 1.1), st.floats(0.5, 4), st.floats(0.5, 4))
def test_a_homography_follows_a_resize(x: float, y: float, zoom: float, wide: float, high: float):
    homography = np.array([[zoom, 0.02, x], [-0.02, zoom, y], [1e-5, -1e-5, 1]])
    scale = np.array([wide, high])
    points = grid(SIZE)
    there = transform(rescaled(homography, scale), (points + 0.5) * scale - 0.5)
    np.testing.assert_allclose(there, (transform(homography, points) + 0.5) * scale - 0.5, atol=1e-6)


def test_to_and_fro():
    path = np.tile(np.eye(3), (5, 1, 1))
    path[:, 0, 2] = np.arange(5)
    there = camera.to_and_fro(path, 10.0, np.arange(0, 1.7, 0.1))[:, 0, 2]
    np.testing.assert_allclose(there[:13], [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3, 4], atol=1e-9)
    assert camera.to_and_fro(path, 10.0, np.array([0.05]))[0, 0, 2] == pytest.approx(0.5)


def test_a_frame_of_the_same_room_is_found_in_it():
    path = hand(8)
    room = view(wall(), path[0])
    frame = cv2.resize(view(wall(), path[3]), (320, 180), interpolation=cv2.INTER_CUBIC)
    found = in_room(frame, np.zeros((180, 320), np.uint8), room)
    points = grid(SIZE)
    truth = transform(np.linalg.inv(path[0]) @ path[3], points)
    scale = np.array([1.25, 1.25])
    assert np.abs(transform(found, (points + 0.5) * scale - 0.5) - truth).max() < 0.5
    assert in_room(view(wall(7), path[3]), np.zeros(SIZE[::-1], np.uint8), room) is None


def test_laid_frames_show_the_plate_where_they_show_nothing(tmp_path):
    path = hand(6, 30.0)
    found = camera.Path(normalised(np.linalg.inv(path[0]) @ path), np.ones(6, bool), 0, 0.1)
    homographies, size, _ = camera.canvas(found, SIZE)
    plate = cv2.warpPerspective(
        wall(), np.linalg.inv(path[0] @ np.linalg.inv(homographies[0])), size, flags=cv2.INTER_CUBIC
    )
    for n in range(6):
        pictures.write(tmp_path / image_name(n), np.uint8(np.clip(view(wall(), path[n]) * 0.9, 0, 255)), 98)
        pictures.write(tmp_path / mask_name(n), people(100))
    stabilise.warp_files(tmp_path, tmp_path, range(6), homographies, SIZE, plate)
    for n in range(6):
        frame, mask = pictures.read(tmp_path / image_name(n)), pictures.read(tmp_path / mask_name(n), grey=True)
        assert frame.shape[1::-1] == mask.shape[1::-1] == size
        assert np.abs(frame.astype(int) - plate).mean() < 3, "registered, and as bright as the plate"
        beyond = footprint(homographies[n], SIZE, size) == 0
        assert beyond.any() == (n > 0 or tuple(size) != SIZE)
        assert np.abs(frame.astype(int) - plate)[beyond].mean() < 1.5 and not mask[beyond].any()


def annotations(count: int = 4) -> Annotations:
    rng = np.random.default_rng(0)
    keypoints = np.concatenate([rng.uniform(20, 100, (count, 18, 2)), np.ones((count, 18, 1))], -1)
    return Annotations(
        frame_numbers=np.arange(count),
        times=np.arange(count) / 25,
        keypoints=keypoints.astype(np.float32),
        filled=np.zeros((count, 18), bool),
        fps=25.0,
        frame_size=SIZE,
        total_frames=count,
        source="train.mp4",
        rotation=0,
        fingerprint="",
        view=np.array([10, 6, 10 + 192, 6 + 108]),
    )


def test_annotations_in_their_view(tmp_path):
    seen = annotations().in_view()
    seen.check()
    assert seen.frame_size == (192, 108) and seen.view.tolist() == [0, 0, 192, 108]
    np.testing.assert_allclose(seen.keypoints[..., :2], annotations().keypoints[..., :2] - (10, 6), atol=1e-4)
    assert seen.camera[0, 0, 2] == -10 and seen.camera[0, 1, 2] == -6
    annotations().save(tmp_path / "a.npz")
    assert Annotations.load(tmp_path / "a.npz").view.tolist() == [10, 6, 202, 114]
    wrong = annotations()
    wrong.view = np.array([0, 0, 300, 100])
    with pytest.raises(ValueError, match="view"):
        wrong.check()


def test_the_result_stands_or_moves_as_the_training_video_did():
    path = hand(8, 20.0)
    found = camera.Path(normalised(np.linalg.inv(path[0]) @ path), np.ones(8, bool), 0, 0.1)
    homographies, size, box = camera.canvas(found, SIZE)
    plate = cv2.warpPerspective(wall(), np.linalg.inv(path[0] @ np.linalg.inv(homographies[0])), size)
    person = annotations(8)
    person.frame_size, person.camera, person.view = size, homographies, box
    still, moving = Framing(person), Framing(person, np.arange(20) / 25)
    assert (still(plate, 0) == still(plate, 5)).all() and still(plate, 0).shape[1::-1] == SIZE
    for t, n in ((0, 0), (3, 3), (7, 7), (9, 5)):
        assert np.abs(moving(plate, t).astype(int) - view(wall(), path[n])).mean() < 4, "to and fro"
    assert np.abs(moving(plate, 2).astype(int) - still(plate, 2)).mean() > 4


def test_what_is_hit_and_missed_by_turns_is_guesswork():
    tracker = camera.Tracker(SIZE)
    tracker.add(view(wall(), hand(90)[0]), np.zeros(SIZE[::-1], np.uint8))
    tracker.near, tracker.found = [0] * 90, list(np.linalg.inv(hand(90)[0]) @ hand(90))
    tracker.good = [n % 3 == 0 for n in range(90)]
    assert tracker.path().still and not tracker.path().known and tracker.path().good.all()
    tracker.good = [n < 40 or n % 3 == 0 for n in range(90)]
    assert not tracker.path().still and tracker.path().good.tolist() == tracker.good
