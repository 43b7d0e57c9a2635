"""Poses unlike any that the model was trained on: they make bad pictures. Which they are, and how to bring them nearer.

A pose is compared part by part (arms, legs, and trunk with head), as texture is copied part by part: a raised arm is
known if this arm was ever raised, whatever the legs did. Distances are in torso lengths.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from pose_detector.series import interpolate
from pose_detector.skeleton import ANKLES, LEFT_HIP, NECK, NOSE, RIGHT_HIP, body_size

FAR = 0.4  # torso lengths from the nearest trained pose of a part from which on a picture suffers
# Part: (where it hangs, its joints).
PARTS = {
    "right arm": (2, (3, 4)),
    "left arm": (5, (6, 7)),
    "right leg": (8, (9, 10)),
    "left leg": (11, (12, 13)),
    "trunk": (NECK, (RIGHT_HIP, LEFT_HIP, NOSE, 2, 5)),
}


def strangeness(poses: np.ndarray, trained: np.ndarray, fps: float) -> np.ndarray:
    """Distance (N, parts) of each part from the nearest trained pose of it, torso lengths; NaN where not all is seen.

    Args:
        poses: (N, 18, 3) keypoints, normalised onto the trained person.
        trained: (M, 18, 3) keypoints of the training video, in the same pixels.
        fps: of the poses, frames per second.
    """
    return np.stack([distance for distance, _ in _nearest(poses, trained, fps)], 1)


def stay_in_range(poses: np.ndarray, trained: np.ndarray, fps: float) -> np.ndarray:
    """The poses with what is too far from the trained ones brought to a distance of `FAR`.

    The shift is smoothed over time, so that nothing jumps where another trained pose becomes the nearest. Feet stay at
    the height where they were.

    Args:
        poses, trained, fps: as for `strangeness`.

    Returns:
        (N, 18, 3); confidences as they were.
    """
    result = poses.astype(np.float64)
    for (hang, joints), (distance, way) in zip(PARTS.values(), _nearest(poses, trained, fps), strict=True):
        share = np.maximum(0, 1 - FAR / np.maximum(np.nan_to_num(distance), 1e-6))
        shift = ndimage.gaussian_filter1d(share[:, None, None] * way, 0.1 * fps, axis=0, mode="nearest")
        if hang == NECK:  # the trunk bends at the hips, and what hangs on the neck goes with it
            hips = shift[:, :2].mean(1)
            result[:, [0, 1, *range(2, 8), 14, 15, 16, 17], :2] -= hips[:, None]
        else:
            result[:, list(joints), :2] += shift
    seen = poses[:, list(ANKLES), 2] > 0
    lowest = [np.where(seen, k[:, list(ANKLES), 1], -np.inf).max(1) for k in (poses, result)]
    with np.errstate(invalid="ignore"):
        result[..., 1] += np.where(seen.any(1), lowest[0] - lowest[1], 0)[:, None]
    return np.where(poses[..., 2:] > 0, result, poses).astype(np.float32)


def _nearest(poses: np.ndarray, trained: np.ndarray, fps: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each part the distance (N,) to the nearest trained one, and the way there (N, joints, 2) in pixels."""
    size, trained_size = _sizes(poses, fps), _sizes(trained, fps)
    result = []
    for hang, joints in PARTS.values():
        shape, known = _shape(poses, size, hang, joints)
        shapes, usable = _shape(trained, trained_size, hang, joints)
        distance, way = np.full(len(poses), np.nan), np.zeros((len(poses), len(joints), 2))
        if usable.any() and known.any():
            # Root mean square over the joints.
            far, index = cKDTree(shapes[usable].reshape(usable.sum(), -1)).query(shape[known].reshape(known.sum(), -1))
            distance[known] = far / np.sqrt(len(joints))
            way[known] = (shapes[usable][index] - shape[known]) * size[known, None, None]
        result.append((distance, way))
    return result


def _shape(poses: np.ndarray, size: np.ndarray, hang: int, joints: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(N, joints, 2) joints of a part relative to where it hangs, in torso lengths; and which are wholly seen (N,)."""
    shape = (poses[:, list(joints), :2] - poses[:, [hang], :2]) / size[:, None, None]
    return shape, (poses[:, [hang, *joints], 2] > 0).all(1)


def _sizes(poses: np.ndarray, fps: float) -> np.ndarray:
    """(N,) torso length that the person has upright, pixels."""
    own = body_size(poses)
    known = ~np.isnan(own)
    if not known.any():
        return np.ones(len(poses))
    own = interpolate(own, known)
    return np.maximum(ndimage.percentile_filter(own, 75, size=max(1, round(2 * fps)), mode="nearest"), 1)
