"""What the generator is trained for: the terms of its loss, and the discriminator's. `config.py` weighs them."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from main.device import convert_convolutions, forward_type
from main.networks.labels import constant, label_torso

HANDS_AND_FACE = (0, 4, 7, 14, 15)


def pixel_weights(keypoints: Tensor, real: Tensor, plate: Tensor, gain: float = 3.0) -> Tensor:
    """Weight of every pixel (B, 1, H, W) for pictures (B, 3, H, W).

    1; up to 1 + ``gain`` at face and hands, where people look, and where the real picture shows the plate, since the
    eye sees the faintest halo.
    """
    height, width = real.shape[-2:]
    sigma = 0.25 * label_torso(keypoints)[:, None, None]  # (B, 1, 1)
    points = keypoints[:, constant(HANDS_AND_FACE, keypoints.device)]
    x = torch.arange(width, device=keypoints.device, dtype=keypoints.dtype)
    y = torch.arange(height, device=keypoints.device, dtype=keypoints.dtype)
    gx = torch.exp(-((x - points[..., 0, None]) ** 2) / (2 * sigma**2))  # (B, 5, W)
    gy = torch.exp(-((y - points[..., 1, None]) ** 2) / (2 * sigma**2))  # (B, 5, H)
    spots = (gy[..., :, None] * gx[..., None, :]) * (points[..., 2] > 0)[..., None, None]
    empty = (1 - 20 * (real - plate).abs().amax(1, keepdim=True)).clamp(min=0)
    return 1 + gain * torch.maximum(spots.amax(1, keepdim=True), empty)


def discriminator_loss(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """Least squares (LSGAN): real patches should score 1, generated ones 0; mean over the scales."""
    losses = [((r[-1].float() - 1) ** 2).mean() + (f[-1].float() ** 2).mean() for r, f in zip(real, fake, strict=True)]
    return sum(losses) / (2 * len(losses))


def adversarial_loss(fake: list[list[Tensor]]) -> Tensor:
    """Least squares: generated patches should score 1."""
    return sum(((f[-1].float() - 1) ** 2).mean() for f in fake) / len(fake)


def feature_matching_loss(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """L1 between the discriminator's features of the real and of the generated picture, all layers but the score."""
    pairs = [(r, f) for rs, fs in zip(real, fake, strict=True) for r, f in zip(rs[:-1], fs[:-1], strict=True)]
    return sum(F.l1_loss(f.float(), r.detach().float()) for r, f in pairs) / len(real) / 4


def preview_loss(previews: list[Tensor], pictures: Tensor) -> Tensor:
    """Every earlier stack's small guess against the real picture, L1."""
    if not previews:
        return pictures.new_zeros(())
    small = F.avg_pool2d(pictures, 4)
    return sum(F.l1_loss(preview.float(), small) for preview in previews) / len(previews)


def box_mean(x: Tensor, size: int, stride: int = 1) -> Tensor:
    """Mean over windows of ``size`` x ``size``, as ``F.avg_pool2d``: by a matrix of bands from either side, which takes
    a quarter of the time on a CPU.

    Args:
        x: (..., H, W) float32; outside of autocast, as the products need full precision.
        size: of a window.
        stride: from window to window.
    """
    rows, columns = (_bands(n, size, stride, x.device) for n in x.shape[-2:])
    return rows.T @ (x @ columns)


@functools.lru_cache(maxsize=64)
@torch.inference_mode(False)
def _bands(length: int, size: int, stride: int, device: torch.device) -> Tensor:
    """(length, windows): column i averages over window i."""
    starts = torch.arange(0, length - size + 1, stride, device=device)
    offset = torch.arange(length, device=device)[:, None] - starts
    return ((offset >= 0) & (offset < size)).float() / size


def ssim_loss(fake: Tensor, real: Tensor, window: int = 7) -> Tensor:
    """1 - SSIM (Wang et al. 2004, with a flat window) of pictures (B, 3, H, W) in [0, 1]."""
    fake, real = fake.float(), real.float()
    c1, c2 = 0.01**2, 0.03**2
    mean_f, mean_r, ff, rr, fr = (box_mean(x, window) for x in (fake, real, fake * fake, real * real, fake * real))
    covariance, variances = fr - mean_f * mean_r, ff - mean_f**2 + rr - mean_r**2
    similarity = (2 * mean_f * mean_r + c1) * (2 * covariance + c2) / ((mean_f**2 + mean_r**2 + c1) * (variances + c2))
    return 1 - similarity.mean()


def detail_loss(fake: Tensor, real: Tensor) -> Tensor:
    """How far the strength of fine detail is from the real one's, relative to its mean.

    The strength is the Laplacian's root mean square about each pixel: blur lowers it wherever an edge lies, and an
    edge that is a pixel off costs nothing. It is compared pixel by pixel, and as a mean over a wider place, within
    which it may lie anywhere: what cannot be known exactly is still drawn sharp.
    """

    def strength(pictures: Tensor) -> Tensor:
        # Averaging neighbours hides the finest pattern, or a lattice of single pixels would pass for detail.
        grey = box_mean(pictures.float().mean(1, keepdim=True), 2)
        laplacian = 9 * (box_mean(grey, 3) - grey[..., 1:-1, 1:-1])  # all 8 neighbours
        return (box_mean(laplacian**2, 5) + 1e-4).sqrt()

    found, wanted = strength(fake), strength(real)
    around = box_mean(found - wanted, 25, 5).abs().mean((1, 2, 3))
    return (((found - wanted).abs().mean((1, 2, 3)) + around) / wanted.mean((1, 2, 3))).mean()


class PerceptualLoss(nn.Module):
    """L1 between normalised features of a fixed network, deeper ones counting more.

    Args:
        features: RGB pictures (B, 3, H, W) in [0, 1] -> list of feature maps, shallow to deep.
        weights: one a feature map.
        dtype: number format of its convolutions.
    """

    def __init__(self, features: nn.Module, weights: tuple[float, ...], dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.features = convert_convolutions(features.eval().requires_grad_(False), dtype)
        self.weights = weights
        self.dtype = dtype

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """The loss of generated pictures against real ones, both RGB (B, 3, H, W) in [0, 1]."""
        with forward_type(fake.device, self.dtype):
            with torch.no_grad():
                wanted = self.features(real)
            found = self.features(fake)
        total = fake.new_zeros(())
        for weight, a, b in zip(self.weights, found, wanted, strict=True):
            scale = b.float().abs().mean((1, 2, 3)).clamp(min=1e-6)  # so that no depth outweighs another by its units
            total = total + weight * ((a.float() - b.float()).abs().mean((1, 2, 3)) / scale).mean()
        return total / sum(self.weights)
