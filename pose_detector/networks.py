"""The two keypoint networks. Both turn RGB pictures into 19 heat maps and 38 PAF channels at an eighth of the size.

`OpenPose` is the network of "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields" (arXiv 1611.08050);
`Light` that of "Real-time 2D Multi-Person Pose Estimation on CPU: Lightweight OpenPose" (arXiv 1811.12004). Parameter
names are those of the published weight files, so that these load by strict match (see `weights.py`).
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pose_detector.pafprocess import HEATMAPS, PAFS

STRIDE = 8


class PoseNetwork(nn.Module):
    """What both networks share: their input, and features for use as a perceptual loss."""

    default_height: int  # of the pictures that the network likes best, pixels
    taps: tuple[int, ...]  # layers of the trunk that are features for perceptual losses

    @staticmethod
    def normalize(pictures: Tensor) -> Tensor:
        """RGB (B, 3, H, W) in [0, 1] -> what the trunk expects: BGR, (value - 128) / 256 of 0..255."""
        return pictures.flip(1) * (255 / 256) - 0.5

    def features(self, pictures: Tensor) -> list[Tensor]:
        """RGB (B, 3, H, W) in [0, 1] -> activations of the trunk, shallow to deep, for perceptual losses."""
        return tapped(self.trunk, self.normalize(pictures), self.taps)

    @property
    def trunk(self) -> nn.Sequential:
        """The layers that both heads share."""
        raise NotImplementedError

    def stages(self, pictures: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(heat maps, PAFs) of every stage: the last one is the answer, all are supervised in training."""
        raise NotImplementedError

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """RGB (B, 3, H, W) in [0, 1] -> heat maps (B, 19, h, w) and PAFs (B, 38, h, w).

        The centre of cell (i, j) lies at pixel ((j + 0.5) * 8 - 0.5, (i + 0.5) * 8 - 0.5). H and W are multiples of 8.
        """
        return self.stages(pictures)[-1]


def tapped(layers: nn.Sequential, x: Tensor, taps: tuple[int, ...]) -> list[Tensor]:
    """What some of the layers (by number) make of x, in order."""
    found = []
    for i, layer in enumerate(layers):
        x = layer(x)
        if i in taps:
            found.append(x)
    return found


def _chain(channels: list[int], kernels: list[int]) -> nn.Sequential:
    """Convolutions with a ReLU between each two."""
    layers: list[nn.Module] = []
    for i, kernel in enumerate(kernels):
        layers += [nn.Conv2d(channels[i], channels[i + 1], kernel, padding=kernel // 2), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


class OpenPose(PoseNetwork):
    """VGG-19 trunk and six stages of two branches, 52.3 M parameters."""

    default_height = 368
    taps = (1, 6, 11, 20, 26)  # relu1_1, relu2_1, relu3_1, relu4_1, the trunk's end

    def __init__(self) -> None:
        super().__init__()
        trunk: list[nn.Module] = []
        width = 3
        for layer in (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 256, 128):
            if layer:
                trunk += [nn.Conv2d(width, layer, 3, padding=1), nn.ReLU(inplace=True)]
                width = layer
            else:
                trunk.append(nn.MaxPool2d(2))
        self.model0 = nn.Sequential(*trunk)
        for branch, out in ((1, PAFS), (2, HEATMAPS)):
            self.add_module(f"model1_{branch}", _chain([128, 128, 128, 128, 512, out], [3, 3, 3, 1, 1]))
            for stage in range(2, 7):
                channels = [128 + PAFS + HEATMAPS, 128, 128, 128, 128, 128, 128, out]
                self.add_module(f"model{stage}_{branch}", _chain(channels, [7, 7, 7, 7, 7, 1, 1]))

    @property
    def trunk(self) -> nn.Sequential:
        """See `PoseNetwork.trunk`."""
        return self.model0

    def stages(self, pictures: Tensor) -> list[tuple[Tensor, Tensor]]:
        """See `PoseNetwork.stages`."""
        trunk = x = self.model0(self.normalize(pictures))
        answers = []
        for stage in range(1, 7):
            pafs = self.get_submodule(f"model{stage}_1")(x)
            heatmaps = self.get_submodule(f"model{stage}_2")(x)
            answers.append((heatmaps, pafs))
            x = torch.cat([pafs, heatmaps, trunk], dim=1)
        return answers


def _conv(
    inputs: int,
    outputs: int,
    kernel: int = 3,
    stride: int = 1,
    dilation: int = 1,
    norm: bool = True,
    relu: bool = True,
    bias: bool = True,
) -> nn.Sequential:
    """Convolution, then batch normalisation and ReLU where asked for."""
    padding = dilation * (kernel // 2)
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=bias)]
    if norm:
        layers.append(nn.BatchNorm2d(outputs))
    if relu:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _depthwise(inputs: int, outputs: int, stride: int = 1, dilation: int = 1, norm: bool = True) -> nn.Sequential:
    """MobileNet's pair: a 3x3 convolution per channel, then a 1x1 one across channels."""
    layers: list[nn.Module] = []
    for conv in (
        nn.Conv2d(inputs, inputs, 3, stride, dilation, dilation, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, 1, bias=False),
    ):
        layers += [conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU(inplace=True)] if norm else [conv, nn.ELU()]
    return nn.Sequential(*layers)


class _ContextModule(nn.Module):
    """Narrows the trunk's features ("cpm")."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.align = _conv(inputs, outputs, kernel=1, norm=False)
        self.trunk = nn.Sequential(*(_depthwise(outputs, outputs, norm=False) for _ in range(3)))
        self.conv = _conv(outputs, outputs, norm=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.align(x)
        return self.conv(x + self.trunk(x))


class _Stage(nn.Module):
    """Trunk and two heads of one hidden layer each."""

    def __init__(self, trunk: nn.Sequential, width: int, hidden: int) -> None:
        super().__init__()
        self.trunk = trunk
        for name, out in (("heatmaps", HEATMAPS), ("pafs", PAFS)):
            head = (_conv(width, hidden, kernel=1, norm=False), _conv(hidden, out, kernel=1, norm=False, relu=False))
            self.add_module(name, nn.Sequential(*head))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.trunk(x)
        return self.heatmaps(x), self.pafs(x)


class _RefinementBlock(nn.Module):
    """A residual pair of 3x3 convolutions; stands in for one 7x7 of OpenPose."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.initial = _conv(inputs, outputs, kernel=1, norm=False)
        self.trunk = nn.Sequential(_conv(outputs, outputs), _conv(outputs, outputs, dilation=2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.initial(x)
        return x + self.trunk(x)


class Light(PoseNetwork):
    """MobileNet v1 trunk (strides kept at 8 by dilation), one initial and one refinement stage.

    `width` scales every inner channel count; 1 is the published network, 4.1 M parameters.
    """

    default_height = 256
    taps = (1, 3, 5, 8, 11)  # the last layers at strides 2 and 4, then three depths at stride 8

    def __init__(self, width: float = 1.0, refinements: int = 1) -> None:
        super().__init__()

        def wide(channels: int) -> int:
            return max(8, round(channels * width / 8) * 8)

        c32, c64, c128, c256, c512 = (wide(c) for c in (32, 64, 128, 256, 512))
        self.model = nn.Sequential(
            _conv(3, c32, stride=2, bias=False),
            _depthwise(c32, c64),
            _depthwise(c64, c128, stride=2),
            _depthwise(c128, c128),
            _depthwise(c128, c256, stride=2),
            _depthwise(c256, c256),
            _depthwise(c256, c512),
            _depthwise(c512, c512, dilation=2),
            *(_depthwise(c512, c512) for _ in range(4)),
        )
        self.cpm = _ContextModule(c512, c128)
        trunk = nn.Sequential(*(_conv(c128, c128, norm=False) for _ in range(3)))
        self.initial_stage = _Stage(trunk, c128, hidden=c512)
        self.refinement_stages = nn.ModuleList()
        for _ in range(refinements):
            first = _RefinementBlock(c128 + HEATMAPS + PAFS, c128)
            trunk = nn.Sequential(first, *(_RefinementBlock(c128, c128) for _ in range(4)))
            self.refinement_stages.append(_Stage(trunk, c128, hidden=c128))

    @property
    def trunk(self) -> nn.Sequential:
        """See `PoseNetwork.trunk`."""
        return self.model

    def stages(self, pictures: Tensor) -> list[tuple[Tensor, Tensor]]:
        """See `PoseNetwork.stages`."""
        trunk = self.cpm(self.model(self.normalize(pictures)))
        answers = [self.initial_stage(trunk)]
        for stage in self.refinement_stages:
            answers.append(stage(torch.cat([trunk, *answers[-1]], dim=1)))
        return answers


def fuse_norms(network: nn.Module) -> nn.Module:
    """Fold every batch normalisation into the convolution before it, in place; for inference only."""
    network.eval()
    for chain in [m for m in network.modules() if isinstance(m, nn.Sequential)]:
        for i in range(len(chain) - 1):
            if isinstance(chain[i], nn.Conv2d) and isinstance(chain[i + 1], nn.BatchNorm2d):
                chain[i] = fuse_conv_bn_eval(chain[i], chain[i + 1])
                chain[i + 1] = nn.Identity()
    return network
