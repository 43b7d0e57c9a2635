"""The COCO-18 skeleton: names, limbs, sides, colours, sizes and picture. All other modules take them from here.

Keypoints are float32 (..., 18, 3): x, y in pixels (centre of the top-left pixel at (0, 0)) and confidence, 0 = missing.
"""

from __future__ import annotations

import cv2
import numpy as np

NAMES = (
    "nose", "neck",
    "right shoulder", "right elbow", "right wrist", "left shoulder", "left elbow", "left wrist",
    "right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle",
    "right eye", "left eye", "right ear", "left ear",
)  # fmt: skip
KEYPOINTS = len(NAMES)
NOSE, NECK = 0, 1
RIGHT_SHOULDER, RIGHT_ELBOW, RIGHT_WRIST, LEFT_SHOULDER, LEFT_ELBOW, LEFT_WRIST = range(2, 8)
RIGHT_HIP, RIGHT_KNEE, RIGHT_ANKLE, LEFT_HIP, LEFT_KNEE, LEFT_ANKLE = range(8, 14)
RIGHT_EYE, LEFT_EYE, RIGHT_EAR, LEFT_EAR = range(14, 18)

HEAD = (NOSE, RIGHT_EYE, LEFT_EYE, RIGHT_EAR, LEFT_EAR)
ANKLES = (RIGHT_ANKLE, LEFT_ANKLE)
GROUPS = {
    "head": HEAD,
    "shoulders": (NECK, RIGHT_SHOULDER, LEFT_SHOULDER),
    "elbows": (RIGHT_ELBOW, LEFT_ELBOW),
    "wrists": (RIGHT_WRIST, LEFT_WRIST),
    "hips": (RIGHT_HIP, LEFT_HIP),
    "knees": (RIGHT_KNEE, LEFT_KNEE),
    "ankles": ANKLES,
}

# Right and left keypoint of each pair.
PAIRS = ((2, 5), (3, 6), (4, 7), (8, 11), (9, 12), (10, 13), (14, 15), (16, 17))
# Where each keypoint goes when a picture is mirrored: keypoints[MIRROR] with x -> width - 1 - x.
MIRROR = np.arange(KEYPOINTS)
MIRROR[np.array(PAIRS)] = np.array(PAIRS)[:, ::-1]

# The 17 limbs that one sees, a tree from the neck outwards, then the two from shoulder to ear that OpenPose has for
# grouping only. Part affinity fields point from the first keypoint to the second.
LIMBS = np.array([
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7),
    (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
    (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
    (2, 16), (5, 17),
], dtype=np.int32)  # fmt: skip
VISIBLE_LIMBS = 17
# RGB, the colours of OpenPose's pictures.
COLOURS = np.array([
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0),
    (0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255),
    (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170),
    (255, 0, 85), (128, 128, 128),
])  # fmt: skip

# Typical length in torso lengths (neck to the middle of the hips) of what one sees of an adult, side by side with the
# two keypoints. Foreshortening only shortens, so the largest ratio is the best guess of the person's size.
_PROPORTIONS = (
    (RIGHT_SHOULDER, LEFT_SHOULDER, 0.72), (RIGHT_HIP, LEFT_HIP, 0.46), (NOSE, NECK, 0.48),
    (RIGHT_SHOULDER, RIGHT_ELBOW, 0.58), (LEFT_SHOULDER, LEFT_ELBOW, 0.58),
    (RIGHT_ELBOW, RIGHT_WRIST, 0.50), (LEFT_ELBOW, LEFT_WRIST, 0.50),
    (RIGHT_HIP, RIGHT_KNEE, 0.83), (LEFT_HIP, LEFT_KNEE, 0.83),
    (RIGHT_KNEE, RIGHT_ANKLE, 0.80), (LEFT_KNEE, LEFT_ANKLE, 0.80),
    (NECK, RIGHT_HIP, 1.03), (NECK, LEFT_HIP, 1.03),
)  # fmt: skip

_SHIFT = 4  # fractional bits that cv2 draws with: a sixteenth of a pixel


def torso_length(keypoints: np.ndarray) -> np.ndarray:
    """Distance from the neck to the middle of the hips in pixels, (...,); NaN where one of the three is missing.

    Args:
        keypoints: (..., 18, 3).
    """
    keypoints = np.asarray(keypoints, np.float32)
    hips = (keypoints[..., RIGHT_HIP, :2] + keypoints[..., LEFT_HIP, :2]) / 2
    length = np.linalg.norm(keypoints[..., NECK, :2] - hips, axis=-1)
    seen = (keypoints[..., [NECK, RIGHT_HIP, LEFT_HIP], 2] > 0).all(-1)
    return np.where(seen, length, np.nan)


def body_size(keypoints: np.ndarray) -> np.ndarray:
    """Size of the person in pixels, (...,), as the torso length that fits the longest limbs; NaN if no limb is seen.

    Unlike the torso alone this stands missing hips and a person who bends towards the camera. Of three limbs or more
    the second longest counts, so that one wrong keypoint does no harm.
    """
    keypoints = np.asarray(keypoints, np.float32)
    torso = torso_length(keypoints)
    sizes = [np.where(np.isnan(torso), 0, torso)]
    for a, b, ratio in _PROPORTIONS:
        length = np.linalg.norm(keypoints[..., a, :2] - keypoints[..., b, :2], axis=-1) / ratio
        sizes.append(np.where((keypoints[..., [a, b], 2] > 0).all(-1), length, 0))
    ordered = np.sort(np.stack(sizes, -1), -1)
    best = np.where(ordered[..., -3] > 0, ordered[..., -2], ordered[..., -1])
    return np.where(best > 0, best, np.nan)


def person_size(keypoints: np.ndarray) -> np.ndarray:
    """Size of people (..., 18, 3) in pixels: the torso's length, or what the whole extent lets one expect of it.

    The extent (a standing person's is about 3.3 torsos) helps where the torso is hidden or points at the camera. Unlike
    `body_size` it is there for any keypoint seen, 0 without one, and a wrong keypoint enlarges it: for comparing poses
    that are not yet known to be whole.
    """
    seen = keypoints[..., 2:] > 0
    xy = keypoints[..., :2]
    high, low = np.where(seen, xy, -np.inf).max(axis=-2), np.where(seen, xy, np.inf).min(axis=-2)
    any_seen = seen.any(axis=(-2, -1))
    extent = np.where(any_seen, np.hypot(*np.moveaxis(np.where(any_seen[..., None], high - low, 0), -1, 0)), 0)
    torso = np.hypot(*np.moveaxis(xy[..., 1, :] - (xy[..., 8, :] + xy[..., 11, :]) / 2, -1, 0))
    whole = seen[..., [1, 8, 11], 0].all(axis=-1)
    return np.maximum(0.3 * extent, np.where(whole, torso, 0))


def bounding_box(
    keypoints: np.ndarray, frame_size: tuple[int, int], margin: float = 0.5
) -> tuple[float, float, float, float] | None:
    """Box (left, top, right, bottom) in pixels round the keypoints seen, clipped to the picture; None if none is seen.

    Args:
        keypoints: (18, 3).
        frame_size: (width, height).
        margin: added on every side, in torso lengths.
    """
    seen = keypoints[keypoints[:, 2] > 0, :2]
    if not len(seen):
        return None
    size = float(body_size(keypoints))
    pad = margin * size if np.isfinite(size) else 0.0
    limit = np.array(frame_size) - 1
    low = np.clip(seen.min(0) - pad, 0, limit)
    high = np.clip(seen.max(0) + pad, 0, limit)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def draw(frame: np.ndarray, keypoints: np.ndarray, thickness: float = 0.09) -> np.ndarray:
    """A copy of the frame with the skeleton drawn on it; limbs with a missing end are left out.

    Args:
        frame: (H, W, 3) uint8 RGB.
        keypoints: (18, 3) pixels of this frame.
        thickness: of a limb, in torso lengths.
    """
    canvas = np.ascontiguousarray(frame).copy()
    size = float(body_size(keypoints))
    if not np.isfinite(size):
        size = 0.2 * frame.shape[0]
    width = max(1, round(thickness * size))
    points = to_fixed(keypoints[:, :2], frame.shape)
    for (a, b), colour in zip(LIMBS[:VISIBLE_LIMBS], COLOURS.tolist(), strict=False):
        if keypoints[a, 2] > 0 and keypoints[b, 2] > 0:
            # The face is small: full thickness would paint it over.
            line = width if NECK in (a, b) or a not in HEAD else max(1, width // 2)
            cv2.line(canvas, points[a], points[b], colour, line, cv2.LINE_AA, _SHIFT)
    radius = max(1, round(0.6 * width * 2**_SHIFT))
    for joint in np.flatnonzero(keypoints[:, 2] > 0):
        r = radius if joint not in HEAD else max(1, radius // 2)
        cv2.circle(canvas, points[joint], r, (255, 255, 255), -1, cv2.LINE_AA, _SHIFT)
    return canvas


def draw_outline(canvas: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Draw the rim of an outline (H, W) uint8, 255 = the person, on a canvas (H, W, 3) uint8 RGB, which is returned."""
    rims, _ = cv2.findContours(np.uint8(outline > 127), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(canvas, rims, -1, (0, 255, 0), max(1, min(canvas.shape[:2]) // 200), cv2.LINE_AA)


def to_fixed(points: np.ndarray, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Points (N, 2) in pixels as cv2's fixed-point integers, kept within reach of a picture of this shape."""
    height, width = shape[:2]
    limited = np.clip(np.where(np.isnan(points), 0, points), (-4 * width, -4 * height), (5 * width, 5 * height))
    return [(x, y) for x, y in np.rint(limited * 2**_SHIFT).astype(int).tolist()]
