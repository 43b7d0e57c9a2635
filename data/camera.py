"""How a hand-held camera moved against the room: one homography a frame.

Every frame is registered directly to the nearest of some keyframes (``data.registration``). The keyframes are then
registered to each other wherever they overlap, and placed together by least squares, so that nothing drifts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from data.homography import Units, displacement, equations, grid, normalised, prior_rows, rescaled, transform
from data.memo import Memo
from data.registration import Keyframe, Match, flattened, keyframe, register, relocate, small_size, widened
from pose_detector.series import interpolate, runs

STILL = 0.3  # pixels of the small picture: a camera that moves less stands
CANVAS = 0.4  # of the picture's side: how far the steady picture may reach beyond the view on each side
_MULTIPLE = 32  # the sides of the steady picture are multiples of it where those of the frames are
_NEW_KEY = 0.10  # of the longer side: a frame that differs by more from all keyframes becomes one
_MOST_KEYS = 120  # 1.5 MB each
_PATIENCE = 3  # frames that are lost before one of them becomes a keyframe
_OVERLAP = 0.45  # of the longer side: keyframes that differ by less are registered to each other
_NEIGHBOURS = 8  # each keyframe is registered to so many at most
_USABLE = 0.5  # share of the frames that must be registered, or else a run of at least
_STRETCH = 60  # frames: registrations that come and go are guesswork


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


def standing(count: int, known: bool = True) -> Path:
    """The path of a camera that stands."""
    return Path(np.tile(np.eye(3), (count, 1, 1)), np.ones(count, bool), known=known)


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
    frame = Units(size)
    h = normalised(frame.to @ places @ np.linalg.inv(frame.to))
    count = len(h)
    points = [(transform(frame.to, e.p), transform(frame.to, e.q)) for e in edges]
    for _ in range(8):
        normal, right = 1e-6 * np.eye(8 * count), np.zeros(8 * count)
        for edge, (p, q) in zip(edges, points, strict=True):
            ends = transform(h[edge.i], p), transform(h[edge.j], q)
            a, _ = equations(p, ends[0], p @ h[edge.i, 2, :2] + 1)
            b, _ = equations(q, ends[1], q @ h[edge.j, 2, :2] + 1)
            way = ends[0] - ends[1]
            weight = 1 / (1 + (np.hypot(*way.T) * frame.unit / (3 * edge.error)) ** 2)
            root = np.repeat(np.sqrt(weight), 2)[:, None] * frame.unit / edge.error
            both = np.hstack([a, -b]) * root
            at = np.r_[8 * edge.i : 8 * edge.i + 8, 8 * edge.j : 8 * edge.j + 8]
            normal[np.ix_(at, at)] += both.T @ both
            right[at] -= both.T @ (way.reshape(-1) * root[:, 0])
        for k in range(count):
            at = slice(8 * k, 8 * k + 8)
            prior = prior_rows(h[k])
            normal[at, at] += prior.T @ prior
            right[at] -= prior.T @ (prior @ h[k].reshape(-1)[:8])
        at = slice(8 * centre, 8 * centre + 8)
        normal[at, at] += 1e12 * np.eye(8)
        step = np.linalg.solve(normal, right).reshape(count, 8)
        h.reshape(count, 9)[:, :8] += step
        if np.abs(step).max() < 1e-6:
            break
    return normalised(np.linalg.inv(frame.to) @ h @ frame.to)


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
