"""From the people found in each frame to one person over time."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from pose_detector.clothes import LEVELS, REGIONS, likeness
from pose_detector.errors import InputError
from pose_detector.skeleton import MIRROR, person_size

Detection = tuple[np.ndarray, np.ndarray]  # keypoints (P, 18, 2) in pixels, scores (P, 18)

MEMORY = 1.0  # seconds for which a lost person is waited for, and a keypoint's last place is remembered
REUNION = 3.0  # seconds within which a person who reappears within a body size is the same one
RETURN = 10.0  # the same for half a body size
MIN_SHARED = 3  # keypoints that two poses must share to be compared
# Likeness of clothes (`clothes.likeness`) from which on two who are never seen together are one person: in another
# shot, and in the same one, where their place decides unless they have been away for long. In nineteen clips it is
# 0.93 and more within a clip, 0.63 and more in the light of three quarters; between clips 0.6, and at most 0.9.
LIKE_ELSEWHERE, LIKE_HERE = 0.6, 0.9
GHOST = 0.03  # people with less than this share of the main person's score are false detections


@dataclass
class Track:
    """One person over time. keypoints: (N, 18, 3) float32 x, y, confidence (0: missing), one row per frame."""

    keypoints: np.ndarray

    @property
    def present(self) -> np.ndarray:
        """(N,) bool, the frames in which the person is seen."""
        return (self.keypoints[..., 2] > 0).any(axis=1)

    @property
    def score(self) -> float:
        """Height of the person's box in pixels times mean confidence, summed over the frames.

        Large for a person who is large and present long, small for furniture that the network takes for a person.
        """
        return float(scores_of(self.keypoints[self.present]).sum())


def scores_of(poses: np.ndarray) -> np.ndarray:
    """Height in pixels times mean confidence of people (..., 18, 3), as `Track.score` sums it up; 0 for nobody."""
    seen, y = poses[..., 2] > 0, poses[..., 1]
    heights = np.where(seen, y, -np.inf).max(axis=-1) - np.where(seen, y, np.inf).min(axis=-1)
    return np.where(seen.any(axis=-1), np.nan_to_num(heights, neginf=0.0) * poses[..., 2].mean(axis=-1), 0.0)


def poses_of(detection: Detection) -> np.ndarray:
    """Keypoints (P, 18, 3) float32 with confidences, of a frame's people."""
    keypoints, scores = detection
    poses = np.concatenate([keypoints, np.asarray(scores)[..., None]], axis=-1).astype(np.float32)
    poses[poses[..., 2] <= 0] = 0
    return poses


def choose(tracks: Sequence[Track], person: int | None = None) -> int:
    """Number of the person that is meant among the tracks.

    Args:
        tracks: From `track`.
        person: Number from 0, left to right by first appearance; None: the one with the highest `Track.score`.

    Raises:
        InputError: Nobody was found, or there is no such person.
    """
    if not tracks:
        raise InputError("no person was found in the video: use one in which somebody is seen from head to foot")
    if person is None:
        return max(range(len(tracks)), key=lambda i: tracks[i].score)
    if not 0 <= person < len(tracks):
        wanted = "0" if len(tracks) == 1 else f"0 to {len(tracks) - 1}, left to right by first appearance"
        people = "1 person was" if len(tracks) == 1 else f"{len(tracks)} people were"
        raise InputError(f"there is no person {person}: {people} found in the video, so choose {wanted}")
    return person


def choose_at(tracks: Sequence[Track], frame: int, x: float, y: float) -> int:
    """Number of the person nearest to a place in a frame; where nobody is seen in it, in the frame nearest to it.

    Args:
        tracks: From `track`.
        frame: Number of the frame.
        x, y: The place in pixels.

    Raises:
        InputError: Nobody was found.
    """
    choose(tracks)

    def distance(track: Track) -> tuple[int, float]:
        frames = np.flatnonzero(track.present)
        nearest = frames[np.abs(frames - frame).argmin()]
        pose = track.keypoints[nearest]
        points = pose[pose[:, 2] > 0, :2]
        return abs(int(nearest) - frame), float(np.linalg.norm(points - (x, y), axis=1).min())

    return min(range(len(tracks)), key=lambda i: distance(tracks[i]))


def choose_of_two(tracks: Sequence[Track], number: int) -> int:
    """Number of the left (0) or right (1) of the two people with the highest `Track.score`: pictures on the wall, and
    onlookers, are not the second dancer.

    Raises:
        InputError: There are fewer than two people.
    """
    if len(tracks) < 2:
        raise InputError(f"a dance of two is needed, and only {len(tracks)} of the two was found in the video")
    return sorted(sorted(range(len(tracks)), key=lambda i: -tracks[i].score)[:2])[number]


def track(
    detections: Sequence[Detection],
    fps: float,
    shots: Sequence[int] = (0,),
    worn: Sequence[np.ndarray] | None = None,
) -> list[Track]:
    """Find out who is who over time.

    Poses are matched from frame to frame by the mean distance of the keypoints that both show, in body sizes, all at
    once (Hungarian). A lost person is waited for `MEMORY` seconds; a person who appears near the place where one of
    that size vanished, within `REUNION` or `RETURN` seconds, is that person. Nobody is followed across a cut: in
    another shot, or after a longer absence, people are recognised by their clothes, the most visible ones first.

    Args:
        detections: For every frame keypoints (P, 18, 2) in pixels and scores (P, 18), 0 where missing.
        fps: Frames per second.
        shots: Numbers of the frames with which shots begin.
        worn: For every frame what the people in it wear, from `clothes.clothes`; None: unknown.

    Returns:
        People by the place of their first appearance, left to right. Brief ghosts are left out.
    """
    ended: list[_Path] = []
    active: list[_Path] = []
    starts = {int(first) for first in shots}
    for frame, detection in enumerate(detections):
        if frame in starts:
            ended, active = ended + active, []
        poses = poses_of(detection)
        shown = (poses[..., 2] > 0).any(axis=1)
        poses = poses[shown]
        colours = np.zeros((len(poses), *_NOTHING.shape)) if worn is None else worn[frame][shown]
        time = frame / fps
        ended += [path for path in active if time - path.time > MEMORY]
        active = [path for path in active if time - path.time <= MEMORY]
        active += _advance(active, poses, colours, frame, time)
    paths = [path for part in _by_shot(ended + active, shots) for path in _reunited(part)]
    people = _recognised(paths, len(detections), shots)
    scores = [_score(path) for path in people]
    least = GHOST * max(scores, default=0)
    tracks = [_as_track(path, len(detections)) for path, score in zip(people, scores, strict=True) if score >= least]
    return sorted(tracks, key=_first_place)


_NOTHING = np.zeros((REGIONS, LEVELS**3))


@dataclass
class _Path:
    """Somebody on the way: what was seen (frame -> pose), and what is needed to meet them again."""

    born: float  # when first seen, in seconds
    poses: dict[int, np.ndarray] = field(default_factory=dict)
    places: np.ndarray = field(default_factory=lambda: np.zeros((18, 2)))  # where each keypoint was last seen
    times: np.ndarray = field(default_factory=lambda: np.full(18, -np.inf))  # and when, in seconds
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))  # of the whole body, pixels per second
    size: float = 0.0
    time: float = 0.0  # when last seen
    trust: float = 0.0  # mean confidence of its poses
    worn: np.ndarray = field(default_factory=_NOTHING.copy)  # sum of the histograms of its clothes

    def expected(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Places (18, 2) at `time`, and which of them are known (18,)."""
        # The velocity is not to be trusted for long: it fades with a time constant of a fifth of a second.
        drift = self.velocity * 0.2 * (1 - np.exp(-(time - self.time) / 0.2))
        return self.places + drift, time - self.times <= MEMORY

    def add(self, pose: np.ndarray, frame: int, time: float) -> None:
        seen = pose[:, 2] > 0
        both = seen & (self.times == self.time)
        if self.poses and time > self.time:
            moved = (pose[both, :2] - self.places[both]) / (time - self.time) if both.any() else np.zeros((1, 2))
            self.velocity += 0.5 * (np.median(moved, axis=0) - self.velocity)
        size = float(person_size(pose))
        self.size = size if not self.poses else self.size + 0.2 * (size - self.size)
        confidence = float(pose[:, 2].mean())
        self.trust = confidence if not self.poses else self.trust + 0.2 * (confidence - self.trust)
        self.places[seen], self.times[seen], self.time = pose[seen, :2], time, time
        self.poses[frame] = pose

    def complete(self, pose: np.ndarray, frame: int, time: float) -> None:
        """Adds the keypoints of a second piece of the same person in the same frame."""
        seen = pose[:, 2] > 0
        self.poses[frame] = np.where(seen[:, None], pose, self.poses[frame])
        self.places[seen], self.times[seen] = pose[seen, :2], time


def _distance(pose: np.ndarray, places: np.ndarray, known: np.ndarray, size: float, least: int = MIN_SHARED) -> float:
    """Mean distance of the shared keypoints in body sizes; infinite where too few are shared.

    The worst fifth of them is left out: a few wrong keypoints must not part two poses.

    Networks take the back for the front at times, and then exchange all left and right: the better reading counts.
    """
    costs = [np.inf]
    for reading in (pose, pose[MIRROR]):
        both = (reading[:, 2] > 0) & known
        if np.count_nonzero(both) >= least:
            distances = np.linalg.norm(reading[both, :2] - places[both], axis=1) / max(size, 1e-6)
            costs.append(np.sort(np.minimum(distances, 2))[: len(distances) - len(distances) // 5].mean())
    return float(min(costs))


def _advance(active: list[_Path], poses: np.ndarray, worn: np.ndarray, frame: int, time: float) -> list[_Path]:
    """Gives the frame's poses to the active paths; returns new paths for those that fit none."""
    expected = [path.expected(time) for path in active]
    costs = np.full((len(active), len(poses)), np.inf)
    for i, path in enumerate(active):
        limit = min(0.5 + 2.5 * (time - path.time), 1.9)
        for j, pose in enumerate(poses):
            cost = _distance(pose, *expected[i], path.size)
            # An echo of somebody, found with little confidence beside them, must not take their place.
            costs[i, j] = cost + abs(float(pose[:, 2].mean()) - path.trust) if cost <= limit else np.inf
    rows, columns = linear_sum_assignment(np.where(np.isinf(costs), 1e3, costs))
    matched = [(i, j) for i, j in zip(rows, columns, strict=True) if np.isfinite(costs[i, j])]
    for i, j in matched:
        active[i].add(poses[j], frame, time)
        active[i].worn += worn[j]
    new = []
    for j in set(range(len(poses))) - {j for _, j in matched}:
        if not any(_takes_piece(active[i], poses[j], *expected[i], frame, time) for i, _ in matched):
            new.append(_Path(born=time))
            new[-1].add(poses[j], frame, time)
            new[-1].worn += worn[j]
    return new


def _takes_piece(path: _Path, pose: np.ndarray, places: np.ndarray, known: np.ndarray, frame: int, time: float) -> bool:
    """Whether an unmatched pose is a piece of somebody matched in this frame; what it adds to them is taken over."""
    current = path.poses[frame]
    if ((pose[:, 2] > 0) & (current[:, 2] > 0)).any():  # an echo of the same body, or somebody else
        return _distance(pose, current[:, :2], current[:, 2] > 0, path.size, least=1) < 0.25
    if _distance(pose, places, known, path.size) > 0.5:
        return False
    path.complete(pose, frame, time)
    return True


def _reunited(paths: list[_Path]) -> list[_Path]:
    """Joins ends of paths to later beginnings that meet in place and size, the closest first."""
    costs = np.array([[_reunion_cost(a, b) for b in paths] for a in paths]).reshape(len(paths), len(paths))
    following: dict[int, int] = {}
    for a, b in zip(*np.unravel_index(np.argsort(costs, axis=None), costs.shape), strict=True):
        if np.isfinite(costs[a, b]) and a not in following and b not in following.values():
            following[a] = b
    whole = []
    for i in set(range(len(paths))) - set(following.values()):
        path = paths[i]
        while i in following:
            i = following[i]
            path.poses |= paths[i].poses
            path.worn += paths[i].worn
        whole.append(path)
    return whole


def _reunion_cost(a: _Path, b: _Path) -> float:
    """Body sizes between the end of `a` and the start of `b`, infinite where they cannot be one person."""
    away = b.born - a.time
    if not 0 < away <= RETURN:
        return np.inf
    first = next(iter(b.poses.values()))
    if not 0.6 < float(person_size(first)) / max(a.size, 1e-6) < 1.6:
        return np.inf
    cost = _distance(first, a.places, a.time - a.times <= MEMORY, a.size)
    return cost if cost < (1 if away <= REUNION else 0.5) else np.inf


def _by_shot(paths: list[_Path], shots: Sequence[int]) -> list[list[_Path]]:
    """The paths of each shot."""
    parts: list[list[_Path]] = [[] for _ in shots]
    for path in paths:
        parts[int(np.searchsorted(shots, min(path.poses), "right")) - 1].append(path)
    return parts


def _recognised(paths: list[_Path], frames: int, shots: Sequence[int]) -> list[_Path]:
    """Joins paths of people who wear the same and are never seen together; see `track`."""
    people: list[tuple[_Path, np.ndarray, set[int]]] = []  # somebody, when they are present, in which shots
    for path in sorted(paths, key=_score, reverse=True):
        present = np.zeros(frames, bool)
        present[list(path.poses)] = True
        shot = int(np.searchsorted(shots, min(path.poses), "right"))
        best, most = None, 0.0
        for k, (person, there, known) in enumerate(people):
            like = likeness(path.worn, person.worn)
            if like > max(most, LIKE_HERE if shot in known else LIKE_ELSEWHERE) and not (there & present).any():
                best, most = k, like
        if best is None:
            people.append((path, present, {shot}))
            continue
        person, there, known = people[best]
        person.poses |= path.poses
        person.worn += path.worn
        people[best] = person, there | present, known | {shot}
    return [person for person, *_ in people]


def _score(path: _Path) -> float:
    """As `Track.score`; a long video may have thousands of paths, and a track has a row for every frame."""
    return Track(np.stack([path.poses[frame] for frame in sorted(path.poses)])).score


def _as_track(path: _Path, frames: int) -> Track:
    keypoints = np.zeros((frames, 18, 3), np.float32)
    for frame, pose in path.poses.items():
        keypoints[frame] = pose
    return Track(keypoints)


def _first_place(track: Track) -> float:
    first = track.keypoints[np.argmax(track.present)]
    return float(np.median(first[first[:, 2] > 0, 0]))
