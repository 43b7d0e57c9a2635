"""Bars around the picture: black ones, and blurred ones, which show the picture itself, enlarged.

They are found once, from a sample of the frames, and cut off wherever the video is read. What lies around the picture
is kept, and put back around the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage

from data import video

Box = tuple[int, int, int, int]  # left, top, right, bottom: first column and row, and one past the last

SAMPLE = 12  # frames that are looked at: enough that dark clothes or a dark scene are not dark in all of them
_SHOWN = 0.8  # share of the frames in which a bar is there: title and end cards may lack it
_BLACK = 32  # luma that black does not exceed, compression and studio levels included
_LIT = 8  # by how much luma exceeds a bar's where a picture begins, even a dark one
_WHOLE = 0.98  # share of a line that is black where a bar ends
_WRITTEN = 0.4  # and where captions stand in it
_EDGE = 0.5  # share of the first line of a picture that is lit; a stage's black backdrop has no such edge
_LEAST = 2  # pixels; a single dark line comes from the codec
_LARGEST = 0.45  # of a side, the largest bar; a picture of less than a tenth of the frame is implausible
_ROWS = 256  # of a frame that are asked for edges and detail
_STEP = 4  # luma by which the picture differs from a blurred bar beside it
_ENDS = 0.3  # least share of the rows in which it does
_PLAIN = 0.5  # detail of a blurred bar, at most, in that of the picture (medians; in sharp bars it is about 1)
_COPY = 0.5  # least correlation of a blurred bar with the enlarged picture: 0.35 where none is, mostly 0.8 and more
_COARSE = 96  # pixels of the frame's longer side at which these are compared
_ZOOMS = (1.0, 1.1, 1.2, 1.35, 1.5)  # of the copy, over what just covers the frame


def find_picture(path: Path) -> tuple[Box, np.ndarray | None]:
    """Where the picture is in a video, and what is around it.

    Returns:
        left, top, right, bottom in pixels as displayed, sides even where there are bars; the frame (H, W, 3) uint8 RGB
        with what lies around the picture, black inside it, or None where there is nothing around.
    """
    frames = [frame for _, frame in video.sample_frames(path, SAMPLE)]
    box = picture_of(frames)
    height, width = frames[0].shape[:2]
    if box == (0, 0, width, height):
        return box, None
    left, top, right, bottom = box
    middle = len(frames) // 2
    around = np.partition(np.stack(frames), middle, axis=0)[middle]
    around[top:bottom, left:right] = 0
    return box, around


def put_back(picture: np.ndarray, around: np.ndarray, box: Box) -> np.ndarray:
    """The frame (H, W, 3) of `find_picture` with a picture (h, w, 3) of any size in its place."""
    left, top, right, bottom = box
    frame = around.copy()
    frame[top:bottom, left:right] = video.resize(picture, (right - left, bottom - top))
    return frame


def picture_of(frames: Sequence[np.ndarray]) -> Box:
    """Where the picture is in sampled frames (H, W, 3) uint8 RGB; all of the frame where there are no bars."""
    luma = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])
    level = luma.reshape(len(luma), -1).mean(axis=1)
    lit = luma[level >= level.max() / 4]  # a black lead has no picture
    height, width = luma.shape[1:]
    whole = 0, 0, width, height
    left, top, right, bottom = black_bars(lit)
    inner = blurred_bars(lit[:, top:bottom, left:right])
    box = left + inner[0], top + inner[1], left + inner[2], top + inner[3]
    return whole if box == whole else _inside(box, whole)


def black_bars(luma: np.ndarray) -> Box:
    """The picture between black bars, in frames (T, H, W) uint8.

    A bar is black in nearly all frames from the frame's edge on, save for captions in it, and ends in a straight line,
    beyond which most pixels are lit at times: so a dark scene does not count.
    """
    place = int(_SHOWN * (len(luma) - 1))
    bright = np.partition(luma, place, axis=0)[place].astype(np.int16)
    height, width = bright.shape
    box = [0, 0, width, height]
    for _ in range(2):  # with the bars at two sides gone, those at the others are as wide as the picture
        for side in range(4):
            left, top, right, bottom = box
            part = bright[top:bottom, left:right]
            lines = (part.T, part, part.T[::-1], part[::-1])[side]  # from the side inwards
            found = _black_lines(lines, (width, height)[side % 2])
            box[side] += found if side < 2 else -found
    return tuple(box)


def _black_lines(lines: np.ndarray, side: int) -> int:
    """How many of the lines (L, M) from the first on are a bar."""
    most = min(round(_LARGEST * side), len(lines) - 1)
    level = float(np.median(lines[0]))
    if level > _BLACK:
        return 0
    black = (lines[: most + 4] <= level + _LIT).mean(axis=1)
    written = np.flatnonzero(black < _WRITTEN)
    end = int(written[0]) if len(written) else len(black)
    ends = np.flatnonzero(black[: min(end, most + 1)] >= _WHOLE)
    for last in ends[::-1]:
        after = black[last + 1 : last + 5]  # the codec smears an edge over some lines
        if len(after) and 1 - after.min() >= _EDGE and last + 1 >= _LEAST:
            return int(last) + 1
    return 0


def blurred_bars(luma: np.ndarray) -> Box:
    """The picture on a blurred, enlarged copy of itself, in frames (T, H, W) uint8; the whole where there is none.

    Such bars lie at two opposite sides, equally wide, and end in a line that is there in every frame, with little fine
    detail beyond it. They show the picture itself, unlike smooth walls between door posts.
    """
    height, width = luma.shape[1:]
    for axis in (1, 0):
        frames = luma if axis else luma.transpose(0, 2, 1)
        bar = _mirrored_edges(frames)
        if bar and _shows_copy(frames, bar):
            return (bar, 0, width - bar, height) if axis else (0, bar, width, height - bar)
    return 0, 0, width, height


def _mirrored_edges(frames: np.ndarray) -> int:
    """Width of smooth bars left and right in (T, H, W), or 0."""
    height, width = frames.shape[1:]
    some = np.linspace(1, height - 2, min(height - 2, _ROWS)).astype(int)
    above, here, below = (frames[:, some + i].astype(np.int16) for i in (-1, 0, 1))
    # Measured along columns, so that an edge between columns has no influence.
    detail = np.abs(2 * here - above - below).mean(axis=(0, 1))
    # Share of the rows in which a column ends, at both sides alike, in the usual frame.
    ends = np.median((np.abs(np.diff(here, axis=2)) > _STEP).mean(axis=1), axis=0)
    edge = np.minimum(ends, ndimage.maximum_filter1d(ends[::-1], 3))[: round(_LARGEST * width)]
    last = int(edge.argmax())
    bar = last + 1
    if edge[last] < _ENDS or bar < max(2 * _LEAST, 0.02 * width):
        return 0
    outside = np.concatenate([detail[: bar - 2], detail[width - bar + 2 :]])
    inside = detail[bar + 2 : width - bar - 2]
    return bar if np.quantile(outside, 0.9) < _PLAIN * np.median(inside) else 0


def _shows_copy(frames: np.ndarray, bar: int) -> bool:
    """Whether bars left and right in (T, H, W) show the picture between them, enlarged and blurred."""
    height, width = frames.shape[1:]
    scale = _COARSE / max(height, width)
    size = max(8, round(width * scale)), max(8, round(height * scale))
    small = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames]).astype(np.float32)
    edge = max(1, int(bar * scale))
    bars = np.r_[0:edge, size[0] - edge : size[0]]
    shown = _smooth(small)[..., bars]
    middle, covering = np.array(size, np.float64) / 2 - 0.5, width / (width - 2 * bar)
    best = 0.0
    for zoom in _ZOOMS:
        matrix = np.column_stack([covering * zoom * np.eye(2), middle - covering * zoom * middle])
        large = [cv2.warpAffine(f, matrix, size, borderMode=cv2.BORDER_REPLICATE) for f in small]
        copy = _smooth(np.stack(large))[..., bars]
        halves = [(a.ravel(), b.ravel()) for a, b in zip(np.split(copy, 2, 2), np.split(shown, 2, 2), strict=True)]
        if all(min(a.std(), b.std()) > 1 for a, b in halves):
            best = max(best, min(float(np.corrcoef(a, b)[0, 1]) for a, b in halves))
    return best > _COPY


def _smooth(frames: np.ndarray) -> np.ndarray:
    return np.stack([cv2.GaussianBlur(frame, (0, 0), _COARSE / 32) for frame in frames])


def _inside(box: Sequence[int], whole: Box) -> Box:
    """The box without the pixel beside a bar, into which the codec smears it, and with even sides, as working frames
    have them."""
    left, top, right, bottom = (
        b + (1, 1, -1, -1)[i] * (b != w) for i, (b, w) in enumerate(zip(box, whole, strict=True))
    )
    if (right - left) % 2:
        left, right = (left + 1, right) if left > whole[0] else (left, right - 1)
    if (bottom - top) % 2:
        top, bottom = (top + 1, bottom) if top > whole[1] else (top, bottom - 1)
    return left, top, right, bottom
