"""The person's window: the part of the frame that is generated; the rest is the background plate."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from data.video import working_size
from pose_detector.series import interpolate
from pose_detector.skeleton import body_size

MULTIPLE = 32  # the generator halves five times
MARGIN = 0.7  # torso lengths round the keypoints: hair, hands, shoes, shadow
MOST = 768  # pixels that the window is high, about; a larger person is generated at this size and enlarged


def generated_size(keypoints: np.ndarray, frame_size: tuple[int, int]) -> tuple[int, int]:
    """(width, height), multiples of 32, to which frames are resized so that the window is at most ``MOST`` high.

    Args:
        keypoints: (N, 18, 3) pixels of the frame.
        frame_size: (width, height) of the frame.
    """
    low, high = _boxes(keypoints, frame_size)
    scale = min(1.0, (MOST - MULTIPLE) / np.nanpercentile(high - low, 99, axis=0)[1])
    if scale == 1 and not any(side % MULTIPLE for side in frame_size):
        return frame_size
    return working_size(*frame_size, round(scale**2 * frame_size[0] * frame_size[1]))


def window_size(keypoints: np.ndarray, frame_size: tuple[int, int]) -> tuple[int, int]:
    """Smallest (width, height), multiples of 32 and within the frame, that holds the person in (nearly) every frame.

    Args:
        keypoints: (N, 18, 3) pixels of the frame.
        frame_size: (width, height) of the frame, multiples of 32.
    """
    low, high = _boxes(keypoints, frame_size)
    extent = np.ceil(np.nanpercentile(high - low, 99, axis=0) / MULTIPLE).astype(int) * MULTIPLE
    width, height = np.clip(extent, 2 * MULTIPLE, frame_size)
    return int(width), int(height)


def window_origins(keypoints: np.ndarray, size: tuple[int, int], frame_size: tuple[int, int]) -> np.ndarray:
    """Top left corners (N, 2) int32 of the window in successive frames: round the person, within the frame.

    They move smoothly. Frames without a person take the place of their neighbours.
    """
    low, high = _boxes(keypoints, frame_size)
    middle = (low + high) / 2
    known = np.isfinite(middle[:, 0])
    if not known.any():
        middle[:] = np.array(frame_size) / 2
        known[:] = True
    middle = interpolate(middle, known)
    middle = gaussian_filter1d(middle, 2.0, axis=0, mode="nearest")
    origins = np.rint(middle - np.array(size) / 2)
    return np.clip(origins, 0, np.array(frame_size) - size).astype(np.int32)


def shift(keypoints: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Keypoints (..., 18, 3) of the frame in pixels of the window with this corner; missing ones stay (0, 0, 0)."""
    moved = keypoints.copy()
    moved[..., :2] -= np.asarray(origin, np.float32)[..., None, :]
    moved[keypoints[..., 2] <= 0] = 0
    return moved


def _boxes(keypoints: np.ndarray, frame_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Corners (N, 2) each of the person's box with margin, clipped to the frame; NaN without a person."""
    seen = keypoints[..., 2:] > 0
    points = np.where(seen, keypoints[..., :2], np.nan)
    margin = MARGIN * body_size(keypoints)[:, None]
    with np.errstate(all="ignore"):
        low, high = _nan_reduce(np.fmin, points) - margin, _nan_reduce(np.fmax, points) + margin
    return np.clip(low, 0, frame_size), np.clip(high, 0, frame_size)


def _nan_reduce(function: np.ufunc, points: np.ndarray) -> np.ndarray:
    return function.reduce(points, axis=1)
