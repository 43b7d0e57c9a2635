"""The second look: one person, followed through a video by a network that sees a crop of the frames' own pixels.

The first look (`detector`, `tracking`) finds the person; from then on the crop follows what the second look
sees, and where it loses the person, or sees somebody else, the first look gives it anew.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence

import cv2
import numpy as np

from pose_detector.crop import Crop, turn
from pose_detector.look import Look, Looker
from pose_detector.skeleton import person_size

MOST_WAITING = 128 << 20  # bytes of compressed frames in which nobody was found yet
TRIES = 4  # times that a crop is corrected before it is accepted
PRESENT = 0.5  # presence below which the person is lost
ELSEWHERE = 0.8  # body sizes between what both looks see, from which on they see two people
STEADY_SHIFT, STEADY_SCALE, STEADY_TURN = 0.05, 0.08, 0.35  # shares of the side, and radians, that move no crop


def follow(
    frames: Iterable[np.ndarray], first: np.ndarray, looker: Looker, shots: Collection[int] = ()
) -> Iterator[tuple[np.ndarray, Look | None]]:
    """Look at one person in every frame: from where the first look sees them on, and from there back as well.

    Args:
        frames: N frames (H, W, 3) uint8 RGB.
        first: (N, 18, 3) what the first look saw of the person, pixels of these frames; confidence 0 = missing.
        looker: The network.
        shots: Numbers of the frames with which shots begin: nobody is followed from one into the next.

    Yields:
        Every frame, and what is seen in it; None where the person is not found. Frames wait until it is known, so they
        come late and, those that waited, as compressed as JPEG makes them.
    """
    crop, waiting, kept = None, deque(), 0
    for number, (frame, seen) in enumerate(zip(frames, first, strict=True)):
        if number in shots:
            yield from ((cv2.imdecode(data, cv2.IMREAD_COLOR), None) for data, _ in waiting)
            crop, kept = None, 0
            waiting.clear()
        look = None if crop is None else looker.look(frame, crop)
        if look is None or is_lost(look, seen):
            look = find(frame, seen, looker)
        crop = None if look is None else steady(look.crop, look.following)
        if look is None:
            waiting.append((cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 95])[1], seen))
            kept += len(waiting[-1][0])
            while kept > MOST_WAITING:
                oldest, _ = waiting.popleft()
                kept -= len(oldest)
                yield cv2.imdecode(oldest, cv2.IMREAD_COLOR), None
            continue
        yield from _backwards(waiting, crop, looker)
        waiting.clear()
        kept = 0
        yield frame, look
    for data, _ in waiting:
        yield cv2.imdecode(data, cv2.IMREAD_COLOR), None


def find(frame: np.ndarray, seen: np.ndarray, looker: Looker) -> Look | None:
    """Look at the person whom the first look sees (18, 3) in a frame; None where it sees too little, or somebody else
    than the second look does."""
    crop = looker.first_crop(seen)
    if crop is None:
        return None
    look = looker.look(frame, crop)
    for _ in range(TRIES):  # the first look's crop is a rough one
        if look.presence < PRESENT or steady(look.crop, look.following) is look.crop:
            break
        look = looker.look(frame, look.following)
    return None if is_lost(look, seen) else look


def _backwards(
    waiting: Sequence[tuple[np.ndarray, np.ndarray]], crop: Crop, looker: Looker
) -> Iterator[tuple[np.ndarray, Look | None]]:
    """The frames that waited, in their order; from the last one back the person is followed until they are lost."""
    looks: list[Look | None] = [None] * len(waiting)
    for i in reversed(range(len(waiting))):
        data, seen = waiting[i]
        look = looker.look(cv2.imdecode(data, cv2.IMREAD_COLOR), crop)
        if is_lost(look, seen):
            break
        looks[i], crop = look, steady(look.crop, look.following)
    for (data, _), look in zip(waiting, looks, strict=True):
        yield cv2.imdecode(data, cv2.IMREAD_COLOR), look


def is_lost(look: Look, first: np.ndarray) -> bool:
    """Whether nobody is seen, or another person than the first look sees (18, 3)."""
    if look.presence < PRESENT:
        return True
    both = (look.keypoints[:, 2] > 0) & (first[:, 2] > 0)
    if both.sum() < 3:
        return False
    distance = np.linalg.norm(look.keypoints[both, :2] - first[both, :2], axis=1)
    size = max(float(person_size(look.keypoints)), float(person_size(first)))
    return float(np.median(distance)) > ELSEWHERE * size


def join(second: np.ndarray, first: np.ndarray, trust: float) -> np.ndarray:
    """Keypoints (N, 18, 3) of the second look; where the first look (N, 18, 3) is more confident of one, that one. Two
    networks seldom err in the same place.

    Args:
        trust: Factor on the first look's confidences, see `look.Looker`.
    """
    return np.where(trust * first[..., 2:] > second[..., 2:], first, second)


def steady(now: Crop, wanted: Crop) -> Crop:
    """The crop for the next frame: the same, until the person has clearly moved. So a person who stands still is seen
    in the same pixels again and again, and jitter of the keypoints does not feed on itself."""
    turned = abs(turn(now.angle, wanted.angle)) > STEADY_TURN
    moved = np.hypot(wanted.x - now.x, wanted.y - now.y) > STEADY_SHIFT * now.side
    return wanted if moved or abs(np.log(wanted.side / now.side)) > STEADY_SCALE or turned else now
