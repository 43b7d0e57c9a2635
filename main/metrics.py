"""How alike two pictures are, within a box: PSNR, SSIM, MS-SSIM, sharpness."""

from __future__ import annotations

import cv2
import numpy as np
import pytorch_msssim
import torch
from torch import Tensor


def psnr(picture: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 pictures (H, W, 3), computed in float."""
    error = ((picture.astype(np.float64) - truth.astype(np.float64)) ** 2).mean()
    return float(10 * np.log10(255.0**2 / max(error, 1e-10)))


def ssim(picture: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity of two uint8 pictures (H, W, 3), at least 11 wide and high: Wang et al. 2004."""
    return float(pytorch_msssim.ssim(_tensor(picture), _tensor(truth), data_range=255))


def ms_ssim(picture: np.ndarray, truth: np.ndarray) -> float:
    """Multi-scale structural similarity of two uint8 pictures (H, W, 3), Wang et al. 2003; NaN below 161 pixels."""
    if min(picture.shape[:2]) <= 160:
        return float("nan")
    return float(pytorch_msssim.ms_ssim(_tensor(picture), _tensor(truth), data_range=255))


def _tensor(picture: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) float32, 0 to 255."""
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float()


def sharpness(picture: np.ndarray, truth: np.ndarray) -> float:
    """Standard deviation of the Laplacian of the grey picture, relative to the true picture's: below 1 is blurred."""
    deviations = [
        float(cv2.Laplacian(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float32), cv2.CV_32F).std())
        for p in (picture, truth)
    ]
    return deviations[0] / max(deviations[1], 1e-6)


def within_box(picture: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """The part of a picture in (left, top, right, bottom) pixels, at least 11 wide and high for SSIM's window."""
    height, width = picture.shape[:2]
    x0, y0 = (int(max(0, min(np.floor(low), limit - 11))) for low, limit in zip(box[:2], (width, height), strict=True))
    x1, y1 = (int(np.ceil(high)) + 1 for high in box[2:])
    return picture[y0 : max(y1, y0 + 11), x0 : max(x1, x0 + 11)]


def compare(picture: np.ndarray, truth: np.ndarray, box: tuple[float, float, float, float]) -> dict[str, float]:
    """All three figures within a box."""
    ours, theirs = np.ascontiguousarray(within_box(picture, box)), np.ascontiguousarray(within_box(truth, box))
    return {"psnr": psnr(ours, theirs), "ssim": ssim(ours, theirs), "sharpness": sharpness(ours, theirs)}


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks (H, W) bool; NaN where both are empty."""
    union = (mask | truth).sum()
    return float((mask & truth).sum() / union) if union else float("nan")


def found(keypoints: np.ndarray, truth: np.ndarray, torso: np.ndarray | float, reach: float = 0.2) -> np.ndarray:
    """Which keypoints are where they should be: PCK, Yang and Ramanan 2013, with the torso as unit.

    Args:
        keypoints: (..., 18, 3), confidence 0 = missing.
        truth: (..., 18, 3), confidence 0 = not known.
        torso: (...,) torso lengths in pixels.
        reach: how far off they may be, in torso lengths.

    Returns:
        (..., 18) bool; false where the truth is not known.
    """
    near = np.linalg.norm(keypoints[..., :2] - truth[..., :2], axis=-1) < reach * np.asarray(torso)[..., None]
    return near & (keypoints[..., 2] > 0) & (truth[..., 2] > 0)
