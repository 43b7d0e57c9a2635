"""Bars around the picture, on frames that were put between bars here; and what looks like bars but is none."""

import cv2
import numpy as np
import pytest
from clip_maker import moving_square, write_clip

from data import bars, video
from data.video import read_frames, sample_frames

SIZE = (320, 180)
COUNT = 8


def room(i, size=SIZE, dark=1.0):
    """A picture (H, W, 3) of a room full of things, with somebody who moves in it."""
    width, height = size
    rng = np.random.default_rng(5)
    picture = cv2.resize(rng.integers(60, 200, (5, 8, 3), np.uint8), size, interpolation=cv2.INTER_CUBIC)
    for x, y in rng.integers(0, (width - 20, height - 20), (60, 2)):
        cv2.rectangle(picture, (int(x), int(y)), (int(x + 18), int(y + 14)), rng.integers(20, 240, 3).tolist(), -1)
    x = width // 4 + i * width // (3 * COUNT)
    cv2.rectangle(picture, (x, height // 4), (x + width // 8, height - 1), (30, 30, 60), -1)
    noise = rng.normal(0, 3, picture.shape)
    return np.clip(dark * (picture + noise), 0, 255).astype(np.uint8)


def compressed(frames):
    return [cv2.imdecode(cv2.imencode(".jpg", f, [cv2.IMWRITE_JPEG_QUALITY, 85])[1], 1) for f in frames]


def between(frame, left=0, top=0, right=0, bottom=0):
    return cv2.copyMakeBorder(frame, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(0, 0, 0))


def on_copy(frame, size, blur=8, zoom=1.0, dim=0.7):
    """A picture in the middle of a frame of `size`, on an enlarged, blurred copy of itself; and its box."""
    (width, height), (w, h) = size, frame.shape[1::-1]
    scale = min(width / w, height / h)
    w, h = round(w * scale / 2) * 2, round(h * scale / 2) * 2
    cover = zoom * max(width / w, height / h)
    large = cv2.resize(frame, (round(w * cover), round(h * cover)))
    y, x = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    result = (dim * cv2.GaussianBlur(large[y : y + height, x : x + width], (0, 0), blur)).astype(np.uint8)
    left, top = (width - w) // 2, (height - h) // 2
    result[top : top + h, left : left + w] = cv2.resize(frame, (w, h), interpolation=cv2.INTER_AREA)
    return result, (left, top, left + w, top + h)


def check(frames, wanted):
    """The box is the wanted one, or up to three pixels smaller at sides with bars, and its own sides are even."""
    found = bars.picture_of(compressed(frames))
    whole = (0, 0, *frames[0].shape[1::-1])
    for i, (ours, truth) in enumerate(zip(found, wanted, strict=True)):
        inwards = (ours - truth) * (1 if i < 2 else -1)
        assert 0 <= inwards <= (3 if truth != whole[i] else 1), (found, wanted)
    assert (found[2] - found[0]) % 2 == 0 and (found[3] - found[1]) % 2 == 0


@pytest.mark.parametrize("dark", [1.0, 0.25])
@pytest.mark.parametrize("bars", [(0, 30, 0, 31), (45, 0, 46, 0), (0, 0, 25, 0), (12, 20, 30, 9), (0, 3, 0, 3)])
def test_black_bars(bars, dark):
    frames = [between(room(i, dark=dark), *bars) for i in range(COUNT)]
    check(frames, (bars[0], bars[1], bars[0] + SIZE[0], bars[1] + SIZE[1]))


def test_captions_in_a_bar_and_a_title_card_without_bars():
    frames = [between(room(i), 0, 40, 0, 50) for i in range(10)]
    for i, frame in enumerate(frames):
        cv2.putText(frame, f"words {i}{i} in it", (30, 258), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (255, 255, 255), 2)
    frames[0] = np.full_like(frames[0], 230)
    frames[9] = np.zeros_like(frames[0])
    check(frames, (0, 40, SIZE[0], 40 + SIZE[1]))


@pytest.mark.parametrize("size", [(320, 180), (180, 320), (300, 300)])
@pytest.mark.parametrize(("blur", "zoom", "dim"), [(6, 1.0, 1.0), (10, 1.2, 0.6)])
def test_blurred_bars(size, blur, zoom, dim):
    own = (320, 180) if size[0] <= size[1] else (180, 320)
    pairs = [on_copy(room(i, own), size, blur, zoom, dim) for i in range(COUNT)]
    check([frame for frame, _ in pairs], pairs[0][1])


def stage(i):
    """Somebody lit before a black backdrop, on a lit floor."""
    frame = np.zeros((180, 320, 3), np.uint8)
    frame[150:] = 90
    cv2.ellipse(frame, (120 + 8 * i, 90), (20, 65), 0, 0, 360, (200, 170, 150), -1)
    return frame


def smooth_walls(i):
    """Smooth, wide door posts to both sides of a room full of things."""
    frame = room(i)
    frame[:, :80] = np.linspace(150, 190, 80)[None, :, None]
    frame[:, -80:] = np.linspace(170, 120, 80)[None, :, None]
    return frame


def night(i):
    return room(i, dark=0.08)


def white(i):
    frame = np.full((180, 320, 3), 255, np.uint8)
    frame[40:170, 120 + 3 * i : 160 + 3 * i] = 40
    return frame


@pytest.mark.parametrize("make", [room, stage, smooth_walls, night, white])
def test_what_is_no_bar(make):
    assert bars.picture_of(compressed([make(i) for i in range(COUNT)])) == (0, 0, 320, 180)


def test_nothing_but_black():
    assert bars.picture_of([np.zeros((90, 160, 3), np.uint8)] * 3) == (0, 0, 160, 90)


def test_the_picture_is_read_and_laid_back(tmp_path):
    frames = [between(room(i), 40, 0, 60, 0) for i in range(12)]
    path = write_clip(tmp_path / "a.mp4", frames, options={"crf": "8"})
    box, around = bars.find_picture(path)
    check(frames, (40, 0, 360, 180))
    assert box[0] >= 40 and box[2] <= 360 and around.shape == frames[0].shape
    whole = list(read_frames(path))
    part = list(read_frames(path, crop=box))
    assert [time for _, time, _ in part] == [time for _, time, _ in whole]
    for (*_, cropped), (*_, frame) in zip(part, whole, strict=True):
        assert np.array_equal(cropped, frame[box[1] : box[3], box[0] : box[2]])
        again = bars.put_back(cropped, around, box)
        assert np.abs(again.astype(int) - frame).max() <= 12, "a bar is the same in all frames"
    small = next(read_frames(path, (96, 64), box))[2]
    assert np.abs(small.astype(int) - video.resize(part[0][2], (96, 64))).max() <= 1


def test_a_video_without_bars(tmp_path):
    path = write_clip(tmp_path / "a.mp4", [room(i) for i in range(6)])
    assert bars.find_picture(path) == ((0, 0, 320, 180), None)


@pytest.mark.parametrize("interval", [1, 5, 250])
def test_a_sample_is_spread_over_the_video(tmp_path, interval):
    """The square moves to the right."""
    path = write_clip(tmp_path / "a.mp4", moving_square(50), options={"g": str(interval)})
    frames = [frame for _, frame in sample_frames(path, 5)]
    assert len(frames) == 5
    places = [np.flatnonzero((f[..., 0] > 150).any(axis=0)).mean() for f in frames]
    assert (np.diff(places) > 5).all() and places[-1] - places[0] > 0.5 * 96 * 0.7
