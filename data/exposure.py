"""Brightness evened out: cameras adjust themselves, and the result would flicker."""

from __future__ import annotations

import cv2
import numpy as np

from data.masked import masked_median


def even_exposure(
    frame: np.ndarray, plate: np.ndarray, room: np.ndarray | None = None, most: float = 1.25
) -> np.ndarray:
    """The frame as bright as the plate, both (H, W, 3) uint8.

    The gain of each channel is the median ratio of the pixels that both show.

    Args:
        frame: to be evened out.
        plate: the empty room.
        room: (H, W) bool, where the frame shows the room; None: everywhere, as most of it is background.
        most: the largest gain, and one over the smallest: what differs more is not the exposure.
    """
    step = max(4, min(plate.shape[:2]) // 72)
    some, reference = (p[::step, ::step].reshape(-1, 3).astype(np.float32) for p in (frame, plate))
    usable = ((reference > 24) & (reference < 250) & (some < 250)).all(-1)
    if room is not None:
        usable &= room[::step, ::step].reshape(-1)
    if usable.sum() < 50:
        return frame
    return without_gain(frame, np.clip(np.median(some[usable] / reference[usable], 0), 1 / most, most))


def without_gain(frame: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """A frame (H, W, 3) uint8, its channels divided by (3,)."""
    levels = np.arange(256)[:, None] / gain + 0.5
    return cv2.LUT(frame, np.clip(levels, 0, 255).astype(np.uint8)[None])


def exposures(stack: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Brightness of each frame's background relative to the others' median, per channel: (S, 3), about 1.

    Cameras adjust themselves to where a dark dancer stands. A plate put together from frames of different brightness
    would show their outlines.

    Args:
        stack: (S, H, W, 3) uint8.
        covered: (S, H, W) bool, where people may be.
    """
    step = max(1, min(stack.shape[1:3]) // 72)
    pixels = stack[:, ::step, ::step].reshape(len(stack), -1, 3)
    hidden = covered[:, ::step, ::step].reshape(len(stack), -1)
    common = np.flatnonzero((~hidden).sum(0) >= 3)
    middle = masked_median(pixels, hidden, common).astype(np.float64)
    pixels, hidden = pixels[:, common], hidden[:, common]
    gains = np.ones((len(stack), 3))
    for frame in range(len(stack)):
        usable = ~hidden[frame] & (middle > 24).all(-1) & (pixels[frame] < 250).all(-1)
        if usable.sum() > 50:
            gains[frame] = np.median(pixels[frame, usable] / middle[usable], 0)
    return np.clip(gains / np.median(gains, 0), 0.5, 2)
