"""Where the floor under a person is, in the picture."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from pose_detector.errors import InputError
from pose_detector.series import interpolate
from pose_detector.skeleton import ANKLES, LEFT_HIP, LEFT_KNEE, NECK, RIGHT_HIP, RIGHT_KNEE, body_size

# Joints that may stand for the floor, the best first.
ANCHORS = {
    "ankles": ANKLES,
    "knees": (RIGHT_KNEE, LEFT_KNEE),
    "hips": (RIGHT_HIP, LEFT_HIP),
    "neck": (NECK,),
}
SHOWN = 0.2  # share of the frames that must show one of them, as in `data.report`
FLIGHT = 0.9  # seconds that feet may be off the floor: a jump 1 m high
RISE = 0.05  # body sizes that feet must rise to be off the floor, above their tremor


def common_anchor(*seen: np.ndarray) -> str:
    """Name of the best of `ANCHORS` that all videos show, from the joints seen (N, 18) in each.

    Raises:
        InputError: there is none.
    """
    for name, joints in ANCHORS.items():
        if all(s[:, list(joints)].any(1).mean() >= SHOWN for s in seen):
            return name
    raise InputError("the person is seen in too few frames of one of the videos to normalise; film the whole body")


def floor_line(keypoints: np.ndarray, seen: np.ndarray, fps: float, anchor: tuple[int, ...] = ANKLES) -> np.ndarray:
    """(N,) y of the floor under the person in pixels: the lowest anchor joint, without jumps, smoothed.

    Raises:
        InputError: the anchor joints are in no frame.
    """
    joints = list(anchor)
    lowest = np.where(seen[:, joints], keypoints[:, joints, 1], -np.inf).max(1)
    known = np.isfinite(lowest)
    if not known.any():
        raise InputError("the person is seen in no frame; film the whole body, or name another one with --person")
    line = interpolate(lowest, known)
    line = ndimage.median_filter(line, size=odd(0.25 * fps), mode="nearest")
    # A closing finds what rises and comes back; the floor there runs straight from where it left to where it landed.
    risen = ndimage.grey_closing(line, size=odd(FLIGHT * fps), mode="nearest") - line
    sizes = body_size(keypoints * seen[..., None])
    flight = risen > RISE * np.nanmedian(sizes) if np.isfinite(sizes).any() else np.zeros(len(line), bool)
    around = ndimage.binary_dilation(flight, iterations=max(1, round(0.08 * fps)))
    line = interpolate(line, ~(flight if around.all() else around))
    return ndimage.gaussian_filter1d(line, 0.15 * fps, mode="nearest")


def odd(length: float) -> int:
    """The odd number of frames nearest to a length in frames, at least 1."""
    return 2 * max(0, round((length - 1) / 2)) + 1
