"""Frames made as bright as the empty room: cameras adjust themselves, and the result would flicker."""

from __future__ import annotations

import cv2
import numpy as np


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
    gain = np.clip(np.median(some[usable] / reference[usable], 0), 1 / most, most)
    levels = np.arange(256)[:, None] / gain  # (256, 3)
    return cv2.LUT(frame, np.clip(np.rint(levels), 0, 255).astype(np.uint8)[None])
