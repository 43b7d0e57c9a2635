"""Grouping of heat maps and part affinity fields (PAFs) into people, in C++.

The tables are those of the public OpenPose COCO networks; heat map channels are the 18 keypoints in COCO-18 order.
"""

import numpy as np

from pose_detector.pafprocess import _pafprocess
from pose_detector.skeleton import LIMBS, VISIBLE_LIMBS

__all__ = ["HEATMAPS", "PAFS", "PAF_CHANNELS", "group"]

HEATMAPS = 19  # 18 keypoints in COCO-18 order, then background
PAFS = 38  # x and y of 19 limbs, in OpenPose's order

PAF_CHANNELS = np.array(
    [
        [12, 13], [20, 21], [14, 15], [16, 17], [22, 23], [24, 25], [0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11],
        [28, 29], [30, 31], [34, 35], [32, 33], [36, 37], [18, 19], [26, 27],
    ],
    dtype=np.int32,
)  # fmt: skip
"""(19, 2) channels of the x and y components of each of `skeleton.LIMBS` among the 38 PAF channels."""


def group(
    heatmaps: np.ndarray,
    pafs: np.ndarray,
    stride: float = 8.0,
    threshold: float = 0.1,
    *,
    paf_threshold: float = 0.05,
    agreement: float = 0.8,
    min_parts: int = 4,
    min_score: float = 0.2,
    max_peaks: int = 500,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the people in the output of an OpenPose-family network.

    Pure: no state is kept, the arguments are not changed and the GIL is released, so that threads may call it at once.
    NaN and infinite cells count as empty.

    Args:
        heatmaps: (18 or more, h, w) float32, one map per keypoint at network resolution; further channels (the
            background) are ignored. Maps of any strides are taken; contiguous ones are not copied.
        pafs: (38, h, w) float32, channels as in `PAF_CHANNELS`.
        stride: Pixels of the network's input per cell.
        threshold: Least height of a peak in a heat map.
        paf_threshold: Least component of the field along a limb at a sample of the line integral.
        agreement: Share of a limb's ten samples that must reach `paf_threshold`.
        min_parts: People with fewer keypoints are dropped.
        min_score: People are dropped whose scores, summed over peaks and limbs, are less than this per keypoint.
        max_peaks: Per keypoint the strongest so many are considered; it bounds the time that pure noise can take.

    Returns:
        keypoints: (P, 18, 2) float32, x and y in pixels of the network's input, where the centre of the top-left pixel
            is (0, 0): x = (cell + 0.5) * stride - 0.5. The likeliest person comes first.
        scores: (P, 18) float32, height of the keypoint's peak; 0 where it is missing (its x and y are then 0).

    Raises:
        ValueError: The shapes do not fit, or `agreement` is not a share.
    """
    return _pafprocess.group(
        heatmaps,
        pafs,
        limbs=LIMBS,
        channels=PAF_CHANNELS,
        founding_limbs=VISIBLE_LIMBS,
        stride=stride,
        threshold=threshold,
        field_threshold=paf_threshold,
        agreement=agreement,
        min_parts=min_parts,
        min_score=min_score,
        max_peaks=max_peaks,
    )
