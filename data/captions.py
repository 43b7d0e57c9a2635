"""Captions that come and go, taken out of the empty room."""

from __future__ import annotations

import warnings

import cv2
import numpy as np

from data.masked import disc, fill, masked_median

_GLANCES = 40  # frames that are asked which pixels change at all
_CAPTION, _RIM = 40, 14  # grey levels between letters and the room behind them, at least, and at their soft rims
_LETTERS = 0.05  # of the shorter side, half the height of a line of several captions over each other
_STROKE = 0.012  # of the shorter side, half the width of the boldest strokes
_GAP = 0.03  # of the shorter side, between the letters of a line
_OFTEN = 0.1  # of the frames: what changes more often is not a caption
# Share of a line's pixels that look like the room beside it when the writing is gone: 0.77 of yoga's captions, 0.31 of
# the sample's rug, on whose pattern the dancer's shadow falls.
_PLAIN = 0.6


def without_captions(
    plate: np.ndarray, settled: np.ndarray, two: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The plate without writing that comes and goes, or changes.

    Where letters stand for a part of the time, a pixel has two values, and its median is the letters', or a mixture.
    The one that goes with what lies around the letters is the room's. What never changes stays.

    Args:
        plate: (H, W, 3) uint8.
        settled: (H, W) bool, where the plate was seen.
        two, low, high: from `two_values`.

    Returns:
        (H, W, 3) uint8; and (H, W) bool, where there is such writing.
    """
    changing = high.max(axis=-1) > 0
    _, parts = cv2.connectedComponents(two.astype(np.uint8), connectivity=8)
    strong = two & ((high.astype(np.int16) - low).max(axis=-1) > _CAPTION)
    written = np.isin(parts, np.unique(parts[strong])).astype(np.uint8) * two
    # Anything larger than letters is a door that opens, or light.
    large = cv2.morphologyEx(written, cv2.MORPH_OPEN, disc(_LETTERS * min(settled.shape)))
    written[cv2.dilate(large, disc(1)) > 0] = 0
    if not written.any():
        return plate, written > 0
    # Letters that never change lie between those that do, and must not be taken for the room.
    reach = disc(_GAP * min(settled.shape))
    lines = cv2.dilate(cv2.morphologyEx(written, cv2.MORPH_CLOSE, reach), disc(3)) > 0
    chosen = np.flatnonzero(lines & changing)
    around = fill(plate, lines | ~settled).reshape(-1, 3)[chosen].astype(np.float32)
    result, letters = plate.copy(), np.zeros(settled.shape, bool)
    usual = np.linalg.norm(result.reshape(-1, 3)[chosen] - around, axis=1)
    pieces = [values.reshape(-1, 3)[chosen] for values in (low, high)]
    away = np.stack([np.linalg.norm(values - around, axis=1) for values in pieces])
    # With its writing removed, a line looks like the room beside it. A pattern under a passing shadow does not.
    plain = (np.minimum(usual, away.min(axis=0)) < _CAPTION / 2) & (written.reshape(-1)[chosen] > 0)
    _, parts = cv2.connectedComponents(lines.astype(np.uint8))
    numbers = parts.reshape(-1)[chosen]
    share = np.bincount(numbers, plain, parts.max() + 1)
    share /= np.maximum(np.bincount(numbers, written.reshape(-1)[chosen], parts.max() + 1), 1)
    for values, distance in zip(pieces, away, strict=True):
        better = (distance < 0.5 * usual) & (share[numbers] >= _PLAIN)
        letters.reshape(-1)[chosen[better]] = True
        result.reshape(-1, 3)[chosen[better]] = values[better]
        usual = np.where(better, distance, usual)
    rest = _unchanging_letters(plate, letters, lines)
    return fill(result, rest), letters | rest | ((written > 0) & (share >= _PLAIN)[parts])


def _unchanging_letters(plate: np.ndarray, letters: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """(H, W) bool, what is left of letters in which several captions agree: of the colour that was taken out of the
    plate beside it, and part of one stroke with that."""
    left = np.zeros(letters.shape, bool)
    _, parts = cv2.connectedComponents(lines.astype(np.uint8))
    for number in np.unique(parts[letters]):
        line = parts == number
        colour = np.median(plate[line & letters], axis=0)
        alike = line & (np.linalg.norm(plate - colour, axis=-1) < _CAPTION)
        _, strokes = cv2.connectedComponents((alike | (letters & line)).astype(np.uint8), connectivity=8)
        left |= np.isin(strokes, np.unique(strokes[letters & line])) & line & ~letters
    # Thicker than a stroke is what happens to be of the letters' colour.
    thick = cv2.morphologyEx(left.astype(np.uint8), cv2.MORPH_OPEN, disc(_STROKE * min(left.shape)))
    _, parts = cv2.connectedComponents(left.astype(np.uint8), connectivity=8)
    return left & ~np.isin(parts, np.unique(parts[thick > 0]))


def two_values(
    stack: np.ndarray, covered: np.ndarray, settled: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which pixels have two values over time, and which these are.

    Args:
        stack: (S, H, W, 3) uint8.
        covered: (S, H, W) bool, where people may be, or what they change.
        settled: (H, W) bool, where the room was seen.

    Returns:
        (H, W) bool; the darker and the brighter value (H, W, 3) uint8 of all pixels that change, else 0.
    """
    two, ends = np.zeros(settled.size, bool), np.zeros((2, settled.size, 3), np.uint8)
    some = slice(None, None, max(1, len(stack) // _GLANCES))
    where = np.flatnonzero(settled & ((~covered[some]).sum(0) >= 5))
    if len(where):
        low, high = (masked_median(stack[some], covered[some], where, share).astype(np.int16) for share in (0.08, 0.92))
        where = where[(high - low).max(axis=1) > _RIM]
    for start in range(0, len(where), 16384):  # bounds the memory
        part = where[start : start + 16384]
        two[part], ends[:, part] = _halves(stack, covered, part)
    return two.reshape(settled.shape), *ends.reshape(2, *settled.shape, 3)


def _halves(stack: np.ndarray, covered: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether pixels (M,) have two values, (M,) bool; and the darker and the brighter one, (2, M, 3)."""
    values = stack.reshape(len(stack), -1, 3)[:, where].astype(np.float32)  # S, M, 3
    free = ~covered.reshape(len(covered), -1)[:, where]
    light = np.where(free, values.mean(axis=-1), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of pixels with one side only
        middle = np.nanquantile(light, (0.05, 0.95), axis=0).mean(axis=0)
        halves = [free & (light < middle), free & (light >= middle)]
        sides = np.stack([np.nanmedian(np.where(half[..., None], values, np.nan), axis=0) for half in halves])
        low, high = sides.mean(axis=-1)
        spread = np.nanquantile(np.minimum(np.abs(light - low), np.abs(light - high)), 0.75, axis=0)
    shares = halves[0].sum(axis=0) / np.maximum(free.sum(axis=0), 1)
    two = (np.minimum(shares, 1 - shares) >= 0.05) & (high > low) & (spread < np.maximum(0.2 * (high - low), 4))
    # Writing stays for a while; a dancer's shadow comes and goes.
    two &= _changes(halves[1], free) <= np.maximum(4, _OFTEN * free.sum(axis=0))
    # Rims of letters of several captions have more values.
    rims = np.stack([masked_median(stack, covered, where, share) for share in (0.08, 0.92)])
    return two, np.where(two[:, None], np.rint(np.nan_to_num(sides)), rims).astype(np.uint8)


def _changes(state: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(M,) how often each state (S, M) bool changes from one sample in which it is known to the next such."""
    rows = np.where(known, np.arange(len(known))[:, None], 0)
    latest = np.take_along_axis(state, np.maximum.accumulate(rows, axis=0), axis=0)  # as last seen
    return (latest[1:] != latest[:-1]).sum(axis=0)
