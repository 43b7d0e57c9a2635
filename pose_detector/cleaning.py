"""Cleans one person's keypoints over time: wrong ones go, short gaps close, jitter is smoothed without lag."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import correlate1d, median_filter

from pose_detector.series import interpolate
from pose_detector.skeleton import LIMBS, PAIRS, VISIBLE_LIMBS, person_size

GAP = 0.5  # seconds over which a missing keypoint is interpolated


@dataclass
class Report:
    """What was found and done; arrays are (18,) counts of frames per keypoint."""

    frames: int
    frames_without_person: int
    people: int
    outliers: np.ndarray  # seen, but rejected
    swaps: np.ndarray  # exchanged with the other side's
    filled: np.ndarray  # interpolated
    missing: np.ndarray  # still missing


@dataclass
class Cleaned:
    """keypoints (N, 18, 3) float32, filled (N, 18) bool: interpolated rather than seen, and the report."""

    keypoints: np.ndarray
    filled: np.ndarray
    report: Report


def clean(keypoints: np.ndarray, fps: float, people: int = 1) -> Cleaned:
    """Keypoints of one person over time, fit to be drawn.

    Sides that are exchanged for a moment are put right; keypoints that jump away and back, or lie at the end of an
    impossibly long limb, are rejected; gaps of up to `GAP` seconds are interpolated (confidence: the lower one beside
    the gap); the rest is smoothed, the less the faster it moves. Longer gaps stay missing.

    Args:
        keypoints: (N, 18, 3) x, y in pixels and confidence (0: missing), one row per frame. Not changed.
        fps: Frames per second.
        people: How many people the video shows, for the report.
    """
    points = np.array(keypoints[..., :2], np.float64)
    confidence = np.where(np.isfinite(keypoints).all(axis=-1), keypoints[..., 2], 0).astype(np.float64)
    points[confidence <= 0] = np.nan
    confidence = np.maximum(confidence, 0)
    size = _size_over_time(points, fps)

    swaps = np.zeros(18, int)
    for (right, left), exchanged in zip(PAIRS, find_swaps(points, size, fps).T, strict=True):
        for array in (points, confidence):
            array[np.ix_(exchanged, [right, left])] = array[np.ix_(exchanged, [left, right])]
        swaps[[right, left]] = np.count_nonzero(exchanged)

    seen = ~np.isnan(points[..., 0])
    points[find_long_bones(points, size)] = np.nan
    points[find_jumps(points, confidence, size, fps)] = np.nan
    points[find_spikes(points, size, fps)] = np.nan
    points[find_islands(points, fps)] = np.nan
    outliers = seen & np.isnan(points[..., 0])
    confidence[outliers] = 0

    points = smooth(points, confidence, fps)
    points, confidence, filled = fill_gaps(points, confidence, fps)
    missing = np.isnan(points[..., 0])
    result = np.concatenate([np.where(missing[..., None], 0, points), confidence[..., None]], axis=-1)
    report = Report(
        frames=len(points),
        frames_without_person=int(missing.all(axis=1).sum()),
        people=people,
        outliers=outliers.sum(axis=0),
        swaps=swaps,
        filled=filled.sum(axis=0),
        missing=missing.sum(axis=0),
    )
    return Cleaned(result.astype(np.float32), filled, report)


def _size_over_time(points: np.ndarray, fps: float) -> np.ndarray:
    """(N,) the person's size in pixels, a running median over a second; 1 where nobody was ever seen."""
    seen = ~np.isnan(points[..., :1])
    sizes = person_size(np.concatenate([np.where(seen, points, 0), seen], axis=-1))
    known = sizes > 0
    if not known.any():
        return np.ones(len(points))
    sizes = interpolate(sizes, known)
    return np.maximum(median_filter(sizes, 2 * round(fps / 2) + 1, mode="nearest"), 1)


def find_swaps(points: np.ndarray, size: np.ndarray, fps: float) -> np.ndarray:
    """Frames (N, 8) bool in which the two of a pair (`PAIRS`) were exchanged for a moment.

    The cheapest path (Viterbi) through exchanged or not exchanged in each frame: the cost is the change of velocity of
    both keypoints in body sizes, and for an exchanged frame a charge that lets only brief exchanges pay.
    """
    exchanged = np.zeros((len(points), len(PAIRS)), bool)
    if len(points) < 3:
        return exchanged
    pairs = points[:, np.array(PAIRS)] / size[:, None, None, None]  # N, 8, side, xy
    options = np.stack([pairs, pairs[:, :, ::-1]], axis=2)  # N, 8, state, side, xy
    # bend[t, :, i, j, k] for the states i, j, k of the frames t, t + 1, t + 2; nothing is known beside a missing one
    before, here, after = options[:-2, :, :, None, None], options[1:-1, :, None, :, None], options[2:, :, None, None]
    bend = np.nan_to_num(np.linalg.norm(before - 2 * here + after, axis=-1).sum(axis=-1))
    charge = np.array([0, 6 / fps])
    cost = np.broadcast_to(charge[:, None] + charge, (len(PAIRS), 2, 2))  # of the last two frames' states
    came_from = np.zeros((len(points), len(PAIRS), 2, 2), int)
    for t, step in enumerate(bend, start=2):
        total = cost[..., None] + step
        came_from[t] = total.argmin(axis=1)
        cost = total.min(axis=1) + charge
    every = np.arange(len(PAIRS))
    state, following = np.divmod(cost.reshape(len(PAIRS), 4).argmin(axis=1), 2)
    exchanged[-1] = following
    for t in range(len(points) - 1, 1, -1):
        exchanged[t - 1] = state
        state, following = came_from[t, every, state, following], state
    exchanged[0] = state
    return exchanged & ~np.isnan(pairs).any(axis=(2, 3))


def find_long_bones(points: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Outer ends of limbs half as long again as this person's limb nearly ever is: (N, 18) bool."""
    wrong = np.zeros(points.shape[:2], bool)
    for inner, outer in LIMBS[:VISIBLE_LIMBS]:
        length = np.linalg.norm(points[:, outer] - points[:, inner], axis=-1) / size
        known = length[~np.isnan(length)]
        if len(known):
            wrong[:, outer] |= length > 1.5 * max(np.quantile(known, 0.9), 0.1)
    return wrong


def find_jumps(points: np.ndarray, confidence: np.ndarray, size: np.ndarray, fps: float) -> np.ndarray:
    """Keypoints (N, 18) bool that are off the likeliest course through time.

    A course is a choice of the frames in which a keypoint is believed. Each believed frame earns 1, less where the
    keypoint is for some frames less sure than it can be; each step that is faster than a body moves, or breaks with the
    velocity before and after it, costs more than two frames, or the frames of 0.15 s: what jumps away for less than
    twice that time and comes back is better left out. Dynamic programming finds the best course, for all keypoints
    at once.
    """
    frames = len(points)
    if not frames:
        return np.zeros((0, 18), bool)
    reach_back = max(2, round(fps))
    price = max(2.1, 0.15 * fps)
    lags = np.arange(reach_back, 0, -1)[:, None]
    seconds = lags / fps
    fastest = 0.15 + 8 * seconds  # body sizes; the same for breaks, as great as in quick dances, and for jitter
    sharpest = 0.1 + 2.5 * seconds + 8 * seconds**2 + 5 * _noise(points, fps) / np.median(size)
    padded = np.concatenate([np.full((reach_back, 18, 2), np.nan), points, np.full((1, 18, 2), np.nan)])
    arriving = np.diff(padded, axis=0, prepend=np.nan)  # velocities, pixels a frame
    leaving = np.diff(padded, axis=0, append=np.nan)
    worth = np.full((frames + reach_back, 18), -np.inf)  # of the best course that ends here
    sure = np.array([np.quantile(c[c > 0], 0.75) if (c > 0).any() else 1.0 for c in confidence.T])
    lasting = median_filter(confidence, (2 * round(0.1 * fps) + 1, 1), mode="nearest")
    earned = np.clip(lasting / sure, 0.35, 1)
    settled = np.zeros(18)  # worth of the best course that ends more than `reach_back` frames ago, and its end
    settled_end = np.full(18, -1)
    came_from = np.full((frames + reach_back, 18), -1)
    columns = np.arange(18)
    for t in range(reach_back, frames + reach_back):
        oldest = worth[t - reach_back - 1] if t > reach_back else np.full(18, -np.inf)
        better = oldest > settled
        settled, settled_end = np.where(better, oldest, settled), np.where(better, t - reach_back - 1, settled_end)
        seen = ~np.isnan(padded[t, :, 0])
        if not seen.any():
            continue
        earlier, scale = slice(t - reach_back, t), size[t - reach_back]
        step = padded[t] - padded[earlier]
        before, after = lags[..., None] * arriving[earlier], lags[..., None] * leaving[t]
        # Beside a wrong keypoint one of the velocities is wrong: the kindest one counts.
        breaks = [np.linalg.norm(step - course, axis=-1) for course in (before, after, (before + after) / 2)]
        exceeding = np.fmax(np.linalg.norm(step, axis=-1) / fastest, np.fmin.reduce(breaks) / sharpest) / scale
        excess = np.clip((exceeding - 1) / 0.5, 0, 1)
        options = worth[earlier] - price * np.nan_to_num(excess)
        best = options.argmax(axis=0)
        gain = options[best, columns]
        start_anew = settled >= gain
        came_from[t] = np.where(start_anew, settled_end, t - reach_back + best)
        worth[t] = np.where(seen, earned[t - reach_back] + np.where(start_anew, settled, gain), -np.inf)
    believed = np.zeros((frames + reach_back, 18), bool)
    for k in range(18):
        t = int(worth[:, k].argmax())
        while t >= 0 and np.isfinite(worth[t, k]):
            believed[t, k] = True
            t = came_from[t, k]
    return ~np.isnan(points[..., 0]) & ~believed[reach_back:]


def find_spikes(points: np.ndarray, size: np.ndarray, fps: float) -> np.ndarray:
    """Keypoints (N, 18) bool that leave their course for a frame or two.

    That is by 0.1 body sizes, by what a limb can be accelerated between two frames, or by five times what is usual for
    this keypoint within half a second, whichever is most.
    """
    least = np.full(18, 60.0)  # half the greatest acceleration, in body sizes per second squared
    least[[3, 4, 6, 7]] = 120  # arms
    least = np.maximum(0.1, least / fps**2)
    wrong = np.zeros(points.shape[:2], bool)
    half = max(3, round(fps / 2))
    for k in range(18):
        for _ in range(2):  # great ones hide lesser ones
            times = np.flatnonzero(~np.isnan(points[:, k, 0]) & ~wrong[:, k])
            deviation = _deviation(points[times, k] / size[times, None], times, max(3, 0.2 * fps))
            usual = median_filter(deviation, 2 * half + 1, mode="nearest")
            wrong[times[deviation > np.maximum(least[k], 5 * usual)], k] = True
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


def find_islands(points: np.ndarray, fps: float) -> np.ndarray:
    """Keypoints (N, 18) bool seen for less than 0.1 s between long gaps: they would only flash."""
    wrong = np.zeros(points.shape[:2], bool)
    for k in range(18):
        times = np.flatnonzero(~np.isnan(points[:, k, 0]))
        pieces = np.split(times, np.flatnonzero(np.diff(times) > GAP * fps + 1) + 1)
        for piece in pieces if len(pieces) > 1 else []:
            if piece[-1] - piece[0] + 1 < 0.1 * fps:
                wrong[piece, k] = True
    return wrong


def smooth(points: np.ndarray, confidence: np.ndarray, fps: float, reach: float = 0.2) -> np.ndarray:
    """Smooth (N, K, 2) points, NaN where missing, without delay and without blunting what is fast.

    Local quadratics are fitted in windows from narrow to wide around each point. Which of them err least, or whether
    the point itself does, is told by Stein's unbiased estimate of the risk (1981), averaged over `reach` seconds on
    either side; they are mixed by exponential weights (Leung and Barron 2006). At rest a second is averaged, in a fast
    turn next to nothing. Confident points weigh more.
    """
    seen = ~np.isnan(points[..., 0])
    weight = np.where(seen, np.clip(confidence, 0.05, 1), 0)
    middle = np.array([np.median(w[s]) if s.any() else 1.0 for w, s in zip(weight.T, seen.T, strict=True)])
    weight = weight / middle
    variance = _noise(points, fps) ** 2  # of a point of weight 1, per coordinate; 1 / weight times as much of another
    values = np.where(seen[..., None], points, 0)
    half = max(1, round(reach * fps))
    near = 1 - (np.arange(-half, half + 1) / (half + 1)) ** 2

    def around(array: np.ndarray) -> np.ndarray:
        return correlate1d(array.astype(float), near, axis=0, mode="constant")

    fits, risks = [values], [np.broadcast_to(variance, seen.shape)]
    for half in sorted({max(2, round(s * fps)) for s in (0.08, 0.12, 0.18, 0.26, 0.36, 0.5)}):
        fit, own, usable = _local_quadratic(values, weight, half)
        risk = weight * ((values - fit) ** 2).mean(axis=-1) - variance + 2 * variance * own
        known = seen & usable
        fits.append(fit)
        risks.append(np.where(known, around(np.where(known, risk, 0)) / np.maximum(around(known), 1e-9), np.inf))
    excess = np.where(seen, np.array(risks) - np.min(risks, axis=0), 0)
    shares = np.exp(-excess * 2 * around(seen) / np.maximum(4 * variance, 1e-9))
    best = np.einsum("fnk,fnkc->nkc", shares / shares.sum(axis=0), np.array(fits))
    return np.where(seen[..., None], best, np.nan)


def _noise(points: np.ndarray, fps: float) -> np.ndarray:
    """(K,) standard deviation of the coordinates' noise: from third differences, and of these from the lower quarter,
    because motion enters little there.

    Those between neighbours do not see the part of the noise that lasts for some frames, so that differences over
    0.08 s are asked too; still longer ones would take motion for noise.
    """
    noise = np.zeros(points.shape[1])
    for lag in {1, max(1, round(0.08 * fps))}:
        third = points
        for _ in range(3):
            third = third[lag:] - third[:-lag]
        third = np.linalg.norm(third, axis=-1)
        for k in range(points.shape[1]):
            known = third[~np.isnan(third[:, k]), k]
            if len(known) >= 8:  # Rayleigh's quantile; 1 + 9 + 9 + 1
                noise[k] = max(noise[k], np.quantile(known, 0.25) / np.sqrt(-2 * np.log(0.75) * 20))
    return noise


def _local_quadratic(values: np.ndarray, weight: np.ndarray, half: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weighted quadratic fits around every frame, over `half` frames on either side.

    Returns:
        The fits' values (N, K, 2) at the middle, the share (N, K) that the middle's own value has in them, and whether
        there were points enough (N, K).
    """
    offset = np.arange(-half, half + 1)
    kernel = 1 - (offset / (half + 1)) ** 2

    def moment(array: np.ndarray, power: int) -> np.ndarray:
        return correlate1d(array, kernel * (offset / half) ** power, axis=0, mode="constant")

    sums = np.stack([moment(weight, p) for p in range(5)], axis=-1)
    right = np.stack([moment(weight[..., None] * values, p) for p in range(3)], axis=-2)  # N, K, 3, 2
    normal = sums[..., np.add.outer(np.arange(3), np.arange(3))]  # N, K, 3, 3
    count = correlate1d((weight > 0).astype(float), np.ones(2 * half + 1), axis=0, mode="constant")
    usable = (count >= 4.5) & (np.linalg.det(normal) > 1e-6)
    normal = np.where(usable[..., None, None], normal, np.eye(3))
    first = np.broadcast_to(np.eye(3)[:, :1], (*usable.shape, 3, 1))
    row = np.linalg.solve(normal, first)[..., 0]  # the first one of the inverse
    return np.einsum("nki,nkic->nkc", row, right), row[..., 0] * weight, usable


def fill_gaps(points: np.ndarray, confidence: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interpolate (N, K, 2) points, NaN where missing, over gaps of up to `GAP` seconds, without overshoot.

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
    return points, confidence, filled
