"""What a network for one person sees, and what such a network offers."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pose_detector.crop import Crop

# Points that such networks know beside COCO-18's.
EXTRA_NAMES = (
    "right little finger", "right index finger", "right thumb", "left little finger", "left index finger", "left thumb",
    "right heel", "right toe", "left heel", "left toe",
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """One person, as a network sees them in a crop.

    Attributes:
        keypoints: (18, 3) float32 x, y in pixels of the frame and confidence in [0, 1], COCO-18; 0 = not known.
        extra: (10, 3) float32, the same of `EXTRA_NAMES`.
        outline: (S, S) float32 over the crop, 1 = the person.
        presence: Probability that a person is there, in [0, 1].
        crop: What was looked at.
        following: Where to look in the next frame.
    """

    keypoints: np.ndarray
    extra: np.ndarray
    outline: np.ndarray
    presence: float
    crop: Crop
    following: Crop


class Looker(Protocol):
    """A network for one person.

    Attributes:
        first_look_trust: Factor on the confidences of the first look's keypoints, to compare them with this network's.
    """

    first_look_trust: float

    def first_crop(self, keypoints: np.ndarray) -> Crop | None:
        """Where to look, from keypoints (K, 3) that another network saw; None where they are too few."""

    def look(self, frame: np.ndarray, crop: Crop) -> Look:
        """Look at a crop of a frame (H, W, 3) uint8 RGB."""
