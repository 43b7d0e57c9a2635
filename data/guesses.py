"""Joints that a network for one person invents where the picture ends above them.

Such a network places every joint with high confidence. A joint outside the picture is clearly a guess; but if the
picture ends at the hips or above, the network also pulls the hips up to the edge.
"""

from __future__ import annotations

import numpy as np

from data.frame_stats import BOTTOM, FrameStats
from pose_detector import skeleton

LOWER_BODY = (8, 9, 10, 11, 12, 13)
_KNEES, _HIPS = [9, 12], [8, 11]
_PELVIS = 0.23  # torso lengths from a hip to the middle of both: half the width in `skeleton.body_size`


def invented(keypoints: np.ndarray, stats: FrameStats, frame_size: tuple[int, int]) -> np.ndarray:
    """Frames (N,) bool in which hips and legs are guesses.

    There the outline reaches the picture's lower edge, no knee is seen, and the hips lie so near to that edge that the
    pelvis around them would not be in the picture.

    Args:
        keypoints: (N, 18, 3) pixels of the working frame.
        stats: of every frame, with outlines.
        frame_size: (width, height) of the working frame.
    """
    touches = np.asarray(stats.contacts)[:, BOTTOM].any(axis=1)
    size = np.nan_to_num(skeleton.body_size(keypoints))
    seen = keypoints[..., 2] > 0
    deep = seen[:, _HIPS] & (keypoints[:, _HIPS, 1] + _PELVIS * size[:, None] < frame_size[1] - 0.5)
    return touches & ~deep.any(axis=1) & ~seen[:, _KNEES].any(axis=1)


def drop_guesses(keypoints: np.ndarray, extra: np.ndarray, stats: FrameStats, frame_size: tuple[int, int]) -> None:
    """Takes out in place what is a guess in keypoints (N, 18, 3) and hands and feet (N, 10, 3); see `invented`."""
    frames = invented(keypoints, stats, frame_size)
    keypoints[np.ix_(frames, LOWER_BODY)] = 0
    extra[np.ix_(frames, range(6, 10))] = 0
