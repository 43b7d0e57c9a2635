"""Fixed networks whose features say whether two pictures look alike."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pose_detector.errors import InputError
from pose_detector.networks import fuse_norms, tapped


class PoseFeatures(nn.Module):
    """Features of a pose network's trunk (``pose_detector.networks``), which is at hand anyway."""

    weights = (1.0, 1.0, 1.0, 0.5, 0.5)

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = fuse_norms(network)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """RGB (B, 3, H, W) in [0, 1] -> feature maps, shallow to deep."""
        return self.network.features(pictures)


class VGGFeatures(nn.Module):
    """relu1_1 ... relu5_1 of torchvision's VGG-19 trained on ImageNet; fetches 548 MB once. Weights as in pix2pixHD.

    Raises:
        InputError: they cannot be fetched.
    """

    weights = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
    taps = (1, 6, 11, 20, 29)

    def __init__(self) -> None:
        super().__init__()
        declare_missing_operators()
        from torchvision.models import VGG19_Weights, vgg19

        try:
            network = vgg19(weights=VGG19_Weights.IMAGENET1K_V1)
        except OSError as error:
            raise InputError(f"VGG-19's weights cannot be fetched ({error}); use --perceptual pose") from error
        self.layers = network.features[: self.taps[-1] + 1]
        for layer in self.layers:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None])
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225])[:, None, None])

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """RGB (B, 3, H, W) in [0, 1] -> feature maps, shallow to deep."""
        return tapped(self.layers, (pictures - self.mean) / self.std, self.taps)


def declare_missing_operators() -> None:
    """Let torchvision's CUDA build be imported beside a CPU-only torch, which does not know two of its operators."""
    for schema in ("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
                   "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"):  # fmt: skip
        name = schema.split("(")[0]
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", schema[len(name) :])
