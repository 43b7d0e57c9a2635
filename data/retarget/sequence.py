"""Poses of one person over time, as retargeting takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PoseSequence:
    """One person in one video.

    Attributes:
        keypoints: (N, 18, 3) x, y in pixels of its own frames and confidence, 0 = missing.
        filled: (N, 18) bool, true where a keypoint was not seen but filled in over time.
        fps: frames per second.
        frame_size: (width, height) of the frames in pixels.
    """

    keypoints: np.ndarray
    filled: np.ndarray
    fps: float
    frame_size: tuple[int, int]

    @property
    def seen(self) -> np.ndarray:
        """(N, 18) bool, the keypoints to measure by."""
        return (self.keypoints[..., 2] > 0) & ~self.filled
