"""The published grouping, straightforwardly in NumPy: the yardstick of pose_detector.pafprocess.

After the Python evaluation code of "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields"
(ZheC/Realtime_Multi-Person_Pose_Estimation and its PyTorch ports): all maps are enlarged by the stride, peaks lie on
whole pixels, and people are rows to which limbs are added.
"""

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from pose_detector.pafprocess import PAF_CHANNELS
from pose_detector.skeleton import KEYPOINTS, LIMBS


def _enlarge(maps: np.ndarray, stride: int) -> np.ndarray:
    return np.stack([cv2.resize(m, None, fx=stride, fy=stride, interpolation=cv2.INTER_CUBIC) for m in maps])


def _peaks(heatmap: np.ndarray, threshold: float) -> np.ndarray:
    """(n, 3) x, y, score."""
    smooth = np.pad(gaussian_filter(heatmap, sigma=3), 1)
    inner = smooth[1:-1, 1:-1]
    is_peak = inner > threshold
    for neighbour in (smooth[:-2, 1:-1], smooth[2:, 1:-1], smooth[1:-1, :-2], smooth[1:-1, 2:]):
        is_peak &= inner >= neighbour
    y, x = np.nonzero(is_peak)
    return np.column_stack([x, y, heatmap[y, x]]).astype(np.float64)


def _connections(field: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> list[tuple[int, int, float]]:
    candidates = []
    height = field.shape[1]
    for a, start in enumerate(starts):
        for b, end in enumerate(ends):
            vector = end[:2] - start[:2]
            length = np.linalg.norm(vector)
            if length == 0:
                continue
            points = np.rint(np.linspace(start[:2], end[:2], num=10)).astype(int)
            along = field[:, points[:, 1], points[:, 0]].T @ (vector / length)
            score = along.mean() + min(0.5 * height / length - 1, 0)
            if np.count_nonzero(along > 0.05) >= 0.8 * 10 and score > 0:
                candidates.append((a, b, score))
    chosen: list[tuple[int, int, float]] = []
    for a, b, score in sorted(candidates, key=lambda c: c[2], reverse=True):
        if all(a != c[0] and b != c[1] for c in chosen):
            chosen.append((a, b, score))
    return chosen


def group_reference(
    heatmaps: np.ndarray, pafs: np.ndarray, stride: int = 8, threshold: float = 0.1, min_score: float = 0.4
) -> tuple[np.ndarray, np.ndarray]:
    """As `pose_detector.pafprocess.group`; the constants are the published ones."""
    heatmaps, pafs = _enlarge(heatmaps[:KEYPOINTS], stride), _enlarge(pafs, stride)
    peaks = [_peaks(heatmap, threshold) for heatmap in heatmaps]
    rows = []  # numbers of the peaks (-1: none), sum of the scores, count
    for limb, ((k1, k2), channels) in enumerate(zip(LIMBS, PAF_CHANNELS, strict=True)):
        for a, b, score in _connections(pafs[channels], peaks[k1], peaks[k2]):
            found = [row for row in rows if row["peaks"][k1] == a or row["peaks"][k2] == b]
            if len(found) == 1:
                row = found[0]
                if row["peaks"][k2] != b:
                    row["count"] += row["peaks"][k2] < 0
                    row["peaks"][k2] = b
                    row["score"] += peaks[k2][b, 2] + score
            elif len(found) == 2:
                first, second = found
                if not np.any((first["peaks"] >= 0) & (second["peaks"] >= 0)):
                    first["peaks"] = np.maximum(first["peaks"], second["peaks"])
                    first["score"] += second["score"] + score
                    first["count"] += second["count"]
                    rows = [row for row in rows if row is not second]
                else:
                    first["peaks"][k2] = b
                    first["count"] += 1
                    first["score"] += peaks[k2][b, 2] + score
            elif not found and limb < 17:
                numbers = np.full(KEYPOINTS, -1)
                numbers[[k1, k2]] = a, b
                rows.append({"peaks": numbers, "score": peaks[k1][a, 2] + peaks[k2][b, 2] + score, "count": 2})
    rows = [row for row in rows if row["count"] >= 4 and row["score"] / row["count"] >= min_score]
    keypoints = np.zeros((len(rows), KEYPOINTS, 2), np.float32)
    scores = np.zeros((len(rows), KEYPOINTS), np.float32)
    for p, row in enumerate(rows):
        for k, number in enumerate(row["peaks"]):
            if number >= 0:
                keypoints[p, k] = peaks[k][number, :2]
                scores[p, k] = peaks[k][number, 2]
    return keypoints, scores
