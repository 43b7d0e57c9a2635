"""Gaps over time: short ones are filled; keypoints that flash up between long ones are dropped."""

from itertools import pairwise

import numpy as np
from scipy.interpolate import PchipInterpolator

GAP = 0.5  # seconds over which a missing keypoint is interpolated, set by hand: a longer one's course would be invented
EDGE = 0.12  # the same where a shot begins or ends, set by hand: less, as only one side holds it
FLASH = 0.1  # seconds for which a keypoint between longer gaps must be seen: shorter, it only flashes


def fill_gaps(points: np.ndarray, confidence: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interpolate (N, K, 2) points, NaN where missing, over gaps of up to `GAP` seconds, without overshoot.

    What is missing for up to `EDGE` seconds at the beginning or the end moves with the others.

    Returns:
        Points, confidence (N, K) and where they were filled (N, K) bool.
    """
    points, confidence = points.copy(), confidence.copy()
    filled = np.zeros(confidence.shape, bool)
    for k in range(points.shape[1]):
        times = np.flatnonzero(~np.isnan(points[:, k, 0]))
        if len(times) < 2:
            continue
        curve = PchipInterpolator(times, points[times, k])
        for before, after in pairwise(times):
            if 1 < after - before <= GAP * fps + 1:
                gap = np.arange(before + 1, after)
                points[gap, k] = curve(gap)
                confidence[gap, k] = confidence[[before, after], k].min()
                filled[gap, k] = True
    for k, frame, known in _edges(points, fps):
        shift = points[frame] - points[known]
        if np.isfinite(shift).any():
            points[frame, k] = points[known, k] + np.nanmedian(shift, axis=0)
            confidence[frame, k] = confidence[known, k]
            filled[frame, k] = True
    return points, confidence, filled


def _edges(points: np.ndarray, fps: float) -> list[tuple[int, int, int]]:
    """Of each point (N, K, 2) that is missing for a moment at the beginning or the end: its number, the frame, and the
    nearest one in which it is known."""
    edges = []
    for k in range(points.shape[1]):
        times = np.flatnonzero(~np.isnan(points[:, k, 0]))
        if len(times) and times[0] <= EDGE * fps:
            edges += [(k, frame, int(times[0])) for frame in range(times[0])]
        if len(times) and len(points) - 1 - times[-1] <= EDGE * fps:
            edges += [(k, frame, int(times[-1])) for frame in range(times[-1] + 1, len(points))]
    return edges


def find_islands(points: np.ndarray, fps: float) -> np.ndarray:
    """Keypoints (N, 18) bool seen for less than `FLASH` seconds between long gaps: they would only flash."""
    wrong = np.zeros(points.shape[:2], bool)
    for k in range(18):
        times = np.flatnonzero(~np.isnan(points[:, k, 0]))
        pieces = np.split(times, np.flatnonzero(np.diff(times) > GAP * fps + 1) + 1)
        for piece in pieces if len(pieces) > 1 else []:
            if piece[-1] - piece[0] + 1 < FLASH * fps:
                wrong[piece, k] = True
    return wrong
