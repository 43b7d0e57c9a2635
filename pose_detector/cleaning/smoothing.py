"""Smoothing without lag, and the estimate of noise that decides its strength."""

import numpy as np
from scipy.ndimage import correlate1d

# Half the widths of the quadratics' windows, seconds: from a fast hand's to a standing body's. Set by hand, like all
# numbers here, on rendered dances with noise of 1 to 4 pixels (`tests/pose_detector/test_cleaning.py`,
# `benchmarks/jitter.py`).
WINDOWS = (0.08, 0.12, 0.18, 0.26, 0.36, 0.5)
LASTING = 0.08  # seconds that a detector's noise lasts at most; over longer ones motion would be taken for noise


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
    variance = noise(points, fps) ** 2  # of a point of weight 1, per coordinate; 1 / weight times as much of another
    values = np.where(seen[..., None], points, 0)
    half = max(1, round(reach * fps))
    near = 1 - (np.arange(-half, half + 1) / (half + 1)) ** 2

    def around(array: np.ndarray) -> np.ndarray:
        return correlate1d(array.astype(float), near, axis=0, mode="constant")

    fits, risks = [values], [np.broadcast_to(variance, seen.shape)]
    for half in sorted({max(2, round(s * fps)) for s in WINDOWS}):
        fit, own, usable = _local_quadratic(values, weight, half)
        risk = weight * ((values - fit) ** 2).mean(axis=-1) - variance + 2 * variance * own
        known = seen & usable
        fits.append(fit)
        risks.append(np.where(known, around(np.where(known, risk, 0)) / np.maximum(around(known), 1e-9), np.inf))
    excess = np.where(seen, np.array(risks) - np.min(risks, axis=0), 0)
    shares = np.exp(-excess * 2 * around(seen) / np.maximum(4 * variance, 1e-9))
    best = np.einsum("fnk,fnkc->nkc", shares / shares.sum(axis=0), np.array(fits))
    return np.where(seen[..., None], best, np.nan)


def noise(points: np.ndarray, fps: float) -> np.ndarray:
    """(K,) standard deviation of the coordinates' noise: from third differences, and of these from the lower quarter,
    because motion enters little there.

    Those between neighbours do not see the part of the noise that lasts for some frames, so that differences over
    0.08 s are asked too; still longer ones would take motion for noise.
    """
    level = np.zeros(points.shape[1])
    for lag in {1, max(1, round(LASTING * fps))}:
        third = points
        for _ in range(3):
            third = third[lag:] - third[:-lag]
        third = np.linalg.norm(third, axis=-1)
        for k in range(points.shape[1]):
            known = third[~np.isnan(third[:, k]), k]
            if len(known) >= 8:  # Rayleigh's quantile; 1 + 9 + 9 + 1
                level[k] = max(level[k], np.quantile(known, 0.25) / np.sqrt(-2 * np.log(0.75) * 20))
    return level


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
