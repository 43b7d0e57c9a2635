"""What becomes of keypoints and maps in a mirror: left becomes right."""

import numpy as np

from pose_detector.networks import HEATMAPS, PAFS
from pose_detector.pafprocess import LIMBS, PAF_CHANNELS

SWAP = np.array([0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16])
"""Keypoint that each one becomes."""

_LIMB_NUMBER = {tuple(limb): i for i, limb in enumerate(LIMBS.tolist())}
_LIMB_SWAP = [_LIMB_NUMBER[tuple(SWAP[limb].tolist())] for limb in LIMBS]

CHANNELS = np.arange(HEATMAPS + PAFS)
"""Channel of (heat maps, PAFs) that each one is taken from."""
CHANNELS[:18] = SWAP
CHANNELS[HEATMAPS + PAF_CHANNELS] = HEATMAPS + PAF_CHANNELS[_LIMB_SWAP]

SIGNS = np.ones(HEATMAPS + PAFS, dtype=np.float32)
"""Factor of each channel: the x components of PAFs change sign."""
SIGNS[HEATMAPS + PAF_CHANNELS[:, 0]] = -1
