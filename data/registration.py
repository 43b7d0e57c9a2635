"""A frame registered to a keyframe of the same room, by what lies outside the people.

Features are tracked from the keyframe to the frame (pyramidal Lucas-Kanade), which gives a first homography; the
brightness of some thousand steep pixels gives the final one. Where the room shows little, a weak prior decides: a
camera turns, rolls and zooms. There is no choice between models, which would jump from frame to frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from data.homography import Units, displacement, equations, fit, normalised, prior_rows, rescaled, transform
from data.masked import disc
from pose_detector.keypoints import scale_points

AREA = 512 * 288  # pixels of the small grey picture in which the camera is found
_CORNERS, _CELLS = 200, 12  # features of a keyframe, and cells along the longer side among which they are spread
_GUARD = 0.016  # of the longer side: features so near to a person go with them
_ROUND = 9  # every other pixel, among which brightness is compared
_FAINT = 16.0  # grey levels: a fainter texture is hard to distinguish from noise
_RETURNS = 0.5  # pixels: a feature that is tracked back to further from where it was is lost
_OUTLIER = 2.0  # pixels from which on a feature does not move with the room
_FEW = 12  # features that must agree
_PIXELS = 4500  # to be compared by brightness, about
_SLOPE = 4.0  # grey levels a pixel, of a flattened picture, which noise does not reach
_STEPS = 12  # of Gauss-Newton at most
_CORRELATED = 3.0  # factor on uncertainties, as the errors of neighbouring pixels are alike
_RIGID = 0.5  # share of the features that must move with the room, or it is parallax
_NEEDED = 0.15  # share of the differences that a motion must explain to count
_RICH = 40  # features of a room rich enough to show how the camera moves
_ALIKE = 0.5  # least correlation with the keyframe
_SURE = 1.0  # pixels by which a frame may be uncertain


def small_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of the picture in which the camera is found, for frames of (width, height)."""
    scale = min(1.0, (AREA / (size[0] * size[1])) ** 0.5)
    return max(16, round(size[0] * scale)), max(16, round(size[1] * scale))


def flattened(frame: np.ndarray) -> np.ndarray:
    """A small frame (h, w, 3) uint8 RGB as a grey picture without what light and exposure change: (h, w) uint8,
    brightness relative to its mean and its spread in the `_ROUND` pixels round about, 128 = the mean."""
    size = frame.shape[1::-1]
    grey = cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (3, 3), 0.7)
    half = cv2.resize(grey, [(side + 1) // 2 for side in size]).astype(np.float32)
    around = (_ROUND, _ROUND)
    mean = cv2.blur(half, around)
    spread = cv2.blur(cv2.multiply(half - mean, half - mean), around)
    gain = cv2.resize(40 / np.sqrt(spread + _FAINT**2), size)
    return cv2.convertScaleAbs(cv2.multiply(grey - cv2.resize(mean, size), gain), beta=128)


@dataclass
class _Level:
    """Some pixels of a keyframe at one size, to register others to by their brightness.

    scale: of the size. points: (m, 2) pixels. values: (m,) brightness. slopes: (m, 8) its change by the entries of a
    homography, in the coordinates of `frame`.
    """

    scale: float
    frame: Units
    points: np.ndarray
    values: np.ndarray
    slopes: np.ndarray


@dataclass
class Keyframe:
    """A frame that others are registered to.

    picture: (h, w) uint8. covered: (h, w) bool. corners: (n, 2) its features. levels: its pixels,
    the coarsest first. place: (3, 3) to the steady coordinates.
    """

    picture: np.ndarray
    covered: np.ndarray
    corners: np.ndarray
    levels: list[_Level]
    place: np.ndarray


@dataclass
class Match:
    """A picture registered to a keyframe.

    homography: from the picture to the keyframe. alike: correlation with it. rigid: share of the features that move
    with the room; 1 where there are hardly any. unsure: pixels.
    """

    homography: np.ndarray
    alike: float
    rigid: float
    unsure: float

    @property
    def good(self) -> bool:
        """Whether it can be relied on."""
        return self.unsure < _SURE and self.alike > _ALIKE and self.rigid > _RIGID


def keyframe(picture: np.ndarray, covered: np.ndarray, place: np.ndarray) -> Keyframe:
    """Make one from a picture of `flattened`."""
    levels = [_level(picture, covered, scale) for scale in (0.25, 0.5, 1.0)]
    return Keyframe(picture, covered, features(picture, covered), levels, place)


def _shrunk(picture: np.ndarray, scale: float) -> np.ndarray:
    if scale == 1:
        return picture
    size = [max(8, round(side * scale)) for side in picture.shape[::-1]]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _level(picture: np.ndarray, covered: np.ndarray, scale: float) -> _Level:
    small = _shrunk(picture, scale).astype(np.float32)
    free = _shrunk(np.uint8(covered) * 255, scale) < 8
    free[:2], free[-2:], free[:, :2], free[:, -2:] = False, False, False, False
    x, y = (cv2.Scharr(small, cv2.CV_32F, *order) / 32 for order in ((1, 0), (0, 1)))
    strength = np.hypot(x, y) * free
    chosen = _steepest(strength)
    frame = Units(small.shape[::-1])
    points = chosen.astype(np.float64)
    p = transform(frame.to, points) if len(points) else points
    slope = np.stack([x[chosen[:, 1], chosen[:, 0]], y[chosen[:, 1], chosen[:, 0]]], -1) * frame.unit
    a, _ = equations(p, p, np.ones(len(p)))
    slopes = np.einsum("mk,mkj->mj", slope, a.reshape(-1, 2, 8))
    return _Level(scale, frame, points, small[chosen[:, 1], chosen[:, 0]], slopes)


def _steepest(strength: np.ndarray) -> np.ndarray:
    """(m, 2) x and y of steep pixels, from each cell of the picture the same number, so that all of it has its say."""
    height, width = strength.shape
    y, x = np.nonzero(strength > _SLOPE)
    side = max(height, width) / _CELLS
    cell = (y // side).astype(int) * 1000 + (x // side).astype(int)
    order = np.lexsort((-strength[y, x], cell))
    first = np.searchsorted(cell[order], cell[order])
    chosen = order[np.arange(len(order)) - first < _PIXELS * side * side / strength.size]
    return np.stack([x[chosen], y[chosen]], -1)


def features(picture: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """(n, 2) float32 corners outside `covered` (h, w) bool, spread over the picture."""
    found = cv2.goodFeaturesToTrack(picture, 4 * _CORNERS, 0.01, 4, mask=np.uint8(~covered), blockSize=5)
    if found is None:
        return np.zeros((0, 2), np.float32)
    found = found[:, 0]
    cell = max(picture.shape) / _CELLS
    place = (found // cell).astype(int) @ [1, 1000]
    # The strongest come first; each cell contributes at most its share.
    cells = max(1, round(picture.shape[0] / cell) * round(picture.shape[1] / cell))
    most = -(-_CORNERS // cells) + 1
    order = np.argsort(place, kind="stable")
    first = np.searchsorted(place[order], place[order])
    return found[np.sort(order[np.arange(len(order)) - first < most])]


def register(key: Keyframe, picture: np.ndarray, covered: np.ndarray, guess: np.ndarray) -> Match:
    """Find a picture's place in a keyframe: by tracked features, then by the brightness of all that is steep.

    Args:
        key: the keyframe.
        picture: (h, w) uint8, from `flattened`.
        covered: (h, w) bool, where people are in it.
        guess: a homography from the picture to the keyframe, some tens of pixels off at most.
    """
    tracked, rigid = _track(key, picture, covered, guess)
    whole = tracked is None  # nothing but the guess to begin with
    return _align(key, picture, covered, guess if whole else tracked, rigid, 0 if whole else 1)


def _track(
    key: Keyframe, picture: np.ndarray, covered: np.ndarray, guess: np.ndarray
) -> tuple[np.ndarray | None, float]:
    """Homography of most features, None where too few are left; and the share of them that move with it."""
    size = picture.shape[1::-1]
    if len(key.corners) < _FEW:
        return None, 1.0
    warped = _shrunk(cv2.warpPerspective(picture, guess, size, flags=cv2.INTER_LINEAR), 0.5)
    here = _shrunk(key.picture, 0.5)
    half = np.divide(warped.shape[::-1], size)
    start = scale_points(key.corners, half).astype(np.float32)
    options = {"winSize": (15, 15), "maxLevel": 3}
    moved, found, _ = cv2.calcOpticalFlowPyrLK(here, warped, start, None, **options)
    back, again, _ = cv2.calcOpticalFlowPyrLK(warped, here, moved, None, **options)
    good = (found[:, 0] == 1) & (again[:, 0] == 1) & (np.hypot(*(back - start).T) < _RETURNS)
    moved = scale_points(moved, 1 / half)
    source = transform(np.linalg.inv(guess), moved)
    good &= ((source > 6) & (source < np.array(size) - 7)).all(1)
    x, y = np.clip(np.rint(source), 0, np.array(size) - 1).astype(int).T
    good &= ~covered[y, x]
    if good.sum() < _FEW:
        return None, 1.0
    corners, moved, source = key.corners[good], moved[good], source[good]
    _, agree = cv2.estimateAffinePartial2D(moved, corners, method=cv2.RANSAC, ransacReprojThreshold=3.0)
    if agree is None or agree.sum() < _FEW:
        return None, 0.0 if len(corners) > 2 * _FEW else 1.0
    agree = agree[:, 0] > 0
    better = fit(source[agree], corners[agree], size, guess)
    distance = np.hypot(*(transform(better, source) - corners).T)
    return better, float((distance < _OUTLIER).mean())


def _align(
    key: Keyframe, picture: np.ndarray, covered: np.ndarray, guess: np.ndarray, rigid: float, first: int
) -> Match:
    """Gauss-Newton on the difference of brightness, inverse compositional (Baker and Matthews 2004), robust."""
    inverse = np.linalg.inv(guess)  # from the keyframe to the picture
    alike, unsure = 0.0, np.inf
    hidden = np.uint8(covered) * 255
    for level in key.levels[first:]:
        small = _shrunk(picture, level.scale).astype(np.float32)
        mask = _shrunk(hidden, level.scale)
        to, limit = level.frame.to, np.array(small.shape[::-1])
        scale = np.divide(limit, picture.shape[::-1])
        if len(level.points) < 4 * _FEW:
            return Match(guess, 0.0, rigid, np.inf)
        h = normalised(to @ rescaled(inverse, scale) @ np.linalg.inv(to))
        p = transform(to, level.points)
        for _ in range(_STEPS):
            at = transform(np.linalg.inv(to) @ h, p).astype(np.float32)
            inside = ((at > 1) & (at < limit - 2)).all(1)
            values = cv2.remap(small, at[None], None, cv2.INTER_LINEAR)[0]
            use = inside & (cv2.remap(mask, at[None], None, cv2.INTER_NEAREST)[0] < 8)
            if use.sum() < 4 * _FEW:
                return Match(guess, 0.0, rigid, np.inf)
            wrong, slopes = (values - level.values)[use], level.slopes[use]
            spread = max(2.0, 1.48 * float(np.median(np.abs(wrong[::3]))))
            weight = np.maximum(1 - (wrong / (4 * spread)) ** 2, 0) ** 2
            weighted = slopes * weight[:, None]
            prior, error = prior_rows(h), (_CORRELATED * spread) ** 2
            normal = weighted.T @ slopes / error + prior.T @ prior
            right = weighted.T @ wrong / error + prior.T @ (prior @ h.reshape(-1)[:8])
            step = np.linalg.solve(normal + 1e-9 * np.eye(8), right)
            h = normalised(h @ np.linalg.inv(np.eye(3) + np.append(step, 0).reshape(3, 3)))
            if np.abs(step).max() * level.frame.unit < 0.01:
                break
        inverse = rescaled(np.linalg.inv(to) @ h @ to, 1 / scale)
        a, b = values[use] - 128, level.values[use] - 128
        alike = float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum() + 1e-9))
    nodes = p[use][:: max(1, int(use.sum()) // 50)]  # where there is nothing to see, it does not matter
    lever, _ = equations(nodes, nodes, np.ones(len(nodes)))
    variance = np.einsum("ij,jk,ik->i", lever, np.linalg.inv(normal), lever).mean()
    unsure = level.frame.unit * float(np.sqrt(max(0.0, 2 * variance)))
    if not np.isfinite(inverse).all() or displacement(inverse, key.picture.shape[1::-1]) > max(key.picture.shape):
        return Match(guess, 0.0, rigid, np.inf)
    needed = 1.0
    same = use & (cv2.remap(mask, level.points.astype(np.float32)[None], None, cv2.INTER_NEAREST)[0] < 8)
    if same.sum() > 4 * _FEW:
        x, y = level.points[same].astype(int).T
        costs = [np.minimum(np.abs(v - level.values[same]), 4 * spread).mean() for v in (values[same], small[y, x])]
        needed = 1 - float(costs[0] / max(costs[1], 1e-6))
    if needed < _NEEDED and displacement(inverse, key.picture.shape[1::-1]) > 1:
        alike = 0.0  # a camera that stands would explain it as well
    return Match(normalised(np.linalg.inv(inverse)), alike, rigid, unsure)


def widened(people: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w) bool at (width, height), where people (H, W) uint8 are, or what next to them looks otherwise."""
    reach = round(_GUARD * max(size)) + _ROUND
    return cv2.dilate(cv2.resize(people, size, interpolation=cv2.INTER_AREA), disc(reach)) > 64


def relocate(key: Keyframe, picture: np.ndarray, covered: np.ndarray) -> np.ndarray | None:
    """A first guess for `register` when the camera's motion is unknown, from matched ORB features; or None."""
    orb = cv2.ORB_create(800)
    a, b = (orb.detectAndCompute(p, np.uint8(~c) * 255) for p, c in ((picture, covered), (key.picture, key.covered)))
    if a[1] is None or b[1] is None:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(a[1], b[1])
    if len(pairs) < _FEW:
        return None
    p, q = (np.float32([k[i].pt for i in ids]) for k, ids in (
        (a[0], [m.queryIdx for m in pairs]), (b[0], [m.trainIdx for m in pairs])
    ))  # fmt: skip
    matrix, inside = cv2.estimateAffinePartial2D(p, q, method=cv2.RANSAC, ransacReprojThreshold=4.0)
    if matrix is None or inside.sum() < _FEW:
        return None
    return np.vstack([matrix, [0, 0, 1]])


def in_room(frame: np.ndarray, people: np.ndarray, room: np.ndarray) -> np.ndarray | None:
    """Where a frame of another video lies in the picture of a room, if it shows that room from there.

    Args:
        frame: (H, W, 3) uint8 RGB.
        people: (H, W) uint8, 255 where somebody is.
        room: (h, w, 3) uint8 RGB, empty.

    Returns:
        homography (3, 3) from the frame's pixels to the room's; None where it is another room, or where that is
        unclear.
    """
    size, small = frame.shape[1::-1], small_size(room.shape[1::-1])
    nobody = np.zeros(small[::-1], bool)
    key = keyframe(flattened(cv2.resize(room, small, interpolation=cv2.INTER_AREA)), nobody, np.eye(3))
    # At the room's scale, so that what both show is about as large.
    picture, covered = flattened(cv2.resize(frame, small, interpolation=cv2.INTER_AREA)), widened(people, small)
    if len(key.corners) < _RICH:
        return None
    for guess in (np.eye(3), relocate(key, picture, covered)):
        match = None if guess is None else register(key, picture, covered, guess)
        if match is not None and match.good:
            ends = (np.diag([*np.divide(small, side), 1.0]) for side in (size, room.shape[1::-1]))
            half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
            first, last = (np.linalg.inv(half) @ end @ half for end in ends)
            return normalised(np.linalg.inv(last) @ match.homography @ first)
    return None
