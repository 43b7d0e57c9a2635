"""Lengths of bones: of the skeleton's tree, freed of foreshortening and jitter."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from pose_detector.skeleton import LEFT_HIP, RIGHT_HIP

# The skeleton from the root outwards: joint, the one before, the kind of bone between. The root is the middle of the
# hips.
ROOT = 18
TREE = (
    (1, ROOT, "torso"), (8, ROOT, "hips"), (11, ROOT, "hips"), (9, 8, "thigh"), (12, 11, "thigh"),
    (10, 9, "shin"), (13, 12, "shin"), (0, 1, "neck"), (2, 1, "shoulders"), (5, 1, "shoulders"),
    (3, 2, "upper arm"), (6, 5, "upper arm"), (4, 3, "forearm"), (7, 6, "forearm"),
    (14, 0, "eyes"), (15, 0, "eyes"), (16, 0, "ears"), (17, 0, "ears"),
)  # fmt: skip
KINDS = tuple(dict.fromkeys(kind for *_, kind in TREE))
UPRIGHT_KINDS = ("torso", "thigh", "shin", "neck")  # they add up to the height
UPRIGHT = [i for i, (*_, kind) in enumerate(TREE) if kind in UPRIGHT_KINDS]

# Lengths of the figures of `data.sample` as a camera that looks straight ahead sees them dance facing it, in heights of
# the person.
USUAL = {
    "torso": 0.275, "hips": 0.054, "thigh": 0.22, "shin": 0.22, "neck": 0.13,
    "shoulders": 0.105, "upper arm": 0.165, "forearm": 0.133, "eyes": 0.029, "ears": 0.068,
}  # fmt: skip
# Seen from above, what is ahead of the body looks lower: by how much, for a tangent of 1, a bone's outer end is further
# ahead than its inner one. Knees and nose are.
AHEAD = {"thigh": 0.09, "shin": -0.09, "neck": -0.09}
# Foreshortening only shortens, so a high quantile over time is the length. Set by hand on `benchmarks/normalise.py`:
# higher ones measure wrong keypoints.
QUANTILE = 0.85
# Variance that jitter gives to a bone's length, in variances of a coordinate: 2 for two ends, less where an end is the
# mean of two keypoints.
JITTER_VARIANCE = {"torso": 1.5, "hips": 0.5}


def usual_lengths(pitch: float) -> np.ndarray:
    """(kinds of bones,) flat lengths in heights of the person to be expected before a camera that looks down by
    `pitch` radians."""
    return np.maximum([USUAL[kind] + np.tan(pitch) * AHEAD.get(kind, 0.0) for kind in KINDS], 0.02)


def bone_lengths(flat: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(N, bones of the tree) lengths of (N, 19, 2); NaN where an end is not seen (N, 18)."""
    seen = np.concatenate([seen, seen[:, [RIGHT_HIP, LEFT_HIP]].all(1, keepdims=True)], 1)
    outer, inner = np.array([bone[:2] for bone in TREE]).T
    length = np.linalg.norm(flat[:, outer] - flat[:, inner], axis=-1)
    return np.where(seen[:, outer] & seen[:, inner], length, np.nan)


def by_kind(bones: np.ndarray) -> list[np.ndarray]:
    """Lengths (N, bones of the tree) pooled over both sides: (N or 2 N, 1) for each of `KINDS`."""
    kinds = np.array([kind for *_, kind in TREE])
    return [bones[:, kinds == kind].reshape(-1, 1) for kind in KINDS]


def quantile(values: np.ndarray, share: float = QUANTILE) -> np.ndarray:
    """Quantile over the first axis of what is not NaN; NaN where less than a tenth is known."""
    count = (~np.isnan(values)).sum(0)
    ordered = np.sort(values, 0)
    index = np.clip(np.rint(share * (count - 1)), 0, None).astype(int)
    result = np.take_along_axis(ordered, index[None], 0)[0]
    return np.where(count >= max(1, 0.1 * len(values)), result, np.nan)


def steady_quantile(lengths: np.ndarray, kind: str, jitter: float) -> np.ndarray:
    """`quantile` of (N, K) lengths of a kind of bone, less what jitter adds to it: (K,).

    Args:
        lengths: NaN where unknown.
        kind: one of `KINDS`.
        jitter: standard deviation of a coordinate, in the lengths' unit.
    """
    middle, upper = quantile(lengths, 0.5), quantile(lengths)
    variance = JITTER_VARIANCE.get(kind, 2.0) * jitter**2
    # Jitter along the bone widens the range from the median to the quantile.
    spread = np.sqrt(np.maximum((upper - middle) ** 2 - ndtri(QUANTILE) ** 2 * variance, 0))
    return without_jitter(middle, variance) + spread


def without_jitter(length: np.ndarray, variance: np.ndarray | float) -> np.ndarray:
    """Lengths less what jitter across the bone, of this variance, adds to them; at least half of what they are."""
    return np.sqrt(np.maximum(length**2 - variance, length**2 / 4))
