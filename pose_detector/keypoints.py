"""Keypoints in pictures of another size."""

from __future__ import annotations

import numpy as np


def scale_points(points: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
    """Points (..., 2) after a resize of the picture by `scale`, a factor or (2,) factors in x and y.

    The centre of the top-left pixel is (0, 0), so that the corner of the picture, which stays where it is, lies at
    (-0.5, -0.5).
    """
    return (points + 0.5) * scale - 0.5


def scale_keypoints(keypoints: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
    """Keypoints (..., 3) float32 after a resize as in `scale_points`; those with confidence 0 are put at (0, 0)."""
    moved = np.array(keypoints, np.float32)
    moved[..., :2] = np.where(keypoints[..., 2:] > 0, scale_points(keypoints[..., :2], scale), 0)
    return moved
