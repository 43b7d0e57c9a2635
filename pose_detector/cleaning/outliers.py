"""Keypoints that cannot be where they were found: limbs too long, jumps, spikes."""

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import median_filter

from pose_detector.cleaning.paths import best_course
from pose_detector.cleaning.smoothing import noise
from pose_detector.skeleton import KEYPOINTS, LIMBS, VISIBLE_LIMBS

# Set by hand on dances with known truth (`tests/pose_detector/test_cleaning.py`, `benchmarks/jitter.py`): what a quick
# dance does must pass, a wrong ankle of a few frames must not. Lengths are in body sizes (`skeleton.person_size`).
TOO_LONG = 1.5  # times the length that a limb hardly ever exceeds (its quantile 0.9)
SHORTEST = 0.1  # of that length, for limbs that always point at the camera
OUTAGE = 0.15  # seconds of frames that a jump costs ...
LEAST_OUTAGE = 2.1  # ... or this many frames: leaving out two is then cheaper
FASTEST = (0.15, 8.0)  # jitter, and speed per second: of a step
SHARPEST = (0.1, 2.5, 8.0, 5.0)  # jitter, per second, per second squared, and times the noise: of a break of velocity
SURE = 0.35  # what a frame of low confidence earns at least, in what a confident one does
SPIKE, BODY_SPIKE, ARM_SPIKE = 0.1, 60.0, 120.0  # off its course; the last two per second squared: half the greatest
ARMS = [3, 4, 6, 7]  # acceleration
UNUSUAL = 5.0  # times what a keypoint usually is off its course


def find_long_bones(points: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Outer ends of limbs `TOO_LONG` times as long as this person's limb nearly ever is: (N, 18) bool."""
    wrong = np.zeros(points.shape[:2], bool)
    for inner, outer in LIMBS[:VISIBLE_LIMBS]:
        length = np.linalg.norm(points[:, outer] - points[:, inner], axis=-1) / size
        known = length[~np.isnan(length)]
        if len(known):
            wrong[:, outer] |= length > TOO_LONG * max(np.quantile(known, 0.9), SHORTEST)
    return wrong


def find_jumps(points: np.ndarray, confidence: np.ndarray, size: np.ndarray, fps: float) -> np.ndarray:
    """Keypoints (N, 18) bool that are off the likeliest course through time.

    A course is a choice of the frames in which a keypoint is accepted. Each accepted frame earns 1, or less while the
    keypoint's confidence is low. Each step that is faster than a body moves, or that breaks with the velocity before
    and after it, costs more than two frames, or the frames of `OUTAGE` seconds: so a keypoint that jumps away for less
    than twice that time and comes back is left out. Dynamic programming finds the best course of each keypoint.

    Args:
        points: (N, 18, 2) pixels, NaN where missing.
        confidence: (N, 18), 0 where missing.
        size: (N,) size of the person, pixels.
        fps: Frames per second.
    """
    if not len(points):
        return np.zeros((0, KEYPOINTS), bool)
    reach = max(2, round(fps))
    price = max(LEAST_OUTAGE, OUTAGE * fps)
    missing = np.isnan(points[..., 0])
    sure = np.array([np.quantile(c[c > 0], 0.75) if (c > 0).any() else 1.0 for c in confidence.T])
    lasting = median_filter(confidence, (2 * round(0.1 * fps) + 1, 1), mode="nearest")
    earned = np.where(missing, -np.inf, np.clip(lasting / sure, SURE, 1))
    prices = (price * excess for excess in _implausible_steps(points, size, fps, reach))
    return ~missing & ~best_course(earned, prices, reach)


def _implausible_steps(points: np.ndarray, size: np.ndarray, fps: float, reach: int) -> Iterator[np.ndarray]:
    """For each frame how implausible the steps (reach, 18) from the frames before it are, the earliest first: from 0,
    as a body moves, to 1. 0 where one end is missing."""
    lags = np.arange(reach, 0, -1)[:, None]
    seconds = lags / fps
    fastest = FASTEST[0] + FASTEST[1] * seconds
    sharpest = SHARPEST[0] + SHARPEST[1] * seconds + SHARPEST[2] * seconds**2
    sharpest = sharpest + SHARPEST[3] * noise(points, fps) / np.median(size)
    padded = np.concatenate([np.full((reach, *points.shape[1:]), np.nan), points, np.full_like(points[:1], np.nan)])
    arriving = np.diff(padded, axis=0, prepend=np.nan)  # velocities, pixels a frame
    leaving = np.diff(padded, axis=0, append=np.nan)
    for t, scale in enumerate(size, start=reach):
        earlier = slice(t - reach, t)
        step = padded[t] - padded[earlier]
        before, after = lags[..., None] * arriving[earlier], lags[..., None] * leaving[t]
        # Beside a wrong keypoint one of the velocities is wrong: the kindest one counts.
        breaks = [np.linalg.norm(step - course, axis=-1) for course in (before, after, (before + after) / 2)]
        exceeding = np.fmax(np.linalg.norm(step, axis=-1) / fastest, np.fmin.reduce(breaks) / sharpest) / scale
        yield np.nan_to_num(np.clip((exceeding - 1) / 0.5, 0, 1))


def find_spikes(points: np.ndarray, size: np.ndarray, fps: float) -> np.ndarray:
    """Keypoints (N, 18) bool that leave their course for a frame or two.

    A spike exceeds all of these: `SPIKE` body sizes; what a limb can be accelerated between two frames; `UNUSUAL` times
    the usual deviation of this keypoint within half a second.
    """
    least = np.full(KEYPOINTS, BODY_SPIKE)
    least[ARMS] = ARM_SPIKE
    least = np.maximum(SPIKE, least / fps**2)
    wrong = np.zeros(points.shape[:2], bool)
    half = max(3, round(fps / 2))
    for k in range(KEYPOINTS):
        for _ in range(2):  # large spikes hide small ones
            times = np.flatnonzero(~np.isnan(points[:, k, 0]) & ~wrong[:, k])
            deviation = _deviation(points[times, k] / size[times, None], times, max(3, 0.2 * fps))
            usual = median_filter(deviation, 2 * half + 1, mode="nearest")
            wrong[times[deviation > np.maximum(least[k], UNUSUAL * usual)], k] = True
    return wrong


def _deviation(values: np.ndarray, times: np.ndarray, reach: float) -> np.ndarray:
    """(n,) distance of each of (n, 2) values from its neighbours' course: the least of those from the parabolas through
    three of the two neighbours before and two after, so that one bad neighbour does no harm. 0 at the ends, and where
    a neighbour is more than `reach` frames away."""
    deviation = np.zeros(len(values))
    index = np.arange(2, len(values) - 2)[:, None] + (-2, -1, 1, 2)  # n - 4, 4
    if not len(index):
        return deviation
    offsets = (times[index] - times[2:-2, None]).astype(np.float64)
    distances = []
    for used in ([0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]):
        a, b, c = offsets[:, used].T
        lagrange = np.stack([b * c / ((a - b) * (a - c)), a * c / ((b - a) * (b - c)), a * b / ((c - a) * (c - b))])
        course = np.einsum("in,nic->nc", lagrange, values[index[:, used]])
        distances.append(np.linalg.norm(values[2:-2] - course, axis=1))
    near = np.abs(offsets).max(axis=1) <= reach
    deviation[2:-2] = np.where(near, np.min(distances, axis=0), 0)
    return deviation
