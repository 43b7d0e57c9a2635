"""Cleaning of one person's keypoints over time: wrong ones go, short gaps close, jitter is smoothed without lag."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter

from pose_detector.cleaning.gaps import fill_gaps, find_islands
from pose_detector.cleaning.outliers import find_jumps, find_long_bones, find_spikes
from pose_detector.cleaning.smoothing import smooth
from pose_detector.cleaning.swaps import find_swaps
from pose_detector.series import interpolate
from pose_detector.skeleton import PAIRS, person_size


@dataclass
class Cleaned:
    """What became of a person's keypoints.

    Attributes:
        keypoints: (N, 18, 3) float32 x, y in pixels and confidence, 0 = missing.
        filled: (N, 18) bool, interpolated rather than seen.
        rejected: (N, 18) bool, seen, but not where the keypoint can be.
        swapped: (N, 18) bool, exchanged with the other side's.
    """

    keypoints: np.ndarray
    filled: np.ndarray
    rejected: np.ndarray
    swapped: np.ndarray


def clean(keypoints: np.ndarray, fps: float) -> Cleaned:
    """Keypoints of one person over time, fit to be drawn.

    Sides that are exchanged for a moment are put right (`swaps`); keypoints that jump away and back, or lie at the end
    of an impossibly long limb, are rejected (`outliers`); gaps of up to `gaps.GAP` seconds are interpolated
    (confidence: the lower one beside the gap) and longer ones stay; the rest is smoothed, the less the faster it moves
    (`smoothing`).

    Args:
        keypoints: (N, 18, 3) x, y in pixels and confidence (0: missing), one row per frame. Not changed.
        fps: Frames per second.
    """
    points = np.array(keypoints[..., :2], np.float64)
    confidence = np.where(np.isfinite(keypoints).all(axis=-1), keypoints[..., 2], 0).astype(np.float64)
    points[confidence <= 0] = np.nan
    confidence = np.maximum(confidence, 0)
    size = _size_over_time(points, fps)

    swapped = np.zeros(confidence.shape, bool)
    for (right, left), exchanged in zip(PAIRS, find_swaps(points, size, fps).T, strict=True):
        for array in (points, confidence):
            array[np.ix_(exchanged, [right, left])] = array[np.ix_(exchanged, [left, right])]
        swapped[:, [right, left]] = exchanged[:, None]

    seen = ~np.isnan(points[..., 0])
    points[find_long_bones(points, size)] = np.nan
    points[find_jumps(points, confidence, size, fps)] = np.nan
    points[find_spikes(points, size, fps)] = np.nan
    points[find_islands(points, fps)] = np.nan
    rejected = seen & np.isnan(points[..., 0])
    confidence[rejected] = 0

    points = smooth(points, confidence, fps)
    points, confidence, filled = fill_gaps(points, confidence, fps)
    result = np.concatenate([np.nan_to_num(points), confidence[..., None]], axis=-1)
    return Cleaned(result.astype(np.float32), filled, rejected, swapped)


def _size_over_time(points: np.ndarray, fps: float) -> np.ndarray:
    """(N,) the person's size in pixels, a running median over a second; 1 where nobody was ever seen."""
    seen = ~np.isnan(points[..., :1])
    sizes = person_size(np.concatenate([np.where(seen, points, 0), seen], axis=-1))
    known = sizes > 0
    if not known.any():
        return np.ones(len(points))
    sizes = interpolate(sizes, known)
    return np.maximum(median_filter(sizes, 2 * round(fps / 2) + 1, mode="nearest"), 1)
