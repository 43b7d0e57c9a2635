"""The person's window: the part of the frame that is generated; the rest is the background plate."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from pose_detector.series import interpolate
from pose_detector.skeleton import body_size

MULTIPLE = 32  # the generator halves five times
MARGIN = 0.7  # torso lengths round the keypoints: hair, hands, shoes, shadow


def generated_size(keypoints: np.ndarray, frame_size: tuple[int, int], most: int) -> tuple[int, int]:
    """(width, height) to which frames are resized so that the person is at most so high; their own for a smaller one.

    Args:
        keypoints: (N, 18, 3) pixels of the frame.
        frame_size: (width, height) of the frame.
        most: pixels, from the uppermost keypoint to the lowest.
    """
    y, seen = keypoints[..., 1], keypoints[..., 2] > 0
    heights = np.where(seen, y, -np.inf).max(1) - np.where(seen, y, np.inf).min(1)
    heights = heights[np.isfinite(heights)]
    scale = min(1.0, most / max(float(np.percentile(heights, 99)), 1.0)) if len(heights) else 1.0
    width, height = (max(2 * MULTIPLE, round(side * scale)) for side in frame_size)
    return (width, height) if scale < 1 else tuple(frame_size)


def window_size(keypoints: np.ndarray, frame_size: tuple[int, int]) -> tuple[int, int]:
    """Smallest (width, height), multiples of 32, that holds the person in (nearly) every frame; it may exceed a frame
    whose sides are not such multiples.

    Args:
        keypoints: (N, 18, 3) pixels of the frame.
        frame_size: (width, height) of the frame.
    """
    low, high = _boxes(keypoints, frame_size)
    with np.errstate(all="ignore"):
        extent = np.nan_to_num(np.nanpercentile(high - low, 99, axis=0))
    width, height = np.clip(_rounded_up(extent), 2 * MULTIPLE, np.maximum(_rounded_up(frame_size), 2 * MULTIPLE))
    return int(width), int(height)


def _rounded_up(lengths: np.ndarray | tuple[int, int]) -> np.ndarray:
    """Next multiples of 32."""
    return np.ceil(np.asarray(lengths) / MULTIPLE).astype(int) * MULTIPLE


def cut(picture: np.ndarray, origin: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The part of a picture (H, W, ...) with this corner (x, y) and (width, height); beyond it, its border goes on."""
    (x, y), (width, height) = np.asarray(origin).tolist(), size
    bottom, right = picture.shape[:2]
    part = picture[max(y, 0) : min(y + height, bottom), max(x, 0) : min(x + width, right)]
    if part.shape[:2] == (height, width):
        return part
    beyond = (max(-y, 0), max(y + height - bottom, 0), max(-x, 0), max(x + width - right, 0))
    return cv2.copyMakeBorder(part, *beyond, cv2.BORDER_REPLICATE)


def paste(picture: np.ndarray | Tensor, part: np.ndarray | Tensor, origin: np.ndarray) -> None:
    """Put a part (h, w, ...) into a picture (H, W, ...), its corner at (x, y), in place; what lies beyond is lost."""
    x, y = np.asarray(origin).tolist()
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + part.shape[1], picture.shape[1]), min(y + part.shape[0], picture.shape[0])
    if left < right and top < bottom:
        picture[top:bottom, left:right] = part[top - y : bottom - y, left - x : right - x]


def window_origins(
    keypoints: np.ndarray, size: tuple[int, int], frame_size: tuple[int, int], smooth: bool = True
) -> np.ndarray:
    """Top left corners (N, 2) int32 of the window in frames: round the person, within the frame if it fits.

    They move smoothly, if the frames are successive ones. Frames without a person take the place of their neighbours.
    """
    low, high = _boxes(keypoints, frame_size)
    middle = (low + high) / 2
    known = np.isfinite(middle[:, 0])
    if not known.any():
        middle[:] = np.array(frame_size) / 2
        known[:] = True
    middle = interpolate(middle, known)
    if smooth:
        middle = gaussian_filter1d(middle, 2.0, axis=0, mode="nearest")
    origins = np.rint(middle - np.array(size) / 2)
    return np.clip(origins, 0, np.maximum(np.array(frame_size) - size, 0)).astype(np.int32)


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
