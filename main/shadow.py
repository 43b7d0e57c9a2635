"""Shadows: the light that the person takes from the room in the training frames, moved onto the plate."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from main import appearance
from pose_detector.keypoints import scale_points
from pose_detector.series import spread
from pose_detector.skeleton import ANKLES, LEFT_HIP, RIGHT_HIP

CELL = 4  # pixels of a frame, in both directions, that share one value, or more: shadows are soft
MOST_CELLS = 12_000  # of a map; those of thousands of frames are kept in memory
NEIGHBOURS = 4  # training frames whose shadows are averaged
_OVER, _REACHES = 2.0, 8  # frames over which it is judged which they are: standard deviation, and to where
GROUND = (*ANKLES, RIGHT_HIP, LEFT_HIP)  # keypoints that a shadow moves with
FAINT = 0.015  # a difference in light that may come from the camera; twice as much does not
REACH = (1.5, 3.0)  # torso lengths from the keypoints within which shadows are whole, and beyond which there are none
# How far the neighbours' shadows must agree: their standard deviations by which a shadow is less than their mean. Six
# static clips, held-out frames beside the person: no shadows 27.45 dB, the mean 27.87, less 0.5 deviations 27.90.
_AGREED = 0.5
DARKEST = 0.6  # share of light that a shadow takes at most; what takes more is a thing


@dataclass
class Shadows:
    """The shadows of training frames.

    Attributes:
        maps: (N, h, w, 4) uint8 by cells: the share of the plate's red, green and blue light that is missing (255: all
            of it), and whether it is known: not where the person is.
        poses: (N, 18, 3) pixels of these frames.
        sizes: (N,) sizes of the person in them.
        cell: (2,) pixels of these frames per cell, in x and y.
    """

    maps: np.ndarray
    poses: np.ndarray
    sizes: np.ndarray
    cell: np.ndarray


def cells_of(size: tuple[int, int]) -> tuple[int, int]:
    """Cells in a row and in a column of a frame of (width, height) pixels."""
    cell = max(CELL, (size[0] * size[1] / MOST_CELLS) ** 0.5)
    return max(1, int(size[0] / cell)), max(1, int(size[1] / cell))


def missing_light(frame: np.ndarray, plate: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """Share of the plate's light that is missing in a frame beside the person.

    Args:
        frame, plate: (H, W, 3) uint8 RGB.
        matte: (H, W) uint8, 255 = surely the person.

    Returns:
        (h, w, 4) uint8 as in ``Shadows.maps``.
    """
    cells = cells_of(plate.shape[1::-1])
    frame, plate, matte = (cv2.resize(p, cells, interpolation=cv2.INTER_AREA) for p in (frame, plate, matte))
    frame, plate = (p.astype(np.float32) + 1 for p in (frame, plate))
    ratio = frame / plate
    light = frame.sum(-1) / plate.sum(-1)
    # Anything lighter, or of another colour, is not a shadow.
    known = (light > 1 - DARKEST) & (light < 1.05) & (appearance.greatest(ratio) + appearance.greatest(-ratio) < 0.2)
    known &= cv2.dilate(matte, np.ones((3, 3), np.uint8)) < 3
    known = cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8))  # what borders on writing is writing, too
    missing = np.maximum(1 - ratio, 0) * np.clip((1 - ratio) / FAINT - 1, 0, 1) * known[..., None]
    return np.rint(255 * np.dstack([missing, known])).astype(np.uint8)


def gather(
    maps: np.ndarray, poses: np.ndarray, sizes: np.ndarray, frame_size: tuple[int, int], most: int = 100
) -> Shadows:
    """What moves with the person in the maps (N, h, w, 4), see :func:`missing_light`, of frames of (width, height).
    What is missing in nearly all of them, or of ``most`` of them, is a flaw of the plate; it is taken out of them."""
    some = maps[spread(len(maps), most)]
    known = some[..., 3:] > 0
    missing = np.where(known, some[..., :3], 255)
    rank = (0.2 * known.sum(0, keepdims=True)).astype(int)  # a fifth of the known ones have less
    always = np.take_along_axis(np.sort(missing, axis=0), rank, 0)[0] * known.any(0)
    always = always.astype(np.uint8)
    for each in maps:
        each[..., :3] -= np.minimum(each[..., :3], always)
    return Shadows(maps, poses, sizes, np.divide(frame_size, maps.shape[2:0:-1]))


def match_costs(queries: np.ndarray, sizes: np.ndarray, bank: np.ndarray, bank_sizes: np.ndarray) -> np.ndarray:
    """How unlike the shadows of two frames are (Q, N), judged by the whole pose and a little by the person's place."""
    costs = appearance.distances(queries, sizes, bank, bank_sizes, GROUND, np.ones(18, np.float32))
    here, there = (appearance.mean_position(poses, GROUND) for poses in (queries, bank))
    apart = ((here[:, None] - there[None]) ** 2).sum(-1) / sizes[:, None] ** 2
    return costs + 0.02 * apart


def choose(costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each of Q poses the ``NEIGHBOURS`` training frames whose shadows are most alike, and what share each has; a
    share grows from nothing as a frame comes nearer, so that nothing flickers.

    Returns:
        indices (Q, K) and shares (Q, K) float32, which sum to 1, or to 0 where no frame will do.
    """
    count = min(NEIGHBOURS + 1, costs.shape[1])
    index = np.argpartition(costs, count - 1, axis=1)[:, :count]
    cost = np.take_along_axis(costs, index, 1)
    worst = np.where(np.isfinite(cost), cost, 0).max(1, keepdims=True)
    shares = np.where(np.isfinite(cost), worst - np.where(np.isfinite(cost), cost, 0) + 1e-6, 0)
    return index, (shares / np.maximum(shares.sum(1, keepdims=True), 1e-12)).astype(np.float32)


def choose_steadily(
    poses: np.ndarray, sizes: np.ndarray, bank: np.ndarray, bank_sizes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`choose`, for successive poses: a frame counts by how alike it is over some time. Arguments are those of
    :func:`match_costs`, which are held for some poses at a time."""
    found = []
    for rows in appearance.blocks(len(poses)):
        wide = slice(max(0, rows.start - _REACHES), rows.stop + _REACHES)
        costs = np.minimum(match_costs(poses[wide], sizes[wide], bank, bank_sizes), 1e3)
        costs = gaussian_filter1d(costs, _OVER, axis=0, mode="nearest", radius=_REACHES)
        found.append(choose(costs[rows.start - wide.start :][: rows.stop - rows.start]))
    index, shares = zip(*found, strict=True)
    return np.concatenate(index), np.concatenate(shares)


def cast(shadows: Shadows, pose: np.ndarray, person: float, index: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The light that is left in the room around a pose.

    Args:
        shadows: of the training frames.
        pose: (18, 3) pixels of the whole frame, not empty.
        person: size of the person.
        index, shares: (K,) from :func:`choose`.

    Returns:
        (h, w, 3) float32 in [0, 1] by cells: red, green, blue.
    """
    height, width = shadows.maps.shape[1:3]
    total, squares = np.zeros((height, width, 4), np.float32), np.zeros((height, width, 3), np.float32)
    for i, share in zip(index.tolist(), shares.tolist(), strict=True):
        both = [j for j in GROUND if pose[j, 2] > 0 and shadows.poses[i, j, 2] > 0]
        if not share or not both:
            continue
        here, there = (scale_points(p[both, :2].mean(0), 1 / shadows.cell) for p in (pose, shadows.poses[i]))
        ratio = float(shadows.sizes[i]) / person
        rise = ratio * _stature(shadows.poses[i], float(shadows.sizes[i])) / _stature(pose, person)
        matrix = np.array([[ratio, 0, there[0] - ratio * here[0]], [0, rise, there[1] - rise * here[1]]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        moved = cv2.warpAffine(shadows.maps[i], matrix, (width, height), flags=flags).astype(np.float32)
        total += share * moved
        squares += share * moved[..., :3] ** 2
    # What only one of the frames shows is no shadow, but writing, or somebody else.
    known = np.maximum(total[..., 3:], 1e-6) / 255
    deviation = np.sqrt(np.maximum(squares / known - (total[..., :3] / known) ** 2, 0))
    total[..., :3] = np.maximum(total[..., :3] - _AGREED * known * deviation, 0)
    # Where the person stood in all of them, the neighbouring cells are used.
    total += 0.1 * cv2.GaussianBlur(total, (0, 0), 2.0)
    missing = total[..., :3] / np.maximum(total[..., 3:], 1.0)
    # Far from the person, what is missing is noise.
    seen = scale_points(pose[pose[:, 2] > 0, :2], 1 / shadows.cell)
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    beyond = (np.maximum(np.maximum(seen[:, i].min() - v, v - seen[:, i].max()), 0) for i, v in enumerate((x, y)))
    distance = np.hypot(*np.meshgrid(*(far * (cell / person) for far, cell in zip(beyond, shadows.cell, strict=True))))
    near = np.clip((REACH[1] - distance) / (REACH[1] - REACH[0]), 0, 1)
    return 1 - np.minimum(missing, 1) * near[..., None]


def _stature(pose: np.ndarray, person: float) -> float:
    """How far the neck is above what shadows move with, torso lengths: that of somebody upright, 1.8, where unknown."""
    seen = [j for j in GROUND if pose[j, 2] > 0]
    if not seen or pose[1, 2] == 0:
        return 1.8
    return float(np.clip((pose[seen, 1].mean() - pose[1, 1]) / person, 1.2, 2.2))


def shade(
    plate: np.ndarray, light: np.ndarray, origin: tuple[int, int] = (0, 0), whole: tuple[int, int] | None = None
) -> np.ndarray:
    """The plate, or a part of it, in this light.

    Args:
        plate: (H, W, 3) uint8.
        light: (h, w, 3) of the whole plate, by cells.
        origin: x and y of the part's corner in the whole plate.
        whole: (width, height) of the whole plate; None: it is given.
    """
    scale = np.divide(light.shape[1::-1], plate.shape[1::-1] if whole is None else whole)  # cells per pixel
    first = scale_points(np.asarray(origin), scale)
    matrix = np.array([[scale[0], 0, first[0]], [0, scale[1], first[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    light = cv2.warpAffine(light, matrix, plate.shape[1::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return cv2.multiply(plate, light, dtype=cv2.CV_8U)


def shaded_part(light: np.ndarray, whole: tuple[int, int]) -> tuple[int, int, int, int]:
    """x, y, width and height in pixels of the part of a plate of (width, height) that is not in full light."""
    x, y, width, height = cv2.boundingRect((light.min(2) < 1).astype(np.uint8))
    if not width:
        return 0, 0, 0, 0
    scale = np.divide(whole, light.shape[1::-1])
    low = np.maximum(np.floor((np.array([x, y]) - 1) * scale), 0).astype(int)
    high = np.minimum(np.ceil((np.array([x + width, y + height]) + 1) * scale), whole).astype(int)
    return (*low.tolist(), *(high - low).tolist())
