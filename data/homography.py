"""Homographies: how one picture of a plane, or of a turning camera, becomes another.

A homography (3, 3) takes pixel coordinates (x, y) of a frame to those of another picture; pixel centres are whole
numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

_NOISE = 0.3  # pixels by which a tracked feature usually errs
_AFFINE = 0.01  # prior: standard deviation of shear and stretch, in half longer sides
_LENS, _LENSES = 0.17, 0.12  # prior: 1 / F^2 of a usual lens (1.2 longer sides), and its standard deviation


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


def move_keypoints(keypoints: np.ndarray, homographies: np.ndarray) -> np.ndarray:
    """Keypoints (N, K, 3) float32 through the homography (N, 3, 3) of their frame, or all through one (3, 3); missing
    ones stay (0, 0, 0)."""
    moved = keypoints.copy()
    moved[..., :2] = np.where(keypoints[..., 2:] > 0, transform(homographies, keypoints[..., :2]), 0)
    return moved


def warp(picture: np.ndarray, homography: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture (H, W, 3) or an outline (H, W), uint8, in the steady picture of (width, height); 0 beyond its edges."""
    flags = cv2.INTER_CUBIC if picture.ndim == 3 else cv2.INTER_LINEAR  # Lanczos takes three times as long
    border = cv2.BORDER_REPLICATE if picture.ndim == 3 else cv2.BORDER_CONSTANT
    moved = cv2.warpPerspective(picture, homography, size, flags=flags, borderMode=border)
    if picture.ndim == 3:
        moved = cv2.copyTo(moved, footprint(homography, picture.shape[1::-1], size))
    return moved


def footprint(homography: np.ndarray, frame_size: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """(H, W) uint8, 255 where a frame of `frame_size` shows the steady picture of (width, height), its rim left out."""
    whole = np.zeros(frame_size[::-1], np.uint8)
    whole[2:-2, 2:-2] = 255
    return cv2.warpPerspective(whole, homography, size, flags=cv2.INTER_NEAREST)


@dataclass
class Units:
    """Coordinates in which fits are well conditioned: the picture's middle is 0, half its longer side 1."""

    size: tuple[int, int]
    unit: float = field(init=False)
    to: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.unit = max(self.size) / 2
        x, y = (np.array(self.size) - 1) / 2
        self.to = np.array([[1 / self.unit, 0, -x / self.unit], [0, 1 / self.unit, -y / self.unit], [0, 0, 1]])


def equations(p: np.ndarray, q: np.ndarray, denominator: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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


def prior_rows(h: np.ndarray) -> np.ndarray:
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
    frame = Units(size)
    p, q = transform(frame.to, source), transform(frame.to, target)
    h = normalised(frame.to @ start @ np.linalg.inv(frame.to))
    noise = _NOISE / frame.unit
    for _ in range(6):
        distance = np.hypot(*(transform(h, p) - q).T)
        cutoff = 4.7 * max(noise, 1.48 * float(np.median(distance)))
        weight = np.maximum(1 - (distance / cutoff) ** 2, 0) ** 2
        a, b = equations(p, q, p @ h[2, :2] + 1)
        root = np.repeat(np.sqrt(weight), 2) / noise
        a, b = a * root[:, None], b * root
        prior = prior_rows(h)
        h = np.append(np.linalg.solve(a.T @ a + prior.T @ prior + 1e-9 * np.eye(8), a.T @ b), 1.0).reshape(3, 3)
    return normalised(np.linalg.inv(frame.to) @ h @ frame.to)
