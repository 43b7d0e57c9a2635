"""Where people may be in a frame, by their keypoints."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from pose_detector import skeleton
from pose_detector.skeleton import body_size, to_fixed

_SHIFT = 4
# Half the thickness of what surrounds each bone, clothes included, in torso lengths.
_RADII = {
    (2, 3): 0.26, (3, 4): 0.24, (5, 6): 0.26, (6, 7): 0.24,
    (8, 9): 0.32, (9, 10): 0.27, (11, 12): 0.32, (12, 13): 0.27,
    (1, 2): 0.26, (1, 5): 0.26, (2, 8): 0.28, (5, 11): 0.28, (8, 11): 0.32, (1, 8): 0.28, (1, 11): 0.28,
    (1, 0): 0.30,
}  # fmt: skip


def person_mask(
    keypoints: np.ndarray, frame_size: tuple[int, int], grow: float = 1.0, size: float | None = None
) -> np.ndarray:
    """Where a person may be, shadow at the feet included: (H, W) bool.

    Args:
        keypoints: (18, 3) pixels; a limb with a missing end is left out.
        frame_size: (width, height).
        grow: factor on all thicknesses.
        size: the person's `body_size` in pixels; None: as this pose shows it, too small where all limbs are
            foreshortened.
    """
    width, height = frame_size
    mask = np.zeros((height, width), np.uint8)
    size = float(body_size(keypoints)) if size is None else size
    if not (np.isfinite(size) and size > 0):
        return mask.astype(bool)
    seen = keypoints[:, 2] > 0
    xy = keypoints[:, :2].astype(np.float64)

    def capsule(a: np.ndarray, b: np.ndarray, radius: float) -> None:
        p, q = to_fixed(np.stack([a, b]), mask.shape)
        cv2.line(mask, p, q, 1, max(1, round(2 * radius * grow * size)), cv2.LINE_8, _SHIFT)

    for (a, b), radius in _RADII.items():
        if seen[a] and seen[b]:
            capsule(xy[a], xy[b], radius)
    torso = [j for j in (2, 5, 11, 8) if seen[j]]
    if len(torso) >= 3:
        cv2.fillPoly(mask, [np.array(to_fixed(xy[torso], mask.shape))], 1, cv2.LINE_8, _SHIFT)
    # Hands and feet reach beyond the last joint.
    for inner, end, reach in ((3, 4, 0.55), (6, 7, 0.55), (9, 10, 0.3), (12, 13, 0.3)):
        if seen[end]:
            tip = xy[end] + (reach * (xy[end] - xy[inner]) if seen[inner] else 0)
            capsule(xy[end], tip, 0.26)
    for ankle in skeleton.ANKLES:
        if seen[ankle]:
            # Toes point anywhere, and towards the camera they lie well below the ankle.
            heel, side = xy[ankle] + np.array([0, 0.1 * size]), np.array([0.22 * size, 0])
            capsule(heel - side, heel + side, 0.24)
            capsule(heel, heel + np.array([0, 0.3 * size]), 0.26)
    head = [j for j in skeleton.HEAD if seen[j]]
    if head:
        centre = xy[head].mean(0)
        if seen[skeleton.NECK]:  # hair and crown lie beyond the face, seen from the neck
            centre = centre + 0.2 * (centre - xy[skeleton.NECK])
        capsule(centre, centre, 0.55)
    return mask.astype(bool)


def people_mask(people: Iterable[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool, where one of these people (18, 3) may be in a frame of (width, height)."""
    mask = np.zeros(size[::-1], bool)
    for pose in people:
        mask |= person_mask(pose, size)
    return mask


def hold(keypoints: np.ndarray, frames: int) -> np.ndarray:
    """Keypoints with missing ones taken from the nearest frame that shows them, if it is at most `frames` away.

    A person whom the detector misses for a moment is still there.

    Args:
        keypoints: (N, 18, 3), not changed.
    """
    result = keypoints.copy()
    index = np.arange(len(keypoints))
    for joint in range(keypoints.shape[1]):
        known = np.flatnonzero(keypoints[:, joint, 2] > 0)
        if not len(known):
            continue
        after = known[np.minimum(np.searchsorted(known, index), len(known) - 1)]
        before = known[np.maximum(np.searchsorted(known, index, "right") - 1, 0)]
        nearest = np.where(np.abs(after - index) < np.abs(index - before), after, before)
        near = np.abs(nearest - index) <= frames
        result[near, joint] = keypoints[nearest[near], joint]
    return result
