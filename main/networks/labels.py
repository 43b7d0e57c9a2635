"""Poses as pictures that a network can read, drawn on the device in one batched expression."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pose_detector.skeleton import COLOURS, LIMBS

CHANNELS = len(LIMBS) + 18  # limb maps, then joint dots


@functools.cache
@torch.inference_mode(False)
def constant(values: Sequence, device: torch.device) -> Tensor:
    """Numbers, a tuple, as a tensor that stays on the device: sent anew at each use, the GPU would wait for them."""
    return torch.tensor(values, device=device)


_BEGINS, _ENDS = (tuple(LIMBS[:, side].tolist()) for side in (0, 1))
_COLOURS = tuple(map(tuple, (COLOURS / 255).tolist()))
_HIPS, _TORSO = (8, 11), (1, 8, 11)


def label_torso(keypoints: Tensor) -> Tensor:
    """Torso length that labels are drawn by, (B,) pixels, of keypoints (B, 18, 3).

    Neck to the middle of the hips, at least a fifth of the pose's height; 0.3 of it where one of the three is missing.
    It differs from `pose_detector.skeleton.body_size` because the bundled generator was trained with it.
    """
    seen = keypoints[..., 2] > 0
    torso = (keypoints[:, 1, :2] - keypoints[:, constant(_HIPS, keypoints.device), :2].mean(1)).norm(dim=1)
    y = keypoints[..., 1]
    height = y.masked_fill(~seen, -1e6).amax(1) - y.masked_fill(~seen, 1e6).amin(1)
    whole = seen[:, constant(_TORSO, keypoints.device)].all(1)
    return torch.where(whole, torch.maximum(torso, 0.2 * height), 0.3 * height).clamp(min=4.0)


def limb_distance(keypoints: Tensor, size: tuple[int, int], stride: int) -> Tensor:
    """Squared distance in pixels from cells to limbs: (B, 19, height / stride, width / stride)."""
    x, y = _cell_centres(keypoints, size, stride)
    start, end = (limb[..., :2] for limb in _limb_ends(keypoints))  # (B, 19, 2)
    ax, ay = start[..., 0, None, None], start[..., 1, None, None]  # (B, 19, 1, 1)
    bx, by = end[..., 0, None, None] - ax, end[..., 1, None, None] - ay
    dx, dy = x[None, None, None, :] - ax, y[None, None, :, None] - ay  # (B, 19, 1, w), (B, 19, h, 1)
    along = ((dx * bx + dy * by) / (bx * bx + by * by).clamp(min=1e-6)).clamp(0, 1)  # (B, 19, h, w)
    return (dx - along * bx) ** 2 + (dy - along * by) ** 2


def _limb_ends(keypoints: Tensor) -> tuple[Tensor, Tensor]:
    """Where the limbs begin and end, each (B, 19, ...) of (B, 18, ...)."""
    begins, ends = (constant(joints, keypoints.device) for joints in (_BEGINS, _ENDS))
    return keypoints[:, begins], keypoints[:, ends]


def draw_labels(keypoints: Tensor, size: tuple[int, int], stride: int = 4) -> Tensor:
    """Soft limb maps and joint dots.

    Args:
        keypoints: (B, 18, 3) x, y in pixels of the window and confidence (0: missing, drawn nowhere).
        size: height and width of the window in pixels, multiples of ``stride``.
        stride: pixels of the window per cell of the result.

    Returns:
        (B, CHANNELS, height / stride, width / stride) in [0, 1]: 1 on the bone, falling off as a Gaussian of the
        distance to it whose width is in proportion to the torso; a doubtful joint is pale.
    """
    sigma = (0.07 * label_torso(keypoints)).clamp(min=0.6 * stride)[:, None, None, None]
    confidence = keypoints[..., 2].clamp(0, 1)
    shown = torch.where(confidence > 0, 0.5 + 0.5 * confidence, 0.0)  # (B, 18)
    limb_shown = torch.minimum(*_limb_ends(shown))  # (B, 19)
    limbs = torch.exp(-limb_distance(keypoints, size, stride) / (2 * sigma**2))

    # A Gaussian dot is the product of two 1D ones.
    x, y = _cell_centres(keypoints, size, stride)
    gx = torch.exp(-((x - keypoints[..., 0, None]) ** 2) / (2 * sigma[..., 0] ** 2))  # (B, 18, w)
    gy = torch.exp(-((y - keypoints[..., 1, None]) ** 2) / (2 * sigma[..., 0] ** 2))  # (B, 18, h)
    dots = gy[..., :, None] * gx[..., None, :]
    return torch.cat([limbs * limb_shown[..., None, None], dots * shown[..., None, None]], 1)


def draw_region(keypoints: Tensor, size: tuple[int, int], stride: int = 4, reach: float = 0.6) -> Tensor:
    """Where the person can be at all: (B, 1, height / stride, width / stride) in [0, 1].

    1 near the skeleton and 0 beyond ``reach`` torso lengths: hair, hands, clothes and the shadow's begin lie within.
    """
    seen = torch.minimum(*_limb_ends(keypoints[..., 2])) > 0  # (B, 19)
    squared = limb_distance(keypoints, size, stride).masked_fill(~seen[..., None, None], 1e8)
    nearest = squared.amin(1, keepdim=True).sqrt() / label_torso(keypoints)[:, None, None, None]  # (B, 1, h, w)
    return ((reach - nearest) / (0.4 * reach)).clamp(0, 1)


def _cell_centres(keypoints: Tensor, size: tuple[int, int], stride: int) -> tuple[Tensor, Tensor]:
    height, width = size
    x, y = (
        (torch.arange(n // stride, device=keypoints.device, dtype=keypoints.dtype) + 0.5) * stride - 0.5
        for n in (width, height)
    )
    return x, y


def draw_skeleton(keypoints: Tensor, size: tuple[int, int]) -> Tensor:
    """The limbs in OpenPose's colours on black, (B, 3, H, W) in [0, 1]: what the discriminator sees of the pose."""
    limbs = draw_labels(keypoints, size)[:, : len(LIMBS)]  # (B, 19, H/4, W/4)
    colours = constant(_COLOURS, limbs.device)  # (19, 3)
    painted = (limbs[:, :, None] * colours[None, :, :, None, None]).amax(1)  # (B, 3, H/4, W/4)
    return F.interpolate(painted, scale_factor=4.0, mode="bilinear", align_corners=False)
