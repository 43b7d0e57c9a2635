"""Retargeting by one scale and shift a frame: the paper's rule (arXiv 1808.07371, appendix), made robust."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.retarget.bones import UPRIGHT, bone_lengths, quantile
from data.retarget.limbs import Moved
from data.retarget.measure import Motion, middle
from pose_detector.errors import InputError

# Set by hand on `benchmarks/normalise.py`, method "global".
MAX_STRETCH = 2.0  # of travel in depth, beyond what the change of size asks for
MAX_SLOPE = 4.0  # growth of size per pixel of floor: body height over camera height, so a camera 0.4 m up
MAX_GROWTH = 1.5  # of the size, from the far to the close end, over its mean
END = 0.25  # share of the floor's range that counts as its far or close end
NOISE = 0.05  # body sizes: a smaller range of the floor says nothing


@dataclass(frozen=True)
class SizeOverFloor:
    """A person's size as linear in the height of the floor in the picture, all in pixels.

    Attributes:
        far, close: y of the floor at the ends of its range.
        small, large: sizes there.
    """

    far: float
    close: float
    small: float
    large: float

    def at(self, line: np.ndarray) -> np.ndarray:
        """Sizes (N,) at floor lines (N,)."""
        reach = self.close - self.far
        share = (line - self.far) / reach if reach > 1e-6 else np.full(len(line), 0.5)
        return np.maximum(self.small + share * (self.large - self.small), (self.small + self.large) / 8)


def move_by_scale(dance: Motion, target: Motion) -> Moved:
    """The dance scaled and shifted onto the target.

    Raises:
        InputError: the two videos have no part of the body in common.
    """
    lengths = [bone_lengths(motion.filtered, motion.seen)[:, UPRIGHT] for motion in (dance, target)]
    common = ~np.isnan(quantile(lengths[0]) + quantile(lengths[1]))
    if not common.any():
        raise InputError(
            "the two videos show no part of the body in common (torso, thigh, shin or neck); film the whole person"
        )
    here, there = (
        _size_over_floor(motion.floor, values[:, common])
        for motion, values in zip((dance, target), lengths, strict=True)
    )
    ratio = (there.small + there.large) / (here.small + here.large)
    # Depth: the middle of the one range onto that of the other. It is squeezed to fit, but a sway becomes no walk.
    gain = min((there.close - there.far) / max(here.close - here.far, 1e-6), MAX_STRETCH * ratio)
    floor = np.mean([there.far, there.close]) + gain * (dance.floor - np.mean([here.far, here.close]))
    floor = np.clip(floor, target.floor.min(), target.floor.max())
    scale = there.at(floor) / here.at(dance.floor)
    stand = np.full(len(floor), middle(target.centre, target.seen))
    place = stand + scale * (dance.centre - middle(dance.centre, dance.seen))
    origin, goal = np.stack([dance.centre, dance.floor], -1)[:, None], np.stack([place, floor], -1)[:, None]
    return Moved(goal + scale[:, None, None] * (dance.keypoints - origin), scale, place, stand, floor)


def _size_over_floor(floor: np.ndarray, lengths: np.ndarray) -> SizeOverFloor:
    """From floor lines (N,) and lengths of bones (N, B) in pixels."""
    far, close = np.percentile(floor, (5, 95))
    reach, growth = close - far, 0.0
    at_far, at_close = floor <= far + END * reach, floor >= close - END * reach
    small, large = quantile(lengths[at_far]), quantile(lengths[at_close])
    both = ~np.isnan(small + large)
    total = np.where(both, (small + large) / 2, quantile(lengths)).sum()
    between = np.median(floor[at_close]) - np.median(floor[at_far])
    if both.any() and between > 0:
        growth = 2 * float((large - small)[both].sum() / (large + small)[both].sum()) * reach / between
        growth = np.clip(growth, 0, min(MAX_GROWTH, MAX_SLOPE * reach / total))
        growth *= reach**2 / (reach**2 + (NOISE * total) ** 2)
    return SizeOverFloor(far, close, total * (1 - growth / 2), total * (1 + growth / 2))
