"""Mattes: which share of each pixel of a frame shows the person.

The outline that a network found decides what is the person. It is a few pixels coarse: a guided filter moves its rim to
the edges of the picture, and beyond it pixels that equal the empty room are left out.
"""

from __future__ import annotations

import cv2
import numpy as np

from data.masked import disc

RIM = 0.04  # torso lengths on either side of the outline within which it may be wrong
SMALL = 4  # pixels of radius beyond which the filter works at less resolution; the rim changes by 2 levels of 255
SMOOTH = 6.0  # grey levels of contrast below which an edge in the picture does not count
NOISE = 10.0  # grey levels by which a frame may differ from the plate where it shows only the room


def matte(frame: np.ndarray, plate: np.ndarray, outline: np.ndarray, size: float) -> np.ndarray:
    """The person in a frame.

    Args:
        frame, plate: (H, W, 3) uint8 RGB.
        outline: (H, W) uint8, 255 = the person.
        size: of the person, torso lengths in pixels.

    Returns:
        (H, W) uint8, 255 = wholly the person.
    """
    reach = max(2, round(RIM * size))
    solid = (outline > 127).astype(np.uint8)
    inside, around = cv2.erode(solid, disc(reach)), cv2.dilate(solid, disc(reach))
    result = 255 * inside
    left, top, width, height = cv2.boundingRect(around)
    if not width:
        return result
    room = 2 * reach  # so that the filter's windows see all of the rim's surroundings
    box = np.s_[max(top - room, 0) : top + height + room, max(left - room, 0) : left + width + room]
    share = guided_filter(frame[box].astype(np.float32), outline[box].astype(np.float32) / 255, reach, SMOOTH**2)
    share = np.clip(1.2 * share - 0.1, 0, 1)  # the filter leaves a faint veil
    difference = cv2.GaussianBlur(cv2.absdiff(frame[box], plate[box]), (0, 0), 0.7).max(axis=-1).astype(np.float32)
    differs = 1 - np.exp(-((difference / NOISE) ** 2))
    share *= np.maximum(differs, cv2.GaussianBlur(solid[box].astype(np.float32), (0, 0), 0.5 * reach))
    rim = (around[box] > 0) & (inside[box] == 0)
    result[box][rim] = np.rint(255 * share[rim]).astype(np.uint8)
    return result


def guided_filter(guide: np.ndarray, values: np.ndarray, radius: int, epsilon: float) -> np.ndarray:
    """Smooths values along a picture's edges, not across them (He, Sun and Tang, ECCV 2010; equations 14 to 16). For
    large windows the linear functions are found at less resolution (He and Sun, arXiv 1505.00996).

    Args:
        guide: (H, W, 3) float32.
        values: (H, W) float32.
        radius: of the square windows in which the values are taken for a linear function of the colours, pixels.
        epsilon: variance of the guide below which it does not count, in its own units.
    """
    size = guide.shape[1::-1]
    shrink = max(1, radius // SMALL)
    if shrink == 1:
        slope, offset = _linear_functions(guide, values, radius, epsilon)
    else:
        few = max(1, round(size[0] / shrink)), max(1, round(size[1] / shrink))
        small = (cv2.resize(array, few, interpolation=cv2.INTER_AREA) for array in (guide, values))
        found = _linear_functions(*small, round(radius / shrink), epsilon)
        slope, offset = (cv2.resize(array, size, interpolation=cv2.INTER_LINEAR) for array in found)
    return cv2.transform(cv2.multiply(slope, guide), np.ones((1, 3), np.float32)) + offset


def _linear_functions(
    guide: np.ndarray, values: np.ndarray, radius: int, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """For each pixel slope (H, W, 3) and offset (H, W) of the function of the colours, see `guided_filter`."""
    window = (2 * radius + 1, 2 * radius + 1)

    def mean(array: np.ndarray) -> np.ndarray:
        return cv2.blur(array, window, borderType=cv2.BORDER_REFLECT)

    centre, average = mean(guide), mean(values)
    variance = mean(guide * guide) - centre * centre + epsilon
    crossed = mean(guide * guide[..., [1, 2, 0]])  # rg, gb, br
    rg, gb, br = np.moveaxis(crossed - centre * centre[..., [1, 2, 0]], -1, 0)
    rr, gg, bb = np.moveaxis(variance, -1, 0)
    slopes = np.moveaxis(mean(guide * values[..., None]) - centre * average[..., None], -1, 0)
    # The inverse of the symmetric 3x3 matrix by cofactors.
    cofactors = np.stack([gg * bb - gb * gb, gb * br - rg * bb, rg * gb - gg * br])
    determinant = rr * cofactors[0] + rg * cofactors[1] + br * cofactors[2]
    second = np.stack([cofactors[1], rr * bb - br * br, rg * br - rr * gb])
    third = np.stack([cofactors[2], second[2], rr * gg - rg * rg])
    slope = np.stack([(row * slopes).sum(0) for row in (cofactors, second, third)], -1) / determinant[..., None]
    offset = average - (slope * centre).sum(-1)
    return mean(slope), mean(offset)
