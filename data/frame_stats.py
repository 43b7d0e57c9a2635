"""Small measurements of every frame, taken while the frames pass through step 1. `report` interprets them."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

SIDES = ("left", "top", "right", "bottom")
BOTTOM = SIDES.index("bottom")
CELLS = 64  # equal pieces in which each side of the picture is divided
_MARGIN = 0.005  # of the picture's side: an outline so near to the edge touches it
_SMALL = 64  # pixels of the longer side in which frames are compared
_BLOCK, _REACH = 8, 6  # side of a block, and how far it may move from frame to frame, in those pixels
# A frame begins a new shot if its change exceeds the first, and the second times that of the frames around, or both of
# the other pair. Between successive frames of nineteen clips, some filmed by hand, the change is at most 0.24, and 4.0
# times that around where it exceeds 0.12; at a cut to a view enlarged by 1.3 that is 0.3 and 5 (quartiles), to
# another room 0.8 and 14. A camera that is swung about changes every frame by up to 0.5.
_NEW = ((0.12, 4.2), (0.45, 2.0))
_BRIEF = 2  # frames
_KEPT, _KEPT_SIZE = 600, 96  # small frames that are kept, and their longer side in pixels: 10 MB
_FLOOR = 10.0  # differences of luma that mean nothing


@dataclass
class FrameStats:
    """One entry a frame in each list. Lengths are in pixels of the working frame, brightness is luma in [0, 255].

    Attributes:
        brightness: median of the frame.
        contrast: standard deviation over the frame.
        change: share of the frame in [0, 1] that is not found again in the one before, see `changed`.
        size: longer side of the box round the person's outline; 0 without one.
        light: brightness that the brightest tenth of the person exceeds; 0 without an outline.
        contacts: (4, CELLS) bool, where the outline touches each of `SIDES`, from left to right and top to bottom.
        kept: some frames by their number, evenly spread, `_KEPT_SIZE` pixels long, uint8 RGB.
    """

    brightness: list[float] = field(default_factory=list)
    contrast: list[float] = field(default_factory=list)
    change: list[float] = field(default_factory=list)
    size: list[float] = field(default_factory=list)
    light: list[float] = field(default_factory=list)
    contacts: list[np.ndarray] = field(default_factory=list)
    kept: dict[int, np.ndarray] = field(default_factory=dict)
    _step: int = field(default=2, repr=False)  # of the numbers of those frames
    _last: deque[np.ndarray] = field(default_factory=lambda: deque(maxlen=2 * _BRIEF), repr=False)

    def resized(self, scale: tuple[float, float]) -> FrameStats:
        """The same in pixels of frames that are wider and higher by these factors."""
        size = (np.array(self.size) * math.sqrt(scale[0] * scale[1])).tolist()
        return replace(self, size=size)

    def add_frame(self, frame: np.ndarray) -> None:
        """Measure the next frame (H, W, 3) uint8 RGB."""
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        scale = _SMALL / max(grey.shape)
        size = [max(_BLOCK, round(side * scale)) for side in grey.shape[::-1]]
        small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        self.brightness.append(float(np.median(small)))
        self.contrast.append(float(small.std()))
        self._keep(len(self.brightness) - 1, frame)
        self.change.append(changed(self._last[-1], small) if self._last else 0.0)
        if len(self._last) == _BRIEF * 2 and self.change[-1 - _BRIEF] > _NEW[0][0]:
            # A change that is over after a moment, such as a flash, is not a new scene.
            self.change[-1 - _BRIEF] = min(self.change[-1 - _BRIEF], changed(self._last[0], small))
        self._last.append(small)

    def _keep(self, number: int, frame: np.ndarray) -> None:
        """Keep a small copy of every n-th frame; when there are too many, drop every other one."""
        if number % self._step:
            return
        scale = _KEPT_SIZE / max(frame.shape)
        size = [max(1, round(side * scale)) for side in frame.shape[1::-1]]
        self.kept[number] = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        if len(self.kept) > _KEPT:
            self._step *= 2
            self.kept = {i: small for i, small in self.kept.items() if i % self._step == 0}

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
        self.contacts.append(touching(person))


def changed(before: np.ndarray, now: np.ndarray) -> float:
    """Share of a small picture (h, w) uint8 that is not found again in the one before.

    Blocks are looked for around their place. What the best match leaves of a block's variance is unexplained, between
    0 and 1. So neither moving people nor a moving camera count, nor noise, nor a change of exposure.
    """
    gain = np.clip((now.std() + 1) / (before.std() + 1), 0.5, 2)
    even = (before - np.median(before)) * gain + np.median(now)
    old = np.pad(even.astype(np.float32), _REACH, mode="edge")
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

    There much of the picture is new, and far more of it than in the half second around.
    """
    change = np.asarray(change, np.float64)
    reach = max(3, round(0.5 * fps))
    found: list[int] = []
    for i in np.flatnonzero(change > min(least for least, _ in _NEW)):
        around = np.concatenate([change[max(0, i - reach) : i], change[i + 1 : i + 1 + reach]])
        usual = float(np.median(around)) if len(around) else 0.0
        new = any(change[i] > least and change[i] > times * usual for least, times in _NEW)
        if new and (not found or i - found[-1] > reach):
            found.append(int(i))
    return np.array(found, int)


def touching(person: np.ndarray) -> np.ndarray:
    """(4, CELLS) bool, where an outline (H, W) bool touches the sides of the picture."""
    margin = [max(2, round(_MARGIN * side)) for side in person.shape]
    strips = (person[:, : margin[1]].T, person[: margin[0]], person[:, -margin[1] :].T, person[-margin[0] :])
    lines = [strip.any(axis=0)[None].astype(np.uint8) * 255 for strip in strips]
    return np.concatenate([cv2.resize(line, (CELLS, 1), interpolation=cv2.INTER_AREA) for line in lines]) > 127


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
