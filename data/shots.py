"""Shots of a video: where they begin, which of them show one room, and frames at their ends that fade in or out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from scipy import ndimage

from data.frame_stats import FrameStats, cuts
from data.rooms import room_picture, same_room
from pose_detector.keypoints import scale_keypoints

_BLANK = 0.2  # contrast of a frame that shows nothing, at most, in that of most frames
_FADES = 0.6  # contrast to which a fade falls at least, in that of its shot
_FADED = 0.93  # contrast from which on a frame is as the others of its shot: brightness that is evened out
_LONGEST_FADE = 3.0  # seconds


def find_shots(stats: FrameStats, fps: float) -> np.ndarray:
    """Numbers of the frames with which shots begin, the first is 0; stretches that show nothing are shots too."""
    nothing = blank(stats).astype(np.int8)
    borders = np.flatnonzero(np.diff(nothing)) + 1
    found = [int(first) for first in cuts(stats.change, fps) if not np.any(np.abs(borders - first) <= 1)]
    return np.unique(np.array([0, *found, *borders.tolist()], np.int64))


def blank(stats: FrameStats) -> np.ndarray:
    """(N,) bool, the frames that show nothing: a black lead, or white between two scenes."""
    contrast = np.asarray(stats.contrast)
    return contrast < _BLANK * np.median(contrast)


def parts(shots: Sequence[int], frames: int) -> list[slice]:
    """The frames of each shot, of `frames` in all."""
    edges = [*(int(first) for first in shots), frames]
    return [slice(begin, end) for begin, end in pairwise(edges)]


def numbers(shots: Sequence[int], frames: int) -> np.ndarray:
    """(N,) int, the number of each frame's shot, from 0 on; `frames` is N."""
    return np.searchsorted(shots, np.arange(frames), "right") - 1


def in_each(shots: Sequence[int], function: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    """A function of values over time (N, ...), taken of each shot by itself."""
    return np.concatenate([function(values[part]) for part in parts(shots, len(values))])


def fades(stats: FrameStats, shots: Sequence[int], fps: float) -> np.ndarray:
    """(N,) bool, the frames at the ends of shots that are fading in from nothing, or out.

    A picture that fades loses its contrast; so from the end of a shot to where it is whole again.
    """
    contrast = ndimage.median_filter(np.asarray(stats.contrast, np.float64), 3, mode="nearest")
    result = np.zeros(len(contrast), bool)
    reach = round(_LONGEST_FADE * fps)
    for part in parts(shots, len(contrast)):
        for level, fading in ((contrast[part], result[part]), (contrast[part][::-1], result[part][::-1])):
            usual = float(np.median(level[: 3 * reach]))
            whole = np.flatnonzero(level[:reach] >= _FADED * usual)
            if len(whole) and level[: whole[0] + 1].min() < _FADES * usual:
                fading[: whole[0]] = True
    return result


def rooms(
    stats: FrameStats, shots: Sequence[int], dancer: np.ndarray, size: tuple[int, int]
) -> list[np.ndarray | None]:
    """For each shot the picture of its room, see `room_picture`; None where no frame of it was kept.

    Args:
        stats: of every frame.
        shots: numbers of the frames with which shots begin.
        dancer: (N, 18, 3) keypoints of the dancer, in pixels of the working frame.
        size: (width, height) of the working frame.
    """
    result: list[np.ndarray | None] = []
    for part in parts(shots, len(dancer)):
        numbers = [i for i in stats.kept if part.start <= i < part.stop]
        people = [scale_keypoints(dancer[i : i + 1], np.divide(stats.kept[i].shape[1::-1], size)) for i in numbers]
        result.append(room_picture([stats.kept[i] for i in numbers], people) if numbers else None)
    return result


def show_room(shots: Sequence[int], pictures: Sequence[np.ndarray | None], present: np.ndarray) -> np.ndarray:
    """(S,) bool, the shots that show the room: the one with most frames of the dancer, counted together with those
    that show the same from the same place.

    Args:
        shots: numbers of the frames with which shots begin.
        pictures: of each shot's room, from `rooms`.
        present: (N,) bool, the frames in which the dancer is seen.
    """
    same = np.eye(len(shots), dtype=bool)
    for i, a in enumerate(pictures):
        for j, b in enumerate(pictures[:i]):
            same[i, j] = same[j, i] = a is not None and b is not None and same_room(a, b)
    count = np.array([present[part].sum() for part in parts(shots, len(present))])
    return same[int((same @ count + 1e-6 * count).argmax())]


def left_out(stats: FrameStats, shots: Sequence[int], showing: np.ndarray, fps: float) -> dict[str, np.ndarray]:
    """By reason in words, the frames (N,) bool that do not show the room as it is.

    Args:
        stats: of every frame.
        shots: numbers of the frames with which shots begin.
        showing: (S,) bool, from `show_room`.
        fps: frames per second.
    """
    nothing = blank(stats)
    elsewhere = ~showing[numbers(shots, len(nothing))] & ~nothing
    fading = fades(stats, shots, fps) & ~nothing & ~elsewhere
    return {"of another scene": elsewhere, "blank": nothing, "fading": fading}
