"""Colour histograms of clothes, by which people are recognised after a cut, where their places say nothing."""

import numpy as np

LEVELS = 4  # of each colour channel in a histogram; finer ones distinguish light and folds, not clothes
REGIONS = 2  # trunk, thighs
_ACROSS, _ALONG = 7, 9  # points that are looked at on the trunk
_THIGH = 0.12  # lengths of a thigh to each side of its bone that are surely on it


def clothes(frame: np.ndarray, keypoints: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Histograms of the colours on trunk and thighs of everybody in a frame.

    Args:
        frame: (H, W, 3) uint8.
        keypoints: (P, 18, 2) pixels, COCO-18.
        scores: (P, 18), 0 where missing.

    Returns:
        (P, REGIONS, LEVELS ** 3) float32, each sums up to 1; zeros where a region is not seen.
    """
    result = np.zeros((len(keypoints), REGIONS, LEVELS**3), np.float32)
    for person, points, seen in zip(result, keypoints, np.asarray(scores) > 0, strict=True):
        regions = _trunk(points, seen), _thighs(points, seen)
        for histogram, places in zip(person, regions, strict=True):
            x, y = np.rint(places).astype(int).T
            inside = (x >= 0) & (y >= 0) & (x < frame.shape[1]) & (y < frame.shape[0])
            if inside.sum() >= 8:
                histogram[:] = _histogram(frame[y[inside], x[inside]])
    return result


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """How alike two histograms of `clothes`, or sums of them, are: Bhattacharyya's coefficient in [0, 1], mean over the
    regions that both show; 0 where there are none."""
    a, b = (h / np.maximum(h.sum(axis=-1, keepdims=True), 1e-9) for h in (a, b))
    both = (a.sum(axis=-1) > 0) & (b.sum(axis=-1) > 0)
    return float(np.sqrt(a * b).sum(axis=-1)[both].mean()) if both.any() else 0.0


def _trunk(points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(M, 2) places between shoulders and hips."""
    if not seen[[2, 5, 8, 11]].all():
        return np.zeros((0, 2))
    u, v = np.meshgrid(np.linspace(0.1, 0.9, _ACROSS), np.linspace(0.1, 0.9, _ALONG))
    u, v = u.reshape(-1, 1), v.reshape(-1, 1)
    return (1 - v) * ((1 - u) * points[2] + u * points[5]) + v * ((1 - u) * points[8] + u * points[11])


def _thighs(points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(M, 2) places along the thighs."""
    places = [np.zeros((0, 2))]
    for hip, knee in ((8, 9), (11, 12)):
        if seen[hip] and seen[knee]:
            bone = points[knee] - points[hip]
            along, aside = np.meshgrid(np.linspace(0.2, 0.9, _ALONG), np.linspace(-_THIGH, _THIGH, 3))
            places.append(points[hip] + along.reshape(-1, 1) * bone + aside.reshape(-1, 1) * (-bone[1], bone[0]))
    return np.concatenate(places)


def _histogram(pixels: np.ndarray) -> np.ndarray:
    """(LEVELS ** 3,) shares of the colours (M, 3) uint8, each shared among the levels beside it."""
    place = pixels.astype(np.float32) * ((LEVELS - 1) / 255)
    low = np.minimum(place.astype(int), LEVELS - 2)
    part = place - low
    histogram = np.zeros(LEVELS**3, np.float32)
    for corner in np.ndindex(2, 2, 2):
        weight = np.where(corner, part, 1 - part).prod(axis=1)
        bins = (low + corner) @ (LEVELS**2, LEVELS, 1)
        histogram += np.bincount(bins, weight, LEVELS**3).astype(np.float32)
    return histogram / len(pixels)
