"""What the training video shows of a person: the mattes of its frames, and, for every limb of a pose, the frame that
shows this limb most alike. ``main.painting`` moves it there: copied texture is sharp, invented texture is not."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d, median_filter

from data.skeleton import body_size


@dataclass(frozen=True)
class Part:
    """A piece of the body that is moved as one; lengths in torso lengths, along and across its bone."""

    layer: int  # 0: body, 1: arms
    start: tuple[int, ...]  # keypoints whose mean is where the bone begins
    end: tuple[int, ...]
    before: float  # how far the piece reaches beyond the start,
    after: float  # ... and beyond the end
    width: float  # half its width
    near: tuple[int, ...]  # other keypoints that decide whether two frames show it alike
    clear: float = 0.0  # what it costs that arms lie before it in a frame, or may do so


HEAD = (0, 14, 15, 16, 17)
TRUNK = (8, 11)
# In the order in which they are painted: what usually lies in front comes last.
PARTS = (
    Part(0, (1,), TRUNK, 0.15, 0.25, 0.55, (2, 5, 8, 11), clear=0.5),  # what arms hid in the torso's frame
    Part(0, (8,), (9,), 0.25, 0.1, 0.30, (10, 11, 12), clear=0.05),
    Part(0, (11,), (12,), 0.25, 0.1, 0.30, (13, 8, 9), clear=0.05),
    Part(0, (9,), (10,), 0.1, 0.40, 0.24, (8,)), Part(0, (12,), (13,), 0.1, 0.40, 0.24, (11,)),
    Part(0, (8,), (11,), 0.15, 0.15, 0.35, (9, 12, 1), clear=0.05),  # between the thighs
    Part(0, (1,), TRUNK, 0.15, 0.2, 0.55, (2, 5, 8, 11, 3, 6), clear=0.05),
    Part(0, (1,), HEAD, 0.10, 0.50, 0.42, (*HEAD, 2, 5), clear=0.08),
    Part(1, (2,), (3,), 0.15, 0.1, 0.20, (4, 1)), Part(1, (5,), (6,), 0.15, 0.1, 0.20, (7, 1)),
    Part(1, (3,), (4,), 0.1, 0.48, 0.22, (2,)), Part(1, (6,), (7,), 0.1, 0.48, 0.22, (5,)),
)  # fmt: skip
LAYERS = 2
ARMS = ((2, 3), (5, 6), (3, 4), (6, 7))  # bones of upper arms and forearms, right and left in turn
HAND = 0.45  # how far a hand reaches beyond the wrist, in lengths of the forearm
BINS = 16  # of each colour channel


@dataclass
class Texture:
    """The frames that texture is copied from.

    Attributes:
        frames: (N, H, W, 4) uint8 RGB and matte.
        poses: (N, 18, 3) pixels of these frames.
        sizes: (N,) sizes of the person in them, from :func:`person_sizes`.
        arms: (2, BINS, BINS, BINS) from :func:`arm_colours`.
    """

    frames: np.ndarray
    poses: np.ndarray
    sizes: np.ndarray
    arms: np.ndarray


def greatest(picture: np.ndarray) -> np.ndarray:
    """Maximum (H, W) over the channels of a picture (H, W, 3); numpy's own is ten times as slow on so short an axis."""
    first, second, third = cv2.split(picture)
    return cv2.max(cv2.max(first, second), third)


def match_costs(queries: np.ndarray, sizes: np.ndarray, bank: np.ndarray, bank_sizes: np.ndarray) -> np.ndarray:
    """How unlike each part looks in the frames of the bank, judged by pose alone.

    Args:
        queries: (Q, 18, 3) poses to be painted, pixels.
        bank: (N, 18, 3) poses of the frames that texture may be taken from.
        sizes, bank_sizes: (Q,) and (N,) from :func:`person_sizes`.

    Returns:
        (len(PARTS), Q, N) float32: mean squared distance of the keypoints in torso lengths, relative to the part's
        start, those of the part counting most, its neighbours less and all others a little; infinite where a frame
        does not show the part.
    """
    costs = np.empty((len(PARTS), len(queries), len(bank)), np.float32)
    for p, part in enumerate(PARTS):
        weight = np.full(18, 0.03, np.float32)
        weight[list(part.near)] = 0.5
        weight[[*part.start, *part.end]] = 1.0
        cost = distances(queries, sizes, bank, bank_sizes, part.start, weight)
        if part.clear:
            cost += part.clear * _covered(bank, bank_sizes, part)
        cost[:, ~has_part(bank, part)] = np.inf
        costs[p] = cost
    return costs


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
    return np.maximum(qq + bb - 2 * qb, 0) / np.maximum(both, 1e-6)


def _covered(poses: np.ndarray, sizes: np.ndarray, part: Part) -> np.ndarray:
    """Share (N,) of points on the arms that lie before a part; of an arm that is not known, half."""
    start, end = mean_position(poses, part.start), mean_position(poses, part.end)
    before = np.zeros(len(poses), np.float32)
    for elbow, wrist in ARMS[2:]:
        for t in (0.0, 0.5, 1.0, 1.4):
            points = poses[:, elbow, :2] + t * (poses[:, wrist, :2] - poses[:, elbow, :2])
            near = _distance_to(points, start, end) < (part.width + 0.1) * sizes
            before += np.where((poses[:, elbow, 2] > 0) & (poses[:, wrist, 2] > 0), near, 0.5)
    return before / 8


def choose_steadily(costs: np.ndarray, switch: float = 0.02, candidates: int = 32) -> np.ndarray:
    """For each part one frame of the bank per pose, such that the source changes seldom.

    The path of least cost (Viterbi), where staying with a frame, or going on to the next one of the bank, is free and
    any other change costs ``switch``.

    Args:
        costs: (parts, Q, N) from :func:`match_costs`, Q successive poses.

    Returns:
        (parts, Q) int indices into the bank.
    """
    parts, length, _ = costs.shape
    chosen = np.empty((parts, length), np.int64)
    for p in range(parts):
        keep = min(candidates, costs.shape[2])
        index = np.argpartition(costs[p], keep - 1, axis=1)[:, :keep]  # (Q, K)
        cost = np.minimum(np.take_along_axis(costs[p], index, 1), 1e6)
        total = cost[0]
        back = np.zeros((length, keep), np.int64)
        for t in range(1, length):
            step = index[t][None, :] - index[t - 1][:, None]  # (K before, K now)
            arrive = total[:, None] + np.where((step == 0) | (step == 1), 0.0, switch)
            back[t] = arrive.argmin(0)
            total = arrive.min(0) + cost[t]
        k = int(total.argmin())
        for t in range(length - 1, -1, -1):
            chosen[p, t] = index[t, k]
            k = back[t, k]
    return chosen


def arm_colours(frames: np.ndarray, poses: np.ndarray, sizes: np.ndarray, most: int = 150) -> np.ndarray:
    """How likely a pixel of some colour near an arm shows the arm, and not the body behind it: from the colours along
    the middle of the arms' bones and those along the body's, by Bayes' rule with even odds. Forearms are looked at
    beside the body: before it, a point a little off the arm shows clothes.

    Args:
        frames: (N, H, W, 4) uint8 RGB and matte.
        poses: (N, 18, 3) pixels.
        sizes: (N,) from :func:`person_sizes`.
        most: so many frames are looked at.

    Returns:
        (2, BINS, BINS, BINS) float32 by red, green and blue: upper arms, forearms with hands. 0 below a likelihood of
        0.3, 1 above 0.6.
    """
    counts = np.zeros((4, BINS**3))  # body, upper arms, forearms with hands beside the body, and anywhere

    def count(row: int, i: int, points: np.ndarray) -> None:
        x, y = np.rint(points).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < frames.shape[2]) & (y < frames.shape[1])
        colours = frames[i, y[inside], x[inside]]
        bins = (colours[colours[:, 3] > 128, :3].astype(int) * BINS // 256) @ (BINS**2, BINS, 1)
        counts[row] += np.bincount(bins, minlength=BINS**3)

    for i in np.linspace(0, len(frames) - 1, min(len(frames), most)).round().astype(int):
        arms = [_bone(poses[i], (a,), (b,)) for a, b in ARMS if (poses[i, [a, b], 2] > 0).all()]
        shown = [(part, _bone(poses[i], part.start, part.end)) for part in PARTS if has_part(poses[i][None], part)[0]]
        for part, (start, end) in shown:
            across = np.array([start[1] - end[1], end[0] - start[0]]) / max(float(np.hypot(*(end - start))), 1e-3)
            last = 1 + HAND if is_forearm(part) else 1.0
            along, aside = np.meshgrid(np.linspace(0.1, last, 12), np.linspace(-0.3, 0.3, 5) * part.width * sizes[i])
            points = start + along.reshape(-1, 1) * (end - start) + aside.reshape(-1, 1) * across
            if part.layer == 0:
                for a, b in arms:
                    points = points[_distance_to(points, a, b + HAND * (b - a)) > 0.25 * sizes[i]]
            elif is_forearm(part):
                count(3, i, points)
                for other, bone in shown:
                    if other.layer == 0:
                        points = points[_distance_to(points, *bone) > other.width * sizes[i]]
            count(0 if part.layer == 0 else 1 + is_forearm(part), i, points)
    body, upper, forearms, anywhere = counts
    if forearms.sum() < 500:  # too few to know them by; before the body some of the points show clothes
        forearms = anywhere
    dense = np.stack([upper, forearms, body, body + upper]).reshape(4, BINS, BINS, BINS)  # a sleeve is no forearm
    dense = gaussian_filter(dense, (0, 0.7, 0.7, 0.7), mode="nearest")
    dense = dense / np.maximum(dense.sum((1, 2, 3), keepdims=True), 1) + 1e-5
    return np.clip((dense[:2] / (dense[:2] + dense[2:]) - 0.3) / 0.3, 0, 1).astype(np.float32)


def is_forearm(part: Part) -> bool:
    """Whether a part of the arms' layer is a forearm."""
    return part.start in ((3,), (6,))


def _distance_to(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distances (n,) of points (n, 2) from segments; start and end are (2,) or (n, 2)."""
    bone = end - start
    along = np.clip(((points - start) * bone).sum(-1) / np.maximum((bone * bone).sum(-1), 1e-6), 0, 1)
    return np.linalg.norm(points - start - along[..., None] * bone, axis=-1)


def has_part(poses: np.ndarray, part: Part) -> np.ndarray:
    """Which (n,) of the poses (n, 18, 3) show the keypoints that place a part."""
    seen = poses[..., 2] > 0
    return seen[:, list(part.start)].any(1) & (
        seen[:, list(part.end)].any(1) if part.end == HEAD else seen[:, list(part.end)].all(1)
    )


def _bone(pose: np.ndarray, start: tuple[int, ...], end: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Where a bone of a pose (18, 3) begins and ends, (2,) each."""
    return mean_position(pose[None], start)[0], mean_position(pose[None], end)[0]


def mean_position(poses: np.ndarray, joints: tuple[int, ...]) -> np.ndarray:
    """Mean position (n, 2) of those of the joints that are seen."""
    chosen = poses[:, list(joints)]
    seen = (chosen[..., 2:] > 0).astype(np.float32)
    return (chosen[..., :2] * seen).sum(1) / np.maximum(seen.sum(1), 1)


def person_sizes(poses: np.ndarray) -> np.ndarray:
    """Torso length (N,) in pixels of the person in successive frames, by the whole pose; steady, never missing."""
    sizes = body_size(poses)
    known = np.flatnonzero(np.isfinite(sizes))
    if not len(known):
        return np.full(len(poses), 50.0, np.float32)
    sizes = np.interp(np.arange(len(poses)), known, sizes[known])
    sizes = gaussian_filter1d(median_filter(sizes, 9, mode="nearest"), 3.0, mode="nearest")
    return np.maximum(sizes, 2.0).astype(np.float32)
