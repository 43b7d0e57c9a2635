"""Pixels of which people hide some: their median and spread over time, and what fills the holes that are left."""

from __future__ import annotations

import cv2
import numpy as np


def masked_median(stack: np.ndarray, covered: np.ndarray, where: np.ndarray, share: float = 0.5) -> np.ndarray:
    """Median over the frames that are not covered, of the pixels asked for.

    Args:
        stack: (S, ..., 3) uint8.
        covered: (S, ...) bool.
        where: (M,) flat indices of pixels, each free in at least one frame.
        share: quantile, 0.5 for the median.

    Returns:
        (M, 3) uint8.
    """
    values, hidden = stack.reshape(len(stack), -1, 3), covered.reshape(len(stack), -1)
    result = np.empty((len(where), 3), np.uint8)
    for start in range(0, len(where), 16384):  # bounds the memory of the sorted copy
        part = where[start : start + 16384]
        ordered = np.where(hidden[:, part, None], np.uint16(999), values[:, part]).transpose(1, 2, 0)
        # On rows of small integers numpy's stable sort is a radix sort, the fastest here.
        ordered = np.sort(np.ascontiguousarray(ordered), axis=-1, kind="stable")
        place = share * ((~hidden[:, part]).sum(0)[:, None, None] - 1)
        low = np.take_along_axis(ordered, np.floor(place).astype(int), -1)[..., 0]
        high = np.take_along_axis(ordered, np.ceil(place).astype(int), -1)[..., 0]
        result[start : start + 16384] = (low + high + 1) // 2
    return result


def masked_spread(stack: np.ndarray, covered: np.ndarray, where: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """How much pixels (M,) differ from their median ``middle`` (M, 3): the median deviation over the frames in which
    they are not covered, the largest of the channels. The other arguments are those of :func:`masked_median`."""
    values = stack.reshape(len(stack), -1, 3)[:, where]
    deviations = np.maximum(values, middle) - np.minimum(values, middle)
    free = covered.reshape(len(covered), -1)[:, where]
    return masked_median(deviations, free, np.arange(len(where))).max(1)


def fill(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The picture with its hole filled smoothly from the rim inwards (pull-push over a pyramid).

    Args:
        picture: (H, W, 3) uint8.
        hole: (H, W) bool.
    """
    if not hole.any():
        return picture
    if hole.all():
        return np.full_like(picture, 128)
    known = (~hole).astype(np.float32)[..., None]
    levels = [(picture.astype(np.float32) * known, known)]
    while min(levels[-1][0].shape[:2]) > 1 and levels[-1][1].min() == 0:
        colour, weight = (cv2.pyrDown(a).reshape((*cv2.pyrDown(a).shape[:2], -1)) for a in levels[-1])
        levels.append((colour, np.where(weight < 1e-4, 0, weight)))
    colour, weight = levels[-1]
    mean = colour.sum((0, 1)) / max(weight.sum(), 1e-6)
    filled = np.where(weight > 0, colour / np.maximum(weight, 1e-6), mean)
    for colour, weight in reversed(levels[:-1]):
        coarse = cv2.pyrUp(filled.astype(np.float32), dstsize=(colour.shape[1], colour.shape[0]))
        # A pixel that is only partly known at this level takes the rest from the coarser one.
        share = np.minimum(weight, 1)
        filled = np.where(weight > 0, colour / np.maximum(weight, 1e-6), coarse) * share + coarse * (1 - share)
    result = picture.copy()
    result[hole] = np.clip(filled[hole] + 0.5, 0, 255).astype(np.uint8)
    return result


def shrunk(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask (H, W) bool at a smaller (width, height), true where any of it was."""
    return cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0


def disc(radius: float) -> np.ndarray:
    """A kernel for dilation and the like, of this radius in pixels, 1 at least."""
    side = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
