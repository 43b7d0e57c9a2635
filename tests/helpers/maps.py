"""Heat maps and PAFs drawn from known poses, as the training targets of OpenPose-family networks are."""

import numpy as np

from pose_detector.pafprocess import PAF_CHANNELS
from pose_detector.skeleton import KEYPOINTS, LIMBS

STANDING = np.array(
    [
        [0, -0.38], [0, 0], [-0.3, 0], [-0.45, 0.42], [-0.5, 0.8], [0.3, 0], [0.45, 0.42], [0.5, 0.8],
        [-0.18, 1], [-0.2, 1.75], [-0.2, 2.45], [0.18, 1], [0.2, 1.75], [0.2, 2.45],
        [-0.08, -0.47], [0.08, -0.47], [-0.18, -0.42], [0.18, -0.42],
    ]
)  # fmt: skip
"""(18, 2) a standing person seen from the front; the neck is the origin and the torso one unit long."""
PERSON = np.array(
    [
        [0.50, 0.15], [0.50, 0.25], [0.42, 0.25], [0.36, 0.38], [0.33, 0.50], [0.58, 0.25], [0.64, 0.38], [0.70, 0.48],
        [0.45, 0.52], [0.44, 0.70], [0.43, 0.88], [0.55, 0.52], [0.57, 0.70], [0.60, 0.86],
        [0.47, 0.12], [0.53, 0.12], [0.44, 0.14], [0.56, 0.14],
    ]
)  # fmt: skip
"""(18, 2) of a person, as shares of the picture's height and width."""


def random_pose(rng: np.random.Generator, torso: float, neck: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """Keypoints (18, 2) in pixels of somebody with limbs in random directions and a torso of `torso` pixels."""
    pose = STANDING.copy()
    for chain, swing in (((3, 4), 1.2), ((6, 7), 1.2), ((9, 10), 0.5), ((12, 13), 0.5)):
        for first in (0, 1):  # the whole limb turns in its socket, then its lower half in the middle joint
            pivot = pose[chain[0] - 1 + first].copy()
            angle = rng.uniform(-swing, swing) * (1, 0.7)[first]
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            moved = list(chain[first:])
            pose[moved] = (pose[moved] - pivot) @ turn.T + pivot
    return pose * torso + np.asarray(neck)


def draw_maps(
    poses: np.ndarray, height: int, width: int, stride: float = 8.0, sigma: float = 7.0, limb_width: float = 8.0
) -> tuple[np.ndarray, np.ndarray]:
    """Maps of a perfect network.

    Args:
        poses: (P, 18, 2) x, y in pixels of the network's input; NaN where a keypoint is missing.
        height: Rows of the maps.
        width: Columns of the maps.
        stride: Pixels per cell.
        sigma: Of the Gaussian at each keypoint, in pixels (7 in OpenPose's training).
        limb_width: Pixels on either side of a limb that its field covers (8, one cell, in OpenPose's training).

    Returns:
        heatmaps (19, height, width) float32 with the background last, pafs (38, height, width) float32.
    """
    poses = np.asarray(poses, dtype=np.float64).reshape(-1, KEYPOINTS, 2)
    x = (np.arange(width) + 0.5) * stride - 0.5
    y = (np.arange(height) + 0.5) * stride - 0.5
    heatmaps = np.zeros((KEYPOINTS + 1, height, width))
    pafs = np.zeros((38, height, width))
    for keypoint in range(KEYPOINTS):
        for px, py in poses[:, keypoint]:
            if np.isnan(px):
                continue
            bell = np.exp(-((y[:, None] - py) ** 2 + (x - px) ** 2) / (2 * sigma**2))
            np.maximum(heatmaps[keypoint], bell, out=heatmaps[keypoint])
    heatmaps[-1] = 1 - heatmaps[:-1].max(axis=0)
    for (a, b), channels in zip(LIMBS, PAF_CHANNELS, strict=True):
        covered = np.zeros((height, width))
        for start, end in zip(poses[:, a], poses[:, b], strict=True):
            length = np.linalg.norm(end - start)
            if not length > 0:
                continue
            unit = (end - start) / length
            dx, dy = x - start[0], (y - start[1])[:, None]
            along, across = dx * unit[0] + dy * unit[1], dx * unit[1] - dy * unit[0]
            # Half a cell beyond the ends, as the published targets' rounding to cells has it.
            on_limb = (np.abs(across) <= limb_width) & (along >= -stride / 2) & (along <= length + stride / 2)
            pafs[channels] += unit[:, None, None] * on_limb
            covered += on_limb
        pafs[channels] /= np.maximum(covered, 1)  # where limbs cross, the mean
    return heatmaps.astype(np.float32), pafs.astype(np.float32)


def scene(
    rng: np.random.Generator, people: int, height: int, width: int, stride: float = 8.0, apart: float = 3.0
) -> np.ndarray:
    """Poses (people, 18, 2) in pixels, inside the picture; the same keypoint of two people is at least `apart` cells
    apart. People overlap where there are many."""
    size = np.array([width, height]) * stride
    poses: list[np.ndarray] = []
    # Smaller people where there are more of them, but never so small that a face is within one cell.
    torso = size[1] / 4.2
    while len(poses) < people:
        pose = random_pose(rng, torso * rng.uniform(0.6, 0.9))
        low, high = pose.min(axis=0), pose.max(axis=0)
        pose += rng.uniform(-low + 2, np.maximum(size - high - 3, -low + 2.1))
        if all(np.linalg.norm(pose - other, axis=1).min() >= apart * stride for other in poses):
            poses.append(pose)
    return np.array(poses)
