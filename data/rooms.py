"""Small pictures of rooms: whether two videos show the same one from the same place."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from data.masked import masked_median, shrunk
from data.person_mask import people_mask

ROOM = 96  # pixels, the longer side of a room's picture by which videos are compared
_SAME = 8.0  # grey levels by which two pictures of a room may differ (median), as light and codecs have it
_LIKE = 0.9  # least correlation of two pictures of a room


def room_picture(frames: Sequence[np.ndarray], people: Sequence[np.ndarray]) -> np.ndarray:
    """A small picture of the room, to tell whether two videos show the same one from the same place.

    Args:
        frames: S frames (H, W, 3) uint8 RGB.
        people: per frame (P, 18, 3) keypoints of those who are not part of the room.

    Returns:
        (h, w, 4) uint8: RGB, and 255 where the room was seen.
    """
    height, width = frames[0].shape[:2]
    scale = ROOM / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])
    covered = np.stack([shrunk(people_mask(those, (width, height)), size) for those in people])
    seen = (~covered).sum(0) >= max(1, round(0.1 * len(frames)))
    room = np.zeros((*seen.shape, 4), np.uint8)
    where = np.flatnonzero(seen)
    room.reshape(-1, 4)[where, :3] = masked_median(small, covered, where)
    room[..., 3] = 255 * seen
    return room


def same_room(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two pictures of `room_picture` show one room from one place; False where too little is seen, as in front
    of a bare wall."""
    if a.shape != b.shape:
        return False
    both = (a[..., 3] > 0) & (b[..., 3] > 0)
    if both.mean() < 0.2:
        return False
    first, second = (picture[both][:, :3].astype(np.float64) for picture in (a, b))
    gain = np.median((first + 8) / (second + 8), axis=0)  # cameras adjust themselves
    difference = np.abs(first - (gain * (second + 8) - 8)).max(axis=1)
    if min(first.std(), second.std()) < 2 or np.median(difference) > _SAME:
        return False
    # A person may have been missed, or a chair moved: a tenth of the picture need not agree.
    kept = difference <= np.quantile(difference, 0.9)
    return float(np.corrcoef(first[kept].mean(1), second[kept].mean(1))[0, 1]) > _LIKE
