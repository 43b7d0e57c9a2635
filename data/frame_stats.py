"""Small measurements of every frame, taken while the frames pass through step 1. `report` tells what they mean."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

SIDES = ("left", "top", "right", "bottom")
BOTTOM = SIDES.index("bottom")
CELLS = 64  # equal pieces in which each side of the picture is divided
_BAR = 32  # luma that a black bar never has, compression included
_MARGIN = 0.005  # of the picture's side: an outline so near to the edge touches it
_SMALL = 64  # pixels of the longer side in which frames are compared
_BLOCK, _REACH = 8, 6  # side of a block, and how far it may move from frame to frame, in those pixels
# Change from which on a frame may begin a new shot: between frames of different clips its first percentile is 0.53,
# between successive frames of nine clips, some of them filmed by hand, it is at most 0.34.
_NEW = 0.45
_FLOOR = 10.0  # differences of luma that mean nothing


@dataclass
class FrameStats:
    """One entry a frame in each list. Lengths are in pixels of the working frame, brightness is luma in [0, 255].

    Attributes:
        brightness: median of the frame.
        change: share of the frame in [0, 1] that is not found again in the one before, see `changed`.
        bounds: (left, top, right, bottom) of what is not a black bar: first column and row, and one past the last.
        size: longer side of the box round the person's outline; 0 without one.
        light: brightness that the brightest tenth of the person exceeds; 0 without an outline.
        contacts: (4, CELLS) bool, where the outline touches each of `SIDES`, from left to right and top to bottom.
    """

    brightness: list[float] = field(default_factory=list)
    change: list[float] = field(default_factory=list)
    bounds: list[tuple[int, int, int, int]] = field(default_factory=list)
    size: list[float] = field(default_factory=list)
    light: list[float] = field(default_factory=list)
    contacts: list[np.ndarray] = field(default_factory=list)
    _before: np.ndarray | None = field(default=None, repr=False)
    _picture: tuple[int, int, int, int] | None = field(default=None, repr=False)

    def resized(self, scale: tuple[float, float]) -> FrameStats:
        """The same in pixels of frames that are so many times as wide and as high."""
        bounds = np.rint(np.array(self.bounds, float).reshape(-1, 4) * [*scale, *scale]).astype(int)
        size = (np.array(self.size) * math.sqrt(scale[0] * scale[1])).tolist()
        return replace(self, bounds=[tuple(box) for box in bounds.tolist()], size=size)

    def add_frame(self, frame: np.ndarray) -> None:
        """Measure the next frame (H, W, 3) uint8 RGB."""
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        scale = _SMALL / max(grey.shape)
        size = [max(_BLOCK, round(side * scale)) for side in grey.shape[::-1]]
        small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        self.brightness.append(float(np.median(small)))
        self.change.append(0.0 if self._before is None else changed(self._before, small))
        self.bounds.append(_lit(grey))
        self._before = small

    def add_outline(self, frame: np.ndarray, outline: np.ndarray | None) -> None:
        """Measure the person in the next frame; all frames have been added before.

        Args:
            frame: (h, w, 3) uint8 RGB, at any resolution.
            outline: (H, W) uint8 at working size, 255 = the person; None where nobody is found.
        """
        person = None if outline is None else outline > 127
        if person is None or not person.any():
            self.size.append(0.0)
            self.light.append(0.0)
            self.contacts.append(np.zeros((len(SIDES), CELLS), bool))
            return
        *_, width, height = cv2.boundingRect(person.view(np.uint8))
        self.size.append(float(max(width, height)))
        self.light.append(_brightest_tenth(frame, person))
        if self._picture is None:
            self._picture = picture_bounds(self.bounds, person.shape)
        self.contacts.append(touching(person, self._picture))


def changed(before: np.ndarray, now: np.ndarray) -> float:
    """Share of a small picture (h, w) uint8 that is not found again in the one before.

    Blocks are looked for around their place. What the best match leaves of a block's variance is unexplained, between
    0 and 1. So neither moving people nor a moving camera count, nor noise, nor a change of exposure.
    """
    level = float(np.median(now)) - float(np.median(before))
    old = np.pad(before.astype(np.float32) + level, _REACH, mode="edge")
    rows, columns = (side // _BLOCK for side in now.shape)
    new = now[: rows * _BLOCK, : columns * _BLOCK].astype(np.float32)
    wide = _BLOCK + 2 * _REACH
    errors = np.empty((rows, columns))
    for row in range(rows):
        for column in range(columns):
            y, x = row * _BLOCK, column * _BLOCK
            block = new[y : y + _BLOCK, x : x + _BLOCK]
            match = cv2.matchTemplate(old[y : y + wide, x : x + wide], block, cv2.TM_SQDIFF)
            errors[row, column] = cv2.minMaxLoc(match)[0]
    variance = new.reshape(rows, _BLOCK, columns, _BLOCK).var(axis=(1, 3))
    return float(np.minimum(1, errors / _BLOCK**2 / (variance + _FLOOR**2)).mean())


def cuts(change: np.ndarray, fps: float) -> np.ndarray:
    """Numbers of the frames with which a new shot begins.

    There most of the picture is new, and much more of it than in the half second around: a camera that is swung about
    changes every frame.
    """
    change = np.asarray(change, np.float64)
    reach = max(3, round(0.5 * fps))
    found: list[int] = []
    for i in np.flatnonzero(change > _NEW):
        around = np.concatenate([change[max(0, i - reach) : i], change[i + 1 : i + 1 + reach]])
        usual = float(np.median(around)) if len(around) else 0.0
        # A flash is two changes, one after the other, and no new shot.
        if change[i] > 2 * usual and (not found or i - found[-1] > reach):
            found.append(int(i))
    return np.array(found, int)


def longest_shot(starts: np.ndarray, frames: int) -> tuple[int, int]:
    """First frame of the longest shot, and one past its last, from the frames with which new shots start."""
    edges = np.concatenate([[0], starts, [frames]]).astype(int)
    longest = int(np.diff(edges).argmax())
    return int(edges[longest]), int(edges[longest + 1])


def picture_bounds(bounds: list[tuple[int, int, int, int]], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the picture between black bars that are there nearly all the time.

    Args:
        bounds: of each frame, as in `FrameStats`.
        shape: (height, width) of the frame.
    """
    height, width = shape[:2]
    if not bounds:
        return 0, 0, width, height
    low, high = np.percentile(bounds, (10, 90), axis=0, method="nearest").astype(int)
    left, top, right, bottom = int(low[0]), int(low[1]), int(high[2]), int(high[3])
    # A dark scene is no bar.
    if right - left < width / 4 or bottom - top < height / 4:
        return 0, 0, width, height
    return left, top, right, bottom


def touching(person: np.ndarray, picture: tuple[int, int, int, int]) -> np.ndarray:
    """(4, CELLS) bool, where an outline (H, W) bool touches the sides of the picture (left, top, right, bottom)."""
    left, top, right, bottom = picture
    inside = person[top:bottom, left:right]
    margin = [max(2, round(_MARGIN * side)) for side in inside.shape]
    strips = (inside[:, : margin[1]].T, inside[: margin[0]], inside[:, -margin[1] :].T, inside[-margin[0] :])
    lines = [strip.any(axis=0)[None].astype(np.uint8) * 255 for strip in strips]
    return np.concatenate([cv2.resize(line, (CELLS, 1), interpolation=cv2.INTER_AREA) for line in lines]) > 127


def _lit(grey: np.ndarray) -> tuple[int, int, int, int]:
    """Box of what is lit in (H, W) uint8; everything where nothing is."""
    rows, columns = np.flatnonzero(grey.max(axis=1) > _BAR), np.flatnonzero(grey.max(axis=0) > _BAR)
    if not len(rows) or not len(columns):
        return 0, 0, grey.shape[1], grey.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _brightest_tenth(frame: np.ndarray, person: np.ndarray) -> float:
    """Luma that a tenth of a person's pixels exceeds, from some of them; frame at any resolution."""
    step = max(1, min(person.shape) // 96)
    places = [np.arange(step // 2, side, step) for side in person.shape]
    chosen = person[np.ix_(*places)]
    rows, columns = (
        np.minimum((place + 0.5) * frame.shape[axis] / person.shape[axis], frame.shape[axis] - 1).astype(int)
        for axis, place in enumerate(places)
    )
    pixels = frame[np.ix_(rows, columns)][chosen]
    if not len(pixels):
        return 0.0
    luma = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return float(np.percentile(luma, 90))
