"""The second look: one person, followed through a video by a network that sees a crop of the frames' own pixels.

The first look (`detector`, `tracking`) tells where the person is; from then on the crop follows what the second look
sees, and where it loses the person, or sees somebody else, the first look gives it anew.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from pose_detector.cleaning import person_size
from pose_detector.crop import Crop
from pose_detector.look import Look, Looker

TRIES = 4  # times that a crop is put right before it is believed
PRESENT = 0.5  # presence below which the person is lost
ELSEWHERE = 0.8  # body sizes between what both looks see, from which on they see two people
STEADY_SHIFT, STEADY_SCALE, STEADY_TURN = 0.05, 0.08, 0.35  # shares of the side, and radians, that move no crop


def follow(frames: Iterable[np.ndarray], first: np.ndarray, looker: Looker) -> Iterator[Look | None]:
    """Look at one person in every frame.

    Args:
        frames: N frames (H, W, 3) uint8 RGB.
        first: (N, 18, 3) what the first look saw of the person, pixels of these frames; confidence 0 = missing.
        looker: The network.

    Yields:
        What is seen in each frame; None where the person is not found.
    """
    crop = None
    for frame, seen in zip(frames, first, strict=True):
        given = looker.first_crop(seen)
        look = None
        if crop is not None:
            look = looker.look(frame, crop)
            if is_lost(look, seen):
                look = None
        if look is None and given is not None:
            look = looker.look(frame, given)
            for _ in range(TRIES):  # the first look's crop is a rough one
                if look.presence < PRESENT or steady(look.crop, look.following) is look.crop:
                    break
                look = looker.look(frame, look.following)
            if is_lost(look, seen):
                look = None
        crop = None if look is None else steady(look.crop, look.following)
        yield look


def is_lost(look: Look, first: np.ndarray) -> bool:
    """Whether nobody is seen, or somebody else than the first look sees (18, 3)."""
    if look.presence < PRESENT:
        return True
    both = (look.keypoints[:, 2] > 0) & (first[:, 2] > 0)
    if both.sum() < 3:
        return False
    distance = np.linalg.norm(look.keypoints[both, :2] - first[both, :2], axis=1)
    size = max(float(person_size(look.keypoints)), float(person_size(first)))
    return float(np.median(distance)) > ELSEWHERE * size


def steady(now: Crop, wanted: Crop) -> Crop:
    """The crop for the next frame: the same, until the person has clearly moved. So who stands still is seen in the
    same pixels again and again, and a tremble of the keypoints does not feed on itself."""
    turn = (wanted.angle - now.angle + np.pi) % (2 * np.pi) - np.pi
    moved = np.hypot(wanted.x - now.x, wanted.y - now.y) > STEADY_SHIFT * now.side
    return wanted if moved or abs(np.log(wanted.side / now.side)) > STEADY_SCALE or abs(turn) > STEADY_TURN else now
