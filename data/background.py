"""The empty room: a background plate from a video of a static camera, without the people in it."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from scipy import ndimage

from data.video import resize
from pose_detector import skeleton
from pose_detector.keypoints import scale_keypoints
from pose_detector.series import spread
from pose_detector.skeleton import body_size, to_fixed

MAX_SAMPLES = 180  # frames that a plate is made from: more change nothing that one can see
_FEWEST = 40  # ... of large ones: fewer leave traces of the dancer
_FRAME_MEMORY = 400e6  # bytes of disk that more than these may take
_SPOOLED = 64 << 20  # bytes of them that are in memory
_COARSE = 360  # pixels of the shorter side at which it is told what the room looks like
# What is averaged in full resolution: from so many frames, if so many agree about a pixel; more change no grey level.
_AVERAGED = 4.0
_MADE_UP = 0.05  # of a frame, what the small plate counts there

_GLANCES = 40  # frames that are asked which pixels change at all
_CAPTION, _RIM = 40, 14  # grey levels between letters and the room behind them, at least, and at their soft rims
_LETTERS = 0.05  # of the shorter side, half the height of a line of several captions over each other
_STROKE = 0.012  # of the shorter side, half the width of the boldest strokes
_GAP = 0.03  # of the shorter side, between the letters of a line
_OFTEN = 0.1  # of the frames: what changes more often is not a caption
# Share of a line's pixels that look like the room beside it when the writing is gone: 0.77 of yoga's captions, 0.31 of
# the sample's rug, on whose pattern the dancer's shadow falls.
_PLAIN = 0.6
_BESIDE = 0.03  # of the shorter side, how near to people what changes may be theirs: shadows, feet
_HARDLY = 64  # of 255: outlines below this count as background
_SHIFT = 4
# Half the thickness of what surrounds each bone, clothes included, in torso lengths.
_RADII = {
    (2, 3): 0.26, (3, 4): 0.24, (5, 6): 0.26, (6, 7): 0.24,
    (8, 9): 0.32, (9, 10): 0.27, (11, 12): 0.32, (12, 13): 0.27,
    (1, 2): 0.26, (1, 5): 0.26, (2, 8): 0.28, (5, 11): 0.28, (8, 11): 0.32, (1, 8): 0.28, (1, 11): 0.28,
    (1, 0): 0.30,
}  # fmt: skip


def sample_indices(count: int, frame_size: tuple[int, int], most: int = MAX_SAMPLES) -> np.ndarray:
    """Frame indices spread evenly over a video of `count` frames, as many as memory and `most` allow."""
    width, height = frame_size
    number = max(3, min(count, most, max(_FEWEST, int(_FRAME_MEMORY / (3 * width * height)))))
    return spread(count, number)


def person_mask(
    keypoints: np.ndarray, frame_size: tuple[int, int], grow: float = 1.0, size: float | None = None
) -> np.ndarray:
    """Where a person may be, shadow at the feet included: (H, W) bool.

    Args:
        keypoints: (18, 3) pixels; a limb with a missing end is left out.
        frame_size: (width, height).
        grow: factor on all thicknesses.
        size: the person's `body_size` in pixels; None: as this pose shows it, too small where all limbs are
            foreshortened.
    """
    width, height = frame_size
    mask = np.zeros((height, width), np.uint8)
    size = float(body_size(keypoints)) if size is None else size
    if not (np.isfinite(size) and size > 0):
        return mask.astype(bool)
    seen = keypoints[:, 2] > 0
    xy = keypoints[:, :2].astype(np.float64)

    def capsule(a: np.ndarray, b: np.ndarray, radius: float) -> None:
        p, q = to_fixed(np.stack([a, b]), mask.shape)
        cv2.line(mask, p, q, 1, max(1, round(2 * radius * grow * size)), cv2.LINE_8, _SHIFT)

    for (a, b), radius in _RADII.items():
        if seen[a] and seen[b]:
            capsule(xy[a], xy[b], radius)
    torso = [j for j in (2, 5, 11, 8) if seen[j]]
    if len(torso) >= 3:
        cv2.fillPoly(mask, [np.array(to_fixed(xy[torso], mask.shape))], 1, cv2.LINE_8, _SHIFT)
    # Hands and feet reach beyond the last joint.
    for inner, end, reach in ((3, 4, 0.55), (6, 7, 0.55), (9, 10, 0.3), (12, 13, 0.3)):
        if seen[end]:
            tip = xy[end] + (reach * (xy[end] - xy[inner]) if seen[inner] else 0)
            capsule(xy[end], tip, 0.26)
    for ankle in skeleton.ANKLES:
        if seen[ankle]:
            # Toes point anywhere, and towards the camera they lie well below the ankle.
            heel, side = xy[ankle] + np.array([0, 0.1 * size]), np.array([0.22 * size, 0])
            capsule(heel - side, heel + side, 0.24)
            capsule(heel, heel + np.array([0, 0.3 * size]), 0.26)
    head = [j for j in skeleton.HEAD if seen[j]]
    if head:
        centre = xy[head].mean(0)
        if seen[skeleton.NECK]:  # hair and crown lie beyond the face, seen from the neck
            centre = centre + 0.2 * (centre - xy[skeleton.NECK])
        capsule(centre, centre, 0.55)
    return mask.astype(bool)


def hold(keypoints: np.ndarray, frames: int) -> np.ndarray:
    """Keypoints with missing ones taken from the nearest frame that shows them, if it is at most `frames` away.

    A person whom the detector misses for a moment is still there.

    Args:
        keypoints: (N, 18, 3), not changed.
    """
    result = keypoints.copy()
    index = np.arange(len(keypoints))
    for joint in range(keypoints.shape[1]):
        known = np.flatnonzero(keypoints[:, joint, 2] > 0)
        if not len(known):
            continue
        after = known[np.minimum(np.searchsorted(known, index), len(known) - 1)]
        before = known[np.maximum(np.searchsorted(known, index, "right") - 1, 0)]
        nearest = np.where(np.abs(after - index) < np.abs(index - before), after, before)
        near = np.abs(nearest - index) <= frames
        result[near, joint] = keypoints[nearest[near], joint]
    return result


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
    stack = even(held.small, gains)
    still = _stillness(stack[few], anybody[few])
    plate, lit, tier = _plate_of(stack, tiers, still, _enough(len(dancer) - beyond.sum(0)))
    settled = tier < len(tiers)
    if shown is None:  # where the camera moves, captions do not stay in one place of the room
        away = _widened(anybody, _BESIDE * min(size))
        plate, written = without_captions(plate, settled, *_two_values(stack, away, settled))
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
            reach = 2 * max(1, round(margin * thick)) + 1
            around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
            covered[i] = cv2.dilate(masks[i], around) > _HARDLY
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
        frame = even(held[i][None].copy(), gains[i : i + 1])[0]
        part = cv2.multiply(frame, cv2.merge([weight] * 3), scale=1 / 255, dtype=cv2.CV_32F)
        cv2.add(summed, part, dst=summed)
        cv2.add(total, weight * np.float32(1 / 255), dst=total)
    return cv2.convertScaleAbs(cv2.divide(summed, cv2.merge([total] * 3)))


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
        plate[todo] = _masked_median(stack, covered, where)
        if number:  # beside a person, what changes is the rim of clothes or a shadow, not the room
            spread = np.zeros(todo.shape, np.uint8)
            spread[todo] = _masked_spread(stack, covered, where, plate[todo])
            todo &= ndimage.maximum_filter(spread, 5) <= 2 * still
        chosen[todo] = number
    anybody = tiers[0]
    where = np.flatnonzero((chosen < len(tiers)) & ((~anybody).mean(0) >= 0.15))  # fewer frames do not tell
    lit = plate.copy()
    if len(where):
        bright = _masked_median(stack, anybody, where, share=0.8)
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
    middle = _masked_median(stack, covered, where)
    return max(2.0, float(np.median(_masked_spread(stack, covered, where, middle))))


def even(stack: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Frames (S, H, W, 3) uint8 without their gains (S, 3) from `exposures`, in place."""
    for frame, gain in zip(stack, gains, strict=True):
        table = np.clip(np.arange(256)[:, None] / gain + 0.5, 0, 255).astype(np.uint8)
        frame[...] = cv2.LUT(frame, table[:, None])
    return stack


def without_captions(
    plate: np.ndarray, settled: np.ndarray, two: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The plate without writing that comes and goes, or changes.

    Where letters stand for a part of the time, a pixel has two values, and its median is the letters', or a mixture.
    The one that goes with what lies around the letters is the room's. What never changes stays.

    Args:
        plate: (H, W, 3) uint8.
        settled: (H, W) bool, where the plate was seen.
        two, low, high: from `_two_values`.

    Returns:
        (H, W, 3) uint8; and (H, W) bool, where there is such writing.
    """
    changing = high.max(axis=-1) > 0
    _, parts = cv2.connectedComponents(two.astype(np.uint8), connectivity=8)
    strong = two & ((high.astype(np.int16) - low).max(axis=-1) > _CAPTION)
    written = np.isin(parts, np.unique(parts[strong])).astype(np.uint8) * two
    # Anything larger than letters is a door that opens, or light.
    large = cv2.morphologyEx(written, cv2.MORPH_OPEN, _disc(_LETTERS * min(settled.shape)))
    written[cv2.dilate(large, _disc(1)) > 0] = 0
    if not written.any():
        return plate, written > 0
    # Letters that never change lie between those that do, and must not be taken for the room.
    reach = _disc(_GAP * min(settled.shape))
    lines = cv2.dilate(cv2.morphologyEx(written, cv2.MORPH_CLOSE, reach), _disc(3)) > 0
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
    thick = cv2.morphologyEx(left.astype(np.uint8), cv2.MORPH_OPEN, _disc(_STROKE * min(left.shape)))
    _, parts = cv2.connectedComponents(left.astype(np.uint8), connectivity=8)
    return left & ~np.isin(parts, np.unique(parts[thick > 0]))


def _two_values(
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
        low, high = (
            _masked_median(stack[some], covered[some], where, share).astype(np.int16) for share in (0.08, 0.92)
        )
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
    rims = np.stack([_masked_median(stack, covered, where, share) for share in (0.08, 0.92)])
    return two, np.where(two[:, None], np.rint(np.nan_to_num(sides)), rims).astype(np.uint8)


def _changes(state: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(M,) how often each state (S, M) bool changes from one sample in which it is known to the next such."""
    rows = np.where(known, np.arange(len(known))[:, None], 0)
    latest = np.take_along_axis(state, np.maximum.accumulate(rows, axis=0), axis=0)  # as last seen
    return (latest[1:] != latest[:-1]).sum(axis=0)


def _widened(covered: np.ndarray, reach: float) -> np.ndarray:
    """Masks (S, H, W) bool, wider by about `reach` pixels."""
    height, width = covered.shape[1:]
    size = max(1, width // 4), max(1, height // 4)
    result = np.empty_like(covered)
    for wide, mask in zip(result, covered, strict=True):
        around = cv2.dilate(_shrunk(mask, size).astype(np.uint8), _disc(reach / 4))
        wide[...] = cv2.resize(around, (width, height), interpolation=cv2.INTER_NEAREST) > 0
    return result


def _shrunk(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask (H, W) bool at a smaller (width, height), true where any of it was."""
    return cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0


def _disc(radius: float) -> np.ndarray:
    side = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


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


ROOM = 96  # pixels, the longer side of a room's picture by which videos are compared
_SAME = 8.0  # grey levels by which two pictures of a room may differ (median), as light and codecs have it
_LIKE = 0.9  # least correlation of two pictures of a room


def room_picture(frames: Sequence[np.ndarray], people: Sequence[np.ndarray]) -> np.ndarray:
    """A small picture of the room, to tell whether two videos show the same one from the same place.

    Args:
        frames: S frames (H, W, 3) uint8 RGB.
        people: per frame (P, 18, 3) keypoints of those who are not part of the room.

    Returns:
        (h, w, 4) uint8: RGB, and 255 where the room was seen.
    """
    height, width = frames[0].shape[:2]
    scale = ROOM / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])
    covered = np.stack([_shrunk(people_mask(those, (width, height)), size) for those in people])
    seen = (~covered).sum(0) >= max(1, round(0.1 * len(frames)))
    room = np.zeros((*seen.shape, 4), np.uint8)
    where = np.flatnonzero(seen)
    room.reshape(-1, 4)[where, :3] = _masked_median(small, covered, where)
    room[..., 3] = 255 * seen
    return room


def same_room(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two pictures of `room_picture` show one room from one place; False where too
    little is seen, as in front of a bare wall."""
    if a.shape != b.shape:
        return False
    both = (a[..., 3] > 0) & (b[..., 3] > 0)
    if both.mean() < 0.2:
        return False
    first, second = (picture[both][:, :3].astype(np.float64) for picture in (a, b))
    gain = np.median((first + 8) / (second + 8), axis=0)  # cameras adjust themselves
    difference = np.abs(first - (gain * (second + 8) - 8)).max(axis=1)
    if min(first.std(), second.std()) < 2 or np.median(difference) > _SAME:
        return False
    # A person may have been missed, or a chair moved: a tenth of the picture need not agree.
    kept = difference <= np.quantile(difference, 0.9)
    return float(np.corrcoef(first[kept].mean(1), second[kept].mean(1))[0, 1]) > _LIKE


def people_mask(people: Iterable[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool, where one of these people (18, 3) may be in a frame of (width, height)."""
    mask = np.zeros(size[::-1], bool)
    for pose in people:
        mask |= person_mask(pose, size)
    return mask


def exposures(stack: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Brightness of each frame's background relative to the others' median, per channel: (S, 3), about 1.

    Cameras adjust themselves to where a dark dancer stands. A plate put together from frames of different brightness
    would show their outlines.

    Args:
        stack: (S, H, W, 3) uint8.
        covered: (S, H, W) bool, where people may be.
    """
    step = max(1, min(stack.shape[1:3]) // 72)
    pixels = stack[:, ::step, ::step].reshape(len(stack), -1, 3)
    hidden = covered[:, ::step, ::step].reshape(len(stack), -1)
    common = np.flatnonzero((~hidden).sum(0) >= 3)
    middle = _masked_median(pixels, hidden, common).astype(np.float64)
    pixels, hidden = pixels[:, common], hidden[:, common]
    gains = np.ones((len(stack), 3))
    for frame in range(len(stack)):
        usable = ~hidden[frame] & (middle > 24).all(-1) & (pixels[frame] < 250).all(-1)
        if usable.sum() > 50:
            gains[frame] = np.median(pixels[frame, usable] / middle[usable], 0)
    return np.clip(gains / np.median(gains, 0), 0.5, 2)


def _masked_median(stack: np.ndarray, covered: np.ndarray, where: np.ndarray, share: float = 0.5) -> np.ndarray:
    """Median over the frames that are not covered, of the pixels asked for.

    Args:
        stack: (S, ..., 3) uint8.
        covered: (S, ...) bool.
        where: (M,) flat indices of pixels, each free in at least one frame.
        share: quantile, 0.5 for the median.

    Returns:
        (M, 3) uint8.
    """
    values, hidden = stack.reshape(len(stack), -1, 3), covered.reshape(len(stack), -1)
    result = np.empty((len(where), 3), np.uint8)
    for start in range(0, len(where), 16384):  # bounds the memory of the sorted copy
        part = where[start : start + 16384]
        ordered = np.where(hidden[:, part, None], np.uint16(999), values[:, part]).transpose(1, 2, 0)
        # On rows of small integers numpy's stable sort is a radix sort, the fastest here.
        ordered = np.sort(np.ascontiguousarray(ordered), axis=-1, kind="stable")
        place = share * ((~hidden[:, part]).sum(0)[:, None, None] - 1)
        low = np.take_along_axis(ordered, np.floor(place).astype(int), -1)[..., 0]
        high = np.take_along_axis(ordered, np.ceil(place).astype(int), -1)[..., 0]
        result[start : start + 16384] = (low + high + 1) // 2
    return result


def _masked_spread(stack: np.ndarray, covered: np.ndarray, where: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """How much pixels (M,) differ from their median ``middle`` (M, 3): the median deviation over the frames in which
    they are not covered, the largest of the channels. The other arguments are those of :func:`_masked_median`."""
    values = stack.reshape(len(stack), -1, 3)[:, where]
    deviations = np.maximum(values, middle) - np.minimum(values, middle)
    free = covered.reshape(len(covered), -1)[:, where]
    return _masked_median(deviations, free, np.arange(len(where))).max(1)


def fill(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The picture with its hole filled smoothly from the rim inwards (pull-push over a pyramid).

    Args:
        picture: (H, W, 3) uint8.
        hole: (H, W) bool.
    """
    if not hole.any():
        return picture
    if hole.all():
        return np.full_like(picture, 128)
    known = (~hole).astype(np.float32)[..., None]
    levels = [(picture.astype(np.float32) * known, known)]
    while min(levels[-1][0].shape[:2]) > 1 and levels[-1][1].min() == 0:
        colour, weight = (cv2.pyrDown(a).reshape((*cv2.pyrDown(a).shape[:2], -1)) for a in levels[-1])
        levels.append((colour, np.where(weight < 1e-4, 0, weight)))
    colour, weight = levels[-1]
    mean = colour.sum((0, 1)) / max(weight.sum(), 1e-6)
    filled = np.where(weight > 0, colour / np.maximum(weight, 1e-6), mean)
    for colour, weight in reversed(levels[:-1]):
        coarse = cv2.pyrUp(filled.astype(np.float32), dstsize=(colour.shape[1], colour.shape[0]))
        # A pixel that is only partly known at this level takes the rest from the coarser one.
        share = np.minimum(weight, 1)
        filled = np.where(weight > 0, colour / np.maximum(weight, 1e-6), coarse) * share + coarse * (1 - share)
    result = picture.copy()
    result[hole] = np.clip(filled[hole] + 0.5, 0, 255).astype(np.uint8)
    return result
