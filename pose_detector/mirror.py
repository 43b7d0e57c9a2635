"""A network's maps of mirrored pictures: left becomes right."""

import numpy as np

from pose_detector.networks import HEATMAPS, PAFS
from pose_detector.pafprocess import PAF_CHANNELS
from pose_detector.skeleton import LIMBS, MIRROR

_LIMB_NUMBER = {tuple(limb): i for i, limb in enumerate(LIMBS.tolist())}
_LIMB_SWAP = [_LIMB_NUMBER[tuple(MIRROR[limb].tolist())] for limb in LIMBS]

CHANNELS = np.arange(HEATMAPS + PAFS)
"""Channel of (heat maps, PAFs) that each one is taken from."""
CHANNELS[:18] = MIRROR
CHANNELS[HEATMAPS + PAF_CHANNELS] = HEATMAPS + PAF_CHANNELS[_LIMB_SWAP]

SIGNS = np.ones(HEATMAPS + PAFS, dtype=np.float32)
"""Factor of each channel: the x components of PAFs change sign."""
SIGNS[HEATMAPS + PAF_CHANNELS[:, 0]] = -1
