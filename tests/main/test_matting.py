"""Which share of each pixel is the person."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from person import coloured, outline

from main.matting import guided_filter, matte


def test_the_outline_decides_even_where_colours_do_not():
    _, frame, plate = coloured(False)
    mask = outline(frame, plate)
    same = matte(plate, plate, mask, 40.0)  # somebody in the colours of the wall
    core = cv2.erode(mask, np.ones((7, 7), np.uint8)) > 0
    assert core.sum() > 100 and same[core].min() > 250
    assert matte(frame, plate, np.zeros_like(mask), 40.0).max() == 0, (
        "what is no person is none, whatever it looks like"
    )


def test_a_coarse_rim_is_drawn_to_the_edge_of_the_picture():
    rng = np.random.default_rng(0)
    plate = np.full((120, 160, 3), 190, np.uint8)
    frame = plate.copy()
    cv2.ellipse(frame, (80, 60), (30, 45), 0, 0, 360, (60, 30, 90), -1, cv2.LINE_AA)
    frame = np.clip(frame + rng.normal(0, 3, frame.shape), 0, 255).astype(np.uint8)
    truth = np.zeros((120, 160), np.uint8)
    cv2.ellipse(truth, (80, 60), (30, 45), 0, 0, 360, 255, -1)
    coarse = cv2.resize(cv2.resize(truth, (20, 15), interpolation=cv2.INTER_AREA), (160, 120))
    coarse = np.roll(coarse, 2, axis=1)
    before, after = (((m > 127) != (truth > 127)).sum() for m in (coarse, matte(frame, plate, coarse, 90.0)))
    assert after < 0.5 * before


def test_beyond_the_outline_what_equals_the_room_is_no_person():
    _, frame, plate = coloured(False)
    mask = cv2.dilate(outline(frame, plate), np.ones((5, 5), np.uint8))
    opaque = matte(frame, plate, mask, 80.0)
    assert opaque[cv2.dilate(mask, np.ones((9, 9), np.uint8)) == 0].max() == 0


@given(st.integers(0, 1000), st.integers(1, 6), st.floats(0.0, 1.0))
@settings(max_examples=20)
def test_the_filter_keeps_constants_and_linear_functions_of_the_guide(seed, radius, level):
    guide = np.random.default_rng(seed).uniform(0, 255, (30, 40, 3)).astype(np.float32)
    flat = guided_filter(guide, np.full((30, 40), level, np.float32), radius, 4.0)
    np.testing.assert_allclose(flat, level, atol=1e-3)
    linear = guide @ np.array([0.001, 0.002, -0.001], np.float32) + np.float32(0.3)
    np.testing.assert_allclose(guided_filter(guide, linear, 6, 0.01), linear, atol=0.02)
