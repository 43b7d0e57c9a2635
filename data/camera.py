"""How a hand-held camera moved against the room: one homography a frame, from what lies outside the people.

Every frame is registered directly to the nearest of some keyframes: features are tracked from the keyframe to the frame
(pyramidal Lucas-Kanade), which gives a first homography, and the brightness of some thousand steep pixels gives the
final one. The keyframes are then registered to each other wherever they overlap, and placed together by least squares,
so that nothing drifts. Where little holds a homography, a weak prior (a camera turns, rolls and zooms) does: no choice
between models, which would jump from frame to frame.

A homography (3, 3) takes pixel coordinates (x, y) of a frame to those of another picture; pixel centres are whole
numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from data.memo import Memo
from pose_detector.keypoints import scale_points
from pose_detector.series import interpolate, runs

AREA = 512 * 288  # pixels of the small grey picture in which the camera is found
STILL = 0.3  # pixels of that picture: a camera that moves less stands
CANVAS = 0.4  # of the picture's side, by which the canvas may reach beyond the view on each side

_MULTIPLE = 32  # of which the sides of the steady picture are multiples where those of the frames are
_CORNERS, _CELLS = 200, 12  # features of a keyframe, and cells along the longer side among which they are spread
_GUARD = 0.016  # of the longer side: features so near to a person go with them
_ROUND = 9  # every other pixel, among which brightness is compared
_FAINT = 16.0  # grey levels: a fainter texture is hard to distinguish from noise
_RETURNS = 0.5  # pixels: a feature that is tracked back to further from where it was is lost
_NOISE = 0.3  # pixels by which a tracked feature usually errs
_OUTLIER = 2.0  # pixels from which on a feature does not move with the room
_FEW = 12  # features that must agree
_PIXELS = 4500  # to be compared by brightness, about
_SLOPE = 4.0  # grey levels a pixel, of a flattened picture, which noise does not reach
_STEPS = 12  # of Gauss-Newton at most
_CORRELATED = 3.0  # factor on uncertainties, as the errors of neighbouring pixels are alike
_AFFINE = 0.01  # prior: standard deviation of shear and stretch, in half longer sides
_LENS, _LENSES = 0.17, 0.12  # prior: 1 / F^2 of a usual lens (1.2 longer sides), and its standard deviation
_NEW_KEY = 0.10  # of the longer side: a frame that differs by more from all keyframes becomes one
_MOST_KEYS = 120  # 1.5 MB each
_PATIENCE = 3  # frames that are lost before one of them becomes a keyframe
_OVERLAP = 0.45  # ... keyframes that differ by less are registered to each other
_NEIGHBOURS = 8  # how many of them
_RIGID = 0.5  # share of the features that must move with the room, or it is parallax
_NEEDED = 0.15  # share of the differences that a motion must explain to count
_RICH = 40  # features of a room rich enough to show how the camera moves
_ALIKE = 0.5  # least correlation with the keyframe
_USABLE = 0.5  # share of the frames that must be registered, or else a run of at least
_STRETCH = 60  # frames: registrations that come and go are guesswork
_SURE = 1.0  # pixels by which a frame may be uncertain


# ---- Homographies ----------------------------------------------------------------------------------------------------


def transform(homography: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (..., 2) through a homography (3, 3), or each of (N, ..., 2) through its own (N, 3, 3)."""
    h = np.swapaxes(homography, -1, -2)
    if homography.ndim > 2:
        h = h.reshape(len(homography), *(1,) * (points.ndim - 3), 3, 3)
    moved = points.astype(np.float64) @ h[..., :2, :] + h[..., 2:, :] if points.ndim > 1 else points @ h[:2] + h[2]
    return moved[..., :2] / moved[..., 2:]


def rescaled(homography: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Homographies (..., 3, 3) for pictures enlarged by (2,) factors in x and y."""
    resize = np.array([[scale[0], 0, scale[0] / 2 - 0.5], [0, scale[1], scale[1] / 2 - 0.5], [0, 0, 1]])
    return normalised(resize @ homography @ np.linalg.inv(resize))


def normalised(homography: np.ndarray) -> np.ndarray:
    """The same with 1 as the last entry."""
    return homography / homography[..., 2:, 2:]


def grid(size: tuple[int, int], side: int = 3) -> np.ndarray:
    """(side * side, 2) points spread over a picture of (width, height), its corners included."""
    x, y = (np.linspace(0, length - 1, side) for length in size)
    return np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)


def displacement(homography: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Root mean square way in pixels that homographies (..., 3, 3) move a picture of (width, height)."""
    points = grid(size)
    flat = homography.reshape(-1, 3, 3)
    way = transform(flat, np.broadcast_to(points, (len(flat), *points.shape))) - points
    return np.sqrt((way**2).sum(-1).mean(-1)).reshape(homography.shape[:-2])


@dataclass
class _Frame:
    """Coordinates in which fits are well conditioned: the picture's middle is 0, half its longer side 1."""

    size: tuple[int, int]
    unit: float = field(init=False)
    to: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.unit = max(self.size) / 2
        x, y = (np.array(self.size) - 1) / 2
        self.to = np.array([[1 / self.unit, 0, -x / self.unit], [0, 1 / self.unit, -y / self.unit], [0, 0, 1]])


def _rows(p: np.ndarray, q: np.ndarray, denominator: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Linear equations (2n, 8), (2n,) for the entries of a homography from p to q (n, 2)."""
    x, y = p.T
    zero, one = np.zeros_like(x), np.ones_like(x)
    rows = np.stack(
        [
            np.stack([x, y, one, zero, zero, zero, -x * q[:, 0], -y * q[:, 0]], -1),
            np.stack([zero, zero, zero, x, y, one, -x * q[:, 1], -y * q[:, 1]], -1),
        ],
        1,
    )
    return (rows / denominator[:, None, None]).reshape(-1, 8), (q / denominator[:, None]).reshape(-1)


def _prior(h: np.ndarray) -> np.ndarray:
    """Rows (4, 8) that are about 0 times the entries [a, b, c, d, e, f, g, h] of a homography (3, 3), in units of their
    standard deviations: a camera in the hand turns, rolls and zooms, and otherwise moves little.

    A turn that moves the picture by c bends it by g = -c / F^2 (Hartley and Zisserman, 8.4), with a focal length F that
    is not known; rolling shutters and steps aside do the rest.
    """
    bend = _AFFINE + _LENSES * float(np.hypot(h[0, 2], h[1, 2]))
    rows = np.array(
        [
            [1, 0, 0, 0, -1, 0, 0, 0],
            [0, 1, 0, 1, 0, 0, 0, 0],
            [0, 0, _LENS, 0, 0, 0, 1, 0],
            [0, 0, 0, 0, 0, _LENS, 0, 1],
        ]
    )
    return rows / np.array([_AFFINE, _AFFINE, bend, bend])[:, None]


def fit(source: np.ndarray, target: np.ndarray, size: tuple[int, int], start: np.ndarray) -> np.ndarray:
    """Homography from points to points (n, 2) of pictures of (width, height), most of which move with the room.

    Iteratively reweighted least squares (Tukey) with the prior; `start` is off by some pixels at most.
    """
    frame = _Frame(size)
    p, q = transform(frame.to, source), transform(frame.to, target)
    h = normalised(frame.to @ start @ np.linalg.inv(frame.to))
    noise = _NOISE / frame.unit
    for _ in range(6):
        distance = np.hypot(*(transform(h, p) - q).T)
        cutoff = 4.7 * max(noise, 1.48 * float(np.median(distance)))
        weight = np.maximum(1 - (distance / cutoff) ** 2, 0) ** 2
        a, b = _rows(p, q, p @ h[2, :2] + 1)
        root = np.repeat(np.sqrt(weight), 2) / noise
        a, b = a * root[:, None], b * root
        prior = _prior(h)
        h = np.append(np.linalg.solve(a.T @ a + prior.T @ prior + 1e-9 * np.eye(8), a.T @ b), 1.0).reshape(3, 3)
    return normalised(np.linalg.inv(frame.to) @ h @ frame.to)


# ---- The steady picture ----------------------------------------------------------------------------------------------


def canvas(path: Path, size: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int], np.ndarray]:
    """The picture in which all frames find room.

    Args:
        path: of the camera, that moved.
        size: (width, height) of its frames.

    Returns:
        homographies (N, 3, 3) from the frames to it; its (width, height), even; view (4,): left, top, right and bottom
        of the reference frame in it. It reaches beyond that by `CANVAS` at most.
    """
    corners = transform(path.homographies, np.broadcast_to(grid(size, 2), (len(path.homographies), 4, 2)))[path.good]
    most = CANVAS * np.array(size)
    low = np.floor(np.maximum(corners.min((0, 1)), -most)).astype(int)
    high = np.ceil(np.minimum(corners.max((0, 1)), size + most)).astype(int) + 1
    low, high = np.minimum(low, 0), np.maximum(high, size)
    high += (low - high) % (2 if any(side % _MULTIPLE for side in size) else _MULTIPLE)
    move = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1.0]])
    width, height = (high - low).tolist()
    view = np.array([-low[0], -low[1], size[0] - low[0], size[1] - low[1]], np.int64)
    return normalised(move @ path.homographies), (width, height), view


def lay(picture: np.ndarray, homography: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture (H, W, 3) or an outline (H, W), uint8, in the steady picture of (width, height); 0 beyond its edges."""
    flags = cv2.INTER_CUBIC if picture.ndim == 3 else cv2.INTER_LINEAR  # Lanczos takes three times as long
    border = cv2.BORDER_REPLICATE if picture.ndim == 3 else cv2.BORDER_CONSTANT
    moved = cv2.warpPerspective(picture, homography, size, flags=flags, borderMode=border)
    if picture.ndim == 3:
        moved = cv2.copyTo(moved, shown(homography, picture.shape[1::-1], size))
    return moved


def shown(homography: np.ndarray, frame_size: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """(H, W) uint8, 255 where a frame of `frame_size` shows the steady picture of (width, height), its rim left out."""
    whole = np.zeros(frame_size[::-1], np.uint8)
    whole[2:-2, 2:-2] = 255
    return cv2.warpPerspective(whole, homography, size, flags=cv2.INTER_NEAREST)


def move_keypoints(keypoints: np.ndarray, homographies: np.ndarray) -> np.ndarray:
    """Keypoints (N, K, 3) float32 through the homography (N, 3, 3) of their frame, or all through one (3, 3); missing
    ones stay (0, 0, 0)."""
    moved = keypoints.copy()
    moved[..., :2] = np.where(keypoints[..., 2:] > 0, transform(homographies, keypoints[..., :2]), 0)
    return moved


def to_and_fro(path: np.ndarray, fps: float, times: np.ndarray) -> np.ndarray:
    """A camera's path (N, 3, 3) at `fps` frames a second, sampled at times (T,) in seconds from its beginning. At its
    end it runs backwards, then forwards again: (T, 3, 3)."""
    last = len(path) - 1
    if last == 0:
        return np.repeat(path, len(times), 0)
    place = times * fps % (2 * last)
    place = np.where(place > last, 2 * last - place, place)
    before = np.minimum(place.astype(int), last - 1)
    share = (place - before)[:, None, None]
    return normalised((1 - share) * path[before] + share * path[before + 1])


# ---- Registration ----------------------------------------------------------------------------------------------------


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
    frame: _Frame
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
    frame = _Frame(small.shape[::-1])
    points = chosen.astype(np.float64)
    p = transform(frame.to, points) if len(points) else points
    slope = np.stack([x[chosen[:, 1], chosen[:, 0]], y[chosen[:, 1], chosen[:, 0]]], -1) * frame.unit
    a, _ = _rows(p, p, np.ones(len(p)))
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
            prior, error = _prior(h), (_CORRELATED * spread) ** 2
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
    lever, _ = _rows(nodes, nodes, np.ones(len(nodes)))
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
    reach = 2 * (round(_GUARD * max(size)) + _ROUND) + 1
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    return cv2.dilate(cv2.resize(people, size, interpolation=cv2.INTER_AREA), around) > 64


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


class Tracker:
    """Follows the camera of a video frame by frame; memory holds the keyframes only.

    Args:
        size: (width, height) of the frames in pixels.
        memo: keeps what the frames were registered to.
    """

    def __init__(self, size: tuple[int, int], memo: Memo | None = None) -> None:
        self.size, self.small = size, small_size(size)
        self._memo = memo or Memo(None)
        self.keys: list[Keyframe] = []
        self.near: list[int] = []  # of each frame: its keyframe
        self.found: list[np.ndarray] = []  # of each frame: homography to it
        self.good: list[bool] = []
        self._lost = 0  # successive frames that could not be registered

    def add(self, frame: np.ndarray, people: np.ndarray) -> None:
        """Process the next frame.

        Args:
            frame: (H, W, 3) uint8 RGB, of any size with the same aspect ratio.
            people: (h, w) uint8, of any such size, 255 where people are, whose own motion does not count.
        """
        covered = widened(people, self.small)
        picture = flattened(cv2.resize(frame, self.small, interpolation=cv2.INTER_AREA))
        if not self.keys:
            self._new_key(picture, covered, np.eye(3))
            self._note(0, Match(np.eye(3), 1.0, 1.0, 0.0))
            return
        place = self.keys[self.near[-1]].place @ self.found[-1]
        found = self._memo(place.ravel(), lambda: self._registered(picture, covered, place))
        nearest, match = int(found[0]), Match(found[1], *found[2].tolist())
        self._lost = 0 if match.good else self._lost + 1
        if self._lost > _PATIENCE + len(self.keys) // 4 and len(self.keys) < _MOST_KEYS:
            # Another shot, perhaps; if it is of the same room, that will be found when keyframes are put together.
            self._new_key(picture, covered, place)
            nearest, match, self._lost = len(self.keys) - 1, Match(np.eye(3), 1.0, 1.0, 0.0), 0
        self._note(nearest, match)
        if match.good:
            place = normalised(self.keys[nearest].place @ match.homography)
            if self._ways(place).min() > _NEW_KEY * max(self.small) and len(self.keys) < _MOST_KEYS:
                self._new_key(picture, covered, place)

    def _registered(self, picture: np.ndarray, covered: np.ndarray, place: np.ndarray) -> list[np.ndarray]:
        """Number of the keyframe that a picture is registered to, and the values of the `Match`."""
        ways = self._ways(place)
        nearest = int(ways.argmin())
        match = register(self.keys[nearest], picture, covered, np.linalg.inv(self.keys[nearest].place) @ place)
        if not match.good:
            nearest, match = self._search(picture, covered, place, ways, nearest, match)
        return [np.array(nearest), match.homography, np.array([match.alike, match.rigid, match.unsure])]

    def _search(
        self, picture: np.ndarray, covered: np.ndarray, place: np.ndarray, ways: np.ndarray, nearest: int, match: Match
    ) -> tuple[int, Match]:
        """The picture's place by other keyframes, the nearest first, then by what they look like."""
        for i in np.argsort(ways)[:3]:
            expected = None if i == nearest else np.linalg.inv(self.keys[i].place) @ place
            for start in (expected, relocate(self.keys[i], picture, covered)):
                again = match if start is None else register(self.keys[i], picture, covered, start)
                if again.good:
                    return int(i), again
        return nearest, match

    def _new_key(self, picture: np.ndarray, covered: np.ndarray, place: np.ndarray) -> None:
        self.keys.append(keyframe(picture, covered, place))

    def _note(self, key: int, match: Match) -> None:
        self.near.append(key)
        self.found.append(match.homography if match.good or not self.found else self._hold(key))
        self.good.append(match.good)

    def _hold(self, key: int) -> np.ndarray:
        """Homography to a keyframe for a frame that cannot be registered: where the camera was before."""
        place = self.keys[self.near[-2]].place @ self.found[-1]
        return normalised(np.linalg.inv(self.keys[key].place) @ place)

    def _ways(self, place: np.ndarray) -> np.ndarray:
        """(K,) pixels by which a frame differs from each keyframe."""
        places = np.stack([key.place for key in self.keys])
        return displacement(np.linalg.inv(places) @ place, self.small)

    def path(self) -> Path:
        """How the camera moved."""
        near, good = np.array(self.near), np.array(self.good)
        places, joined = settle(self.keys, self.small, np.bincount(near[good], minlength=len(self.keys)))
        good &= joined[near]
        return _steadied(normalised(places[near] @ np.stack(self.found)), good, self.size, self.small)


@dataclass
class Path:
    """How a camera moved.

    Attributes:
        homographies: (N, 3, 3) float64, from each frame's pixels to those of the reference frame; identities where the
            camera stands or its motion is unknown.
        good: (N,) bool, the frames that can be used: those that could be registered; all, where the camera stands or
            its motion is unknown.
        reference: number of the frame, from the first of the path on, that shows what the camera mostly showed.
        moved: share of the picture's longer side by which the camera went away from there (95th percentile).
        known: whether the room shows enough to follow the camera.
    """

    homographies: np.ndarray
    good: np.ndarray
    reference: int = 0
    moved: float = 0.0
    known: bool = True

    @property
    def still(self) -> bool:
        """Whether the frames stay as they are."""
        return self.moved == 0


class Cameras:
    """Follows the cameras of a video with cuts, each by a `Tracker` of its own.

    Args:
        size: (width, height) of the frames in pixels.
        scenes: (N,) int, which scene each frame belongs to, from 0 on; those of one scene show one room. -1: none.
        memo: see `Tracker`.
    """

    def __init__(self, size: tuple[int, int], scenes: np.ndarray, memo: Memo | None = None) -> None:
        self._size, self._scenes, self._memo = size, scenes, memo
        self._last = {int(scene): i for i, scene in enumerate(scenes)}
        self._trackers: dict[int, Tracker] = {}
        self._paths: dict[int, Path] = {}
        self._count = 0

    def add(self, frame: np.ndarray, people: np.ndarray) -> None:
        """Process the next frame, see `Tracker.add`."""
        scene = int(self._scenes[self._count])
        if scene >= 0:
            self._trackers.setdefault(scene, Tracker(self._size, self._memo)).add(frame, people)
            if self._last[scene] == self._count:
                self._paths[scene] = self._trackers.pop(scene).path()
        self._count += 1

    def path(self) -> Path:
        """How they moved, each relative to a frame of its own; reference and whether that is known are those of the
        scene with most frames. Frames of no scene are not good."""
        whole = standing(len(self._scenes))
        whole.good[:] = False
        for scene, path in self._paths.items():
            frames = self._scenes == scene
            whole.homographies[frames], whole.good[frames] = path.homographies, path.good
            whole.moved = max(whole.moved, path.moved)
        if self._paths:
            longest = max(self._paths, key=lambda scene: len(self._paths[scene].good))
            path = self._paths[longest]
            whole.reference, whole.known = int(np.flatnonzero(self._scenes == longest)[path.reference]), path.known
        return whole


def standing(count: int, known: bool = True) -> Path:
    """The path of a camera that stands."""
    return Path(np.tile(np.eye(3), (count, 1, 1)), np.ones(count, bool), known=known)


def _steadied(homographies: np.ndarray, good: np.ndarray, size: tuple[int, int], small: tuple[int, int]) -> Path:
    """The path relative to the frame nearest to the median view, in pixels of the frames themselves."""
    if good.mean() < _USABLE and max((end - begin + 1 for begin, end in runs(good)), default=0) < _STRETCH:
        return standing(len(good), known=False)
    corners = grid(small, 2)
    views = transform(homographies, np.broadcast_to(corners, (len(homographies), 4, 2)))
    far = np.abs(views - np.median(views[good], 0)).sum((1, 2))
    reference = int(np.where(good, far, np.inf).argmin())
    homographies = normalised(np.linalg.inv(homographies[reference]) @ homographies)
    # A hand-held camera stays near its usual view; anything far away is another room, or an error.
    good = good & (displacement(homographies, small) < CANVAS * max(small))
    moved = float(np.percentile(displacement(homographies[good], small), 95))
    if moved < STILL:
        return standing(len(good))
    homographies = rescaled(interpolate(homographies, good), np.divide(size, small))
    return Path(homographies, good, reference, moved / max(small))


@dataclass
class _Edge:
    """Keyframes i and j, and points (n, 2) that are the same in both, up to an error in pixels."""

    i: int
    j: int
    p: np.ndarray
    q: np.ndarray
    error: float


def settle(keys: Sequence[Keyframe], size: tuple[int, int], weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Register keyframes to each other and place them together.

    Args:
        keys: K keyframes.
        size: (width, height) of their pictures.
        weight: (K,) how many frames depend on each.

    Returns:
        places (K, 3, 3); which of them hang together with the most important one (K,) bool.
    """
    places = np.stack([key.place for key in keys])
    centre = int(weight.argmax())
    places = normalised(np.linalg.inv(places[centre]) @ places)
    joined = np.zeros(len(keys), bool)
    joined[centre] = True
    if len(keys) == 1:
        return places, joined
    edges = _edges(keys, places, size, centre)
    for _ in range(len(keys)):
        for edge in edges:
            joined[[edge.i, edge.j]] |= joined[edge.i] | joined[edge.j]
    edges = [edge for edge in edges if joined[edge.i]]
    return _adjust(places, edges, size, centre), joined


def _edges(keys: Sequence[Keyframe], places: np.ndarray, size: tuple[int, int], centre: int) -> list[_Edge]:
    edges = []
    for j in range(len(keys)):
        ways = displacement(np.linalg.inv(places) @ places[j], size)
        ways[j] = np.inf
        near = [i for i in np.argsort(ways)[:_NEIGHBOURS] if ways[i] < _OVERLAP * max(size)]
        for i in {*near, centre} - {j}:
            if i > j and j in np.argsort(displacement(np.linalg.inv(places) @ places[i], size))[:_NEIGHBOURS]:
                continue  # seen from there
            match = register(keys[i], keys[j].picture, keys[j].covered, np.linalg.inv(places[i]) @ places[j])
            if match.good:
                points = grid(size, 5)
                seen = transform(match.homography, points)
                inside = ((seen >= 0) & (seen < np.array(size))).all(1)
                edges.append(_Edge(int(i), j, seen[inside], points[inside], max(0.05, match.unsure)))
    return edges


def _adjust(places: np.ndarray, edges: Sequence[_Edge], size: tuple[int, int], centre: int) -> np.ndarray:
    """Places (K, 3, 3) at which the points of all edges agree best: Gauss-Newton, robust, one keyframe fixed."""
    frame = _Frame(size)
    h = normalised(frame.to @ places @ np.linalg.inv(frame.to))
    count = len(h)
    points = [(transform(frame.to, e.p), transform(frame.to, e.q)) for e in edges]
    for _ in range(8):
        normal, right = 1e-6 * np.eye(8 * count), np.zeros(8 * count)
        for edge, (p, q) in zip(edges, points, strict=True):
            ends = transform(h[edge.i], p), transform(h[edge.j], q)
            a, _ = _rows(p, ends[0], p @ h[edge.i, 2, :2] + 1)
            b, _ = _rows(q, ends[1], q @ h[edge.j, 2, :2] + 1)
            way = ends[0] - ends[1]
            weight = 1 / (1 + (np.hypot(*way.T) * frame.unit / (3 * edge.error)) ** 2)
            root = np.repeat(np.sqrt(weight), 2)[:, None] * frame.unit / edge.error
            both = np.hstack([a, -b]) * root
            at = np.r_[8 * edge.i : 8 * edge.i + 8, 8 * edge.j : 8 * edge.j + 8]
            normal[np.ix_(at, at)] += both.T @ both
            right[at] -= both.T @ (way.reshape(-1) * root[:, 0])
        for k in range(count):
            at = slice(8 * k, 8 * k + 8)
            prior = _prior(h[k])
            normal[at, at] += prior.T @ prior
            right[at] -= prior.T @ (prior @ h[k].reshape(-1)[:8])
        at = slice(8 * centre, 8 * centre + 8)
        normal[at, at] += 1e12 * np.eye(8)
        step = np.linalg.solve(normal, right).reshape(count, 8)
        h.reshape(count, 9)[:, :8] += step
        if np.abs(step).max() < 1e-6:
            break
    return normalised(np.linalg.inv(frame.to) @ h @ frame.to)
