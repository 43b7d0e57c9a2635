"""Texture from the training video: for every limb of a pose, the training frame that shows this limb most alike, moved
onto the pose by an affine map. The generator gets the result as *references*, layers to copy from: copied texture is
sharp, invented texture is not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d, median_filter

from data.skeleton import LIMBS, VISIBLE_LIMBS, body_size, to_fixed


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
    Part(0, (8,), (9,), 0.25, 0.1, 0.30, (10, 11, 12)), Part(0, (11,), (12,), 0.25, 0.1, 0.30, (13, 8, 9)),
    Part(0, (9,), (10,), 0.1, 0.40, 0.24, (8,)), Part(0, (12,), (13,), 0.1, 0.40, 0.24, (11,)),
    Part(0, (8,), (11,), 0.15, 0.15, 0.35, (9, 12, 1)),  # between the thighs
    Part(0, (1,), TRUNK, 0.15, 0.2, 0.55, (2, 5, 8, 11, 3, 6), clear=0.05),
    Part(0, (1,), HEAD, 0.10, 0.50, 0.42, (*HEAD, 2, 5), clear=0.08),
    Part(1, (2,), (3,), 0.15, 0.1, 0.20, (4, 1)), Part(1, (5,), (6,), 0.15, 0.1, 0.20, (7, 1)),
    Part(1, (3,), (4,), 0.1, 0.48, 0.22, (2,)), Part(1, (6,), (7,), 0.1, 0.48, 0.22, (5,)),
)  # fmt: skip
LAYERS = 2
ARMS = ((2, 3), (5, 6), (3, 4), (6, 7))  # bones of upper arms and forearms
HAND = 0.45  # how far a hand reaches beyond the wrist, in lengths of the forearm
FACE = 0.25  # radius of a face, in torso lengths
PLAIN = 50.0  # difference from the plate beyond which no pixel is taken for a halo
BINS = 16  # of each colour channel
# What cubic interpolation between pixels takes of the finest detail, a seventh, this 3x3 filter gives back on average.
RESTORE = np.float32(1 / 60) * np.array([[-1, -2, -1], [-2, 72, -2], [-1, -2, -1]], np.float32)


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


def shadow_tint(frames: Sequence[np.ndarray], plate: np.ndarray, poses: np.ndarray) -> float:
    """How much a shadow may differ in colour from the plate, for :func:`matte`: as much as takes hardly anything of the
    person, seen on the bones of some frames (n, H, W, 3) with poses (n, 18, 3). Shadows near skin and clothes are
    tinted; but skin before a wall of its colour looks like a shadow."""
    spreads, total = [], 0
    for frame, pose in zip(frames, poses, strict=True):
        lightest, darkest = _ratio(frame, plate)
        person = (_bones(pose, plate.shape[:2]) > 0) & (greatest(cv2.absdiff(frame, plate)) > 24)
        spreads.append((lightest - darkest)[person & (darkest > 0.4) & (lightest < 1.05)])
        total += np.count_nonzero(person)
    ordered = np.sort(np.concatenate(spreads))
    few = total // 100
    return float(np.clip(ordered[few], 0.1, 0.2)) if few < len(ordered) else 0.2 if total else 0.1


def matte(frame: np.ndarray, plate: np.ndarray, pose: np.ndarray, size: float, tint: float = 0.1) -> np.ndarray:
    """The person in a frame.

    What differs from the plate, but not its shadows, which are darker and of nearly the same colour, and not what does
    not touch the skeleton, like reflections. Close to the bones no shadow is looked for: there grey clothes may be.

    Args:
        frame, plate: (H, W, 3) uint8 RGB.
        pose: (18, 3) pixels.
        size: of the person, from :func:`person_sizes`.
        tint: difference between the colour channels' shares of light that a shadow may leave, see :func:`shadow_tint`.

    Returns:
        (H, W) uint8, 255 = surely the person.
    """
    difference = greatest(cv2.absdiff(frame, plate))
    fine, difference = (cv2.GaussianBlur(difference, (0, 0), sigma).astype(np.float32) for sigma in (0.6, 1.0))
    # At the plate's own edges a tremor of the camera makes a difference too.
    edges = greatest(cv2.morphologyEx(plate, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))).astype(np.float32)
    opaque = np.clip((difference - 0.4 * edges - 14.0) / 20.0, 0, 1)

    bones, near = _bones(pose, frame.shape[:2]), _bones(pose, frame.shape[:2], max(1, round(0.14 * size)))
    lightest, darkest = _ratio(frame, plate)
    shadow = (lightest - darkest < tint) & (darkest > 0.4) & (lightest < 1.05) & (near == 0)
    opaque[shadow] = 0
    opaque = (255 * cv2.morphologyEx(opaque, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))).astype(np.uint8)

    count, pieces = cv2.connectedComponents((opaque > 0).astype(np.uint8))
    kept = np.zeros(count, bool)
    kept[np.unique(pieces[bones > 0])] = True
    opaque = np.where(kept[pieces], opaque, 0).astype(np.uint8)
    # The person covers a part of each pixel of the rim: as much as it differs, compared with the most nearby.
    reach = max(2, round(0.06 * size))
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    cover = fine / np.clip(0.8 * cv2.dilate(fine, around), 1, PLAIN)
    cover[cv2.erode(opaque, around) > 127] = 1
    return cv2.GaussianBlur((opaque * np.minimum(cover, 1)).astype(np.uint8), (0, 0), 0.6)  # no stairs along it


def _bones(pose: np.ndarray, shape: tuple[int, int], thickness: int = 1) -> np.ndarray:
    """The visible limbs of a pose (18, 3) as ones in a picture (H, W) uint8."""
    bones = np.zeros(shape, np.uint8)
    for a, b in LIMBS[:VISIBLE_LIMBS]:
        if (pose[[a, b], 2] > 0).all():
            cv2.line(bones, *to_fixed(pose[[a, b], :2], shape), 1, thickness, cv2.LINE_8, 4)
    return bones


def _ratio(frame: np.ndarray, plate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Light (H, W) in a frame as a share of the plate's, in the channel that has most and in the one that has least."""
    ratio = cv2.blur(frame, (3, 3)).astype(np.float32) / np.maximum(cv2.blur(plate, (3, 3)), 1)
    return greatest(ratio), -greatest(-ratio)


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
        cost[:, ~_has(bank, part)] = np.inf
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
            near = _beside(points, start, end) < (part.width + 0.1) * sizes
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
        shown = [(part, _bone(poses[i], part.start, part.end)) for part in PARTS if _has(poses[i][None], part)[0]]
        for part, (start, end) in shown:
            across = np.array([start[1] - end[1], end[0] - start[0]]) / max(float(np.hypot(*(end - start))), 1e-3)
            last = 1 + HAND if _forearm(part) else 1.0
            along, aside = np.meshgrid(np.linspace(0.1, last, 12), np.linspace(-0.3, 0.3, 5) * part.width * sizes[i])
            points = start + along.reshape(-1, 1) * (end - start) + aside.reshape(-1, 1) * across
            if part.layer == 0:
                for a, b in arms:
                    points = points[_beside(points, a, b + HAND * (b - a)) > 0.25 * sizes[i]]
            elif _forearm(part):
                count(3, i, points)
                for other, bone in shown:
                    if other.layer == 0:
                        points = points[_beside(points, *bone) > other.width * sizes[i]]
            count(0 if part.layer == 0 else 1 + _forearm(part), i, points)
    body, upper, forearms, anywhere = counts
    if forearms.sum() < 500:  # too few to know them by; before the body some of the points show clothes
        forearms = anywhere
    dense = np.stack([upper, forearms, body, body + upper]).reshape(4, BINS, BINS, BINS)  # a sleeve is no forearm
    dense = gaussian_filter(dense, (0, 0.7, 0.7, 0.7), mode="nearest")
    dense = dense / np.maximum(dense.sum((1, 2, 3), keepdims=True), 1) + 1e-5
    return np.clip((dense[:2] / (dense[:2] + dense[2:]) - 0.3) / 0.3, 0, 1).astype(np.float32)


def _forearm(part: Part) -> bool:
    """Whether a part of the arms' layer is a forearm."""
    return part.start in ((3,), (6,))


def _beside(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distances (n,) of points (n, 2) from segments; start and end are (2,) or (n, 2)."""
    bone = end - start
    along = np.clip(((points - start) * bone).sum(-1) / np.maximum((bone * bone).sum(-1), 1e-6), 0, 1)
    return np.linalg.norm(points - start - along[..., None] * bone, axis=-1)


def paint_references(
    pose: np.ndarray, person: float, size: tuple[int, int], sources: np.ndarray, texture: Texture
) -> np.ndarray:
    """Move the parts of training frames onto a pose.

    Args:
        pose: (18, 3) pixels of the window to be painted.
        person: size of the person there, from :func:`person_sizes`.
        size: width and height of that window.
        sources: (len(PARTS),) index of the frame of the texture for each part.
        texture: what is copied.

    Returns:
        (LAYERS, 4, height, width) uint8: RGB and coverage of the body and of the arms; nothing is painted for
        a part whose keypoints the pose lacks.
    """
    width, height = size
    layers = np.zeros((LAYERS, 4, height, width), np.uint8)
    for part, source in zip(PARTS, sources, strict=True):
        _paint_part(layers[part.layer], part, pose, person, texture, source)
    return layers


def _paint_part(layer: np.ndarray, part: Part, pose: np.ndarray, person: float, texture: Texture, source: int) -> None:
    """Paint one part over what is there, (4, height, width); planes are several times as fast as pixels of four."""
    source_pose, ratio = texture.poses[source], person / float(texture.sizes[source])
    poses = np.stack([pose, source_pose])
    if not _has(poses, part).all():
        return
    height, width = layer.shape[1:]
    end_joints = part.end
    if part.end == HEAD:  # the middle of the same points: an ear that only one of the two shows would move it
        end_joints = tuple(j for j in HEAD if pose[j, 2] > 0 and source_pose[j, 2] > 0) or HEAD
    (start, source_start), (end, source_end) = mean_position(poses, part.start), mean_position(poses, end_joints)
    bone, source_bone = end - start, source_end - source_start
    length, source_length = max(float(np.hypot(*bone)), 1e-3), max(float(np.hypot(*source_bone)), 1e-3)
    along, source_along = bone / length, source_bone / source_length
    across, source_across = (np.array([-v[1], v[0]]) for v in (along, source_along))
    if part.end == HEAD:  # a head nods and turns, but does not stretch
        stretch, anchor, source_anchor = 1 / ratio, end, source_end
    else:
        stretch = min(max(source_length / length, 0.6 / ratio), 1.6 / ratio)
        anchor, source_anchor = start, source_start
    # Source pixel of a target pixel: along the bone by the bones' lengths, across it by the size of the person.
    matrix = stretch * np.outer(source_along, along) + np.outer(source_across, across) / ratio
    offset = source_anchor - matrix @ anchor

    # A box with round ends along the bone, soft at its rim: what lies within reach of the line from tail to tip.
    reach = part.width * person
    inner = 0.6 * reach
    first, last = inner - part.before * person, length + part.after * person - inner
    tail, tip = start + along * first, start + along * last
    x0, y0 = np.maximum(np.floor(np.minimum(tip, tail) - reach), 0).astype(int).tolist()
    x1, y1 = np.minimum(np.ceil(np.maximum(tip, tail) + reach) + 1, (width, height)).astype(int).tolist()
    if x1 <= x0 or y1 <= y0:
        return
    inverse = np.column_stack([matrix, matrix @ (x0, y0) + offset])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(
        texture.frames[source], inverse, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_CONSTANT
    )
    moved = np.stack(cv2.split(cv2.filter2D(moved, -1, RESTORE)))  # (4, h, w)

    dx = np.arange(x0, x1, dtype=np.float32) - start[0]
    dy = (np.arange(y0, y1, dtype=np.float32) - start[1])[:, None]
    u, v = dx * along[0] + dy * along[1], dx * across[0] + dy * across[1]
    beyond = np.maximum(np.maximum(first - u, u - last), 0)
    soft = np.clip((reach - cv2.magnitude(beyond, v)) * (1 / (0.3 * reach)), 0, 1)

    def here(points: np.ndarray) -> np.ndarray:  # from pixels of the source to those of the box
        return (points - offset) @ np.linalg.inv(matrix).T - (x0, y0)

    below = layer[:, y0:y1, x0:x1].astype(np.float32)
    beneath = below[3] * (1 / 255)
    opacity = soft * moved[3] * np.float32(1 / 255)
    arms = source_pose[ARMS, :]  # (4, 2, 3)
    bones = here(arms[..., :2].reshape(8, 2)).reshape(4, 2, 2)
    bones[2:, 1] += HAND * (bones[2:, 1] - bones[2:, 0])
    ends = to_fixed(bones.reshape(8, 2), soft.shape)
    lines = {k: (ends[2 * k], ends[2 * k + 1]) for k in np.flatnonzero((arms[..., 2] > 0).all(1)).tolist()}
    if part.layer == 1:
        opacity *= _alike(moved, texture.arms[int(_forearm(part))])
        own = [elbow for elbow, _ in ARMS].index(part.start[0])
        opacity *= _nearest(soft.shape, lines, own, 0.1 * person)
        if source_pose[list(HEAD), 2].any():  # a face has an arm's colours; but a hand may lie before it
            face = np.zeros(soft.shape, np.uint8)
            bone_here = np.stack([start, tip + 0.3 * reach * along]) - (x0, y0)
            middle, *axis = to_fixed([*here(mean_position(source_pose[None], HEAD)), *bone_here], soft.shape)
            cv2.circle(face, middle, round(16 * FACE * person), 1, -1, cv2.LINE_8, 4)
            cv2.line(face, *axis, 0, max(1, round(0.1 * person)), cv2.LINE_8, 4)
            opacity *= 1 - face
        opacity *= _touching(opacity > 0.2, _line(soft.shape, lines[own], 0.1 * person))
    else:
        if part.end == TRUNK:  # sleeves go with the arms
            drawn = (pose[ARMS[:2], 2] > 0).all(1)
            for k in [k for k in lines if k < 2 and drawn[k]]:
                side = float((bones[k, 0] + (x0, y0) - start) @ across)
                chest = max(abs(side), 0.3 * person)  # seen from the side, shoulders lie before it
                outside = np.clip((math.copysign(1, side) * v - chest) * (1 / (0.08 * person)) + 1, 0, 1)
                sleeve = 255 * _line(soft.shape, lines[k], 0.5 * person)
                opacity *= 1 - outside * cv2.GaussianBlur(sleeve, (0, 0), max(0.5, 0.03 * person)) * np.float32(1 / 255)
        if beneath.any():  # an arm that lies before the body is no part of it, if anything is known of what it hides
            alike: dict[int, np.ndarray] = {}
            for k, line in lines.items():
                near = _line(soft.shape, line, 0.36 * person)
                if near.any():
                    if k // 2 not in alike:
                        alike[k // 2] = _alike(moved, texture.arms[k // 2]) * beneath
                    opacity *= 1 - alike[k // 2] * near
    mixed = opacity + beneath * (1 - opacity)
    below[:3] += opacity / np.maximum(mixed, 1e-3) * (moved[:3] - below[:3])
    below[3] = 255 * mixed
    layer[:, y0:y1, x0:x1] = below + 0.5


Line = tuple[tuple[int, int], tuple[int, int]]  # two points, from to_fixed


def _line(shape: tuple[int, int], line: Line, thickness: float) -> np.ndarray:
    """A line as ones in a picture (H, W) uint8."""
    drawn = np.zeros(shape, np.uint8)
    cv2.line(drawn, *line, 1, max(1, round(thickness)), cv2.LINE_8, 4)
    return drawn


def _nearest(shape: tuple[int, int], lines: dict[int, Line], own: int, slack: float) -> np.ndarray:
    """1 for the pixels (H, W) to which no line is nearer than the own one, falling to 0 where one is nearer by
    ``slack`` pixels: a hand before an upper arm is no part of that."""

    def distance(line: np.ndarray) -> np.ndarray:
        return cv2.distanceTransform(1 - line, cv2.DIST_L2, cv2.DIST_MASK_3)

    kept, drawn = np.ones(shape, np.float32), {k: _line(shape, line, 1) for k, line in lines.items()}
    if drawn[own].any():  # else beyond the window's edge
        mine = distance(drawn.pop(own))
        for other in drawn.values():
            if other.any():
                kept *= np.clip((distance(other) - mine) * (1 / slack) + 1, 0, 1)
    return kept


def _touching(mask: np.ndarray, line: np.ndarray) -> np.ndarray:
    """False (H, W) for those pieces of a mask that do not touch a line, if one does; True elsewhere."""
    count, pieces = cv2.connectedComponents(mask.astype(np.uint8))
    touching = pieces[(line > 0) & mask]
    if not len(touching):
        return np.ones(mask.shape, bool)
    kept = np.zeros(count, bool)
    kept[0] = kept[touching] = True
    return kept[pieces]


def _alike(picture: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """How surely (H, W), 0 to 1, the pixels of a picture (4, H, W) uint8 are of the likely ones of some colours."""
    red, green, blue = picture[:3] // (256 // BINS)
    found = colours.reshape(-1).take((red.astype(np.intp) * BINS + green) * BINS + blue)
    return cv2.blur(found, (3, 3))


def _has(poses: np.ndarray, part: Part) -> np.ndarray:
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
