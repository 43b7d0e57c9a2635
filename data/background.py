"""The empty room: a background plate from a video of a static camera, without the people in it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from scipy import ndimage

from data.captions import two_values, without_captions
from data.exposure import exposures, without_gain
from data.masked import disc, fill, masked_median, masked_spread, shrunk
from data.person_mask import people_mask, person_mask
from data.video import resize
from pose_detector.keypoints import scale_keypoints
from pose_detector.series import spread
from pose_detector.skeleton import body_size

MAX_SAMPLES = 180  # frames that a plate is made from: more change nothing that one can see
_FEWEST = 40  # ... of large ones: fewer leave traces of the dancer
_FRAME_MEMORY = 400e6  # bytes of disk that more than these may take
_SPOOLED = 64 << 20  # bytes of them that are in memory
_COARSE = 360  # pixels of the shorter side at which it is told what the room looks like
# What is averaged in full resolution: from so many frames, if so many agree about a pixel; more change no grey level.
_AVERAGED = 4.0
_MADE_UP = 0.05  # of a frame, what the small plate counts there
_BESIDE = 0.03  # of the shorter side, how near to people what changes may be theirs: shadows, feet
_HARDLY = 64  # of 255: outlines below this count as background


def sample_indices(count: int, frame_size: tuple[int, int], most: int = MAX_SAMPLES) -> np.ndarray:
    """Frame indices spread evenly over a video of `count` frames, as many as memory and `most` allow."""
    width, height = frame_size
    number = max(3, min(count, most, max(_FEWEST, int(_FRAME_MEMORY / (3 * width * height)))))
    return spread(count, number)


def background_plate(
    frames: Iterable[np.ndarray],
    dancer: np.ndarray,
    others: Sequence[np.ndarray] | None = None,
    masks: Iterable[np.ndarray] | None = None,
    shown: Iterable[np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The picture without the dancer, and where it had to be made up.

    Each pixel is the median over the frames in which nobody stands there, after brightness is evened out; where a
    shadow lies most of the time, what it is without. Where people always stand, masks are relaxed step by step: first
    bystanders are let in (one who never moves belongs to the room), then the dancer's outline is drawn tighter; what is
    still never seen is filled smoothly from its surroundings.

    Args:
        frames: S frames (H, W, 3) uint8 RGB of a static camera, as sampled.
        dancer: (S, 18, 3) keypoints in those frames. A frame in which nothing is seen of the dancer counts as empty.
        others: per frame (P, 18, 3) keypoints of other people, or None.
        masks: per frame (H, W) uint8, 255 = the dancer; None, or empty in a frame: keypoints are used instead.
        shown: per frame (H, W) uint8, 255 = what it shows, where the camera moved; None: all.

    Returns:
        plate (H, W, 3) uint8 RGB; unseen (H, W) bool, true where no frame showed the background.
    """
    held = _Samples(frames, len(dancer))
    size = held.small.shape[2:0:-1]
    scale = np.divide(size, held.size)
    dancer = scale_keypoints(np.asarray(dancer), scale)
    others = None if others is None else [scale_keypoints(np.asarray(people), scale) for people in others]
    if masks is not None:
        masks = [resize(mask, size) for mask in masks]
    beyond = np.zeros((len(dancer), *size[::-1]), bool)
    if shown is not None:
        beyond = np.stack([resize(part, size) < 255 for part in shown])

    alone, closer, closest = (_outlines(dancer, masks, size, margin) | beyond for margin in (0.2, 0.1, 0.04))
    crowded = others is not None and any(len(people) for people in others)
    anybody = alone | np.stack([people_mask(people, size) for people in others]) if crowded else alone
    tiers = [anybody, *([alone] if crowded else []), closer, closest]
    step = max(1, min(size) // 72)  # enough to measure brightness
    few, gains = np.s_[:, ::step, ::step], exposures(held.small, alone)
    for frame, gain in zip(held.small, gains, strict=True):
        frame[:] = without_gain(frame, gain)
    stack = held.small
    still = _stillness(stack[few], anybody[few])
    plate, lit, tier = _plate_of(stack, tiers, still, _enough(len(dancer) - beyond.sum(0)))
    settled = tier < len(tiers)
    if shown is None:  # where the camera moves, captions do not stay in one place of the room
        away = _widened(anybody, _BESIDE * min(size))
        plate, written = without_captions(plate, settled, *two_values(stack, away, settled))
        lit[written] = plate[written]  # letters are no light
    plate = fill(lit, ~settled)
    if size == held.size:
        return plate, ~settled
    hidden = np.stack(
        [~settled | np.choose(np.minimum(tier, len(tiers) - 1), each) for each in zip(*tiers, strict=True)]
    )
    return _in_full(held, gains, plate, hidden, still), ~_enlarged(settled, held.size)


def _outlines(
    dancer: np.ndarray, masks: Sequence[np.ndarray] | None, size: tuple[int, int], margin: float
) -> np.ndarray:
    """(S, H, W) bool, where the dancer may be in frames of `size`: outlines, or figures around keypoints (S, 18, 3),
    wider by `margin` body sizes."""
    # A crouching person is as thick as a standing one: sizes come from the upright poses nearby in time.
    own = body_size(dancer)
    own = np.where(np.isnan(own), 0, own)
    sizes = np.maximum(own, ndimage.percentile_filter(own, 75, size=21, mode="nearest"))
    covered = np.zeros((len(dancer), *size[::-1]), bool)
    for i, (pose, thick) in enumerate(zip(dancer, sizes, strict=True)):
        if masks is not None and masks[i].any():
            covered[i] = cv2.dilate(masks[i], disc(margin * thick)) > _HARDLY
        else:
            covered[i] = person_mask(pose, size, 0.9 + 2 * margin, thick)
    return covered


class _Samples:
    """Sampled frames, as they are in a temporary file that is gone with them, and small ones in memory.

    Attributes:
        size: (width, height) of a frame.
        small: (S, h, w, 3) uint8, their shorter side `_COARSE` pixels at most.
    """

    def __init__(self, frames: Iterable[np.ndarray], count: int) -> None:
        self._file = tempfile.SpooledTemporaryFile(_SPOOLED)
        small: list[np.ndarray] = []
        for frame in frames:
            self.size = frame.shape[1::-1]
            shrink = max(1.0, min(self.size) / _COARSE)
            small.append(resize(frame, tuple(max(1, round(side / shrink)) for side in self.size)))
            if shrink > 1:
                self._file.write(np.ascontiguousarray(frame).data)
        if len(small) != count or not small:
            raise ValueError(f"{len(small)} frames, but keypoints of {count}")
        self.small = np.stack(small)

    def __getitem__(self, i: int) -> np.ndarray:
        """A frame (H, W, 3) uint8 in its own size, if that is not the small one."""
        width, height = self.size
        self._file.seek(3 * width * height * i)
        return np.frombuffer(self._file.read(3 * width * height), np.uint8).reshape(height, width, 3)


def _in_full(held: _Samples, gains: np.ndarray, plate: np.ndarray, hidden: np.ndarray, still: float) -> np.ndarray:
    """The plate in the frames' own pixels: the mean of those frames that show a pixel as the small plate does.

    Args:
        held: S frames, the small ones evened out.
        gains: (S, 3) of their brightness.
        plate: (h, w, 3) uint8, of the size of the small frames.
        hidden: (S, h, w) bool, where people may be, or what a frame does not show.
        still: by how much the room itself changes from frame to frame.

    Returns:
        (H, W, 3) uint8; the small plate, enlarged, where no frame agrees.
    """
    table = np.rint(255 * np.exp(-((np.arange(256) / still) ** 2))).astype(np.uint8)
    weights = np.zeros(hidden.shape, np.uint8)
    for weight, small, covered in zip(weights, held.small, hidden, strict=True):
        first, second, third = cv2.split(cv2.absdiff(small, plate))
        agrees = cv2.LUT(cv2.max(cv2.max(first, second), third), table) * ~covered
        weight[:] = cv2.erode(agrees, np.ones((3, 3)))  # what differs, as the rim of a letter, reaches half a pixel far
    total = np.full(held.size[::-1], _MADE_UP, np.float32)
    summed = resize(plate, held.size) * np.float32(_MADE_UP)
    for i in _needed(weights[:, ::2, ::2]):
        weight = cv2.resize(weights[i], held.size, interpolation=cv2.INTER_LINEAR)
        part = cv2.multiply(without_gain(held[i], gains[i]), cv2.merge([weight] * 3), scale=1 / 255, dtype=cv2.CV_32F)
        cv2.add(summed, part, dst=summed)
        cv2.add(total, weight * np.float32(1 / 255), dst=total)
    return cv2.convertScaleAbs(np.divide(summed, total[..., None], out=summed))


def _needed(weights: np.ndarray) -> list[int]:
    """Which of the frames with weights (S, h, w) uint8, 255 = wholly, are needed that these sum to `_AVERAGED`, or
    nearly to what all have, at each pixel: at each step the one that adds most."""
    lack = np.minimum(weights.sum(0, dtype=np.float32), 255 * _AVERAGED)
    chosen: list[int] = []
    left, least = list(range(len(weights))), 1e-3 * lack.sum()
    while left:
        adds = [float(np.minimum(weights[i], lack).sum()) for i in left]
        best = int(np.argmax(adds))
        if adds[best] <= least:
            break
        chosen.append(left.pop(best))
        lack = np.maximum(lack - weights[chosen[-1]], 0)
    return chosen


def _enlarged(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask (h, w) bool at (width, height)."""
    return cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0


def _plate_of(
    stack: np.ndarray, tiers: Sequence[np.ndarray], still: float, enough: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The plate of frames that are small enough to be held, see `background_plate`.

    Args:
        stack: (S, H, W, 3) uint8, evened out.
        tiers: (S, H, W) bool each, where people are taken to be; the first one covers most.
        still: by how much the room itself changes from frame to frame.
        enough: (H, W) in how many frames a pixel has to be free: beside a person who keeps to one place, what is free
            only for a moment is rather an outline drawn too tight.

    Returns:
        plate (H, W, 3) uint8; the same without shadows; (H, W) uint8, which tier shows each pixel, the number of tiers
        where none does.
    """
    plate = np.zeros(stack.shape[1:], np.uint8)
    chosen = np.full(stack.shape[1:3], len(tiers), np.uint8)
    for number, covered in enumerate(tiers):
        todo = (chosen == len(tiers)) & ((~covered).sum(0) >= enough)
        if not todo.any():
            continue
        where = np.flatnonzero(todo)
        plate[todo] = masked_median(stack, covered, where)
        if number:  # beside a person, what changes is the rim of clothes or a shadow, not the room
            spread = np.zeros(todo.shape, np.uint8)
            spread[todo] = masked_spread(stack, covered, where, plate[todo])
            todo &= ndimage.maximum_filter(spread, 5) <= 2 * still
        chosen[todo] = number
    anybody = tiers[0]
    where = np.flatnonzero((chosen < len(tiers)) & ((~anybody).mean(0) >= 0.15))  # fewer frames do not tell
    lit = plate.copy()
    if len(where):
        bright = masked_median(stack, anybody, where, share=0.8)
        pixels = lit.reshape(-1, 3)
        pixels[where] = without_shadow(pixels[where], bright, 3 * still)
    return plate, lit, chosen


def _enough(count: int | np.ndarray) -> np.ndarray:
    """In how many of the frames that show it (a count) a pixel has to be free."""
    return np.clip(np.rint(0.05 * count), 3, np.maximum(count, 1))


def _stillness(stack: np.ndarray, covered: np.ndarray) -> float:
    """By how much the room changes from frame to frame in grey levels, from pixels (S, H, W, 3) of it."""
    where = np.flatnonzero((~covered).sum(0) >= _enough(len(stack)))
    if not len(where):
        return 2.0
    middle = masked_median(stack, covered, where)
    return max(2.0, float(np.median(masked_spread(stack, covered, where, middle))))


def _widened(covered: np.ndarray, reach: float) -> np.ndarray:
    """Masks (S, H, W) bool, wider by about `reach` pixels."""
    height, width = covered.shape[1:]
    size = max(1, width // 4), max(1, height // 4)
    result = np.empty_like(covered)
    for wide, mask in zip(result, covered, strict=True):
        around = cv2.dilate(shrunk(mask, size).astype(np.uint8), disc(reach / 4))
        wide[...] = cv2.resize(around, (width, height), interpolation=cv2.INTER_NEAREST) > 0
    return result


def without_shadow(middle: np.ndarray, bright: np.ndarray, noise: float) -> np.ndarray:
    """Pixels that a shadow lay on most of the time, as they are without it.

    Args:
        middle: (M, 3) uint8, their median over time.
        bright: (M, 3) uint8, what they are in their brightest fifth.
        noise: differences that mean nothing; what exceeds twice as much counts in full.

    Returns:
        (M, 3) uint8: the bright ones where they are clearly brighter and of the same colour.
    """
    middle, bright = middle.astype(np.float32), bright.astype(np.float32)
    ratio = (bright + 1) / (middle + 1)
    difference = (bright - middle).mean(-1, keepdims=True)
    share = np.clip(difference / noise - 1, 0, 1) * (np.ptp(ratio, axis=-1, keepdims=True) < 0.08)
    return np.rint(middle + share * (bright - middle)).astype(np.uint8)
