"""What the training video shows of a person: which pixels of its frames show which part of the body, and which frames
show a part in nearly the wanted pose. ``main.painting`` copies from them: copied texture is sharp, invented texture is
not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from main.store import Store
from pose_detector.cleaning.paths import cheapest_path
from pose_detector.series import interpolate, spread
from pose_detector.skeleton import body_size, to_fixed


@dataclass(frozen=True)
class Likeness:
    """By which keypoints two frames are compared to tell whether they show a part alike."""

    anchor: tuple[int, ...]  # keypoints relative to whose mean the others are compared
    weights: dict[int, float]  # of the keypoints; others count `OTHERS`

    @property
    def weight(self) -> np.ndarray:
        """(18,) float32 of all keypoints."""
        weight = np.full(18, OTHERS, np.float32)
        weight[list(self.weights)] = list(self.weights.values())
        return weight


@dataclass(frozen=True)
class Part:
    """A piece of the body that is copied from a few training frames at once."""

    name: str
    layer: int  # 0: body, 1: arms
    # The bones that it moves with, limb by limb, last those of what carries the others: half the thickness, torso
    # lengths, and the keypoints at the two ends; of several at the second end the mean.
    limbs: tuple[tuple[tuple[float, ...], ...], ...]
    sources: tuple[Likeness, ...]  # for each of them one frame is chosen


HEAD = (0, 14, 15, 16, 17)
TRUNK = (8, 11)
OTHERS = 0.03
LACKING = 0.2  # squared torso lengths that a keypoint costs which the query has and the frame lacks
BEHIND = 0.1  # squared torso lengths that a frame costs which hides the wanted arm
# Squared torso lengths that a frame costs in which the arm lies before the trunk or the head, while in the pose it does
# not: what it lies before would come along. Six clips, untrained: with 0 89 % of the wrists are found again, with 0.05
# 93, with 0.2 92.
CROSSING = 0.1
REACHES = 0.35, 0.2, 0.25, 0.25  # torso lengths from spine, neck and thighs within which an arm lies before them
# Confidence up to which a wrist or elbow counts as behind the body: BlazePose's confidence is how visible a point is.
# In six clips of the gallery 0.2 and 0.4 draw equally well; without the rule one of them loses 5 % of its keypoints.
HIDDEN = 0.2
_HEAD_BONE = (0.2, 1, *HEAD)
_TRUNK = ((0.25, 1, *TRUNK), (0.1, 2, 5), _HEAD_BONE)
_BODY = (((0.1, 8, 9), (0.07, 9, 10)), ((0.1, 11, 12), (0.07, 12, 13)), _TRUNK)
_WHOLE = Likeness((1,), dict.fromkeys(range(18), 1.0) | dict.fromkeys((3, 4, 6, 7), 0.3))
_UPPER = Likeness((1,), dict.fromkeys(HEAD, 0.3) | {2: 1.0, 5: 1.0, 8: 0.5, 11: 0.5})
_LOWER = Likeness(TRUNK, dict.fromkeys((8, 11, 9, 10, 12, 13), 1.0))
_RIGHT, _LEFT = Likeness((2,), {2: 1.0, 3: 1.0, 4: 1.0, 1: 0.3}), Likeness((5,), {5: 1.0, 6: 1.0, 7: 1.0, 1: 0.3})
# In the order in which they are painted: what usually lies in front comes last.
PARTS = (
    Part("body", 0, _BODY, (_WHOLE, _WHOLE, _LOWER, _UPPER)),
    Part("right arm", 1, (((0.06, 3, 4),), ((0.06, 2, 3),)), (_RIGHT, _RIGHT)),
    Part("left arm", 1, (((0.06, 6, 7),), ((0.06, 5, 6),)), (_LEFT, _LEFT)),
)
SOURCES = tuple(part for part in PARTS for _ in part.sources)  # which part each source belongs to
LAYERS = 2
ARMS = ((2, 3), (5, 6), (3, 4), (6, 7))  # bones of upper arms and forearms, right and left in turn
_NEXT = ((3, 4), (6, 7), (2, 3), (5, 6))  # the other bone of the same arm
_LEGS = ((8, 9), (11, 12), (9, 10), (12, 13))
HAND = 0.45  # how far a hand reaches beyond the wrist, in lengths of the forearm
_DISTINCT = 100  # two sources of a part are more than 1/100 of the frames apart: neighbours show nearly the same
BLOCK = 2000  # poses whose costs are held at a time: 8 MB with 1,000 frames of the bank
_SAME = 1e3  # cost of a frame that is nearer
NOBODY, BODY, RIGHT_ARM, LEFT_ARM = range(4)  # what a pixel of a training frame shows


@dataclass
class Texture:
    """The frames that texture is copied from.

    Attributes:
        frames: (N, H, W, 4) uint8 RGB and matte.
        shows: (N, H, W) uint8, which piece of the person each pixel shows: `NOBODY` to `LEFT_ARM`.
        poses: (N, 18, 3) pixels of these frames.
        sizes: (N,) sizes of the person in them, from :func:`person_sizes`.
    """

    frames: np.ndarray | Store
    shows: np.ndarray | Store
    poses: np.ndarray
    sizes: np.ndarray


def greatest(picture: np.ndarray) -> np.ndarray:
    """Maximum (H, W) over the channels of a picture (H, W, 3); numpy's own is ten times as slow on so short an axis."""
    first, second, third = cv2.split(picture)
    return cv2.max(cv2.max(first, second), third)


def choose_sources(
    queries: np.ndarray,
    sizes: np.ndarray,
    bank: np.ndarray,
    bank_sizes: np.ndarray,
    choose: Callable[[np.ndarray], np.ndarray],
    banned: np.ndarray | None = None,
    settle: Callable[[np.ndarray], np.ndarray] = lambda chosen: chosen,
) -> np.ndarray:
    """Choose a frame of the bank for every pose, part and source. The sources of one part get different frames. Costs
    are in memory for `BLOCK` poses at a time, however long a dance is.

    Args:
        queries: (Q, 18, 3) poses to be painted, pixels.
        bank: (N, 18, 3) poses of the frames that texture may be taken from.
        sizes, bank_sizes: (Q,) and (N,) from :func:`person_sizes`.
        choose: from costs (q, N) of some poses to indices (q,), or (q, K) with the best one first, or to what `settle`
            turns into indices.
        banned: (Q, N) bool, frames that a pose must not be painted from.
        settle: from what was chosen, for all poses together, to indices.

    Returns:
        (len(SOURCES), Q) or (len(SOURCES), Q, K) int indices into the bank.
    """
    chosen = []
    frames, gap = np.arange(len(bank)), max(1, len(bank) // _DISTINCT)
    for part in PARTS:
        taken = np.zeros((len(queries), 0), int)  # by the sources of this part before
        for likeness in part.sources:
            found = []
            for rows in blocks(len(queries)):
                cost = match_costs(part, likeness, queries[rows], sizes[rows], bank, bank_sizes)
                cost[(np.abs(frames - taken[rows, :, None]) <= gap).any(1)] += _SAME
                if banned is not None:
                    cost[banned[rows]] = np.inf
                found.append(choose(cost))
            index = settle(np.concatenate(found))
            chosen.append(index)
            taken = np.column_stack([taken, index.reshape(len(queries), -1)[:, 0]])
    return np.stack(chosen)


def blocks(count: int) -> list[slice]:
    """Slices that divide `count` successive poses into blocks of `BLOCK`."""
    return [slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]


def match_costs(
    part: Part, likeness: Likeness, queries: np.ndarray, sizes: np.ndarray, bank: np.ndarray, bank_sizes: np.ndarray
) -> np.ndarray:
    """How unlike a part looks in the frames of the bank, judged by pose alone; arguments as of :func:`choose_sources`.

    Returns:
        (Q, N) float32: mean squared distance of the keypoints in torso lengths, relative to the anchor; infinite where
        a frame does not show the part.
    """
    cost = distances(queries, sizes, bank, bank_sizes, likeness.anchor, likeness.weight)
    cost[:, ~has_part(bank, part)] = np.inf
    if part.layer:
        cost += BEHIND * is_hidden(bank, part)
        before = [lies_before(poses, scale, part) for poses, scale in ((queries, sizes), (bank, bank_sizes))]
        cost += CROSSING * np.maximum(before[1] - before[0][:, None], 0)
    return cost


def distances(
    queries: np.ndarray,
    sizes: np.ndarray,
    bank: np.ndarray,
    bank_sizes: np.ndarray,
    origin: tuple[int, ...],
    weight: np.ndarray,
) -> np.ndarray:
    """Mean squared distance (Q, N) of the keypoints that two poses both have, weighted by (18,), in torso lengths,
    relative to the mean of the keypoints ``origin``; the rest as for :func:`match_costs`."""
    q, b = (
        (poses[..., :2] - mean_position(poses, origin)[:, None]) / scale[:, None, None]
        for poses, scale in ((queries, sizes), (bank, bank_sizes))
    )
    seen = [(poses[..., 2] > 0).astype(np.float32) * weight for poses in (queries, bank)]  # (n, 18)
    # sum_k w_k |q_k - b_k|^2 over the keypoints that both have, as matrix products.
    both = seen[0] @ (seen[1] > 0).T.astype(np.float32)
    qq = (seen[0] * (q**2).sum(-1)) @ (seen[1] > 0).T.astype(np.float32)
    bb = (seen[0] > 0).astype(np.float32) @ (seen[1] * (b**2).sum(-1)).T
    qb = sum((seen[0] * q[..., i]) @ ((seen[1] > 0) * b[..., i]).T for i in (0, 1))
    lacking = seen[0] @ (seen[1] == 0).T.astype(np.float32)
    return (np.maximum(qq + bb - 2 * qb, 0) + LACKING * lacking) / np.maximum(both, 1e-6)


def cheapest(costs: np.ndarray, most: int = 32) -> np.ndarray:
    """The frames of the bank among which :func:`choose_steadily` chooses.

    Args:
        costs: (Q, N) from :func:`match_costs`.
        most: how many for each pose.

    Returns:
        (Q, K) of the fields "frame", an index into the bank, and "cost".
    """
    keep = min(most, costs.shape[1])
    found = np.empty((len(costs), keep), [("frame", np.int32), ("cost", np.float32)])
    found["frame"] = np.argpartition(costs, keep - 1, axis=1)[:, :keep]
    found["cost"] = np.minimum(np.take_along_axis(costs, found["frame"], 1), 1e6)
    return found


def choose_steadily(candidates: np.ndarray, switch: float = 0.02) -> np.ndarray:
    """One frame of the bank per pose, such that the source changes seldom.

    Staying with a frame, or going on to the next one of the bank, is free; any other change costs ``switch``. Of all
    paths the cheapest is taken.

    Args:
        candidates: (Q, K) from :func:`cheapest`, Q successive poses.

    Returns:
        (Q,) int indices into the bank.
    """
    index = candidates["frame"].astype(np.int64)
    steps = (now[None, :] - before[:, None] for before, now in pairwise(index))  # (K before, K now)
    path = cheapest_path(candidates["cost"], (np.where((step == 0) | (step == 1), 0.0, switch) for step in steps))
    return index[np.arange(len(index)), path]


def arm_radii(mattes: Iterable[np.ndarray], poses: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """How thick this person's arms are, sleeves included, where they are seen beside the body.

    Args:
        mattes: n mattes (H, W) uint8.
        poses: (n, 18, 3) pixels.
        sizes: (n,) from :func:`person_sizes`.

    Returns:
        (2,) half the thickness of upper arms and of forearms with hands, torso lengths.
    """
    steps = np.arange(0.02, 0.6, 0.02)
    found: tuple[list[float], list[float]] = [], []
    for matte, pose, size in zip(mattes, poses, sizes, strict=True):
        for k, (a, b) in enumerate(ARMS):
            others = [
                bone for bone in (*ARMS, *_LEGS, (1, 8), (1, 11), (2, 8), (5, 11)) if bone not in (ARMS[k], _NEXT[k])
            ]
            others = np.array([bone for bone in others if (pose[list(bone), 2] > 0).all()])
            if not (pose[[a, b], 2] > 0).all() or not len(others):
                continue
            start, bone = pose[a, :2], pose[b, :2] - pose[a, :2]
            across = np.array([-bone[1], bone[0]]) / max(float(np.hypot(*bone)), 1e-3)
            for t in (0.4, 0.6, 0.8, 1.0):
                point = start + t * bone
                if bone_distances(point, *pose[others.T, :2]).min() < 0.45 * size:
                    continue
                for side in (-1, 1):
                    x, y = np.rint(point + side * across * (steps * size)[:, None]).astype(int).T
                    inside = (x >= 0) & (y >= 0) & (x < matte.shape[1]) & (y < matte.shape[0])
                    outside = np.flatnonzero(~inside | (matte[y * inside, x * inside] < 128))
                    found[k // 2].append(float(steps[outside[0]]) if len(outside) else 0.6)
    return np.array([np.clip(np.quantile(f, 0.8), 0.08, 0.5) if len(f) >= 20 else 0.14 for f in found], np.float32)


def divide(matte: np.ndarray, pose: np.ndarray, size: float, radii: np.ndarray) -> np.ndarray:
    """Which piece of the person each pixel of a frame shows.

    An arm is what lies within its thickness of its bones, unless these are hidden behind the body. Everything else in
    the matte is the body, clothes included.

    Args:
        matte: (H, W) uint8.
        pose: (18, 3) pixels.
        size: of the person, from :func:`person_sizes`.
        radii: from :func:`arm_radii`.

    Returns:
        (H, W) uint8, `NOBODY` to `LEFT_ARM`.
    """
    shows = (matte > 0).astype(np.uint8)
    arms = np.zeros_like(shows)
    for k, (a, b) in enumerate(ARMS):
        if (pose[[a, b], 2] > HIDDEN).all():
            tip = pose[b, :2] + (HAND * (pose[b, :2] - pose[a, :2]) if k >= 2 else 0)
            line = to_fixed(np.stack([pose[a, :2], tip]), arms.shape)
            thickness = max(1, round(2 * float(radii[k // 2]) * size))
            cv2.line(arms, *line, RIGHT_ARM + k % 2, thickness, cv2.LINE_8, 4)
    shows = np.where((arms > 0) & (shows > 0), arms, shows)
    return _with_fingers(shows, pose) if (arms > 0).any() else shows


def _with_fingers(shows: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Give scraps of the body that touch nothing but an arm, such as fingers, to that arm; (H, W) uint8."""
    count, pieces = cv2.connectedComponents((shows == BODY).astype(np.uint8))
    trunk = np.zeros_like(shows)
    for a, b in (*_LEGS, (1, 8), (1, 11), (2, 5), *((1, j) for j in HEAD)):
        if (pose[[a, b], 2] > 0).all():
            cv2.line(trunk, *to_fixed(pose[[a, b], :2], trunk.shape), 1, 3, cv2.LINE_8, 4)
    loose = np.ones(count, bool)
    loose[np.unique(pieces[trunk > 0])] = loose[0] = False
    scraps = loose[pieces]
    if not scraps.any() or loose[1:].all():
        return shows
    right, left = (
        cv2.distanceTransform((shows != arm).astype(np.uint8), cv2.DIST_L2, 3) for arm in (RIGHT_ARM, LEFT_ARM)
    )
    return np.where(scraps, np.where(right <= left, RIGHT_ARM, LEFT_ARM), shows).astype(np.uint8)


def cut_up(frames: np.ndarray | Store, poses: np.ndarray, sizes: np.ndarray, most: int = 150) -> Texture:
    """Make training frames (N, H, W, 4), RGB and matte, ready to copy from. Arms are measured in `most` of them."""
    some = spread(len(frames), most)
    radii = arm_radii((frames[i][..., 3] for i in some), poses[some], sizes[some])
    shows = (
        Store(frames.shape[:3], frames.folder) if isinstance(frames, Store) else np.empty(frames.shape[:3], np.uint8)
    )
    for i, frame in enumerate(frames):
        shows[i] = divide(np.ascontiguousarray(frame[..., 3]), poses[i], float(sizes[i]), radii)
    return Texture(frames, shows, poses, sizes)


def bone_distances(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distances of points (..., 2) from bones with these ends (..., 2); all are broadcast together."""
    offset, step = points - start, end - start
    along = np.clip((offset * step).sum(-1) / np.maximum((step * step).sum(-1), 1e-6), 0, 1)
    away = offset - along[..., None] * step
    return np.hypot(away[..., 0], away[..., 1])


def has_part(poses: np.ndarray, part: Part) -> np.ndarray:
    """Which (n,) of the poses (n, 18, 3) show the keypoints that place a part."""
    seen = poses[..., 2] > 0
    bones = np.stack([seen[:, ends].all(1) for limb in part.limbs for _, *ends in limb], 1)
    return bones.all(1) if part.layer else bones.any(1)


def is_hidden(poses: np.ndarray, arm: Part) -> np.ndarray:
    """Which (n,) of the poses (n, 18, 3) have the hand of an arm behind the body."""
    _, _, wrist = arm.limbs[0][-1]
    return poses[:, int(wrist), 2] <= HIDDEN


def lies_before(poses: np.ndarray, sizes: np.ndarray, arm: Part) -> np.ndarray:
    """Share (n,) of an arm, from the elbow to the hand, that lies before trunk, head or thighs in poses (n, 18, 3)."""
    _, elbow, wrist = (int(k) for k in arm.limbs[0][-1])
    start, end = poses[:, elbow, :2], poses[:, wrist, :2]
    steps = np.linspace(0, 1 + HAND, 6)[:, None, None]
    points = start + steps * (end - start)  # (6, n, 2)
    neck, hips, face = (mean_position(poses, joints) for joints in ((1,), TRUNK, HEAD))
    thighs = ((poses[:, a, :2], poses[:, b, :2]) for a, b in _LEGS[:2])
    near = np.zeros(points.shape[:2], bool)
    for (a, b), reach in zip(((neck, hips), (neck, face), *thighs), REACHES, strict=True):
        near |= bone_distances(points, a, b) < reach * sizes
    return near.mean(0)


def mean_position(poses: np.ndarray, joints: tuple[int, ...]) -> np.ndarray:
    """Mean position (n, 2) of those of the joints that are seen."""
    chosen = poses[:, list(joints)]
    seen = (chosen[..., 2:] > 0).astype(np.float32)
    return (chosen[..., :2] * seen).sum(1) / np.maximum(seen.sum(1), 1)


def person_sizes(poses: np.ndarray) -> np.ndarray:
    """Torso length (N,) in pixels of the person in successive frames, by the whole pose; steady, never missing."""
    sizes = body_size(poses)
    known = np.isfinite(sizes)
    if not known.any():
        return np.full(len(poses), 50.0, np.float32)
    sizes = interpolate(sizes, known)
    sizes = gaussian_filter1d(median_filter(sizes, 9, mode="nearest"), 3.0, mode="nearest")
    return np.maximum(sizes, 2.0).astype(np.float32)
