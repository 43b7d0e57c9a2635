"""Square crops of a frame."""

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pose_detector.crop import Crop, body_circle

crops = st.builds(Crop, st.floats(-50, 400), st.floats(-50, 400), st.floats(10, 900), st.floats(-np.pi, np.pi))


@given(crops, st.sampled_from([32, 256]), st.integers(0, 1000))
def test_points_go_there_and_back(crop, size, seed):
    points = np.random.default_rng(seed).uniform(-100, 500, (7, 2))
    np.testing.assert_allclose(crop.to_frame(crop.to_crop(points, size), size), points, atol=1e-6)


@given(crops, st.sampled_from([32, 256]))
def test_the_middle_and_the_sides_are_where_they_should_be(crop, size):
    middle = np.full(2, (size - 1) / 2)
    np.testing.assert_allclose(crop.to_frame(middle, size), [crop.x, crop.y], atol=1e-6)
    across = crop.to_frame(np.array([size, 0]), size) - crop.to_frame(np.array([0, 0]), size)
    np.testing.assert_allclose(across, crop.side * np.array([np.cos(crop.angle), np.sin(crop.angle)]), atol=1e-6)


@given(st.floats(80, 120), st.floats(80, 120), st.floats(60, 300), st.floats(-3, 3))
@settings(max_examples=60)
def test_a_blob_is_cut_where_its_point_goes(x, y, side, angle):
    """To a fraction of a pixel, at any scale: what is shrunk is averaged and not moved."""
    frame = np.zeros((200, 200, 3), np.uint8)
    sigma = max(4.0, side / 40)
    ys, xs = np.mgrid[:200, :200]
    frame[...] = (250 * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * sigma**2)))[..., None].astype(np.uint8)
    crop = Crop(100, 100, side, angle)
    wanted = crop.to_crop(np.array([x, y]), 64)
    reach = 3 * sigma * 64 / side
    assume(((wanted > reach) & (wanted < 63 - reach)).all())
    cut = crop.cut(frame, 64)[..., 0].astype(float)
    near = np.hypot(*np.moveaxis(np.mgrid[:64, :64][::-1] - wanted[:, None, None], 0, 0)) < reach
    weight = cut * near
    found = [(weight * axis).sum() / weight.sum() for axis in np.mgrid[:64, :64][::-1]]
    np.testing.assert_allclose(found, wanted, atol=0.35)


def test_beyond_the_frame_it_is_black():
    frame = np.full((50, 50, 3), 200, np.uint8)
    for crop in (Crop(0, 0, 40), Crop(0, 0, 400)):
        cut = crop.cut(frame, 32)
        assert cut[:12, :12].max() == 0 and cut[-14, -14:].max() in (0, 200)
    assert Crop(5000, 5000, 4000).cut(frame, 32).max() == 0


@given(st.floats(30, 70), st.floats(30, 70), st.floats(20, 90), st.floats(-3, 3))
@settings(max_examples=30)
def test_a_mask_put_back_lies_where_it_was_cut(x, y, side, angle):
    mask = np.zeros((100, 100), np.uint8)
    cv2.circle(mask, (50, 50), 12, 255, -1)
    crop = Crop(x, y, side, angle)
    back = crop.put_back(crop.cut(np.dstack([mask] * 3), 128)[..., 0], (100, 100))
    inside = crop.put_back(np.full((128, 128), 255, np.uint8), (100, 100)) > 250
    wrong = (back > 127) != (mask > 127)
    assert wrong[cv2.erode(inside.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0].sum() <= 12


def test_the_circle_around_a_body():
    keypoints = np.zeros((18, 3), np.float32)
    assert body_circle(keypoints, 1.25) is None
    keypoints[[2, 5, 8, 11, 10, 13]] = [(40, 40, 1), (60, 40, 1), (42, 80, 1), (58, 80, 1), (42, 160, 1), (58, 160, 1)]
    crop = body_circle(keypoints, 1.25)
    assert (crop.x, crop.y) == (50, 80) and abs(crop.angle) < 1e-6
    assert np.isclose(crop.side, 2.5 * np.hypot(8, 80))
    turned = keypoints.copy()
    turned[..., 0], turned[..., 1] = 200 - keypoints[..., 1], keypoints[..., 0]  # a quarter clockwise
    turned[keypoints[..., 2] == 0] = 0
    assert np.isclose(body_circle(turned, 1.25).angle, np.pi / 2)


def test_an_outline_lies_where_its_crop_does_at_any_size():
    crop, outline = Crop(120, 80, 60, 0.3), np.ones((64, 64), np.float32)
    half = crop.put_back(outline, (300, 200), (150, 100))
    assert half.sum() == pytest.approx(60 * 60 / 4, rel=0.02)
    rows, columns = np.nonzero(half > 0.5)
    # A pixel's middle: x of the frame is (x + 0.5) / 2 - 0.5 here.
    assert columns.mean() == pytest.approx(59.75, abs=0.1) and rows.mean() == pytest.approx(39.75, abs=0.1)
