"""A network for one person in a square crop: keypoints with sub-pixel accuracy, their confidences, and the outline."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_detector.crop import Crop, lean, turn
from pose_detector.errors import InputError
from pose_detector.keypoints import scale_points
from pose_detector.look import Look
from pose_detector.model_files import PERSON
from pose_detector.networks import fuse_norms
from pose_detector.untrusted import finite, load_tensors, read_bytes

STRIDE = 4  # pixels of the crop in a cell of the heat maps
POINTS = 27  # COCO-18 without the neck, then hands and feet: see `look.EXTRA_NAMES`
SIZE = 256  # side of the crops that it is given, pixels
REACH = 2  # cells around the highest one that a point is the mean of
SURE = 0.2  # probability below which a point is taken to be missing
# Mean confidence of the eight best points above which a person is there: in real clips all people lie above it, and 99
# of 100 pieces of their rooms below.
SOMEBODY = 0.3
SHRINK = 0.9  # the most that a crop shrinks from one frame to the next
LEAN = 0.9  # radians of lean above which a person is turned upright


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class _Residual(nn.Module):
    """Two 3x3 convolutions beside the identity (arXiv 1512.03385)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _conv(width, width)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(self.first(x)))


def _stage(inputs: int, width: int, blocks: int) -> nn.Sequential:
    """Half the resolution, then residual blocks."""
    return nn.Sequential(_conv(inputs, width, stride=2), *(_Residual(width) for _ in range(blocks)))


class _Up(nn.Module):
    """Twice the resolution, joined with what the way down knew there."""

    def __init__(self, inputs: int, skip: int, width: int, blocks: int = 1) -> None:
        super().__init__()
        self.below, self.beside = _conv(inputs, width, 1), _conv(skip, width, 1)
        self.blocks = nn.Sequential(*(_Residual(width) for _ in range(blocks)))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = functional.interpolate(self.below(x), scale_factor=2, mode="nearest")
        return self.blocks(x + self.beside(skip))


class PersonNetwork(nn.Module):
    """A small U-shaped residual network.

    Args:
        widths: Channels at strides 2, 4, 8, 16 and 32.
        blocks: Residual blocks at strides 4, 8, 16 and 32 on the way down.
    """

    def __init__(
        self,
        widths: tuple[int, int, int, int, int] = (24, 48, 96, 144, 192),
        blocks: tuple[int, int, int, int] = (1, 3, 4, 2),
    ) -> None:
        super().__init__()
        w2, w4, w8, w16, w32 = widths
        self.stem = _conv(3, w2, stride=2)
        self.down4 = _stage(w2, w4, blocks[0])
        self.down8 = _stage(w4, w8, blocks[1])
        self.down16 = _stage(w8, w16, blocks[2])
        self.down32 = _stage(w16, w32, blocks[3])
        self.up16 = _Up(w32, w16, w16)
        self.up8 = _Up(w16, w8, w8)
        self.up4 = _Up(w8, w4, w4)
        self.heat = nn.Sequential(_conv(w4, 2 * w4, 1), nn.Conv2d(2 * w4, POINTS, 1))
        self.absent = nn.Linear(w32, POINTS)
        self.mask = nn.Sequential(_conv(w4, w4), nn.Conv2d(w4, 4, 1), nn.PixelShuffle(2))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Look at crops.

        Args:
            pictures: (B, 3, S, S) RGB in [0, 1]; S is a multiple of 32.

        Returns:
            heat (B, POINTS, S / 4, S / 4) and absent (B, POINTS): a softmax over all cells of a keypoint's map and its
            `absent` says where the keypoint is, or that it is not visible; outline (B, 1, S / 2, S / 2), logits.
        """
        x4 = self.down4(self.stem((pictures - 0.45) * 4))  # (B, 48, S/4, S/4)
        x8 = self.down8(x4)
        x16 = self.down16(x8)
        x32 = self.down32(x16)
        x = self.up4(self.up8(self.up16(x32, x16), x8), x4)  # (B, 48, S/4, S/4)
        return self.heat(x), self.absent(x32.mean((2, 3))), self.mask(x)


@torch.inference_mode()
def decode(heat: Tensor, absent: Tensor, outline: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """What the network's answer says.

    A point lies at the mean of its map around the highest cell; how sure it is is the probability found there.

    Args:
        heat, absent, outline: Of `PersonNetwork`.

    Returns:
        points (B, POINTS, 3) float32: x, y in pixels of the crop, confidence in [0, 1]; outline (B, S / 2, S / 2)
        float32, 1 = the person.
    """
    height, width = heat.shape[2:]
    logits = torch.cat([heat.flatten(2), absent[..., None]], 2).float()
    chances = torch.softmax(logits, dim=2)[..., :-1].unflatten(2, (height, width))  # (B, K, h, w)
    near = functional.avg_pool2d(chances, 2 * REACH + 1, 1, REACH, divisor_override=1)
    best = near.flatten(2).argmax(2)
    row, column = best // width, best % width
    ys, xs = torch.arange(height, device=heat.device), torch.arange(width, device=heat.device)
    rows = ((ys - row[..., None]).abs() <= REACH).float()  # (B, K, h)
    columns = ((xs - column[..., None]).abs() <= REACH).float()
    local = chances * rows[..., None] * columns[..., None, :]
    mass = local.sum((2, 3)).clamp(min=1e-12)
    x = (local.sum(2) * xs).sum(2) / mass
    y = (local.sum(3) * ys).sum(2) / mass
    points = torch.stack([scale_points(x, STRIDE), scale_points(y, STRIDE), mass], dim=2)
    return points.cpu().numpy(), torch.sigmoid(outline[:, 0].float()).cpu().numpy()


def save(network: nn.Module, path: Path) -> None:
    """Write the weights in half precision; the file is replaced whole."""
    state = {k: v.detach().cpu().half() if v.is_floating_point() else v.cpu() for k, v in network.state_dict().items()}
    part = path.with_name(f"{path.stem}.part{path.suffix}")
    torch.save({"state_dict": state}, part)
    os.replace(part, path)


def load(path: Path = PERSON) -> PersonNetwork:
    """Read weights that `save` wrote, for inference on the CPU.

    Raises:
        InputError: The file is missing, damaged, or of another network.
    """
    if not path.is_file():
        raise InputError(f"the bundled weights {path} are missing: restore the file")
    network = PersonNetwork()
    try:
        state = load_tensors(read_bytes(path))["state_dict"]
        network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
        if not finite(state):
            raise ValueError("not all of its values are finite")
    except (RuntimeError, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"{path}: not the weights of the person network; restore the file") from error
    return fuse_norms(network.requires_grad_(False))


class Bundled:
    """Looks at one person at a time with `PersonNetwork`; see `look.Looker`."""

    # Best of 0.5, 0.7, 0.9, 1.1 and 1.4 on the sample clips and four real ones together.
    first_look_trust = 0.7

    def __init__(
        self, network: PersonNetwork, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        """The second look by a network.

        Args:
            network: What sees; it is taken over.
            device: Where it runs.
            dtype: In which number format.
        """
        self.device, self.dtype = torch.device(device), dtype
        self._network = network.eval().to(self.device, dtype, memory_format=torch.channels_last)

    def first_crop(self, keypoints: np.ndarray) -> Crop | None:
        """See `look.Looker`."""
        seen = keypoints[keypoints[:, 2] > 0, :2]
        return self._crop(seen.min(axis=0), seen.max(axis=0), keypoints, 0.0, 1.4) if len(seen) >= 3 else None

    @torch.inference_mode()
    def look(self, frame: np.ndarray, crop: Crop) -> Look:
        """See `look.Looker`."""
        picture = torch.from_numpy(crop.cut(frame, SIZE)).to(self.device)
        batch = picture.permute(2, 0, 1)[None].to(self.dtype) / 255
        found, outlines = decode(*self._network(batch.contiguous(memory_format=torch.channels_last)))
        found, outline = found[0], outlines[0]
        points = np.column_stack([crop.to_frame(found[:, :2], SIZE), found[:, 2]]).astype(np.float32)
        keypoints = np.insert(points[:17], 1, points[[1, 4]].mean(axis=0), axis=0)  # the neck
        keypoints[1, 2] = points[[1, 4], 2].min()
        presence = min(1.0, float(np.sort(found[:17, 2])[-8:].mean()) / (2 * SOMEBODY))
        for part in (keypoints, points):
            part[part[:, 2] < SURE, 2] = 0
        return Look(keypoints, points[17:], outline, presence, crop, self._following(keypoints, outline, crop))

    def _following(self, keypoints: np.ndarray, outline: np.ndarray, crop: Crop) -> Crop:
        seen = keypoints[keypoints[:, 2] > 0.3, :2]
        if len(seen) < 6:  # too few to measure the person
            return crop
        y, x = np.nonzero(outline > 0.5)
        scale = SIZE / len(outline)
        cells = np.stack([x, y], axis=1)[:: max(1, len(x) // 500)]
        shown = crop.to_frame(scale_points(cells, scale), SIZE)
        low, high = seen.min(axis=0), seen.max(axis=0)
        reach = 0.25 * float((high - low).max())  # anything far from the keypoints is another person
        if len(shown):
            near = shown[((shown > low - reach) & (shown < high + reach)).all(axis=1)]
            low, high = (
                np.minimum(low, near.min(axis=0, initial=np.inf)),
                np.maximum(high, near.max(axis=0, initial=-np.inf)),
            )
        wanted = self._crop(low, high, keypoints, crop.angle, 1.25)
        # Nobody shrinks that fast: a crop that follows a few confident points alone would close in on them.
        return replace(wanted, side=max(wanted.side, SHRINK * crop.side))

    @staticmethod
    def _crop(low: np.ndarray, high: np.ndarray, keypoints: np.ndarray, angle: float, margin: float) -> Crop:
        """A crop around a box; turned where the trunk leans by more than `LEAN` against its present angle."""
        if (keypoints[[2, 5, 8, 11], 2] > 0.3).all():
            trunk = lean(keypoints[[2, 5]], keypoints[[8, 11]])
            if abs(trunk) < LEAN:
                angle = 0.0
            elif abs(turn(angle, trunk)) > LEAN / 2:
                angle = trunk
        return Crop(*((low + high) / 2).tolist(), margin * max(float((high - low).max()), 16.0), angle)
