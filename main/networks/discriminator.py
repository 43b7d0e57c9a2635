"""The discriminator: pix2pixHD's multi-scale patches (arXiv 1711.11585) on pose and successive pictures."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class PatchDiscriminator(nn.Module):
    """One scale: three stride-2 convolutions and one at stride 1, then a score a patch (70 pixels wide)."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        widths = [inputs, channels, 2 * channels, 4 * channels, 4 * channels]
        strides = [2, 2, 2, 1]
        layers: list[nn.Module] = []
        for i, stride in enumerate(strides):
            conv = nn.Conv2d(widths[i], widths[i + 1], 4, stride=stride, padding=2, bias=i == 0)
            norm = [nn.InstanceNorm2d(widths[i + 1])] if i else []
            layers.append(nn.Sequential(conv, *norm, nn.LeakyReLU(0.2)))
        self.layers = nn.ModuleList(layers)
        self.score = nn.Conv2d(widths[-1], 1, 4, padding=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, 0.02)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features of every layer, shallow to deep, and the patch scores last."""
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return [*features, self.score(x)]


class Discriminator(nn.Module):
    """The same network at several scales, each with weights of its own."""

    def __init__(self, inputs: int = 9, channels: int = 24, scales: int = 2) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(inputs, channels) for _ in range(scales))

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """``x``: (B, inputs, H, W) skeleton, picture and previous picture. Returns a list a scale, fine to coarse."""
        results = []
        for scale in self.scales:
            results.append(scale(x))
            x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return results
